"""Circuit breakers: open when the condition holds, recover, close; one for all workers; ten seconds count."""

from __future__ import annotations

import pytest

from dynbalancer.core.breaker_rules import read_condition
from dynbalancer.core.breakers import CLOSED, OPEN, RECOVERING, ROOM, UNUSED, Breaker, Breakers, Times, size
from dynbalancer.core.regions import LocalRegions, Region

HALF = read_condition("NetworkErrorRatio() > 0.5")


def region(condition: object = HALF) -> Region:
    """Room for breakers with this condition."""
    return LocalRegions().region("r", size(HALF if condition is HALF else condition))  # type: ignore[arg-type]


def breaker(expression: str = "NetworkErrorRatio() > 0.5", times: Times | None = None) -> Breaker:
    """One that has seen nothing, at 100 seconds."""
    condition = read_condition(expression)
    memory = LocalRegions().region("r", size(condition))
    return Breakers(memory, condition, times or Times()).breaker(1 << 60, 100)


def lost(found: Breaker, now: float) -> bool:
    """An answer that never came."""
    return found.record(now, 502, 0.01, network_error=True)


def well(found: Breaker, now: float, status: int = 200, seconds: float = 0.01) -> bool:
    """A good one."""
    return found.record(now, status, seconds, network_error=False)


def test_requests_pass_while_the_condition_does_not_hold() -> None:
    found = breaker()
    assert not any(well(found, 100 + at) for at in range(20))
    assert (found.admits(121), found.state) == (True, CLOSED)


def test_it_opens_where_the_condition_holds_and_says_so_once() -> None:
    found = breaker()
    assert lost(found, 100)
    assert found.state == OPEN
    assert [found.admits(now) for now in (100, 105, 109.9)] == [False] * 3
    # What was on its way still comes in.
    assert not lost(found, 100.5)


def test_condition_is_looked_at_once_in_each_period() -> None:
    found = breaker(times=Times(check=1.0))
    assert not well(found, 100)
    assert [lost(found, now) for now in (100.2, 100.4, 100.9)] == [False] * 3
    assert lost(found, 101)


def test_after_a_while_a_growing_share_passes_and_then_everything() -> None:
    found = breaker()
    lost(found, 100)
    shares = []
    for begin in (110, 112.5, 115, 117.5):
        passed = [found.admits(begin + at * 0.025) for at in range(100)]
        shares.append(sum(passed))
    assert found.state == RECOVERING
    # Of all so far an eighth, a quarter, three eighths, a half have passed at the end of each quarter.
    assert shares == pytest.approx([12, 38, 62, 88], abs=2)
    assert found.admits(120.01)
    assert found.state == CLOSED
    assert all(found.admits(121) for _ in range(50))


def test_it_opens_again_while_it_recovers() -> None:
    found = breaker()
    lost(found, 100)
    found.admits(110)
    assert lost(found, 115)
    assert (found.state, found.admits(124), found.admits(126)) == (OPEN, False, False)
    assert found.state == RECOVERING


def test_no_time_to_recover_closes_it_at_once() -> None:
    found = breaker(times=Times(recovery=0.0, fallback=1.0))
    lost(found, 100)
    assert not found.admits(100.5)
    assert found.admits(101.1) or found.admits(101.2)
    assert found.state == CLOSED


def test_what_it_opened_for_is_forgotten() -> None:
    found = breaker()
    for _ in range(50):
        lost(found, 100)
    found.admits(111)
    assert not well(found, 111)


def test_only_the_last_ten_seconds_count() -> None:
    found = breaker(times=Times(check=0.0))
    for at in range(10):
        well(found, 100 + at)
    assert [lost(found, 109.5) for _ in range(11)] == [*[False] * 10, True]
    found = breaker(times=Times(check=0.0))
    for at in range(10):
        well(found, 100 + at)
    # Five of the ten are forgotten by now.
    assert [lost(found, 114.5) for _ in range(6)] == [*[False] * 5, True]


def test_seconds_without_answers_are_forgotten_too() -> None:
    found = breaker(times=Times(check=0.0))
    for _ in range(100):
        well(found, 100)
    assert not lost(found, 109)
    assert lost(found, 110)


def test_codes_and_times_count() -> None:
    codes = breaker("ResponseCodeRatio(500, 600, 0, 600) > 0.5")
    assert not well(codes, 100)
    assert [well(codes, 100.2 + at, 503) for at in range(2)] == [False, True]
    late = breaker("LatencyAtQuantileMS(50.0) > 100")
    assert not well(late, 100, seconds=0.1009)
    assert not well(late, 101, seconds=0.101)
    assert well(late, 102, seconds=0.2)


def test_all_workers_have_one_breaker() -> None:
    shared = region()
    one, other = (Breakers(shared, HALF, Times()).breaker(5 << 30, 100) for _ in range(2))
    well(one, 100)
    assert not lost(other, 100.2)
    assert lost(one, 100.4)
    assert not other.admits(100.5)


def test_each_number_has_one_of_its_own() -> None:
    found = Breakers(region(), HALF, Times())
    one, other = found.breaker(5 << 30, 100), found.breaker(6 << 30, 100)
    lost(one, 100)
    assert (one.state, other.state) == (OPEN, CLOSED)


def test_more_than_there_is_room_for_are_of_one_process_and_work() -> None:
    found = Breakers(region(), HALF, Times())
    all_of_them = [found.breaker(number << 30, 100) for number in range(1, ROOM + 3)]
    assert lost(all_of_them[-1], 100)
    assert [one.state for one in all_of_them] == [*[CLOSED] * (ROOM + 1), OPEN]


def test_place_of_one_unused_for_long_goes_to_another_and_it_notices() -> None:
    found = Breakers(region(), HALF, Times())
    all_of_them = [found.breaker(number << 30, 100) for number in range(1, ROOM + 1)]
    lost(all_of_them[0], 100)
    for one in all_of_them[1:]:
        well(one, 101 + UNUSED)
    new = found.breaker(999 << 30, 101 + UNUSED)
    assert new.state == CLOSED
    assert [one.lost for one in all_of_them] == [True, *[False] * (ROOM - 1)]


@pytest.mark.parametrize("number", [1, 2**64 - 1])
def test_any_number_does(number: int) -> None:
    found = Breakers(region(), HALF, Times()).breaker(number, 100)
    assert not found.lost


def test_lock_is_given_back() -> None:
    class Lock:
        held = 0

        def acquire(self) -> None:
            assert not self.held
            self.held = 1

        def release(self) -> None:
            self.held = 0

    lock = Lock()
    found = Breakers(Region(region().cells, lock=lock), HALF, Times()).breaker(1 << 60, 100)
    lost(found, 100)
    found.admits(101)
    assert not lock.held


def test_who_looks_on_is_told_how_it_stands_and_changes_nothing() -> None:
    found = breaker()
    assert found.standing(100) == ("closed", 0.0)
    lost(found, 100)
    assert found.standing(103) == ("open", 7.0)
    assert found.standing(111) == ("half-open", 0.0)
    assert found.state == OPEN
    found.admits(112)
    assert found.standing(115) == ("half-open", 7.0)
    assert found.standing(123) == ("closed", 0.0)
    assert found.state == RECOVERING
