"""What stands between a server's answer and the client where a middleware waits, wants it whole, or changes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from dynbalancer.core.exchange import CHUNKED, Field, ResponseHead
from dynbalancer.errors import UpstreamError
from dynbalancer.proxy.bodies import KeptBody, Pump

if TYPE_CHECKING:
    from dynbalancer.proxy.answering import Answering

#: A filter that can't tell yet what to do may hold the beginning of a body for so many seconds.
PATIENCE = 0.05


def filtered(filters: Iterable[Any], body: bytes) -> bytes:
    """A whole body after all of these filters."""
    for each in filters:
        body = each.feed(body) + each.finish()
    return body


class Waiting:
    """Holds back what comes of an answer while a middleware makes up its mind."""

    __slots__ = ("_ended", "_exchange", "_pieces", "_stalled", "_verdict", "dropped", "failure")

    def __init__(self, exchange: Answering, verdict: Deferred[Any]) -> None:
        self._exchange = exchange
        self._verdict = verdict
        self.dropped = False
        self._pieces: list[bytes] = []
        self._ended: Sequence[Field] | None = None
        #: Why the rest of the answer will not come, if it will not.
        self.failure: UpstreamError | None = None
        self._stalled = False
        if exchange.connection is not None:
            exchange.connection.pause()

    def release(self) -> None:
        """The answer goes its way: with it goes what was held back."""
        exchange = self._exchange
        for piece in self._pieces:
            if exchange.over or (exchange.connection is None and self._ended is None):
                return
            exchange.body_received(piece)
        if exchange.over:
            return
        if self._ended is not None:
            exchange.response_ended(self._ended)
        elif not self._stalled:
            exchange.resume_response()

    def body(self, data: bytes) -> None:
        """What had been read when the server was told to wait."""
        self._pieces.append(data)

    def flush(self) -> None:
        """It is held as long as it takes."""

    def ended(self, trailers: Sequence[Field]) -> bool:
        """The answer is complete: that comes after what is held."""
        self._ended = trailers
        if self._exchange.request_complete:
            # Whatever becomes of the answer, others can have its connection.
            self._exchange.keep_connection()
        return True

    def failed(self, error: UpstreamError) -> bool:
        """The answer won't be complete: that may not matter."""
        self.failure = error
        return True

    def pause(self) -> None:
        """The client takes no more."""
        self._stalled = True

    def resume(self) -> None:
        """It takes more."""
        self._stalled = False

    def drop(self) -> None:
        """Nothing of it is wanted any more."""
        self._pieces.clear()
        # Nor does anybody wait for the middleware.
        self.dropped = True
        self._verdict.cancel()


class Shaping:
    """Takes a server's answer through filters, or keeps it until it is complete.

    The head waits for the first octets of the body that come out: until then the filters may change it, and another
    answer may be given.
    """

    __slots__ = ("_exchange", "_filters", "_head", "_kept", "_late", "_pump", "_ready", "_trailers")

    def __init__(self, exchange: Answering, head: ResponseHead) -> None:
        self._exchange = exchange
        self._head: ResponseHead | None = head
        self._filters = exchange.filters or ()
        self._kept = None if exchange.whole_answer is None else KeptBody(*exchange.whole_answer)
        #: What came out, and goes to the client when what was read of the server is used up.
        self._ready = b""
        self._late: Any = None
        self._pump: Pump | None = None
        self._trailers: Sequence[Field] = ()

    # What comes from the server.

    def body(self, data: bytes) -> None:
        """Some octets of the body."""
        if self._kept is None:
            self._filter(data)
            return
        self._kept.append(data)
        if self._kept.too_large:
            self._exchange.answer_too_large()

    def flush(self) -> None:
        """For now there is no more: let out what need not be held."""
        if self._kept is not None or self._pump is not None:
            return
        if any(each.undecided for each in self._filters):
            if self._late is None:
                self._late = self._exchange.resource.later(PATIENCE, self._flush_late)
        else:
            self._filter(b"", flushing=True)
        self._send(self._ready)

    def ended(self, trailers: Sequence[Field]) -> bool:
        """The body is complete. True where its end is for later."""
        if self._kept is None:
            return self._end(trailers)
        exchange = self._exchange
        exchange.keep_connection()
        head = self._head
        assert head is not None
        if not self._filters and not trailers:
            head.length = self._kept.size
        self._trailers = trailers
        self._pump = Pump(self._kept, self._write, self._pumped)
        self._pump.run()
        return True

    def failed(self, error: UpstreamError) -> bool:
        """The body won't be complete."""
        return False

    # What comes from the client.

    def pause(self) -> None:
        """It takes no more."""
        if self._pump is not None:
            self._pump.pause()
        elif self._kept is None and self._exchange.connection is not None:
            self._exchange.connection.pause()

    def resume(self) -> None:
        """It takes more."""
        if self._pump is not None:
            self._pump.resume()
        elif self._exchange.connection is not None:
            self._exchange.connection.resume()

    def drop(self) -> None:
        """Nothing of it is wanted any more."""
        if self._late is not None:
            self._late.cancel()
            self._late = None
        if self._pump is not None:
            self._pump.stop()
        if self._kept is not None:
            self._kept.close()

    # Through the filters.

    def _flush_late(self) -> None:
        self._late = None
        self._filter(b"", flushing=True)
        self._send(self._ready)
        self._exchange.flush()

    def _write(self, data: bytes) -> None:
        self._filter(data)
        self._send(self._ready)

    def _filter(self, data: bytes, *, flushing: bool = False) -> None:
        for each in self._filters:
            try:
                if data:
                    data = each.feed(data)
                if flushing:
                    data += each.flush()
            except Exception:
                self._exchange.middleware_broke(each)
                return
        self._ready += data

    def _send(self, data: bytes) -> None:
        if not data or self._exchange.between is not self:
            return
        self._ready = b""
        head, self._head = self._head, None
        if head is not None:
            self._exchange.send_head(head)
        self._exchange.send_body(data)

    def _end(self, trailers: Sequence[Field]) -> bool:
        data = b""
        for each in self._filters:
            try:
                if data:
                    data = each.feed(data)
                trailers = each.trailers(trailers)
                data += each.finish()
            except Exception:
                self._exchange.middleware_broke(each)
                return True
        data = self._ready + data
        head = self._head
        if head is not None and head.length == CHUNKED and not trailers:
            # Nothing of it is out yet, so its length is known after all.
            head.length = len(data)
        exchange = self._exchange
        if data:
            self._send(data)
        elif head is not None:
            exchange.send_head(head)
        self.drop()
        exchange.between = None
        exchange.response_ended(trailers)
        return True

    def _pumped(self) -> None:
        self._end(self._trailers)
