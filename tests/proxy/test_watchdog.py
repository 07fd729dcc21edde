"""The watchdog: stalls are measured, described once, and told from a loop at rest; without waiting for any."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.logger import capturedLogs

from dynbalancer.proxy.watchdog import (
    AWAKE,
    DEPTH,
    DOZE,
    LONG,
    RESTING,
    SILENCE,
    Watchdog,
    described,
    in_thread,
)


def frame(*places: str) -> Any:
    """A stack of ``module:line function``, the innermost first."""
    made: Any = None
    for place in reversed(places):
        where, function = place.split(" ")
        module, line = where.split(":")
        made = SimpleNamespace(
            f_globals={"__name__": module},
            f_lineno=int(line),
            f_code=SimpleNamespace(co_name=function.rpartition(".")[2], co_qualname=function),
            f_back=made,
        )
    return made


REST = ("twisted.internet.asyncioreactor:257 AsyncioSelectorReactor.run", "dynbalancer.worker:1 main")
BUSY = ("shop.price:41 Price.table", "dynbalancer.proxy.resource:84 ReverseProxyResource._run")


class Loop:
    """A watched loop whose time, stack and turns a test decides."""

    def __init__(self, stall: float = 0.05) -> None:
        self.now = 100.0
        self.stack: Any = frame(*REST)
        self.asked: list[Callable[[], None]] = []
        self.threads: list[Callable[[], None]] = []
        self.slept: list[float] = []
        self.dozed: list[float] = []
        self.dog = Watchdog(
            stall,
            SimpleNamespace(callFromThread=self.asked.append),
            clock=lambda: self.now,
            frames=lambda: {threading.get_ident(): self.stack},
            sleep=self.sleep,
            bed=self,
            spawn=self.threads.append,
        )

    def sleep(self, seconds: float) -> None:
        """Nobody sleeps; the third time is the last."""
        self.slept.append(seconds)
        self._end()

    def wait(self, seconds: float) -> None:
        """Nobody dozes either."""
        self.dozed.append(seconds)
        self._end()

    def _end(self) -> None:
        if len(self.slept) + len(self.dozed) == 3:
            self.dog.stop()

    def set(self) -> None:
        """Nobody has to be woken."""

    def clear(self) -> None:
        """Nor let sleep."""

    def start(self) -> Loop:
        """Watched, by looks of the test's own."""
        self.dog.start()
        return self

    def looks(self, *seconds: float, places: tuple[str, ...] = BUSY) -> None:
        """So much time passes before each look; the loop is at these places."""
        for passed in seconds:
            self.now += passed
            self.stack = frame(*places, *REST)
            self.dog.look()

    def turn(self, after: float = 0.0) -> None:
        """The loop turns: it answers what it was asked."""
        self.now += after
        for answer in self.asked:
            answer()
        self.asked.clear()


def test_loop_at_rest_is_only_looked_at() -> None:
    loop = Loop().start()
    loop.looks(0.04, 0.04, 10, places=())
    assert (loop.asked, loop.dog.stalls) == ([], 0)


@pytest.mark.parametrize("place", sorted(RESTING))
def test_every_reactor_has_its_resting_place(place: tuple[str, str]) -> None:
    loop = Loop().start()
    loop.stack = frame(f"{place[0]}:1 Some.{place[1]}")
    loop.dog.look()
    assert loop.asked == []


def test_busy_loop_that_turns_in_time_is_no_stall() -> None:
    loop = Loop().start()
    for _ in range(100):
        loop.looks(0.04)
        loop.turn(0.001)
    assert loop.dog.stalls == 0


def test_stall_is_counted_and_told_with_its_stack_when_it_is_over() -> None:
    loop = Loop().start()
    with capturedLogs() as events:
        loop.looks(0.04)
        loop.looks(0.04, places=("shop.price:44 Price.table", *BUSY[1:]))
        assert events == []
        loop.turn(0.02)
    (event,) = events
    # It began between two looks: when the loop was last known to turn, and when it was seen to be busy.
    assert (event["milliseconds"], event["where"]) == (
        80,
        " < ".join(["shop.price:44 Price.table", *BUSY[1:]]),
    )
    assert (event["so_far"], event["before"], loop.dog.stalls) == ("", "", 1)
    loop.looks(0.04)
    loop.turn()
    assert loop.dog.stalls == 1


def test_loop_is_asked_once_in_a_stall() -> None:
    loop = Loop().start()
    loop.looks(*[0.04] * 10)
    assert len(loop.asked) == 1


@pytest.mark.parametrize("after, stalls", [(0.029, 0), (0.031, 1)])
def test_just_too_long_is_too_long(after: float, stalls: int) -> None:
    loop = Loop().start()
    loop.looks(0.04)
    loop.turn(after)
    assert loop.dog.stalls == stalls


def test_stall_in_which_nobody_could_look_begins_where_a_look_was_due() -> None:
    """Code that holds the interpreter, such as a regular expression, holds the watchdog's thread as well."""
    loop = Loop().start()
    with capturedLogs() as events:
        loop.looks(0.5)
        loop.turn(0.01)
    assert [event["milliseconds"] for event in events] == [490]


def test_stall_that_does_not_end_is_told_once_while_it_lasts() -> None:
    loop = Loop().start()
    with capturedLogs() as events:
        loop.looks(0.04, LONG, 1, 1)
        assert [(event["so_far"], event["milliseconds"]) for event in events] == [(" so far", 1020)]
        loop.turn(5)
    assert (len(events), loop.dog.stalls) == (1, 1)


def test_many_stalls_are_counted_and_told_now_and_then() -> None:
    loop = Loop().start()
    with capturedLogs() as events:
        for _ in range(3):
            loop.looks(0.04, 0.04)
            loop.turn()
        loop.looks(SILENCE - 0.1, 0.05, places=())
        loop.looks(0.04, 0.04)
        loop.turn()
    assert [event["before"] for event in events] == ["", " (and 2 times more since this was last said)"]
    assert loop.dog.stalls == 4


def dozing() -> Loop:
    """A loop where nothing happened for a long time."""
    loop = Loop().start()
    loop.looks(AWAKE - 0.01, places=())
    assert not loop.dog.dozing
    loop.looks(0.01, places=())
    assert loop.dog.dozing
    return loop


def test_when_nothing_happens_it_dozes_and_looks_rarely() -> None:
    loop = dozing()
    (keep_looking,) = loop.threads
    keep_looking()
    assert (loop.slept, loop.dozed) == ([], [DOZE] * 3)


def test_what_wakes_it_is_when_a_stall_began() -> None:
    loop = dozing()
    loop.now += 100
    loop.dog.wake()
    assert not loop.dog.dozing
    with capturedLogs() as events:
        loop.looks(0.004)
        loop.turn(0.049)
    assert [event["milliseconds"] for event in events] == [51]


def test_what_is_seen_by_chance_is_counted_from_then_on() -> None:
    loop = dozing()
    loop.looks(0.25)
    assert not loop.dog.dozing
    loop.turn(0.049)
    assert loop.dog.stalls == 0
    loop = dozing()
    loop.looks(0.25)
    loop.turn(0.051)
    assert loop.dog.stalls == 1


def test_stall_that_kept_it_from_looking_while_it_dozed_is_seen() -> None:
    loop = dozing()
    loop.looks(1)
    loop.turn()
    assert loop.dog.stalls == 1


def test_it_is_awake_as_long_as_there_is_something_to_see() -> None:
    loop = Loop().start()
    for _ in range(3):
        loop.looks(AWAKE - 1, places=())
        loop.looks(0.04)
        loop.turn()
    assert not loop.dog.dozing


def test_thread_that_is_gone_is_not_looked_at() -> None:
    loop = Loop().start()
    loop.dog._frames = dict
    loop.dog.look()
    assert loop.asked == []


def test_loop_that_was_closed_is_watched_no_more() -> None:
    loop = Loop().start()

    def closed(answer: Callable[[], None]) -> None:
        raise RuntimeError("Event loop is closed")

    loop.dog._soon = closed
    loop.looks(0.04)
    assert not loop.dog._running


def test_asyncio_loop_is_asked_itself() -> None:
    asked: list[Callable[[], None]] = []
    reactor = SimpleNamespace(_asyncioEventloop=SimpleNamespace(call_soon_threadsafe=asked.append))
    here = {threading.get_ident(): frame(*BUSY)}
    dog = Watchdog(0.05, reactor, frames=lambda: here, spawn=lambda function: None)
    dog.start()
    dog.look()
    assert len(asked) == 1


@pytest.mark.parametrize("stall, period", [(0.05, 0.04), (1, 0.8), (0.001, 0.01)])
def test_looks_are_a_little_closer_than_a_stall_is_long(stall: float, period: float) -> None:
    loop = Loop(stall).start()
    loop.stack = frame(*BUSY)
    (keep_looking,) = loop.threads
    keep_looking()
    assert loop.slept == [period] * 3
    assert len(loop.asked) == 1


def test_it_is_started_once() -> None:
    assert len(Loop().start().start().threads) == 1


def test_nothing_is_watched_where_it_is_off() -> None:
    assert Loop(0).start().threads == []


def test_thread_is_one_that_no_end_waits_for() -> None:
    found: list[threading.Thread] = []
    over = threading.Event()

    def look() -> None:
        found.append(threading.current_thread())
        over.set()

    in_thread(look)
    assert over.wait(60)
    assert (found[0].name, found[0].daemon) == ("watchdog", True)


def test_stack_is_a_line_that_begins_where_it_is_and_ends_at_the_loop() -> None:
    assert described(frame(*BUSY, *REST)) == " < ".join(BUSY)
    assert described(frame(*REST)) == " < ".join(REST)
    deep = frame(*[f"a:{number} f" for number in range(50)])
    assert described(deep).count("<") == DEPTH - 1


def test_own_stack_is_described_from_a_real_frame() -> None:
    here = described(sys._getframe())
    assert here.startswith(f"{__name__}:")
    assert " test_own_stack_is_described_from_a_real_frame < " in here
