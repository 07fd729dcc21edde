"""Rows of numbers: equal in all processes, kept as long as their service, never beyond the memory."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

from dynbalancer.control.counters import Counters, LocalCounters, SlotNumbers


@pytest.fixture
def counters() -> Iterator[Counters]:
    """Shared memory of eight rows."""
    made = Counters.create(8)
    yield made
    os.close(made.fd)


def test_local_row_counts_from_zero_and_goes_on_while_it_is_held() -> None:
    counters = LocalCounters()
    first = counters.slot("web")
    assert [first(), first()] == [0, 1]
    assert counters.slot("web")() == 2
    assert counters.slot("api")() == 0


def test_local_row_nobody_holds_is_forgotten() -> None:
    counters = LocalCounters()
    row = counters.slot("web")
    assert row() == 0
    del row
    gc.collect()
    assert counters.slot("web")() == 0


def test_one_row_over_two_processes(counters: Counters) -> None:
    other = Counters(counters.fd)
    for process in (counters, other):
        process.use({"web": 5})
    mine, theirs = counters.slot("web"), other.slot("web")
    assert [mine(), theirs(), mine(), theirs()] == [0, 1, 2, 3]


def test_rows_are_apart(counters: Counters) -> None:
    counters.use({"web": 0, "api": 7})
    web, api = counters.slot("web"), counters.slot("api")
    assert [web(), web(), api()] == [0, 1, 0]


def test_service_without_a_row_counts_for_itself(counters: Counters) -> None:
    assert [counters.slot("web")(), counters.slot("api")()] == [0, 0]


def test_row_wraps_instead_of_overflowing(counters: Counters) -> None:
    counters.use({"web": 1})
    raw = memoryview(counters._rows)
    raw[1] = (1 << 63) - 1
    web = counters.slot("web")
    assert [web(), web(), web()] == [(1 << 63) - 1, 0, 1]


def test_rubbish_left_by_a_worker_is_still_a_number(counters: Counters) -> None:
    counters.use({"web": 1})
    counters._rows[1] = (1 << 64) - 1
    assert counters.slot("web")() == (1 << 63) - 1


@pytest.mark.parametrize("index", [-1, 8, True, "1", None, 1.0])
def test_slot_beyond_the_memory_is_refused(counters: Counters, index: int) -> None:
    with pytest.raises(ValueError, match="there are 8 rows"):
        counters.use({"web": index})


def test_only_new_slots_are_looked_at_where_they_are_known(counters: Counters) -> None:
    slots = {"web": 1, "api": 8}
    counters.use(slots, {"web": 1})
    with pytest.raises(ValueError, match="slot 8 of service api"):
        counters.use(slots, {"api": 8})


def test_memory_cannot_be_cut_short(counters: Counters) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(counters.fd, 0)


def test_service_keeps_its_row_over_tables() -> None:
    numbers = SlotNumbers(8)
    assert numbers.assign(["a", "b"]) == {"a": 0, "b": 1}
    assert numbers.assign(["b", "c"]) == {"b": 1, "c": 2}


def test_row_given_up_is_given_away_only_by_a_later_table() -> None:
    numbers = SlotNumbers(8)
    numbers.assign(["a"])
    assert numbers.assign(["b"]) == {"b": 1}
    assert numbers.assign(["b", "c"]) == {"b": 1, "c": 0}


def test_row_begins_at_zero_for_its_next_service(counters: Counters) -> None:
    numbers = SlotNumbers(counters.rows, counters.clear)
    counters.use(numbers.assign(["a"]))
    assert [counters.slot("a")() for _ in range(3)] == [0, 1, 2]
    numbers.assign([])
    counters.use(numbers.assign(["b"]))
    assert counters.slot("b")() == 0


def test_services_beyond_the_last_row_have_none() -> None:
    numbers = SlotNumbers(2)
    assert numbers.assign(["a", "b", "c"]) == {"a": 0, "b": 1}
    numbers.assign(["b", "c"])
    assert numbers.assign(["b", "c"]) == {"b": 1, "c": 0}
