"""The example provider of the docs, installed as somebody else's package, found and routed through."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
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
