"""Every matcher of every dialect: what it matches, what it doesn't, and which arguments it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dynbalancer.core.rules.matchers import V1, V2, V3, parameters, path_bytes
from dynbalancer.core.rules.parser import parse
from dynbalancer.core.rules.v1 import MODIFIERS
from dynbalancer.errors import ConfigurationError
from dynbalancer.testing import exchange


def matches(rule: str, dialect: str, **request: Any) -> bool:
    test = parse(rule, dialect).predicate()
    return test is None or test(exchange(**request))


HOSTS = [
    ("Host(`a.example`)", b"a.example", True),
    ("Host(`a.example`)", b"b.example", False),
    ("Host(`a.example`)", b"x.a.example", False),
    ("Host(`A.Example.`)", b"a.example", True),
    ("Host(`*.a.example`)", b"x.a.example", True),
    ("Host(`*.a.example`)", b"a.example", False),
    ("Host(`*.a.example`)", b"x.y.a.example", False),
    ("Host(`*.a.example`)", b".a.example", False),
    ("Host(`*`)", b"anything.example", True),
    ("Host(`*`)", b"", True),
    ("Host(`a.example`)", b"", False),
    ("Host(`192.0.2.7`)", b"192.0.2.7", True),
    ("Host(`[2001:DB8::1]`)", b"[2001:db8::1]", True),
    ("Host(`my_project-web`)", b"my_project-web", True),
    ("HostRegexp(`^[a-z]+\\.a\\.example$`)", b"x.a.example", True),
    ("HostRegexp(`^[a-z]+\\.a\\.example$`)", b"7.a.example", False),
    ("HostRegexp(`a\\.example`)", b"x.a.example.y", True),
]

PATHS = [
    ("Path(`/x`)", b"/x", True),
    ("Path(`/x`)", b"/x/", False),
    ("Path(`/x`)", b"/xy", False),
    ("Path(`/é x`)", b"/%C3%A9%20x", True),
    ("PathPrefix(`/x`)", b"/x", True),
    ("PathPrefix(`/x`)", b"/x/y", True),
    ("PathPrefix(`/x`)", b"/xylophone", True),
    ("PathPrefix(`/x`)", b"/y/x", False),
    ("PathRegexp(`^/users/[0-9]+$`)", b"/users/12", True),
    ("PathRegexp(`^/users/[0-9]+$`)", b"/users/", False),
    ("PathRegexp(`\\.png$`)", b"/a/b.png", True),
    ("PathRegexp(`(?i)\\.png$`)", b"/a/b.PNG", True),
]

V3_OTHERS: list[tuple[str, dict[str, Any], bool]] = [
    ("Method(`get`)", {"method": b"GET"}, True),
    ("Method(`GET`)", {"method": b"POST"}, False),
    ("Header(`x-a`, `1`)", {"headers": {b"X-A": b"1"}}, True),
    ("Header(`X-A`, `1`)", {"headers": {b"X-A": b"10"}}, False),
    ("Header(`X-A`, `1`)", {}, False),
    ("Header(`Host`, `a.example`)", {}, True),
    ("HeaderRegexp(`X-A`, `^1+$`)", {"headers": {b"x-a": b"111"}}, True),
    ("HeaderRegexp(`X-A`, `^1+$`)", {"headers": {b"x-a": b"121"}}, False),
    ("HeaderRegexp(`X-A`, `^.+bad$`)", {"headers": {b"x-a": b"\xff\xfe bad"}}, True),
    ("HeaderRegexp(`X-A`, `.`)", {}, False),
    ("Query(`k`)", {"query": b"k="}, True),
    ("Query(`k`)", {"query": b"k"}, True),
    ("Query(`k`)", {"query": b"k=1"}, False),
    ("Query(`k`)", {}, False),
    ("Query(`k`, `1`)", {"query": b"a=0&k=2&k=1"}, True),
    ("Query(`k`, `1`)", {"query": b"k=2"}, False),
    ("Query(`k`, `a b`)", {"query": b"k=a+b"}, True),
    ("Query(`k`, `é`)", {"query": b"%6B=%C3%A9"}, True),
    ("Query(`k`, `1`)", {"query": b"a=0;k=1"}, True),
    ("QueryRegexp(`k`, `^[0-9]+$`)", {"query": b"k=x&k=12"}, True),
    ("QueryRegexp(`k`, `^[0-9]+$`)", {"query": b"k=x"}, False),
    ("QueryRegexp(`k`)", {"query": b"k"}, True),
    ("ClientIP(`192.0.2.0/24`)", {"client": "192.0.2.77"}, True),
    ("ClientIP(`192.0.2.1/24`)", {"client": "192.0.2.77"}, True),
    ("ClientIP(`192.0.2.0/24`)", {"client": "198.51.100.1"}, False),
    ("ClientIP(`192.0.2.7`)", {"client": "::ffff:192.0.2.7"}, True),
    ("ClientIP(`2001:db8::/32`)", {"client": "2001:db8::7"}, True),
    ("ClientIP(`2001:db8::/32`)", {"client": "192.0.2.7"}, False),
    ("ClientIP(`192.0.2.7`)", {"client": ""}, False),
    ("ClientIP(`192.0.2.7`)", {"headers": {b"X-Forwarded-For": b"192.0.2.7"}, "client": "192.0.2.8"}, False),
]

V2_CALLS = [
    ("Host(`a.example`, `b.example`)", {"host": b"b.example"}, True),
    ("HostHeader(`a.example`)", {"host": b"a.example"}, True),
    ("HostRegexp(`{sub:[a-z]+}.a.example`)", {"host": b"x.a.example"}, True),
    ("HostRegexp(`{sub}.a.example`, `b.example`)", {"host": b"b.example"}, True),
    ("Path(`/a`, `/{id:[0-9]+}`)", {"path": b"/17"}, True),
    ("Path(`/a`, `/{id:[0-9]+}`)", {"path": b"/17/x"}, False),
    ("PathPrefix(`/a`, `/b/{id}`)", {"path": b"/b/17/x"}, True),
    ("Method(`GET`, `post`)", {"method": b"POST"}, True),
    ("Headers(`X-A`, `1`)", {"headers": {b"x-a": b"1"}}, True),
    ("HeadersRegexp(`X-A`, `1`)", {"headers": {b"x-a": b"010"}}, True),
    ("Query(`k=1`, `l=2`)", {"query": b"l=2&k=1"}, True),
    ("Query(`k=1`, `l=2`)", {"query": b"k=1"}, False),
    ("ClientIP(`192.0.2.7`, `198.51.100.0/24`)", {"client": "198.51.100.9"}, True),
]

V1_CALLS = [
    ("Host:a.example, B.example", {"host": b"b.example"}, True),
    ("Host:a.example", {"host": b"b.example"}, False),
    ("HostRegexp:{sub:[a-z]+}.a.example", {"host": b"x.a.example"}, True),
    ("HostRegexp:{sub:[a-z]+}.a.example", {"host": b"x.a.example.y"}, False),
    ("HostRegexp:{sub}.A.example", {"host": b"x.a.example"}, True),
    ("HostRegexp:{sub}.a.example", {"host": b"x.y.a.example"}, False),
    ("Path:/x,/y", {"path": b"/y"}, True),
    ("Path:/x", {"path": b"/x/y"}, False),
    # One slash more or less is redirected: see redirectTrailingSlash.
    ("Path:/x", {"path": b"/x/"}, True),
    ("Path:/x/", {"path": b"/x"}, True),
    ("Path:/x", {"path": b"/x//"}, False),
    ("Path:/x/{id}", {"path": b"/x/a/"}, True),
    ("Path:/x/{id}/", {"path": b"/x/a"}, True),
    ("PathStrip:/x", {"path": b"/x/"}, True),
    ("Path:/x/{id:[0-9]{1,3}}", {"path": b"/x/123"}, True),
    ("Path:/x/{id:[0-9]{1,3}}", {"path": b"/x/1234"}, False),
    ("Path:/x/{any}", {"path": b"/x/a/b"}, False),
    ("PathPrefix:/foo", {"path": b"/foobar"}, True),
    ("PathPrefix:/a/{id:[0-9]+}/", {"path": b"/a/1/b"}, True),
    ("PathPrefix:/a/{id:[0-9]+}/", {"path": b"/b/a/1/b"}, False),
    ("PathStrip:/x", {"path": b"/x"}, True),
    ("PathStripRegex:/x/{id}", {"path": b"/x/1"}, True),
    ("PathPrefixStrip:/x", {"path": b"/x/y"}, True),
    ("PathPrefixStripRegex:/x/{id}/", {"path": b"/x/1/y"}, True),
    ("Method:get,POST", {"method": b"POST"}, True),
    ("Method:GET", {"method": b"POST"}, False),
    ("Headers:X-A,1,X-B,2", {"headers": {b"x-a": b"1", b"x-b": b"2"}}, True),
    ("Headers:X-A,1,X-B,2", {"headers": {b"x-a": b"1"}}, False),
    ("Headers:X-A,", {"headers": {b"x-a": b"anything"}}, True),
    ("Headers:X-A,", {}, False),
    ("HeadersRegexp:X-A,^a+$,X-B,b", {"headers": {b"x-a": b"aa", b"x-b": b"abc"}}, True),
    ("HeadersRegexp:X-A,^a+$,X-B,b", {"headers": {b"x-a": b"aa"}}, False),
    ("Query:k=1,l={n:[0-9]+}", {"query": b"k=1&l=22"}, True),
    ("Query:k=1,l={n:[0-9]+}", {"query": b"k=1&l=x"}, False),
    ("Query:k=1", {"query": b"k=2&k=1"}, False),
    ("Query:k=", {"query": b"k=whatever"}, True),
    ("Query:k=", {"query": b"l=1"}, False),
    ("Query:k=a=b", {"query": b"k=a=b"}, True),
]


@pytest.mark.parametrize(("rule", "host", "verdict"), HOSTS)
def test_v3_host_matchers(rule: str, host: bytes, verdict: bool) -> None:
    assert matches(rule, "v3", host=host) is verdict


@pytest.mark.parametrize(("rule", "path", "verdict"), PATHS)
def test_v3_path_matchers(rule: str, path: bytes, verdict: bool) -> None:
    assert matches(rule, "v3", path=path) is verdict


@pytest.mark.parametrize(("rule", "request_", "verdict"), V3_OTHERS)
def test_v3_other_matchers(rule: str, request_: dict[str, Any], verdict: bool) -> None:
    assert matches(rule, "v3", **request_) is verdict


@pytest.mark.parametrize(("rule", "request_", "verdict"), V2_CALLS)
def test_v2_matchers(rule: str, request_: dict[str, Any], verdict: bool) -> None:
    assert matches(rule, "v2", **request_) is verdict


@pytest.mark.parametrize(("rule", "request_", "verdict"), V1_CALLS)
def test_v1_matchers(rule: str, request_: dict[str, Any], verdict: bool) -> None:
    assert matches(rule, "v1", **request_) is verdict


REFUSED: list[tuple[str, str, str, str]] = [
    ("v3", "Hots(`a`)", "unsupported function: Hots", "did you mean Host?"),
    ("v3", "hOST(`a`)", "unsupported function: hOST", "did you mean Host?"),
    (
        "v3",
        "Headers(`a`, `b`)",
        "unsupported function: Headers",
        "did you mean Header? It was Headers before v3",
    ),
    (
        "v3",
        "PathPrefixStrip(`/a`)",
        "unsupported function: PathPrefixStrip",
        "write PathPrefix, and a stripPrefix middleware",
    ),
    ("v2", "Header(`a`, `b`)", "unsupported function: Header", "did you mean Headers?"),
    (
        "v3",
        "Host(`a`, `b`)",
        "unexpected number of parameters; got 2, expected one of [1]",
        "write Host(`a`) || Host(`b`)",
    ),
    (
        "v3",
        "Host()",
        "unexpected number of parameters; got 0, expected one of [1]",
        "write Host(`…`); between double quotes a shell runs what is in backticks: use single quotes",
    ),
    ("v3", "Header(`a`)", "unexpected number of parameters; got 1, expected one of [2]", ""),
    ("v3", "Query(`a`,`b`,`c`)", "unexpected number of parameters; got 3, expected one of [1 2]", ""),
    (
        "v2",
        "Host()",
        "unexpected number of parameters; got 0, expected at least 1",
        "write Host(`…`); between double quotes a shell runs what is in backticks: use single quotes",
    ),
    ("v3", "Host(``)", "Host has an empty name", "write the name, or * for any"),
    (
        "v3",
        "Host(`a.example:80`)",
        "bad host a.example:80: a host has no scheme, port or path",
        "write a.example",
    ),
    (
        "v3",
        "Host(`https://a.example/x`)",
        "bad host https://a.example/x: a host has no scheme, port or path",
        "write a.example",
    ),
    (
        "v3",
        "Host(`a.*.example`)",
        "bad host a.*.example",
        "* may stand for the first label only: *.a.example",
    ),
    ("v3", "Host(`a b`)", "bad host a b", ""),
    ("v3", "Host(`a..b`)", "bad host a..b", ""),
    (
        "v3",
        "Host(`é.example`)",
        'invalid value "é.example" for Host matcher, non-ASCII characters are not allowed',
        "write xn--9ca.example",
    ),
    (
        "v3",
        "HostRegexp(`é`)",
        'invalid value "é" for HostRegexp matcher, non-ASCII characters are not allowed',
        "",
    ),
    ("v3", "Path(`x`)", "path 'x' does not start with a '/'", "write /x"),
    ("v2", "PathPrefix(`/x`, `{y}`)", "path '{y}' does not start with a '/'", "write /{y}"),
    (
        "v3",
        "ClientIP(`10.0.0.0/33`)",
        "'10.0.0.0/33' is neither an address nor a network",
        "write 192.0.2.7 or 192.0.2.0/24",
    ),
    ("v1", "Headers:X-A", "no value for header X-A", "write a name and a value for each"),
    ("v1", "Query:k", "bad query 'k'", "write k=value"),
    (
        "v1",
        "Host:a.example:80",
        "bad host a.example:80: a host has no scheme, port or path",
        "write a.example",
    ),
    ("v1", "Path:/a/{id:}", "missing name or pattern in {id:}", "write {name:[a-z]+} or {name}"),
]


@pytest.mark.parametrize(("dialect", "rule", "why", "hint"), REFUSED)
def test_bad_call_is_refused_in_words(dialect: str, rule: str, why: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse(rule, dialect)
    assert (raised.value.where, raised.value.why, raised.value.hint) == ("rule", why, hint)


def test_several_values_of_a_field_are_all_looked_at() -> None:
    asked = exchange()
    asked.head.headers.add(b"X-A", b"1")
    asked.head.headers.add(b"X-A", b"2")
    test = parse("Header(`X-A`, `2`) && HeaderRegexp(`X-A`, `^1$`)").predicate()
    assert test is not None
    assert test(asked)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (None, []),
        (b"", []),
        (b"&&", []),
        (b"a", [(b"a", b"")]),
        (b"a=1&a=2", [(b"a", b"1"), (b"a", b"2")]),
        (b"a=%zz&b=%", [(b"a", b"%zz"), (b"b", b"%")]),
        (b"a=1;b=2", [(b"a", b"1"), (b"b", b"2")]),
        (b"=x", [(b"", b"x")]),
    ],
)
def test_query_is_taken_apart(query: bytes | None, found: list[tuple[bytes, bytes]]) -> None:
    assert parameters(query) == found


@pytest.mark.parametrize(
    "rule, path, verdict",
    [
        ("Path(`/my file`)", b"/my%20file", True),
        ("Path(`/my%20file`)", b"/my%20file", True),
        ("Path(`/b\u00fccher`)", b"/b%c3%bccher", True),
        ("PathPrefix(`/b\u00fccher`)", b"/b%C3%bCcher/1", True),
        ('Path(`/a"b`)', b"/a%22b", True),
        ("PathRegexp(`^/my file$`)", b"/my%20file", True),
        ("PathRegexp(`^/b\u00fccher$`)", b"/b%c3%bccher", True),
        ("PathPrefix(`/a+b`)", b"/a%2bb", False),
        ("PathPrefix(`/a%2bb`)", b"/a%2Bb/c", True),
        ("PathPrefix(`/a/b`)", b"/a%2fb", False),
        ("PathRegexp(`^/admin.*$`)", b"/admin%0a", True),
        ("PathRegexp(`^/admin\u00fc?.*$`)", b"/admin%ff", True),
    ],
)
def test_escapes_in_a_path_are_seen_as_what_they_stand_for_unless_reserved(
    rule: str, path: bytes, verdict: bool
) -> None:
    assert matches(rule, "v3", path=path) is verdict


def test_escapes_in_a_path_are_seen_alike_in_every_dialect() -> None:
    assert matches("Path(`/x`, `/my file`)", "v2", path=b"/my%20file")
    assert matches("PathPrefix(`/{id:[a-z ]+}/x`)", "v2", path=b"/my%20file/x")
    assert matches("Path:/my file", "v1", path=b"/my%20file/")


def test_path_argument_keeps_what_a_request_line_may_hold() -> None:
    assert path_bytes("/a%20b~!$&'()*+,;=:@{x}") == b"/a%20b~!$&'()*+,;=:@{x}"


@pytest.mark.parametrize(("heading", "names"), [("v1", {*V1, *MODIFIERS}), ("v2", set(V2)), ("v3", set(V3))])
def test_every_matcher_is_on_the_page(heading: str, names: set[str]) -> None:
    page = (Path(__file__).parents[3] / "docs/reference/rules.md").read_text()
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    assert {name for name in names if f"`{name}" not in section} == set()
