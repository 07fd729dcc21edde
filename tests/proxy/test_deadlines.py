"""One timer for all: who is due is told, once, and who is gone is forgotten."""

from __future__ import annotations

from functools import partial

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dynbalancer.proxy.deadlines import NEVER, TICK, Deadlines


class Thing:
    """Something with a deadline; ``passed`` holds the times at which it was over."""

    def __init__(self, case: TestDeadlines) -> None:
        self.deadline = self.watched = NEVER
        self.passed: list[float] = []
        self._case = case
        self.then: tuple[Thing, float] | None = None

    def deadline_passed(self) -> None:
        self.passed.append(self._case.clock.seconds())
        if self.then is not None:
            self._case.deadlines.set(*self.then)


class TestDeadlines(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(100)
        self.deadlines = Deadlines(self.clock)
        self.deadlines.start()

    def wait(self, seconds: float) -> None:
        self.clock.pump([TICK] * round(seconds / TICK))

    def things(self, count: int) -> list[Thing]:
        return [Thing(self) for _ in range(count)]

    def test_each_is_told_once_and_about_in_time(self) -> None:
        early, late = self.things(2)
        self.deadlines.set(late, 5)
        self.deadlines.set(early, 2)
        self.wait(20)
        assert [len(thing.passed) for thing in (early, late)] == [1, 1]
        assert 102 <= early.passed[0] <= 102 + 2 * TICK
        assert 105 <= late.passed[0] <= 105 + 2 * TICK
        assert self.deadlines._buckets == {}

    def test_deadline_moved_later_counts(self) -> None:
        (thing,) = self.things(1)
        self.deadlines.set(thing, 2)
        for _ in range(10):
            self.wait(1)
            self.deadlines.set(thing, 2)
        assert thing.passed == []
        self.wait(3)
        assert len(thing.passed) == 1

    def test_deadline_moved_earlier_counts(self) -> None:
        (thing,) = self.things(1)
        self.deadlines.set(thing, 60)
        self.deadlines.set(thing, 1)
        self.wait(2)
        assert len(thing.passed) == 1
        self.wait(60)
        assert self.deadlines._buckets == {}

    def test_no_time_means_no_deadline(self) -> None:
        off, taken_back = self.things(2)
        self.deadlines.set(off, 0)
        self.deadlines.set(taken_back, 2)
        taken_back.deadline = NEVER
        self.wait(10)
        assert (off.passed, taken_back.passed) == ([], [])
        assert self.deadlines._buckets == {}

    def test_forgotten_thing_is_kept_nowhere(self) -> None:
        gone, other = self.things(2)
        self.deadlines.set(gone, 2)
        self.deadlines.set(other, 2)
        self.deadlines.forget(gone)
        assert [bucket for bucket in self.deadlines._buckets.values() if gone in bucket] == []
        self.wait(5)
        assert (gone.passed, len(other.passed)) == ([], 1)

    def test_forgetting_what_has_none_is_harmless(self) -> None:
        (thing,) = self.things(1)
        self.deadlines.forget(thing)
        self.wait(5)
        assert thing.passed == []

    def test_new_deadline_may_be_set_when_one_is_over(self) -> None:
        first, second = self.things(2)
        first.then = (second, 2)
        self.deadlines.set(first, 2)
        self.deadlines.set(second, 2)
        self.wait(10)
        assert len(first.passed) == 1
        assert second.passed[-1] >= first.passed[0] + 2
        assert self.deadlines._buckets == {}

    def test_those_that_are_due_together_are_told_in_the_order_in_which_they_came(self) -> None:
        # Sets go by addresses: what came of it differed from one run to the next.
        things = self.things(30)
        told: list[int] = []
        for number, thing in enumerate(things):
            self.patch(thing, "deadline_passed", partial(told.append, number))
            self.deadlines.set(thing, 2)
        self.wait(5)
        assert told == list(range(30))

    def test_neighbour_forgotten_while_others_are_told_is_not_told(self) -> None:
        things = self.things(10)
        for thing in things:
            self.deadlines.set(thing, 2)

        def forget_all() -> None:
            for thing in things:
                self.deadlines.forget(thing)

        for thing in things:
            self.patch(thing, "deadline_passed", lambda: told.append(forget_all()))
        told: list[None] = []
        self.wait(5)
        assert len(told) == 1
        assert self.deadlines._buckets == {}

    def test_nobody_looks_where_nobody_has_a_deadline(self) -> None:
        (thing,) = self.things(1)
        self.wait(1)
        assert self.clock.getDelayedCalls() == []
        self.clock.advance(1000)
        began = self.clock.seconds()
        self.deadlines.set(thing, 2)
        self.wait(3)
        assert began + 2 <= thing.passed[0] <= began + 2 + 2 * TICK
        assert self.clock.getDelayedCalls() == []

    def test_a_defect_of_one_does_not_stop_the_timer(self) -> None:
        broken, other = self.things(2)
        self.patch(broken, "deadline_passed", lambda: 1 // 0)
        self.deadlines.set(broken, 2)
        self.deadlines.set(other, 3)
        with self.assertRaises(ZeroDivisionError):
            self.wait(3)
        self.wait(2)
        assert len(other.passed) == 1

    def test_stopped_while_somebody_is_told_it_looks_no_more(self) -> None:
        first, second = self.things(2)
        self.patch(first, "deadline_passed", self.deadlines.stop)
        self.deadlines.set(first, 2)
        self.deadlines.set(second, 3)
        # Both are due at the same look.
        self.clock.advance(5)
        assert second.passed == []
        assert self.clock.getDelayedCalls() == []

    def test_stopped_timer_leaves_nothing_behind(self) -> None:
        (thing,) = self.things(1)
        self.deadlines.set(thing, 2)
        self.deadlines.stop()
        self.deadlines.stop()
        assert self.clock.getDelayedCalls() == []
        assert self.deadlines._buckets == {}
