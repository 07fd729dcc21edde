"""Expressions that say when a request is sent again."""

from __future__ import annotations

import pytest

from dynbalancer.core.retry_rules import Tried, read_retry_rule
from dynbalancer.errors import ConfigurationError

BAD_GATEWAY = Tried(1, 502, True, "GET")
ANSWERED = Tried(3, 200, False, "POST")


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("IsNetworkError()", True, False),
        ("!IsNetworkError()", False, True),
        ("IsNetworkError() && Attempts() <= 2", True, False),
        ("Attempts() < 2 || ResponseCode() == 200", True, True),
        ("Attempts() > 2 && (ResponseCode() == 502 || ResponseCode() == 200)", False, True),
        ("ResponseCode() >= 500", True, False),
        ("ResponseCode() != 502", False, True),
        ('RequestMethod() == "GET"', True, False),
        ('RequestMethod() != "GET" && !(Attempts() == 1)', False, True),
        ("!!IsNetworkError()", True, False),
    ],
)
def test_expression_means_what_it_says(text: str, first: bool, second: bool) -> None:
    test = read_retry_rule(text)
    assert (test(BAD_GATEWAY), test(ANSWERED)) == (first, second)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("   ", "it is empty"),
        ("Attempt() < 2", "did you mean Attempts"),
        ("2 > Attempts()", "no function 2"),
        ("Attempts() <", "expected a value after <"),
        ("Attempts()", "expected a comparison"),
        ("Attempts() && IsNetworkError()", "expected a comparison"),
        ("Attempts() < 2.5", "unexpected ."),
        ('Attempts() < "2"', "not with a whole number"),
        ("RequestMethod() == 3", "not with a text"),
        ('RequestMethod() > "GET"', "expected a comparison"),
        ("(IsNetworkError()", "expected ), found its end"),
        ("IsNetworkError() IsNetworkError()", "unexpected IsNetworkError"),
        ("IsNetworkError", "expected (, found its end"),
        ("(" * 60 + "IsNetworkError()" + ")" * 60, "nested deeper"),
        ("IsNetworkError()" + " || IsNetworkError()" * 300, "longer than"),
    ],
)
def test_mistake_is_said_in_words(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        read_retry_rule(text)
    assert said in str(error.value)
