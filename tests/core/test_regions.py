"""Regions of one process, and the numbers of sources."""

from __future__ import annotations

import gc

import pytest

from dynbalancer.core.regions import LocalRegions, Sources, cells_of, rounded


def test_region_begins_as_zeros_and_is_the_same_under_its_name() -> None:
    regions = LocalRegions()
    first = regions.region("a", 12, 3)
    assert len(first.cells) == 16
    assert not any(first.cells)
    assert (list(first.own), first.lock) == ([0, 0, 0], None)
    cells_of(first, "d")[1] = 1.5
    assert cells_of(regions.region("a", 12, 3), "d")[1] == 1.5


@pytest.mark.parametrize("other", [("b", 16, 2), ("a", 24, 2), ("a", 16, 4)])
def test_another_name_or_size_is_another_region(other: tuple[str, int, int]) -> None:
    regions = LocalRegions()
    first, second = regions.region("a", 16, 2), regions.region(*other)
    cells_of(first, "Q")[0] = 7
    assert cells_of(second, "Q")[0] == 0


def test_region_nobody_holds_is_forgotten() -> None:
    regions = LocalRegions()
    cells_of(regions.region("a", 8), "Q")[0] = 7
    gc.collect()
    assert cells_of(regions.region("a", 8), "Q")[0] == 0


def test_region_without_counts_has_no_column() -> None:
    assert LocalRegions().region("a", 8).columns == ()


def test_source_has_one_number_for_who_has_the_secret() -> None:
    mine, theirs, others = Sources(b"one"), Sources(b"one"), Sources(b"two")
    assert mine.number("192.0.2.1") == mine.number("192.0.2.1") == theirs.number("192.0.2.1")
    assert mine.number("192.0.2.1") != mine.number("192.0.2.2")
    assert mine.number("192.0.2.1") != others.number("192.0.2.1")


def test_numbers_are_the_same_after_more_sources_than_are_remembered() -> None:
    sources = Sources(b"")
    first = sources.number("")
    for number in range(9000):
        assert 0 < sources.number(str(number)) < 2**64
    assert sources.number("") == first
    assert len(sources._known) <= 8192


def test_source_with_any_octets_has_a_number() -> None:
    assert Sources(b"s").number("é\udcff") > 0


@pytest.mark.parametrize("size, found", [(0, 0), (1, 8), (8, 8), (9, 16)])
def test_rounded(size: int, found: int) -> None:
    assert rounded(size, 8) == found
