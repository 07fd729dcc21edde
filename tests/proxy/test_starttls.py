"""TLS that begins on a connection in use: what had been read of it already belongs to the handshake."""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop
from twisted.internet.protocol import Factory, Protocol

from dynbalancer import pem
from dynbalancer.proxy.starttls import encrypt
from dynbalancer.proxy.transports import Encryption, NativeTransport
from dynbalancer.tls.termination import Termination

OWN = pem.self_signed("a.example", ["a.example"], life=timedelta(days=9))


class Echo(Protocol):
    """Says again what it is told."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class Begins(Protocol):
    """Gives its connection away with the first octets of it."""

    def __init__(self, go_on: Any) -> None:
        self.go_on = go_on

    def dataReceived(self, data: bytes) -> None:
        self.go_on(self.transport, data)


async def after(loop: asyncio.AbstractEventLoop, results: list[Any], client: Any) -> None:
    """Let ``client`` talk over one end of a pair of sockets whose other end is encrypted when something comes."""
    tls = Encryption(Termination(OWN), 5.0)
    reactor = SimpleNamespace(_asyncioEventloop=loop)

    def go_on(transport: Any, data: bytes) -> None:
        encrypt(reactor, transport, data, Factory.forProtocol(Echo), tls).addBoth(results.append)

    near, far = socket.socketpair()
    near.setblocking(False)
    await loop.connect_accepted_socket(lambda: NativeTransport(Begins(go_on)), far)
    await client(near)
    await asyncio.sleep(0.05)


async def talking(near: socket.socket) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(sock=near, ssl=context, server_hostname="a.example")
    for words in (b"hello", b"again"):
        writer.write(words)
        assert await asyncio.wait_for(reader.readexactly(len(words)), 5) == words
    writer.close()


async def babbling(near: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=near)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    # Perhaps an alert, and the end.
    await asyncio.wait_for(reader.read(), 5)
    writer.close()


@pytest.mark.parametrize("make", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("client, failure", [(talking, None), (babbling, ssl.SSLError)])
def test_connection_goes_on_encrypted_or_is_closed(make: Any, client: Any, failure: Any) -> None:
    loop, results = make(), []  # type: ignore[var-annotated]
    try:
        loop.run_until_complete(after(loop, results, client))
    finally:
        loop.close()
    assert [result and result.type for result in results] == [failure]
