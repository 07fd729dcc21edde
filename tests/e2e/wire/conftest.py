"""Two balancers for all wire tests, with one worker each, and a host with servers of its own for each test.

Time is no matter to one of them, the other has short limits.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "conformance"))

from hosts import HURRIED, PATIENT, Hosts, NewWire, Wire


@contextlib.contextmanager
def running(limits: tuple[str, ...]) -> Iterator[Hosts]:
    """A balancer and its hosts. It must end well, and its worker must have lived all the time."""
    with tempfile.TemporaryDirectory(prefix="dynb-") as directory:
        found = Hosts(Path(directory), limits)
        try:
            found.balancer.wait_until_ready()
            [worker] = found.balancer.worker_pids()
            yield found
            assert found.balancer.worker_pids() == [worker]
        finally:
            code = found.balancer.stop()
            found.close()
        assert code == 0


@pytest.fixture(scope="session")
def hosts() -> Iterator[Hosts]:
    """The hosts of the balancer that never cuts anybody for its time."""
    with running(PATIENT) as found:
        yield found


@pytest.fixture(scope="session")
def hurried_hosts() -> Iterator[Hosts]:
    """The hosts of the one that cuts after a second or a few."""
    with running(HURRIED) as found:
        yield found


@contextlib.contextmanager
def taking(hosts: Hosts) -> Iterator[NewWire]:
    """Hosts for one test, whose balancer must have nothing to complain of but what it always does."""
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


@pytest.fixture
def wire(hosts: Hosts) -> Iterator[NewWire]:
    """``wire()``: a host with one server; ``wire(4)``: with four. None is started yet."""
    with taking(hosts) as begin:
        yield begin


@pytest.fixture
def hurried(hurried_hosts: Hosts) -> Iterator[NewWire]:
    """The same where time is short."""
    with taking(hurried_hosts) as begin:
        yield begin
