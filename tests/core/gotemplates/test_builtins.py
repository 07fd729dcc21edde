"""Go's own functions."""

from __future__ import annotations

import pytest

from dynbalancer.core.template import render
from dynbalancer.errors import ConfigurationError

VALUES = {"L": ["a", "b", "c"], "M": {"k": "v"}, "T": "abc"}


@pytest.mark.parametrize(
    "expression, text",
    [
        ("len .L", "3"),
        ('len "é"', "2"),
        ("index .L 2", "c"),
        ('index .M "none"', ""),
        ("slice .T 1 2", "b"),
        ("slice .L 1", "[b c]"),
        ('print 1 2 "a" "b" 3', "1 2ab3"),
        ('println "a" 1', "a 1\n"),
        ("html `<a&'\">`", "&lt;a&amp;&#39;&#34;&gt;"),
        ('urlquery "a b&c"', "a+b%26c"),
        ("eq 1 1", "true"),
        ('eq "a" "b" "a"', "true"),
        ("ne 1 2", "true"),
        ("lt 1 2", "true"),
        ('gt "a" "b"', "false"),
        ("le 2 2", "true"),
        ("ge 1 2", "false"),
        ("not 0", "true"),
        ("and 1 0 2", "0"),
        ("or 0 2", "2"),
        ("eq nil nil", "true"),
    ],
)
def test_what_they_give(expression: str, text: str) -> None:
    assert render("{{ " + expression + " }}", VALUES) == text


@pytest.mark.parametrize(
    "expression, why",
    [
        ('eq 1 "1"', "'1' and '1' are of different types"),
        ("lt .L .L", "lt can't be used on values of this type"),
        ("index .L 3", "index: nothing at '3'"),
        ("slice .T 2 9", "slice: nothing from 2 to 9"),
        ("slice 3", "slice can't be used on values of this type"),
        ("len 3", "len can't be used on values of this type"),
    ],
)
def test_what_they_can_not_be_used_on(expression: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        render("{{ " + expression + " }}", VALUES)
    assert refusal.value.why == f"{why} (character 4)"
