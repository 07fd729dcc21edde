"""An entry point while it is served: where its connections go, and that its socket follows the table."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dynbalancer.control.counters import LocalCounters
from dynbalancer.core.model import Configuration, EntryPoint, Router, Server, Service
from dynbalancer.core.settings import Settings
from dynbalancer.core.streams import StreamRouter, StreamServer, StreamService
from dynbalancer.proxy import starttls, transports
from dynbalancer.proxy.arrivals import ProxiedArrivals
from dynbalancer.proxy.dataplane import DataPlane
from dynbalancer.proxy.encryption import EncryptedSite, PlainSite
from dynbalancer.proxy.openings import Openings

sys.path.insert(0, str(Path(__file__).parent))
from test_dataplane import Bound, Listener
from test_openings import StreamServers, StreamWire, hello
from wires import GET

WEB = EntryPoint("web", 80)
HTTP = Configuration(
    routers={"web@x": Router("web@x", "Host(`a.example`)", "web")},
    services={"web@x": Service("web@x", (Server("http://web:80"),))},
)
TCP = replace(
    HTTP,
    tcp_routers={
        "db@x": StreamRouter("db@x", "HostSNI(`db.example`)", "db", tls=True, passthrough=True),
        "end@x": StreamRouter("end@x", "HostSNI(`end.example`)", "db", tls=True),
    },
    tcp_services={"db@x": StreamService("db@x", (StreamServer("db:5432"),))},
)


class Termination:
    """Speaks TLS, as far as anybody here can tell."""

    def use(self, certificates: Any) -> None:
        """These are the certificates."""


class EntranceTests(SynchronousTestCase):
    """A data plane with one entry point."""

    entry_point = WEB

    def setUp(self) -> None:
        self.clock = Clock()
        self.servers = StreamServers(self.clock)
        self.listeners: list[Listener] = []
        self.encrypting: list[tuple[bytes, Any]] = []
        self.patch(transports, "connect", self.servers.connect)
        self.patch(transports, "listen", self.listen)
        self.patch(starttls, "encrypt", self.encrypt)

    def begin(self, entry_point: EntryPoint = WEB) -> None:
        settings = Settings(entry_points=(entry_point,))
        self.plane = DataPlane(settings, self.clock, LocalCounters(), Termination())
        self.plane.resource.date = None
        self.plane.start()
        self.socket = Bound()
        self.plane.listen(entry_point, self.socket)  # type: ignore[arg-type]

    def listen(self, reactor: object, sock: object, site: Any, tls: object = None) -> Listener:
        self.listeners.append(Listener(reactor, sock, site, tls))
        return self.listeners[-1]

    def encrypt(
        self, reactor: object, transport: object, data: bytes, site: Any, tls: object
    ) -> Deferred[None]:
        self.encrypting.append((data, site))
        return Deferred()

    def client(self, *pieces: bytes) -> StreamWire:
        protocol = self.listeners[-1].site.buildProtocol(None)
        wire = StreamWire(self.clock, protocol)
        protocol.makeConnection(wire)
        for piece in pieces:
            wire.send(piece)
        self.clock.advance(0)
        return wire

    def server(self) -> str:
        """Which server got the newest connection."""
        return self.servers.hosts[-1]

    def test_with_http_alone_connections_go_straight_there(self) -> None:
        self.begin()
        self.plane.take(HTTP, 1)
        (listener,) = self.listeners
        assert type(listener.site) is PlainSite
        self.client(GET)
        assert self.server() == "web"

    def test_socket_follows_the_table_and_connections_stay(self) -> None:
        self.begin()
        self.plane.take(HTTP, 1)
        early = self.client(GET)
        self.plane.take(TCP, 2)
        first, second = self.listeners
        assert (first.stopped, second.stopped, self.socket.closed) == (True, False, False)
        assert isinstance(second.site, Openings)
        assert early.state == "open"
        self.client(hello("db.example"))
        assert self.server() == "db"
        self.client(GET)
        assert self.server() == "web"
        self.plane.take(HTTP, 3)
        assert [listener.stopped for listener in self.listeners] == [True, True, False]
        assert type(self.listeners[-1].site) is PlainSite

    def test_another_table_leaves_nothing_of_what_was_known_of_peers(self) -> None:
        self.begin()
        self.plane.take(HTTP, 1)
        peers = self.listeners[-1].site.peers
        before = peers.at("192.0.2.1")
        assert peers.at("192.0.2.1") is before
        self.plane.take(TCP, 2)
        assert peers.at("192.0.2.1") is not before

    def test_change_of_routes_alone_keeps_the_listener(self) -> None:
        self.begin()
        self.plane.take(TCP, 1)
        before = len(self.listeners)
        services = {"db@x": StreamService("db@x", (StreamServer("other:5432"),))}
        self.plane.take(replace(TCP, tcp_services=services), 2)
        assert len(self.listeners) == before
        self.client(hello("db.example"))
        assert self.server() == "other"

    def test_encrypted_connections_of_nobody_are_http(self) -> None:
        self.begin()
        secure = {"web@x": replace(HTTP.routers["web@x"], tls=True)}
        self.plane.take(replace(TCP, routers=secure), 1)
        data = hello("a.example")
        self.client(data)
        ((sent, site),) = self.encrypting
        assert sent == data
        assert isinstance(site, EncryptedSite)

    def test_encryption_that_ends_here_is_counted_as_a_handshake(self) -> None:
        self.begin()
        self.plane.take(TCP, 1)
        self.client(hello("end.example"))
        ((_, factory),) = self.encrypting
        assert not isinstance(factory, EncryptedSite)
        over: list[object] = []
        self.plane.drain(60).addCallback(over.append)
        assert over == []

    def test_where_only_tls_is_spoken_everything_else_is_closed(self) -> None:
        self.begin(replace(WEB, tls=True))
        assert isinstance(self.listeners[0].site, EncryptedSite)
        self.plane.take(TCP, 1)
        assert self.listeners[-1].tls is None
        client = self.client(GET)
        assert client.state == "aborted"
        assert self.plane.statistics.refusals == {"tcp-no-route": 1}
        self.client(hello("a.example"))
        assert isinstance(self.encrypting[0][1], EncryptedSite)

    def test_proxy_header_comes_before_everything(self) -> None:
        self.begin(replace(WEB, proxy_trust_all=True))
        assert isinstance(self.listeners[0].site, ProxiedArrivals)
        header = b"PROXY TCP4 203.0.113.9 198.51.100.1 5555 80\r\n"
        self.plane.take(HTTP, 1)
        self.client(header + GET)
        assert self.server() == "web"
        self.plane.take(TCP, 2)
        assert len(self.listeners) == 1
        self.client(header, hello("db.example"))
        assert self.server() == "db"
        self.client(header + hello("db.example"))
        assert self.server() == "db"
        plain = {"any@x": StreamRouter("any@x", "ClientIP(`203.0.113.9`)", "db")}
        self.plane.take(replace(TCP, tcp_routers=plain), 3)
        client = self.client(header + b"hello")
        assert self.servers.wires[-1].read() == b"hello"
        assert client.state == "open"

    def test_draining_closes_the_socket_and_waits_for_tunnels(self) -> None:
        self.begin()
        self.plane.take(TCP, 1)
        client = self.client(hello("db.example"))
        over: list[object] = []
        self.plane.drain(5).addCallback(over.append)
        self.clock.pump([0.1] * 20)
        assert (self.socket.closed, self.listeners[-1].stopped, client.state, over) == (
            True,
            True,
            "open",
            [],
        )
        self.clock.pump([0.1] * 40)
        assert (client.state, over) == ("aborted", [None])
