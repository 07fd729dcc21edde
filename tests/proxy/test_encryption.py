"""TLS on entry points: what is told of it, what begins with it, which handshakes go on. Over pairs of sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport

from dynbalancer import pem
from dynbalancer.core.model import EntryPoint
from dynbalancer.proxy.deadlines import TICK
from dynbalancer.proxy.encryption import EncryptedSite, PlainSite
from dynbalancer.proxy.http1 import LINGER_TIME
from dynbalancer.proxy.site import Site
from dynbalancer.proxy.starttls import encrypt
from dynbalancer.proxy.transports import Encryption, NativeTransport
from dynbalancer.tls.termination import Termination

sys.path.insert(0, str(Path(__file__).parent))
from wires import GOT, OK, ProxyCase, Wire

HELLO = b"\x16\x03\x01\x02\x00"
OWN = pem.self_signed("a.example", ["a.example"], life=timedelta(days=9))


class EncryptedSiteTests(ProxyCase):
    """An entry point that speaks only TLS."""

    entry_point = EntryPoint("websecure", 443, tls=True)

    def setUp(self) -> None:
        super().setUp()
        self.site: Any = EncryptedSite(self.resource, self.entry_point, self.limits, self.deadlines)

    def test_servers_and_routers_are_told_that_it_is_https(self) -> None:
        client, server = self.asking()
        secure = GOT.replace(b"Port: 80", b"Port: 443").replace(b"Proto: http", b"Proto: https")
        assert server.read() == secure
        server.send(OK)
        assert client.read() == OK

    def test_handshake_is_on_until_the_connection_is_made(self) -> None:
        protocol = self.site.buildProtocol(None)
        assert (self.site.shaking, self.site.failed) == (1, 0)
        protocol.makeConnection(Wire(self.clock, protocol))
        assert (self.site.shaking, self.site.failed, len(self.site.connections)) == (0, 0, 1)

    def test_handshake_whose_connection_is_never_made_has_failed(self) -> None:
        self.site.buildProtocol(None)
        assert (self.site.shaking, self.site.failed) == (0, 1)

    def test_client_that_does_not_close_its_side_is_cut(self) -> None:
        client = self.client()
        client._lose = lambda why: None  # type: ignore[method-assign]
        (connection,) = self.site.connections
        connection.close()
        assert not client.aborted
        self.clock.pump([TICK] * int(LINGER_TIME / TICK + 2))
        assert client.aborted


class PlainSiteTests(ProxyCase):
    """An entry point where TLS may be spoken."""

    def setUp(self) -> None:
        super().setUp()
        self.encrypted = EncryptedSite(self.resource, self.entry_point, self.limits, self.deadlines)
        self.handed: list[Any] = []
        self.encrypting: Deferred[None] = Deferred()
        self.wanted = True
        self.site = PlainSite(
            self.resource,
            self.entry_point,
            self.limits,
            self.deadlines,
            encrypted=self.encrypted,
            encrypt=self.encrypt,
            wanted=lambda: self.wanted,
        )

    def encrypt(self, transport: Any, data: bytes, site: Site) -> Deferred[None]:
        self.handed.append((transport, data, site))
        return self.encrypting

    def test_plain_requests_are_served_as_ever(self) -> None:
        client, server = self.asking()
        assert server.read() == GOT
        server.send(OK)
        assert client.read() == OK
        assert self.handed == []

    def test_connection_that_begins_with_tls_is_handed_over(self) -> None:
        for hello in (HELLO, HELLO[:1], HELLO + b"\r\n\r\n"):
            client = self.client()
            client.send(hello)
            assert self.handed.pop() == (client, hello, self.encrypted)
            assert (client.read(), self.site.connections) == (b"", set())
        self.clock.pump([TICK] * 60)
        assert not client.disconnecting

    def test_where_no_router_asks_for_tls_it_is_no_request(self) -> None:
        self.wanted = False
        client = self.client()
        client.send(HELLO)
        assert client.read().startswith(b"HTTP/1.1 400 ")
        assert self.handed == []

    def test_tls_after_a_request_is_no_request(self) -> None:
        client, server = self.asking()
        server.send(OK)
        client.read()
        client.send(HELLO)
        assert client.read().startswith(b"HTTP/1.1 400 ")
        assert self.handed == []

    def test_handshakes_are_counted(self) -> None:
        self.client().send(HELLO)
        assert (self.encrypted.shaking, self.encrypted.failed) == (1, 0)
        self.encrypting.callback(None)
        assert (self.encrypted.shaking, self.encrypted.failed) == (0, 0)

    def test_handshakes_that_fail_are_counted(self) -> None:
        self.client().send(HELLO)
        self.encrypting.errback(ssl.SSLError("no shared cipher"))
        assert (self.encrypted.shaking, self.encrypted.failed) == (0, 1)
        assert self.flushLoggedErrors() == []

    def test_bug_in_a_handshake_is_logged(self) -> None:
        self.client().send(HELLO)
        self.encrypting.errback(ZeroDivisionError())
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1


class Echo(Protocol):
    """Answers what it is asked, and knows how it ended."""

    ended = False

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(b"re: " + data)  # type: ignore[union-attr]

    def connectionLost(self, reason: Any = None) -> None:
        self.ended = True


class Begins(Protocol):
    """What is there before it is known that TLS is spoken."""

    def __init__(self, go_on: Callable[[Any, bytes], None]) -> None:
        self.dataReceived = lambda data: go_on(self.transport, data)  # type: ignore[method-assign]


class Server:
    """The far end of a pair of sockets, on a loop; ``result`` is how its handshake ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop, handshake_time: float = 5.0) -> None:
        self.loop = loop
        self.factory = Factory.forProtocol(Echo)
        self.made: list[Echo] = []
        self.result: Any = "none"
        self.tls = Encryption(Termination(replace(OWN, default=True)), handshake_time)

    async def accept(self, sock: socket.socket) -> None:
        reactor = SimpleNamespace(_asyncioEventloop=self.loop)

        def go_on(transport: Any, data: bytes) -> None:
            encrypt(reactor, transport, data, self, self.tls).addBoth(self._over)  # type: ignore[arg-type]

        await self.loop.connect_accepted_socket(lambda: NativeTransport(Begins(go_on)), sock)

    def buildProtocol(self, addr: Any) -> Echo:
        made = Echo()
        self.made.append(made)
        return made

    async def over(self) -> None:
        """The handshake has ended."""
        while self.result == "none":
            await asyncio.sleep(0.001)

    def _over(self, result: Any) -> None:
        self.result = result


def client() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(cadata=OWN.chain)
    return made


def run(test: Callable[[Server, socket.socket], Any], make: Any, **about: Any) -> None:
    """Run a test of a server and a client's socket on a loop of this kind."""
    loop = make()
    near, far = socket.socketpair()
    near.setblocking(False)
    server = Server(loop, **about)

    async def running() -> None:
        await server.accept(far)
        await asyncio.wait_for(test(server, near), 10)
        for made in server.made:
            made.transport.abortConnection()  # type: ignore[union-attr]
        while not all(made.ended for made in server.made):
            await asyncio.sleep(0.001)

    try:
        loop.run_until_complete(running())
    finally:
        near.close()
        loop.close()


LOOPS = pytest.mark.parametrize("make", [asyncio.new_event_loop, uvloop.new_event_loop])


@LOOPS
def test_connection_goes_on_with_tls_and_what_came_early_is_not_lost(make: Any) -> None:
    async def test(server: Server, near: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=near, ssl=client(), server_hostname="a.example")
        writer.write(b"hello")
        assert await reader.readexactly(9) == b"re: hello"
        writer.write(b"again" * 20000)
        assert (await reader.readexactly(4), server.result) == (b"re: ", None)
        await reader.readexactly(100_000)
        server.made[0].transport.loseWriteConnection()  # type: ignore[union-attr]
        assert await reader.read() == b""
        writer.close()
        await asyncio.sleep(0.05)
        assert server.made[0].ended

    run(test, make)


@LOOPS
def test_octets_may_come_one_by_one(make: Any) -> None:
    async def test(server: Server, near: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client().wrap_bio(coming, going, server_hostname="a.example")
        for wanted in (tls.do_handshake, lambda: tls.write(b"hello"), lambda: tls.read(9)):
            while True:
                try:
                    result = wanted()
                    break
                except ssl.SSLWantReadError:
                    for octet in going.read():
                        await loop.sock_sendall(near, bytes([octet]))
                        await asyncio.sleep(0)
                    coming.write(await loop.sock_recv(near, 65536))
        assert result == b"re: hello"

    run(test, make)


@LOOPS
def test_handshake_that_fails_closes_the_connection(make: Any) -> None:
    async def test(server: Server, near: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(near, HELLO + b"no client hello" * 50)
        while await loop.sock_recv(near, 65536):
            pass
        await server.over()
        assert server.result.check(ssl.SSLError)
        assert server.made == []

    run(test, make)


@LOOPS
def test_handshake_that_takes_too_long_closes_the_connection(make: Any) -> None:
    async def test(server: Server, near: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(near, HELLO)
        while await loop.sock_recv(near, 65536):
            pass
        await server.over()
        assert server.result.check(OSError)
        assert server.made == []

    run(test, make, handshake_time=0.05)


def test_without_a_loop_twisteds_tls_takes_the_transport() -> None:
    transport: Any = StringTransport()
    transport.registerProducer(object(), True)
    site: Any = Server(asyncio.new_event_loop())
    reactor = SimpleNamespace(callLater=lambda *due: None, seconds=lambda: 0.0)
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client().wrap_bio(coming, going, server_hostname="a.example")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    encrypt(reactor, transport, going.read(), site, site.tls)
    coming.write(transport.value())
    tls.do_handshake()
    assert transport.protocol.wrappedProtocol is site.made[0]
    site.loop.close()
