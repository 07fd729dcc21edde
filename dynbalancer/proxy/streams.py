"""Connections that are not HTTP: octets go to and fro between a client and a server, and are not looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from dynbalancer.core.clienthello import POSTGRES_WISH, POSTGRES_YES
from dynbalancer.core.flows import Flow
from dynbalancer.core.proxyprotocol import proxy_header
from dynbalancer.core.settings import Limits
from dynbalancer.core.streamtable import StreamRoute
from dynbalancer.errors import RequestError
from dynbalancer.proxy import transports
from dynbalancer.proxy.deadlines import NEVER, Deadlines
from dynbalancer.proxy.flowing import Flowing
from dynbalancer.proxy.streamservers import AVOIDED, StreamUpstream

#: Counts and logs a connection that is not served, with its first octets.
Refuse = Callable[[RequestError, bytes], None]


class Streams:
    """All connections of one entry point that are not HTTP."""

    def __init__(
        self, reactor: Any, limits: Limits, deadlines: Deadlines, refuse: Refuse, flowing: Flowing
    ) -> None:
        self.reactor = reactor
        self.clock = transports.clock_of(reactor)
        self.limits = limits
        self.deadlines = deadlines
        self.refuse = refuse
        self.flowing = flowing
        self.connections: set[Tunnel] = set()

    def admit(self, route: StreamRoute, client: str) -> Tunnel | None:
        """A tunnel for a connection of this route, None where a middleware does not admit it."""
        admitted: list[Any] = []
        for middleware in route.middlewares:
            if not middleware.admits(client):
                for earlier in admitted:
                    earlier.ended(client)
                self.flow(route).refused += 1
                why = f"TCP router {route.name} does not admit {client}"
                self.refuse(RequestError(403, middleware.reason, why), b"")
                return None
            admitted.append(middleware)
        return Tunnel(self, route, client)

    def flow(self, route: StreamRoute, upstream: StreamUpstream | None = None) -> Flow:
        """What counts a route's connections to this server, or those that it refuses."""
        if upstream is None:
            return self.flowing.of("tcp", route.name)
        return self.flowing.of("tcp", route.name, upstream.service, upstream.server.address)

    def drain(self) -> None:
        """Nobody can say at which moment a stream is at its end: they have until they are cut."""

    def abort(self) -> None:
        """Cut all."""
        for tunnel in list(self.connections):
            tunnel.abort()


@implementer(IHalfCloseableProtocol)
class End(Protocol):
    """One end of a tunnel. It is also what is paused while the other end takes no more."""

    def __init__(self, tunnel: Tunnel) -> None:
        self.tunnel = tunnel
        self.transport: Any = None
        self.gone = False
        self.silent = False

    def dataReceived(self, data: bytes) -> None:
        self.tunnel.octets(self, data)

    def readConnectionLost(self) -> None:
        self.silent = True
        self.tunnel.half_closed(self)

    def writeConnectionLost(self) -> None:
        """We closed our half."""

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.gone = self.silent = True
        self.tunnel.lost(self, clean=reason is None or reason.check(ConnectionDone) is not None)

    def pauseProducing(self) -> None:
        """Read no more for now."""
        if not self.gone:
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read on."""
        if not self.gone:
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Whoever stops says so to the tunnel."""

    def abort(self, *, broken: bool = False) -> None:
        """Close now; where something is ``broken`` so that nobody takes it for an ordinary end."""
        if self.transport is not None and not self.gone:
            self.gone = True
            if broken:
                transports.reset(self.transport)
            else:
                self.transport.abortConnection()


class ClientEnd(End):
    """The client's end: when it is there, a server is looked for."""

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.tunnel.begin()


class ServerEnd(End):
    """The server's end."""

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)


class Tunnel:
    """A client, and the server that was found for it."""

    _log = Logger()
    #: PostgreSQL's clients ask for TLS before TLS. They were answered; the server is still to be asked.
    starttls = False
    _server: ServerEnd | None = None
    _upstream: StreamUpstream | None = None
    _asked = False
    _over = False
    #: Ends a half-closed connection on which nothing moves.
    _ending: IDelayedCall | None = None
    _seen = 0

    def __init__(self, streams: Streams, route: StreamRoute, address: str) -> None:
        self.client = ClientEnd(self)
        self.deadline = NEVER
        self.watched = NEVER
        self._streams = streams
        self._route = route
        self.address = address
        self._early: list[bytes] = []
        self._connecting: Deferred[None] | None = None
        self._moved = 0
        self._checked = 0
        # A server may speak before we hear that it is there: until then it is counted here.
        self._flow = Flow()
        streams.connections.add(self)

    def begin(self) -> None:
        """The client is there. Nothing more is read of it until there is a server, too."""
        self.client.pauseProducing()
        self._connecting = Deferred.fromCoroutine(self._connect())
        self._connecting.addErrback(self._not_connected)

    async def _connect(self) -> None:
        streams = self._streams
        for upstream in self._route.service.choices():
            manner, end = upstream.manner, ServerEnd(self)
            try:
                await transports.connect(
                    streams.reactor,
                    upstream.host,
                    upstream.port,
                    end,
                    timeout=streams.limits.connect_time if manner.dial_time is None else manner.dial_time,
                    tls=manner.tls if upstream.server.tls else None,
                    server_name=manner.server_name or None,
                )
            except (OSError, ConnectError) as error:
                upstream.avoid_until = streams.clock() + AVOIDED
                streams.flow(self._route, upstream).refused += 1
                self._log.info(
                    "TCP router {router}: server {address} can't be connected to: {why}",
                    router=self._route.name,
                    address=upstream.server.address,
                    why=str(error) or type(error).__name__,
                )
                continue
            self._join(end, upstream)
            return
        why = f"TCP service {self._route.service_name} has no server that can be connected to"
        streams.flow(self._route).refused += 1
        streams.refuse(RequestError(503, "tcp-no-server", why), b"".join(self._early))
        # This is what connects: there is nothing to cancel any more.
        self._connecting = None
        self.abort()

    def _not_connected(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self._log.failure("A connection could not be forwarded", failure)
        self.abort()

    def _join(self, end: ServerEnd, upstream: StreamUpstream) -> None:
        self._connecting = None
        if self._over or end.gone:
            end.abort()
            self.abort()
            return
        client = self.client.transport
        self._server, self._upstream = end, upstream
        upstream.in_flight += 1
        said, self._flow = self._flow, self._streams.flow(self._route, upstream)
        flow = self._flow
        flow.bytes_out += said.bytes_out
        flow.count += 1
        flow.open += 1
        if upstream.manner.keep_alive:
            end.transport.setTcpKeepAlive(True)
        end.transport.registerProducer(self.client, True)
        client.registerProducer(end, True)
        if upstream.manner.proxy_protocol:
            peer, host = client.getPeer(), client.getHost()
            ends = (plain_address(peer.host), peer.port), (plain_address(host.host), host.port)
            end.transport.write(proxy_header(upstream.manner.proxy_protocol, *ends))
        if self.starttls:
            end.transport.write(POSTGRES_WISH)
            self._asked = True
        early, self._early = b"".join(self._early), []
        if early:
            self._moved += len(early)
            flow.bytes_in += len(early)
            end.transport.write(early)
        self._streams.deadlines.set(self, self._streams.limits.tunnel_time)
        self.client.resumeProducing()
        if self.client.silent:
            self._pass_end(end)

    def octets(self, end: End, data: bytes) -> None:
        """Some came in at one end."""
        server = self._server
        if end is not self.client:
            if self._asked:
                self._asked = False
                if data[:1] != POSTGRES_YES:
                    self.abort()
                    return
                data = data[1:]
            self._moved += len(data)
            self._flow.bytes_out += len(data)
            if data and not self.client.gone:
                self.client.transport.write(data)
        elif server is None:
            self._early.append(data)
        else:
            self._moved += len(data)
            self._flow.bytes_in += len(data)
            server.transport.write(data)

    def half_closed(self, end: End) -> None:
        """One end sends no more."""
        server = self._server
        if server is None or self._over:
            return
        other = server if end is self.client else self.client
        if other.silent:
            self._close()
        else:
            self._pass_end(other)

    def _pass_end(self, other: End) -> None:
        assert self._upstream is not None
        if transports.encryption_of(other.transport) is None or other is self.client:
            other.transport.loseWriteConnection()
        self._end_later()

    def _end_later(self) -> None:
        assert self._upstream is not None
        delay = self._upstream.manner.termination_delay
        if delay >= 0:
            self._seen = self._moved
            # Mostly it is some milliseconds: too short for what is looked at twice a second.
            self._ending = self._streams.reactor.callLater(delay, self._half_closed_for_long)

    def _half_closed_for_long(self) -> None:
        self._ending = None
        if self._moved != self._seen:
            self._end_later()
        else:
            self._close()

    def lost(self, end: End, *, clean: bool) -> None:
        """One end is gone. What it sent before still arrives at the other, unless it broke off."""
        if end is not self.client and end is not self._server:
            return
        if not clean:
            self.abort(broken=True)
        else:
            self._close()

    def _close(self) -> None:
        """Close both ends when all is sent; whoever does not take it is cut."""
        ends = [end for end in (self.client, self._server) if end is not None and not end.gone]
        if self._server is None or not ends:
            self.abort()
            return
        if not self._over:
            self._over = True
            self._stop_waiting()
            self._checked = self._moved
            self._streams.deadlines.set(self, self._streams.limits.write_time)
            for end in ends:
                end.transport.loseConnection()

    def deadline_passed(self) -> None:
        """Nothing moved for too long."""
        if not self._over and self._moved != self._checked:
            self._checked = self._moved
            self._streams.deadlines.set(self, self._streams.limits.tunnel_time)
        elif self._over:
            self.abort()
        else:
            self._close()

    def _stop_waiting(self) -> None:
        ending, self._ending = self._ending, None
        if ending is not None:
            ending.cancel()

    def abort(self, *, broken: bool = False) -> None:
        """End it now; ``broken``: one end broke off."""
        connecting, self._connecting = self._connecting, None
        self._over = True
        self._stop_waiting()
        if self in self._streams.connections:
            self._streams.connections.discard(self)
            self._streams.deadlines.forget(self)
            if self._upstream is not None:
                self._upstream.in_flight -= 1
                self._flow.open -= 1
            for middleware in self._route.middlewares:
                middleware.ended(self.address)
        if connecting is not None:
            connecting.cancel()
        for end in (self.client, self._server):
            if end is not None:
                end.abort(broken=broken)


def plain_address(host: str) -> str:
    """An IPv4 address that a socket for both families shows inside IPv6, as IPv4."""
    return host[7:] if host.startswith("::ffff:") else host
