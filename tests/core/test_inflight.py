"""What is in flight: counted by source over all workers, and gone with who counted it."""

from __future__ import annotations

import pytest

from dynbalancer.core.inflight import FULL, WAYS, InFlight, room
from dynbalancer.core.regions import LocalRegions, Region


def region(places: int = 64) -> Region:
    """Room for so many sources."""
    return LocalRegions().region("r", places * 8, places)


def workers(count: int, most: int, places: int = 64) -> list[InFlight]:
    """So many, on one region."""
    cells = memoryview(bytearray(8 * places))
    columns = tuple(memoryview(bytearray(4 * places)).cast("I") for _ in range(count))
    return [InFlight(Region(cells, columns, own), most) for own in range(count)]


def test_as_many_as_may_enter_and_the_next_when_one_left() -> None:
    found = InFlight(region(), 2)
    rows = [found.enter(1) for _ in range(3)]
    assert rows[2] == FULL
    assert found.count(1) == 2
    found.leave(rows[0])
    assert found.enter(1) != FULL
    assert found.enter(1) == FULL


def test_sources_count_apart() -> None:
    found = InFlight(region(), 1)
    assert FULL not in [found.enter(number) for number in (1, 2, 9, 65)]
    assert found.enter(65) == FULL


def test_none_may_enter_where_the_amount_is_0() -> None:
    assert InFlight(region(), 0).enter(1) == FULL


def test_all_workers_count_together() -> None:
    one, other = workers(2, 2)
    assert one.enter(1) != FULL
    row = other.enter(1)
    assert (one.enter(1), other.enter(1)) == (FULL, FULL)
    other.leave(row)
    assert one.enter(1) != FULL


def test_what_a_worker_that_is_gone_had_in_flight_is_gone_too() -> None:
    one, other = workers(2, 3)
    for _ in range(3):
        one.enter(1)
    assert other.enter(1) == FULL
    one._own[:] = memoryview(bytes(one._own.nbytes)).cast("I")
    assert [other.enter(1) for _ in range(4)].count(FULL) == 1


def test_one_more_leaving_than_came_is_no_count_below_none() -> None:
    found = InFlight(region(), 1)
    row = found.enter(1)
    found.leave(row)
    found.leave(row)
    assert (found.count(1), found.enter(1)) == (0, row)


def test_row_nobody_uses_goes_to_the_next_source() -> None:
    found = InFlight(region(WAYS), 1)
    for number in range(100):
        row = found.enter(number + 1)
        assert row != FULL
        found.leave(row)


def test_where_there_are_too_many_sources_some_count_together_and_no_limit_is_passed() -> None:
    found = InFlight(region(WAYS), 2)
    rows = [found.enter(number) for number in range(1, 4 * WAYS)]
    assert len([row for row in rows if row != FULL]) == 2 * WAYS
    for row in rows:
        if row != FULL:
            found.leave(row)
    assert found.enter(99) != FULL


@pytest.mark.parametrize("octets, rows, found", [(8 * 64, 64, 64), (8 * 64, 20, 16), (8 * 10, 64, 8)])
def test_room_is_what_both_numbers_and_counts_have(octets: int, rows: int, found: int) -> None:
    assert room(LocalRegions().region("r", octets, rows)) == found
