"""A few of a kind are said, the rest is counted."""

from __future__ import annotations

from dynbalancer.core.repeats import Repeats


def test_the_first_few_pass_and_the_rest_is_counted() -> None:
    repeats = Repeats(allowed=2, period=10.0)
    assert [repeats.passes("a", now) for now in (0.0, 1.0, 2.0, 9.9)] == [0, 0, None, None]
    assert repeats.passes("a", 10.0) == 2
    assert repeats.passes("a", 10.1) == 0
    assert repeats.passes("a", 10.2) is None


def test_kinds_are_told_apart() -> None:
    repeats = Repeats(allowed=1)
    assert repeats.passes("a", 0.0) == 0
    assert repeats.passes("b", 0.0) == 0
    assert repeats.passes("a", 0.0) is None


def test_rare_ones_all_pass() -> None:
    repeats = Repeats(allowed=1, period=10.0)
    assert [repeats.passes("a", now) for now in range(0, 100, 10)] == [0] * 10


def test_a_clock_set_back_begins_a_new_period() -> None:
    repeats = Repeats(allowed=1, period=10.0)
    repeats.passes("a", 1000.0)
    assert repeats.passes("a", 5.0) == 0


def test_too_many_kinds_count_as_one() -> None:
    repeats = Repeats(allowed=1, period=10.0, kinds=3)
    assert [repeats.passes(kind, 0.0) for kind in "abcde"] == [0, 0, 0, 0, None]
    assert repeats.passes("a", 0.0) is None


def test_kinds_that_are_over_make_room() -> None:
    repeats = Repeats(allowed=1, period=10.0, kinds=2)
    repeats.passes("a", 0.0)
    repeats.passes("b", 0.0)
    repeats.passes("b", 0.0)
    assert repeats.passes("c", 20.0) == 0
    assert repeats.passes("c", 20.0) is None
    assert repeats.passes("b", 20.0) == 1
