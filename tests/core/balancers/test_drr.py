"""Dynamic round robin: who fails gets less, and gets its share back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.balancers.drr import HIGHEST, WINDOW, DynamicRoundRobin, Record, adjusted


def balancer(*weights: int) -> tuple[DynamicRoundRobin, list[Any]]:
    servers: list[Any] = [
        SimpleNamespace(name=chr(97 + n), weight=w, learned=None) for n, w in enumerate(weights)
    ]
    return DynamicRoundRobin(servers, {}, count().__next__, lambda: 0.0), servers


def run(one: DynamicRoundRobin, bad: Sequence[Any], start: float, seconds: int) -> Counter[str]:
    """Ten requests a second; those who are ``bad`` answer 500. Who got how many."""
    picks: Counter[str] = Counter()
    for step in range(seconds * 10):
        chosen: Any = next(one.choices(None))
        picks[chosen.name] += 1
        one.observe(chosen, 0.01, 500 if chosen in bad else 200, start + step / 10)
    return picks


def test_without_failures_it_is_round_robin() -> None:
    one, _ = balancer(2, 1)
    assert run(one, (), 0.0, 30) == {"a": 200, "b": 100}
    assert one.weights == [2, 1]


def test_who_fails_gets_less_and_its_share_back_when_it_works_again() -> None:
    one, servers = balancer(1, 1)
    during = run(one, servers[:1], 0.0, 60)
    assert during["a"] < during["b"] / 2
    after = run(one, (), 60.0, 40 * WINDOW)
    assert one.weights == [1, 1]
    assert after["a"] > 0


def test_where_all_fail_alike_nobody_is_worse() -> None:
    one, servers = balancer(1, 1, 1)
    run(one, servers, 0.0, 30)
    assert one.weights == [1, 1, 1]


def test_no_answer_is_a_failure() -> None:
    one, servers = balancer(1, 1)
    one.observe(servers[0], 0.0, 0, 5.0)
    assert servers[0].learned.ratio(5) == 1.0


def test_only_failures_within_the_window_count() -> None:
    record = Record()
    record.add(100, True)
    record.add(101, False)
    assert record.ratio(101) == 0.5
    assert record.ratio(100 + WINDOW) == 0.0
    assert record.ratio(200) == 0.0


@pytest.mark.parametrize(
    ("given_weights", "weights", "ratios", "expected"),
    [
        ([1, 1], [1, 1], [1.0, 0.0], [1, 4]),
        ([1, 1], [1, HIGHEST], [1.0, 0.0], [1, HIGHEST]),
        ([1, 1], [1, 4], [0.0, 0.0], [1, 1]),
        ([2, 1], [2, 64], [0.0, 0.0], [2, 16]),
        ([], [], [], []),
    ],
)
def test_weights_grow_and_come_back(
    given_weights: list[int], weights: list[int], ratios: list[float], expected: list[int]
) -> None:
    assert adjusted(given_weights, weights, ratios) == expected


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(0, 1)), min_size=1, max_size=6), st.integers(0, 8))
def test_weights_never_leave_their_bounds(servers: list[tuple[int, float]], steps: int) -> None:
    first = [weight for weight, _ in servers]
    weights = first
    for _ in range(steps):
        weights = adjusted(first, weights, [ratio for _, ratio in servers])
        assert all(low <= weight <= HIGHEST for low, weight in zip(first, weights, strict=True))
