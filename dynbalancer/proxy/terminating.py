"""A server's side of TLS on a plain transport of the event loop, by ``ssl`` and two places in memory.

The loop can do this too, but makes far more for each connection than a handshake needs: a buffer of 256 KiB, a timer,
and turns of its own. Here all connections read to one buffer and share one timer. To the protocol inside,
:class:`Session` is what the loop's own transport for TLS would be.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any

#: Where all connections read what was encrypted to; copied before the next one does.
_READ = memoryview(bytearray(256 * 1024))
#: A record has this many octets at most (RFC 8446 section 5.1).
_RECORD = 16384
#: How much is encrypted at a time, in octets: OpenSSL's places in memory never shrink.
_WRITTEN = 65536


class Handshakes:
    """Those that go on now; each is cut after ``seconds`` (0: never). One timer for all."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self.loop = loop
        self._seconds = seconds
        # All may take the same time, so the first to begin is the first to be over.
        self._due: dict[Session, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, session: Session) -> None:
        """Wait for this one."""
        if self._seconds:
            self._due[session] = self.loop.time() + self._seconds
            if self._timer is None:
                self._timer = self.loop.call_later(self._seconds, self._look)

    def over(self, session: Session) -> None:
        """Wait no more."""
        self._due.pop(session, None)

    def _look(self) -> None:
        self._timer = None
        now = self.loop.time()
        # A loop may call a moment too early: its clock has milliseconds.
        late = [session for session, due in self._due.items() if due <= now + 0.01]
        for session in late:
            self.over(session)
            session.abort()
        first = next(iter(self._due.values()), None)
        if first is not None:
            self._timer = self.loop.call_later(max(first - now, 0), self._look)


class Session(asyncio.Protocol):
    """One connection: a protocol to the loop's plain transport, a transport to the protocol inside.

    ``inside`` is connected when the handshake is over. It may be nobody's business until then.
    """

    __slots__ = (
        "__weakref__",
        "_closing",
        "_connected",
        "_deaf",
        "_handshakes",
        "_incoming",
        "_inside",
        "_native",
        "_outgoing",
        "_paused",
        "_raw",
        "_shown",
        "_why",
    )

    def __init__(self, context: ssl.SSLContext, inside: Any, handshakes: Handshakes) -> None:
        self._inside = inside
        self._handshakes = handshakes
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._raw = _wrapped(context, self._incoming, self._outgoing)
        self._shown: ssl.SSLObject | None = None
        self._native: Any = None
        self._connected = self._closing = self._paused = self._deaf = False
        self._why: Exception | None = None

    # What the loop calls.

    def connection_made(self, transport: Any) -> None:
        self._native = transport
        self._handshakes.begin(self)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._incoming.write(data)
        # What came behind the handshake is still where it was written to.
        if self._connected or (self._shake_hands() and self._incoming.pending):
            self._read()

    def eof_received(self) -> bool:
        # Who ends the connection itself is gone, whether he said so in TLS before or not, and the loop closes.
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = self._closing = True
        inside, self._inside = self._inside, None
        if self._connected:
            inside.connection_lost(exc or self._why)
        else:
            self._handshakes.over(self)

    def pause_writing(self) -> None:
        if self._connected:
            self._inside.pause_writing()

    def resume_writing(self) -> None:
        if self._connected:
            self._inside.resume_writing()

    # What the protocol inside calls.

    def write(self, data: bytes) -> None:
        """Send octets, unless it closes already."""
        if self._closing or not data:
            return
        try:
            if len(data) <= _WRITTEN:
                self._raw.write(data)
            else:
                self._write_in_parts(memoryview(data))
        except ssl.SSLError as error:
            self._why = error
            self.abort()
            return
        self._native.write(self._outgoing.read())

    def writelines(self, parts: list[bytes]) -> None:
        """Send octets."""
        self.write(b"".join(parts))

    def close(self) -> None:
        """Say that this is the end, when all is sent; what still comes is thrown away until the other side ends too."""
        if self._closing:
            return
        self._closing = True
        self.resume_reading()
        try:
            self._object().unwrap()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError:
            # It goes on sending. The end was said, and only the end of the connection is waited for.
            self._deaf = True
            self._flush()
        else:
            self._flush()
            self._native.close()

    def abort(self) -> None:
        """Close now."""
        self._closing = self._deaf = True
        self._native.abort()

    def is_closing(self) -> bool:
        """Is nothing taken any more?"""
        return self._closing or bool(self._native.is_closing())

    def can_write_eof(self) -> bool:
        """Whether who has ended his half can still be written to: so he can (RFC 8446 section 6.1)."""
        return True

    def pause_reading(self) -> None:
        """Read no more for now."""
        if not self._paused:
            self._paused = True
            self._native.pause_reading()

    def resume_reading(self) -> None:
        """Read on, and in a later turn what is here already."""
        if self._paused:
            self._paused = False
            if not self._native.is_closing():
                self._native.resume_reading()
                if self._incoming.pending or self._raw.pending():
                    self._handshakes.loop.call_soon(self._read)

    def set_protocol(self, protocol: Any) -> None:
        """Connect another protocol."""
        if self._inside is not None:
            self._inside = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """From when to when the protocol inside is told to pause."""
        self._native.set_write_buffer_limits(high=high, low=low)

    def get_write_buffer_size(self) -> int:
        """Octets that the kernel has not taken yet, as they are sent."""
        return int(self._native.get_write_buffer_size())

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the loop's own: ``ssl_object``, ``peercert``, ``cipher``, and what the plain transport knows."""
        if name == "ssl_object":
            return self._object()
        if name == "peercert":
            return self._object().getpeercert() or default
        if name == "cipher":
            return self._object().cipher() or default
        return self._native.get_extra_info(name, default)

    # How it goes on.

    def _object(self) -> ssl.SSLObject:
        """What those outside know: the class of ``ssl`` around what is called here."""
        shown = self._shown
        if shown is None:
            if isinstance(self._raw, ssl.SSLObject):
                return self._raw
            shown = self._shown = ssl.SSLObject.__new__(ssl.SSLObject)
            shown._sslobj = self._raw  # type: ignore[attr-defined]
        return shown

    def _shake_hands(self) -> bool:
        try:
            self._raw.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except (OSError, ValueError):
            # The client is told why, as far as TLS has a word for it.
            self._deaf = self._closing = True
            self._flush()
            self._native.close()
            return False
        self._handshakes.over(self)
        self._connected = True
        self._inside.connection_made(self)
        self._flush()
        return True

    def _read(self) -> None:
        """Hand on what can be decrypted."""
        while not (self._paused or self._deaf) and (self._incoming.pending or self._raw.pending()):
            filled, ended = 0, False
            try:
                while len(_READ) - filled >= _RECORD and (self._incoming.pending or self._raw.pending()):
                    count = self._raw.read(len(_READ) - filled, _READ[filled:])
                    if not count:
                        ended = True
                        break
                    filled += count
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                self._why = error
                ended = True
            if filled and not self._closing:
                self._inside.data_received(bytes(_READ[:filled]))
            if ended:
                self._end()
        self._flush()

    def _end(self) -> None:
        """The other side has said that it ends, or nothing it says makes sense any more."""
        if self._deaf:
            return
        self._deaf = True
        if not self._closing and self._why is None and self._inside.eof_received():
            # It says no more, and waits for its answer.
            return
        if not self._closing:
            self._closing = True
            if self._why is None:
                with contextlib.suppress(ssl.SSLError):
                    self._object().unwrap()
        self._flush()
        self._native.close()

    def _write_in_parts(self, data: memoryview) -> None:
        while data:
            data = data[self._raw.write(data[:_WRITTEN]) :]
            if data:
                self._native.write(self._outgoing.read())

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._native.write(self._outgoing.read())


def _wrapped(context: ssl.SSLContext, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> Any:
    """A server's side of TLS, as ``wrap_bio`` makes it, without the class of Python around it where that can be had.

    It hands its calls on only, and takes four functions of Python to make: for each connection they are too many.
    """
    wrap = getattr(context, "_wrap_bio", None)
    if wrap is None:
        return context.wrap_bio(incoming, outgoing, server_side=True)
    return wrap(incoming, outgoing, True)


def sessions(
    loop: asyncio.AbstractEventLoop, context: ssl.SSLContext, inside: Callable[[], Any], seconds: float
) -> Callable[[], Session]:
    """What makes a session for each connection that is accepted; a handshake may take ``seconds`` (0: any time)."""
    handshakes = Handshakes(loop, seconds)
    return lambda: Session(context, inside(), handshakes)
