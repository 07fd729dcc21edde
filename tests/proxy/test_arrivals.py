"""Connections that begin with a PROXY header: whose they are then, which are closed, and that all of them arrives."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport

from dynbalancer import pem
from dynbalancer.core.forwarded import TrustedPeers
from dynbalancer.core.proxyprotocol import proxy_header
from dynbalancer.errors import RequestError
from dynbalancer.proxy.arrivals import LAST_MOMENT, ProxiedArrivals, hand_over, set_peer
from dynbalancer.proxy.starttls import encrypt
from dynbalancer.proxy.transports import Encryption, NativeTransport
from dynbalancer.tls.termination import Termination

sys.path.insert(0, str(Path(__file__).parent))
from wires import GET, GOT, OK, ProxyCase, Wire

CLIENT = ("203.0.113.9", 5555)
HEADERS = [proxy_header(version, CLIENT, ("198.51.100.1", 443)) for version in (1, 2)]
OWN = pem.self_signed("a.example", ["a.example"], life=timedelta(days=9))


class ProxiedTests(ProxyCase):
    """An entry point that trusts one network, by its site."""

    def setUp(self) -> None:
        super().setUp()
        self.refused: list[tuple[str, bytes]] = []
        trusted = TrustedPeers(("192.0.2.0/24",))
        self.arrivals = ProxiedArrivals(self.limits, self.deadlines, self.refuse, self.go_on, trusted)

    def refuse(self, error: RequestError, sample: bytes) -> None:
        self.refused.append((error.reason, sample))

    def go_on(self, arrived: Protocol, transport: Any, data: bytes) -> None:
        protocol = self.site.buildProtocol(None)
        transport._protocol = protocol
        hand_over(transport, protocol, data)

    def arriving(self, host: str = "192.0.2.1") -> Wire:
        protocol = self.arrivals.buildProtocol(None)
        wire = Wire(self.clock, protocol, host)
        protocol.makeConnection(wire)  # type: ignore[arg-type]
        return wire

    def test_trusted_peer_says_who_the_client_is(self) -> None:
        for header in HEADERS:
            client = self.arriving()
            client.send(header + GET)
            assert self.server.read() == GOT.replace(b"192.0.2.1", b"203.0.113.9")
            self.server.send(OK)
            assert client.read() == OK
            assert (self.ended.exchanges[-1].client, self.ended.exchanges[-1].client_port) == CLIENT
            assert self.arrivals.connections == set()

    def test_octets_may_come_one_by_one(self) -> None:
        client = self.arriving()
        for octet in HEADERS[1] + GET:
            client.send(bytes([octet]))
        assert self.server.read() == GOT.replace(b"192.0.2.1", b"203.0.113.9")

    def test_trusted_peer_without_a_header_is_the_client(self) -> None:
        client = self.arriving()
        client.send(GET)
        assert self.server.read() == GOT
        assert self.refused == []

    def test_header_of_another_peer_closes_its_connection(self) -> None:
        client = self.arriving("198.51.100.77")
        client.send(HEADERS[0] + GET)
        assert (client.read(), client.state, self.servers.wires) == (b"", "aborted", [])
        assert [reason for reason, _ in self.refused] == ["proxy-untrusted"]
        assert self.arrivals.connections == set()

    def test_other_peer_without_a_header_is_served(self) -> None:
        client = self.arriving("198.51.100.77")
        client.send(GET)
        assert self.server.read() == GOT.replace(b"192.0.2.1", b"198.51.100.77")

    def test_header_that_is_none_closes_the_connection(self) -> None:
        client = self.arriving()
        client.send(b"PROXY TCP9 1 2 3 4\r\n" + GET)
        assert (client.read(), client.state, self.servers.wires) == (b"", "aborted", [])
        assert self.refused[0][0] == "proxy-header"
        assert self.refused[0][1].startswith(b"PROXY TCP9")

    def test_header_that_does_not_come_in_time_closes_the_connection(self) -> None:
        for data in (b"", b"PROXY TCP4 ", HEADERS[1][:20]):
            client = self.arriving()
            if data:
                client.send(data)
            self.wait(self.limits.head_time - 1)
            assert client.state == "open"
            self.wait(2)
            assert (client.state, self.refused.pop()) == ("aborted", ("arrival-timeout", data))

    def test_single_octets_do_not_move_the_time_limit(self) -> None:
        client = self.arriving()
        for octet in HEADERS[0][:12]:
            client.send(bytes([octet]))
            self.wait(1)
            if client.state != "open":
                break
        assert client.state == "aborted"

    def test_client_that_left_is_forgotten(self) -> None:
        client = self.arriving()
        client.send(HEADERS[0][:9])
        client.reset()
        assert (self.arrivals.connections, self.refused) == (set(), [])

    def test_draining_gives_a_moment_to_be_complete(self) -> None:
        early, late = self.arriving(), self.arriving()
        self.arrivals.drain()
        early.send(HEADERS[0] + GET)
        assert self.server.read() != b""
        self.wait(LAST_MOMENT + 1)
        assert (early.state, late.state) == ("open", "aborted")

    def test_connection_accepted_while_draining_has_only_that_moment(self) -> None:
        self.arrivals.drain()
        client = self.arriving()
        self.wait(LAST_MOMENT + 1)
        assert client.state == "aborted"

    def test_abort_cuts_all(self) -> None:
        clients = [self.arriving() for _ in range(3)]
        self.arrivals.abort()
        assert [client.state for client in clients] == ["aborted"] * 3
        assert self.arrivals.connections == set()


class Echo(Protocol):
    """Says who asks, and what."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(self.transport.getPeer().host.encode() + b" " + data)  # type: ignore[union-attr]


@pytest.mark.parametrize("make", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("encrypted", [False, True])
def test_native_connection_goes_on_elsewhere_as_another_clients(make: Any, *, encrypted: bool) -> None:
    """Over a pair of sockets: the header, then a plain or an encrypted conversation."""
    loop = make()
    factory = Factory.forProtocol(Echo)
    tls = Encryption(Termination(OWN), 5.0)
    results: list[Any] = []

    def go_on(arrived: Protocol, transport: Any, data: bytes) -> None:
        if encrypted:
            reactor = SimpleNamespace(_asyncioEventloop=loop)
            encrypt(reactor, transport, data, factory, tls).addBoth(results.append)
        else:
            hand_over(transport, Echo(), data)

    watched = SimpleNamespace(set=lambda *_: None, forget=lambda _: None)
    limits: Any = SimpleNamespace(head_time=1.0)
    everybody = TrustedPeers((), everybody=True)
    arrivals = ProxiedArrivals(limits, watched, lambda *_: None, go_on, everybody)  # type: ignore[arg-type]

    async def conversation() -> None:
        near, far = socket.socketpair()
        near.setblocking(False)
        await loop.connect_accepted_socket(lambda: NativeTransport(arrivals.buildProtocol(None)), far)
        await loop.sock_sendall(near, HEADERS[1])
        await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection(
            sock=near,
            ssl=_unverified() if encrypted else None,
            server_hostname="a.example" if encrypted else None,
        )
        for words in (b"hello", b"again"):
            writer.write(words)
            wanted = b"203.0.113.9 " + words
            assert await asyncio.wait_for(reader.readexactly(len(wanted)), 5) == wanted
        writer.close()
        await asyncio.sleep(0.05)

    try:
        loop.run_until_complete(conversation())
    finally:
        loop.close()
    assert results == ([None] if encrypted else [])


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_twisteds_transport_is_another_clients_too() -> None:
    transport: Any = StringTransport()
    set_peer(transport, "2001:db8::9", 77)
    protocol = Echo()
    hand_over(transport, protocol, b"hello")
    assert transport.protocol is protocol
    assert transport.value() == b"2001:db8::9 hello"
