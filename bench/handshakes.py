"""TLS handshakes, full and resumed: how many for a second of the proxy's CPU. ``python -m bench handshakes``."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence

from bench import machine, report, turns
from bench.processes import BenchError, Program, cpu_seconds
from bench.proxies import Place, origin

HEADING = "TLS handshakes"
SECONDS = 5
FIGURE = "handshakes per CPU second"


def measuring(kind: str, seconds: int, core: int) -> turns.Measure:
    """Handshakes of ``openssl s_time``, one connection after the other; ``kind`` is ``-new`` or ``-reuse``."""

    def measure(program: Program, place: Place) -> dict[str, float]:
        command = ["taskset", "-c", str(core), "openssl", "s_time", "-connect", f"127.0.0.1:{place.port}"]
        command += [kind, "-time", str(seconds), "-tls1_2" if kind == "-reuse" else "-tls1_3"]
        cpu = cpu_seconds(program.pid)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
        except subprocess.TimeoutExpired:
            raise BenchError("openssl s_time did not end") from None
        used = cpu_seconds(program.pid) - cpu
        found = re.search(r"^(\d+) connections in (\d+) real seconds", done.stdout, re.MULTILINE)
        if found is None or not int(found.group(1)):
            raise BenchError(f"openssl s_time gave no figures: {(done.stderr or done.stdout).strip()[-200:]}")
        count = int(found.group(1))
        return {FIGURE: count / used, "handshakes/s": count / seconds}

    return measure


def main(argv: Sequence[str] | None = None) -> int:
    """All proxies, in turns: full ones of TLS 1.3, and ones that resume a session of TLS 1.2."""
    parser = turns.parser("handshakes", __doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="seconds per run [%(default)s]")
    wanted = parser.parse_args(argv)
    busy = machine.warn_if_busy()
    parts, wrong = [], False
    with turns.prepared(("openssl",)) as (directory, cores), origin(directory, cores[1]) as behind:
        for title, kind in (("Full, TLS 1.3", "-new"), ("Resumed, TLS 1.2", "-reuse")):
            print(title)
            found = turns.in_turns(
                turns.chosen(wanted.proxies),
                directory / kind,
                behind,
                cores[0],
                "tls",
                wanted.rounds,
                measuring(kind, wanted.seconds, cores[1]),
            )
            rows = turns.table(found, (FIGURE, "handshakes/s"), FIGURE)
            print(report.aligned(rows))
            parts.append((title, "\n\n".join(filter(None, (report.markdown(rows), turns.remarks(found))))))
            wrong = wrong or any(measured.remarks for measured in found)
    intro = f"Rounds: {wanted.rounds}, of {wanted.seconds} s; medians. P-256, one after the other, without a request."
    if wanted.seconds < SECONDS:
        intro = f"{intro} {report.TRIAL}"
    turns.write(wanted, HEADING, busy, intro, parts, turns.ROUNDS)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
