"""HTTP/1.1 towards clients: one connection, its requests one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from dynbalancer.core.exchange import REPLAYED, Field, RequestHead, ResponseHead
from dynbalancer.core.http1 import write_response_head
from dynbalancer.core.model import TLSOptions
from dynbalancer.core.request_reader import CHUNKS, DEAD, HEAD, HELD, LENGTH, RAW, RequestReader
from dynbalancer.errors import RequestError
from dynbalancer.proxy.client_exchange import LINGER_SIZE, ClientExchange
from dynbalancer.proxy.deadlines import NEVER
from dynbalancer.proxy.peers import Peer, far_end
from dynbalancer.proxy.repetition import KnownRequest
from dynbalancer.proxy.transports import unsent

if TYPE_CHECKING:
    from dynbalancer.proxy.site import Site

#: After a refusal, what a client still sends is read and thrown away for this long, so that it gets to read the answer
#: (RFC 9112 section 9.6). Seconds.
LINGER_TIME = 2.0

#: Up to this size, in bytes, a request is compared with the one before.
REMEMBERED = 2048

#: A body may be slow, but not slower than this after its first seconds. Bytes a second, seconds.
SLOWEST_BODY, SLOW_START = 240, 10.0


@implementer(IHalfCloseableProtocol)
class ServerConnection(RequestReader, Protocol):
    """One client's connection.

    ``tls_options`` are those that it was encrypted by, ``certificates`` what the client has shown, once somebody asked.
    """

    tls_options: TLSOptions | None = None
    certificates: tuple[bytes, ...] | None = None
    #: Who is at the other end.
    peer: Peer
    # Defaults stand on the class, but for what every request needs: an instance with more than thirty attributes costs
    # twice as much to make, and each look at it costs more.
    _lingered: int = -1
    _body_started: float = 0.0
    _body_moved: float = 0.0
    _body_seen: int = 0
    _body_checked: int = 0
    _moved: int = 0
    _unsent: int = 0

    def __init__(self, site: Site) -> None:
        RequestReader.__init__(self, site.limits)
        self.site = site
        self.exchange: ClientExchange | None = None
        self.deadline = NEVER
        self.watched = NEVER
        self.transport: Any = None
        self.client_port = 0
        self._closing = False
        self._served = False
        self._half_closed = False
        self._paused = 0
        self._stalled = False
        self._last = 0
        self.known: KnownRequest | None = None

    # What the transport calls.

    def connectionMade(self) -> None:
        descriptors = self.site.resource.descriptors
        if descriptors is not None and not descriptors.admits(self.transport):
            self.abort()
            return
        address, self.client_port = far_end(self.transport)
        self.peer = peer = self.site.peers.at(address)
        self.trusted = peer.trusted
        self.known, self._last = peer.known, peer.last
        self.transport.registerProducer(_Answer(self), True)
        self.site.connections.add(self)
        self.site.deadlines.set(self, self.limits.head_time)
        if self.site.draining:
            self.close_if_idle()

    def dataReceived(self, data: bytes) -> None:
        known = self.known
        if (
            known is not None
            and (data == known.data or (known.head.length and data.startswith(known.data)))
            and self.reading == HEAD
            and not self._held
        ):
            if self._repeat(known, data):
                return
        elif self.reading == RAW:
            if self.exchange is not None:
                self.exchange.request_body(data)
            return
        elif self.reading == DEAD and self._lingered >= 0:
            self._lingered += len(data)
            if self._lingered > LINGER_SIZE:
                # Not cut: a reset would take the answer from a client that has not read it yet.
                self.pause(4)
            return
        held = self._held
        begins = self.reading == HEAD and not held
        self.feed(data)
        if self.reading == HELD or self.reading == LENGTH:
            if begins:
                self._remember(data)
        elif self._held and not held and self.reading == HEAD:
            # The head as a whole has a deadline; single bytes don't move it.
            self.site.deadlines.set(self, self.limits.head_time)

    def _repeat(self, known: KnownRequest, data: bytes) -> bool:
        """The client asks what it asked before: carry that out. False where it may come to something else by now.

        ``data`` begins with the head that is known; a body may follow.
        """
        resource = self.site.resource
        table = resource.router.table
        if known.table() is not table:
            self.known = None
            return False
        self._fresh = False
        self.reading = HELD
        self.deadline = NEVER
        body = rest = b""
        length = known.head.length
        if length:
            body = data[len(known.data) :]
            if len(body) < length or length > REPLAYED:
                rest, body = body, b""
                self.reading = LENGTH
                self._left = length
                self.at_hand = rest
                if len(rest) < length:
                    self._await_body()
            elif len(body) > length:
                body, rest = body[:length], body[length:]
        route = known.route
        if resource.watchdog.dozing:
            resource.watchdog.wake()
        if route.middlewares:
            known.begin(self, table, body)
        else:
            self.exchange = exchange = ClientExchange(self, known.head, body)
            exchange.table, exchange.route = table, route
            exchange.wire = known.wire
            exchange.forward(route.service)
        if rest:
            self.at_hand = b""
            self.feed(rest)
        return True

    def _remember(self, data: bytes) -> None:
        """Keep what a request comes to, once it has come twice in a row.

        ``data`` began a message. It is kept where it is a head, wholly and alone: nothing before, nothing behind but
        the body that its length tells of.
        """
        exchange = self.exchange
        if exchange is not None and exchange.head.length:
            data = data[: data.find(b"\r\n\r\n") + 4]
        mark = hash(data)
        if mark != self._last:
            self._last = self.peer.last = mark
        elif (
            exchange is not None
            and len(data) <= REMEMBERED
            and data.find(b"\r\n\r\n") == len(data) - 4
            and not data.startswith(b"\r")
        ):
            self.known = known = KnownRequest.of(exchange, data, self.read_again(data))
            if known is not None and self.tls_options is None and known.is_for_all:
                self.peer.known = known

    def readConnectionLost(self) -> None:
        self._half_closed = True
        exchange = self.exchange
        if exchange is None:
            self._nothing_more()
        elif exchange.request_complete:
            exchange.client_half_closed()
        else:
            exchange.client_gone()
            self.abort()

    def _nothing_more(self) -> None:
        """The client sends no more, and all it sent is answered, but for a head that ends too early."""
        if self.reading == HEAD and not self.between_messages:
            self._refuse(RequestError(400, "incomplete-head", "the head ends in the middle"), self._held)
        elif not self._stalled or self.reading != HELD:
            self.close()

    def writeConnectionLost(self) -> None:
        """We closed our half."""

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.site.connections.discard(self)
        self.site.deadlines.forget(self)
        self.stop()
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.client_gone()

    def deadline_passed(self) -> None:
        """Idle, or a head, a body, or a reader too slow."""
        exchange = self.exchange
        if self._stalled:
            self._check_reader()
        elif exchange is not None:
            if exchange.tunnelling:
                self._check_tunnel(exchange)
            elif self.reading in (LENGTH, CHUNKS):
                self._check_body(exchange)
        elif self.reading != HEAD:
            self.abort()
        elif self.between_messages:
            self.close()
        else:
            self._refuse(RequestError(408, "head-timeout", "the head took too long"), self._held)

    # What the reader calls.

    def head_received(self, head: RequestHead) -> None:
        body = b""
        if self.at_hand and not head.expect_continue and (head.length or 0) <= REPLAYED:
            # What is not more than is held anyway, and came at once, needs no way by pieces.
            body = self.take_body()
        self.exchange = exchange = ClientExchange(self, head, body)
        if self.reading == HELD:
            self.deadline = NEVER
        elif not 0 < (head.length or 0) <= len(self.at_hand):
            self._await_body()
        self.site.resource.handle(exchange)

    def _await_body(self) -> None:
        # First the deadline: without one the time of all may stand still.
        self.site.deadlines.set(self, min(SLOW_START, self.limits.body_time))
        self._body_began = self._body_started = self._body_moved = self.site.deadlines.now
        self._body_seen = self._body_checked = self._moved = 0

    def body_received(self, data: bytes) -> None:
        self._body_seen += len(data)
        self._body_moved = self.site.deadlines.now
        exchange = self.exchange
        if exchange is not None:
            exchange.request_body(data)

    def message_received(self, trailers: list[Field]) -> None:
        exchange = self.exchange
        if exchange is not None:
            if not self._stalled:
                self.deadline = NEVER
            exchange.request_ended(trailers)
        else:
            # The answer went out before the body had come: now the next request may begin.
            self._next()

    def refused(self, error: RequestError) -> None:
        exchange = self.exchange
        if exchange is not None:
            self._closing = True
            exchange.refuse(error, self.refused_sample)
            return
        response = self.site.resource.refused_early(error, self.refused_sample)
        head = ResponseHead(response.status, headers=response.headers, length=len(response.body))
        # RFC 9110 section 9.3.2: nothing follows the head of an answer to HEAD, whatever else was wrong with that.
        body = b"" if self.refused_sample.lstrip().startswith(b"HEAD ") else response.body
        date = self.site.resource.date
        extra = b"Connection: close\r\n" + (b"" if date is None else date())
        self.transport.write(write_response_head(head, extra) + body)
        self._linger()

    def held_too_much(self) -> None:
        self.pause(2)

    # What the exchange calls.

    def exchange_over(self) -> None:
        """The answer is out."""
        self.exchange = None
        if self.reading == HELD and not (
            self._held
            or self._closing
            or self._stalled
            or self._paused
            or self._half_closed
            or self.site.draining
        ):
            # What follows, where nothing is special.
            self._served = True
            self.site.deadlines.set(self, self.limits.idle_time)
            self.reading = HEAD
            self._fresh = True
        elif self._closing:
            if self.reading == HELD:
                self.close()
            else:
                self._linger()
        elif self.reading == HELD:
            self._next()
        else:
            # The rest of the body is thrown away, as far as that is sensible.
            self.resume(1)
            self._body_seen = 0
            self.site.deadlines.set(self, LINGER_TIME)

    def _next(self) -> None:
        if self.site.draining:
            self.close()
            return
        if self._stalled:
            # Who asks and never reads would have all the answers waiting here: see reader_resumed.
            return
        self._served = True
        self.site.deadlines.set(self, self.limits.idle_time)
        self.next_message()
        if self._paused:
            self.resume(1 if self.held > self.limits.pipelined else 3)
        if self.exchange is None and not self._feeding:
            if self._half_closed:
                self._nothing_more()
            elif self._held:
                self.site.deadlines.set(self, self.limits.head_time)

    @property
    def closing(self) -> bool:
        """No further request is served on this connection."""
        return self._closing or self.site.draining or self.reading == DEAD

    def close_after(self) -> None:
        """Serve no further request on this connection."""
        self._closing = True

    def close_if_idle(self) -> None:
        """Close unless a request is being answered. One that is on its way gets a moment to be complete."""
        if self.exchange is not None:
            return
        if self.reading == HEAD and (self._held or not self._served):
            self.site.deadlines.set(self, LINGER_TIME)
        else:
            self.close()

    def close(self) -> None:
        """Close when all is sent; who does not take it is cut."""
        self.stop()
        self._stalled = True
        self._unsent = unsent(self.transport)
        self.site.deadlines.set(self, self.limits.write_time)
        self.transport.loseConnection()

    def abort(self) -> None:
        """Close now, whatever was still to be sent."""
        self.stop()
        self.transport.abortConnection()

    def _linger(self) -> None:
        if self._half_closed:
            self.close()
            return
        self.stop()
        self._lingered = 0
        self.resume(3)
        self.transport.loseWriteConnection()
        self.site.deadlines.set(self, self.limits.write_time if self._stalled else LINGER_TIME)

    # Pausing. Who may want the client to wait: the exchange (1), the held requests (2), and lingering, to its end (4).

    def pause(self, who: int) -> None:
        """Read no more for now."""
        if not self._paused:
            self.transport.pauseProducing()
        self._paused |= who

    def resume(self, who: int) -> None:
        """Read on, if nobody else minds."""
        if self._paused:
            self._paused &= ~who
            if not self._paused:
                self.transport.resumeProducing()

    # Patience.

    def _check_body(self, exchange: ClientExchange) -> None:
        now = self.site.deadlines.now
        came, elapsed = self._body_seen - self._body_checked, now - self._body_started
        if self._paused or exchange.bytes_out != self._moved:
            # It is us who wait, or the answer is on its way already: its time begins anew.
            self._moved = exchange.bytes_out
            self._body_started = self._body_moved = now
            self._body_seen = came = 0
        silence = now - self._body_moved
        left = self.limits.request_time - (now - self._body_began) if self.limits.request_time else SLOW_START
        expected = SLOWEST_BODY * (elapsed - SLOW_START) if came and elapsed >= 2 * SLOW_START else 0
        if silence >= self.limits.body_time or self._body_seen < expected or left <= 0:
            self.close_after()
            exchange.refuse(RequestError(408, "body-timeout", "the body took too long"))
            return
        self._body_checked = self._body_seen
        self.site.deadlines.set(self, min(SLOW_START, self.limits.body_time - silence, left))

    def _check_tunnel(self, exchange: ClientExchange) -> None:
        moved = exchange.bytes_in + exchange.bytes_out
        if moved == self._moved:
            self.abort()
            return
        self._moved = moved
        self.site.deadlines.set(self, self.limits.tunnel_time)

    def reader_stalled(self) -> None:
        """The client does not take the answer as fast as it comes."""
        if self.exchange is not None:
            self.exchange.pause_response()
        self._stalled = True
        self._unsent = unsent(self.transport)
        self.site.deadlines.set(self, self.limits.write_time)

    def reader_resumed(self) -> None:
        """It took enough of it."""
        if self.reading == DEAD and self._lingered < 0:
            # Closing: the time for that runs on.
            return
        self._stalled = False
        exchange = self.exchange
        if exchange is not None:
            exchange.resume_response()
            self.deadline = NEVER
            if exchange.tunnelling:
                self.site.deadlines.set(self, self.limits.tunnel_time)
        elif self.reading == HELD:
            self._next()
        else:
            self.site.deadlines.set(self, LINGER_TIME)

    def _check_reader(self) -> None:
        left = unsent(self.transport)
        if left >= self._unsent:
            self.abort()
            return
        self._unsent = left
        self.site.deadlines.set(self, self.limits.write_time)


class _Answer:
    """Pauses the server while its client takes no more."""

    __slots__ = ("_connection",)

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    def pauseProducing(self) -> None:
        self._connection.reader_stalled()

    def resumeProducing(self) -> None:
        self._connection.reader_resumed()

    def stopProducing(self) -> None:
        """The connection is gone; it says so itself."""
