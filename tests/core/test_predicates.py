"""How predicates are joined, whatever they are about."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from dynbalancer.core.predicates import PredicateReader
from dynbalancer.errors import ConfigurationError


class Letters(PredicateReader[str]):
    """``a``: the subject has this letter."""

    TOKEN = re.compile(r"\s*(?:(?P<name>[a-z])|(?P<sign>&&|\|\||[!()])|(?P<other>\S))")

    def read_comparison(self) -> Callable[[str], bool]:
        kind, letter = self.take("a letter")
        if kind != "name":
            raise ConfigurationError("", f"{letter} is no letter")
        return lambda subject: letter in subject


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("a", ["a", "ab"], ["", "b"]),
        (" a ", ["a"], ["b"]),
        ("!a", ["", "b"], ["a"]),
        ("!!a", ["a"], ["b"]),
        ("a&&b", ["ab"], ["a", "b"]),
        ("a || b && c", ["a", "bc"], ["b", "c"]),
        ("a && b || c", ["ab", "c"], ["a", "b"]),
        ("(a || b) && c", ["ac", "bc"], ["ab", "c"]),
        ("!a && b", ["b"], ["ab", ""]),
        ("!(a && b)", ["a", ""], ["ab"]),
        ("a && b && c || d || !e", ["abc", "de", ""], ["abe", "e"]),
    ],
)
def test_not_binds_closer_than_and_and_that_closer_than_or(text: str, yes: list[str], no: list[str]) -> None:
    test = Letters(text).read()
    assert [subject for subject in yes if not test(subject)] == []
    assert [subject for subject in no if test(subject)] == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        ("   ", "it is empty"),
        ("a b", "unexpected b"),
        ("a)", "unexpected )"),
        ("(a", "expected ), found its end"),
        ("(a b", "expected ), found b"),
        ("a &&", "expected a letter at its end"),
        ("&& a", "&& is no letter"),
        ("a & b", "unexpected &"),
        ("(" * 51 + "a" + ")" * 51, "it is nested deeper than 50 levels"),
        ("a" * 4097, "it is longer than 4096 characters"),
    ],
)
def test_what_is_wrong_is_said(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Letters(text).read()
    assert raised.value.args[1] == why


def test_as_deep_as_is_allowed() -> None:
    assert Letters("(" * 50 + "a" + ")" * 50).read()("a")
