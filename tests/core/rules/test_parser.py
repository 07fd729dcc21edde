"""Reading a rule in any dialect, telling the dialects apart, and the priority of a rule without one."""

from __future__ import annotations

import pytest

from dynbalancer.core.rules.parser import default_priority, detect, parse, read
from dynbalancer.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("Host:a.example", "v1"),
        (" Host : a.example", "v1"),
        (";PathPrefixStrip:/x", "v1"),
        ("AddPrefix:/x;Host:a", "v1"),
        ("Host(`a.example`)", "v3"),
        ("!(Host(`a:b`))", "v3"),
        ("Header(`a`, `b: c`)", "v3"),
        ("", "v3"),
    ],
)
def test_dialect_is_seen_from_how_a_rule_begins(text: str, dialect: str) -> None:
    assert detect(text) == dialect


@pytest.mark.parametrize(
    ("text", "dialect", "priority"),
    [
        ("Host(`a`)", "v3", 9),
        ("Host( `a` )", "v3", 11),
        ("Path(`/é`)", "v3", 11),
        ("Path:/é", "v1", 7),
        ("Host:a;Path:/x", "v1", 14),
    ],
)
def test_default_priority_is_the_length_as_written(text: str, dialect: str, priority: int) -> None:
    assert default_priority(text, dialect) == priority


@pytest.mark.parametrize("dialect", ["v1", "v2", "v3"])
@pytest.mark.parametrize("text", ["", "  \n"])
def test_empty_rule_is_refused(text: str, dialect: str) -> None:
    with pytest.raises(ConfigurationError, match="rule: the rule is empty"):
        parse(text, dialect)


@pytest.mark.parametrize("dialect", ["v1", "v2", "v3"])
def test_very_long_rule_is_refused_unread(dialect: str) -> None:
    with pytest.raises(ConfigurationError, match="the rule has 16385 characters; 16384 are allowed"):
        parse("x" * 16385, dialect)


def test_unknown_dialect_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="unknown rule syntax v4; write v1, v2 or v3"):
        parse("Host(`a`)", "v4")


def test_only_v1_has_modifiers() -> None:
    assert read("Host:a;AddPrefix:/x", "v1").modifiers == (("AddPrefix", ("/x",)),)
    assert read("Host(`a`)", "v2").modifiers == ()


TEMPLATES = [
    (
        "HostRegexp(`{sub:[a-z]{1,3}}.a.example`)",
        "{sub:[a-z]{1,3}}",
        r"HostRegexp(`^(?:[a-z]{1,3})\.a\.example$`), or ruleSyntax=v2 beside the rule",
    ),
    (
        "Path(`/users/{id}`) || Host(`a`)",
        "{id}",
        "PathRegexp(`^/users/(?:[^/]+)$`), or ruleSyntax=v2 beside the rule",
    ),
    (
        "!(PathPrefix(`/users/{id:[0-9]+}/`))",
        "{id:[0-9]+}",
        "PathRegexp(`^/users/(?:[0-9]+)/`), or ruleSyntax=v2 beside the rule",
    ),
    ("Path(`/{a}{`)", "{a}", "ruleSyntax=v2 beside the rule"),
]


@pytest.mark.parametrize(("text", "template", "instead"), TEMPLATES)
def test_template_of_v2_is_a_warning_in_v3_with_what_to_write(text: str, template: str, instead: str) -> None:
    why = f"{template} is a template of v2, and just this text in v3; write {instead}"
    assert read(text, "v3").warnings == (why,)


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("HostRegexp(`{sub:[a-z]+}.a.example`)", "v2"),
        ("Path(`/users/{id}`)", "v2"),
        (r"PathRegexp(`^/[0-9]{2}/\p{Greek}\x{2a}a{1,}$`)", "v3"),
        ("Path(`/{}`)", "v3"),
    ],
)
def test_what_is_no_template_or_may_be_one_is_no_warning(text: str, dialect: str) -> None:
    assert read(text, dialect).warnings == ()
