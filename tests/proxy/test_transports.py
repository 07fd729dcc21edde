"""Twisted protocols on native transports, with loops and transports that have no sockets."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from dynbalancer.proxy import names, transports
from dynbalancer.proxy.transports import (
    HIGH_WATER,
    EncryptedTransport,
    Encryption,
    NativeTransport,
    TLSTransport,
    connect,
    encryption_of,
    listen,
    loop_of,
    unsent,
)


class FakeNative:
    """A transport of an asyncio loop; ``did`` lists what was done to it."""

    def __init__(self, *, peer: Any = ("192.0.2.1", 40000), half_close: bool = True) -> None:
        self.did: list[Any] = []
        self.closing = False
        self.buffered = 0
        self._half_close = half_close
        self._about = {"peername": peer, "sockname": ("192.0.2.9", 80), "socket": self}
        self.options: dict[tuple[int, int], int] = {}

    def write(self, data: bytes) -> None:
        self.did.append(data)

    def writelines(self, lines: list[bytes]) -> None:
        self.did += lines

    def set_write_buffer_limits(self, high: int) -> None:
        self.did.append(("limits", high))

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def can_write_eof(self) -> bool:
        return self._half_close

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, name: str) -> Any:
        return self._about.get(name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda: self.did.append(name)

    # The socket below it.

    def getsockopt(self, level: int, option: int) -> int:
        return self.options.get((level, option), 0)

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self.options[level, option] = value


class Plain(Protocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def connectionMade(self) -> None:
        self.told.append("made")

    def dataReceived(self, data: bytes) -> None:
        self.told.append(data)

    def connectionLost(self, reason: Failure = transports._CLOSED) -> None:
        self.told.append(reason.type)


@implementer(IHalfCloseableProtocol)
class Halves(Plain):
    """One that knows half-closed connections."""

    def readConnectionLost(self) -> None:
        self.told.append("no more to read")

    def writeConnectionLost(self) -> None:
        """Not called by these transports."""


class Pausing:
    """A producer that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")


def connected(protocol: Plain, **about: Any) -> tuple[Any, FakeNative]:
    """A protocol on a transport, and the native one below."""
    native = FakeNative(**about)
    transport = NativeTransport(protocol)
    transport.connection_made(native)
    native.did.clear()
    return transport, native


def test_protocol_is_made_with_a_transport_twisted_knows() -> None:
    protocol, native = Plain(), FakeNative()
    transport = NativeTransport(protocol)
    transport.connection_made(native)
    transport.data_received(b"ab")
    assert protocol.told == ["made", b"ab"]
    assert protocol.transport is transport  # type: ignore[comparison-overlap]
    assert native.did == [("limits", HIGH_WATER)]
    assert verifyObject(ITCPTransport, transport)
    assert verifyObject(IConsumer, transport)


def test_encrypted_connections_say_how() -> None:
    transport, native = connected(Plain())
    assert encryption_of(transport) is None
    cipher: list[Any] = [None]
    native._about["ssl_object"] = SimpleNamespace(version=lambda: "TLSv1.2", cipher=lambda: cipher[0])
    assert encryption_of(transport) is None
    cipher[0] = ("ECDHE-RSA-AES128-GCM-SHA256", "TLSv1.2", 128)
    assert encryption_of(transport) == ("1.2", "ECDHE-RSA-AES128-GCM-SHA256")
    assert encryption_of(StringTransport()) is None


@pytest.mark.parametrize("kind", [TLSTransport, EncryptedTransport])
def test_what_was_encrypted_is_read_to_one_place_and_kept_when_the_next_comes(
    kind: type[TLSTransport],
) -> None:
    # The loops read like this only where it is one of theirs, and not of the other kind as well.
    assert issubclass(kind, asyncio.BufferedProtocol)
    assert not issubclass(kind, asyncio.Protocol)
    protocols = Plain(), Plain()
    for protocol, data in zip(protocols, (b"abc", b"de"), strict=True):
        transport = kind(protocol)
        transport.get_buffer(2)[: len(data)] = data
        transport.buffer_updated(len(data))
    assert [protocol.told for protocol in protocols] == [[b"abc"], [b"de"]]


def test_octets_go_straight_to_the_native_transport() -> None:
    transport, native = connected(Plain())
    transport.write(b"a")
    transport.writeSequence([b"b", b"c"])
    assert native.did == [b"a", b"b", b"c"]
    native.buffered = 7
    assert (transport.unsent(), unsent(transport)) == (7, 7)
    assert unsent(StringTransport()) == 0


@pytest.mark.parametrize(
    "method, done",
    [("loseConnection", "close"), ("abortConnection", "abort"), ("stopProducing", "close")],
)
def test_ways_to_close(method: str, done: str) -> None:
    transport, native = connected(Plain())
    getattr(transport, method)()
    assert native.did == [done]
    assert transport.disconnecting


def test_closed_connection_is_freed_without_the_collector() -> None:
    """Were each of them garbage, the collector would have to look at a hundred thousand routers to free them."""
    gc.disable()
    try:
        protocol = Plain()
        transport, _ = connected(protocol)
        transport.data_received(b"a")
        transport.connection_lost(None)
        assert protocol.told == ["made", b"a", error.ConnectionDone]
        freed = weakref.ref(protocol)
        del protocol, transport, _
        assert freed() is None
    finally:
        gc.enable()


class Watched(TLSTransport):
    """One that can be referred to weakly."""


class FakeTLS(FakeNative):
    """A native transport with TLS: it keeps the methods of its protocol, as uvloop's do."""

    def set_protocol(self, protocol: Any) -> None:
        self.kept = protocol.get_buffer, protocol.buffer_updated


def test_closed_connection_with_tls_is_freed_without_the_collector() -> None:
    gc.disable()
    try:
        protocol, native = Plain(), FakeTLS()
        transport = Watched(protocol)
        native.set_protocol(transport)
        transport.connection_made(native)
        transport.connection_lost(None)
        assert protocol.told == ["made", error.ConnectionDone]
        freed = weakref.ref(transport)
        del protocol, transport, native
        assert freed() is None
    finally:
        gc.enable()


def test_half_close_where_it_can_be_done() -> None:
    transport, native = connected(Plain())
    transport.loseWriteConnection()
    assert native.did == ["write_eof"]
    native.closing = True
    transport.loseWriteConnection()
    other, encrypted = connected(Plain(), half_close=False)
    other.loseWriteConnection()
    assert (native.did, encrypted.did) == (["write_eof"], [])


def test_end_of_the_other_side_is_told_to_who_understands_it() -> None:
    transport, _ = connected(halves := Halves())
    assert transport.eof_received() is True
    assert halves.told == ["made", "no more to read"]
    encrypted, _ = connected(Halves(), half_close=False)
    plain, _ = connected(Plain())
    assert (encrypted.eof_received(), plain.eof_received()) == (False, False)


def test_connection_that_is_closing_is_not_kept_open_for_its_other_half() -> None:
    transport, _ = connected(Halves())
    transport.loseConnection()
    assert transport.eof_received() is False


@pytest.mark.parametrize(
    "why, told", [(None, error.ConnectionDone), (ConnectionResetError("x"), error.ConnectionLost)]
)
def test_end_is_told_once_and_nothing_after_it(why: Exception | None, told: type) -> None:
    transport, _ = connected(protocol := Plain())
    producer = Pausing()
    transport.registerProducer(producer, True)
    transport.connection_lost(why)
    transport.pause_writing()
    assert protocol.told == ["made", told]
    assert producer.told == []


def test_reading_pauses_and_resumes_once_and_never_on_a_closing_one() -> None:
    transport, native = connected(Plain())
    transport.resumeProducing()
    transport.pauseProducing()
    transport.pauseProducing()
    transport.resumeProducing()
    assert native.did == ["pause_reading", "resume_reading"]
    transport.pauseProducing()
    native.closing = True
    transport.resumeProducing()
    transport.pauseProducing()
    assert native.did == ["pause_reading", "resume_reading", "pause_reading"]


def test_producer_is_paused_as_the_loop_says() -> None:
    transport, _ = connected(Plain())
    transport.pause_writing()
    transport.resume_writing()
    producer = Pausing()
    transport.registerProducer(producer, True)
    transport.pause_writing()
    transport.resume_writing()
    transport.unregisterProducer()
    transport.pause_writing()
    assert producer.told == ["pause", "resume"]


@pytest.mark.parametrize(
    "peer, address",
    [
        (("192.0.2.1", 40000), IPv4Address("TCP", "192.0.2.1", 40000)),
        (("2001:db8::1", 5, 1, 2), IPv6Address("TCP", "2001:db8::1", 5, 1, 2)),
        (None, IPv4Address("TCP", "", 0)),
    ],
)
def test_addresses_of_both_sides(peer: Any, address: object) -> None:
    transport, _ = connected(Plain(), peer=peer)
    assert transport.getPeer() == address
    assert transport.getHost() == IPv4Address("TCP", "192.0.2.9", 80)


def test_options_of_the_socket() -> None:
    transport, native = connected(Plain())
    assert (transport.getTcpNoDelay(), transport.getTcpKeepAlive()) == (False, False)
    transport.setTcpNoDelay(True)
    transport.setTcpKeepAlive(True)
    assert (transport.getTcpNoDelay(), transport.getTcpKeepAlive()) == (True, True)
    assert native.options == {
        (socket.IPPROTO_TCP, socket.TCP_NODELAY): 1,
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    }


class FakeServer:
    """What a loop gives for a listening socket."""

    closed = False

    def close(self) -> None:
        self.closed = True


class Loop(asyncio.SelectorEventLoop):
    """A loop that makes fake servers and connections; ``outcome`` says how connecting ends."""

    outcome: Exception | str = "connects"

    def __init__(self) -> None:
        super().__init__()
        self.server = FakeServer()
        self.asked: dict[str, Any] = {}
        self.made: list[FakeNative] = []

    async def create_server(self, factory: Any, **asked: Any) -> Any:  # type: ignore[override]
        self.asked, self.factory = asked, factory
        return self.server

    async def create_connection(self, factory: Any, *where: Any, **asked: Any) -> Any:  # type: ignore[override]
        self.asked = {"where": where, **asked}
        if self.outcome == "hangs":
            await self.create_future()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        self.made.append(FakeNative())
        factory().connection_made(self.made[-1])

    def turn(self) -> None:
        """Let what is due happen."""
        for _ in range(5):
            self.run_until_complete(_nothing())


async def _nothing() -> None:
    """Takes one turn of the loop."""
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, None)
    await future


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    names._of_loops[made] = names.Names(made, lambda host: ("192.0.2.7",), lambda look: look())
    yield made
    made.close()


def on(loop: Loop) -> Any:
    """A reactor that runs on this loop."""
    return SimpleNamespace(_asyncioEventloop=loop)


def test_reactors_with_and_without_a_loop(loop: Loop) -> None:
    assert loop_of(on(loop)) is loop
    assert loop_of(MemoryReactorClock()) is None


def test_listening_on_a_loop_and_stopping(loop: Loop) -> None:
    sock: Any = object()
    listener = listen(on(loop), sock, Factory.forProtocol(Plain))
    loop.turn()
    assert loop.asked == {"sock": sock, "backlog": 4096}
    assert isinstance(loop.factory()._protocol, Plain)
    assert not loop.server.closed
    listener.stopListening()
    assert loop.server.closed


def test_listening_with_tls(loop: Loop) -> None:
    answer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    termination = SimpleNamespace(
        first_answer=lambda options: answer, wrapped=lambda factory, reactor, options: "wrapped"
    )
    listen(on(loop), object(), Factory.forProtocol(Plain), Encryption(termination, 7.0))  # type: ignore[arg-type]
    loop.turn()
    assert "ssl" not in loop.asked
    session = loop.factory()
    assert session.get_extra_info("ssl_object").context is answer
    transport = session._inside
    native = FakeNative(half_close=False)
    transport.connection_made(native)
    transport.loseWriteConnection()
    assert native.did[-1] == "close"
    assert transport.disconnecting
    assert Encryption(termination, 0).times["ssl_handshake_timeout"] > 3600
    reactor = MemoryReactorClock()
    taken: list[Any] = []
    reactor.adoptStreamPort = lambda *about: taken.append(about)  # type: ignore[method-assign]
    sock: Any = SimpleNamespace(fileno=lambda: 7, family=socket.AF_INET, close=lambda: None)
    listen(reactor, sock, Factory(), Encryption(termination, 7.0))
    assert taken == [(7, socket.AF_INET, "wrapped")]


def test_stopping_before_the_loop_has_begun_to_listen(loop: Loop) -> None:
    listener = listen(on(loop), object(), Factory.forProtocol(Plain))  # type: ignore[arg-type]
    listener.stopListening()
    loop.turn()
    assert loop.server.closed


def test_listening_without_a_loop_takes_the_socket_over() -> None:
    reactor = MemoryReactorClock()
    taken: list[Any] = []
    reactor.adoptStreamPort = lambda *about: taken.append(about)  # type: ignore[method-assign]
    sock: Any = SimpleNamespace(fileno=lambda: 7, family=socket.AF_INET, close=lambda: taken.append("closed"))
    factory = Factory()
    listen(reactor, sock, factory)
    assert taken == [(7, socket.AF_INET, factory), "closed"]


def connecting(reactor: Any, **about: Any) -> tuple[Plain, list[Any]]:
    """A protocol, and what its connecting gave so far."""
    protocol, results = Plain(), []
    attempt = connect(reactor, "web.example", 8080, protocol, **{"timeout": 3.0, **about})
    attempt.addBoth(results.append)
    connecting.last = attempt  # type: ignore[attr-defined]
    return protocol, results


def test_connecting_on_a_loop(loop: Loop) -> None:
    protocol, results = connecting(on(loop))
    assert results == []
    loop.turn()
    assert results == [protocol]
    assert protocol.told == ["made"]
    assert loop.asked == {"where": ("192.0.2.7", 8080), "ssl": None, "server_hostname": None}


def test_connecting_to_an_address_asks_nobody(loop: Loop) -> None:
    connect(on(loop), "192.0.2.8", 8080, Plain(), timeout=3.0)
    loop.turn()
    assert loop.asked["where"] == ("192.0.2.8", 8080)


def test_connecting_with_tls_names_the_server(loop: Loop) -> None:
    context = ssl.create_default_context()
    connecting(on(loop), tls=context)
    loop.turn()
    assert (loop.asked["ssl"], loop.asked["server_hostname"]) == (context, "web.example")
    connecting(on(loop), tls=context, server_name="other.example")
    loop.turn()
    assert loop.asked["server_hostname"] == "other.example"


def test_connecting_fails_as_the_loop_does(loop: Loop) -> None:
    loop.outcome = ConnectionRefusedError("no")
    _, results = connecting(on(loop))
    loop.turn()
    assert results[0].check(ConnectionRefusedError)


def test_connecting_takes_no_longer_than_allowed(loop: Loop) -> None:
    loop.outcome = "hangs"
    _, results = connecting(on(loop), timeout=0.0)
    loop.turn()
    assert results[0].check(TimeoutError)


def test_connecting_can_be_cancelled(loop: Loop) -> None:
    loop.outcome = "hangs"
    _, results = connecting(on(loop))
    loop.turn()
    connecting.last.cancel()  # type: ignore[attr-defined]
    loop.turn()
    assert len(results) == 1
    assert isinstance(results[0], Failure)
