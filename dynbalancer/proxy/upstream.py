"""The servers while they run: connections to them, kept and reused, and how they have been doing."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from dynbalancer.core.exchange import Field, ResponseHead
from dynbalancer.core.model import Server, Service
from dynbalancer.core.reading import DEAD, HEAD, HELD, RAW, ResponseReader
from dynbalancer.core.settings import Limits
from dynbalancer.core.statistics import Tally
from dynbalancer.errors import (
    ConfigurationError,
    ConnectError,
    ConnectTimeout,
    ResponseTimeout,
    UpstreamClosed,
    UpstreamError,
)
from dynbalancer.proxy import transports
from dynbalancer.proxy.deadlines import NEVER, Deadlines

if TYPE_CHECKING:
    from dynbalancer.proxy.forwarding import Forwarding

#: A server that could not be reached is asked last for this many seconds, doubled with each failure in a row.
FIRST_AVOIDANCE, LONGEST_AVOIDANCE = 1.0, 30.0

#: A request that may not be repeated goes on a kept connection only if that was in use this short a time ago, in
#: seconds, until the server has shown that it closes idle ones sooner (RFC 9112 section 9.3.1).
FIRST_TRUST = 0.5


class Connecting:
    """How connections to servers are made: shared by all upstreams of a process."""

    def __init__(
        self,
        reactor: Any,
        limits: Limits,
        deadlines: Deadlines,
        *,
        verify: bool = True,
        ca_file: str = "",
    ) -> None:
        self.reactor = reactor
        self.clock = transports.clock_of(reactor)
        self.limits = limits
        self.deadlines = deadlines
        #: The upstreams that were asked, for whoever counts: he takes out those he has seen.
        self.used: set[Upstream] = set()
        self._verify = verify
        self._ca_file = ca_file
        self._tls: ssl.SSLContext | None = None

    @property
    def tls(self) -> ssl.SSLContext:
        """The context for https servers. Raises ConfigurationError where the CA file can't be read."""
        if self._tls is None:
            try:
                context = ssl.create_default_context(cafile=self._ca_file or None)
            except OSError as error:
                raise ConfigurationError("serversTransport.rootCAs", f"{self._ca_file}: {error}") from None
            if not self._verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            context.set_alpn_protocols(["http/1.1"])
            self._tls = context
        return self._tls


class Upstream:
    """One server of a service while it runs: its kept connections, what is in flight, and its count."""

    __slots__ = (
        "_failures",
        "_idle",
        "authority",
        "avoid_until",
        "connecting",
        "gone",
        "host",
        "in_flight",
        "key",
        "port",
        "scheme",
        "server",
        "tally",
        "tls",
        "trust",
        "up",
        "weight",
    )

    def __init__(self, server: Server, connecting: Connecting) -> None:
        """Raises ConfigurationError where the URL names nothing that can be asked, or for what https needs."""
        self.connecting = connecting
        self.key = (server.url, server.instance)
        self.tally = Tally()
        self.in_flight = 0
        self.avoid_until = 0.0
        self.gone = False
        self.trust = FIRST_TRUST
        self._failures = 0
        self._idle: list[UpstreamConnection] = []
        parts = urlsplit(server.url)
        if parts.scheme not in ("http", "https"):
            raise ConfigurationError(
                f"server {server.url}",
                f"the scheme {parts.scheme or '(none)'} isn't supported",
                "use http or https",
            )
        try:
            port = parts.port
        except ValueError:
            raise ConfigurationError(f"server {server.url}", "the port is not a number below 65536") from None
        if not parts.hostname:
            raise ConfigurationError(f"server {server.url}", "names no host")
        self.scheme = parts.scheme
        self.tls = connecting.tls if parts.scheme == "https" else None
        self.host = parts.hostname
        self.port = port or (443 if parts.scheme == "https" else 80)
        self.authority = parts.netloc.rpartition("@")[2].encode("ascii", "replace")
        self.update(server)

    def update(self, server: Server) -> None:
        """Take over weight and state from the newest definition."""
        self.server = server
        self.weight = server.weight
        self.up = server.state == "ready"
        if not self.up:
            self.close_idle()

    def take(self, repeatable: bool) -> UpstreamConnection | None:
        """A kept connection that the next request may go on, or None."""
        self.connecting.used.add(self)
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.reading == HELD and not connection.lost:
                if repeatable or self.connecting.clock() - connection.idle_since < self.trust:
                    connection.deadline = NEVER
                    return connection
                idle.append(connection)
                return None
        return None

    def keep(self, connection: UpstreamConnection) -> None:
        """Take back a connection whose exchange ended cleanly."""
        limits = self.connecting.limits
        if not self.up or self.gone or not limits.upstream_idle_connections:
            connection.close()
            return
        if len(self._idle) >= limits.upstream_idle_connections:
            # The newest is the one that the next request may go on, whatever it is.
            self._idle.pop(0).close()
        self.connecting.deadlines.set(connection, limits.upstream_idle_time)
        self._idle.append(connection)

    def drop(self, connection: UpstreamConnection) -> bool:
        """A kept connection is not good any more. Whether it was kept."""
        if connection not in self._idle:
            return False
        self._idle.remove(connection)
        return True

    def server_closed(self, connection: UpstreamConnection) -> None:
        """The server closed a connection since its last answer: it waits no longer than this, perhaps less."""
        self.trust = min(self.trust, (self.connecting.clock() - connection.idle_since) / 2)

    def close_idle(self) -> None:
        """Close what is kept. What is in use goes on to its end."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def retire(self) -> None:
        """This server is no longer part of its service."""
        self.gone = True
        self.up = False
        self.close_idle()

    def connect(
        self, ready: Callable[[UpstreamConnection], None], failed: Callable[[UpstreamError], None]
    ) -> Callable[[], None]:
        """Make a connection; exactly one of the two is called, later. Returns what cancels it: then neither is."""
        connecting = self.connecting
        connecting.used.add(self)
        connection = UpstreamConnection(self, connecting)
        attempt = transports.connect(
            connecting.reactor,
            self.host,
            self.port,
            connection,
            timeout=connecting.limits.connect_time,
            tls=self.tls,
        )
        cancelled = False

        def connected(_: object) -> None:
            if self._failures:
                # It was away. What runs there now may be another, with other habits.
                self.trust = FIRST_TRUST
            self._failures = 0
            self.avoid_until = 0.0
            if cancelled:
                connection.close()
            else:
                ready(connection)

        def refused(failure: Failure) -> None:
            if cancelled:
                return
            self.failed()
            why = f"{self.host}:{self.port}: {failure.getErrorMessage() or type(failure.value).__name__}"
            failed(ConnectTimeout(why) if failure.check(TimeoutError) else ConnectError(why))

        attempt.addCallback(_still_there)
        attempt.addCallbacks(connected, refused)
        attempt.addErrback(_unexpected)

        def cancel() -> None:
            nonlocal cancelled
            cancelled = True
            attempt.cancel()

        return cancel

    def failed(self) -> None:
        """It could not be reached: ask others first for a while. Several failures at once are one."""
        now = self.connecting.clock()
        if self.avoid_until <= now:
            self._avoid(now)

    def is_worth_a_try(self, now: float) -> bool:
        """False for a while after it could not be reached; then one request finds out whether it can be again."""
        if not self.avoid_until:
            return True
        if self.avoid_until > now:
            return False
        # The others stay away until that one knows.
        self._avoid(now)
        return True

    def _avoid(self, now: float) -> None:
        self.avoid_until = now + min(FIRST_AVOIDANCE * 2**self._failures, LONGEST_AVOIDANCE)
        self._failures = min(self._failures + 1, 10)


def _still_there(connection: Protocol) -> Protocol:
    """Raises ConnectError where it was reset at once, or spoke unasked: nothing was sent, so it never was."""
    if isinstance(connection, UpstreamConnection) and (connection.lost or connection.reading == DEAD):
        raise ConnectError("closed as soon as it was open")
    return connection


def _unexpected(failure: Failure) -> None:
    # A defect of ours must not vanish in a Deferred nobody looks at.
    from twisted.logger import Logger

    Logger().failure("A connection's callback failed", failure)


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
        self.idle_since = 0.0
        self.deadline = NEVER
        self.watched = NEVER
        # Always a transport once connected; typed so because Protocol allows for none.
        self.transport: Any = None

    # Requests.

    def begin(self, exchange: Forwarding, method: bytes, *, upgrade: bytes | None) -> None:
        """The next answer belongs to this exchange."""
        self.exchange = exchange
        self.request_sent = False
        self.answered = False
        self.expect(method, upgrade=upgrade)

    def await_response(self) -> None:
        """The request is out: the server's time runs."""
        self.request_sent = True
        # An interim answer is none: it only says that the server is there.
        if self.reading == HEAD:
            self.deadlines.set(self, self.limits.response_time)

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
        self.feed(data)
        exchange = self.exchange
        if exchange is not None and exchange.pending:
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
            self.exchange.pause_request()
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
            self.exchange.resume_request()

    def _await_taking(self, unsent: int) -> None:
        self._stalled = True
        self._unsent = unsent
        self.deadlines.set(self, self.limits.write_time)

    # What the reader calls.

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
        if self.exchange is not None:
            self.exchange.send_body(data)

    def response_ended(self, trailers: list[Field]) -> None:
        exchange = self.exchange
        if exchange is not None:
            exchange.response_ended(trailers)

    def response_failed(self, error: UpstreamError) -> None:
        exchange = self.exchange
        if isinstance(error, UpstreamClosed):
            error.retryable = self.reused and not self.answered
            if error.retryable:
                self.upstream.server_closed(self)
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


class LiveService:
    """A service while it runs: its upstreams and the balancer over them."""

    __slots__ = ("balancer", "service", "upstreams")

    def __init__(self, service: Service, upstreams: tuple[Upstream, ...], balancer: Any) -> None:
        self.service = service
        self.upstreams = upstreams
        self.balancer = balancer
