"""Every odd octet gets its verdict, whole and byte by byte: thousands of rows, one test for each family."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import byte_cases
from byte_cases import Row
from readers import Requests, read_requests, read_response

FAMILIES: tuple[Callable[[], Iterable[Row]], ...] = (
    byte_cases.framing_rows,
    byte_cases.disguise_rows,
    byte_cases.head_rows,
    byte_cases.chunk_rows,
    byte_cases.chunk_line_rows,
    byte_cases.host_rows,
)


def wrong(found: Requests, verdict: str) -> bool:
    """Is this not what should become of it?"""
    return " ".join(found.verdicts) != verdict


@pytest.mark.parametrize("rows", FAMILIES, ids=[family.__name__ for family in FAMILIES])
def test_octet_gets_its_verdict(rows: Callable[[], Iterable[Row]]) -> None:
    surprises = []
    for name, data, verdict in rows():
        found = read_requests(data)
        if wrong(found, verdict):
            surprises.append((name, data, verdict, found.verdicts))
    assert surprises == []


@pytest.mark.parametrize("rows", FAMILIES, ids=[family.__name__ for family in FAMILIES])
def test_verdict_byte_by_byte_is_the_same(rows: Callable[[], Iterable[Row]]) -> None:
    surprises = []
    for name, data, verdict in rows():
        found = read_requests(*(data[i : i + 1] for i in range(len(data))))
        if wrong(found, verdict):
            surprises.append((name, data, verdict, found.verdicts))
    assert surprises == []


def test_octet_in_a_response_gets_its_verdict_whole_and_byte_by_byte() -> None:
    surprises = []
    for name, data, verdict in byte_cases.response_rows():
        for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
            found = read_response(b"GET", False, pieces, "stay").verdict()
            if found != verdict:
                surprises.append((name, data, verdict, found))
    assert surprises == []


def test_there_are_thousands_and_both_kinds() -> None:
    rows = byte_cases.request_rows()
    assert len(rows) > 4000
    assert len({name for name, _, _ in rows}) == len(rows)
    assert sum(verdict == "200" for _, _, verdict in rows) > 300
