"""TLS on a connection of which octets have been read already."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from twisted.internet import defer
from twisted.internet.protocol import Factory, Protocol

from dynbalancer.proxy.transports import EncryptedTransport, Encryption, loop_of


def encrypt(
    reactor: Any, transport: Any, data: bytes, factory: Factory, tls: Encryption
) -> defer.Deferred[None]:
    """Let a connection go on with TLS and a protocol of ``factory``; ``data`` has been read of it already.

    Whoever had the transport must not use it any more. The Deferred fires when the handshake is over; it fails with
    OSError (also ssl.SSLError) where that did not succeed, and then the connection is closed.
    """
    loop = loop_of(reactor)
    if loop is not None:
        encrypting = _encrypt_native(loop, transport.detach(), transport.peer, data, factory, tls)
        return defer.Deferred.fromFuture(loop.create_task(encrypting))
    transport.unregisterProducer()
    protocol = tls.wrapped(factory, reactor).buildProtocol(transport.getPeer())
    transport.protocol = protocol
    protocol.makeConnection(transport)
    if data:
        protocol.dataReceived(data)
    return defer.succeed(None)


class _Early(asyncio.Protocol):
    """Keeps what comes before the protocol it is for is connected."""

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.lost = False

    def data_received(self, data: bytes) -> None:
        self.data.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


async def _encrypt_native(
    loop: asyncio.AbstractEventLoop, native: Any, peer: Any, data: bytes, factory: Factory, tls: Encryption
) -> None:
    early = _Early()
    start_tls: Any = loop.start_tls
    starting = loop.create_task(start_tls(native, early, tls.first_answer, server_side=True, **tls.times))
    # Now the loop's own protocol for TLS gets the transport; in the next turn it may be fed.
    await asyncio.sleep(0)
    loop.call_soon(_feed, native, data)
    encrypted: Any = await starting
    if early.lost:
        return
    transport = EncryptedTransport(cast(Protocol, factory.buildProtocol(cast(Any, None))))
    transport.peer = peer
    encrypted.set_protocol(transport)
    transport.connection_made(encrypted)
    for part in early.data:
        transport.data_received(part)


def _feed(native: Any, data: bytes) -> None:
    """Give data to a transport's protocol as if it had just come."""
    protocol = native.get_protocol()
    while data and not native.is_closing():
        room = protocol.get_buffer(len(data))
        part, data = data[: len(room)], data[len(room) :]
        room[: len(part)] = part
        protocol.buffer_updated(len(part))
