"""Limits with real workers: one limit for all of them, and nothing left behind by one that is killed."""

from __future__ import annotations

import http.client
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from balancer import Balancer, Serve, Start
from eventually import eventually
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
    """Clients that ask for some seconds, each on its own connection; counts codes by the second of their answer."""

    def __init__(self, balancer: Balancer, count: int, seconds: float) -> None:
        self.codes: Counter[tuple[int, int]] = Counter()
        self._balancer = balancer
        self._begun = time.monotonic()
        self._end = self._begun + seconds
        self._lock = threading.Lock()
        threads = [threading.Thread(target=self._ask) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._balancer.port, timeout=10)
        while time.monotonic() < self._end:
            status = ask_on(connection, HOST).status
            with self._lock:
                self.codes[int(time.monotonic() - self._begun), status] += 1
            time.sleep(random.uniform(0.005, 0.03))
        connection.close()


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
    """A request whose answer takes some seconds, on its way."""
    connection = http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=20)
    connection.request("GET", "/slow?ms=8000", headers={"Host": HOST})
    return connection


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
    found = Clients(balancer, 16, 5.0).codes
    admitted = [found[second, 200] for second in range(5)]
    refused = [found[second, 429] for second in range(5)]
    assert {status for _, status in found} == {200, 429}
    # There was much more to admit, or this would show nothing.
    assert min(refused[1:4]) > 150
    assert 95 * 3 <= sum(admitted[1:4]) <= 105 * 3, admitted
    assert max(admitted) <= 110, admitted


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
    eventually(lambda: balancer.ask(HOST).status == 200, within=15)
    for connection in (first, *connections):
        connection.close()


def test_connections_of_an_address_are_limited_over_all_workers(start: Start) -> None:
    balancer = start("--workers=4", "--entrypoints.web.maxconnectionsperaddress=100")
    clients = [socket.create_connection(("127.0.0.1", balancer.port), timeout=5) for _ in range(100)]
    time.sleep(0.3)
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", balancer.port), timeout=5) as late:
        assert ended(late)
    assert time.monotonic() - begun < 3
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
