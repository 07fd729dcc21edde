"""A whole proxy without a socket: clients and servers hold the far ends of fake transports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any

from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dynbalancer.core.balancers.roundrobin import WeightedRoundRobin
from dynbalancer.core.exchange import Exchange
from dynbalancer.core.model import Configuration, EntryPoint, Middleware, Router, Server, Service
from dynbalancer.core.settings import Limits
from dynbalancer.core.table import RoutingTable, compile_table
from dynbalancer.proxy import transports
from dynbalancer.proxy.deadlines import Deadlines
from dynbalancer.proxy.http1 import ServerConnection
from dynbalancer.proxy.resource import ReverseProxyResource
from dynbalancer.proxy.site import Site
from dynbalancer.proxy.upstream import Connecting, LiveService, Upstream

#: How much a fake transport takes before it pauses its producer: as the real ones.
HIGH_WATER = transports.HIGH_WATER

FORWARDED = (
    b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: a.example\r\nX-Forwarded-Port: 80\r\n"
    b"X-Forwarded-Proto: http\r\nX-Forwarded-Server: proxy\r\nX-Real-Ip: 192.0.2.1\r\n"
)
GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
GOT = b"GET / HTTP/1.1\r\nHost: a.example\r\n" + FORWARDED + b"\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TEXT = b"Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"


def post(body: bytes, *, length: int | None = None, lines: bytes = b"") -> bytes:
    """A POST with this body; ``length`` where it announces more than is there."""
    size = len(body) if length is None else length
    return b"POST / HTTP/1.1\r\nHost: a.example\r\n%bContent-Length: %d\r\n\r\n%b" % (lines, size, body)


def own(status: bytes, text: bytes, *, close: bool = False, lines: bytes = b"") -> bytes:
    """An answer of the proxy's own, as it stands on the wire."""
    end = b"Connection: close\r\n" if close else b""
    length = b"Content-Length: %d\r\n" % len(text)
    return b"HTTP/1.1 %b\r\n%b%b%b%b\r\n%b" % (status, TEXT, lines, length, end, text)


class Wire:
    """A transport, and the far end of it. The proxy writes to it; a test sends, reads, stalls and closes."""

    def __init__(self, clock: Clock, protocol: Any, host: str = "192.0.2.1", port: int = 40000) -> None:
        self._clock = clock
        self._protocol = protocol
        self._peer = IPv4Address("TCP", host, port)
        self._arrived = b""
        self._coming: list[bytes | None] = []
        self._producer: Any = None
        self._producer_paused = False
        self._gone = False
        self.dataBuffer = b""
        self.writes = 0
        self.stalled = False
        self.paused = False
        self.half_closed = False
        self.disconnecting = False
        self.aborted = False

    # The far end.

    def send(self, data: bytes) -> None:
        """These octets come to the proxy, unless it is not reading: then when it is."""
        assert not self._gone, "the connection is closed"
        self._coming.append(data)
        self._deliver()
        self._clock.advance(0)

    def finish(self) -> None:
        """The far end sends FIN."""
        self._coming.append(None)
        self._deliver()
        self._clock.advance(0)

    def reset(self) -> None:
        """The far end is gone."""
        self._lose(error.ConnectionLost())
        self._clock.advance(0)

    def read(self) -> bytes:
        """What arrived since it was last read."""
        arrived, self._arrived = self._arrived, b""
        return arrived

    def take(self, size: int) -> None:
        """The far end, which stalls, takes so many octets after all."""
        self._arrived += self.dataBuffer[:size]
        self.dataBuffer = self.dataBuffer[size:]
        if not self.dataBuffer and self._producer_paused and self._producer is not None:
            self._producer_paused = False
            self._producer.resumeProducing()
        if self.disconnecting and not self.dataBuffer:
            self._lose(error.ConnectionDone())
        self._clock.advance(0)

    @property
    def state(self) -> str:
        """``open``, ``half`` (the proxy sent FIN), ``closing`` (not all was taken), ``closed`` or ``aborted``."""
        if self.aborted:
            return "aborted"
        if self._gone:
            return "closed"
        return "closing" if self.disconnecting else "half" if self.half_closed else "open"

    def _deliver(self) -> None:
        while self._coming and not self.paused and not self._gone:
            data = self._coming.pop(0)
            if data is None:
                self._protocol.readConnectionLost()
            else:
                self._protocol.dataReceived(data)

    def _lose(self, why: Exception) -> None:
        if not self._gone:
            self._gone = True
            self._protocol.connectionLost(Failure(why))

    # What the proxy calls.

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        assert data, "nothing was written"
        self.writes += 1
        if self.disconnecting or self.half_closed or self._gone:
            return
        if not self.stalled:
            self._arrived += data
            return
        self.dataBuffer += data
        full = len(self.dataBuffer) > HIGH_WATER
        if full and self._producer is not None and not self._producer_paused:
            # Once only, as the real ones: a producer that goes on nevertheless is not told again.
            self._producer_paused = True
            self._producer.pauseProducing()

    def writeSequence(self, pieces: Iterable[bytes]) -> None:
        self.write(b"".join(pieces))

    def loseConnection(self) -> None:
        self.disconnecting = True
        if not self.dataBuffer:
            self._clock.callLater(0, self._lose, error.ConnectionDone())

    def abortConnection(self) -> None:
        self.disconnecting = self.aborted = True
        self._clock.callLater(0, self._lose, error.ConnectionAborted())

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        if self.paused:
            self.paused = False
            self._clock.callLater(0, self._deliver)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        self._producer = producer

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def getPeer(self) -> IPv4Address:
        return self._peer


class Attempt:
    """One connection that the proxy is making, before a test lets it succeed or fail."""

    def __init__(self, clock: Clock, host: str, port: int, protocol: Any, about: dict[str, Any]) -> None:
        self.host, self.port, self.protocol, self.about = host, port, protocol, about
        self.cancelled = False
        self.done: Deferred[Any] = Deferred(self._cancel)
        self._clock = clock
        self.wire: Wire | None = None

    def _cancel(self, _: object) -> None:
        self.cancelled = True

    def succeed(self) -> Wire:
        """It is connected: the server's end of it."""
        self.wire = Wire(self._clock, self.protocol, self.host, self.port)
        self.protocol.makeConnection(self.wire)
        self.done.callback(self.protocol)
        return self.wire

    def fail(self, why: Exception) -> None:
        """It can't be made."""
        self.done.errback(Failure(why))


class Servers:
    """Stands for ``transports.connect``: every host answers, but those in ``broken``; ``manual`` ones wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.attempts: list[Attempt] = []
        self.broken: dict[str, Exception] = {}
        self.manual = False

    def connect(self, reactor: Any, host: str, port: int, protocol: Any, **about: Any) -> Deferred[Any]:
        attempt = Attempt(self._clock, host, port, protocol, about)
        self.attempts.append(attempt)
        if not self.manual:
            self._clock.callLater(0, self._settle, attempt)
        return attempt.done

    def _settle(self, attempt: Attempt) -> None:
        if attempt.cancelled:
            return
        if attempt.host in self.broken:
            attempt.fail(self.broken[attempt.host])
        else:
            attempt.succeed()

    @property
    def wires(self) -> list[Wire]:
        """The connections made, in order."""
        return [attempt.wire for attempt in self.attempts if attempt.wire is not None]

    @property
    def hosts(self) -> list[str]:
        """Where connections were tried, in order."""
        return [attempt.host for attempt in self.attempts]


class Ended:
    """Remembers every exchange that ended."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    def exchange_ended(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    @property
    def outcomes(self) -> list[tuple[int, str]]:
        """Status and outcome of each."""
        return [(exchange.status, exchange.outcome) for exchange in self.exchanges]


class ProxyCase(SynchronousTestCase):
    """A proxy with one router for a.example and the servers ``hosts``; change the class attributes for another."""

    hosts: tuple[str, ...] = ("one",)
    limits = Limits()
    retries = 2
    router = Router("web", "Host(`a.example`)", "web")
    service = Service("web")
    entry_point = EntryPoint("web", 80)

    def setUp(self) -> None:
        self.clock = Clock()
        self.servers = Servers(self.clock)
        self.patch(transports, "connect", self.servers.connect)
        self.deadlines = Deadlines(self.clock)
        self.deadlines.start()
        self.connecting = Connecting(self.clock, self.limits, self.deadlines)
        self.ended = Ended()
        self.middlewares: dict[str, Any] = {}
        self.table = self.make_table()
        self.resource = ReverseProxyResource(
            self,
            [self.ended],
            clock=self.clock.seconds,
            server_name="proxy",
            retries=self.retries,
            later=self.clock.callLater,
        )
        self.site = Site(self.resource, self.entry_point, self.limits, self.deadlines)
        self._ports = count(40000)

    def tearDown(self) -> None:
        self.deadlines.stop()

    def make_table(self) -> RoutingTable:
        servers = tuple(Server(f"http://{host}:8080") for host in self.hosts)
        wanted = Service("web", servers, "wrr", self.service.pass_host_header, self.service.dialect)
        names = tuple(self.middlewares)
        router = Router(
            "web",
            self.router.rule,
            "web",
            (),
            names,
            dialect=self.router.dialect,
            priority=self.router.priority,
        )
        definitions = {name: Middleware(name, name) for name in names}
        return compile_table(
            Configuration({"web": router}, {"web": wanted}, definitions),
            (self.entry_point,),
            make_middleware=lambda definition: self.middlewares[definition.name],
            make_service=self._make_service,
        )

    def _make_service(self, service: Service, _: object) -> LiveService:
        upstreams = tuple(Upstream(server, self.connecting) for server in service.servers)
        balancer = WeightedRoundRobin(upstreams, {}, count().__next__, lambda: 0.0)
        return LiveService(service, upstreams, balancer)

    def use(self, middlewares: Mapping[str, Any]) -> None:
        """From now on requests pass these."""
        self.middlewares = dict(middlewares)
        self.table = self.make_table()

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        live: LiveService = self.table.services["web"]
        return live.upstreams

    @property
    def upstream(self) -> Upstream:
        return self.upstreams[0]

    def client(self, host: str = "192.0.2.1") -> Wire:
        """A client that has just connected."""
        protocol = self.site.buildProtocol(None)
        wire = Wire(self.clock, protocol, host, next(self._ports))
        protocol.makeConnection(wire)  # type: ignore[arg-type]
        return wire

    def asking(self, request: bytes = GET) -> tuple[Wire, Wire]:
        """A client that sent a request, and the server that got it."""
        client = self.client()
        client.send(request)
        return client, self.server

    @property
    def server(self) -> Wire:
        """The server's end of the newest connection."""
        return self.servers.wires[-1]

    def connection(self, client: Wire) -> ServerConnection:
        """The proxy's end of a client's connection."""
        found: ServerConnection = client._protocol
        return found

    def wait(self, seconds: float) -> None:
        """Time passes, in steps in which every timer gets its turn."""
        self.clock.pump([0.25] * round(seconds * 4))

    def assert_quiet(self) -> None:
        """Nothing is under way any more, and nothing is forgotten."""
        self.clock.advance(0)
        assert [upstream.in_flight for upstream in self.upstreams] == [0] * len(self.upstreams)
        assert not self.site.connections or all(c.exchange is None for c in self.site.connections)
        watched = {thing for bucket in self.deadlines._buckets.values() for thing in bucket}
        kept = {connection for upstream in self.upstreams for connection in upstream._idle}
        assert watched <= self.site.connections | kept  # type: ignore[operator]


def calling(order: list[str], name: str) -> Callable[..., None]:
    """A hook that notes that it was called."""

    def hook(*_: object) -> None:
        order.append(name)

    return hook
