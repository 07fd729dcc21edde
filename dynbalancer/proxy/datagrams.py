"""Datagrams: those of one client go to one server, and what that says goes back, until both are silent too long."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import MessageLengthError
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from dynbalancer.core.flows import Flow
from dynbalancer.core.model import EntryPoint
from dynbalancer.core.table import RoutingTable
from dynbalancer.errors import RequestError
from dynbalancer.proxy.deadlines import NEVER, Deadlines
from dynbalancer.proxy.flowing import Flowing
from dynbalancer.proxy.names import first_address
from dynbalancer.proxy.streams import Refuse
from dynbalancer.proxy.streamservers import AVOIDED, StreamUpstream
from dynbalancer.proxy.transports import clock_of, loop_of

#: Clients at a time on one entry point, each with a socket of ours; datagrams of one that wait for a server's address.
MOST, WAITING = 1000, 16

#: The largest datagram there is, in octets. Twisted cuts what is larger than it was told.
LARGEST = 65536

#: The address of a client.
Client = tuple[Any, ...]


class DatagramEntrance(DatagramProtocol):
    """One entry point for datagrams while it is served. ``table`` gives the routing table in force."""

    noisy = False
    transport: Any = None

    def __init__(
        self,
        entry_point: EntryPoint,
        sock: socket.socket,
        *,
        reactor: Any,
        deadlines: Deadlines,
        refuse: Refuse,
        flowing: Flowing,
        table: Callable[[], RoutingTable],
    ) -> None:
        self.reactor = reactor
        self.clock = clock_of(reactor)
        self.deadlines = deadlines
        self.timeout = entry_point.udp_timeout
        self.sessions: dict[Client, Session] = {}
        self._name = entry_point.name
        self._sock = sock
        self._refuse = refuse
        self._flowing = flowing
        self._table = table
        self._port: Any = None

    # Nobody waits for the end of a client's datagrams, and none of them is HTTP.
    open_connections = shaking = failed = 0

    def open(self) -> None:
        """Take datagrams."""
        self._port = self.reactor.adoptDatagramPort(self._sock.fileno(), self._sock.family, self, LARGEST)

    def follow(self, table: RoutingTable) -> None:
        """Another table is in force: who has a server that is gone gets another one with what he sends next."""
        route = table.streams.datagrams_of(self._name)
        there = set() if route is None else set(route.service.servers())
        for session in list(self.sessions.values()):
            if session.upstream.server not in there:
                session.close()

    def close(self) -> None:
        """Take no more."""
        for session in list(self.sessions.values()):
            session.close()
        if self._port is not None:
            port, self._port = self._port, None
            port.stopListening()
            self._sock.close()

    def drain(self) -> None:
        """There is nothing to wait for."""

    def abort(self) -> None:
        """There is nothing left."""

    def datagramReceived(self, datagram: bytes, addr: Client) -> None:
        session = self.sessions.get(addr) or self._begin(addr)
        if session is not None:
            session.to_server(datagram)

    def _begin(self, client: Client) -> Session | None:
        route = self._table().streams.datagrams_of(self._name)
        if route is None:
            self._refuse(RequestError(404, "udp-no-route", f"no UDP router is on {self._name}"), b"")
            return None
        if len(self.sessions) >= MOST:
            self._flowing.of("udp", route.name).refused += 1
            self._refuse(
                RequestError(503, "udp-sessions", f"{MOST} clients are on {self._name} already"), b""
            )
            return None
        for upstream in route.service.choices():
            flow = self._flowing.of("udp", route.name, upstream.service, upstream.server.address)
            session = self.sessions[client] = Session(self, client, upstream, flow)
            session.begin()
            return session
        self._flowing.of("udp", route.name).refused += 1
        why = f"UDP service {route.service_name} has no server"
        self._refuse(RequestError(503, "udp-no-server", why), b"")
        return None


class Session(DatagramProtocol):
    """One client, and its server."""

    noisy = False
    _log = Logger()
    transport: Any = None

    def __init__(
        self, entrance: DatagramEntrance, client: Client, upstream: StreamUpstream, flow: Flow
    ) -> None:
        self.deadline = NEVER
        self.watched = NEVER
        self.upstream = upstream
        self._entrance = entrance
        self._client = client
        self._flow = flow
        self._waiting: list[bytes] | None = []
        self._closed = False

    def begin(self) -> None:
        """Find out where the server is, and get ready to speak to it."""
        self.upstream.in_flight += 1
        self._flow.count += 1
        self._flow.open += 1
        found = self._resolved(self.upstream.host)
        found.addCallback(self._connect)
        found.addErrback(self._unreachable)

    def _resolved(self, host: str) -> Deferred[str]:
        if isIPAddress(host) or isIPv6Address(host):
            return succeed(host)
        loop = loop_of(self._entrance.reactor)
        if loop is None:
            return self._entrance.reactor.resolve(host)  # type: ignore[no-any-return]
        return Deferred.fromFuture(loop.create_task(first_address(loop, host)))

    def _connect(self, host: str) -> None:
        if self._closed:
            return
        interface = "::" if ":" in host else "0.0.0.0"
        self._entrance.reactor.listenUDP(0, self, interface, LARGEST)
        self.transport.connect(host, self.upstream.port)
        waiting, self._waiting = self._waiting or [], None
        for datagram in waiting:
            self.to_server(datagram)

    def _unreachable(self, failure: Failure) -> None:
        self._flow.refused += 1
        self.upstream.avoid_until = self._entrance.clock() + AVOIDED
        self._log.info(
            "UDP server {address} can't be reached: {why}",
            address=self.upstream.server.address,
            why=failure.getErrorMessage(),
        )
        self.close()

    def to_server(self, datagram: bytes) -> None:
        """Send one on. What can't be sent is lost, as datagrams are."""
        if self._closed:
            return
        self._entrance.deadlines.set(self, self._entrance.timeout)
        if self._waiting is not None:
            if len(self._waiting) < WAITING:
                self._waiting.append(datagram)
            return
        with suppress(OSError, MessageLengthError):
            self.transport.write(datagram)
            self._flow.bytes_in += len(datagram)

    def datagramReceived(self, datagram: bytes, addr: Client) -> None:
        entrance = self._entrance
        entrance.deadlines.set(self, entrance.timeout)
        with suppress(OSError, MessageLengthError):
            entrance.transport.write(datagram, self._client)
            self._flow.bytes_out += len(datagram)

    def connectionRefused(self) -> None:
        """Nobody listens there: with what the client sends next another server is tried."""
        self._flow.refused += 1
        self.upstream.avoid_until = self._entrance.clock() + AVOIDED
        self.close()

    def deadline_passed(self) -> None:
        """Neither said anything for too long."""
        self.close()

    def close(self) -> None:
        """Forget the client."""
        if self._closed:
            return
        self._closed = True
        self.upstream.in_flight -= 1
        self._flow.open -= 1
        self._entrance.deadlines.forget(self)
        self._entrance.sessions.pop(self._client, None)
        if self.transport is not None:
            self.transport.stopListening()
