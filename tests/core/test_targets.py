"""The one normal form of host and path."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core import targets
from dynbalancer.core.settings import EscapingLimits, Limits
from dynbalancer.core.targets import normal_host, normal_path, routing_path, split_target
from dynbalancer.errors import RequestError


@pytest.mark.parametrize(
    "authority, host, port",
    [
        (b"a.test", b"a.test", None),
        (b"A.Test:8080", b"a.test", 8080),
        (b"a.test.", b"a.test", None),
        (b"a.test:", b"a.test", None),
        (b"192.0.2.1:80", b"192.0.2.1", 80),
        (b"[::1]:80", b"[::1]", 80),
        (b"under_score.test", b"under_score.test", None),
        (b"xn--bcher-kva.example", b"xn--bcher-kva.example", None),
    ],
)
def test_host_in_normal_form(authority: bytes, host: bytes, port: int | None) -> None:
    assert normal_host(authority) == (host, port)


@pytest.mark.parametrize(
    "authority",
    [
        *(
            b"",
            b".",
            b"..",
            b"a..b",
            b"a..",
            b"a..:80",
            b".a",
            b"-",
            b"a b",
            b"a,b",
            b"a/b",
            b"a\\b",
            b"a@b",
            b"u:p@a",
            b"a:80x",
        ),
        *(
            b"a:99999",
            b"a:123456",
            b"[::1]x",
            b"[::1",
            b"[zz]",
            b"[::1%25eth0]",
            b"::1",
            b"a?b",
            b"a#b",
            b"\xffa",
        ),
        *(b"a" * 300, b"a%41", b"a:-1", b":80", b"[]:80"),
    ],
)
def test_what_is_no_host_is_refused(authority: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        normal_host(authority)
    assert caught.value.status == 400


def test_hosts_remembered_are_bounded() -> None:
    for number in range(targets._REMEMBERED + 10):
        normal_host(b"h%d.test" % number)
    assert len(targets._hosts) <= targets._REMEMBERED


@pytest.mark.parametrize(
    "path, normal",
    [
        (b"/", b"/"),
        (b"/a/b", b"/a/b"),
        (b"/a/../admin", b"/admin"),
        (b"/a/./b", b"/a/b"),
        (b"//a///b", b"/a/b"),
        (b"/../../x", b"/x"),
        (b"/a/..", b"/"),
        (b"/a/b/..", b"/a/"),
        (b"/a/.", b"/a/"),
        (b"/%77ith", b"/with"),
        (b"/%2e%2E/admin", b"/admin"),
        (b"/%252e%252e/admin", b"/%252e%252e/admin"),
        (b"/%c0%ae%c0%ae/admin", b"/%c0%ae%c0%ae/admin"),
        (b"/a%2Fb", b"/a%2Fb"),
        (b"/a;v=1/b", b"/a;v=1/b"),
        (b"/.well-known/x", b"/.well-known/x"),
        (b"/...", b"/..."),
        (b"/a%20b", b"/a%20b"),
    ],
)
def test_path_in_normal_form(path: bytes, normal: bytes) -> None:
    assert split_target(path) == (normal, None)


@pytest.mark.parametrize(
    "target",
    [
        *(
            b"/a\\b",
            b"/a%00b",
            b"/a%zz",
            b"/a%2",
            b"/%u002e",
            b"/a/..;/b",
            b"/a/..;x=1/b",
            b"/a/..%2fb",
            b"/a/%2e%2e%2Fb",
        ),
        *(b"/a%5c../b", b"/a#b", b"/a?b#c", b"a", b"", b"?x", b"/\xc3\xa9", b"/?q=\xff"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(target: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        split_target(target)
    assert caught.value.status == 400


def test_query_is_kept_as_it_is() -> None:
    assert split_target(b"/a/../b?q=%0d%0a../x") == (b"/b", b"q=%0d%0a../x")
    assert split_target(b"/a?") == (b"/a", b"")


@pytest.mark.parametrize(
    "path, seen",
    [
        (b"/a", b"/a"),
        (b"/a%20b%22", b'/a b"'),
        (b"/%c3%bc", "/\u00fc".encode()),
        (b"/%3a%2f%25%3b", b"/%3A%2F%25%3B"),
        (b"/%0a%7f", b"/%0A%7F"),
        (b"/%20%ff", b"/%20%FF"),
    ],
)
def test_rules_see_escapes_only_of_what_is_reserved_or_unreadable(path: bytes, seen: bytes) -> None:
    assert routing_path(path) == seen


def test_semicolons_in_a_query_become_ampersands() -> None:
    assert split_target(b"/a;b?bar=toto;boo=titi&x=%3B") == (b"/a;b", b"bar=toto&boo=titi&x=%3B")
    assert split_target(b"/a?;") == (b"/a", b"&")


def test_semicolons_in_a_query_are_escaped_where_they_are_no_separators() -> None:
    assert split_target(b"/a;b?c;d", EscapingLimits()) == (b"/a;b", b"c%3Bd")
    assert asdict(EscapingLimits()) == asdict(Limits())


segments = st.text("ab.%2eEfF5cC;~-", max_size=8)


@given(st.lists(segments, max_size=6).map(lambda parts: ("/" + "/".join(parts)).encode()))
def test_normal_form_is_a_fixed_point(path: bytes) -> None:
    try:
        normal = normal_path(path)
    except RequestError:
        return
    assert normal_path(normal) == normal
    assert normal.startswith(b"/")
    assert not {b"..", b"."} & set(normal.split(b"/"))
    assert b"//" not in normal
