"""Both ends of WebSocket connections, for :mod:`bench.tunnels`: a server that sends back what comes, and a client.

``python -m bench.echo serve PORT`` and ``python -m bench.echo load PORT CONNECTIONS SECONDS``. After the handshake both
pass octets: the frames have 100 bytes of payload, and nobody between the two looks into them.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys
import time
from typing import cast

import uvloop

from bench.load import host

TEXT = b"0123456789" * 10
#: A masked binary frame with 100 bytes of payload (RFC 6455 section 5.2), its mask of zeros.
FRAME = struct.pack("!BB4x", 0x82, 0x80 | 100) + TEXT
UPGRADE = (
    b"GET /100 HTTP/1.1\r\nHost: %b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


class Echo(asyncio.Protocol):
    """Answers a plain GET with 100 bytes, switches protocols where asked, and sends back what comes then."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.head = b""
        self.switched = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.switched:
            self.transport.write(data)
            return
        self.head += data
        while b"\r\n\r\n" in self.head:
            head, _, self.head = self.head.partition(b"\r\n\r\n")
            if b"\r\nupgrade: websocket" in head.lower():
                self.switched = True
                self.transport.write(SWITCHED + self.head)
                return
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(TEXT), TEXT))


class Load(asyncio.Protocol):
    """One connection: a frame, its echo, the next frame. Counts echoes in ``counted[0]``."""

    transport: asyncio.Transport

    def __init__(self, counted: list[int], ready: asyncio.Semaphore) -> None:
        self.counted = counted
        self.ready = ready
        self.head: bytes | None = b""
        self.left = len(FRAME)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(UPGRADE % host(0).encode())

    def connection_lost(self, exc: Exception | None) -> None:
        self.counted[1] += 1

    def data_received(self, data: bytes) -> None:
        if self.head is not None:
            self.head += data
            if b"\r\n\r\n" in self.head:
                assert self.head.startswith(b"HTTP/1.1 101 "), self.head[:60]
                self.head = None
                self.ready.release()
            return
        self.left -= len(data)
        if self.left <= 0:
            self.left = len(FRAME)
            self.counted[0] += 1
            self.transport.write(FRAME)


async def serve(port: int) -> None:
    """Until it is ended."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", port, backlog=8192)
    await server.serve_forever()


async def load(port: int, connections: int, seconds: float) -> None:
    """Connect, say ``ready`` and wait for a line, send, print echoes, seconds and how many connections were lost."""
    loop, counted, ready = asyncio.get_running_loop(), [0, 0], asyncio.Semaphore(0)
    made = []
    for _ in range(connections):
        _, protocol = await loop.create_connection(lambda: Load(counted, ready), "127.0.0.1", port)
        await asyncio.wait_for(ready.acquire(), 10)
        made.append(protocol)
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    began = time.monotonic()
    for protocol in made:
        protocol.transport.write(FRAME)
    await asyncio.sleep(seconds)
    # Not in order: nobody waits for a thousand connections to close.
    print(counted[0], time.monotonic() - began, counted[1], flush=True)
    os._exit(0)


if __name__ == "__main__":
    what, *numbers = sys.argv[1:]
    uvloop.run(
        serve(int(numbers[0]))
        if what == "serve"
        else load(int(numbers[0]), int(numbers[1]), float(numbers[2]))
    )
