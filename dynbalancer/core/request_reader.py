"""Push reader of requests: bytes in, as they come; heads, body octets and ends out, through hooks of a subclass.

Verdicts never depend on how the bytes are split. It is pure; the connections of :mod:`dynbalancer.proxy` are its
subclasses and add the transport. Its twin for answers is :mod:`dynbalancer.core.response_reader`.
"""

from __future__ import annotations

from dynbalancer.core.chunks import ChunkDecoder, ChunkError
from dynbalancer.core.exchange import CHUNKED, Alike, Field, RequestHead
from dynbalancer.core.fields import is_spoilt
from dynbalancer.core.http1 import COUNTED, check_request_line, parse_like, parse_request_head
from dynbalancer.core.settings import Limits
from dynbalancer.errors import RequestError

#: What a reader waits for. HELD: a whole message was read, and the next may not begin yet. RAW: no HTTP any more.
HEAD, LENGTH, CHUNKS, TO_CLOSE, HELD, RAW, DEAD = range(7)

#: Up to this size, in bytes, what came is compared with what came before.
SMALL = 4096

_HOST = b"\r\nHost: "


def other_host(fields: bytes, last: bytes) -> bytes | None:
    """The value of the Host in front of ``fields``, where that is all in which they differ from the last ones.

    Proxies and crawlers ask for another host each time.
    """
    if not (fields.startswith(_HOST) and last.startswith(_HOST)):
        return None
    host, _, others = fields[len(_HOST) :].partition(b"\r\n")
    _, _, last_others = last[len(_HOST) :].partition(b"\r\n")
    return host if others == last_others else None


def checked_before(held: bytes) -> int:
    """How much of a head that is held was found good: a CR at its end waits for its LF."""
    return len(held) - held.endswith(b"\r")


class RequestReader:
    """Reads the requests of one connection, one at a time: after each, :meth:`next_message` lets the next begin."""

    limits: Limits
    scheme: bytes = b"http"
    trusted: bool = False
    #: While :meth:`head_received` runs: what came with the head, where a body of known length follows it.
    at_hand: bytes = b""
    #: The first octets of what was refused, for the log.
    refused_sample: bytes = b""
    _decoder: ChunkDecoder | None = None

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.reading = HEAD
        self._held = b""
        self._left = 0
        self._feeding = False
        self._fresh = True
        self._fields: bytes | None = None
        self._like: RequestHead | None = None

    # Hooks.

    def head_received(self, head: RequestHead) -> None:
        """A request begins."""

    def body_received(self, data: bytes) -> None:
        """Some octets of its body."""

    def message_received(self, trailers: list[Field]) -> None:
        """Its body is complete. Not called where the head says that there is none."""

    def refused(self, error: RequestError) -> None:
        """What came is no request that may be served; nothing further is read."""

    def held_too_much(self) -> None:
        """More was sent ahead than is held; reading should pause until :meth:`next_message`."""

    # Input.

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        self._feeding = True
        try:
            while data:
                reading = self.reading
                if reading == HEAD:
                    data = self._read_head(data)
                elif reading == LENGTH:
                    data = self._read_length(data)
                elif reading == CHUNKS:
                    data = self._read_chunks(data)
                elif reading == HELD:
                    self._held += data
                    if len(self._held) > self.limits.pipelined:
                        self.held_too_much()
                    return
                elif reading == RAW:
                    self.body_received(data)
                    return
                else:
                    return
        finally:
            self._feeding = False

    def next_message(self) -> None:
        """The answer to the last message is out: read on."""
        if self.reading != HELD:
            return
        self.reading = HEAD
        self._fresh = True
        if self._held and not self._feeding:
            held, self._held = self._held, b""
            self.feed(held)

    def take_body(self) -> bytes:
        """The whole body of the request whose :meth:`head_received` runs, where it is at hand: then it is read.

        Neither ``body_received`` nor ``message_received`` follows. Empty where some of it is still to come.
        """
        left = self._left
        rest = self.at_hand
        if not 0 < left <= len(rest):
            return b""
        self._left = 0
        self.reading = HELD
        if len(rest) == left:
            self.at_hand = b""
            return rest
        self.at_hand = rest[left:]
        return rest[:left]

    def tunnel(self) -> bytes:
        """No HTTP any more: everything goes to ``body_received``. Returns what had been held."""
        held, self._held = self._held, b""
        self.reading = RAW
        return held

    def stop(self) -> None:
        """Take nothing any more."""
        self.reading = DEAD
        self._held = b""

    @property
    def held(self) -> int:
        """How many octets sent ahead are held."""
        return len(self._held)

    @property
    def between_messages(self) -> bool:
        """True while not one byte of the next request has come."""
        return self.reading == HEAD and not self._held

    def read_again(self, data: bytes) -> RequestHead:
        """The head that ``data`` is, with the empty line at its end, once more: nobody has changed it yet."""
        return parse_request_head(data[:-4], self.limits, trusted=self.trusted, scheme=self.scheme)

    # The states.

    def _read_head(self, data: bytes) -> bytes:
        searched = checked = 0
        held = self._held
        if held:
            searched = max(len(held) - 3, 0)
            checked = checked_before(held)
            data = held + data
            self._held = b""
        if data[0] <= 13 and self._fresh:
            # RFC 9112 section 2.2: one empty line before a request is forgiven.
            if data[:2] == b"\r\n":
                data = data[2:]
                self._fresh = False
                if not data:
                    return b""
            elif data == b"\r":
                self._held = data
                return b""
        end = data.find(b"\r\n\r\n", searched)
        if end < 0 or end > self.limits.head:
            return self._incomplete(data, checked)
        self._fresh = False
        rest = data[end + 4 :]
        try:
            head = self._parsed(data, end)
        except RequestError as error:
            return self._refuse(error, data)
        length = head.length
        if not length:
            self.reading = HELD
        elif length == CHUNKED:
            self.reading = CHUNKS
            self._decoder = ChunkDecoder(self.limits)
        else:
            self.reading = LENGTH
            self._left = length
            self.at_hand = rest
            self.head_received(head)
            rest, self.at_hand = self.at_hand, b""
            return rest
        self.head_received(head)
        return rest

    def _parsed(self, data: bytes, end: int) -> RequestHead:
        """The head that ends there. Most clients send the same fields with every request, but perhaps for Host."""
        line_end = data.find(b"\r\n")
        fields, last = data[line_end:end], self._fields
        host = None if fields == last or last is None else other_host(fields, last)
        again, like = fields == last or host is not None, self._like
        head = parse_like(data[:line_end], like, self.limits, host) if again and like is not None else None
        if head is not None:
            return head
        head = parse_request_head(data[:end], self.limits, trusted=self.trusted, scheme=self.scheme)
        if not again:
            self._fields = fields if len(fields) <= SMALL else None
            self._like = None
        elif like is None and data.find(b" /", 0, line_end) >= 0 and head.method not in COUNTED:
            # These have the Host that it has, the last ones perhaps another.
            self._fields = fields
            self._like = like = head.copy()
            like.alike = Alike()
        return head

    def _incomplete(self, data: bytes, checked: int) -> bytes:
        """No whole head yet: hold it, unless it can't become a good one. So many octets were looked at before."""
        limits = self.limits
        line_end = data.find(b"\r\n")
        try:
            if line_end + 2 > checked or line_end < 0:
                check_request_line(data, line_end, limits)
            if is_spoilt(data[checked : limits.head + 4]):
                raise RequestError(400, "control-character", "control character, or bare CR or LF")
            if len(data) > limits.head + 3:
                raise RequestError(431, "head-too-long")
        except RequestError as error:
            return self._refuse(error, data)
        self._held = data
        return b""

    def _read_length(self, data: bytes) -> bytes:
        left = self._left
        size = len(data)
        if size < left:
            self._left = left - size
            self.body_received(data)
            return b""
        self._left = 0
        self.reading = HELD
        if size == left:
            rest = b""
        else:
            data, rest = data[:left], data[left:]
        self.body_received(data)
        if self.reading == DEAD:
            return b""
        self.message_received([])
        return rest

    def _read_chunks(self, data: bytes) -> bytes:
        decoder = self._decoder
        assert decoder is not None
        try:
            body = decoder.feed(data)
        except ChunkError as error:
            return self._refuse(RequestError(400, "bad-chunk", str(error)), data)
        if body:
            self.body_received(body)
        if not decoder.done or self.reading == DEAD:
            return b""
        self._decoder = None
        self.reading = HELD
        self.message_received(decoder.trailers)
        return decoder.rest

    def _refuse(self, error: RequestError, data: bytes) -> bytes:
        self.refused_sample = data[:128]
        self.reading = DEAD
        self._held = b""
        self.refused(error)
        return b""
