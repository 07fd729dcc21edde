"""Patterns of users: Go's dialect, linear time, literal prefixes; and what happens where re2 is missing."""

from __future__ import annotations

import pytest

from dynbalancer.core.rules import regex
from dynbalancer.core.rules.regex import escape, finder, literal_prefix
from dynbalancer.errors import ConfigurationError


@pytest.mark.parametrize(
    ("pattern", "value", "found"),
    [
        ("b", b"abc", True),
        ("^b", b"abc", False),
        ("^/api/v[0-9]+$", b"/api/v12", True),
        ("^/api/v[0-9]+$", b"/other", False),
        (r"\.example\z", b"a.example", True),
        ("[[:digit:]]", b"a1", True),
        (r"\Qa.b\E", b"axb", False),
        ("(?i)abc", b"ABC", True),
        ("^.$", b"\xff", True),
        ("^é$", "é".encode(), True),
        ("^[éè]$", "è".encode(), True),
        ("", b"", True),
    ],
)
def test_pattern_is_searched_in_bytes(pattern: str, value: bytes, found: bool) -> None:
    assert finder(pattern)(value) is found


@pytest.mark.parametrize(
    ("pattern", "why", "hint"),
    [
        (
            "(?=a)",
            "bad regular expression (?=a): invalid perl operator: (?=",
            "look-ahead is not part of this dialect",
        ),
        (
            "(?<!a)",
            "bad regular expression (?<!a): invalid perl operator: (?<!",
            "look-behind is not part of this dialect",
        ),
        (r"(a)\1", r"bad regular expression (a)\1: invalid escape sequence: \1", ""),
        ("(", "bad regular expression (: missing ): (", ""),
        ("x{1001}", "bad regular expression x{1001}: invalid repetition size: {1001}", ""),
        ("a" * 1025, "regular expression of 1025 bytes; 1024 are allowed", ""),
        ("é" * 513, "regular expression of 1026 bytes; 1024 are allowed", ""),
    ],
)
def test_bad_pattern_is_refused_in_words(
    pattern: str, why: str, hint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        finder(pattern)
    assert (raised.value.why, raised.value.hint) == (why, hint)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "^(a|a)*$", "^(.*)*x", "(a*)*b", "^(a?){50}a{50}$", "(.*.*.*)=x"]
)
def test_pattern_that_would_backtrack_answers_all_the_same(pattern: str) -> None:
    assert finder(pattern)(b"a" * 32768 + b"!") in (True, False)


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        ("^/api/v[0-9]+", b"/api/v"),
        (r"^/a\.b", b"/a.b"),
        ("^/abc?", b"/ab"),
        ("^/abc*", b"/ab"),
        (r"^/a\.{2}", b"/a"),
        (r"^/a\d", b"/a"),
        ("^/a$", b"/a"),
        ("^/é", "/é".encode()),
        ("^/a|^/b", b""),
        ("/a", b""),
        ("(?i)^/a", b""),
        ("^", b""),
    ],
)
def test_literal_prefix_of_an_anchored_pattern(pattern: str, prefix: bytes) -> None:
    assert literal_prefix(pattern) == prefix


def test_escaped_text_matches_itself_only() -> None:
    text = r"a.b*c+(d)[e]{f}|^$\?"
    found = finder(f"^{escape(text)}$")
    assert found(text.encode())
    assert not found(text.replace(".", "x").encode())


def test_without_re2_a_safe_pattern_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regex, "library", lambda: None)
    assert finder("^/api/v[0-9]+$")(b"/api/v12")


def test_without_re2_an_unsafe_pattern_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regex, "library", lambda: None)
    with pytest.raises(
        ConfigurationError, match="quantifier within a quantifier, which could take very long; pip"
    ):
        finder("(a+)+$")
