"""Run one target under atheris: ``coverage_guided.py TARGET SECONDS [CORPUS]``. Ends with an error if it found one."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["dynbalancer"]):
    import targets

import seeds


def main(name: str, seconds: str, corpus: str = "") -> None:
    """Fuzz until the time is over. Does not return."""
    directory = Path(corpus or tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    directory.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds.of(name)):
        (directory / f"seed-{number:03d}").write_bytes(seed)
    found = f"-artifact_prefix={directory}/found-"
    limits = (
        f"-max_total_time={seconds}",
        "-max_len=4096",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    )
    atheris.Setup([sys.argv[0], *limits, found, str(directory)], targets.TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
