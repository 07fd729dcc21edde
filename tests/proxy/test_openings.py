"""Connections of an entry point with several kinds of routes: which they take, by their first octets."""

from __future__ import annotations

import ssl
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dynbalancer.control.counters import LocalCounters
from dynbalancer.core.clienthello import POSTGRES_WISH
from dynbalancer.core.model import Configuration, EntryPoint, Middleware
from dynbalancer.core.regions import LocalRegions
from dynbalancer.core.settings import Limits
from dynbalancer.core.streams import StreamRouter, StreamServer, StreamService
from dynbalancer.core.streamtable import StreamRoute, compile_streams
from dynbalancer.errors import RequestError
from dynbalancer.middlewares.connections import connection_middleware
from dynbalancer.proxy import transports
from dynbalancer.proxy.deadlines import Deadlines
from dynbalancer.proxy.flowing import Flowing
from dynbalancer.proxy.openings import Openings
from dynbalancer.proxy.streams import Streams
from dynbalancer.proxy.streamservers import MakingStreams

sys.path.insert(0, str(Path(__file__).parent))
from wires import GET, Servers, Wire


def hello(name: str | None, *protocols: str) -> bytes:
    """The first octets of a client that asks for a name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if protocols:
        context.set_alpn_protocols(list(protocols))
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(coming, going, server_hostname=name).do_handshake()
    return going.read()


class StreamWire(Wire):
    """A wire that can be handed over."""

    @property
    def protocol(self) -> Any:
        return self._protocol

    @protocol.setter
    def protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    keep_alive = False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.keep_alive = enabled

    def getHost(self) -> Any:
        return transports.IPv4Address("TCP", "198.51.100.1", 443)

    def unregisterProducer(self) -> None:
        self._producer = None


class StreamServers(Servers):
    """Servers whose wires can be handed over. With ``greeting`` they speak before anybody hears that they are there."""

    greeting = b""

    def _settle(self, attempt: Any) -> None:
        if attempt.cancelled:
            return
        if attempt.host in self.broken:
            attempt.fail(self.broken[attempt.host])
            return
        attempt.wire = StreamWire(self._clock, attempt.protocol, attempt.host, attempt.port)
        attempt.protocol.makeConnection(attempt.wire)
        if self.greeting:
            attempt.wire.send(self.greeting)
        attempt.done.callback(attempt.protocol)


class StreamCase(SynchronousTestCase):
    """An entry point with the routes in ``routers``; ``service`` has two servers, ``other`` one."""

    routers: tuple[StreamRouter, ...] = ()
    service = StreamService("db@x", (StreamServer("one:1"), StreamServer("two:2")))
    middlewares: dict[str, Middleware] = {}
    limits = Limits()

    def setUp(self) -> None:
        self.clock = Clock()
        self.servers = StreamServers(self.clock)
        self.patch(transports, "connect", self.servers.connect)
        self.deadlines = Deadlines(self.clock)
        self.deadlines.start()
        self.refused: list[str] = []
        self.to_http: list[bytes] = []
        self.terminating: list[tuple[bytes, Factory]] = []
        self.asks_for_tls = False
        self.https: set[str] = set()
        self.flowing = Flowing()
        self.streams = Streams(self.clock, self.limits, self.deadlines, self.refuse, self.flowing)
        self.openings = Openings(
            self.limits,
            self.deadlines,
            self.refuse,
            self.go_on,
            streams=self.streams,
            encrypt=self.encrypt,
            encrypts=lambda: self.asks_for_tls,
            answers=lambda name: name in self.https,
        )
        self.use(*self.routers)

    def tearDown(self) -> None:
        self.deadlines.stop()

    def use(self, *routers: StreamRouter) -> None:
        """From now on these are the routes."""
        services = {"db@x": self.service, "other@x": StreamService("other@x", (StreamServer("other:3"),))}
        wanted = Configuration(
            tcp_routers={router.name: router for router in routers},
            tcp_services=services,
            tcp_middlewares=self.middlewares,
        )
        table = compile_streams(
            wanted,
            None,
            entry_points=(EntryPoint("tcp", 9000),),
            make_middleware=partial(connection_middleware, shared=LocalRegions(), secret=b"s"),
            make_service=MakingStreams(LocalCounters(), self.clock.seconds),
        )
        assert table.problems == ()
        self.openings.plain = table.of("tcp", encrypted=False)
        self.openings.encrypted = table.of("tcp", encrypted=True)

    def refuse(self, error: RequestError, sample: bytes) -> None:
        self.refused.append(error.reason)

    def go_on(self, arrived: Protocol, transport: Any, data: bytes) -> None:
        self.to_http.append(data)
        transport.protocol = Protocol()

    def encrypt(
        self, arrived: Protocol, transport: Any, data: bytes, factory: Factory, route: StreamRoute
    ) -> Deferred[None]:
        self.terminating.append((data, factory))
        self.handshake: Deferred[None] = Deferred()
        return self.handshake

    def client(self, *pieces: bytes, host: str = "192.0.2.1") -> StreamWire:
        """A client that has connected, and sent this."""
        protocol = self.openings.buildProtocol(None)
        wire = StreamWire(self.clock, protocol, host)
        protocol.makeConnection(wire)  # type: ignore[arg-type]
        for piece in pieces:
            wire.send(piece)
        self.clock.advance(0)
        return wire

    @property
    def server(self) -> StreamWire:
        """The server's end of the newest tunnel."""
        found = self.servers.wires[-1]
        assert isinstance(found, StreamWire)
        return found

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.clock.pump([0.25] * round(seconds * 4))


ANY = StreamRouter("any@x", "HostSNI(`*`)", "db")
PASS = StreamRouter("pass@x", "HostSNI(`p.example`)", "db", tls=True, passthrough=True)
TERM = StreamRouter("term@x", "HostSNI(`t.example`)", "other", tls=True)
ALPN = StreamRouter("alpn@x", "ALPN(`mqtt`)", "other", tls=True, passthrough=True)
REST = StreamRouter("rest@x", "HostSNI(`*`)", "other", tls=True, passthrough=True)


class ServerFirstTests(StreamCase):
    """Nothing but plain connections for whoever comes."""

    routers = (ANY,)

    def test_server_may_speak_first(self) -> None:
        client = self.client()
        self.server.send(b"220 hello\r\n")
        assert client.read() == b"220 hello\r\n"
        client.send(b"EHLO\r\n")
        assert self.server.read() == b"EHLO\r\n"
        assert self.openings.connections == set()

    def test_with_https_here_the_client_has_to_speak_first(self) -> None:
        self.asks_for_tls = True
        client = self.client()
        assert self.servers.attempts == []
        client.send(b"hello")
        assert self.server.read() == b"hello"

    def test_only_those_of_an_address_are_taken_at_once(self) -> None:
        self.use(StreamRouter("near@x", "ClientIP(`10.0.0.0/8`)", "db"))
        self.client(host="10.1.1.1")
        assert len(self.servers.wires) == 1
        self.client(GET)
        assert self.to_http == [GET]


class MixedTests(StreamCase):
    """Plain and encrypted routes, and HTTP."""

    routers = (PASS, TERM, ALPN)

    def test_plain_connections_are_http_without_a_route(self) -> None:
        client = self.client(GET[:3], GET[3:])
        assert self.to_http == [GET[:3]]
        assert client.state == "open"
        assert self.openings.connections == set()

    def test_plain_route_comes_before_http(self) -> None:
        self.use(ANY, *self.routers)
        self.client(GET)
        assert (self.to_http, self.server.read()) == ([], GET)

    def test_encrypted_connection_passes_through_with_all_its_octets(self) -> None:
        data = hello("p.example")
        self.client(*(data[at : at + 1] for at in range(len(data))))
        assert self.server.read() == data

    def test_encrypted_connection_is_taken_by_what_is_offered(self) -> None:
        data = hello("x.example", "mqtt", "h2")
        self.client(data)
        assert (self.servers.hosts, self.server.read()) == (["other"], data)

    def test_encryption_ends_here_where_the_route_says_so(self) -> None:
        data = hello("t.example")
        client = self.client(data)
        ((sent, factory),) = self.terminating
        assert sent == data
        protocol: Any = factory.buildProtocol(None)  # type: ignore[arg-type]
        client.protocol = protocol
        protocol.makeConnection(client)
        self.handshake.callback(None)
        client.send(b"inside")
        self.clock.advance(0)
        assert self.server.read() == b"inside"

    def test_other_names_are_https(self) -> None:
        for name in ("w.example", None):
            data = hello(name)
            self.client(data)
            assert self.to_http.pop() == data
        assert self.servers.attempts == []

    def test_what_takes_all_comes_after_https(self) -> None:
        self.use(PASS, REST)
        self.https = {"w.example"}
        self.client(hello("w.example"))
        assert len(self.to_http) == 1
        self.client(hello("p.example"))
        self.client(hello("z.example"))
        assert self.servers.hosts == ["one", "other"]

    def test_hello_that_is_none_closes_the_connection(self) -> None:
        client = self.client(b"\x16\x03\x01\x00\x05hello")
        assert (client.state, client.read(), self.refused) == ("aborted", b"", ["client-hello"])
        assert self.openings.connections == set()

    def test_silence_ends_in_time(self) -> None:
        for piece in (b"", hello("p.example")[:50]):
            client = self.client(*([piece] if piece else []))
            self.wait(self.limits.head_time + 1)
            assert (client.state, self.refused.pop()) == ("aborted", "arrival-timeout")

    def test_handshake_that_fails_leaves_nothing(self) -> None:
        self.client(hello("t.example"))
        assert len(self.streams.connections) == 1
        self.handshake.callback(None)
        assert self.streams.connections == set()

    def test_postgresql_is_answered_and_passes_through(self) -> None:
        client = self.client(POSTGRES_WISH[:3], POSTGRES_WISH[3:])
        assert client.read() == b"S"
        data = hello("p.example")
        client.send(data)
        self.clock.advance(0)
        assert self.server.read() == POSTGRES_WISH + data
        self.server.send(b"Sserver hello")
        assert client.read() == b"server hello"

    def test_postgresql_server_without_tls_ends_it(self) -> None:
        client = self.client(POSTGRES_WISH)
        client.send(hello("p.example"))
        self.clock.advance(0)
        self.server.send(b"N")
        assert (client.read(), client.state) == (b"S", "aborted")

    def test_postgresql_ends_here_too(self) -> None:
        client = self.client(POSTGRES_WISH)
        client.send(hello("t.example"))
        assert len(self.terminating) == 1

    def test_postgresql_with_a_name_of_nobody_is_closed(self) -> None:
        self.https = {"w.example"}
        for opening in (hello("w.example"), b"plain text"):
            client = self.client(POSTGRES_WISH)
            client.send(opening)
            assert (client.state, self.refused.pop()) == ("aborted", "tcp-no-route")

    def test_octets_between_the_wish_for_tls_and_tls_are_refused(self) -> None:
        client = self.client(POSTGRES_WISH + hello("p.example"))
        assert (client.state, self.refused, self.servers.attempts) == ("aborted", ["client-hello"], [])

    def test_postgresql_twice_is_refused(self) -> None:
        client = self.client(POSTGRES_WISH)
        client.send(POSTGRES_WISH)
        assert (client.state, self.refused) == ("aborted", ["tcp-no-route"])


class GuardedTests(StreamCase):
    """A route with middlewares."""

    middlewares = {
        "few@x": Middleware("few@x", "inFlightConn", {"amount": 1}),
        "own@x": Middleware("own@x", "ipAllowList", {"sourceRange": "192.0.2.0/24"}),
    }
    routers = (StreamRouter("any@x", "HostSNI(`*`)", "db", middlewares=("few", "own")),)

    def test_who_is_not_on_the_list_is_closed_and_nothing_is_counted_for_him(self) -> None:
        for _ in range(2):
            client = self.client(host="198.51.100.9")
            assert (client.state, self.refused.pop()) == ("aborted", "tcp-allow-list")
        assert self.servers.attempts == []

    def test_one_too_many_is_closed_until_another_has_ended(self) -> None:
        first = self.client()
        assert (self.client().state, self.refused) == ("aborted", ["tcp-in-flight"])
        first.reset()
        assert self.client().state == "open"
