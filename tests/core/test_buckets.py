"""Token buckets: the rate, the burst and the wait of each source; a full table lets nobody do more."""

from __future__ import annotations

import math

import pytest

from dynbalancer.core.buckets import WAYS, Rate, TokenBuckets, cells_of, room
from dynbalancer.core.regions import LocalRegions, Region

SECOND = Rate(1, 1.0, 1)


def region(places: int = 64, rates: int = 1) -> Region:
    """Room for so many sources."""
    return LocalRegions().region("r", places * 8 * (1 + rates))


def buckets(*rates: Rate, patience: float = 0.0, places: int = 64) -> TokenBuckets:
    """Buckets for so many sources."""
    return TokenBuckets(region(places, len(rates)), rates, patience)


class CountingLock:
    """Says how often it was taken, and fails where it is taken twice."""

    def __init__(self) -> None:
        self.taken = 0
        self.held = False

    def acquire(self) -> None:
        assert not self.held
        self.held = True
        self.taken += 1

    def release(self) -> None:
        self.held = False


def admitted(found: TokenBuckets, *times: float, number: int = 1) -> list[bool]:
    """Which requests of one source pass, at these times."""
    return [found.wait(number, time) <= found.patience for time in times]


@pytest.mark.parametrize(
    "rate, times, passes",
    [
        (SECOND, (10, 10, 10.5, 11, 11.1, 12), (True, False, False, True, False, True)),
        (Rate(1, 1.0, 3), (10, 10, 10, 10, 11, 11), (True, True, True, False, True, False)),
        (Rate(2, 1.0, 1), (10, 10.4, 10.5, 11), (True, False, True, True)),
        (Rate(5, 3.0, 10), (*[10] * 11, 10.6, 10.7), (*[True] * 10, False, True, False)),
        (Rate(1, 60.0, 1), (10, 69, 70), (True, False, True)),
    ],
)
def test_rate_and_burst(rate: Rate, times: tuple[float, ...], passes: tuple[bool, ...]) -> None:
    assert admitted(buckets(rate), *times) == list(passes)


def test_unused_tokens_are_saved_up_to_the_burst_and_no_further() -> None:
    found = buckets(Rate(1, 1.0, 3))
    assert admitted(found, 10, 10, 10)
    assert admitted(found, *[1000] * 4) == [True, True, True, False]


def test_who_is_refused_is_told_when_to_come_again_and_pays_nothing() -> None:
    found = buckets(Rate(1, 10.0, 1))
    assert found.wait(1, 100) == 0
    assert found.wait(1, 101) == pytest.approx(9)
    assert found.wait(1, 109) == pytest.approx(1)
    assert found.wait(1, 110) == 0


def test_who_is_patient_gets_the_next_turn_but_one_after_the_other() -> None:
    found = buckets(Rate(100, 1.0, 1), patience=0.005)
    assert found.wait(1, 10.0) == 0
    assert found.wait(1, 10.006) == pytest.approx(0.004)
    # That turn is taken: the next one is ten milliseconds later.
    assert found.wait(1, 10.007) == pytest.approx(0.013)


def test_who_is_a_little_late_does_not_move_the_turns_that_follow() -> None:
    found = buckets(Rate(100, 1.0, 1), patience=0.005)
    assert found.wait(1, 10.0) == 0
    assert found.wait(1, 10.014) == 0
    assert found.wait(1, 10.016) == pytest.approx(0.004)
    # Nobody was there for longer than that: the next turn is a whole one later.
    assert found.wait(1, 10.036) == 0
    assert found.wait(1, 10.037) == pytest.approx(0.009)


def test_sources_have_buckets_of_their_own() -> None:
    found = buckets(SECOND)
    assert [found.wait(number, 10) for number in (1, 2, 9, 65)] == [0, 0, 0, 0]
    assert found.wait(65, 10) == pytest.approx(1)


def test_every_rate_has_to_have_a_token_and_none_is_taken_from_one_alone() -> None:
    found = buckets(Rate(10, 1.0, 2), Rate(3, 60.0, 3))
    assert admitted(found, 10, 10, 10) == [True, True, False]
    assert admitted(found, 11, 11) == [True, False]
    assert found.wait(1, 12) == pytest.approx(18)
    assert admitted(found, 30) == [True]


@pytest.mark.parametrize("workers", [1, 4])
def test_a_hundred_a_second_come_through_whoever_counts(workers: int) -> None:
    shared = region()
    several = [TokenBuckets(shared, (Rate(100, 1.0, 1),), 0.005) for _ in range(workers)]
    passed = sum(several[at % workers].wait(7, 50 + at / 1000) <= 0.005 for at in range(2000))
    assert 199 <= passed <= 201


def test_time_that_runs_a_little_behind_in_another_worker_is_no_harm() -> None:
    shared = region()
    one, other = (TokenBuckets(shared, (SECOND,)) for _ in range(2))
    assert one.wait(1, 10.01) == 0
    assert other.wait(1, 10.0) == pytest.approx(1.01)
    assert other.wait(1, 11.0) == pytest.approx(0.01)


@pytest.mark.parametrize("rates", [(Rate(2, 1.0, 1),), (Rate(1, 1.0, 3),), (SECOND, Rate(2, 60.0, 2))])
@pytest.mark.parametrize("patience", [0.0, 0.25])
def test_who_is_known_waits_as_long_as_anybody(rates: tuple[Rate, ...], patience: float) -> None:
    one, other = (buckets(*rates, patience=patience, places=8) for _ in range(2))
    # As many others as there are places: its own is taken from it now and then.
    known = one.waiting(1)
    for step in range(60):
        now = 10 + step * 0.2 + (30 if step > 40 else 0)
        assert known(now) == other.wait(1, now)
        if step % 5 == 4:
            for number in range(100, 109):
                one.wait(number, now)
                other.wait(number, now)
    assert list(one._first) == list(other._first)


def test_who_is_known_holds_the_lock_as_well() -> None:
    lock = CountingLock()
    known = TokenBuckets(Region(region().cells, lock=lock), (SECOND,)).waiting(7)
    assert (known(10.0), known(10.0), lock.taken, lock.held) == (0.0, 1.0, 2, False)


def test_lock_is_held_once_for_each_request_and_given_back() -> None:
    lock = CountingLock()
    plain = region()
    found = TokenBuckets(Region(plain.cells, lock=lock), (SECOND,))
    found.wait(1, 10)
    found.wait(1, 10)
    assert (lock.taken, lock.held) == (2, False)


def test_changed_rate_keeps_the_bucket_and_no_debt_from_before_that_it_can_not_have() -> None:
    shared = region()
    slow = TokenBuckets(shared, (Rate(1, 3600.0, 1),))
    assert slow.wait(1, 10) == 0
    fast = TokenBuckets(shared, (Rate(10, 1.0, 5),))
    assert fast.wait(1, 11) <= fast.rates[0].ahead + 0.1 + 1
    assert fast.wait(1, 13) == 0


@pytest.mark.parametrize("rubbish", [math.nan, math.inf, 1e300])
def test_rubbish_in_the_memory_is_over_after_a_while(rubbish: float) -> None:
    shared = region(WAYS)
    found = TokenBuckets(shared, (SECOND,))
    found.wait(1, 10)
    cells_of(shared, "d")[WAYS : 2 * WAYS] = memoryview(bytearray(8 * WAYS)).cast("d")
    for at in range(WAYS, 2 * WAYS):
        cells_of(shared, "d")[at] = rubbish
    assert 0 < found.wait(1, 10) <= 2
    assert found.wait(1, 12) == 0


# When there are more sources than places.


def test_place_of_a_full_bucket_goes_to_the_next_who_comes() -> None:
    found = buckets(SECOND, places=WAYS)
    for number in range(1, WAYS + 1):
        assert found.wait(number, 10) == 0
    assert found.wait(99, 11.5) == 0
    assert found.wait(99, 11.5) == pytest.approx(1)


def test_newcomer_to_a_full_table_takes_over_the_least_debt() -> None:
    """So going round with many sources brings no more than the rate, for all of them together."""
    found = buckets(Rate(1, 100.0, 2), places=WAYS)
    assert all(found.wait(number, 10) == 0 for number in range(1, WAYS + 1))
    # Each has one token left, and the next sources take these and no more.
    passed = sum(found.wait(number, 10) == 0 for number in range(100, 200))
    assert passed == WAYS


def test_flood_of_sources_does_not_lift_the_limit_of_who_is_at_it() -> None:
    found = buckets(Rate(1, 10.0, 5), places=64)
    assert admitted(found, *[100.0] * 6, number=7) == [*[True] * 5, False]
    for number in range(1000, 6000):
        found.wait(number, 100.5)
    assert admitted(found, 101, number=7) == [False]
    assert admitted(found, 150.1, number=7) == [True]


def test_room_is_whole_sets() -> None:
    assert room(1 << 20, 1) == 65536
    assert room(1000, 2) == 40
    assert buckets(SECOND, places=20).room == 16
