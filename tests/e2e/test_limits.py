"""Limits with real workers: one limit for all of them, and nothing left behind by one that is killed."""

from __future__ import annotations

import http.client
import os
import random
import select
import signal
import socket
import struct
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from balancer import Balancer, Serve, Start
from eventually import LONG, eventually
from web import ask_on

HOST = "limited.example.com"


def limited(directory: Path, port: int, middleware: str) -> Path:
    """Write a dynamic file with one router that has this middleware."""
    path = directory / "routes.yml"
    path.write_text(f"""\
http:
  routers:
    web: {{rule: "Host(`{HOST}`)", service: web, middlewares: [limit]}}
  middlewares:
    limit: {{{middleware}}}
  services:
    web: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{port}"}}]}}}}
""")
    return path


class Clients:
    """Clients that ask for some seconds, each on its own connection, and longer until both codes came often enough."""

    def __init__(self, balancer: Balancer, count: int, seconds: float, often: int) -> None:
        self.codes: Counter[int] = Counter()
        self._balancer = balancer
        self._often = often
        self._begun = time.monotonic()
        self._seconds = seconds
        self._lock = threading.Lock()
        threads = [threading.Thread(target=self._ask) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * LONG)
        self.lasted = time.monotonic() - self._begun

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._balancer.port, timeout=LONG)
        while self._goes_on():
            status = ask_on(connection, HOST).status
            with self._lock:
                self.codes[status] += 1
            time.sleep(random.uniform(0.005, 0.03))
        connection.close()

    def _goes_on(self) -> bool:
        lasted = time.monotonic() - self._begun
        enough = min(self.codes[200], self.codes[429]) >= self._often
        return lasted < self._seconds or (not enough and lasted < LONG)


def holder(balancer: Balancer, port: int) -> int:
    """The worker that has the connection which comes from this port."""
    ends = f":{balancer.port:04X}", f":{port:04X}"
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()]
    (inode,) = [row[9] for row in rows if row[1].endswith(ends[0]) and row[2].endswith(ends[1])]
    for pid in balancer.worker_pids():
        links = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()]
        if f"socket:[{inode}]" in links:
            return pid
    raise AssertionError("no worker has it")


def slow(balancer: Balancer) -> http.client.HTTPConnection:
    """A request whose answer takes a minute, on its way.

    The one before it may still be counted for a moment after its client has the answer: then it is sent again.
    """
    for _ in range(20):
        connection = http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=LONG)
        connection.request("GET", "/slow?ms=60000", headers={"Host": HOST})
        answered, _, _ = select.select([connection.sock], [], [], 0.5)
        if not answered:
            return connection
        assert connection.getresponse().status == 429
        connection.close()
    raise AssertionError("refused again and again")


def leave(connection: http.client.HTTPConnection) -> None:
    """End it with a reset: who ends it orderly may still wait for the answer."""
    if connection.sock is not None:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def port_of(connection: http.client.HTTPConnection) -> int:
    """Where this connection comes from."""
    assert connection.sock is not None
    port: int = connection.sock.getsockname()[1]
    return port


def test_four_workers_admit_a_hundred_a_second_together(start: Start, serve: Serve, workdir: Path) -> None:
    port, _ = serve("blue")
    routes = limited(workdir, port, "rateLimit: {average: 100, sourceCriterion: {requestHost: true}}")
    balancer = start(f"--file.filename={routes}", "--workers=4")
    eventually(lambda: balancer.ask(HOST).status == 200)
    assert len(balancer.worker_pids()) == 4
    found = Clients(balancer, 16, 4.0, often=200)
    codes = found.codes
    assert set(codes) == {200, 429}
    # Four of them by themselves would admit four times as much, and there was more to admit.
    assert codes[200] <= 100 * found.lasted + 5, (codes, found.lasted)
    assert codes[429] >= 200, codes
    # It goes on: at once it admits what comes in a second, at most.
    assert codes[200] >= 200, codes


def test_four_workers_admit_a_number_once_together(start: Start, serve: Serve, workdir: Path) -> None:
    """Where what is granted comes so slowly that none does meanwhile, it is exactly that many."""
    port, _ = serve("blue")
    limit = "rateLimit: {average: 1, period: 24h, burst: 50, sourceCriterion: {requestHost: true}}"
    balancer = start(f"--file.filename={limited(workdir, port, limit)}", "--workers=4")
    # Of another path, or it would be one of them.
    eventually(lambda: any(HOST in one["rule"] for one in balancer.api("/api/http/routers")))
    statuses = Counter(balancer.ask(HOST).status for _ in range(200))
    assert statuses == {200: 50, 429: 150}


def test_what_a_killed_worker_had_in_flight_makes_room(start: Start, serve: Serve, workdir: Path) -> None:
    port, _ = serve("blue")
    routes = limited(workdir, port, "inFlightReq: {amount: 2}")
    balancer = start(f"--file.filename={routes}", "--workers=2")
    eventually(lambda: balancer.ask(HOST).status == 200)
    first = slow(balancer)
    eventually(lambda: holder(balancer, port_of(first)) > 0)
    killed = holder(balancer, port_of(first))
    connections = [slow(balancer)]
    eventually(lambda: balancer.ask(HOST).status == 429)
    with_killed = 1 + (holder(balancer, port_of(connections[0])) == killed)
    os.kill(killed, signal.SIGKILL)
    with pytest.raises((http.client.HTTPException, OSError)):
        first.getresponse()
    eventually(lambda: balancer.ask(HOST).status == 200)
    # Room for what is gone, and no more than that.
    connections += [slow(balancer) for _ in range(with_killed)]
    eventually(lambda: balancer.ask(HOST).status == 429)
    for connection in (first, *connections):
        leave(connection)
    eventually(lambda: balancer.ask(HOST).status == 200)


def test_connections_of_an_address_are_limited_over_all_workers(start: Start) -> None:
    balancer = start(
        "--workers=4",
        "--entrypoints.web.maxconnectionsperaddress=100",
        "--limits.headtime=15m",
        "--limits.idletime=15m",
    )
    clients = [socket.create_connection(("127.0.0.1", balancer.port), timeout=LONG) for _ in range(100)]
    # Who is answered was counted.
    for client in clients:
        client.sendall(b"GET / HTTP/1.1\r\nHost: nobody.example.com\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 404")
    with socket.create_connection(("127.0.0.1", balancer.port), timeout=LONG) as late:
        assert ended(late)
    for client in clients:
        client.sendall(b"GET / HTTP/1.1\r\nHost: nobody.example.com\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 404"
    # From another address there is room.
    with socket.create_connection(("127.0.0.1", balancer.port), source_address=("127.0.0.2", 0)) as other:
        other.sendall(b"GET / HTTP/1.1\r\nHost: nobody.example.com\r\n\r\n")
        assert other.recv(12) == b"HTTP/1.1 404"
    clients.pop().close()
    eventually(lambda: balancer.ask("nobody.example.com").status == 404)
    for client in clients:
        client.close()


def ended(client: socket.socket) -> bool:
    """Whether the other side closes or resets."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True
