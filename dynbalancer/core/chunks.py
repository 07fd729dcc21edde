"""The chunked coding (RFC 9112 section 7.1): a push decoder and the frames we write ourselves."""

from __future__ import annotations

import re

from dynbalancer.core.exchange import Field
from dynbalancer.core.fields import FieldError, has_stray_controls, is_spoilt, read_line
from dynbalancer.core.settings import Limits

_token = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_quoted = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
_line = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;%b(?:=(?:%b|%b))?)*" % (_token, _token, _quoted)).fullmatch
#: What a line may be while its end is missing: who sends no sizes need not wait for the deadline.
_beginning = re.compile(rb"[0-9A-Fa-f]{0,16}|[0-9A-Fa-f]{1,16}(?:\r|;.*)", re.DOTALL).fullmatch

#: A size no body can have; keeps sums small.
_LARGEST = 1 << 59

LAST_CHUNK = b"0\r\n\r\n"


class ChunkError(Exception):
    """The body is not in the chunked coding, or over a limit; the text says how."""


def chunk(data: bytes) -> bytes:
    """One chunk around ``data``, which must not be empty."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class ChunkDecoder:
    """Takes bytes as they come; gives the body's octets, chunks joined.

    After the last chunk :attr:`done` is true, :attr:`trailers` holds the trailer fields and :attr:`rest` what came
    after the message.
    """

    __slots__ = ("_buffer", "_left", "_limits", "_state", "done", "rest", "trailers")

    _SIZE, _DATA, _DATA_END, _TRAILERS = range(4)

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffer = b""
        self._left = 0
        self._state = self._SIZE
        self.done = False
        self.rest = b""
        self.trailers: list[Field] = []

    def feed(self, data: bytes) -> bytes:
        """The body octets in ``data``. Raises :class:`ChunkError`; call no more after that or after :attr:`done`."""
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        body: list[bytes] = []
        position = 0
        try:
            while position < len(data) or self._state == self._TRAILERS:
                if self._state == self._DATA:
                    piece = data[position : position + self._left]
                    body.append(piece)
                    position += len(piece)
                    self._left -= len(piece)
                    if not self._left:
                        self._state = self._DATA_END
                elif self._state == self._DATA_END:
                    if len(data) - position < 2:
                        if data[position] != 13:
                            raise ChunkError("no CRLF after a chunk")
                        break
                    if data[position : position + 2] != b"\r\n":
                        raise ChunkError("no CRLF after a chunk")
                    position += 2
                    self._state = self._SIZE
                elif self._state == self._SIZE:
                    after = self._read_size(data, position)
                    if not after:
                        break
                    position = after
                else:
                    position = self._read_trailers(data, position)
                    break
        finally:
            self._buffer = b"" if self.done else data[position:]
        if self.done:
            self.rest = data[position:]
        return body[0] if len(body) == 1 else b"".join(body)

    def _read_size(self, data: bytes, position: int) -> int:
        """The position after the chunk line, or 0 where it isn't complete."""
        longest = self._limits.chunk_line + 2
        end = data.find(b"\r\n", position, position + longest)
        if end < 0:
            part = data[position : position + longest]
            if not _beginning(part):
                raise ChunkError("not a chunk size")
            _refuse_early(part, longest)
            return 0
        line = data[position:end]
        match = _line(line)
        if match is None:
            raise ChunkError("not a chunk size")
        self._left = int(match.group(1), 16)
        if self._left >= _LARGEST:
            raise ChunkError("chunk too large")
        self._state = self._DATA if self._left else self._TRAILERS
        return end + 2

    def _read_trailers(self, data: bytes, position: int) -> int:
        """The position after the message, or ``position`` where the trailer section isn't complete."""
        if data.startswith(b"\r\n", position):
            self.done = True
            return position + 2
        end = data.find(b"\r\n\r\n", position)
        if end < 0:
            _refuse_early(data[position:], self._limits.trailers + 4)
            return position
        if end - position > self._limits.trailers:
            raise ChunkError("trailers too long")
        self.trailers = _trailer_fields(data[position:end], self._limits)
        self.done = True
        return end + 4


def _refuse_early(part: bytes, longest: int) -> None:
    """Refuse now what can't become good any more, so that verdicts don't depend on how bytes are split.

    ``longest`` is with what ends it.
    """
    if len(part) >= longest:
        raise ChunkError("line too long")
    if is_spoilt(part):
        raise ChunkError("control character in a chunk line or trailer")


def _trailer_fields(block: bytes, limits: Limits) -> list[Field]:
    lines = block.split(b"\r\n")
    if has_stray_controls(block, len(lines)):
        raise ChunkError("control character in a trailer")
    if len(lines) > limits.trailer_fields:
        raise ChunkError("too many trailers")
    fields: list[Field] = []
    for line in lines:
        try:
            fields.append(read_line(line, limits.field_name)[1])
        except FieldError as error:
            raise ChunkError(str(error)) from error
    return fields
