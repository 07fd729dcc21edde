"""Timers while the wall clock is set."""

from __future__ import annotations

from twisted.internet.base import ReactorBase
from twisted.internet.task import Clock

from dynbalancer.control.steady import keep_steady


class Reactor(ReactorBase):
    """One that never runs."""

    def installWaker(self) -> None:
        """There is nobody to wake."""


def test_timers_go_by_the_clock_that_only_goes_on() -> None:
    reactor = Reactor()
    now = [1000.0]
    assert keep_steady(reactor, lambda: now[0])
    called: list[float] = []
    reactor.callLater(10, lambda: called.append(now[0]))
    assert reactor.timeout() == 10
    reactor.runUntilCurrent()
    assert called == []
    now[0] = 1010.0
    reactor.runUntilCurrent()
    assert called == [1010.0]


def test_what_waits_already_keeps_its_clock() -> None:
    reactor = Reactor()
    before = reactor.seconds
    waiting = reactor.callLater(10, print)
    assert not keep_steady(reactor)
    assert reactor.seconds == before
    waiting.cancel()
    assert keep_steady(reactor)


def test_clock_of_a_test_is_left_alone() -> None:
    clock = Clock()
    clock.advance(5)
    assert not keep_steady(clock)
    assert clock.seconds() == 5
