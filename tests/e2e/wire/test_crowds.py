"""Many bad clients at once, and the good ones beside them."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from balancer import Balancer, Start
from dose import Dose
from eventually import LONG, eventually
from hosts import NewWire, Wire, bound, routes
from rawclient import Client, Closed, Reply, request
from rawserver import Peer, RawServer, answer
from test_connections import together
from test_faults import load, named, statuses, told
from test_times import resident

CROWD = 1000

#: A dose of slow heads: so many clients.
SLOW = 2000


@pytest.fixture
def server() -> Iterator[RawServer]:
    """A good one."""
    started = RawServer(bound(), named("fast")).start()
    yield started
    started.stop()
    assert started.problems == []


@contextlib.contextmanager
def crowd(target: Wire, first: bytes, drip: bytes, count: int) -> Iterator[list[Client]]:
    """So many clients that begin with ``first`` and go on with ``drip``, once a second."""
    over = threading.Event()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(target.client()) for _ in range(count)]
        for client in clients:
            client.send(first)

        def go_on() -> None:
            while not over.wait(1):
                for client in clients:
                    with contextlib.suppress(OSError):
                        client.send(drip)

        dripping = threading.Thread(target=go_on)
        dripping.start()
        try:
            yield clients
        finally:
            over.set()
            dripping.join()


def paced(target: Wire, seconds: float, rate: int = 200) -> list[tuple[float, Reply]]:
    """What becomes of so many requests a second, sent in time whether those before are answered or not."""
    results: list[tuple[float, Reply]] = []
    clients = 20
    begun = time.monotonic()

    def ask(number: int) -> None:
        with target.client() as client:
            for one in range(number, int(seconds * rate), clients):
                due = begun + one / rate
                time.sleep(max(0.0, due - time.monotonic()))
                reply = client.ask(target.host)
                results.append((time.monotonic() - due, reply))

    together(clients, ask)
    return results


def test_slow_heads_hold_up_nobody_and_cost_little(
    start: Start, workdir: Path, server: RawServer, dose: Dose
) -> None:
    """S03: two thousand clients that send a byte a second, and two hundred good requests a second beside them."""
    slow = RawServer(bound()).start()
    file = workdir / "routes.yml"
    file.write_text(routes({"slow.test": [slow.port], "fast.test": [server.port]}))
    seconds = dose(4, 10)
    balancer = start(f"--file.filename={file}", "--workers=1", f"--limits.headtime={seconds}s")
    [worker] = balancer.worker_pids()
    fast = Wire(balancer, "fast.test", [])
    load(fast, 200)
    alone = paced(fast, dose(1, 10))
    before = resident(worker)
    with crowd(fast, b"GET / HTTP/1.1\r\nHost: slow.test\r\nX: ", b"a", SLOW) as clients:
        results = paced(fast, seconds - 1.5)
        each = (resident(worker) - before) / SLOW
        # The deadline of each is kept, whatever else goes on.
        assert [client.reply().status for client in clients] == [408] * SLOW
    slow.stop()
    dose.measured(
        "S03", f"alone {told(alone)}; beside them {told(results)}; {each / 1024:.1f} KiB for each of them"
    )
    assert statuses(results) == {200: len(results)}
    assert each < 16 * 1024
    assert slow.octets == 0


def test_idle_connections_cost_little_and_serve_again(wire: NewWire) -> None:
    target = wire()
    target.serve(named("idle"))
    load(target, 200)
    before = resident(target.worker)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(target.client()) for _ in range(CROWD)]
        for client in clients:
            assert client.ask(target.host, "/once").status == 200
        assert (resident(target.worker) - before) / CROWD < 16 * 1024
        for client in clients:
            assert client.ask(target.host, "/again").body == b"idle /again"


@pytest.mark.parametrize("reset", [True, False])
def test_clients_that_leave_leave_nothing(wire: NewWire, hurried: NewWire, reset: bool) -> None:
    """Half of them in the middle of an answer, half before it began.

    An ordinary close looks like a half-close, after which answers are still wanted: it shows when one is sent.
    """
    target = wire() if reset else hurried()

    def begin(peer: Peer) -> None:
        asked = peer.request()
        if asked is not None and asked.path == "/begun":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx")
        peer.wait_for_end()

    server = target.serve(begin)
    clients = [target.client() for _ in range(100)]
    for number, client in enumerate(clients):
        client.send(request(target.host, "/begun" if number % 2 else "/waiting"))
    eventually(lambda: len(server.requests) == 100)
    # Nobody else would end those that were reset: their limits are a quarter of an hour.
    for client in clients:
        client.reset() if reset else client.sock.close()
    for peer in server.peers:
        assert peer.finished.wait(LONG)
    eventually(lambda: target.balancer.api("/api/statistics")["inFlight"] == 0)


def test_crowd_that_takes_all_descriptors_leaves_some_for_servers(
    start: Start, workdir: Path, dose: Dose
) -> None:
    """F38: who is connected is served, over fresh connections to the server; when the crowd leaves, all are."""

    def once(peer: Peer) -> None:
        if (asked := peer.request()) is not None:
            peer.send(answer(asked.path.encode(), b"Connection: close"))

    server = RawServer(bound(), once).start()
    file = workdir / "routes.yml"
    file.write_text(routes({"few.test": [server.port]}))
    balancer = start(f"--file.filename={file}", "--workers=1", descriptors=256)
    [worker] = balancer.worker_pids()
    with contextlib.ExitStack() as stack:
        good = [stack.enter_context(Client(balancer.port)) for _ in range(20)]
        assert [client.ask("few.test").status for client in good] == [200] * 20
        crowd = [stack.enter_context(Client(balancer.port)) for _ in range(1000)]
        eventually(lambda: refused_for_descriptors(balancer) > 750)
        # It rests, as soon as it is through with all of them.
        share = eventually(lambda: found if (found := share_of(worker)) < 0.2 else None) or 0.0
        taken = descriptors(worker)
        assert taken < 0.85 * 256
        for number in range(10):
            assert [client.ask("few.test", f"/{number}").status for client in good] == [200] * 20
        assert crowd[-1].is_closed()
        left = time.monotonic()
        for client in crowd:
            client.sock.close()
        eventually(lambda: is_served(balancer), every=0.02)
        recovered = time.monotonic() - left
        dose.measured(
            "F38",
            f"{taken} of 256 descriptors, {share:.0%} of a core; the 20 who were there got 220 of 220 answers; "
            f"others are served {recovered:.2f} s after the crowd left",
        )
    server.stop()
    assert server.problems == []


def is_served(balancer: Balancer) -> bool:
    """Whether who connects now is."""
    try:
        with Client(balancer.port) as client:
            return client.ask("few.test").status == 200
    except Closed:
        return False


def refused_for_descriptors(balancer: Balancer) -> int:
    """How many connections were."""
    counted: int = balancer.api("/api/statistics")["refusals"].get("descriptors", 0)
    return counted


def share_of(pid: int) -> float:
    """Which part of a core a process takes, within a second."""
    used, begun = cpu(pid), time.monotonic()
    time.sleep(1)
    # More than nothing, also where the clock of the processes did not tick.
    return max((cpu(pid) - used) / (time.monotonic() - begun), 0.001)


def cpu(pid: int) -> float:
    """Seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(pid: int) -> int:
    """How many a process has."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def slow_readers(target: Wire, count: int, seconds: float) -> int:
    """Have so many for a while, which read a little; how much memory their worker took more meanwhile, at most."""
    before, connected = resident(target.worker), descriptors(target.worker)
    most = 0
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(target.client(receive_buffer=4096)) for _ in range(count)]
        for client in clients:
            client.send(request(target.host))
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            for client in clients:
                # The first time waits until the answer has begun to come: all that is held of it soon is.
                assert client.sock.recv(1000)
            time.sleep(0.1)
            most = max(most, resident(target.worker) - before)
    # They are gone, and so are their connections to the server; others may have come or gone meanwhile.
    eventually(lambda: descriptors(target.worker) < connected + count // 10)
    return most


def test_many_slow_readers_cost_little_each_and_leave_nothing(wire: NewWire, dose: Dose) -> None:
    """F39: what they don't take stays with the server, but for what one read of its connection gave.

    Three crowds, one after the other, cost no more than one: were something kept of each reader, it would be three
    times as much. And when they are gone, what they held goes back to the system.
    """
    target = wire()
    count = dose(100, 500)
    size = 10 * 1024 * 1024

    def plenty(peer: Peer) -> None:
        if peer.request() is not None:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            with contextlib.suppress(OSError):
                while True:
                    peer.send(bytes(65536))

    target.serve(plenty)
    before, peaks = resident(target.worker), [0]

    def grown() -> int:
        return resident(target.worker) - before

    # Who is there for a moment only may go unnoticed, where the worker gets no time just then.
    for seconds in (1, 1, 3, 10):
        already = grown()
        peaks.append(already + slow_readers(target, count, seconds))
        if len(peaks) > 3 and is_so(lambda: grown() < max(peaks) // 2 + 4 * 1048576):
            break
    each = ", ".join(f"{peak / count / 1024:.0f}" for peak in peaks[1:])
    dose.measured(
        "F39", f"{count} readers: {each} KiB each, {grown() / 1048576:+.1f} MiB when they were gone"
    )
    assert max(peaks) < count * 320 * 1024
    # A part of a page may be in use by others: how much of it all there is, is up to the C library.
    assert grown() < max(peaks) // 2 + 4 * 1048576


def is_so(check: Callable[[], bool]) -> bool:
    """Whether it is, or becomes so in some seconds."""
    try:
        return eventually(check, within=5)
    except AssertionError:
        return False
