"""Middlewares that change paths, plain or by patterns: the query and the meaning stay."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.exchange import Exchange, Response
from dynbalancer.core.targets import normal_path
from dynbalancer.errors import RequestError
from dynbalancer.middlewares.paths import (
    AddPrefix,
    ReplacePath,
    ReplacePathRegex,
    StripPrefix,
    StripPrefixRegex,
)
from dynbalancer.testing import MiddlewareContract, exchange


def strip(path: bytes, *prefixes: str, **request: Any) -> tuple[Exchange, Response | None]:
    a = exchange(path=path, **request)
    return a, StripPrefix.from_settings("strip@file", {"prefixes": prefixes}).on_request(a)


class TestAddPrefix(MiddlewareContract):
    make = AddPrefix.from_settings
    good = {"prefix": "/a"}
    bad = (
        {},
        {"prefix": ""},
        {"prefix": "/a?b"},
        {"prefix": "/a/../b"},
        {"prefix": "/a\r\nb"},
        {"prefx": "/"},
    )


@pytest.mark.parametrize(
    ("prefix", "path", "seen"),
    [
        ("/a", b"/b", b"/a/b"),
        ("/a/", b"/b", b"/a/b"),
        ("a", b"/b", b"/a/b"),
        ("/a", b"/", b"/a/"),
        ("/", b"/b", b"/b"),
        ("/caf\u00e9 1", b"/b", b"/caf%C3%A9%201/b"),
        ("/%7Euser", b"/b", b"/~user/b"),
    ],
)
def test_prefix_is_put_in_front(prefix: str, path: bytes, seen: bytes) -> None:
    a = exchange(path=path, query=b"q=1")
    AddPrefix.from_settings("add@file", {"prefix": prefix}).on_request(a)
    assert a.head.path == seen
    assert a.head.query == b"q=1"


class TestStripPrefix(MiddlewareContract):
    make = StripPrefix.from_settings
    good = {"prefixes": "/a,/b", "forceSlash": "true"}
    bad = ({}, {"prefixes": []}, {"prefixes": "/a?"}, {"prefixes": ["/%zz"]}, {"prefixes": "/a", "force": 1})


@pytest.mark.parametrize(
    ("prefixes", "path", "seen", "told"),
    [
        (["/api"], b"/api/v1", b"/v1", b"/api"),
        (["/api"], b"/api", b"/", b"/api"),
        (["/api"], b"/api/", b"/", b"/api"),
        (["/api"], b"/apiary", b"/ary", b"/api"),
        (["/api/"], b"/api/v1", b"/v1", b"/api/"),
        (["/api"], b"/other", b"/other", None),
        (["/api"], b"/API/v1", b"/API/v1", None),
        (["/a", "/a/b"], b"/a/b/c", b"/b/c", b"/a"),
        (["/a/b", "/a"], b"/a/b/c", b"/c", b"/a/b"),
        (["/caf\u00e9"], b"/caf%C3%A9/x", b"/x", b"/caf%C3%A9"),
        (["api"], b"/api/v1", b"/api/v1", None),
    ],
)
def test_first_prefix_that_fits_is_taken_off(
    prefixes: list[str], path: bytes, seen: bytes, told: bytes | None
) -> None:
    a, answer = strip(path, *prefixes, query=b"q=1")
    assert answer is None
    assert (a.head.path, a.head.query) == (seen, b"q=1")
    assert a.head.headers.get(b"x-forwarded-prefix") == told


@pytest.mark.parametrize(
    "path", [b"/api../secret", b"/api..", b"/api..;/x", b"/api..%2fx", b"/api.", b"/api./x"]
)
def test_rest_that_would_become_a_dot_segment_is_refused(path: bytes) -> None:
    """The path was in normal form when it was routed; what is left of it would climb above its root."""
    a, answer = strip(path, "/api")
    assert answer is not None
    assert answer.status == 400
    assert a.head.path == path


def test_client_can_not_say_which_prefix_was_stripped() -> None:
    sent = {b"X-Forwarded-Prefix": b"//evil", b"X_Forwarded_Prefix": b"//evil"}
    a, _ = strip(b"/api/v1", "/api", headers=sent)
    assert list(a.head.headers) == [(b"X-Forwarded-Prefix", b"/api")]


def test_what_a_trusted_peer_stripped_before_is_kept() -> None:
    a, _ = strip(b"/api/v1", "/api", headers={b"X-Forwarded-Prefix": b"/site"}, trusted=True)
    assert a.head.headers.all(b"x-forwarded-prefix") == [b"/site", b"/api"]


def test_second_strip_in_a_chain_adds_to_the_first() -> None:
    a, _ = strip(b"/a/b/c", "/a", headers={b"X-Forwarded-Prefix": b"//evil"})
    StripPrefix.from_settings("second@file", {"prefixes": "/b"}).on_request(a)
    assert a.head.path == b"/c"
    assert a.head.headers.all(b"x-forwarded-prefix") == [b"/a", b"/b"]


_segment = st.text("ab.;%2f~-", max_size=6).map(str.encode)


@given(st.lists(_segment, max_size=4), st.sampled_from(["/a", "/a/", "/ab", "/a.", "/"]))
def test_path_is_forwarded_in_normal_form_or_refused(segments: list[bytes], prefix: str) -> None:
    raw = b"/" + b"/".join(segments)
    try:
        path = normal_path(raw)
    except RequestError:
        path = b"/ab../x"
    a, answer = strip(path, prefix)
    assert answer is not None or normal_path(a.head.path) == a.head.path
    assert answer is not None or path.endswith(a.head.path) or a.head.path == b"/" + path[len(prefix) :]


class TestReplacePath(MiddlewareContract):
    make = ReplacePath.from_settings
    good = {"path": "/a"}
    bad = ({}, {"path": "a"}, {"path": "/a?b=c"}, {"path": "/a#b"}, {"path": "/a\\b"}, {"paths": "/a"})


def test_path_is_replaced_and_the_old_one_told() -> None:
    a = exchange(
        path=b"/old", query=b"q=1", headers={b"x-replaced-path": b"/evil", b"X_Replaced_Path": b"/evil"}
    )
    ReplacePath.from_settings("replace@file", {"path": "/new"}).on_request(a)
    assert (a.head.path, a.head.query) == (b"/new", b"q=1")
    assert list(a.head.headers) == [(b"X-Replaced-Path", b"/old")]


class TestStripPrefixRegex(MiddlewareContract):
    make = StripPrefixRegex.from_settings
    good = {"regex": "^/[a-z]+"}
    bad = (
        {},
        {"regex": []},
        {"regex": "("},
        {"regex": ["^/a(?=b)"]},
        {"regex": "a" * 1025},
        {"prefixes": "/a"},
    )


@pytest.mark.parametrize(
    ("patterns", "path", "seen", "told"),
    [
        (["^/[a-z]+/[0-9]+"], b"/shop/17/cart", b"/cart", b"/shop/17"),
        (["/foo/[a-z0-9]+/[0-9]+/"], b"/foo/b0r/17/x", b"/x", b"/foo/b0r/17/"),
        (["^/x", "^/[a-z]+"], b"/shop/a", b"/a", b"/shop"),
        (["^/shop"], b"/shop", b"/", b"/shop"),
        (["^/sh"], b"/shop", b"/op", b"/sh"),
        (["/b"], b"/a/b", b"/a/b", None),
        (["^/b"], b"/a/b", b"/a/b", None),
        (["^/?"], b"/a", b"/a", b"/"),
        (["^x*"], b"/a", b"/a", None),
        (["^/a|/b"], b"/a/b", b"/b", b"/a"),
        (["^/a??b?"], b"/ab", b"/ab", b"/"),
        (["(?i)^/API"], b"/api/v1", b"/v1", b"/api"),
    ],
)
def test_what_a_pattern_finds_at_the_start_is_taken_off(
    patterns: list[str], path: bytes, seen: bytes, told: bytes | None
) -> None:
    a = exchange(path=path, query=b"q=1")
    assert StripPrefixRegex.from_settings("strip@file", {"regex": patterns}).on_request(a) is None
    assert (a.head.path, a.head.query) == (seen, b"q=1")
    assert a.head.headers.get(b"x-forwarded-prefix") == told


@pytest.mark.parametrize("path", [b"/api../secret", b"/api..", b"/apix..;/x"])
def test_rest_of_a_pattern_that_would_become_a_dot_segment_is_refused(path: bytes) -> None:
    a = exchange(path=path)
    answer = StripPrefixRegex.from_settings("strip@file", {"regex": "^/api[a-z]*"}).on_request(a)
    assert answer is not None
    assert (answer.status, a.head.path) == (400, path)


class TestReplacePathRegex(MiddlewareContract):
    make = ReplacePathRegex.from_settings
    good = {"regex": "^/a/(.*)", "replacement": "/b/$1"}
    bad = (
        {},
        {"replacement": "/b"},
        {"regex": "(", "replacement": "/b"},
        {"regex": "^/a", "replacement": "/b\r\nX-A: b"},
        {"regex": "^/a", "replacement": "/b\x00"},
        {"regex": "^/a", "replacement": "/b", "path": "/"},
    )


@pytest.mark.parametrize(
    ("pattern", "replacement", "path", "seen"),
    [
        ("^/a/(.*)", "/b/$1", b"/a/x/y", b"/b/x/y"),
        ("^/a/(.*)", "/b/${1}.html", b"/a/x", b"/b/x.html"),
        ("^/(?P<who>[^/]+)/(?P<what>.*)", "/${what}/${who}", b"/ann/cats", b"/cats/ann"),
        ("^/a(.*)", "/b/$1", b"/a/x", b"/b/x"),
        ("^/a", "b", b"/a/x", b"/b/x"),
        ("^.*$", "/", b"/a/x", b"/"),
        ("/api", "", b"/api/x", b"/api/x"),
        ("o", "0", b"/foo/o", b"/f00/0"),
        ("^/a", "/caf\u00e9 1", b"/a", b"/caf%C3%A9%201"),
        ("^/a", "/%7Euser%2Fx", b"/a", b"/~user%2Fx"),
        ("^/a", "/b?x=1#y", b"/a", b"/b%3Fx=1%23y"),
        ("^/a", "/b", b"/x", b"/x"),
    ],
)
def test_what_a_pattern_finds_is_replaced(pattern: str, replacement: str, path: bytes, seen: bytes) -> None:
    a = exchange(path=path, query=b"q=1", headers={b"X-Replaced-Path": b"/evil"})
    made = ReplacePathRegex.from_settings("r@file", {"regex": pattern, "replacement": replacement})
    assert made.on_request(a) is None
    assert (a.head.path, a.head.query) == (seen, b"q=1")
    assert a.head.headers.get(b"x-replaced-path") == (None if path == seen else path)


@pytest.mark.parametrize(
    ("pattern", "replacement", "path"),
    [
        ("^/api(.*)", "$1", b"/api../secret"),
        ("^/api(.*)", "/v1/.$1", b"/api./secret"),
        ("^/api(.*)", "/%2E$1", b"/api./x"),
        ("^/(.*)$", "/a/%2$1", b"/e"),
        ("^/(.*)$", "/a/%$1", b"/00"),
        ("^/(.*)$", "/a/%$1", b"/zz"),
        ("^/(.*)$", "/a\\$1", b"/b"),
        ("^/(.*)$", "/..;$1", b"/b"),
        ("a", "b", b"/" + b"a" * 200),
    ],
)
def test_result_that_could_be_read_in_two_ways_is_refused(
    pattern: str, replacement: str, path: bytes
) -> None:
    a = exchange(path=path)
    made = ReplacePathRegex.from_settings("r@file", {"regex": pattern, "replacement": replacement})
    answer = made.on_request(a)
    assert answer is not None
    assert (answer.status, a.head.path) == (400, path)
    assert b"x-replaced-path" not in a.head.headers


@given(
    st.lists(_segment, max_size=4),
    st.sampled_from(["^/a(.*)", "(a|b)", r"\.", "(.*)", "/(.)"]),
    st.sampled_from(["$1", "/x/$1", "/..$1", "$1$1", "%2$1"]),
)
def test_replaced_path_is_in_normal_form_or_refused(
    segments: list[bytes], pattern: str, replacement: str
) -> None:
    try:
        path = normal_path(b"/" + b"/".join(segments))
    except RequestError:
        path = b"/a../x"
    a = exchange(path=path)
    made = ReplacePathRegex.from_settings("r@file", {"regex": pattern, "replacement": replacement})
    assert made.on_request(a) is not None or normal_path(a.head.path) == a.head.path


@pytest.mark.parametrize(
    ("settings", "notice"),
    [
        ({"regex": "^/(a)", "replacement": "/$1x"}, "$1x in the replacement is no group of the pattern"),
        ({"regex": "^/a"}, "without a replacement it changes nothing"),
        (
            {"regex": "^/a", "replacement": "/b?c"},
            "? and # in the replacement become part of the path: the query can't be changed",
        ),
    ],
)
def test_what_is_probably_not_meant_is_told(settings: dict[str, Any], notice: str) -> None:
    assert ReplacePathRegex.from_settings("r@file", settings).notices == (notice,)
