"""Processes that end under load: a worker that is killed, and a balancer that is told to stop."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from balancer import Balancer, Start
from dose import Dose
from eventually import LONG, eventually
from hosts import bound, routes
from rawclient import Client, Closed, request
from rawserver import Peer, RawServer, answer

HOST = "end.test"


def slowly(peer: Peer) -> None:
    """Answer each request after a while that its path names, in milliseconds."""
    while (asked := peer.request()) is not None:
        time.sleep(int(asked.path[1:]) / 1000)
        peer.send(answer(asked.path.encode()))


@pytest.fixture
def server() -> Iterator[RawServer]:
    """A server that takes its time."""
    started = RawServer(bound(), slowly).start()
    yield started
    started.stop()
    assert started.problems == []


@pytest.fixture
def balancer(request: pytest.FixtureRequest, start: Start, server: RawServer, workdir: Path) -> Balancer:
    """One with as many workers as the test wants."""
    (workdir / "routes.yml").write_text(routes({HOST: [server.port]}))
    started: Balancer = start(f"--file.filename={workdir / 'routes.yml'}", f"--workers={request.param}")
    return started


class Arrivals:
    """Clients that each connect anew for every request: when each was answered, and what became of the others."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self._port = port
        self._over = threading.Event()
        self.answered: list[float] = []
        self.refused: list[str] = []
        self.failed: list[str] = []
        self._threads = [threading.Thread(target=self._client) for _ in range(clients)]

    def __enter__(self) -> Arrivals:
        for thread in self._threads:
            thread.start()
        eventually(lambda: len(self.answered) > 20)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(LONG)

    def _client(self) -> None:
        while not self._over.is_set():
            try:
                client = Client(self._port)
            except OSError as error:
                self.refused.append(repr(error))
                continue
            with client:
                try:
                    assert client.ask(HOST, "/5").body == b"/5"
                    self.answered.append(time.monotonic())
                except (OSError, Closed) as error:
                    self.failed.append(repr(error))
            time.sleep(0.002)

    @property
    def longest_gap(self) -> float:
        """The longest time without an answer to anybody."""
        times = sorted(self.answered)
        return max(after - before for before, after in itertools.pairwise(times))


@pytest.mark.parametrize("balancer", [1, 2], indirect=True)
def test_worker_killed_under_load_loses_only_what_it_was_at(balancer: Balancer, dose: Dose) -> None:
    """F46: nothing is refused, and it is back. Those who connect meanwhile wait in the parent's socket."""
    before = balancer.worker_pids()
    with Arrivals(balancer.port, clients=32) as arrivals:
        os.kill(before[0], signal.SIGKILL)
        killed = time.monotonic()
        eventually(lambda: len(set(balancer.worker_pids()) - set(before)) == 1, every=0.01)
        back = time.monotonic() - killed
        eventually(lambda: arrivals.answered[-1] > time.monotonic() - 0.1)
        eventually(lambda: len(arrivals.answered) >= dose(4000, 10_000))
    dose.measured(
        "F46",
        f"{len(arrivals.answered)} connections answered, {len(arrivals.refused)} refused, {len(arrivals.failed)} cut; "
        f"another worker process after {back:.2f} s; longest time without an answer {arrivals.longest_gap:.2f} s",
    )
    assert arrivals.refused == []
    # Each client had at most one request at the worker.
    assert len(arrivals.failed) <= 32
    assert set(before[1:]) <= set(balancer.worker_pids())


@pytest.mark.parametrize("balancer", [1, 2], indirect=True)
def test_sigterm_completes_what_is_in_flight_and_exits_with_0(
    balancer: Balancer, server: RawServer, dose: Dose
) -> None:
    """F49: with those who send nothing whole beside them, who are cut."""
    with contextlib.ExitStack() as stack:
        count = dose(250, 500)
        clients = [stack.enter_context(Client(balancer.port)) for _ in range(count)]
        stuck = [stack.enter_context(Client(balancer.port)) for _ in range(50)]
        for client in stuck:
            client.send(b"GET / HTTP/1.1\r\n")
        idle = stack.enter_context(Client(balancer.port))
        assert idle.ask(HOST, "/0").status == 200
        for client in clients:
            client.send(request(HOST, "/2000"))
        eventually(lambda: len(server.requests) == count + 1)
        begun = time.monotonic()
        balancer.send(signal.SIGTERM)
        assert idle.is_closed()
        replies = [client.reply() for client in clients]
        assert [(reply.status, reply.body, reply.complete) for reply in replies] == [
            (200, b"/2000", True)
        ] * count
        assert all(client.is_closed() for client in clients)
        assert balancer.process.wait(LONG) == 0
        took = time.monotonic() - begun
        dose.measured("F49", f"{count} of {count} completed, ended with 0 after {took:.1f} s")
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", balancer.port)):
        pass


@pytest.mark.parametrize("balancer", [1], indirect=True)
def test_drain_takes_no_further_request_on_a_kept_connection(balancer: Balancer, server: RawServer) -> None:
    """The answer that is under way says so."""
    over = threading.Event()

    def waits(peer: Peer) -> None:
        while (asked := peer.request()) is not None:
            over.wait(LONG)
            peer.send(answer(asked.path.encode()))

    server.behaviour = waits
    with Client(balancer.port) as client:
        client.send(request(HOST, "/first"))
        eventually(lambda: server.requests)
        balancer.send(signal.SIGTERM)
        eventually(lambda: "Ending; " in balancer.output)
        # Or it is told to its worker just now.
        time.sleep(0.5)
        client.send(request(HOST, "/second"))
        over.set()
        reply = client.reply()
        assert (reply.status, reply.closes) == (200, True)
        assert client.is_closed()
    assert balancer.process.wait(LONG) == 0
    assert [asked.path for asked in server.requests] == ["/first"]
