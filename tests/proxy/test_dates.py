"""The date of an answer, as RFC 9110 section 5.6.7 wants it."""

from __future__ import annotations

import pytest

from dynbalancer.proxy.dates import Dates


@pytest.mark.parametrize(
    "now, said",
    [
        (784111777.0, b"Sun, 06 Nov 1994 08:49:37 GMT"),
        (0.0, b"Thu, 01 Jan 1970 00:00:00 GMT"),
        (1709251199.99, b"Thu, 29 Feb 2024 23:59:59 GMT"),
    ],
)
def test_date_is_written_as_in_the_rfc(now: float, said: bytes) -> None:
    assert Dates(lambda: now).line() == b"Date: %b\r\n" % said


def test_date_is_made_once_a_second_and_goes_by_the_clock() -> None:
    now = [784111777.0]
    dates = Dates(lambda: now[0])
    first = dates.line()
    now[0] += 0.9
    assert dates.line() is first
    now[0] += 0.1
    assert b"08:49:38" in dates.line()
    now[0] -= 3600
    assert b"07:49:38" in dates.line()
