"""Counting in a worker: what is told, how much at a time, and what is forgotten."""

from __future__ import annotations

from dynbalancer.proxy.flowing import Flowing


def test_only_what_has_news_is_told() -> None:
    flowing = Flowing()
    flow = flowing.of("tcp", "a@x", "s@x", "10.0.0.1:1")
    flow.count = flow.open = 1
    assert list(flowing.report(10)) == [("tcp", "a@x", "s@x", "10.0.0.1:1")]
    assert flowing.report(10) == {}
    flow.bytes_in += 5
    [told] = flowing.report(10).values()
    assert (told.count, told.open, told.bytes_in) == (0, 1, 5)


def test_count_is_the_same_as_long_as_a_connection_is_open() -> None:
    flowing = Flowing()
    flow = flowing.of("tcp", "a@x", "s@x", "10.0.0.1:1")
    flow.open = 1
    flowing.report(10)
    assert flowing.of("tcp", "a@x", "s@x", "10.0.0.1:1") is flow
    flow.open = 0
    [told] = flowing.report(10).values()
    assert told.open == 0
    assert flowing.of("tcp", "a@x", "s@x", "10.0.0.1:1") is not flow


def test_so_many_are_told_at_a_time() -> None:
    flowing = Flowing()
    for number in range(5):
        flowing.of("udp", f"r{number}@x").refused = 1
    seen = []
    for left in (3, 1, 0):
        seen += flowing.report(2)
        assert flowing.due == left
    assert sorted(key[1] for key in seen) == [f"r{number}@x" for number in range(5)]
