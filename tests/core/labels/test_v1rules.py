"""When two v1 rules are the same, and what they do to the path."""

from __future__ import annotations

import pytest

from dynbalancer.core.labels.v1rules import Modifier, modifiers_of, same_rule_key


@pytest.mark.parametrize(
    "one, other",
    [
        ("Host:a.example", "Host: A.example "),
        ("Host:a.example,b.example", "Host: b.example , a.example"),
        ("Host:a;PathPrefix:/x", " PathPrefix:/x ;Host:a; "),
        ("Method:get,POST", "Method:post,GET"),
        ("Headers:X-A,1", "Headers: X-A, 1"),
    ],
)
def test_same_rules(one: str, other: str) -> None:
    assert same_rule_key(one) == same_rule_key(other)


@pytest.mark.parametrize(
    "one, other",
    [
        ("Host:a.example", "Host:b.example"),
        ("Path:/A", "Path:/a"),
        ("Path:/a", "PathPrefix:/a"),
        ("Headers:X-A,X-B", "Headers:X-B,X-A"),
        ("Host:a", "Host:a;Path:/"),
    ],
)
def test_other_rules(one: str, other: str) -> None:
    assert same_rule_key(one) != same_rule_key(other)


@pytest.mark.parametrize(
    "rule, modifiers",
    [
        ("Host:a.example", []),
        ("PathPrefixStrip:/a,/a/b", [Modifier("stripPrefix", {"prefixes": ("/a/b", "/a")})]),
        (
            "PathStrip:/a",
            [
                Modifier("redirectTrailingSlash", {"paths": ("/a",)}),
                Modifier("stripPrefix", {"prefixes": ("/a",)}),
            ],
        ),
        (
            "PathStrip:/a;PathPrefixStrip:/b",
            [
                Modifier("redirectTrailingSlash", {"paths": ("/a",)}),
                Modifier("stripPrefix", {"prefixes": ("/b",)}),
            ],
        ),
        ("Host:a;Path:/a, /b/", [Modifier("redirectTrailingSlash", {"paths": ("/a", "/b/")})]),
        ("Path:/a,/b", [Modifier("redirectTrailingSlash", {"paths": ("/a", "/b")})]),
        (
            "PathPrefixStripRegex:/{id:[0-9]{1,3}}/,/v.1/{x}",
            [Modifier("stripPrefixRegex", {"regex": ("^/(?:[0-9]{1,3})/", r"^/v\.1/(?:[^/]+)")})],
        ),
        (
            "PathStripRegex:/{id:[0-9]+}",
            [
                Modifier("redirectTrailingSlash", {"paths": ("/{id:[0-9]+}",)}),
                Modifier("stripPrefixRegex", {"regex": ("^/(?:[0-9]+)$",)}),
            ],
        ),
        ("Host:a;AddPrefix:/x", [Modifier("addPrefix", {"prefix": "/x"})]),
        ("Host:a;ReplacePath:/x,/y", [Modifier("replacePath", {"path": "/y"})]),
        (
            "Host:a;ReplacePathRegex:^/a/(.*) /b/$1",
            [Modifier("replacePathRegex", {"regex": "^/a/(.*)", "replacement": "/b/$1"})],
        ),
        (
            "ReplacePath:/z;AddPrefix:/x;PathPrefixStrip:/a",
            [
                Modifier("stripPrefix", {"prefixes": ("/a",)}),
                Modifier("addPrefix", {"prefix": "/x"}),
                Modifier("replacePath", {"path": "/z"}),
            ],
        ),
        ("Hots:a;AddPrefix:/x", []),
    ],
)
def test_modifiers_run_in_the_order_of_v1(rule: str, modifiers: list[Modifier]) -> None:
    assert list(modifiers_of(rule)) == modifiers


def test_modifiers_know_the_call_they_were_written_as() -> None:
    calls = [modifier.where for modifier in modifiers_of("PathPrefixStripRegex:/{x};AddPrefix:/y")]
    assert calls == ["PathPrefixStripRegex in the rule", "AddPrefix in the rule"]


def test_slashes_may_be_kept() -> None:
    (modifier,) = modifiers_of("Path:/a", keep_trailing_slash=True)
    assert modifier.settings == {"paths": ("/a",), "keep": True}
