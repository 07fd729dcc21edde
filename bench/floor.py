"""What is left to gain: ours and a relay that does nothing (``bare.py``) beside nginx. ``python -m bench floor``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from bench import machine, report, turns
from bench.compare import CASES, Case
from bench.load import apply
from bench.processes import BenchError, Program, cpu_seconds
from bench.proxies import PROXIES, Place, Proxy, checkout, origin

HEADING = "The floor"
SECONDS = 5
#: Of the cases of ``compare``, those that a relay can do.
KEYS = ("get", "close", "post", "100k")
COST = "CPU µs/request"

BARE = Proxy(
    "bare",
    (),
    lambda place: [sys.executable, "-m", "bench.bare", str(place.port), str(place.origin)],
    "",
    lambda place: checkout(),
    lambda: "on uvloop",
)


def measure(case: Case, seconds: int, core: int, program: Program, place: Place) -> dict[str, float]:
    """The cost of a request in one run."""
    before = cpu_seconds(program.pid)
    answered = apply(case.load, place.port, 1, seconds, core)
    if answered.errors or not answered.requests:
        raise BenchError(f"errors: {answered.errors or 'no answer'}")
    return {COST: (cpu_seconds(program.pid) - before) / answered.requests * 1e6}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = turns.parser("floor", __doc__)
    made.add_argument("--seconds", type=int, default=SECONDS, help="seconds per run [%(default)s]")
    made.add_argument("--cases", nargs="+", choices=KEYS, default=KEYS, help="[all of them]")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    wanted = parser().parse_args(argv)
    parts: list[tuple[str, str]] = []
    with turns.prepared(("wrk",)) as (directory, cores):
        busy = machine.warn_if_busy()
        proxies = [proxy for proxy in PROXIES if proxy.name in ("nginx", "dynbalancer")] + [BARE]
        with origin(directory, cores[1]) as behind:
            for case in CASES:
                if case.key not in wanted.cases:
                    continue
                print(case.title, flush=True)
                measured = turns.in_turns(
                    proxies,
                    directory / case.key,
                    behind,
                    cores[0],
                    "",
                    wanted.rounds,
                    partial(measure, case, wanted.seconds, cores[1]),
                )
                rows = turns.table(measured, (COST,), COST)
                print(report.aligned(rows), flush=True)
                parts.append((case.title, report.markdown(rows) + "\n\n" + turns.remarks(measured)))
    intro = (
        "`bare` (`bench/bare.py`) passes octets on, and reads no heads, checks nothing, keeps no log."
        f" Rounds: {wanted.rounds}, of {wanted.seconds} s; medians."
    )
    turns.write(wanted, HEADING, busy, intro, parts, turns.ROUNDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
