"""Building routing tables and changing one router: in the parent, and in a worker. ``python -m bench tables``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from twisted.internet.testing import MemoryReactorClock

from bench import machine, report
from bench.load import host
from dynbalancer.control.counters import LocalCounters
from dynbalancer.control.router import RouterService
from dynbalancer.control.slices import SLICE, Building
from dynbalancer.control.snapshots import Snapshot
from dynbalancer.core import frames, transfer
from dynbalancer.core.model import Configuration, EntryPoint, Router, Server, Service
from dynbalancer.core.settings import Settings
from dynbalancer.core.table import RoutingTable
from dynbalancer.proxy.dataplane import DataPlane
from dynbalancer.start.compiling import compiler

HEADING = "Routing tables"
SIZES = (10_000, 100_000)
CHANGES = 5
ENTRY_POINTS = (EntryPoint("web", 80),)
STEPS = ("merge and compile", "encode", "read", "compile and swap", "longest stall")

T = TypeVar("T")


def configuration(count: int) -> Configuration:
    """So many routers, each with a host and a service of its own."""
    routers = {f"r{n}": Router(f"r{n}", f"Host(`{host(n)}`)", f"r{n}") for n in range(count)}
    services = {
        f"r{n}": Service(f"r{n}", (Server(f"http://10.{n >> 16}.{n >> 8 & 255}.{n & 255}:80"),))
        for n in range(count)
    }
    return Configuration(routers, services)


def with_one_changed(before: Configuration, number: int) -> Configuration:
    """The same with another rule for one router."""
    name = f"r{number}"
    changed = replace(before.routers[name], rule=f"Host(`{host(number)}`) && PathPrefix(`/{number}`)")
    return replace(before, routers={**before.routers, name: changed})


def timed(step: Callable[[], T]) -> tuple[float, T]:
    """How long it took, and what came of it."""
    began = time.perf_counter()
    result = step()
    return time.perf_counter() - began, result


class Pipeline:
    """The way of a table from the parent into a worker, in one process and without the pipe between them."""

    def __init__(self) -> None:
        clock = MemoryReactorClock()
        self.router = RouterService(compiler(ENTRY_POINTS, clock.seconds), clock, throttle=0)
        self.sink = self.router.sink_for("bench")
        self.router.startService()
        self.worker = DataPlane(Settings(entry_points=ENTRY_POINTS), clock, LocalCounters())
        self.sent: Snapshot | None = None
        self.held = transfer.Held()

    def take(self, wanted: Configuration) -> Taken:
        """How long each step takes. The first two are the parent's; the others a worker's, between requests."""
        compiling, _ = timed(lambda: self.sink.publish(wanted))
        table = self.router.table
        assert len(table.compiled.routes) == len(wanted.routers), "some routers are off"
        encoding, snapshot = timed(lambda: self._snapshot(table))
        building = Building()
        building.begin()
        turns = [timed(partial(self._read, frame)) for frame in snapshot.frames(self.sent)]
        reading = [seconds for seconds, _ in turns]
        applying, self.held = timed(lambda: transfer.applied(self.held, [part for _, part in turns]))
        taking = slices(self.worker.taking(self.held.configuration, table.number))
        ending, _ = timed(lambda: building.end(table.changes))
        assert len(self.worker.table.compiled.routes) == len(wanted.routers), "the worker lost some"
        self.sent = snapshot
        # Parts are read in turns of their own; the last one is applied, and the first slice begun, in its turn.
        stalls = [*reading[:-1], reading[-1] + applying + taking[0], *taking[1:-1], taking[-1] + ending]
        return Taken(compiling, encoding, sum(reading) + applying, sum(taking) + ending, max(stalls))

    def _snapshot(self, table: RoutingTable) -> Snapshot:
        snapshot = Snapshot(table.number, transfer.Held(table.configuration))
        snapshot.frames(self.sent)
        return snapshot

    @staticmethod
    def _read(frame: bytes) -> transfer.Part:
        (message,) = frames.FrameDecoder().feed(frame)
        return transfer.read(message)


class Taken(NamedTuple):
    """Seconds that a table took in each step, and the longest time for which a worker served nobody."""

    compiling: float
    encoding: float
    reading: float
    taking: float
    stall: float


def slices(steps: Iterator[None]) -> list[float]:
    """How long each slice took, as a worker does them."""
    found: list[float] = []
    began = time.perf_counter()
    for _ in steps:
        now = time.perf_counter()
        if now - began >= SLICE:
            found.append(now - began)
            began = time.perf_counter()
    return [*found, time.perf_counter() - began]


def measure(count: int, changes: int) -> list[list[str]]:
    """Lines of the table: building, changing one, and changing all."""
    pipeline, now = Pipeline(), configuration(count)
    rows = [_row(f"{count:,} routers: build", pipeline.take(now))]
    changed = []
    for number in range(changes):
        now = with_one_changed(now, number)
        changed.append(pipeline.take(now))
    middle = [sorted(step)[len(step) // 2] for step in zip(*changed, strict=True)]
    slowest = [max(step) for step in zip(*changed, strict=True)]
    rows.append(_row(f"{count:,} routers: change one, median of {changes}", middle))
    rows.append(_row(f"{count:,} routers: change one, slowest", slowest))
    rows.append(_row(f"{count:,} routers: change all", pipeline.take(with_all_changed(now))))
    return rows


def with_all_changed(before: Configuration) -> Configuration:
    """The same with another rule for every router, and another server for every service."""
    return Configuration(
        {name: replace(one, rule=f"{one.rule} && Method(`GET`)") for name, one in before.routers.items()},
        {
            name: replace(one, servers=(Server("http://192.0.2.1:80"),))
            for name, one in before.services.items()
        },
    )


def _row(what: str, seconds: Sequence[float]) -> list[str]:
    return [what, *(f"{value * 1000:,.1f}" for value in seconds)]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench tables", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="[10000 100000]")
    parser.add_argument("--changes", type=int, default=CHANGES, help="[%(default)s]")
    parser.add_argument("--results", type=Path, default=machine.ROOT / "bench")
    wanted = parser.parse_args(argv)
    busy = machine.warn_if_busy()
    table = [["milliseconds", *STEPS]]
    for size in wanted.sizes:
        table += measure(size, wanted.changes)
    print(report.aligned(table))
    text = [
        report.measured_on(f"dynbalancer {machine.own_version()}"),
        (
            "The first two columns are the parent's work for a table, the next two a worker's, in slices between "
            "requests. The last is the longest time for which it served nobody."
        ),
        busy,
        report.markdown(table),
    ]
    report.write_section(wanted.results / "results.md", HEADING, "\n\n".join(part for part in text if part))
    return 0


if __name__ == "__main__":
    sys.exit(main())
