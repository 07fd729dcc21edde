"""One connection to a server: it serves one exchange at a time, and is kept in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from dynbalancer.core.exchange import Field, RequestHead, ResponseHead
from dynbalancer.core.request_reader import DEAD, HEAD, HELD, RAW
from dynbalancer.core.response_reader import ResponseReader
from dynbalancer.errors import BadResponse, ResponseTimeout, UpstreamClosed, UpstreamError
from dynbalancer.proxy import transports
from dynbalancer.proxy.deadlines import NEVER
from dynbalancer.proxy.descriptors import look_at

if TYPE_CHECKING:
    from dynbalancer.proxy.forwarding import Forwarding
    from dynbalancer.proxy.upstream import Connecting, Upstream


@implementer(IHalfCloseableProtocol)
class UpstreamConnection(ResponseReader, Protocol):
    """One connection to a server. It serves one exchange at a time."""

    def __init__(self, upstream: Upstream, connecting: Connecting) -> None:
        ResponseReader.__init__(self, connecting.limits)
        self.upstream = upstream
        self.deadlines = connecting.deadlines
        self.exchange: Forwarding | None = None
        self.reused = False
        self.request_sent = False
        self.answered = False
        self.lost = False
        self.half_closed = False
        self._paused = False
        self._unsent = 0
        self._stalled = False
        self._look: Callable[[int], list[Any]] | None = None
        self.idle_since = 0.0
        self.deadline = NEVER
        self.watched = NEVER
        # Always a transport once connected; typed so because Protocol allows for none.
        self.transport: Any = None

    # Requests.

    def begin(self, exchange: Forwarding, head: RequestHead) -> None:
        """The next answer belongs to this exchange, whose request has this head."""
        self.exchange = exchange
        self.request_sent = False
        self.answered = False
        self.expect(head.method, head.upgrade)

    def await_response(self) -> None:
        """The request is out: the server's time runs."""
        self.request_sent = True
        # An interim answer is none: it only says that the server is there.
        if self.reading == HEAD:
            self.deadlines.set(self, self.limits.response_time)

    def has_news(self) -> bool:
        """Whether something came over it, or its end, that nobody has read yet. Not asked of one that is lost."""
        if self._look is None:
            # Kept: to make one of these costs more than the look.
            self._look = look_at(self.transport)
        return bool(self._look(0))

    def release(self, now: float) -> None:
        """The exchange is over: keep the connection where it is perfectly clean."""
        self.exchange = None
        if self.clean and self.request_sent and self.reading == HELD and not self.lost:
            self.reused = True
            if self._paused:
                # A slow client may have had it paused, right up to the last octets of the answer.
                self.resume()
            self.idle_since = now
            self.upstream.keep(self)
        else:
            self.close()

    def close(self) -> None:
        """Done with it: nothing is waited for, nothing is sent any more."""
        self.exchange = None
        self.stop()
        self.deadlines.forget(self)
        if self.transport is not None and not self.lost:
            self.transport.abortConnection()

    def pause(self) -> None:
        """Read no more of the answer for now."""
        self._paused = True
        self.transport.pauseProducing()

    def resume(self) -> None:
        """Read on, if it was paused."""
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()

    # What the transport calls.

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(_RequestBody(self), True)

    def dataReceived(self, data: bytes) -> None:
        if self.reading == RAW:
            if self.exchange is not None:
                self.exchange.send_body(data)
            return
        self.feed(data)
        exchange = self.exchange
        if exchange is not None:
            if exchange.between is not None:
                exchange.between.flush()
            if exchange.pending:
                exchange.flush()

    def readConnectionLost(self) -> None:
        if self.reading == RAW and self.exchange is not None:
            self.half_closed = True
            self.exchange.server_half_closed()
            return
        self._end()

    def writeConnectionLost(self) -> None:
        """We closed our half."""

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.lost = True
        self.deadlines.forget(self)
        if self.reading == RAW and self.exchange is not None:
            exchange, self.exchange = self.exchange, None
            exchange.tunnel_ended()
        else:
            self._end(broken=reason is not None and not reason.check(ConnectionDone))

    def _end(self, *, broken: bool = False) -> None:
        if self.exchange is None:
            if self.upstream.drop(self):
                self.upstream.server_closed(self)
            self.close()
        elif self.reading != DEAD:
            self.clean = False
            self.ended(broken=broken)

    def deadline_passed(self) -> None:
        """Idle for too long, nothing taken of the request, or no answer in time."""
        unsent = transports.unsent(self.transport)
        if self.exchange is None:
            self.upstream.drop(self)
            self.close()
        elif self._stalled and unsent < self._unsent:
            self._await_taking(unsent)
        elif self._stalled:
            self.response_failed(ResponseTimeout("the server takes nothing of the request"))
        else:
            self.response_failed(ResponseTimeout("no answer in time"))

    def request_stalled(self) -> None:
        """The server does not take the request's body, or the tunnel's octets, as fast as they come."""
        if self.exchange is not None:
            self.exchange.server_stalled()
            if self.reading == HEAD:
                self._await_taking(transports.unsent(self.transport))

    def request_resumed(self) -> None:
        """It took enough of them."""
        if self._stalled:
            self._stalled = False
            self.deadline = NEVER
            if self.request_sent:
                self.await_response()
        if self.exchange is not None:
            self.exchange.server_resumed()

    def _await_taking(self, unsent: int) -> None:
        self._stalled = True
        self._unsent = unsent
        self.deadlines.set(self, self.limits.write_time)

    # What the reader calls.

    def answer_received(self, head: ResponseHead, body: bytes | memoryview) -> None:
        self.answered = True
        self._stalled = False
        self.deadline = NEVER
        exchange = self.exchange
        if exchange is None or not exchange.relay(head, body):
            ResponseReader.answer_received(self, head, body)

    def interim_received(self, head: ResponseHead) -> None:
        self.answered = True
        if self.exchange is not None:
            self.exchange.interim_received(head)

    def response_received(self, head: ResponseHead) -> None:
        self.answered = True
        self._stalled = False
        self.deadline = NEVER
        if self.exchange is not None:
            self.exchange.response_received(head)

    def content_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is not None:
            if exchange.between is None:
                exchange.send_body(data)
            else:
                exchange.between.body(data)

    def response_ended(self, trailers: list[Field]) -> None:
        exchange = self.exchange
        if exchange is not None:
            exchange.response_ended(trailers)

    def response_failed(self, error: UpstreamError) -> None:
        exchange = self.exchange
        if isinstance(error, UpstreamClosed):
            error.retryable = self.reused and not self.answered
            if error.retryable:
                self.upstream.server_closed(self, asked=True)
        elif isinstance(error, BadResponse) and self.reused and not self.answered:
            # The rest of the answer before, rather than one to this request: a fresh connection shows.
            error = UpstreamClosed(error.why, retryable=True)
        self.close()
        if exchange is not None:
            exchange.upstream_failed(error)

    def unasked(self) -> None:
        if self.exchange is None:
            self.upstream.drop(self)
            self.close()


class _RequestBody:
    """Pauses the client while its server takes no more."""

    __slots__ = ("_connection",)

    def __init__(self, connection: UpstreamConnection) -> None:
        self._connection = connection

    def pauseProducing(self) -> None:
        self._connection.request_stalled()

    def resumeProducing(self) -> None:
        self._connection.request_resumed()

    def stopProducing(self) -> None:
        """The connection is gone; it says so itself."""
