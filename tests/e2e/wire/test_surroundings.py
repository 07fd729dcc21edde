"""The machine around it goes wrong: its wall clock jumps, its disk is full, there is more to do than it can."""

from __future__ import annotations

import contextlib
import os
import re
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from balancer import Balancer, Start
from dose import Dose
from eventually import LONG, eventually
from hosts import Wire, bound, routes
from rawclient import Client, Closed, request
from rawserver import Peer, RawServer, answer
from test_crowds import cpu
from test_faults import load, named, statuses, told
from test_times import resident

HOST, DAY, HOUR = "around.test", 86400, 3600


@pytest.fixture
def server() -> Iterator[RawServer]:
    """A good one."""
    started = RawServer(bound(), named("good")).start()
    yield started
    started.stop()
    assert started.problems == []


@pytest.fixture
def file(workdir: Path, server: RawServer) -> Path:
    """A file that leads to it."""
    path = workdir / "routes.yml"
    path.write_text(routes({HOST: [server.port]}))
    return path


def at(balancer: Balancer) -> Wire:
    """Its host."""
    return Wire(balancer, HOST, [])


@pytest.fixture
def wallclock(workdir: Path) -> dict[str, str]:
    """Environment of a process whose wall clock is moved by what :func:`move` writes."""
    source, library, moved = (
        Path(__file__).parents[1] / "support" / "wallclock.c",
        workdir / "wallclock.so",
        workdir / "moved",
    )
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    moved.write_bytes(bytes(8))
    return {"LD_PRELOAD": str(library), "WALLCLOCK": str(moved)}


def move(wallclock: dict[str, str], seconds: int) -> None:
    """Set how far the wall clock is off, for all who look at it."""
    with Path(wallclock["WALLCLOCK"]).open("r+b") as file:
        file.write(struct.pack("q", seconds))


def until_given_up(balancer: Balancer) -> float:
    """Seconds until a head that never ends is given up."""
    begun = time.monotonic()
    with Client(balancer.port) as client:
        client.send(b"GET / HTTP/1.1\r\n")
        assert client.reply().status == 408
        return time.monotonic() - begun


def test_wall_clock_may_jump_as_it_likes(
    start: Start, file: Path, workdir: Path, wallclock: dict[str, str], dose: Dose
) -> None:
    """F35: an hour and a day, to and fro, and back by a second again and again. What is timed goes by another clock."""
    log = workdir / "access.log"
    balancer = start(
        f"--file.filename={file}",
        "--limits.headtime=1s",
        "--accesslog",
        f"--accesslog.filepath={log}",
        **wallclock,
    )
    backwards = [-second for second in range(10)]
    times, results = [], []
    for seconds in (0, HOUR, -HOUR, DAY, -DAY, *backwards):
        move(wallclock, seconds)
        results += load(at(balancer), dose(200, 1336))
        if seconds not in backwards or not seconds:
            times.append(until_given_up(balancer))

    def days() -> set[str]:
        return set(re.findall(r"\[([0-9]+/[A-Za-z]+/[0-9]+):", log.read_text()))

    # Or the clock did not jump.
    eventually(lambda: len(days()) >= 3)
    dose.measured(
        "F35", f"{told(results)}; a deadline of 1 s kept after {min(times):.3f} to {max(times):.3f} s"
    )
    assert statuses(results) == {200: len(results)}
    assert min(times) > 0.45
    # Too late would be by an hour at least: the client has not waited for that.


def test_full_disk_costs_lines_and_no_request(start: Start, file: Path, workdir: Path, dose: Dose) -> None:
    """F37: and when there is room again, new lines are written."""
    log = workdir / "access.log"
    log.symlink_to("/dev/full")
    balancer = start(f"--file.filename={file}", "--workers=1", "--accesslog", f"--accesslog.filepath={log}")
    [worker] = balancer.worker_pids()
    count = dose(11_000, 30_000)
    used, begun = cpu(worker), time.monotonic()
    results = load(at(balancer), count)

    def lines_lost() -> int:
        found: int = balancer.api("/api/statistics")["lostLines"]
        return found

    # Ten thousand wait.
    eventually(lambda: lines_lost() >= count - 10_256)
    lost = lines_lost()
    dose.measured(
        "F37",
        f"disk full: {told(results)}; {lost} lines lost; {(cpu(worker) - used) / count * 1e6:.0f} µs of CPU "
        f"each in {time.monotonic() - begun:.0f} s",
    )
    assert statuses(results) == {200: count}
    assert lost < count
    log.unlink()
    os.kill(balancer.process.pid, 10)
    assert load(at(balancer), 40)
    assert eventually(lambda: log.read_text().count("\n") >= 40)


def test_reader_of_the_log_who_does_not_read_costs_lines_and_no_request(
    start: Start, file: Path, workdir: Path, dose: Dose
) -> None:
    """F37: it hears from us again when it reads, in whole lines."""
    log = workdir / "access.log"
    os.mkfifo(log)
    with os.fdopen(os.open(log, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as reader:
        balancer = start(
            f"--file.filename={file}", "--workers=1", "--accesslog", f"--accesslog.filepath={log}"
        )
        count = dose(11_000, 30_000)
        results = load(at(balancer), count)
        lost = eventually(lambda: balancer.api("/api/statistics")["lostLines"])
        dose.measured("F37", f"nobody reads: {told(results)}; {lost} lines lost")
        assert statuses(results) == {200: count}
        read = b""

        def enough_is_read() -> bool:
            nonlocal read
            while data := reader.read(65536):
                read += data
            # Twice what was in the pipe.
            return read.count(b"\n") >= 1500

        eventually(enough_is_read)
        assert all(line.startswith(b"127.0.0.1 ") and line.endswith(b"ms") for line in read.split(b"\n")[:-1])


def test_more_clients_than_it_can_serve_at_once_wait_and_are_served(
    start: Start, file: Path, dose: Dose
) -> None:
    """F42: twice and ten times as many as keep it busy. Who asks whether it lives is answered meanwhile."""
    balancer = start(f"--file.filename={file}", "--workers=1")
    target, count = at(balancer), dose(3200, 48_000)
    load(target, 1000)
    over = threading.Event()
    pings: list[float] = []

    def ping() -> None:
        while not over.wait(0.2):
            begun = time.monotonic()
            with Client(balancer.api_port) as client:
                assert client.ask("localhost", "/ping").status == 200
            pings.append(time.monotonic() - begun)

    pinging = threading.Thread(target=ping)
    pinging.start()
    rates = {}
    try:
        for clients in (16, 32, 160):
            begun = time.monotonic()
            results = load(target, count, clients=clients)
            rates[clients] = count / (time.monotonic() - begun)
            dose.measured("F42", f"{clients} clients: {rates[clients]:.0f} requests/s, {told(results)}")
            assert statuses(results) == {200: count}
        # Those who ask wait a minute at most.
        eventually(lambda: pings)
    finally:
        over.set()
        pinging.join(LONG)
    dose.measured(
        "F42",
        f"with ten times the clients {rates[160] / rates[16]:.2f} of the rate; ping answered within {max(pings):.2f} s",
    )


SIZE = 10 * 1024 * 1024


def plenty(peer: Peer) -> None:
    """Answer with more than anybody wants, or with a word."""
    while (asked := peer.request()) is not None:
        if asked.path != "/plenty":
            peer.send(answer(b"ok"))
            continue
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        for _ in range(SIZE // 65536):
            peer.send(bytes(65536))


def test_short_of_memory_it_keeps_no_connections_then_takes_no_requests_and_lives(
    start: Start, workdir: Path, dose: Dose
) -> None:
    """F40: clients that read nothing take all of it. When they are gone, all is as before."""
    source = RawServer(bound(), plenty).start()
    file = workdir / "routes.yml"
    file.write_text(routes({HOST: [source.port]}))
    flags = f"--file.filename={file}", "--workers=1", "--limits.writetime=15m"
    probe = start(*flags)
    small = resident(probe.worker_pids()[0])
    probe.stop()
    limit = small * 8 // 5
    for _ in range(dose(1, 10)):
        balancer = start(*flags, f"--limits.memory={limit}")
        [worker] = balancer.worker_pids()
        peaks, seen = [small], []
        with contextlib.ExitStack() as stack:
            for _ in range(600):
                reader = stack.enter_context(Client(balancer.port, receive_buffer=4096))
                reader.send(request(HOST, "/plenty"))
                reader.sock.recv(100)
                time.sleep(0.05)
                peaks.append(resident(worker))
                with Client(balancer.port) as client:
                    reply = client.ask(HOST)
                seen.append((reply.status, reply.closes))
                if reply.status == 503:
                    break
            assert (200, False) in seen
            assert (200, True) in seen
            assert seen[-1] == (503, True)
            assert balancer.worker_pids() == [worker]
        eventually(lambda again=balancer: kept(again))  # type: ignore[misc]
        dose.measured(
            "F40",
            f"of {limit >> 20} MiB at most {max(peaks) >> 20} used: {seen.count((200, False))} readers, then "
            f"{seen.count((200, True))} without a kept connection, then 503; not killed, "
            f"{resident(worker) >> 20} when all were gone",
        )
        # It looks twice a second: more than it may came in between, where a busy machine let it all come at once.
        assert max(peaks) < limit * 9 // 8
        assert balancer.worker_pids() == [worker]
        balancer.stop()
    source.stop()


def kept(balancer: Balancer) -> bool:
    """Whether a connection serves two requests."""
    try:
        with Client(balancer.port) as client:
            return client.ask(HOST).status == 200 and not client.ask(HOST).closes
    except Closed:
        return False
