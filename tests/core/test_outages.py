"""Servers that failed too often, as all workers see them."""

from __future__ import annotations

import pytest

from dynbalancer.core import outages
from dynbalancer.core.model import PassiveHealth
from dynbalancer.core.outages import Outages, room
from dynbalancer.core.regions import LocalRegions, Region

TWICE = PassiveHealth(10.0, 2)


class CountingLock:
    """Knows that it was taken, and given back."""

    def __init__(self) -> None:
        self.held = 0
        self.taken = 0

    def acquire(self) -> None:
        self.held += 1
        self.taken += 1
        assert self.held == 1

    def release(self) -> None:
        self.held -= 1


def region(wanted: PassiveHealth = TWICE) -> Region:
    return LocalRegions().region("passiveHealthCheck web@x", room(wanted))


def test_enough_failures_in_the_window_are_an_outage_as_long_as_the_window() -> None:
    outage = Outages(region(), TWICE).of("http://a:80")
    assert (outage.until, outage.failures) == (0.0, [])
    outage.failed(1.0)
    assert (outage.until, outage.failures) == (0.0, [1.0])
    outage.failed(5.0)
    assert (outage.until, outage.failures) == (15.0, [])


def test_old_failures_do_not_count_and_a_good_answer_ends_them() -> None:
    outage = Outages(region(), TWICE).of("http://a:80")
    outage.failed(1.0)
    outage.failed(11.0)
    assert (outage.until, outage.failures) == (0.0, [11.0])
    outage.answered()
    outage.failed(12.0)
    assert outage.until == 0.0


def test_what_one_worker_sees_all_know() -> None:
    shared = region()
    one, other = Outages(shared, TWICE), Outages(shared, TWICE)
    one.of("http://a:80").failed(1.0)
    other.of("http://a:80").failed(2.0)
    assert one.of("http://a:80").until == 12.0
    assert other.of("http://b:80").until == 0.0


@pytest.mark.parametrize("attempts", [1, 2, 7])
def test_as_many_failures_as_were_allowed(attempts: int) -> None:
    wanted = PassiveHealth(10.0, attempts)
    outage = Outages(region(wanted), wanted).of("http://a:80")
    for number in range(attempts):
        assert outage.until == 0.0
        outage.failed(1.0 + number / 10)
    assert outage.until > 10.0


def test_many_servers_have_a_place_each_and_those_too_many_one_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "SERVERS", 4)
    shared = region()
    found = [Outages(shared, TWICE).of(f"http://{number}:80") for number in range(6)]
    for number, outage in enumerate(found):
        outage.failed(float(number + 1))
    assert [outage.failures for outage in found] == [[float(number + 1)] for number in range(6)]


def test_changes_are_made_under_the_lock() -> None:
    lock = CountingLock()
    shared = Region(region().cells, lock=lock)  # type: ignore[arg-type]
    outage = Outages(shared, TWICE).of("http://a:80")
    outage.failed(1.0)
    assert (lock.taken, lock.held) == (2, 0)
