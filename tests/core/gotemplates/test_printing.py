"""Values as Go prints them."""

from __future__ import annotations

import pytest

from dynbalancer.core.gotemplates.faults import Fault
from dynbalancer.core.gotemplates.printing import number, printf, quoted, shown, whole


@pytest.mark.parametrize(
    "value, text",
    [
        ("a", "a"),
        (True, "true"),
        (None, ""),
        (3, "3"),
        (3.0, "3"),
        (0.5, "0.5"),
        (["a", 1, False], "[a 1 false]"),
        ({"b": 1, "a": ["x"]}, "map[a:[x] b:1]"),
    ],
)
def test_values_are_shown_as_in_go(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    "arguments, text",
    [
        (("%s-%s", "a", 1), "a-1"),
        (("%05d|%-4d|%4d|%+d", 42, 7, 7, 7), "00042|7   |   7|+7"),
        (("%.2f %f %6.1f", 3.14159, 2, "1.25"), "3.14 2.000000    1.2"),
        (("%x %X %x", 255, 255, "hi"), "ff FF 6869"),
        (("%t %v %q %c %%", True, None, 'a"b', 65), 'true  "a\\"b" A %'),
        (("%8s|%-8s|%.3s", "ab", "ab", "abcdef"), "      ab|ab      |abc"),
    ],
)
def test_printf(arguments: tuple[object, ...], text: str) -> None:
    assert printf(*arguments) == text


@pytest.mark.parametrize(
    "arguments, why",
    [
        (("%s",), "printf: no value for %s"),
        (("a", 1), "printf: 1 values too many"),
        (("%y", 1), "printf: %y is not supported"),
        (("%2000d", 1), "printf: a width above 1000"),
        (("%d", "x"), "'x' is not a whole number"),
        (("%f", "x"), "'x' is not a number"),
    ],
)
def test_printf_says_what_go_would_mark_in_the_result(arguments: tuple[object, ...], why: str) -> None:
    with pytest.raises(Fault) as fault:
        printf(*arguments)
    assert fault.value.why == why


def test_numbers_are_read_from_texts_too() -> None:
    assert (whole("12"), whole(2.9), whole(True), number("1.5"), quoted(1)) == (12, 2, 1, 1.5, '"1"')
