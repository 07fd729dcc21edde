"""Weighted round robin."""

from __future__ import annotations

from collections import Counter
from itertools import count
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.balancers.roundrobin import LONGEST_CYCLE, WeightedRoundRobin, smooth_cycle


def balancer(*weights: int) -> tuple[WeightedRoundRobin, list[SimpleNamespace]]:
    servers = [SimpleNamespace(name=chr(97 + i), weight=weight) for i, weight in enumerate(weights)]
    return WeightedRoundRobin(servers, {}, count().__next__, lambda: 0.5), servers


def first(rotating: WeightedRoundRobin) -> str:
    return next(rotating.choices(None)).name  # type: ignore[attr-defined]


def test_equal_servers_rotate_strictly() -> None:
    rotating, _ = balancer(1, 1, 1, 1)
    assert "".join(first(rotating) for _ in range(8)) == "abcdabcd"


@pytest.mark.parametrize(
    "weights, cycle",
    [((3, 1), "aaba"), ((5, 1, 1), "aabacaa"), ((2, 2), "ab"), ((0, 1), "b"), ((10, 30), "babb")],
)
def test_weights_are_interleaved(weights: tuple[int, ...], cycle: str) -> None:
    assert "".join(chr(97 + i) for i in smooth_cycle(weights)) == cycle


def test_choices_go_on_with_each_other_server_once() -> None:
    rotating, _ = balancer(2, 1, 1)
    for _ in range(8):
        names = [server.name for server in rotating.choices(None)]  # type: ignore[attr-defined]
        assert sorted(names) == ["a", "b", "c"]


@pytest.mark.parametrize("weights", [(), (0, 0), (-1,)])
def test_nobody_to_choose_from(weights: tuple[int, ...]) -> None:
    rotating, _ = balancer(*weights)
    assert list(rotating.choices(None)) == []


@given(st.lists(st.integers(0, 20), min_size=1, max_size=8))
def test_over_a_cycle_each_gets_its_share(weights: list[int]) -> None:
    cycle = smooth_cycle(weights)
    picks = Counter(cycle)
    total = sum(weights)
    for index, weight in enumerate(weights):
        assert picks[index] * total == weight * len(cycle)


def test_heavy_weights_are_scaled_down_and_nobody_is_lost() -> None:
    cycle = smooth_cycle([1_000_000, 1, 333_333])
    assert len(cycle) <= LONGEST_CYCLE + 3
    assert set(cycle) == {0, 1, 2}
    assert Counter(cycle)[0] == pytest.approx(3 * Counter(cycle)[2], rel=0.01)


def test_round_robin_does_not_learn() -> None:
    assert WeightedRoundRobin.observe is None
