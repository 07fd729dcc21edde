"""Fuzz every target for some seconds, then compare with other parsers: ``run.py [SECONDS] [INPUTS]``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
import targets

HERE = Path(__file__).parent
CORPUS = HERE.parents[1] / ".cache" / "fuzz"


def main(seconds: str = "60", inputs: str = "100000") -> int:
    """How many of the runs found something."""
    failed = []
    for name in targets.TARGETS:
        sys.stdout.write(f"=== {name}, {seconds} seconds\n")
        sys.stdout.flush()
        command = [sys.executable, str(HERE / "coverage_guided.py"), name, seconds, str(CORPUS / name)]
        done = subprocess.run(
            command, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True, errors="replace"
        )
        lines = done.stdout.splitlines()
        told = [line for line in lines if not line.startswith("#")] if done.returncode else lines[-8:]
        sys.stdout.write(
            "\n".join(line for line in told if "executed_units" in line or done.returncode) + "\n"
        )
        if done.returncode:
            failed.append(name)
    sys.stdout.write(f"=== differential, {inputs} inputs\n")
    sys.stdout.flush()
    if subprocess.run([sys.executable, str(HERE / "differential.py"), inputs]).returncode:
        failed.append("differential")
    sys.stdout.write(f"found something: {', '.join(failed)}\n" if failed else "found nothing\n")
    return len(failed)


if __name__ == "__main__":
    sys.exit(min(main(*sys.argv[1:]), 1))
