"""Least time."""

from __future__ import annotations

from collections import Counter
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from dynbalancer.core.balancers.leasttime import SAMPLES, LeastTime, Samples, expected


def server(name: str, weight: int = 1, in_flight: int = 0) -> Any:
    return SimpleNamespace(name=name, weight=weight, in_flight=in_flight, learned=None)


def balancer(*servers: Any) -> LeastTime:
    return LeastTime(servers, {}, count().__next__, lambda: 0.0)


def names(one: LeastTime) -> str:
    return "".join(server.name for server in one.choices(None))


def test_nobody_known_is_in_turn() -> None:
    one = balancer(server("a"), server("b"))
    assert [names(one) for _ in range(3)] == ["ab", "ba", "ab"]


def test_the_faster_one_first_until_it_has_too_much_to_do() -> None:
    fast, slow = server("f"), server("s")
    one = balancer(slow, fast)
    one.observe(fast, 0.1, 200, 0.0)
    one.observe(slow, 0.25, 200, 0.0)
    assert [names(one) for _ in range(2)] == ["fs", "fs"]
    fast.in_flight = 2
    assert names(one) == "sf"


def test_weight_counts() -> None:
    light, heavy = server("l"), server("h", weight=3)
    one = balancer(light, heavy)
    one.observe(light, 0.1, 200, 0.0)
    one.observe(heavy, 0.2, 200, 0.0)
    assert names(one) == "hl"


def test_no_answer_says_nothing_of_its_time() -> None:
    one_server = server("a")
    balancer(one_server).observe(one_server, 0.001, 0, 0.0)
    assert one_server.learned is None


def test_what_another_strategy_learned_is_forgotten() -> None:
    one_server = server("a")
    one_server.learned = "something else"
    assert expected(one_server) == 0.0
    balancer(one_server).observe(one_server, 0.5, 200, 0.0)
    assert expected(one_server) == 0.5


def test_only_the_last_samples_count() -> None:
    samples = Samples()
    for _ in range(SAMPLES):
        samples.add(9.0)
    for _ in range(SAMPLES):
        samples.add(0.5)
    assert samples.sum == pytest.approx(SAMPLES * 0.5)


def test_over_many_requests_the_faster_one_gets_most() -> None:
    fast, slow = server("f"), server("s")
    one = balancer(fast, slow)
    picks: Counter[str] = Counter()
    for _ in range(20):
        chosen: Any = next(one.choices(None))
        picks[chosen.name] += 1
        one.observe(chosen, 0.01 if chosen is fast else 0.1, 200, 0.0)
    assert picks["f"] > 14
    assert picks["s"] > 0
