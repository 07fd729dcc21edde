"""Statuses as they are written."""

from __future__ import annotations

import pytest

from dynbalancer.errors import ConfigurationError
from dynbalancer.middlewares.base import SettingsReader
from dynbalancer.middlewares.statuses import as_texts, statuses_of

READER = SettingsReader("m@test", {}, ("status",))


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (("404",), {404}),
        (("500-503", "418"), {500, 501, 502, 503, 418}),
        ((" 500 - 501 ",), {500, 501}),
        (("500-500",), {500}),
        ((), set()),
    ],
)
def test_both_ends_of_a_range_are_meant(written: tuple[str, ...], found: set[int]) -> None:
    assert statuses_of(READER, "status", written) == found


@pytest.mark.parametrize("written", ["", "5xx", "500-", "-500", "599-500", "99", "1000", "5000-6000", "٤٠٤"])
def test_what_is_no_status_is_refused(written: str) -> None:
    with pytest.raises(ConfigurationError, match="option status"):
        statuses_of(READER, "status", [written])


def test_numbers_of_a_file_are_texts() -> None:
    assert as_texts({"Status": [500, "502-504"], "other": [1]}, "status") == {
        "Status": ("500", "502-504"),
        "other": [1],
    }
    assert as_texts({"status": 404}, "status") == {"status": "404"}
    assert as_texts({"status": True}, "status") == {"status": True}
