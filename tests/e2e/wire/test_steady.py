"""Steady load: tables that change under it, and an event loop that never stands still."""

from __future__ import annotations

import contextlib
import os
import random
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from balancer import Balancer, Start
from dose import Dose
from eventually import LONG, eventually
from hosts import NewWire, bound, routes
from rawclient import Client, request
from rawserver import Peer, RawServer, answer
from test_connections import UPGRADE
from test_faults import load, named, statuses

HOST, OTHER = "steady.test", "other.test"
RELOADS, TUNNELS = 100, 50

#: What is a stall where nothing else is said, in seconds.
STALL = 0.05


def serving(peer: Peer) -> None:
    """Answer what is asked, or send back whatever comes through a tunnel."""
    while (asked := peer.request()) is not None:
        if not asked.all(b"upgrade"):
            peer.send(answer(b"ok"))
            continue
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        while (octet := peer.read(1)) is not None:
            peer.send(octet)


@pytest.fixture
def servers() -> Iterator[list[RawServer]]:
    """Three of them."""
    started = [RawServer(bound(), serving).start() for _ in range(3)]
    yield started
    for server in started:
        server.stop()
    assert [problem for server in started for problem in server.problems] == []


class Kept:
    """Clients that ask the same again and again over kept connections, until it is over."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self._port = port
        self._over = threading.Event()
        self.answered = 0
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Kept:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(LONG)

    def _ask(self) -> None:
        try:
            with Client(self._port) as client:
                while not self._over.is_set():
                    reply = client.ask(HOST)
                    assert (reply.status, reply.body, reply.complete, reply.closes) == (
                        200,
                        b"ok",
                        True,
                        False,
                    )
                    self.answered += 1
                    time.sleep(0.001)
        except Exception as problem:
            self.failures.append(repr(problem))


def test_hundred_tables_under_load_lose_no_request_and_no_tunnel(
    start: Start, servers: list[RawServer], workdir: Path, dose: Dose
) -> None:
    """F45: servers come and go with each table. What a client asks again is decided by the newest."""
    file = workdir / "routes.yml"
    ports = [server.port for server in servers]
    chance = random.Random(45)

    def write(*wanted: int) -> None:
        new = file.with_suffix(".new")
        new.write_text(routes({HOST: list(wanted), OTHER: ports}))
        os.replace(new, file)

    def tables() -> int:
        return len(re.findall(r"Table [0-9]+: ", balancer.output))

    write(*ports)
    balancer = start(f"--file.filename={file}", "--workers=2")
    with contextlib.ExitStack() as stack:
        tunnels = [stack.enter_context(Client(balancer.port)) for _ in range(TUNNELS)]
        for tunnel in tunnels:
            tunnel.send(request(HOST, "/", "GET", *UPGRADE))
            assert tunnel.reply().status == 101
        before = tables()
        with Kept(balancer.port) as kept:
            for number in range(RELOADS):
                write(*chance.sample(ports, 1 + number % 3))
                eventually(lambda wanted=before + number + 1: tables() >= wanted, every=0.005)  # type: ignore[misc]
                asked = dose(0, 50_000) * (number + 1) // RELOADS
                eventually(lambda asked=asked: kept.failures or kept.answered >= asked)  # type: ignore[misc]
            eventually(lambda: kept.failures or kept.answered > 1000)
        dose.measured(
            "F45",
            f"{RELOADS} tables, {kept.answered} requests, {len(kept.failures)} failed, {TUNNELS} tunnels go on",
        )
        assert kept.failures == []
        assert tables() >= before + RELOADS - 1
        for tunnel in tunnels:
            tunnel.send(b"x")
            assert tunnel.read(1) == b"x"
    assert "Traceback" not in balancer.output


def test_loop_never_stands_still_in_steady_load(wire: NewWire) -> None:
    """A stall of our own would come with each round. One while the worker waited for a core proves nothing."""
    target = wire()
    target.serve(named("steady"))
    load(target, 200)
    balancer = target.balancer
    before, waited = stalls(balancer), waited_for_a_core(target.worker)
    for _ in range(5):
        assert statuses(load(target, 6000)) == {200: 6000}
        after, waited_after = stalls(balancer), waited_for_a_core(target.worker)
        if after == before or waited_after - waited > STALL * (after - before):
            return
        before, waited = after, waited_after
    raise AssertionError(balancer.output[-4000:])


def waited_for_a_core(pid: int) -> float:
    """How many seconds a process could have run and did not, because others did."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def test_stalls_that_are_there_are_counted(start: Start, servers: list[RawServer], workdir: Path) -> None:
    """Or the test before would find nothing, whatever happened. A large table takes more than ten milliseconds."""
    file = workdir / "routes.yml"
    file.write_text(routes({HOST: [servers[0].port]}))
    balancer = start(f"--file.filename={file}", "--workers=1", "--watchdog.stall=10ms")
    file.write_text(routes({f"h{number}.test": [servers[0].port] for number in range(3000)}))
    eventually(lambda: stalls(balancer) > 0, every=0)


def stalls(balancer: Balancer) -> int:
    """How often the event loop of a worker stood still so far. Workers report once a second."""
    time.sleep(1.2)
    counted: int = balancer.api("/api/statistics")["stalls"]
    return counted
