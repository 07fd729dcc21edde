"""What the cases run on: everything in one process, over real sockets on loopback, made once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "wire"))
sys.path.insert(0, str(Path(__file__).parents[2] / "conformance" / "traefik"))

from plane import Planes


@pytest.fixture(scope="session")
def planes() -> Iterator[Planes]:
    """The data planes and their servers."""
    made = Planes()
    yield made
    made.close()
