"""A relay that does nothing else: the least that Python and uvloop need for a request. ``python -m bench.bare``.

It reads no heads, checks nothing, chooses nothing, keeps no log and no figures: octets of a client go to a kept
connection to the origin, and back. What it costs is the floor for a proxy on this loop without C of its own.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from typing import Any

import uvloop


class Server(asyncio.Protocol):
    """A kept connection to the origin; ``client`` is who has it, else it is among the ``idle`` ones."""

    client: Client | None = None

    def __init__(self, idle: list[Server]) -> None:
        self._idle = idle

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.client is not None:
            self.client.answer(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self.client is not None:
            self.client.transport.close()
        elif self in self._idle:
            self._idle.remove(self)


class Client(asyncio.Protocol):
    """A client's connection, with one to the origin for as long as it lasts."""

    server: Server | None = None
    #: What is left of the only answer, where the client wants one; None: it stays.
    left: int | None = None
    closes = False

    def __init__(self, idle: list[Server], origin: int) -> None:
        self._idle = idle
        self._origin = origin
        self._early = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self._idle:
            self.server = self._idle.pop()
            self.server.client = self
        else:
            self._connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, server = await loop.create_connection(lambda: Server(self._idle), "127.0.0.1", self._origin)
        server.client, self.server = self, server
        if self._early:
            server.transport.write(self._early)

    def data_received(self, data: bytes) -> None:
        if b"\r\nConnection: close\r\n" in data:
            self.closes = True
            data = data.replace(b"\r\nConnection: close\r\n", b"\r\n")
        if self.server is None:
            self._early += data
        else:
            self.server.transport.write(data)

    def answer(self, data: bytes) -> None:
        """Some of it came."""
        if self.closes and self.left is None:
            data = data.replace(b"\r\nConnection: keep-alive\r\n", b"\r\nConnection: close\r\n", 1)
        self.transport.write(data)
        if self.closes:
            if self.left is None:
                head, _, rest = data.partition(b"\r\n\r\n")
                length = head.partition(b"Content-Length: ")[2].partition(b"\r")[0]
                self.left = int(length) - len(rest)
            else:
                self.left -= len(data)
            if not self.left:
                self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        server, self.server = self.server, None
        if server is not None:
            server.client = None
            if not server.transport.is_closing():
                self._idle.append(server)


async def serve(port: int, origin: int) -> None:
    """Until somebody ends the process."""
    idle: list[Server] = []
    server = await asyncio.get_running_loop().create_server(
        lambda: Client(idle, origin), "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


def main(argv: Sequence[str] | None = None) -> None:
    """Serve."""
    parser = argparse.ArgumentParser(prog="python -m bench.bare", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("origin", type=int)
    wanted = parser.parse_args(argv)
    uvloop.run(serve(wanted.port, wanted.origin))


if __name__ == "__main__":
    main()
