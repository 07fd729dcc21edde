"""Where a worker's time goes under load: by py-spy, by perf, whichever is there. ``python -m bench profile``."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import machine
from bench.compare import CASES, Case
from bench.load import apply
from bench.processes import BenchError, cpu_seconds, end_in_order
from bench.proxies import PROXIES, Place, free_port, origin, running


def recipes(pid: int, seconds: int, directory: Path) -> list[list[str]]:
    """The command lines that look at process ``pid`` for some seconds; for the programs that are there."""
    py_spy = Path(sys.executable).with_name("py-spy")
    spy = str(py_spy) if py_spy.exists() else "py-spy"
    time = str(seconds)
    spied = [spy, "record", "-p", str(pid), "-d", time, "-r", "500"]
    known = [
        [*spied, "-f", "raw", "-o", str(directory / "py-spy.txt")],
        [*spied, "--native", "-o", str(directory / "py-spy.svg")],
        ["perf", "stat", "-p", str(pid), "-o", str(directory / "perf-stat.txt"), "--", "sleep", time],
        [
            "perf",
            "record",
            "-q",
            "-g",
            "-p",
            str(pid),
            "-o",
            str(directory / "perf.data"),
            "--",
            "sleep",
            time,
        ],
    ]
    return [command for command in known if shutil.which(command[0])]


def look(command: Sequence[str], seconds: int) -> str:
    """Run one of them; what it complained of, in a line, or nothing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    except subprocess.TimeoutExpired:
        return "did not end in time"
    return "" if done.returncode == 0 else (done.stderr or done.stdout).strip().splitlines()[-1]


def under_load(
    command: Sequence[str], case: Case, place: Place, pids: tuple[int, int], seconds: int, core: int
) -> None:
    """Run one of them while there is load, and print what parent and worker used meanwhile."""
    parent, worker = pids
    all_before, own_before = cpu_seconds(parent), cpu_seconds(worker)
    with ThreadPoolExecutor(1) as pool:
        # A little longer than the tool looks, so that it sees nothing but load.
        load = pool.submit(apply, case.load, place.port, place.routers, seconds + 2, core)
        complaint = look(command, seconds)
        requests = load.result().requests
    own = cpu_seconds(worker) - own_before
    rest = cpu_seconds(parent) - all_before - own
    print(f"{' '.join(command)}: {complaint or 'done'}")
    print(f"  {requests} requests; CPU seconds: worker {own:.2f}, parent {rest:.2f}", flush=True)


def hottest(file: Path, count: int) -> list[tuple[str, float]]:
    """The functions that were at the top of the stack most often, with their share; from py-spy's raw output."""
    own: dict[str, int] = {}
    for line in file.read_text().splitlines():
        stack, _, samples = line.rpartition(" ")
        top = stack.rpartition(";")[2]
        own[top] = own.get(top, 0) + int(samples)
    total = sum(own.values()) or 1
    ordered = sorted(own.items(), key=lambda pair: -pair[1])[:count]
    return [(name, samples / total) for name, samples in ordered]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m bench profile", description=__doc__)
    made.add_argument("--case", default="get", choices=[case.key for case in CASES], help="[%(default)s]")
    made.add_argument("--seconds", type=int, default=10, help="per tool [%(default)s]")
    made.add_argument("--top", type=int, default=30, help="functions to print [%(default)s]")
    made.add_argument("--directory", type=Path, default=Path("build/profile"), help="[%(default)s]")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Start ours with one worker, load it once for each tool, and say where the output is."""
    wanted = parser().parse_args(argv)
    end_in_order()
    machine.use_sbin()
    cores = machine.two_cores()
    machine.install(("nginx", "wrk", "taskset"), ())
    wanted.directory.mkdir(parents=True, exist_ok=True)
    case = next(case for case in CASES if case.key == wanted.case)
    ours = next(proxy for proxy in PROXIES if proxy.name == "dynbalancer")
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as temporary,
        origin(Path(temporary), cores[1]) as behind,
    ):
        place = Place(Path(temporary) / "ours", free_port(), behind, case.routers)
        with running(ours, place, cores[0]) as program:
            parent, worker = program.pids[:2]
            commands = recipes(worker, wanted.seconds, wanted.directory)
            if not commands:
                raise BenchError(
                    "neither py-spy nor perf is here: pip install py-spy, apt-get install linux-perf"
                )
            for command in commands:
                under_load(command, case, place, (parent, worker), wanted.seconds, cores[1])
    raw = wanted.directory / "py-spy.txt"
    if raw.exists():
        print("\n".join(f"{share:6.1%}  {name}" for name, share in hottest(raw, wanted.top)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
