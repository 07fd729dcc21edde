"""The example provider of the docs, installed as somebody else's package, found and routed through."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from balancer import Serve, Start, run_to_end
from eventually import eventually
from places import EXAMPLES

EXAMPLE = EXAMPLES / "provider"


@pytest.fixture
def installed(workdir: Path) -> Path:
    """Where the example was installed by pip, apart from everything else."""
    target = workdir / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation"]
    copy = workdir / "source"
    subprocess.run(["cp", "-r", str(EXAMPLE), str(copy)], check=True)
    done = subprocess.run([*pip, "--target", str(target), str(copy)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def test_an_installed_package_brings_its_flag_and_its_routes(
    installed: Path, start: Start, serve: Serve, workdir: Path
) -> None:
    port, _ = serve("lines")
    routes = workdir / "routes.txt"
    routes.write_text(f"lines.example.com http://127.0.0.1:{port}\n")
    assert "--lines.filename" in run_to_end("dynbalancer", "run", "--help", PYTHONPATH=str(installed)).stdout

    balancer = start(f"--lines.filename={routes}", "--workers=2", PYTHONPATH=str(installed))
    eventually(lambda: balancer.ask("lines.example.com").lines["name"] == "lines")
    assert [one["name"] for one in balancer.api("/api/state")["providers"]] == ["lines"]

    routes.write_text(f"moved.example.com http://127.0.0.1:{port}\n")
    eventually(lambda: balancer.ask("moved.example.com").status == 200)
    # Another worker may hear of it later.
    eventually(lambda: balancer.ask("lines.example.com").status == 404)
    eventually(lambda: {balancer.ask("moved.example.com").status for _ in range(16)} == {200})

    # A file that can't be read changes nothing, and says so.
    routes.write_text("only-a-host\n")
    eventually(lambda: "routes.txt" in balancer.problems())
    assert balancer.ask("moved.example.com").status == 200


def test_without_the_package_its_flag_is_unknown(installed: Path) -> None:
    done = run_to_end("dynbalancer", "run", "--lines")
    assert done.returncode == 2
    assert "--lines" in done.stderr
