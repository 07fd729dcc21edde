"""A client that speaks bytes: nothing is put right on the way out, and what comes back is read strictly."""

from __future__ import annotations

import re
import socket
import struct
import time
from dataclasses import dataclass, field
from types import TracebackType

from eventually import LONG

_status_line = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [\t -\x7e\x80-\xff]*").fullmatch
_field_line = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\t -\x7e\x80-\xff]*)").fullmatch


class Closed(Exception):
    """The connection ended where a response should have begun."""


@dataclass(slots=True)
class Reply:
    """One response. ``complete`` is false where its body was cut; ``interims`` are the 1xx before it."""

    status: int
    fields: list[tuple[bytes, bytes]]
    body: bytes = b""
    complete: bool = True
    interims: list[int] = field(default_factory=list)
    trailers: bytes = b""

    def get(self, name: bytes) -> bytes | None:
        """The value of a field (name in lower case) that must not be there twice."""
        found = [value for known, value in self.fields if known == name]
        assert len(found) < 2, f"{name!r} is there {len(found)} times"
        return found[0] if found else None

    @property
    def closes(self) -> bool:
        """Does it say that the connection ends with it?"""
        return (self.get(b"connection") or b"").lower() == b"close"


class Client:
    """One connection to the balancer."""

    def __init__(self, port: int, timeout: float = LONG, receive_buffer: int = 0, source: str = "") -> None:
        self.sock = socket.socket()
        if source:
            self.sock.bind((source, 0))
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(timeout)
        self._unread = b""
        try:
            self.sock.connect(("127.0.0.1", port))
        except OSError:
            self.sock.close()
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sock.close()

    def send(self, *data: bytes) -> None:
        """Send all of it."""
        self.sock.sendall(b"".join(data))

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection as a crash does, with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def ask(self, host: str, path: str = "/", method: str = "GET", *lines: str, body: bytes = b"") -> Reply:
        """One ordinary request, and its answer."""
        self.send(request(host, path, method, *lines, body=body))
        return self.reply(method.encode())

    def reply(self, method: bytes = b"GET") -> Reply:
        """The next final response. Raises Closed where there is none."""
        interims: list[int] = []
        while True:
            reply = self._head()
            if reply.status >= 200 or reply.status == 101:
                break
            interims.append(reply.status)
        reply.interims = interims
        self._body(reply, method)
        return reply

    def raw(self, within: float = LONG) -> bytes:
        """Everything that comes until the connection ends. Raises TimeoutError where it doesn't end."""
        deadline = time.monotonic() + within
        while True:
            self.sock.settimeout(max(deadline - time.monotonic(), 0.001))
            if not self._more():
                taken, self._unread = self._unread, b""
                return taken

    def is_closed(self, within: float = LONG) -> bool:
        """Has the other side ended the connection, without another byte?"""
        try:
            return self.raw(within) == b""
        except TimeoutError:
            return False

    def is_quiet(self, seconds: float = 0.2) -> bool:
        """Is the connection open, and nothing comes?"""
        try:
            self.sock.settimeout(seconds)
            return not self._unread and self._more() and False
        except TimeoutError:
            return True

    def read(self, size: int) -> bytes:
        """Exactly this many octets, or fewer where the connection ends."""
        while len(self._unread) < size and self._more():
            pass
        taken, self._unread = self._unread[:size], self._unread[size:]
        return taken

    def _more(self) -> bool:
        try:
            data = self.sock.recv(262144)
        except ConnectionResetError:
            return False
        self._unread += data
        return bool(data)

    def _until(self, mark: bytes) -> bytes | None:
        """What comes before ``mark``; None where the connection ends before it."""
        while mark not in self._unread:
            if not self._more():
                return None
        found, self._unread = self._unread.split(mark, 1)
        return found

    def _head(self) -> Reply:
        block = self._until(b"\r\n\r\n")
        if block is None:
            raise Closed(f"ended with {self._unread[:200]!r}")
        first, *lines = block.split(b"\r\n")
        status = _status_line(first)
        assert status is not None, f"no status line: {first!r}"
        fields = [_field_line(line) for line in lines]
        assert None not in fields, f"not all of these are fields: {lines!r}"
        return Reply(int(status[1]), [(found[1].lower(), found[2]) for found in fields if found])

    def _body(self, reply: Reply, method: bytes) -> None:
        length, coding = reply.get(b"content-length"), reply.get(b"transfer-encoding")
        assert length is None or coding is None, "two framings"
        if method == b"HEAD" or reply.status in (101, 204, 304):
            assert coding is None
            return
        if coding is not None:
            assert coding == b"chunked"
            self._chunks(reply)
        elif length is not None:
            assert re.fullmatch(rb"[0-9]{1,18}", length)
            reply.body = self.read(int(length))
            reply.complete = len(reply.body) == int(length)
        else:
            assert reply.closes, "a body without a length on a connection that stays open"
            reply.body = self.raw()

    def _chunks(self, reply: Reply) -> None:
        pieces = []
        while True:
            line = self._until(b"\r\n")
            if line is None:
                break
            assert re.fullmatch(rb"[0-9a-f]{1,16}", line), f"not a chunk line of ours: {line!r}"
            size = int(line, 16)
            if not size:
                reply.trailers = self._trailers()
                reply.body = b"".join(pieces)
                return
            piece = self.read(size + 2)
            pieces.append(piece[:size])
            if len(piece) < size + 2:
                break
            assert piece.endswith(b"\r\n")
        reply.body = b"".join(pieces)
        reply.complete = False

    def _trailers(self) -> bytes:
        lines = b""
        while line := self._until(b"\r\n"):
            lines += line + b"\r\n"
        return lines


def request(host: str, path: str = "/", method: str = "GET", *lines: str, body: bytes = b"") -> bytes:
    """The octets of a request; ``lines`` are further field lines."""
    all_lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *lines]
    if body:
        all_lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*all_lines, "", ""]).encode("latin-1") + body
