"""Datagrams: which server a client has, for how long, and what becomes of those that can't be sent on."""

from __future__ import annotations

import socket
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import DNSLookupError, MessageLengthError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dynbalancer.control.counters import LocalCounters
from dynbalancer.core.model import Configuration, EntryPoint, Member
from dynbalancer.core.settings import Settings
from dynbalancer.core.streams import StreamRouter, StreamServer, StreamService
from dynbalancer.proxy import datagrams
from dynbalancer.proxy.dataplane import DataPlane

DNS = EntryPoint("dns", 53, udp=True)
ONE, TWO = StreamServer("10.0.0.1:53"), StreamServer("10.0.0.2:53")
CLIENT, OTHER = ("192.0.2.1", 5000), ("192.0.2.2", 5000)


def configuration(*servers: StreamServer, **more: Any) -> Configuration:
    """One route for all datagrams."""
    services = {"dns@x": StreamService("dns@x", servers), **more}
    return Configuration(udp_routers={"dns@x": StreamRouter("dns@x", service="dns")}, udp_services=services)


class Port:
    """A socket for datagrams, as its protocol sees it."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.to: tuple[str, int] | None = None
        self.sent: list[Any] = []
        self.broken: Exception | None = None
        self.stopped = False
        protocol.makeConnection(self)

    def connect(self, host: str, port: int) -> None:
        self.to = host, port

    def write(self, datagram: bytes, client: object = None) -> None:
        if self.broken is not None:
            raise self.broken
        self.sent.append(datagram if client is None else (datagram, client))

    def stopListening(self) -> None:
        self.stopped = True


class Reactor(Clock):
    """A clock with sockets for datagrams."""

    def __init__(self) -> None:
        super().__init__()
        self.ports: list[Port] = []
        self.resolving: list[tuple[str, Deferred[str]]] = []
        self.full = False

    def adoptDatagramPort(self, fd: int, family: int, protocol: Any, largest: int) -> Port:
        return self.listenUDP(0, protocol, "", largest)

    def listenUDP(self, port: int, protocol: Any, interface: str, largest: int) -> Port:
        assert largest == 65536
        if self.full:
            raise OSError("no more files")
        self.ports.append(Port(protocol))
        return self.ports[-1]

    def resolve(self, name: str) -> Deferred[str]:
        self.resolving.append((name, Deferred()))
        return self.resolving[-1][1]


class DatagramTests(SynchronousTestCase):
    """An entry point for datagrams."""

    entry_point = DNS

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.plane = DataPlane(Settings(entry_points=(self.entry_point,)), self.reactor, LocalCounters())
        self.plane.start()
        self.closed = False
        bound = SimpleNamespace(fileno=lambda: 7, family=socket.AF_INET, close=self.close)
        self.plane.take(configuration(ONE, TWO), 1)
        self.plane.listen(self.entry_point, bound)  # type: ignore[arg-type]
        self.front = self.reactor.ports[0]

    def close(self) -> None:
        self.closed = True

    def send(self, datagram: bytes, client: tuple[str, int] = CLIENT) -> None:
        self.front.protocol.datagramReceived(datagram, client)

    @property
    def servers(self) -> list[Port]:
        """The sockets to servers, in order."""
        return self.reactor.ports[1:]

    @property
    def refused(self) -> dict[str, int]:
        return dict(self.plane.statistics.refusals)

    def test_datagrams_of_one_client_go_to_one_server_and_back(self) -> None:
        for datagram in (b"one", b"two"):
            self.send(datagram)
        (server,) = self.servers
        assert (server.to, server.sent) == (("10.0.0.1", 53), [b"one", b"two"])
        server.protocol.datagramReceived(b"answer", ("10.0.0.1", 53))
        assert self.front.sent == [(b"answer", CLIENT)]

    def test_clients_and_octets_are_counted(self) -> None:
        self.send(b"hello")
        self.servers[0].protocol.datagramReceived(b"hello back", ("10.0.0.1", 53))
        [(key, flow)] = self.plane.report().flows.items()
        assert (key[0], key[3]) == ("udp", "10.0.0.1:53")
        assert list(flow.as_dict().values()) == [1, 1, 5, 10, 0]
        assert self.plane.unreported == 0

    def test_clients_take_turns(self) -> None:
        self.send(b"a")
        self.send(b"b", OTHER)
        self.send(b"c", (CLIENT[0], 5001))
        assert [server.to for server in self.servers] == [
            ("10.0.0.1", 53),
            ("10.0.0.2", 53),
            ("10.0.0.1", 53),
        ]

    def test_silent_client_is_forgotten_and_a_talking_one_is_not(self) -> None:
        self.send(b"a")
        self.send(b"b", OTHER)
        for _ in range(3):
            self.reactor.pump([0.5] * 4)
            self.send(b"still here", OTHER)
        first, second = self.servers
        assert (first.stopped, second.stopped) == (True, False)
        self.reactor.pump([0.5] * 4)
        second.protocol.datagramReceived(b"answer", ("10.0.0.2", 53))
        self.reactor.pump([0.5] * 4)
        assert not second.stopped
        self.send(b"again")
        assert len(self.servers) == 3

    def test_members_have_their_share(self) -> None:
        more = {
            "one@x": StreamService("one@x", (ONE,)),
            "two@x": StreamService("two@x", (TWO,)),
            "dns@x": StreamService("dns@x", members=(Member("one", 3), Member("two")), kind="weighted"),
        }
        self.plane.take(configuration(**more), 2)
        for at in range(4):
            self.send(b"x", (CLIENT[0], at))
        assert sorted(server.to or () for server in self.servers) == [("10.0.0.1", 53)] * 3 + [
            ("10.0.0.2", 53)
        ]

    def test_server_that_left_is_replaced_at_the_next_datagram(self) -> None:
        self.send(b"a")
        self.send(b"b", OTHER)
        self.plane.take(configuration(replace(ONE, state="draining"), TWO), 2)
        first, second = self.servers
        assert (first.stopped, second.stopped) == (True, False)
        self.send(b"c")
        assert self.servers[2].to == ("10.0.0.2", 53)

    def test_without_a_route_or_a_server_datagrams_are_counted(self) -> None:
        self.plane.take(configuration(), 2)
        self.send(b"a")
        self.plane.take(Configuration(), 3)
        self.send(b"a")
        assert (self.servers, self.refused) == ([], {"udp-no-server": 1, "udp-no-route": 1})

    def test_server_where_nobody_listens_comes_last(self) -> None:
        self.send(b"a")
        self.servers[0].protocol.connectionRefused()
        for at in range(3):
            self.send(b"b", (CLIENT[0], at))
        assert [server.to for server in self.servers[1:]] == [("10.0.0.2", 53)] * 3
        assert self.servers[0].stopped

    def test_datagrams_that_cannot_be_sent_are_lost(self) -> None:
        self.send(b"a")
        (server,) = self.servers
        server.broken, self.front.broken = OSError("would block"), MessageLengthError("too long")
        self.send(b"b")
        server.protocol.datagramReceived(b"c", ("10.0.0.1", 53))
        assert (server.sent, self.front.sent) == ([b"a"], [])

    def test_names_of_servers_are_looked_up_and_datagrams_wait(self) -> None:
        self.plane.take(configuration(StreamServer("dns.example:53")), 2)
        for _ in range(datagrams.WAITING + 5):
            self.send(b"x")
        ((name, found),) = self.reactor.resolving
        found.callback("10.0.0.9")
        (server,) = self.servers
        assert (name, server.to, len(server.sent)) == ("dns.example", ("10.0.0.9", 53), datagrams.WAITING)

    def test_name_that_is_none_ends_it(self) -> None:
        self.plane.take(configuration(StreamServer("dns.example:53")), 2)
        self.send(b"x")
        self.reactor.resolving[0][1].errback(DNSLookupError("no such name"))
        self.send(b"y")
        assert len(self.reactor.resolving) == 2

    def test_client_forgotten_before_the_name_was_found_gets_no_socket(self) -> None:
        self.plane.take(configuration(StreamServer("dns.example:53")), 2)
        self.send(b"x")
        self.plane.take(configuration(ONE), 3)
        self.reactor.resolving[0][1].callback("10.0.0.9")
        assert self.servers == []

    def test_without_sockets_the_client_is_forgotten(self) -> None:
        self.reactor.full = True
        self.send(b"x")
        self.reactor.full = False
        self.send(b"y")
        assert [server.sent for server in self.servers] == [[b"y"]]

    def test_there_may_be_too_many_clients(self) -> None:
        self.patch(datagrams, "MOST", 2)
        for at in range(3):
            self.send(b"x", (CLIENT[0], at))
        assert (len(self.servers), self.refused) == (2, {"udp-sessions": 1})

    def test_at_the_end_nothing_is_left(self) -> None:
        self.send(b"x")
        over: list[object] = []
        self.plane.drain(10).addCallback(over.append)
        assert over == [None]
        assert (self.closed, [port.stopped for port in self.reactor.ports]) == (True, [True, True])
        assert self.reactor.getDelayedCalls() == []
