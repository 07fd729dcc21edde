"""With what a connection begins: TLS, and which name and protocols it asks for; PostgreSQL's wish for TLS; or neither.

Only looked at: every octet stays to be sent on, or to be handed to who speaks TLS here (RFC 8446 sections 4.1.2, 5.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dynbalancer.errors import RequestError

#: What PostgreSQL's clients send before TLS, and what says yes to it (its documentation, section "SSLRequest").
POSTGRES_WISH = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
POSTGRES_YES = b"S"

#: The longest ClientHello, in octets. Those of browsers have about 2,000.
LONGEST = 32768
#: The longest record (RFC 8446 section 5.1).
_LONGEST_RECORD = 16384

_HANDSHAKE, _CLIENT_HELLO = 22, 1
_SERVER_NAME, _PROTOCOLS = 0, 16

UNKNOWN, PLAIN, TLS, POSTGRES = "", "plain", "tls", "postgres"


@dataclass(frozen=True, slots=True)
class Hello:
    """What a client asks for. ``server_name`` is in small letters, empty where none is named."""

    server_name: str = ""
    protocols: tuple[str, ...] = ()


class OpeningReader:
    """Finds out with what a connection begins, however its octets are split.

    :meth:`feed` until it says True; then ``kind`` is PLAIN, TLS or POSTGRES, ``hello`` what is asked for with TLS, and
    ``held`` all octets that came. It raises RequestError for what begins as TLS does and is none.
    """

    __slots__ = ("_left", "_message", "_read", "_size", "held", "hello", "kind")

    def __init__(self) -> None:
        self.kind = UNKNOWN
        self.hello = Hello()
        self.held = bytearray()
        self._read = 0
        self._left = 0
        self._size = -1
        self._message = bytearray()

    def feed(self, data: bytes) -> bool:
        """Whether it is known by now."""
        held = self.held
        held += data
        if not self.kind:
            self.kind = _kind(held)
        if self.kind != TLS:
            return bool(self.kind)
        return self._read_records()

    def _read_records(self) -> bool:
        held, message = self.held, self._message
        while True:
            piece = held[self._read : self._read + self._left]
            self._read += len(piece)
            self._left -= len(piece)
            message += piece
            if self._size < 0 and len(message) >= 4:
                self._begin_message()
            if 0 <= self._size <= len(message) - 4:
                self.hello = _hello(bytes(message[4 : 4 + self._size]))
                return True
            if self._left or len(held) < self._read + 5:
                return False
            self._begin_record()

    def _begin_record(self) -> None:
        kind, major, _, high, low = self.held[self._read : self._read + 5]
        self._left = high << 8 | low
        self._read += 5
        if kind != _HANDSHAKE or major != 3 or not 0 < self._left <= _LONGEST_RECORD:
            raise _malformed("a record is none of a handshake")

    def _begin_message(self) -> None:
        self._size = int.from_bytes(self._message[1:4], "big")
        if self._message[0] != _CLIENT_HELLO:
            raise _malformed("its first message is no ClientHello")
        if self._size > LONGEST:
            raise _malformed(f"longer than {LONGEST} octets")


def _kind(held: bytearray) -> str:
    if held[:1] == b"\x16":
        return UNKNOWN if len(held) < 2 else TLS if held[1] == 3 else PLAIN
    if len(held) < len(POSTGRES_WISH) and POSTGRES_WISH.startswith(held):
        return UNKNOWN
    return POSTGRES if held.startswith(POSTGRES_WISH) else PLAIN


def _malformed(why: str) -> RequestError:
    return RequestError(400, "client-hello", f"it begins as TLS does, but: {why}")


class _Octets:
    """Octets read from the front; RequestError where there are too few."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        """So many octets."""
        end = self._at + size
        if end > len(self._data):
            raise _malformed("the ClientHello is cut")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def number(self, size: int) -> int:
        """A number of so many octets."""
        return int.from_bytes(self.take(size), "big")

    def below(self, size: int) -> _Octets:
        """What a length of so many octets stands before."""
        return _Octets(self.take(self.number(size)))


def _hello(message: bytes) -> Hello:
    rest = _Octets(message)
    # Version and random number; then session, ciphers, ways to compress.
    rest.take(34)
    for size in (1, 2, 1):
        rest.below(size)
    name = ""
    protocols: tuple[str, ...] = ()
    for kind, value in _extensions(rest):
        if kind == _SERVER_NAME:
            name = _server_name(value)
        elif kind == _PROTOCOLS:
            protocols = tuple(_protocols(value.below(2)))
    return Hello(name, protocols)


def _extensions(rest: _Octets) -> Iterator[tuple[int, _Octets]]:
    if not rest:
        return
    found = rest.below(2)
    if rest:
        raise _malformed("something follows its extensions")
    seen = set()
    while found:
        kind = found.number(2)
        if kind in seen:
            raise _malformed("an extension is there twice")
        seen.add(kind)
        yield kind, found.below(2)


def _server_name(value: _Octets) -> str:
    """The host of the list (RFC 6066 section 3), which has no other kind of name."""
    names = value.below(2)
    found = ""
    while names:
        kind, name = names.number(1), names.below(2)
        if kind == 0 and not found:
            found = name.take(len(name._data)).decode("latin-1").lower().removesuffix(".")
    if not found.isascii() or not found.isprintable():
        raise _malformed("the name it asks for is none")
    return found


def _protocols(names: _Octets) -> Iterator[str]:
    while names:
        name = names.below(1)
        yield name.take(len(name._data)).decode("latin-1")
