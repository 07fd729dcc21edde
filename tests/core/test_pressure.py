"""How short of memory it is."""

from __future__ import annotations

import pytest

from dynbalancer.core.pressure import EASY, OUT, SHORT, ebbed, pressure, working_set


@pytest.mark.parametrize(
    "used, before, now",
    [
        (0, EASY, EASY),
        (79, EASY, EASY),
        (80, EASY, SHORT),
        (94, EASY, SHORT),
        (95, EASY, OUT),
        (200, EASY, OUT),
        (79, SHORT, SHORT),
        (75, SHORT, SHORT),
        (74, SHORT, EASY),
        (94, SHORT, SHORT),
        (95, SHORT, OUT),
        (90, OUT, OUT),
        (89, OUT, SHORT),
        (76, OUT, SHORT),
        (74, OUT, EASY),
    ],
)
def test_it_is_shorter_from_a_share_on_and_easier_a_little_below_it(used: int, before: int, now: int) -> None:
    assert pressure(used, 100, before) == now


def test_cached_files_are_not_in_use() -> None:
    assert working_set(1000, "anon 500\ninactive_file 200\nactive_file 100\nslab_reclaimable 3\n") == 697
    assert working_set(1000, "") == 1000


@pytest.mark.parametrize(
    "most, now, gone",
    [
        (100, 50, True),
        (100, 51, False),
        (100, 0, True),
        (50, 0, True),
        (49, 0, False),
        (0, 0, False),
        (60, 25, False),
    ],
)
def test_crowd_has_gone_when_half_of_it_and_fifty_left(most: int, now: int, gone: bool) -> None:
    assert ebbed(most, now) == gone
