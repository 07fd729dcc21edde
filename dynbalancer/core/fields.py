"""Field names and what they mean to a proxy; field lines (RFC 9110 section 5, RFC 9112 section 5).

Names repeat from request to request, so what is known of a name is learnt once: whether it is a token, its lower case,
and its :class:`Kind`. Whatever is not an ordinary name needs a decision; the parser makes it in one place.
"""

from __future__ import annotations

from enum import IntEnum

from dynbalancer.core.exchange import Field, Headers

#: What RFC 9110 section 5.6.2 calls tchar.
TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

#: Control characters, of which only HTAB may stand in a value. CR and LF are among them: they end lines, in pairs.
CONTROLS = bytes(range(0x09)) + bytes(range(0x0A, 0x20)) + b"\x7f"

#: Names that are remembered; a peer that sends ever new ones can't make this grow.
REMEMBERED = 4096


class Kind(IntEnum):
    """What a proxy does with a field."""

    ORDINARY = 0
    HOST = 1
    CONTENT_LENGTH = 2
    TRANSFER_ENCODING = 3
    CONNECTION = 4
    UPGRADE = 5
    EXPECT = 6
    TE = 7
    TRAILER = 8
    #: Says where a request came from: ours to say, unless the peer is trusted.
    FORWARDED = 9
    #: Ends here: hop by hop, or a spelling that a server could take for another field.
    DROPPED = 10
    #: ``Connection: keep-alive``, which says nothing in HTTP/1.1 and is sent all the same.
    KEEP_ALIVE = 11


_KINDS = {
    b"host": Kind.HOST,
    b"content-length": Kind.CONTENT_LENGTH,
    b"transfer-encoding": Kind.TRANSFER_ENCODING,
    b"connection": Kind.CONNECTION,
    b"upgrade": Kind.UPGRADE,
    b"expect": Kind.EXPECT,
    b"te": Kind.TE,
    b"trailer": Kind.TRAILER,
    b"x-real-ip": Kind.FORWARDED,
    b"forwarded": Kind.FORWARDED,
    b"keep-alive": Kind.DROPPED,
    b"proxy-connection": Kind.DROPPED,
    b"proxy-authorization": Kind.DROPPED,
    b"proxy-authenticate": Kind.DROPPED,
    b"http2-settings": Kind.DROPPED,
    # httpoxy: CGI turns this field into the variable HTTP_PROXY.
    b"proxy": Kind.DROPPED,
}

#: Framing, routing and authentication: a Connection field can't make a proxy drop these (RFC 9110 section 7.6.1 has it
#: the other way round, and that hole had a dozen CVEs), and a trailer can't bring them (section 6.5.1).
PROTECTED = frozenset(
    (
        *_KINDS,
        *(b"authorization", b"cookie", b"set-cookie", b"content-encoding", b"content-type", b"content-range"),
        *(
            b"cache-control",
            b"max-forwards",
            b"range",
            b"age",
            b"date",
            b"expires",
            b"location",
            b"vary",
            b"warning",
        ),
        *(b"retry-after", b"www-authenticate", b"if-match", b"if-none-match", b"if-range"),
    )
)

#: bytes → (lower case, kind)
known: dict[bytes, tuple[bytes, int]] = {}


class FieldError(Exception):
    """A line that is no field line; the text says what is wrong with it."""


def learn(name: bytes, longest: int = 256) -> tuple[bytes, int]:
    """Lower case and :class:`Kind` of a field name. Raises :class:`FieldError` where it is no token."""
    if not name:
        raise FieldError("empty field name")
    if len(name) > longest:
        raise FieldError("field name too long")
    if name.translate(None, TOKEN):
        raise FieldError("field name is not a token")
    lower = name.lower()
    if len(known) >= REMEMBERED:
        known.clear()
    # As an int: an enum member costs ten times as much to compare.
    known[name] = found = (lower, int(_kind_of(lower)))
    return found


#: Lines that were read before: kind and field. Most lines of a request were in the one before it.
lines: dict[bytes, tuple[int, Field]] = {}

#: What is remembered, at the most: so many lines of so many octets, and so many Host lines beside: those are as many as
#: there are sites, and must not drive out what all requests have.
_REMEMBERED_LINES, _LONGEST_LINE, _REMEMBERED_HOSTS = 2048, 160, 16384
_host_lines: list[bytes] = []

#: Not remembered: these are secrets.
SECRETS = frozenset((b"authorization", b"cookie", b"set-cookie", b"proxy-authorization"))


def read_line(line: bytes, longest: int = 256) -> tuple[int, Field]:
    """:class:`Kind` and field of a field line without its CRLF. Raises :class:`FieldError`.

    What is remembered has been looked at: a line found in :data:`lines` holds no control character.
    """
    if len(line) != len(line.translate(None, CONTROLS)):
        raise FieldError("control character or bare CR or LF")
    name, colon, value = line.partition(b":")
    if not colon:
        raise FieldError("field line without a colon")
    lower, kind = known.get(name) or learn(name, longest)
    value = value.strip(b" \t")
    if kind == Kind.CONNECTION and value.lower() == b"keep-alive":
        kind = int(Kind.KEEP_ALIVE)
    found = kind, (lower, value, b"%b: %b\r\n" % (name, value))
    if len(line) <= _LONGEST_LINE and lower not in SECRETS:
        _remember(line, found)
    return found


def _remember(line: bytes, found: tuple[int, Field]) -> None:
    if found[0] == Kind.HOST:
        if len(_host_lines) >= _REMEMBERED_HOSTS:
            for host_line in _host_lines:
                lines.pop(host_line, None)
            _host_lines.clear()
        _host_lines.append(line)
    elif len(lines) - len(_host_lines) >= _REMEMBERED_LINES:
        lines.clear()
        _host_lines.clear()
    lines[line] = found


def is_forwarded(lower: bytes) -> bool:
    """Does a field of this name say where a request came from, in this spelling or with ``_`` for ``-``?"""
    dashed = lower.replace(b"_", b"-")
    return dashed.startswith(b"x-forwarded-") or _KINDS.get(dashed) is Kind.FORWARDED


def is_protected(lower: bytes) -> bool:
    """May this field neither be named by Connection nor come in a trailer, in this spelling or with ``_`` for ``-``?"""
    return lower.replace(b"_", b"-") in PROTECTED or is_forwarded(lower)


def _kind_of(lower: bytes) -> Kind:
    if is_forwarded(lower):
        return Kind.FORWARDED
    # Many servers fold ``_`` and ``-``: an alias of a field that steers this proxy must not reach them.
    if b"_" in lower and lower.replace(b"_", b"-") in _KINDS:
        return Kind.DROPPED
    return _KINDS.get(lower, Kind.ORDINARY)


def has_stray_controls(block: bytes, lines: int) -> bool:
    """Is there a control character besides the CR LF pairs that split ``block`` into ``lines``?"""
    return len(block) - len(block.translate(None, CONTROLS)) != 2 * (lines - 1)


def is_spoilt(part: bytes) -> bool:
    """Is there what no head may have, so that there is no use in waiting for its end?"""
    complete = part[:-1] if part.endswith(b"\r") else part
    return has_stray_controls(complete, complete.count(b"\r\n") + 1)


def tokens_of(values: list[bytes]) -> list[bytes]:
    """The members of a comma-separated list over several lines, in lower case, empty ones left out."""
    return [token for value in values for part in value.split(b",") if (token := part.strip(b" \t").lower())]


_connections: dict[bytes, tuple[tuple[bytes, ...], frozenset[bytes]]] = {}


def connection_options(values: list[bytes]) -> tuple[tuple[bytes, ...], frozenset[bytes]]:
    """The members of Connection, and those that name a field which ends here (RFC 9110 section 7.6.1).

    Not fields that steer framing, routing or identity: nobody may have those dropped.
    """
    value = values[0] if len(values) == 1 else b",".join(values)
    found = _connections.get(value)
    if found is None:
        if len(_connections) >= REMEMBERED:
            _connections.clear()
        members = tuple(tokens_of([value]))
        named = (member for member in members if member not in _OPTIONS and not is_protected(member))
        found = _connections[value] = (members, frozenset(named))
    return found


#: Members of Connection that name no field.
_OPTIONS = frozenset((b"close", b"keep-alive", b"upgrade"))


def ask_for_trailers(headers: Headers) -> None:
    """Let the server know that trailers are welcome.

    RFC 9110 section 10.1.4: who sends TE names it in Connection, for those behind it that don't know it.
    """
    headers.set(b"Connection", b"TE")
    headers.set(b"TE", b"trailers")
