"""Slices: long work leaves room for others, and ends as it would have at once."""

from __future__ import annotations

from collections.abc import Generator
from itertools import count

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from dynbalancer.control.slices import MUCH, SLICE, Building, Slices


def working(steps: int, fails: bool = False) -> Generator[None, None, str]:
    for _ in range(steps):
        yield
    if fails:
        raise ZeroDivisionError
    return "done"


def outcome(deferred: Deferred[str]) -> list[object]:
    found: list[object] = []
    deferred.addBoth(found.append)
    return found


def test_little_work_is_done_at_once() -> None:
    reactor = Clock()
    assert outcome(Slices(reactor, reactor.seconds, working(1000)).run()) == ["done"]
    assert reactor.getDelayedCalls() == []


def test_much_work_is_done_in_slices_with_pauses() -> None:
    reactor = Clock()
    # Each look at the clock costs a third of a slice.
    clock = count(0.0, SLICE / 3).__next__
    found = outcome(Slices(reactor, clock, working(10)).run(pause=7.0))
    slices = 1
    while not found:
        (call,) = reactor.getDelayedCalls()
        assert call.getTime() == pytest.approx(reactor.seconds() + 7)
        reactor.advance(7)
        slices += 1
    assert (found, slices) == (["done"], 4)
    assert reactor.getDelayedCalls() == []


def test_failure_is_the_generators() -> None:
    reactor = Clock()
    clock = count(0.0, SLICE).__next__
    found = outcome(Slices(reactor, clock, working(1, fails=True)).run())
    assert found == []
    reactor.advance(0)
    (failure,) = found
    assert failure.check(ZeroDivisionError)  # type: ignore[attr-defined]


class Collector:
    """Stands for the module gc."""

    def __init__(self) -> None:
        self.did: list[str] = []

    def __getattr__(self, name: str) -> object:
        return lambda: self.did.append(name)


@pytest.mark.parametrize(
    ("changes", "did"), [(MUCH, ["disable", "enable"]), (MUCH + 1, ["disable", "freeze", "enable"])]
)
def test_collector_rests_while_something_is_built_and_never_looks_at_it_if_it_is_large(
    changes: int, did: list[str]
) -> None:
    collector = Collector()
    building = Building(collector)
    building.begin()
    building.begin()
    building.end(changes)
    building.end(changes)
    assert collector.did == did
