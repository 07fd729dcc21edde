"""What parent and one worker use at rest: memory and CPU. ``python -m bench idle``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import machine, report
from bench.processes import BenchError, cpu_seconds, end_in_order, memory
from bench.proxies import PROXIES, Place, Proxy, checkout, free_port, origin, running, twistd

HEADING = "At rest"
SECONDS, SETTLE = 30, 10


def balancer(extra: Sequence[str]) -> Proxy:
    """Ours with the API, so that all of it is loaded."""
    ours = next(proxy for proxy in PROXIES if proxy.name == "dynbalancer")

    def command(place: Place) -> list[str]:
        api = ["--api", f"--api.address=127.0.0.1:{free_port()}"]
        flags = [flag for flag in ours.command(place) if flag.startswith(("--workers", "--entry", "--file"))]
        return twistd(*flags, *api, *extra)

    return Proxy("dynbalancer", ours.files, command, "", lambda place: checkout())


def rows(
    pids: Sequence[int], before: Sequence[float], after: Sequence[float], seconds: float
) -> list[list[str]]:
    """The table: a line for each process, and the sum."""
    table = [["process", "RSS MiB", "PSS MiB", "CPU"]]
    names = ["parent", *(f"worker {number}" for number in range(1, len(pids)))]
    sizes = [memory(pid) for pid in pids]
    used = [now - then for then, now in zip(before, after, strict=True)]
    # The parent's time was taken with all its children's.
    used[0] -= sum(used[1:])
    for name, size, cpu in zip(names, sizes, used, strict=True):
        table.append([name, f"{size.rss / 1024:.1f}", f"{size.pss / 1024:.1f}", f"{cpu / seconds:.2%}"])
    rss, pss = (sum(kind) / 1024 for kind in ([size.rss for size in sizes], [size.pss for size in sizes]))
    return [*table, ["together", f"{rss:.1f}", f"{pss:.1f}", f"{sum(used) / seconds:.2%}"]]


def main(argv: Sequence[str] | None = None) -> int:
    """Start ours, leave it alone, look."""
    parser = argparse.ArgumentParser(prog="python -m bench idle", description=__doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="how long to look [%(default)s]")
    parser.add_argument("--settle", type=int, default=SETTLE, help="how long to wait before [%(default)s]")
    parser.add_argument("--docker", metavar="ENDPOINT", help="follow this Docker engine too")
    parser.add_argument("--results", type=Path, default=machine.ROOT / "bench")
    wanted = parser.parse_args(argv)
    end_in_order()
    machine.use_sbin()
    machine.install(("nginx", "taskset"), ())
    cores = machine.two_cores()
    busy = machine.warn_if_busy()
    extra = ["--docker", f"--docker.endpoint={wanted.docker}"] if wanted.docker else []
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as temporary,
        origin(Path(temporary), cores[1]) as behind,
    ):
        place = Place(Path(temporary) / "ours", free_port(), behind)
        with running(balancer(extra), place, cores[0]) as program:
            time.sleep(wanted.settle)
            pids = program.pids
            if len(pids) < 2:
                raise BenchError("there is no worker to look at")
            began, before = time.monotonic(), [cpu_seconds(pid) for pid in pids]
            time.sleep(wanted.seconds)
            table = rows(pids, before, [cpu_seconds(pid) for pid in pids], time.monotonic() - began)
    print(report.aligned(table))
    providers = "the file and Docker providers" if wanted.docker else "the file provider"
    trial = wanted.seconds < SECONDS or wanted.settle < SETTLE
    text = [
        report.measured_on(f"dynbalancer {machine.own_version()}"),
        f"With {providers} and the API, 1 router, over {wanted.seconds} s without a request.",
        report.TRIAL if trial else "",
        busy,
        report.markdown(table),
    ]
    report.write_section(wanted.results / "results.md", HEADING, "\n\n".join(part for part in text if part))
    return 0


if __name__ == "__main__":
    sys.exit(main())
