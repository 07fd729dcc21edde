"""The load: wrk on one core, what it is asked to do, and what came of it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.processes import BenchError

SCRIPT = Path(__file__).with_name("load.lua")
ERRORS = ("connect", "read", "write", "timeout", "status")


def host(number: int) -> str:
    """The host that router ``number`` is for; load.lua has the same."""
    return f"r{number}.example.com"


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked: a method, a path of the origin, and how.

    ``kinds``: how many different requests follow each other; 1: all are alike (but for the host, with many routers).
    """

    method: str = "GET"
    path: str = "/100"
    body: int = 0
    connections: int = 64
    close: bool = False
    kinds: int = 1
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """What wrk counted in one run. Latencies in seconds; ``errors`` by kind, only those there were."""

    requests: int
    seconds: float
    received: int
    p50: float
    p99: float
    errors: dict[str, int]


def apply(load: Load, port: int, routers: int, seconds: float, core: int) -> Answered:
    """Put a load on a port of this machine for some seconds. Raises BenchError where wrk says nothing of use."""
    command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{load.connections}", f"-d{seconds:g}s"]
    command += [
        "--timeout",
        "5s",
        "--latency",
        "-s",
        str(SCRIPT),
        f"{'https' if load.tls else 'http'}://127.0.0.1:{port}{load.path}",
        "--",
    ]
    command += [load.method, str(routers), str(load.body), "close" if load.close else "keep-alive"]
    command.append(str(load.kinds))
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
    except subprocess.TimeoutExpired:
        raise BenchError(f"wrk did not end within {seconds + 30:g} seconds") from None
    return _answered(done.stdout, done.stderr)


def _answered(output: str, complaints: str) -> Answered:
    line = re.search(r"^figures (.*)$", output, re.MULTILINE)
    if line is None:
        raise BenchError(f"wrk gave no figures: {(complaints or output).strip()[-300:]}")
    figures = {name: int(value) for name, value in re.findall(r"(\w+)=(-?\d+)", line.group(1))}
    return Answered(
        figures["requests"],
        figures["microseconds"] / 1e6,
        figures["bytes"],
        figures["p50"] / 1e6,
        figures["p99"] / 1e6,
        {kind: figures[kind] for kind in ERRORS if figures[kind]},
    )
