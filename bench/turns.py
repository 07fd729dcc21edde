"""Measuring several proxies in turns: the same thing for each, round after round, and medians beside nginx's."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench import machine, report
from bench.processes import BenchError, Program, end_in_order
from bench.proxies import PROXIES, Place, Proxy, free_port, running

ROUNDS = 5


@dataclass(slots=True)
class Measured:
    """What one proxy came to: figures by round, by what they are; and what was wrong."""

    name: str
    rounds: dict[int, dict[str, float]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def middle(self, figure: str) -> float | None:
        """The median of a figure, None where nothing was measured."""
        return median(found[figure] for found in self.rounds.values()) if self.rounds else None

    def ratio(self, base: Measured | None, figure: str) -> float | None:
        """The median over the rounds of our figure to another's in the same round."""
        both = [
            found[figure] / base.rounds[number][figure]
            for number, found in self.rounds.items()
            if base is not None and number in base.rounds
        ]
        return median(both) if both else None


#: Measures one proxy once. Raises BenchError.
Measure = Callable[[Program, Place], dict[str, float]]


def parser(part: str, doc: str | None, rounds: int = ROUNDS) -> argparse.ArgumentParser:
    """What all of these parts take."""
    made = argparse.ArgumentParser(prog=f"python -m bench {part}", description=doc)
    made.add_argument("--rounds", type=int, default=rounds, help="rounds [%(default)s]")
    made.add_argument(
        "--proxies", nargs="+", choices=[proxy.name for proxy in PROXIES], help="[all there are]"
    )
    made.add_argument("--results", type=Path, default=machine.ROOT / "bench", help="directory of results.md")
    return made


@contextmanager
def prepared(also: Sequence[str] = ()) -> Iterator[tuple[Path, tuple[int, int]]]:
    """A directory of our own and the two cores, with this process on the second one, beside the load."""
    end_in_order()
    machine.use_sbin()
    machine.install(("nginx", "taskset", *also), ("haproxy", "caddy"))
    cores = machine.two_cores()
    os.sched_setaffinity(0, {cores[1]})
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        yield Path(temporary), cores


def chosen(names: Sequence[str] | None, without: Sequence[str] = ()) -> list[Proxy]:
    """Those that were asked for and are there."""
    return [p for p in PROXIES if p.present and p.name not in without and (not names or p.name in names)]


def in_turns(
    proxies: Sequence[Proxy],
    directory: Path,
    origin: int,
    core: int | None,
    variant: str,
    rounds: int,
    measure: Measure,
) -> list[Measured]:
    """Start all (on ``core``; None: on any), measure each in every round, end all."""
    found: list[Measured] = []
    with ExitStack() as stack:
        started: list[tuple[Measured, Program, Place]] = []
        for proxy in proxies:
            measured = Measured(proxy.name)
            found.append(measured)
            place = Place(directory / f"{variant or 'plain'}-{proxy.name}", free_port(), origin, 1, variant)
            try:
                program = stack.enter_context(running(proxy, place, core))
            except BenchError as error:
                measured.remarks.append(f"not measured: {error}")
                continue
            started.append((measured, program, place))
        for number in range(1, rounds + 1):
            for measured, program, place in started:
                try:
                    figures = measure(program, place)
                except BenchError as error:
                    measured.remarks.append(f"round {number} does not count: {error}")
                    continue
                measured.rounds[number] = figures
                said = ", ".join(f"{name} {value:,.1f}" for name, value in figures.items())
                print(f"  round {number}  {measured.name:12} {said}", flush=True)
    return found


def table(found: Sequence[Measured], figures: Sequence[str], compared: str) -> list[list[str]]:
    """A line for each proxy: its figures, and how the ``compared`` one stands to nginx's."""
    base = next((measured for measured in found if measured.name == "nginx"), None)
    rows = [["proxy", *figures, "to nginx"]]
    for measured in found:
        values = [measured.middle(figure) for figure in figures]
        ratio = measured.ratio(base, compared)
        cells = ["-" if value is None else f"{value:,.1f}" for value in values]
        rows.append([measured.name, *cells, "-" if ratio is None else f"{ratio:.2f}"])
    return rows


def remarks(found: Sequence[Measured]) -> str:
    """What was wrong, as a list."""
    return "\n".join(f"- {measured.name}: {remark}" for measured in found for remark in measured.remarks)


def write(
    wanted: argparse.Namespace,
    heading: str,
    busy: str,
    intro: str,
    parts: Sequence[tuple[str, str]],
    rounds: int,
) -> None:
    """Print and write the tables, each under its title."""
    trial = report.TRIAL if wanted.rounds < rounds else ""
    text = [report.measured_on(f"dynbalancer {machine.own_version()}", *_versions()), intro, trial, busy]
    for title, body in parts:
        text += [f"### {title}" if title else "", body]
    report.write_section(wanted.results / "results.md", heading, "\n\n".join(part for part in text if part))


def _versions() -> list[str]:
    return [proxy.described() for proxy in PROXIES if proxy.present and proxy.name != "dynbalancer"]
