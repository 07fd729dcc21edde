"""``make bench``: ours beside nginx, HAProxy, Caddy and Traefik; what a request costs each, measured in turns."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import sleep

from bench import chart, machine, report
from bench.load import Answered, Load, apply
from bench.processes import BenchError, Program, core_seconds, cpu_seconds, end_in_order
from bench.proxies import PROXIES, Place, Proxy, free_port, lines_of, origin, running, shortcomings

HEADING = "Side by side"
#: Fewer rounds or seconds than this are a trial of the script, and the results say so.
ROUNDS, SECONDS = 5, 5
#: Others may use this much of the core during a run before it is told.
DISTURBED = 0.1
#: How many different requests, or routers, take turns where they do.
KINDS = 10_000
ONE_ROUTER = "dynbalancer, 1 router"
#: Access logs are written in batches, a second later at most.
LOG_TIME = 1.5


@dataclass(frozen=True, slots=True)
class Case:
    """One way of asking, and with how many routers; not of those ``without``. ``variant``: see Place."""

    key: str
    title: str
    load: Load = field(default_factory=Load)
    routers: int = 1
    without: tuple[str, ...] = ()
    variant: str = ""


CASES = (
    Case("get", "GET, keep-alive, 100 B, 64 connections, 1 router"),
    # A client that repeats itself costs us less: this is what one costs that does not.
    Case("varied", "the same, and no two requests that follow each other are alike", Load(kinds=KINDS)),
    # Caddy tries its matchers one after the other; that is known, and would only stretch the chart.
    Case(
        "routers",
        "the same with 10,000 routers, each host in turn",
        Load(kinds=KINDS),
        routers=KINDS,
        without=("caddy",),
    ),
    Case(
        "middlewares",
        "GET as the first, through header fields, a prefix, a rate limit, retries, and compression that rests",
        Load(path="/app/100"),
        variant="middlewares",
        without=("haproxy", "caddy"),
    ),
    Case("tls", "GET as the first, over TLS (P-256), keep-alive", Load(tls=True), variant="tls"),
    Case("close", "a new connection for each request", Load(close=True)),
    Case("post", "POST of 10 KiB, keep-alive", Load("POST", "/take", 10240)),
    Case("100k", "GET, keep-alive, 100 KiB", Load(path="/100k")),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one proxy: what wrk counted, the proxy's CPU time, and that of others on its core."""

    answered: Answered
    cpu: float
    others: float

    @property
    def cost(self) -> float:
        """CPU microseconds per request, user and system, of all processes of the proxy."""
        return self.cpu / max(self.answered.requests, 1) * 1e6

    @property
    def clean(self) -> bool:
        """Whether every request was answered, and well."""
        return not self.answered.errors and self.answered.requests > 0


@dataclass(slots=True)
class Line:
    """All runs of one proxy in one case, by round; ``remarks`` on what was wrong with some."""

    proxy: Proxy
    routers: int
    name: str
    runs: dict[int, Run] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    asked: int = 0

    def add(self, number: int, run: Run, seconds: float) -> None:
        """Take a run; one with errors is told, and counts for nothing."""
        self.asked += run.answered.requests
        if run.others > DISTURBED * seconds:
            share = run.others / seconds
            self.remarks.append(f"round {number}: others used {share:.0%} of the core meanwhile")
        if run.clean:
            self.runs[number] = run
            return
        errors = ", ".join(f"{count} {kind}" for kind, count in run.answered.errors.items())
        self.remarks.append(
            f"round {number} does not count: {run.answered.requests} requests, errors: {errors or 'no answer'}"
        )

    def middle(self, figure: Callable[[Run], float]) -> float:
        """The median of a figure over the clean runs."""
        return median(figure(run) for run in self.runs.values())

    def ratio(self, base: Line) -> float | None:
        """The median over the rounds of our cost to another's in the same round."""
        both = [run.cost / base.runs[number].cost for number, run in self.runs.items() if number in base.runs]
        return median(both) if both else None


Found = dict[str, list[Line]]


def measure(program: Program, place: Place, case: Case, seconds: int, cores: tuple[int, int]) -> Run:
    """One run."""
    core, load_core = cores
    cpu, total = cpu_seconds(program.pid), core_seconds(core)
    answered = apply(case.load, place.port, place.routers, seconds, load_core)
    used, busy = cpu_seconds(program.pid) - cpu, core_seconds(core) - total
    program.check()
    return Run(answered, used, max(0.0, busy - used))


def run_case(
    case: Case, proxies: Sequence[Proxy], directory: Path, rounds: int, seconds: int, cores: tuple[int, int]
) -> list[Line]:
    """Start all proxies for a case, and measure them in turns."""
    print(f"\n{case.title}")
    lines = [Line(proxy, case.routers, proxy.name) for proxy in proxies if proxy.name not in case.without]
    if case.routers > 1:
        # Beside itself with one router, in the same rounds: the machine drifts by more than the difference.
        lines += [Line(line.proxy, 1, ONE_ROUTER) for line in lines if line.name == "dynbalancer"]
    with ExitStack() as stack:
        behind = stack.enter_context(origin(directory, cores[1]))
        started: list[tuple[Line, Program, Place]] = []
        for line in lines:
            place = Place(directory / case.key / line.name, free_port(), behind, line.routers, case.variant)
            try:
                program = stack.enter_context(running(line.proxy, place, cores[0]))
                line.remarks += shortcomings(place)
                line.asked += apply(case.load, place.port, line.routers, 1, cores[1]).requests
            except BenchError as error:
                line.remarks.append(f"not measured: {error}")
                continue
            started.append((line, program, place))
        for number in range(1, rounds + 1):
            for line, program, place in started:
                _one(line, program, place, case, number, seconds, cores)
        sleep(LOG_TIME)
    for line, _, place in started:
        _check_log(line, place)
    return lines


def _one(
    line: Line, program: Program, place: Place, case: Case, number: int, seconds: int, cores: tuple[int, int]
) -> None:
    try:
        run = measure(program, place, case, seconds, cores)
    except BenchError as error:
        line.remarks.append(f"round {number} does not count: {error}")
        return
    line.add(number, run, seconds)
    print(f"  round {number}  {line.name:22} {run.cost:7.1f} µs  {run.answered.errors or ''}", flush=True)


def _check_log(line: Line, place: Place) -> None:
    """Every request must be in the access log: else less work was done than by the others."""
    log = place.directory / line.proxy.access_log
    written = lines_of(log)
    log.unlink(missing_ok=True)
    if written < line.asked:
        line.remarks.append(f"wrote {written} lines for {line.asked} requests into its access log")


def rows(lines: Sequence[Line]) -> list[list[str]]:
    """The table of one case."""
    head = [
        "proxy",
        "CPU µs/request",
        "lowest to highest",
        "to nginx",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "core used",
    ]
    return [head, *(_row(line, _line_of(lines, "nginx")) for line in lines)]


def _line_of(lines: Sequence[Line], name: str) -> Line | None:
    return next((line for line in lines if line.name == name), None)


def _row(line: Line, base: Line | None) -> list[str]:
    if not line.runs:
        return [line.name, *["-"] * 7]
    costs = [run.cost for run in line.runs.values()]
    ratio = line.ratio(base) if base is not None else None
    return [
        line.name,
        f"{line.middle(lambda run: run.cost):.1f}",
        f"{min(costs):.1f} to {max(costs):.1f}",
        "-" if ratio is None else f"{ratio:.2f}",
        f"{line.middle(lambda run: run.answered.requests / run.answered.seconds):,.0f}",
        f"{line.middle(lambda run: run.answered.p50) * 1000:.2f}",
        f"{line.middle(lambda run: run.answered.p99) * 1000:.2f}",
        f"{line.middle(lambda run: run.cpu / run.answered.seconds):.0%}",
    ]


def remarks(lines: Sequence[Line]) -> list[str]:
    """What was wrong, and what the table doesn't say, a sentence each."""
    wrong = [f"{line.name}: {remark}" for line in lines for remark in line.remarks]
    return wrong + [f"dynbalancer: {remark}" for remark in against_one_router(lines)]


def against_one_router(lines: Sequence[Line]) -> list[str]:
    """How our cost with many routers compares with one, in the same rounds."""
    many, one = _line_of(lines, "dynbalancer"), _line_of(lines, ONE_ROUTER)
    ratio = many.ratio(one) if many is not None and one is not None else None
    return (
        [] if ratio is None else [f"with all its routers it costs {ratio:.3f} times what it costs with one"]
    )


def section(found: Found, wanted: argparse.Namespace, busy: str, versions: Sequence[str]) -> str:
    """All of it for results.md."""
    trial = wanted.rounds < ROUNDS or wanted.seconds < SECONDS
    intro = (
        f"Rounds: {wanted.rounds}, of {wanted.seconds} s; medians. One core for the proxy, one for the load."
    )
    parts = [report.measured_on(*versions), intro]
    if trial:
        parts.append(
            f"**A trial of the script, not a measurement**: that takes {ROUNDS} rounds of {SECONDS} s."
        )
    parts += [busy] if busy else []
    parts.append("![CPU microseconds per request](results.svg)")
    for case in CASES:
        if case.key in found:
            parts += [f"### {case.title}", report.markdown(rows(found[case.key]))]
            parts.append("\n".join(f"- {remark}" for remark in remarks(found[case.key])))
    return "\n\n".join(part for part in parts if part)


def picture(found: Found) -> str:
    """The costs as a chart."""
    blocks = {
        case.title: {line.name: line.middle(lambda run: run.cost) for line in found[case.key] if line.runs}
        for case in CASES
        if case.key in found
    }
    return chart.bars("CPU per request, user and system (shorter is better)", "µs", blocks)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m bench compare", description=__doc__)
    made.add_argument("--rounds", type=int, default=ROUNDS, help="rounds per case [%(default)s]")
    made.add_argument("--seconds", type=int, default=SECONDS, help="seconds per run [%(default)s]")
    made.add_argument("--cases", nargs="+", choices=[case.key for case in CASES], help="[all]")
    made.add_argument(
        "--proxies", nargs="+", choices=[proxy.name for proxy in PROXIES], help="[all there are]"
    )
    made.add_argument("--results", type=Path, default=machine.ROOT / "bench", help="directory for results.*")
    return made


def chosen_proxies(names: Sequence[str] | None) -> list[Proxy]:
    """Those that were asked for and are there; which are not is printed."""
    wanted = [proxy for proxy in PROXIES if not names or proxy.name in names]
    for proxy in wanted:
        if not proxy.present:
            print(f"{proxy.name} is not installed: left out")
    return [proxy for proxy in wanted if proxy.present]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write. 1 where a proxy could not be measured, or did less work than the others."""
    wanted = parser().parse_args(argv)
    end_in_order()
    machine.use_sbin()
    cores = machine.two_cores()
    machine.install(("nginx", "wrk", "taskset"), ("haproxy", "caddy"))
    proxies = chosen_proxies(wanted.proxies)
    versions = [proxy.described() for proxy in proxies] + [f"wrk {machine.version_of('wrk')}"]
    busy = machine.warn_if_busy()
    os.sched_setaffinity(0, {cores[1]})
    found: Found = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        for case in CASES:
            if not wanted.cases or case.key in wanted.cases:
                lines = run_case(case, proxies, Path(temporary), wanted.rounds, wanted.seconds, cores)
                found[case.key] = lines
                print("\n".join(["", report.aligned(rows(lines)), *remarks(lines)]), flush=True)
    wanted.results.mkdir(parents=True, exist_ok=True)
    report.write_section(wanted.results / "results.md", HEADING, section(found, wanted, busy, versions))
    (wanted.results / "results.svg").write_text(picture(found))
    return int(any(line.remarks for lines in found.values() for line in lines))


if __name__ == "__main__":
    sys.exit(main())
