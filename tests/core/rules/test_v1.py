"""The grammar of v1: ``;`` and ``,``, modifiers and the order in which they run, errors."""

from __future__ import annotations

import pytest

from dynbalancer.core.rules.parser import read
from dynbalancer.core.rules.tree import And, Hosts, Match
from dynbalancer.core.rules.v1 import parse
from dynbalancer.errors import ConfigurationError

CALLS = [
    ("Host:a.example", [("Host", ("a.example",))]),
    (" Host : a.example , b.example ,, ", [("Host", ("a.example", "b.example"))]),
    ("Host:a.example;PathPrefix:/x", [("Host", ("a.example",)), ("PathPrefix", ("/x",))]),
    (";;Host:a.example; ;", [("Host", ("a.example",))]),
    ("Path:/a:b", [("Path", ("/a:b",))]),
    ("Path:/{x:[a-z]{1,3}},/{y:a;b}", [("Path", ("/{x:[a-z]{1,3}}", "/{y:a;b}"))]),
    ("Headers:X-A,,X-B,1", [("Headers", ("X-A", "", "X-B", "1"))]),
    ("Headers:X-A,1,", [("Headers", ("X-A", "1"))]),
    ("PathPrefixStrip:/x", [("PathPrefixStrip", ("/x",))]),
    ("AddPrefix:/x", []),
]


@pytest.mark.parametrize(("text", "calls"), CALLS)
def test_calls_are_read(text: str, calls: list[tuple[str, tuple[str, ...]]]) -> None:
    node = parse(text).node
    parts = node.parts if isinstance(node, And) else (node,)
    assert [(part.matcher, part.arguments) for part in parts if isinstance(part, Match)] == calls
    assert len(parts) == len(calls)


MODIFIERS = [
    ("Host:a.example", ()),
    ("PathStrip:/a,/b", (("PathStrip", ("/a", "/b")),)),
    ("PathStrip:/a;PathPrefixStrip:/b", (("PathPrefixStrip", ("/b",)),)),
    ("PathPrefixStripRegex:/{a};PathStripRegex:/{b}", (("PathStripRegex", ("/{b}",)),)),
    ("AddPrefix:/a,/b", (("AddPrefix", ("/b",)),)),
    ("ReplacePath:/a;ReplacePath:/b", (("ReplacePath", ("/b",)),)),
    ("ReplacePathRegex:^/a/(.{1,3}) /$1", (("ReplacePathRegex", ("^/a/(.{1,3})", "/$1")),)),
    (
        "ReplacePath:/r;AddPrefix:/p;PathPrefixStrip:/s;PathPrefixStripRegex:/{x};ReplacePathRegex:a b",
        (
            ("PathPrefixStripRegex", ("/{x}",)),
            ("PathPrefixStrip", ("/s",)),
            ("AddPrefix", ("/p",)),
            ("ReplacePathRegex", ("a", "b")),
            ("ReplacePath", ("/r",)),
        ),
    ),
]


@pytest.mark.parametrize(("text", "modifiers"), MODIFIERS)
def test_modifiers_are_kept_in_the_order_in_which_they_run(
    text: str, modifiers: tuple[tuple[str, tuple[str, ...]], ...]
) -> None:
    assert parse(text).modifiers == modifiers


@pytest.mark.parametrize(
    "text", ["ReplacePathRegex:^/a", "ReplacePathRegex:^/a  /b", "ReplacePathRegex:a b c"]
)
def test_replacement_that_is_not_two_words_is_left_out_with_a_warning(text: str) -> None:
    rule = parse(f"Host:a.example;{text}")
    assert rule.modifiers == ()
    assert rule.warnings == (f"{text}: ReplacePathRegex takes a pattern, one space and a replacement",)


def test_matcher_after_a_comma_is_no_host_and_the_hint_says_how_to_write_it() -> None:
    (warning,) = read("Host:a.example,PathPrefix:/x", "v1").warnings
    assert warning == (
        "bad host PathPrefix:/x: after a comma comes another host, so it is left out; "
        "write a semicolon before PathPrefix:/x"
    )


def test_a_host_that_no_request_can_have_does_not_harm_the_others() -> None:
    rule = read("Host:a.example:8080, b.example, http://c.example/, c example; Path:/x", "v1")
    assert rule.node.hosts() == Hosts(frozenset([b"b.example"]))
    assert rule.warnings == (
        "bad host a.example:8080: a host has no scheme, port or path, so it is left out; write a.example",
        "bad host http://c.example/: a host has no scheme, port or path, so it is left out; write c.example",
        "bad host c example, so it is left out",
    )
    assert (
        str(rule.node)
        == "Host(`a.example:8080`, `b.example`, `http://c.example/`, `c example`) && Path(`/x`)"
    )


ERRORS = [
    ("Host:a.example:80", "bad host a.example:80: a host has no scheme, port or path", "write a.example"),
    ("Host:a.example && Path:/x", "bad host a.example && Path:/x", "v1 writes ; for and, and a comma for or"),
    ("Host=a.example", "unsupported function: Host=a.example", "write Host:a.example"),
    ("PathPrefix /x", "unsupported function: PathPrefix /x", "write PathPrefix:/x"),
    (
        '"Host:a.example"',
        'unsupported function: "Host',
        "leave out the quotes around the rule: in a list of labels they are part of it",
    ),
    ("Hots:a", "unsupported function: Hots", "did you mean Host?"),
    ("host:a", "unsupported function: host", "did you mean Host?"),
    (
        "Host(`a`)",
        "unsupported function: Host(`a`)",
        "this looks like v3's spelling; v1 writes Host:a.example",
    ),
    ("ClientIP:192.0.2.1", "unsupported function: ClientIP", ""),
    ("Host", "Host has no argument", "write Host:VALUE"),
    ("Host: , ", "Host has no argument", "write Host:VALUE"),
    ("Headers:,", "Headers has no argument", "write Headers:VALUE"),
    ("ReplacePathRegex:", "ReplacePathRegex has no argument", "write ReplacePathRegex:VALUE"),
    (" ; ", "the rule is empty", "write Host:a.example"),
    ("ReplacePathRegex:( /x", "bad regular expression (: missing ): (", ""),
    ("HostRegexp:{a.example", "unbalanced braces in {a.example", "write {name:regex} or {name}"),
]


@pytest.mark.parametrize(("text", "why", "hint"), ERRORS)
def test_bad_call_is_refused_in_words(text: str, why: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse(text)
    assert (raised.value.where, raised.value.why, raised.value.hint) == ("rule", why, hint)
