"""WebSocket and other upgrades pass through, by a client and a server that know nothing of us."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from balancer import Balancer, Serve, Start
from eventually import LONG, eventually
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import Server, ServerConnection
from websockets.sync.server import serve as serve_websocket

FILE = """\
http:
  routers:
    web: {{rule: "Host(`ws.example.com`)", service: web}}
  services:
    web: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{port}"}}]}}}}
"""


def answer(connection: ServerConnection) -> None:
    """Echo every message; close with 4001 when asked to."""
    for message in connection:
        if message == "leave":
            connection.close(4001, "as asked")
            return
        connection.send(message)


def open_tunnels(balancer: Balancer) -> int:
    """What the workers have in flight; they report once a second."""
    count: int = balancer.api("/api/statistics")["inFlight"]
    return count


@pytest.fixture
def echo() -> Iterator[Server]:
    """A WebSocket echo server on loopback."""
    with serve_websocket(answer, "127.0.0.1", 0, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join(LONG)


@pytest.fixture
def balancer(start: Start, echo: Server, workdir: Path) -> Balancer:
    """A balancer that sends ws.example.com to the echo server."""
    (workdir / "ws.yml").write_text(FILE.format(port=echo.socket.getsockname()[1]))
    balancer = start(f"--file.filename={workdir / 'ws.yml'}", "--workers=2")
    # Plain HTTP is no WebSocket: 426 says that the way is open.
    eventually(lambda: balancer.ask("ws.example.com").status == 426)
    return balancer


def test_messages_of_every_size_and_the_close_code_pass_through(balancer: Balancer) -> None:
    with (
        socket.create_connection(("127.0.0.1", balancer.port)) as sock,
        connect("ws://ws.example.com/chat", sock=sock, max_size=None) as client,
    ):
        for message in ("hello", b"\x00\x01" * 100_000, "x" * 1_000_000, ""):
            client.send(message)
            assert client.recv(timeout=LONG) == message
        assert client.ping().wait(LONG)
        eventually(lambda: open_tunnels(balancer) == 1)
        client.send("leave")
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=LONG)
        assert client.close_code == 4001
    eventually(lambda: open_tunnels(balancer) == 0)


def test_many_tunnels_at_once_do_not_mix(balancer: Balancer) -> None:
    socks = [socket.create_connection(("127.0.0.1", balancer.port)) for _ in range(20)]
    with ExitStack() as open_ones:
        clients = [open_ones.enter_context(connect("ws://ws.example.com/", sock=sock)) for sock in socks]
        for number, client in enumerate(clients):
            client.send(f"from {number}")
        answers = [client.recv(timeout=LONG) for client in clients]
    assert answers == [f"from {number}" for number in range(20)]


def test_any_other_upgrade_is_a_tunnel_too(start: Start, serve: Serve, workdir: Path) -> None:
    port, _ = serve("echo")
    (workdir / "up.yml").write_text(FILE.format(port=port))
    balancer = start(f"--file.filename={workdir / 'up.yml'}", "--workers=1")
    eventually(lambda: balancer.ask("ws.example.com").status == 200)
    connection = http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=LONG)
    connection.request(
        "GET", "/", headers={"Host": "ws.example.com", "Connection": "upgrade", "Upgrade": "echo"}
    )
    tunnel = connection.sock
    head = b""
    while b"\r\n\r\n" not in head:
        head += tunnel.recv(4096)
    assert head.startswith(b"HTTP/1.1 101 ")
    tunnel.sendall(b"any bytes")
    assert tunnel.recv(100) == b"any bytes"
    eventually(lambda: open_tunnels(balancer) == 1)

    # Half closed, the other half goes on to the end; then nothing of it is left.
    tunnel.sendall(b"x" * 1_000_000)
    tunnel.shutdown(socket.SHUT_WR)
    received = sum(len(piece) for piece in iter(lambda: tunnel.recv(65536), b""))
    assert received == 1_000_000
    connection.close()
    eventually(lambda: open_tunnels(balancer) == 0)
