"""Load that goes on and on, with tables that change and faults on both sides: what grows, and what does not."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from balancer import Balancer, Start
from dose import Dose
from eventually import LONG, eventually
from hosts import bound, routes
from rawclient import Client, Closed, request
from rawserver import Peer, RawServer, answer
from test_times import resident

HOST, UPSTREAMS, CLIENTS = "soak.test", 4, 8

#: What a server is asked for, how often, and what the client must get to see. The last three are faults.
KINDS = {
    "/small": (600, "200 100"),
    "/large": (100, "200 65536"),
    "/chunked": (200, "200 5"),
    "/body": (80, "200 20000"),
    "/leave": (10, "left"),
    "/dies": (5, "502"),
    "/cut": (5, "cut"),
}


def serving(peer: Peer) -> None:
    """Answer what the path asks for."""
    while (asked := peer.request()) is not None:
        # Or a run of an hour would remember all of it.
        peer.requests.clear()
        peer.received = b""
        if asked.path == "/small":
            peer.send(answer(bytes(100)))
        elif asked.path in ("/large", "/leave"):
            peer.send(answer(bytes(65536)))
        elif asked.path == "/chunked":
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        elif asked.path == "/body":
            peer.send(answer(asked.body))
        elif asked.path == "/cut":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nno more")
            return
        else:
            peer.reset()
            return


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process had at a time, in seconds."""

    at: float
    resident: int
    descriptors: int
    threads: int


class Processes:
    """The parent and its workers, looked at again and again."""

    def __init__(self, balancer: Balancer) -> None:
        self.balancer = balancer
        self._begun = time.monotonic()
        self.looks = 0
        self.samples: dict[int, list[Sample]] = {
            pid: [] for pid in (balancer.process.pid, *balancer.worker_pids())
        }

    def look(self) -> None:
        """One more sample of each."""
        self.looks += 1
        for pid, samples in self.samples.items():
            at = Path(f"/proc/{pid}")
            found = len(list((at / "fd").iterdir())), len(list((at / "task").iterdir()))
            samples.append(Sample(time.monotonic() - self._begun, resident(pid), *found))


def slope(samples: list[Sample]) -> float:
    """By how many octets a second a process grows: the straight line through its samples."""
    mean_at = sum(one.at for one in samples) / len(samples)
    mean = sum(one.resident for one in samples) / len(samples)
    return sum((one.at - mean_at) * (one.resident - mean) for one in samples) / sum(
        (one.at - mean_at) ** 2 for one in samples
    )


class Visitors:
    """Clients that ask for everything there is, at a rate each, until it is over."""

    def __init__(self, port: int, rate: float) -> None:
        self._port = port
        self._pause = 1 / rate
        self._over = threading.Event()
        self.seen: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._threads = [threading.Thread(target=self._visit, args=(one,)) for one in range(CLIENTS)]

    def __enter__(self) -> Visitors:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(LONG)

    def _visit(self, number: int) -> None:
        chance = random.Random(number)
        paths, weights = list(KINDS), [often for often, _ in KINDS.values()]
        client = Client(self._port)
        while not self._over.wait(self._pause):
            [path] = chance.choices(paths, weights)
            try:
                what = self._ask(client, path)
            except (OSError, Closed, AssertionError) as error:
                what = repr(error)
            self.seen[path] += 1
            if what != KINDS[path][1]:
                self.wrong.append(f"{path}: {what}")
            if what in ("left", "cut") or "rror" in what or "Closed" in what or chance.random() < 0.02:
                client.sock.close()
                client = Client(self._port)
        client.sock.close()

    def _ask(self, client: Client, path: str) -> str:
        if path == "/leave":
            client.send(request(HOST, path))
            client.reset()
            return "left"
        if path == "/body":
            reply = client.ask(HOST, path, "POST", body=bytes(20_000))
        else:
            reply = client.ask(HOST, path)
        if not reply.complete:
            return "cut"
        return str(reply.status) + (f" {len(reply.body)}" if reply.status == 200 else "")


@pytest.fixture
def servers() -> Iterator[list[RawServer]]:
    """Some of them."""
    started = [RawServer(bound(), serving).start() for _ in range(UPSTREAMS)]
    yield started
    for server in started:
        server.stop()
    assert [problem for server in started for problem in server.problems] == []


def test_hours_of_load_and_changes_and_faults_leave_nothing_behind(
    start: Start, servers: list[RawServer], workdir: Path, dose: Dose
) -> None:
    """F43: one request of a hundred goes wrong on either side, the table changes every two seconds."""
    file = workdir / "routes.yml"
    ports = [server.port for server in servers]
    chance = random.Random(43)
    others = {f"other{number}.test": ports for number in range(200)}

    def change() -> None:
        new = file.with_suffix(".new")
        new.write_text(routes({HOST: chance.sample(ports, chance.choice((2, 3, 4))), **others}))
        os.replace(new, file)

    change()
    balancer = start(f"--file.filename={file}", "--workers=2")
    processes = Processes(balancer)
    lasts = dose(9, 1200)
    with Visitors(balancer.port, rate=40) as visitors:
        begun = time.monotonic()
        while time.monotonic() - begun < lasts or processes.looks < 4:
            time.sleep(2)
            processes.look()
            change()
            for server in servers:
                # Those that ended, or they would be remembered too.
                server.peers = [peer for peer in server.peers if not peer.finished.is_set()]
    assert visitors.wrong == []
    assert all(visitors.seen[path] for path in KINDS) or not dose.full
    eventually(lambda: balancer.api("/api/statistics")["inFlight"] == 0)
    for pid, samples in processes.samples.items():
        name = "parent" if pid == balancer.process.pid else "worker"
        # What is kept for the next time was not there in the beginning: the first part is left out.
        steady = samples[len(samples) // 3 :]
        thirds = steady[: len(steady) // 2], steady[len(steady) // 2 :]
        grown = [sum(one.resident for one in third) / len(third) for third in thirds]
        most = [max(one.descriptors for one in third) for third in thirds]
        dose.measured(
            "F43",
            f"{name}: {sum(visitors.seen.values())} requests in {lasts} s; resident {samples[0].resident >> 10} KiB "
            f"at first, {grown[0] / 1024:.0f} and {grown[1] / 1024:.0f} in the second and last third, "
            f"{slope(steady) * 3600 / 1048576:+.2f} MiB/h; descriptors at most {most}; "
            f"threads {samples[0].threads} and {samples[-1].threads}",
        )
        # Some seconds are not enough to have taken all that is kept.
        assert grown[1] - grown[0] < dose(12, 4) * 1048576
        # Connections in use at the moment differ; what is lost would add up.
        assert most[1] <= most[0] + 3 * CLIENTS
        assert samples[-1].threads <= samples[0].threads + 3
    assert "Traceback" not in balancer.output
