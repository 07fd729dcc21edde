"""Push reader of responses: bytes in, as they come; heads, body octets and ends out, through hooks of a subclass.

Like :mod:`dynbalancer.core.request_reader`: how the bytes are split changes no verdict, and it is pure.
"""

from __future__ import annotations

from dynbalancer.core.chunks import ChunkDecoder, ChunkError
from dynbalancer.core.exchange import CHUNKED, LARGE, UNTIL_CLOSE, Field, ResponseHead
from dynbalancer.core.fields import is_spoilt
from dynbalancer.core.http1 import parse_response_head, write_response_head
from dynbalancer.core.request_reader import (
    CHUNKS,
    DEAD,
    HEAD,
    HELD,
    LENGTH,
    RAW,
    SMALL,
    TO_CLOSE,
    checked_before,
)
from dynbalancer.core.settings import Limits
from dynbalancer.errors import BadResponse, UpstreamClosed, UpstreamError


class Answer:
    """The head of an answer that came with its body, all at once, and how one with the same head is known again.

    ``block`` are the octets up to the body, ``size`` those of the whole.
    """

    __slots__ = ("block", "body", "head", "method", "size")

    def __init__(self, block: bytes, method: bytes, head: ResponseHead) -> None:
        self.block = block
        self.body = len(block)
        self.size = len(block) + (head.length or 0)
        self.method = method
        self.head = head
        head.wire = write_response_head(head)
        head.dated = b"date" in head.headers


class ResponseReader:
    """Reads the responses of one connection to a server. :meth:`expect` says to which request the next one belongs."""

    limits: Limits

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.reading = HELD
        self.clean = True
        self._method = b""
        self._upgrade: bytes | None = None
        self._interims = 0
        self._held = b""
        self._left = 0
        self._decoder: ChunkDecoder | None = None
        self._block = b""
        self._last: Answer | None = None

    # Hooks.

    def answer_received(self, head: ResponseHead, body: bytes | memoryview) -> None:
        """A whole answer, whose ``head`` belongs to others as well (see ``ResponseHead.wire``)."""
        self.response_received(head.copy())
        # Whoever does not want the rest stops the reading.
        if self.reading == HELD:
            self.content_received(bytes(body))
        if self.reading == HELD:
            self.response_ended([])

    def interim_received(self, head: ResponseHead) -> None:
        """A 1xx but 101."""

    def response_received(self, head: ResponseHead) -> None:
        """The final head."""

    def content_received(self, data: bytes) -> None:
        """Some octets of its body, or of the tunnel."""

    def response_ended(self, trailers: list[Field]) -> None:
        """It is complete. ``clean`` says whether the connection may serve again as far as this message goes."""

    def response_failed(self, error: UpstreamError) -> None:
        """What came can't be relayed, or ended too early."""

    def unasked(self) -> None:
        """Bytes came that belong to no request."""

    # Input.

    def expect(self, method: bytes, upgrade: bytes | None = None) -> None:
        """A request with this method was sent, and perhaps one for an ``upgrade`` to these protocols."""
        self.reading = HEAD
        self.clean = True
        self._method = method
        self._upgrade = upgrade
        self._interims = 0

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        last = self._last
        if (
            last is not None
            and len(data) == last.size
            and self.reading == HEAD
            and data.startswith(last.block)
            and self._method == last.method
            and not self._held
        ):
            # A server asked for the same again mostly says the same again, but for the body.
            self.reading = HELD
            body = data[last.body :] if len(data) <= LARGE else memoryview(data)[last.body :]
            self.answer_received(last.head, body)
            return
        while data:
            reading = self.reading
            if reading == HEAD:
                data = self._read_head(data)
            elif reading == LENGTH:
                data = self._read_length(data)
            elif reading == CHUNKS:
                data = self._read_chunks(data)
            elif reading in (TO_CLOSE, RAW):
                self.content_received(data)
                return
            elif reading == HELD:
                self.clean = False
                self.unasked()
                return
            else:
                return

    def ended(self, *, broken: bool = False) -> None:
        """The server closed its side, or the connection is ``broken`` (a reset): that completes nothing."""
        reading, self.reading = self.reading, DEAD
        if reading == TO_CLOSE and not broken:
            self.response_ended([])
        elif reading in (TO_CLOSE, LENGTH, CHUNKS):
            self.response_failed(BadResponse("the server closed in the middle of a body"))
        elif reading == HEAD:
            self.response_failed(
                BadResponse("the server closed in the middle of a head")
                if self._held
                else UpstreamClosed("the server closed without an answer")
            )

    def stop(self) -> None:
        """Take nothing any more."""
        self.reading = DEAD

    # The states.

    def _read_head(self, data: bytes) -> bytes:
        searched = checked = 0
        held = self._held
        if held:
            searched = max(len(held) - 3, 0)
            checked = checked_before(held)
            data = held + data
            self._held = b""
        end = data.find(b"\r\n\r\n", searched)
        if end < 0 or end > self.limits.response_head:
            return self._incomplete(data, checked)
        try:
            head = parse_response_head(data[:end], self.limits, method=self._method, upgrade=self._upgrade)
        except BadResponse as error:
            return self._fail(error)
        rest = data[end + 4 :]
        if head.status < 200 and head.status != 101:
            self._interims += 1
            if self._interims > self.limits.interim_responses:
                return self._fail(BadResponse("too many interim responses"))
            self.interim_received(head)
            return rest
        if head.length and head.length == len(rest) and head.keep_alive and not held:
            self._remember(data[: end + 4], head)
        return self._begin(head, rest)

    def _remember(self, block: bytes, head: ResponseHead) -> None:
        """Keep what such a head comes to, once it has come twice in a row."""
        if block == self._block:
            self._last = Answer(block, self._method, head.copy())
        self._block = block if len(block) <= SMALL else b""

    def _begin(self, head: ResponseHead, rest: bytes) -> bytes:
        self.clean = head.keep_alive
        length = head.length
        if head.status == 101:
            self.reading = RAW
            self.clean = False
        elif not length:
            self.reading = HELD
            if rest:
                # RFC 9112 section 6.3: bytes after a message without a body belong to nobody.
                self.clean = False
                rest = b""
            self.response_received(head)
            if self.reading == HELD:
                self.response_ended([])
            return rest
        elif length == CHUNKED:
            self.reading = CHUNKS
            self._decoder = ChunkDecoder(self.limits)
        elif length == UNTIL_CLOSE:
            self.reading = TO_CLOSE
        else:
            self.reading = LENGTH
            self._left = length
            self.response_received(head)
            # Most bodies come with their head; this is _read_length for them.
            if len(rest) == length and self.reading == LENGTH:
                self._left = 0
                self.reading = HELD
                self.content_received(rest)
                if self.reading == HELD:
                    self.response_ended([])
                return b""
            return rest
        self.response_received(head)
        return rest

    def _incomplete(self, data: bytes, checked: int) -> bytes:
        if len(data) > self.limits.response_head + 3:
            return self._fail(BadResponse("head too long"))
        if is_spoilt(data[checked:]) or b"HTTP/1."[: len(data)] != data[:7]:
            return self._fail(BadResponse("not an HTTP/1 response"))
        self._held = data
        return b""

    def _read_length(self, data: bytes) -> bytes:
        left = self._left
        size = len(data)
        if size < left:
            self._left = left - size
            self.content_received(data)
            return b""
        self._left = 0
        self.reading = HELD
        if size > left:
            # What follows can't be an answer to anything: no request is sent ahead to a server.
            self.clean = False
            data = data[:left]
        self.content_received(data)
        if self.reading == HELD:
            self.response_ended([])
        return b""

    def _read_chunks(self, data: bytes) -> bytes:
        decoder = self._decoder
        assert decoder is not None
        try:
            body = decoder.feed(data)
        except ChunkError as error:
            return self._fail(BadResponse(str(error)))
        if body:
            self.content_received(body)
        if decoder.done and self.reading == CHUNKS:
            self._decoder = None
            self.reading = HELD
            if decoder.rest:
                self.clean = False
            self.response_ended(decoder.trailers)
        return b""

    def _fail(self, error: UpstreamError) -> bytes:
        self.reading = DEAD
        self._held = b""
        self.clean = False
        self.response_failed(error)
        return b""
