"""The provider of the docs, installed by pip as somebody else's package, found by its drop-in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "provider"

PROGRAM = """
import json, sys
from twisted.internet.task import Clock
from dynbalancer.plugins import provider_makers
from dynbalancer.testing import MemorySink
maker, clock, sink = provider_makers()["lines"], Clock(), MemorySink()
provider = maker.make_provider({"filename": sys.argv[1]}, sink, clock)
provider.startService()
open(sys.argv[1], "w").write("shop.example.com http://192.0.2.7:80\\n\\n")
clock.advance(1)
open(sys.argv[1], "w").write("nonsense")
provider.refresh()
print(json.dumps({
    "file": sys.modules[type(provider).__module__].__file__,
    "losses": len(sink.losses),
    "rules": [router.rule for router in sink.last.routers.values()],
    "servers": [server.url for service in sink.last.services.values() for server in service.servers],
}))
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A directory that holds nothing but the example, installed there without a network."""
    source, target = tmp_path / "source", tmp_path / "site"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
    ]
    done = subprocess.run([*pip, "--target", str(target), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def run(installed: Path, *arguments: str) -> str:
    """What a Python that sees the example beside dynbalancer prints."""
    path = os.pathsep.join([str(installed), str(ROOT), str(ROOT / "providers")])
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_found_reads_its_file_and_says_when_it_can_not(installed: Path, tmp_path: Path) -> None:
    found = json.loads(run(installed, "-c", PROGRAM, str(tmp_path / "routes.txt")))
    assert found == {
        "file": str(installed / "dynbalancer_lines.py"),
        "losses": 2,
        "rules": ["Host(`shop.example.com`)"],
        "servers": ["http://192.0.2.7:80"],
    }


def test_its_flags_are_in_the_help_beside_the_built_in_ones(installed: Path) -> None:
    said = run(installed, "-m", "dynbalancer.cli", "run", "--help")
    assert "--lines.filename=…" in said
    assert "--docker.endpoint=…" in said


def test_it_has_thirty_lines_at_most() -> None:
    assert len((EXAMPLE / "dynbalancer_lines.py").read_text().splitlines()) <= 30
