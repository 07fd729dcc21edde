"""Templates become patterns, and pieces in braces stay whole."""

from __future__ import annotations

import pytest

from dynbalancer.core.rules.templates import is_template, pattern_of, split_outside_braces
from dynbalancer.errors import ConfigurationError


@pytest.mark.parametrize(
    ("template", "pattern"),
    [
        ("/a", "/a"),
        ("/a.b", r"/a\.b"),
        ("/{id}", "/(?:[^/]+)"),
        ("/{id:[0-9]{2}}/x", "/(?:[0-9]{2})/x"),
        ("{a:x|y}.{b}.z", r"(?:x|y)\.(?:[^/]+)\.z"),
        ("/{time:[0-9]+:[0-9]+}", "/(?:[0-9]+:[0-9]+)"),
    ],
)
def test_template_becomes_a_pattern(template: str, pattern: str) -> None:
    assert pattern_of(template, "[^/]+") == pattern


@pytest.mark.parametrize("template", ["/{a", "/a}", "/{a}}{", "/}{"])
def test_unbalanced_braces_are_refused(template: str) -> None:
    with pytest.raises(ConfigurationError, match="unbalanced braces"):
        pattern_of(template, ".")


@pytest.mark.parametrize("template", ["/{}", "/{:x}", "/{x:}"])
def test_missing_name_or_pattern_is_refused(template: str) -> None:
    with pytest.raises(ConfigurationError, match="missing name or pattern in"):
        pattern_of(template, ".")


@pytest.mark.parametrize(("text", "verdict"), [("/a", False), ("/{a}", True), ("/a}", True)])
def test_braces_make_a_template(text: str, verdict: bool) -> None:
    assert is_template(text) is verdict


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a,b", ["a", "b"]),
        ("{a,b},c", ["{a,b}", "c"]),
        ("{a{1,2},b},c", ["{a{1,2},b}", "c"]),
        ("{a,b", ["{a", "b"]),
        ("a},b", ["a}", "b"]),
        ("", [""]),
    ],
)
def test_separators_in_braces_do_not_count(text: str, pieces: list[str]) -> None:
    assert split_outside_braces(text, ",") == pieces
