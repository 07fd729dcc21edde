"""Twisted protocols on the event loop's own transports.

Twisted's asyncio reactor only asks its loop which sockets are ready and moves the bytes itself, in Python. Here an
ordinary Twisted ``Protocol`` listens and connects on the loop's *native* transports instead, which on uvloop are C. The
adapter between them hands bound methods over, so it costs nothing per byte; where the reactor has no loop (epoll), the
same protocols run on Twisted's transports.

The adapter offers what protocols use of ``ITCPTransport`` and ``IConsumer``: write, close in three ways, addresses,
pausing, one streaming producer.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from twisted.internet import defer, error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IConsumer, IHalfCloseableProtocol, ITCPTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from dynbalancer.core.model import TLSOptions
from dynbalancer.core.tlschoice import BUILT_IN
from dynbalancer.proxy.names import connect_by_name
from dynbalancer.proxy.terminating import sessions

_CLOSED = Failure(error.ConnectionDone())
_CLOSED.cleanFailure()

#: As long as the loop can be told, in seconds.
_NEVER = 86400.0

#: How much may wait in a transport before its producer is paused, in bytes. One read more than that is held at most.
HIGH_WATER = 16384


def loop_of(reactor: Any) -> asyncio.AbstractEventLoop | None:
    """The asyncio loop that a reactor runs on, or None (epoll, poll, select)."""
    return getattr(reactor, "_asyncioEventloop", None)


def clock_of(reactor: Any) -> Callable[[], float]:
    """Monotonic seconds. Where the reactor has a loop, not the loop's own: that is kept to milliseconds, and dear."""
    return time.monotonic if loop_of(reactor) is not None else reactor.seconds


@implementer(ITCPTransport, IConsumer)
class NativeTransport(asyncio.BaseProtocol):
    """One connection on a native transport: asyncio's protocol on one side, Twisted's transport on the other."""

    __slots__ = (
        "_native",
        "_producer",
        "_protocol",
        "_read_ended",
        "_reading_paused",
        "_write_ended",
        "data_received",
        "disconnecting",
        "peer",
        "write",
        "writeSequence",
    )

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        # uvloop looks this up once, when the transport is made: it must be the final method by now.
        self.data_received: Callable[[bytes], None] = protocol.dataReceived
        self._native: Any = None
        self._producer: Any = None
        self._reading_paused = False
        self._read_ended = self._write_ended = False
        self.disconnecting = False
        #: Who it comes from, where that is not who made it.
        self.peer: IPv4Address | IPv6Address | None = None

    # What the loop calls.

    def connection_made(self, transport: Any) -> None:
        self._native = transport
        self.write = transport.write
        self.writeSequence = transport.writelines
        transport.set_write_buffer_limits(high=HIGH_WATER)
        self._protocol.makeConnection(self)

    def eof_received(self) -> bool:
        if IHalfCloseableProtocol.providedBy(self._protocol) and self._native.can_write_eof():
            self._read_ended = True
            cast(Any, self._protocol).readConnectionLost()
            # With both halves closed nothing can come any more: the loop would keep such a socket for ever.
            return not (self.disconnecting or self._write_ended)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.disconnecting = True
        self._producer = None
        protocol, self._protocol = self._protocol, _NOBODY
        # Or this and the protocol would keep each other until the collector looks for such pairs.
        self.data_received = _NOBODY.dataReceived
        protocol.connectionLost(_CLOSED if exc is None else Failure(error.ConnectionLost(str(exc))))

    def pause_writing(self) -> None:
        if self._producer is not None:
            self._producer.pauseProducing()

    def resume_writing(self) -> None:
        if self._producer is not None:
            self._producer.resumeProducing()

    # What the protocol calls.

    def loseConnection(self, *_: object) -> None:
        """Close when everything written has left."""
        self.disconnecting = True
        self._native.close()

    def abortConnection(self) -> None:
        """Close now; what wasn't sent is dropped, and the peer sees a reset where data was left."""
        self.disconnecting = True
        self._native.abort()

    def reset(self) -> None:
        """Close now, so that the peer can't take it for an ordinary end."""
        if not self._native.is_closing():
            self._socket().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
        self.abortConnection()

    def loseWriteConnection(self) -> None:
        """Send FIN after what was written; go on reading if there can be more to read."""
        if self._read_ended:
            self.loseConnection()
        elif self._native.can_write_eof() and not self._native.is_closing():
            self._write_ended = True
            self._native.write_eof()

    def detach(self) -> Any:
        """The native transport, for somebody else to go on with. It is not read from until then."""
        self._protocol = _NOBODY
        self._native.pause_reading()
        return self._native

    def go_on_with(self, protocol: Protocol) -> None:
        """Connect another protocol; the one before hears no more of this connection."""
        self._protocol = protocol
        self.data_received = protocol.dataReceived
        # The loop looks that up when it is told, and then no more.
        self._native.set_protocol(self)
        protocol.makeConnection(self)

    def about(self, name: str) -> Any:
        """What the loop knows of it: see ``get_extra_info`` of its transports."""
        return self._native.get_extra_info(name)

    def encryption(self) -> tuple[str, str] | None:
        """Version and cipher, where the connection is encrypted."""
        found = self._native.get_extra_info("ssl_object")
        if found is None or found.cipher() is None:
            return None
        return (found.version() or "").removeprefix("TLSv"), found.cipher()[0]

    def unsent(self) -> int:
        """Octets written that the kernel has not taken yet."""
        return int(self._native.get_write_buffer_size())

    def pauseProducing(self) -> None:
        """Read no more for now."""
        if not self._reading_paused and not self._native.is_closing():
            self._reading_paused = True
            self._native.pause_reading()

    def resumeProducing(self) -> None:
        """Read on."""
        if self._reading_paused:
            self._reading_paused = False
            if not self._native.is_closing():
                self._native.resume_reading()

    def stopProducing(self) -> None:
        """See IPushProducer."""
        self.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Pause and resume ``producer`` as the peer takes what is written. Only streaming ones."""
        assert streaming
        self._producer = producer

    def unregisterProducer(self) -> None:
        """See IConsumer."""
        self._producer = None

    def getPeer(self) -> IPv4Address | IPv6Address:
        """Address and port of the other side."""
        return self.peer or _address(self._native.get_extra_info("peername"))

    def getHost(self) -> IPv4Address | IPv6Address:
        """Address and port of this side."""
        return _address(self._native.get_extra_info("sockname"))

    def _socket(self) -> Any:
        return self._native.get_extra_info("socket")

    def fileno(self) -> int:
        """The number of the file descriptor; -1 where it is closed."""
        return int(self._socket().fileno())

    def getTcpNoDelay(self) -> bool:
        """Is Nagle's algorithm off? The loop switches it off for every connection."""
        return bool(self._socket().getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Switch Nagle's algorithm off or on."""
        self._socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(enabled))

    def getTcpKeepAlive(self) -> bool:
        """Are probes sent on an idle connection?"""
        return bool(self._socket().getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Switch probes on an idle connection on or off."""
        self._socket().setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(enabled))


#: Where what was encrypted is read to, by whoever is at it. The loop would take as much anew for every single read.
_READ = memoryview(bytearray(256 * 1024))


class TLSTransport(NativeTransport, asyncio.BufferedProtocol):
    """A connection with TLS."""

    __slots__ = ()

    def get_buffer(self, sizehint: int) -> memoryview:
        return _READ

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(_READ[:nbytes]))

    def connection_lost(self, exc: Exception | None) -> None:
        # What is below keeps these methods for good, and so both would stay until the collector looks for such pairs.
        self._native.set_protocol(_NOWHERE)
        super().connection_lost(exc)


class ServedTransport(NativeTransport):
    """A client's connection with TLS, which can't be half-closed."""

    __slots__ = ()

    def loseWriteConnection(self) -> None:
        """Close when everything written has left. What the peer still sends is thrown away until it closes too."""
        self.loseConnection()


class EncryptedTransport(TLSTransport, ServedTransport):
    """The same where the loop's own TLS is below, as for what began without TLS."""

    __slots__ = ()


_NOBODY = Protocol()
_NOWHERE = TLSTransport(_NOBODY)
#: For SO_LINGER: closing drops what is unsent and sends a reset.
_NO_LINGERING = struct.pack("ii", 1, 0)


def _address(found: Any) -> IPv4Address | IPv6Address:
    if not found:
        return IPv4Address("TCP", "", 0)
    if len(found) == 4:
        return IPv6Address("TCP", found[0], found[1], found[2], found[3])
    return IPv4Address("TCP", found[0], found[1])


def unsent(transport: Any) -> int:
    """Octets written to either kind of transport that the kernel has not taken yet."""
    if isinstance(transport, NativeTransport):
        return transport.unsent()
    return len(getattr(transport, "dataBuffer", b"")) + getattr(transport, "_tempDataLen", 0)


def descriptor(transport: Any) -> int:
    """The number of the file descriptor of either kind of transport; -1 where it is closed, or has none."""
    if isinstance(transport, NativeTransport):
        return transport.fileno()
    fileno = getattr(transport, "fileno", None)
    return -1 if fileno is None else int(fileno())


def encryption_of(transport: Any) -> tuple[str, str] | None:
    """Version and cipher of an encrypted connection on either kind of transport (``1.3``), None for a plain one."""
    if isinstance(transport, NativeTransport):
        return transport.encryption()
    connection = getattr(transport, "_tlsConnection", None)
    if connection is None or not connection.get_cipher_name():
        return None
    return connection.get_protocol_version_name().removeprefix("TLSv"), connection.get_cipher_name()


def reset(transport: Any) -> None:
    """Close either kind of transport now, with a reset: Twisted's own do that whenever they abort."""
    if isinstance(transport, NativeTransport):
        transport.reset()
    else:
        transport.abortConnection()


@dataclass(frozen=True, slots=True)
class Encryption:
    """How connections are encrypted: by whom, how many seconds a handshake may take (0: any time), by which options."""

    termination: Any
    handshake_time: float
    options: TLSOptions = BUILT_IN

    def by(self, options: TLSOptions) -> Encryption:
        """The same by these options."""
        return replace(self, options=options)

    @property
    def first_answer(self) -> ssl.SSLContext:
        """The context that handshakes begin with."""
        return cast(ssl.SSLContext, self.termination.first_answer(self.options))

    def wrapped(self, factory: Factory, reactor: Any) -> Any:
        """The factory for Twisted's own transports."""
        return self.termination.wrapped(factory, reactor, self.options)

    @property
    def times(self) -> dict[str, float]:
        """How long things may take, as the loop wants to be told."""
        # The end has no limit here: whoever closes has a deadline of its own.
        return {"ssl_handshake_timeout": self.handshake_time or _NEVER, "ssl_shutdown_timeout": _NEVER}


class NativeListener:
    """A listening socket on the loop; ``stopListening`` as Twisted's ports have it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, factory: Factory, tls: Encryption | None
    ) -> None:
        self._server: asyncio.AbstractServer | None = None
        self._stopped = False
        make = NativeTransport if tls is None else ServedTransport
        # Without casts: for each connection a call is too much.
        build: Any = factory.buildProtocol

        def connection() -> NativeTransport:
            return make(build(None))

        accepted = (
            connection if tls is None else sessions(loop, tls.first_answer, connection, tls.handshake_time)
        )
        self._starting = loop.create_task(loop.create_server(accepted, sock=sock, backlog=4096))
        self._starting.add_done_callback(self._started)

    def _started(self, task: asyncio.Task[asyncio.AbstractServer]) -> None:
        self._server = task.result()
        if self._stopped:
            self._server.close()

    def stopListening(self) -> None:
        """Accept no more. Connections go on."""
        self._stopped = True
        if self._server is not None:
            self._server.close()


def listen(reactor: Any, sock: socket.socket, factory: Factory, tls: Encryption | None = None) -> Any:
    """Accept connections on a bound, listening, non-blocking socket. Gives something with ``stopListening``.

    The factory's ``buildProtocol`` gets no address on a native transport: ask the transport. With ``tls`` protocols
    of native transports are connected when the handshake is over; those of Twisted's at once.
    """
    loop = loop_of(reactor)
    if loop is not None:
        return NativeListener(loop, sock, factory, tls)
    wrapped = factory if tls is None else tls.wrapped(factory, reactor)
    port = reactor.adoptStreamPort(sock.fileno(), sock.family, wrapped)
    sock.close()
    return port


def connect(
    reactor: Any,
    host: str,
    port: int,
    protocol: Protocol,
    *,
    timeout: float,
    tls: ssl.SSLContext | None = None,
    server_name: str | None = None,
) -> defer.Deferred[Protocol]:
    """Connect ``protocol`` to a TCP port, with TLS where a client context is given.

    It fires with the protocol once connected; it fails with TimeoutError after ``timeout`` seconds, OSError
    (also ssl.SSLError) or a ConnectError.
    """
    loop = loop_of(reactor)
    if loop is not None:
        return _connect_native(loop, host, port, protocol, timeout, tls, server_name)
    # Not before here: a loop needs nothing of it.
    from dynbalancer.proxy.endpoints import connect_by_endpoint

    return connect_by_endpoint(reactor, host, port, protocol, timeout, tls, server_name)


def _connect_native(
    loop: asyncio.AbstractEventLoop,
    host: str,
    port: int,
    protocol: Protocol,
    timeout: float,
    tls: ssl.SSLContext | None,
    server_name: str | None,
) -> defer.Deferred[Protocol]:
    make = NativeTransport if tls is None else TLSTransport
    name = (server_name or host) if tls is not None else None

    def connect_to(address: str) -> Awaitable[Any]:
        return loop.create_connection(lambda: make(protocol), address, port, ssl=tls, server_hostname=name)

    async def connecting() -> Protocol:
        async with asyncio.timeout(timeout):
            await connect_by_name(loop, host, connect_to)
        return protocol

    return defer.Deferred.fromFuture(loop.create_task(connecting()))
