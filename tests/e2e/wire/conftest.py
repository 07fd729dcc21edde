"""One balancer for all wire tests: one worker, short times, and a host with servers of its own for each test."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "conformance"))

from hosts import Hosts, NewWire, Wire


@pytest.fixture(scope="session")
def hosts() -> Iterator[Hosts]:
    """The balancer and its hosts. It must end well, and its worker must have lived all the time."""
    with tempfile.TemporaryDirectory(prefix="dynb-") as directory:
        found = Hosts(Path(directory))
        try:
            found.balancer.wait_until_ready()
            [worker] = found.balancer.worker_pids()
            yield found
            assert found.balancer.worker_pids() == [worker]
        finally:
            code = found.balancer.stop()
            found.close()
        assert code == 0


@pytest.fixture
def wire(hosts: Hosts) -> Iterator[NewWire]:
    """``wire()``: a host with one server; ``wire(4)``: with four. None is started yet."""
    before = len(hosts.balancer.output)
    taken: list[Wire] = []

    def begin(servers: int = 1) -> Wire:
        taken.append(hosts.take(servers))
        return taken[-1]

    yield begin
    for one in taken:
        one.stop()
    said = hosts.balancer.output[before:]
    assert "Traceback" not in said and "Unhandled" not in said, said[-4000:]
