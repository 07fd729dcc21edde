"""What is kept of a process's descriptors, and who is cut for it."""

from __future__ import annotations

import errno
import os
import resource
import sys
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from dynbalancer.proxy import descriptors, transports
from dynbalancer.proxy.descriptors import Descriptors, raise_limit

sys.path.insert(0, str(Path(__file__).parent))
from wires import GET, OK, ProxyCase, Wire


class Numbered(Wire):
    """A transport whose descriptor has a number."""

    number = 0

    looks = 0

    def fileno(self) -> int:
        self.looks += 1
        return self.number


class Limits:
    """Stands for the limits of a process."""

    def __init__(self, soft: int, hard: int) -> None:
        self.now = (soft, hard)

    def getrlimit(self, _: int) -> tuple[int, int]:
        return self.now

    def setrlimit(self, _: int, wanted: tuple[int, int]) -> None:
        self.now = wanted


@pytest.mark.parametrize(
    "before, after",
    [
        ((1024, 4096), (4096, 4096)),
        ((4096, 4096), (4096, 4096)),
        ((1024, resource.RLIM_INFINITY), (1 << 20, resource.RLIM_INFINITY)),
        ((1024, 1 << 30), (1 << 20, 1 << 30)),
        ((1 << 21, 1 << 30), (1 << 21, 1 << 30)),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), (resource.RLIM_INFINITY, resource.RLIM_INFINITY)),
    ],
)
def test_limit_is_raised_as_far_as_the_system_lets_it(
    monkeypatch: pytest.MonkeyPatch, before: tuple[int, int], after: tuple[int, int]
) -> None:
    limits = Limits(*before)
    monkeypatch.setattr(resource, "getrlimit", limits.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", limits.setrlimit)
    raise_limit()
    assert limits.now == after
    assert descriptors.allowed() == (after[0] if after[0] > 0 else 1 << 20)


def test_transport_without_a_descriptor_has_none() -> None:
    assert transports.descriptor(object()) == -1


class Full(ProxyCase):
    """A process that may have a hundred descriptors."""

    def setUp(self) -> None:
        super().setUp()
        self.refusals: dict[str, int] = {}
        self.resource.descriptors = Descriptors(100, self.refusals, self.clock.seconds)

    def arrive(self, number: int) -> Wire:
        """A client whose connection has the descriptor of this number."""
        protocol = self.site.buildProtocol(None)
        wire = Numbered(self.clock, protocol)
        wire.number = number
        protocol.makeConnection(wire)  # type: ignore[arg-type]
        self.clock.advance(0)
        return wire

    def test_who_takes_one_of_the_last_is_cut_and_the_others_are_served(self) -> None:
        early, late = self.arrive(79), self.arrive(80)
        assert (early.state, late.state) == ("open", "aborted")
        assert late.read() == b""
        assert self.refusals == {"descriptors": 1}
        early.send(GET)
        self.server.send(OK)
        assert early.read() == OK
        assert len(self.site.connections) == 1
        self.assert_quiet()

    def test_room_is_there_again_once_somebody_left(self) -> None:
        assert self.arrive(99).state == "aborted"
        assert self.arrive(50).state == "open"

    def test_who_is_sure_to_find_room_is_not_looked_at(self) -> None:
        # Below 80 there are 64 numbers left, enough for four more clients.
        looks = [self.arrive(number).looks for number in (16, 16, 16, 16, 16, 79, 79)]
        assert looks == [1, 0, 0, 0, 0, 1, 1]

    def test_flood_is_counted_and_said_a_few_times(self) -> None:
        for _ in range(100):
            self.arrive(90)
        assert self.refusals == {"descriptors": 100}

    def test_server_is_not_blamed_for_what_is_lacking_here(self) -> None:
        self.servers.broken["one"] = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        client = self.client()
        client.send(GET)
        assert client.read().startswith(b"HTTP/1.1 502 ")
        assert self.upstream.avoid_until == 0
        self.servers.broken["one"] = OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        client.send(GET)
        assert self.upstream.avoid_until > 0


def test_log_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    from twisted.logger import LogEvent, globalLogPublisher

    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    try:
        full = Descriptors(10, {}, Clock().seconds)
        transport = Numbered(Clock(), None)
        transport.number = 9
        assert not full.admits(transport)
    finally:
        globalLogPublisher.removeObserver(events.append)
    [event] = [event for event in events if event.get("log_namespace", "").endswith("Descriptors")]
    assert (event["most"], event["limit"]) == (8, 10)
