"""Building routing tables and changing one router: in the parent, and in a worker. ``python -m bench tables``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.testing import MemoryReactorClock

from bench import machine, report
from bench.load import host
from dynbalancer.control.counters import LocalCounters
from dynbalancer.control.router import RouterService
from dynbalancer.core import codec, frames
from dynbalancer.core.model import Configuration, EntryPoint, Router, Server, Service
from dynbalancer.core.settings import Settings
from dynbalancer.proxy.dataplane import DataPlane, fetch
from dynbalancer.start.compiling import compiler

HEADING = "Routing tables"
SIZES = (10_000, 100_000)
CHANGES = 5
ENTRY_POINTS = (EntryPoint("web", 80),)
STEPS = ("merge and compile", "snapshot", "read it", "compile and swap")

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
        self.router = RouterService(compiler(ENTRY_POINTS, clock.seconds, fetch), clock, throttle=0)
        self.sink = self.router.sink_for("bench")
        self.router.startService()
        self.worker = DataPlane(Settings(entry_points=ENTRY_POINTS), clock, LocalCounters())

    def take(self, wanted: Configuration) -> list[float]:
        """How long each of STEPS takes. The first two are the parent's, the last two hold up a worker."""
        compiling, _ = timed(lambda: self.sink.publish(wanted))
        table = self.router.table
        assert len(table.routes) == len(wanted.routers), f"only {len(table.routes)} routes"
        encoding, frame = timed(lambda: self._frame(table))
        reading, received = timed(lambda: self._read(frame))
        taking, _ = timed(lambda: self.worker.take(received, table.number))
        assert len(self.worker.table.routes) == len(wanted.routers), "the worker lost some"
        return [compiling, encoding, reading, taking]

    @staticmethod
    def _frame(table: Any) -> bytes:
        snapshot = codec.snapshot(table.configuration)
        return frames.encode(
            {"type": "table", "number": table.number, "configuration": snapshot, "slots": {}}
        )

    @staticmethod
    def _read(frame: bytes) -> Configuration:
        (message,) = frames.FrameDecoder().feed(frame)
        return codec.from_snapshot(message["configuration"])


def measure(count: int, changes: int) -> list[list[str]]:
    """Two lines of the table: building, and changing one."""
    pipeline, now = Pipeline(), configuration(count)
    built = pipeline.take(now)
    changed = []
    for number in range(changes):
        now = with_one_changed(now, number)
        changed.append(pipeline.take(now))
    slowest = [max(step) for step in zip(*changed, strict=True)]
    middle = [sorted(step)[len(step) // 2] for step in zip(*changed, strict=True)]
    return [
        _row(f"{count:,} routers: build", built),
        _row(f"{count:,} routers: change one, median of {changes}", middle),
        _row(f"{count:,} routers: change one, slowest", slowest),
    ]


def _row(what: str, seconds: Sequence[float]) -> list[str]:
    return [what, *(f"{value * 1000:,.1f}" for value in seconds), f"{sum(seconds[2:]) * 1000:,.1f}"]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench tables", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="[10000 100000]")
    parser.add_argument("--changes", type=int, default=CHANGES, help="[%(default)s]")
    parser.add_argument("--results", type=Path, default=machine.ROOT / "bench")
    wanted = parser.parse_args(argv)
    busy = machine.warn_if_busy()
    table = [["milliseconds", *STEPS, "a worker's stall"]]
    for size in wanted.sizes:
        table += measure(size, wanted.changes)
    print(report.aligned(table))
    text = [
        report.measured_on(f"dynbalancer {machine.own_version()}"),
        "The first two columns are the parent's work for a table, the next two a worker's: it serves nobody meanwhile.",
        busy,
        report.markdown(table),
    ]
    report.write_section(wanted.results / "results.md", HEADING, "\n\n".join(part for part in text if part))
    return 0


if __name__ == "__main__":
    sys.exit(main())
