"""sprig's functions for numbers."""

from __future__ import annotations

import pytest

from dynbalancer.core.template import render
from dynbalancer.errors import ConfigurationError


@pytest.mark.parametrize(
    "expression, text",
    [
        ("add 1 2 3", "6"),
        ("add1 2", "3"),
        ("sub 3 2", "1"),
        ("mul 1 2 3", "6"),
        ("div 7 2", "3"),
        ("div -7 2", "-3"),
        ("mod 7 3", "1"),
        ("mod -7 3", "-1"),
        ("max 1 3 2", "3"),
        ("min 1 3 2", "1"),
        ("floor 123.9999", "123"),
        ("ceil 123.001", "124"),
        ("round 123.555555 3", "123.556"),
        ("round 2.5 0", "3"),
        ('atoi "12" | add 1', "13"),
        ('int "x"', "0"),
        ("int64 3.7", "3"),
        ('float64 "1.5"', "1.5"),
    ],
)
def test_what_they_give(expression: str, text: str) -> None:
    assert render("{{ " + expression + " }}", {}) == text


@pytest.mark.parametrize(
    "expression, why",
    [
        ("div 1 0", "div by zero"),
        ("mod 1 0", "mod by zero"),
        ("add 9223372036854775807 1", "a number of more than 64 bits"),
        ("round 1.5 99", "round: more than 20 places"),
        ('add "x" 1', "'x' is not a whole number"),
    ],
)
def test_what_they_can_not_be_used_on(expression: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        render("{{ " + expression + " }}", {})
    assert refusal.value.why == f"{why} (character 4)"
