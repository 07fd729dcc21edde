"""What connections from one address have in common, and what they must not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport

from dynbalancer.core.exchange import RequestHead
from dynbalancer.core.forwarded import TrustedPeers, forwarded_fields
from dynbalancer.core.model import EntryPoint
from dynbalancer.core.tlschoice import BUILT_IN
from dynbalancer.middlewares.base import Middleware
from dynbalancer.proxy.http1 import ServerConnection
from dynbalancer.proxy.peers import REMEMBERED, Peer, Peers, far_end
from dynbalancer.proxy.transports import NativeTransport

sys.path.insert(0, str(Path(__file__).parent))
from wires import FORWARDED, GET, OK, ProxyCase, Wire

CLOSE = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
SECRET = CLOSE.replace(b"\r\n\r\n", b"\r\nCookie: id=1\r\n\r\n")


class Same(Middleware):
    """Does nothing, again and again."""

    same_again = True


class Visits(ProxyCase):
    """Clients that come again over new connections."""

    def setUp(self) -> None:
        super().setUp()
        self.repeated: list[ServerConnection] = []
        repeat = ServerConnection._repeat

        def watched(connection: ServerConnection, known: object, data: bytes) -> bool:
            found = repeat(connection, known, data)  # type: ignore[arg-type]
            if found:
                self.repeated.append(connection)
            return found

        self.patch(ServerConnection, "_repeat", watched)

    def visit(self, request: bytes = CLOSE, address: str = "192.0.2.1") -> Wire:
        """A client that asks once, and is answered."""
        client = self.client(address)
        client.send(request)
        self.servers.wires[-1].send(OK)
        return client

    def test_what_came_twice_from_an_address_is_known_on_its_third_connection(self) -> None:
        for _ in range(2):
            self.visit()
        assert self.repeated == []
        client = self.visit()
        assert len(self.repeated) == 1
        assert client.read() == OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        assert client.state == "closed"

    def test_server_is_told_the_address_of_each(self) -> None:
        for _ in range(3):
            self.visit()
            self.visit(address="192.0.2.2")
        [server] = self.servers.wires
        got = server.read()
        assert got.count(FORWARDED) == 3
        assert got.count(FORWARDED.replace(b"192.0.2.1", b"192.0.2.2")) == 3
        assert len(self.repeated) == 2

    def test_each_exchange_has_the_port_of_its_own_connection(self) -> None:
        for _ in range(3):
            self.visit()
        ports = [exchange.client_port for exchange in self.ended.exchanges]
        assert len(set(ports)) == 3

    def test_another_table_decides_anew(self) -> None:
        for _ in range(3):
            self.visit()
        self.use({})
        self.visit()
        assert len(self.repeated) == 1
        self.visit()
        assert len(self.repeated) == 2

    def test_secrets_do_not_outlive_their_connection(self) -> None:
        for _ in range(4):
            self.visit(SECRET)
        assert self.repeated == []
        assert self.site.peers.at("192.0.2.1").known is None

    def test_middlewares_see_each_new_connection(self) -> None:
        self.use({"same": Same()})
        for _ in range(4):
            self.visit()
        assert self.repeated == []

    def test_connections_with_tls_keep_what_they_know_to_themselves(self) -> None:
        self.patch(ServerConnection, "tls_options", BUILT_IN)
        for _ in range(4):
            self.visit()
        assert self.repeated == []


class TrustedVisits(ProxyCase):
    """A client that may say where requests come from."""

    entry_point = EntryPoint("web", 80, trusted=("192.0.2.1",))

    def test_trust_is_that_of_the_address(self) -> None:
        peers = self.site.peers
        assert (peers.at("192.0.2.1").trusted, peers.at("192.0.2.2").trusted) == (True, False)


def test_mapped_address_is_told_as_ipv4() -> None:
    peer = Peers(TrustedPeers(("192.0.2.9",))).at("::ffff:192.0.2.9")
    assert (peer.client, peer.trusted) == ("192.0.2.9", True)


def test_ever_new_addresses_do_not_make_it_grow() -> None:
    peers = Peers(TrustedPeers(()))
    first = peers.at("a")
    for number in range(REMEMBERED - 1):
        peers.at(str(number))
    assert peers.at("a") is first
    peers.at("one more")
    assert peers.at("a") is not first


def test_what_is_forgotten_begins_anew() -> None:
    peers = Peers(TrustedPeers(()))
    first = peers.at("a")
    peers.forget()
    assert peers.at("a") is not first


@pytest.mark.parametrize(
    "heads",
    [
        (b"a.example", b"a.example"),
        (b"a.example", b"b.example"),
        (b"a.example", b"a.example:81", b"a.example"),
        (b"a.example:81", b"b.example:81", b"b.example:82"),
        (b"", b"a.example", b""),
    ],
)
@pytest.mark.parametrize("upgrade", [None, b"websocket"])
def test_fields_are_those_that_the_request_gets_by_itself(
    heads: tuple[bytes, ...], upgrade: bytes | None
) -> None:
    peer = Peer("192.0.2.1")
    for authority in heads:
        host, _, port = authority.partition(b":")
        for wanted in (None, upgrade):
            head = RequestHead(
                host=host, authority=authority, port=int(port) if port else None, upgrade=wanted
            )
            assert peer.forwarded_fields(head, b"me") == forwarded_fields(head, b"192.0.2.1", b"me")


class Native:
    """A transport of a loop, which knows one thing."""

    def __init__(self, peer: object) -> None:
        self._peer = peer

    def get_extra_info(self, name: str) -> object:
        return {"peername": self._peer}[name]


@pytest.mark.parametrize(
    "peer, found",
    [
        (("192.0.2.1", 40000), ("192.0.2.1", 40000)),
        (("2001:db8::1", 5, 1, 2), ("2001:db8::1", 5)),
        (None, ("", 0)),
    ],
)
def test_far_end_is_what_the_loop_says(peer: object, found: tuple[str, int]) -> None:
    transport = NativeTransport(Protocol())
    transport._native = Native(peer)
    assert far_end(transport) == found
    transport.peer = IPv6Address("TCP", "2001:db8::2", 7)
    assert far_end(transport) == ("2001:db8::2", 7), "a PROXY header says who it is"


def test_far_end_of_twisteds_own_transports() -> None:
    assert far_end(StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.5", 9))) == ("192.0.2.5", 9)
    assert far_end(StringTransport(peerAddress=UNIXAddress("/run/x"))) == ("", 0)
