"""Power of two choices."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.balancers.p2c import TwoChoices


def servers(*loads: int, weight: int = 1) -> list[Any]:
    return [SimpleNamespace(name=chr(97 + i), weight=weight, in_flight=load) for i, load in enumerate(loads)]


def order(candidates: list[Any], *drawn: float) -> str:
    """The names in the order of choice, where the lots fall so."""
    lots = iter(drawn)
    chosen = TwoChoices(candidates, {}, lambda: 0, lambda: next(lots)).choices(None)
    return "".join(server.name for server in chosen)


@pytest.mark.parametrize(
    ("loads", "drawn", "chosen"),
    [
        ((5, 1, 9), (0.0, 0.0), "bac"),
        ((1, 5, 9), (0.0, 0.0), "abc"),
        ((3, 3, 0), (0.4, 0.0), "bac"),
        ((0, 0, 0), (0.99, 0.99), "cba"),
    ],
)
def test_of_two_drawn_the_one_with_less_to_do_is_first(
    loads: tuple[int, ...], drawn: tuple[float, ...], chosen: str
) -> None:
    assert order(servers(*loads), *drawn) == chosen


def test_one_or_none_needs_no_lot() -> None:
    assert order(servers(7)) == "a"
    assert order(servers(0, 0, weight=0)) == ""


@given(st.lists(st.integers(0, 9), min_size=2, max_size=8), st.integers())
def test_each_server_comes_once_and_the_busiest_never_first_alone(loads: list[int], seed: int) -> None:
    candidates = servers(*loads)
    chosen = list(TwoChoices(candidates, {}, lambda: 0, Random(seed).random).choices(None))
    assert sorted(server.name for server in chosen) == [server.name for server in candidates]
    assert chosen[0].in_flight <= chosen[1].in_flight


def test_load_evens_out() -> None:
    candidates = servers(*[0] * 10)
    balancer = TwoChoices(candidates, {}, lambda: 0, Random(1).random)
    for _ in range(10_000):
        next(balancer.choices(None)).in_flight += 1
    loads = [server.in_flight for server in candidates]
    # The law of two choices: the spread is a handful, however many there are.
    assert max(loads) - min(loads) <= 6
