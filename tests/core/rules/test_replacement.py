"""Replacements read as Go's, and end: whatever the pattern, the template and the client's value."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.rules import regex
from dynbalancer.core.rules.replacement import (
    LONGEST_RESULT,
    MOST_MATCHES,
    MOST_WORK,
    OURS,
    Piece,
    Replacement,
)
from dynbalancer.errors import ConfigurationError, RequestError


# Go 1.26 gives these results.
@pytest.mark.parametrize(
    ("pattern", "template", "value", "result"),
    [
        ("^/a/(.*)$", "/b/$1", b"/a/x/y", b"/b/x/y"),
        ("^/a/(.*)$", "/b/${1}", b"/a/", b"/b/"),
        ("^/(a)/(b)$", "/$2/$1", b"/a/b", b"/b/a"),
        ("^/(?P<who>[^/]+)/x", "/${who}s", b"/ann/x/y", b"/anns/y"),
        ("^/(?<who>[^/]+)/x", "/$who/z", b"/ann/x/y", b"/ann/z/y"),
        ("^/(a)", "/$1x", b"/a", b"/"),
        ("^/(a)", "/${1}x", b"/a", b"/ax"),
        ("^/(a)", "/$0/$0", b"/a/b", b"//a//a/b"),
        ("^/(a)", "/$2/$01", b"/a", b"//"),
        ("^/(a)", "/$$1", b"/a", b"/$1"),
        ("^/(a)", "/$$$1", b"/a", b"/$a"),
        ("^/(a)", "/$", b"/a", b"/$"),
        ("^/(a)", "/$-${}${1", b"/a", b"/$-${}${1"),
        ("^/(a)|/(b)", "<$1>", b"/b", b"<>"),
        ("a", "x", b"/a/ba", b"/x/bx"),
        ("a*", "x", b"baac", b"xbxcx"),
        (".*", "x", b"abc", b"x"),
        ("", "-", b"ab", b"-a-b-"),
        ("^", "/x", b"/a", b"/x/a"),
        ("$", "/x", b"/a", b"/a/x"),
        (r"\b", "|", b"a b", b"|a| |b|"),
        ("(?i)/API", "/v1", b"/api", b"/v1"),
        ("^/(a+?)", "$1", b"/aaa", b"aaa"),
        ("/é", "/e", "/é".encode(), b"/e"),
    ],
)
def test_references_and_matches_are_go_s(pattern: str, template: str, value: bytes, result: bytes) -> None:
    assert Replacement(pattern, template).replaced(value) == result


def test_what_does_not_match_is_none_and_not_the_same() -> None:
    made = Replacement("^/a$", "/a")
    assert made.replaced(b"/b") is None
    assert made.replaced(b"/a") == b"/a"


def test_pieces_say_what_came_from_the_client_and_where_it_stood() -> None:
    found = Replacement("/(x)", "<$1>").pieces(b"a/x/b")
    assert found == [Piece(b"a", 0), Piece(b"<", OURS), Piece(b"x", 2), Piece(b">", OURS), Piece(b"/b", 3)]


def test_references_to_no_group_are_told() -> None:
    made = Replacement("^/(a)(?P<b>b)", "/$1x/${b}/$3/$$9/$2")
    assert made.unknown == ("$1x", "$3")
    assert b"".join(made.literals) == b"////$9/"


@pytest.mark.parametrize("pattern", ["(", "(?=a)", "a" * 1025, "(a|b)*a(a|b){900}c"])
def test_bad_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match=r"regular expression"):
        Replacement(pattern, "x")


def test_without_re2_there_are_no_replacements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regex, "library", lambda: None)
    with pytest.raises(ConfigurationError, match="needs google-re2, which is not installed; pip install"):
        Replacement("^/a", "/b")


@pytest.mark.parametrize(
    ("pattern", "template", "value", "why"),
    [
        ("a", "b", b"a" * (MOST_MATCHES + 1), "too many matches"),
        ("^(.*)$", "$1" * 9, b"a" * (LONGEST_RESULT // 8), "result is too long"),
        ("^/([a-z]{1,200})*$", "/", b"/" + b"a" * (MOST_WORK // 400), "too long for this pattern"),
    ],
)
def test_too_much_work_is_refused_as_the_client_s_fault(
    pattern: str, template: str, value: bytes, why: str
) -> None:
    with pytest.raises(RequestError, match=why) as caught:
        Replacement(pattern, template).replaced(value)
    assert caught.value.status == 400


def test_long_value_that_does_not_match_goes_its_way() -> None:
    assert Replacement("^/([a-z]{1,200})*$", "/").replaced(b"/" + b"A" * (MOST_WORK // 400)) is None


@given(
    st.sampled_from(["a*", "(a)|b", "^a", "b$", "(a+)(b*)", "[^a]", "a?b?"]),
    st.text("ab/", max_size=12),
)
def test_nothing_but_matches_is_replaced(pattern: str, value: str) -> None:
    # Python's own rule for empty matches differs from Go's: they may follow a match at once. Nothing else does.
    expected = re.sub(pattern, "", value, flags=re.ASCII)
    found = Replacement(pattern, "").replaced(value.encode())
    assert (value if found is None else found.decode()) == expected
