"""How short of memory it is."""

from __future__ import annotations

import pytest

from dynbalancer.core.pressure import EASY, OUT, SHORT, pressure, working_set


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
