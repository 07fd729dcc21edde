"""Rules in the words of another version match the same requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dynbalancer.core.rules.parser import parse
from dynbalancer.core.rules.translation import UntranslatableError, to_v1, to_v3
from dynbalancer.errors import ConfigurationError
from dynbalancer.testing import exchange


@pytest.mark.parametrize(
    "rule, expected",
    [
        ("Host:a.example", "Host(`a.example`)"),
        ("Host:a,b;PathPrefix:/x", "(Host(`a`) || Host(`b`)) && PathPrefix(`/x`)"),
        ("Host:a,b d", "Host(`a`)"),
        ("Path:/x,/{n:[0-9]+}", "Path(`/x`) || PathRegexp(`^/(?:[0-9]+)$`)"),
        ("PathPrefix:/{n}/x", "PathRegexp(`^/(?:[^/]+)/x`)"),
        ("PathPrefixStrip:/x", "PathPrefix(`/x`)"),
        ("PathStrip:/x", "Path(`/x`)"),
        ("HostRegexp:{sub:[a-z]+}.a", r"HostRegexp(`(?i)^(?:[a-z]+)\.a$`)"),
        ("Method:get,POST", "Method(`GET`) || Method(`POST`)"),
        ("Headers:A,b,C,", "Header(`A`, `b`) && HeaderRegexp(`C`, `.*`)"),
        ("HeadersRegexp:A,b.*", "HeaderRegexp(`A`, `b.*`)"),
        ("Query:a=b,c=", "Query(`a`, `b`) && QueryRegexp(`c`, `.*`)"),
        ("AddPrefix:/x", "PathPrefix(`/`)"),
    ],
)
def test_v1_in_v3(rule: str, expected: str) -> None:
    assert to_v3(rule, "v1").rule == expected


@pytest.mark.parametrize(
    "rule, expected",
    [
        ("Host(`a`, `b`) && !Method(`GET`)", "(Host(`a`) || Host(`b`)) && !Method(`GET`)"),
        ("HostHeader(`a`)", "Host(`a`)"),
        ("Headers(`A`, ``)", "Header(`A`, ``)"),
        ("ClientIP(`192.0.2.1`, `192.0.2.2`)", "ClientIP(`192.0.2.1`) || ClientIP(`192.0.2.2`)"),
    ],
)
def test_v2_in_v3(rule: str, expected: str) -> None:
    assert to_v3(rule, "v2").rule == expected


def test_v3_stays_as_it_was_written() -> None:
    assert to_v3("Host( `a` )", "v3").rule == "Host( `a` )"


def test_what_is_not_quite_the_same_is_noted() -> None:
    assert len(to_v3("Query:a=b", "v1").notes) == 1
    assert to_v3("Host:a", "v1").notes == ()


def test_a_rule_that_can_not_be_read_is_not_translated() -> None:
    with pytest.raises(ConfigurationError):
        to_v3("Nope:a", "v1")


@pytest.mark.parametrize(
    "rule, expected",
    [
        ("Host(`a`) && (PathPrefix(`/x`) || PathPrefix(`/y`))", "Host:a;PathPrefix:/x,/y"),
        ("Host(`a`) || Host(`b`)", "Host:a,b"),
        ("HostRegexp(`^[a-z]+$`)", "HostRegexp:{any:[a-z]+}"),
        ("Header(`A`, `b`) && Query(`q`, `1`)", "Headers:A,b;Query:q=1"),
        ("Method(`GET`)", "Method:GET"),
    ],
)
def test_v3_in_v1(rule: str, expected: str) -> None:
    assert to_v1(rule, "v3").rule == expected


@pytest.mark.parametrize(
    "rule",
    [
        "Host(`a`) || Path(`/x`)",
        "!Host(`a`)",
        "ClientIP(`192.0.2.1`)",
        "PathRegexp(`x`)",
        "HostRegexp(`a`)",
        "PathPrefix(`/a,b`)",
        "PathPrefix(`/{a}`)",
        "Host(`*.a`)",
        "Header(`A`, ``)",
        "Query(`a`)",
        "Header(`A`, `b`) || Header(`A`, `c`)",
    ],
)
def test_what_v1_has_no_words_for(rule: str) -> None:
    with pytest.raises(UntranslatableError):
        to_v1(rule, "v3")


HOSTS = some.sampled_from(("a.example", "b.example", "sub.a.example"))
PATHS = some.sampled_from(("/", "/x", "/x/1", "/y", "/xy"))
CALLS = some.one_of(
    some.lists(HOSTS, min_size=1, max_size=3).map(lambda names: f"Host:{','.join(names)}"),
    some.lists(PATHS, min_size=1, max_size=2).map(lambda paths: f"PathPrefix:{','.join(paths)}"),
    some.lists(PATHS, min_size=1, max_size=2).map(lambda paths: f"PathStrip:{','.join(paths)}"),
    some.sampled_from(
        (
            "Path:/{n:[xy]}",
            "PathPrefixStripRegex:/{n}/",
            "HostRegexp:{s}.a.example",
            "Method:get,POST",
            "Headers:X-A,1",
            "Headers:X-A,",
            "HeadersRegexp:X-A,[0-9]",
            "Query:q=1",
            "Query:q=",
            "Query:q={n:[0-9]}",
            "AddPrefix:/z",
        )
    ),
)
REQUESTS = some.fixed_dictionaries(
    {
        "host": HOSTS.map(str.encode),
        "path": PATHS.map(str.encode),
        "method": some.sampled_from((b"GET", b"POST", b"PUT")),
        "query": some.sampled_from((None, b"q=1", b"q=", b"q=x", b"p=1")),
        "headers": some.sampled_from(({}, {b"X-A": b"1"}, {b"X-A": b"z"})),
    }
)


@given(some.lists(CALLS, min_size=1, max_size=3), REQUESTS)
def test_a_rule_matches_the_same_requests_in_v3_and_back_in_v1(calls: list[str], request: dict) -> None:  # type: ignore[type-arg]
    rule = ";".join(calls)
    made = exchange(**request)
    expected = parse(rule, "v1").trace(made).matched
    in_v3 = to_v3(rule, "v1").rule
    assert parse(in_v3, "v3").trace(made).matched is expected
    try:
        back = to_v1(in_v3, "v3").rule
    except UntranslatableError:
        return
    assert parse(back, "v1").trace(made).matched is expected
