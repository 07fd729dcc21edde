"""The checker for the standard library's ``re``: what could take long is refused, the ordinary passes."""

from __future__ import annotations

import pytest

from dynbalancer.core.rules.backtracking import checked
from dynbalancer.errors import ConfigurationError

SAFE = [
    ("^/api/v[0-9]+/", b"/api/v2/x"),
    ("^[a-z]+\\.[a-z]+\\.example$", b"a.b.example"),
    ("^(?:a|b|cd)+$", b"abcd"),
    ("^/(?:users|groups)/[^/]+/edit$", b"/users/7/edit"),
    ("^(?:[0-9]{3}-){2}[0-9]{4}$", b"555-555-1234"),
    ("^.*/static/.*$", b"/a/static/b"),
    ("(?i)\\.(png|jpe?g)$", b"/a.JPEG"),
    ("^[^a]+a$", b"bca"),
    ("^(?:\\d+|x)$", b"12"),
    ("^\\w+ \\D$", b"ab c"),
]


@pytest.mark.parametrize(("pattern", "value"), SAFE)
def test_ordinary_pattern_passes(pattern: str, value: bytes) -> None:
    assert checked(pattern)(value)


UNSAFE = [
    ("(?=a)b", "look-around"),
    ("(?<!a)b", "look-around"),
    ("(a)\\1", "a back-reference"),
    ("(a)?(?(1)b|c)", "a back-reference"),
    ("(?>a+)b", "an atomic group"),
    ("a++b", "a possessive quantifier"),
    ("(a+)+$", "a quantifier within a quantifier"),
    ("(a?){50}", "a quantifier within a quantifier"),
    ("(?:x(?:a*)y)*", "a quantifier within a quantifier"),
    ("(a|a)*$", "a quantifier within a quantifier|alternatives that overlap"),
    ("(?:a|[a-c]x)*$", "alternatives that overlap under a quantifier"),
    ("(?i)(?:[b-d]|Cx)*$", "alternatives that overlap under a quantifier"),
    ("(?:[^b]|c)*$", "alternatives that overlap under a quantifier"),
    ("(?:\\w|_x)+$", "alternatives that overlap under a quantifier"),
    ("(?:.|x)*y", "alternatives that overlap under a quantifier"),
    ("(?:ab|)*$", "alternatives that overlap under a quantifier"),
    ("^.*a.*b.*c$", "too many open-ended quantifiers"),
    ("a.*b.*c", "too many open-ended quantifiers"),
    ("(?:.*|x)(.*)y", "too many open-ended quantifiers"),
]


@pytest.mark.parametrize(("pattern", "complaint"), UNSAFE)
def test_pattern_that_could_take_long_is_refused_and_why(pattern: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=f"has (?:{complaint})") as raised:
        checked(pattern)
    assert raised.value.hint.startswith("pip install google-re2")


@pytest.mark.parametrize("pattern", ["(", "[[:alpha:]]", "a**", "\\pL"])
def test_pattern_that_means_something_else_or_nothing_here_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="bad regular expression"):
        checked(pattern)
