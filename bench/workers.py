"""Two workers beside one, on two cores that the load has to share with them. ``python -m bench workers``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from bench import machine, report, turns
from bench.load import Load, apply
from bench.processes import Program, cpu_seconds
from bench.proxies import PROXIES, Place, Proxy, origin

HEADING = "Two workers"
SECONDS = 5
COST, RATE = "CPU µs/request", "requests/s"


def with_workers(number: int) -> Proxy:
    """Ours with so many workers."""
    ours = next(proxy for proxy in PROXIES if proxy.name == "dynbalancer")

    def command(place: Place) -> list[str]:
        return [flag if flag != "--workers=1" else f"--workers={number}" for flag in ours.command(place)]

    return replace(ours, name=f"{number} worker{'s' if number > 1 else ''}", command=command)


def measuring(seconds: int, core: int) -> turns.Measure:
    """What a request costs, and how many there were a second."""

    def measure(program: Program, place: Place) -> dict[str, float]:
        cpu = cpu_seconds(program.pid)
        answered = apply(Load(), place.port, 1, seconds, core)
        used = cpu_seconds(program.pid) - cpu
        return {COST: used / answered.requests * 1e6, RATE: answered.requests / answered.seconds}

    return measure


def main(argv: Sequence[str] | None = None) -> int:
    """One worker pinned to a core and two on both, in turns."""
    parser = turns.parser("workers", __doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="seconds per run [%(default)s]")
    wanted = parser.parse_args(argv)
    busy = machine.warn_if_busy()
    with turns.prepared(("wrk",)) as (directory, cores), origin(directory, cores[1]) as behind:
        found = turns.in_turns(
            [with_workers(1), with_workers(2)],
            directory,
            behind,
            None,
            "",
            wanted.rounds,
            measuring(wanted.seconds, cores[1]),
        )
    rows = turns.table(found, (COST, RATE), COST)
    rows = [row[:-1] for row in rows]
    print(report.aligned(rows))
    one, two = found
    costs = [one.rounds[n][COST] / two.rounds[n][COST] for n in one.rounds if n in two.rounds]
    said = (
        "Load and origin need a good part of both cores, so the rates say little. By the cost of a request, two "
        f"workers on two cores of their own would serve {2 * median(costs):.2f} times what one does on one."
        if costs
        else ""
    )
    print(said)
    parts = [("", "\n\n".join(filter(None, (report.markdown(rows), said, turns.remarks(found)))))]
    intro = f"Rounds: {wanted.rounds}, of {wanted.seconds} s; medians. 64 connections; nobody is pinned but the load."
    if wanted.seconds < SECONDS:
        intro = f"{intro} {report.TRIAL}"
    turns.write(wanted, HEADING, busy, intro, parts, turns.ROUNDS)
    return int(any(measured.remarks for measured in found) or not costs)


if __name__ == "__main__":
    sys.exit(main())
