"""WebSocket echo: 1,000 connections, 100 bytes to and fro; messages per second of CPU. ``python -m bench tunnels``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from bench import machine, report, turns
from bench.processes import BenchError, Program, cpu_seconds
from bench.proxies import Place, free_port

HEADING = "WebSocket"
CONNECTIONS, SECONDS = 1000, 5


def measuring(connections: int, seconds: float, core: int) -> turns.Measure:
    """Messages to and fro, per second of the proxy's CPU and per second."""

    def measure(program: Program, place: Place) -> dict[str, float]:
        command = ["taskset", "-c", str(core), sys.executable, "-m", "bench.echo", "load"]
        command += [str(place.port), str(connections), str(seconds)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=machine.ROOT
        ) as client:
            assert client.stdin is not None and client.stdout is not None
            if client.stdout.readline() != "ready\n":
                raise BenchError("not every connection was made")
            cpu = cpu_seconds(program.pid)
            client.stdin.write("go\n")
            client.stdin.flush()
            said = client.stdout.readline().split()
            used = cpu_seconds(program.pid) - cpu
        if len(said) != 3:
            raise BenchError("the load generator said nothing of use")
        echoes, took, lost = int(said[0]), float(said[1]), int(said[2])
        if lost or not echoes:
            raise BenchError(f"{lost} connections were lost, {echoes} messages came back")
        return {"messages per CPU second": echoes / used, "messages/s": echoes / took}

    return measure


def main(argv: Sequence[str] | None = None) -> int:
    """All proxies, in turns."""
    parser = turns.parser("tunnels", __doc__)
    parser.add_argument("--connections", type=int, default=CONNECTIONS, help="[%(default)s]")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="seconds per run [%(default)s]")
    wanted = parser.parse_args(argv)
    busy = machine.warn_if_busy()
    machine.allow_files(4 * wanted.connections + 1000)
    with turns.prepared() as (directory, cores):
        port = free_port()
        serving = [sys.executable, "-m", "bench.echo", "serve", str(port)]
        with Program(serving, core=cores[1], output=directory / "echo.out", cwd=machine.ROOT):
            found = turns.in_turns(
                turns.chosen(wanted.proxies),
                directory,
                port,
                cores[0],
                "tunnel",
                wanted.rounds,
                measuring(wanted.connections, wanted.seconds, cores[1]),
            )
    rows = turns.table(found, ("messages per CPU second", "messages/s"), "messages per CPU second")
    print(report.aligned(rows))
    intro = (
        f"Rounds: {wanted.rounds}, of {wanted.seconds:g} s; medians. {wanted.connections:,} connections, each sends a "
        "frame of 100 bytes when the last one is back."
    )
    trial = wanted.connections < CONNECTIONS or wanted.seconds < SECONDS
    parts = [("", "\n\n".join(filter(None, (report.markdown(rows), turns.remarks(found)))))]
    turns.write(wanted, HEADING, busy, f"{intro} {report.TRIAL}" if trial else intro, parts, turns.ROUNDS)
    return int(any(measured.remarks for measured in found))


if __name__ == "__main__":
    sys.exit(main())
