"""Redirects: where they send whom, with which code, whom they let pass, and that no client chooses where to."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.exchange import Response
from dynbalancer.core.model import EntryPoint
from dynbalancer.core.targets import normal_host, split_target
from dynbalancer.errors import ConfigurationError, RequestError
from dynbalancer.middlewares.redirects import (
    RedirectEntryPoint,
    RedirectRegex,
    RedirectScheme,
    RedirectTrailingSlash,
)
from dynbalancer.testing import MiddlewareContract, exchange


def answer(settings: dict[str, Any], authority: bytes = b"a.example", **request: Any) -> Response | None:
    host, port = normal_host(authority) if authority else (b"", None)
    a = exchange(host=host, **request)
    a.head.authority, a.head.port = authority, port
    return RedirectScheme.from_settings("https@file", settings).on_request(a)


class TestRedirectScheme(MiddlewareContract):
    make = RedirectScheme.from_settings
    good = {"scheme": "https", "port": 8443, "permanent": "true"}
    bad = (
        {},
        {"scheme": "htps"},
        {"scheme": "https", "port": 0},
        {"scheme": "https", "port": "x"},
        {"scheme": "https", "port": "٣"},
        {"scheme": "https", "port": 65536},
        {"scheme": "https", "permanent": "yes"},
        {"scheme": "https", "code": 301},
    )


@pytest.mark.parametrize(
    ("settings", "authority", "location"),
    [
        ({"scheme": "https"}, b"a.example", b"https://a.example/p?q=1"),
        ({"scheme": "HTTPS"}, b"A.Example.", b"https://a.example/p?q=1"),
        ({"scheme": "https"}, b"a.example:8080", b"https://a.example/p?q=1"),
        ({"scheme": "https", "port": "443"}, b"a.example:80", b"https://a.example/p?q=1"),
        ({"scheme": "https", "port": "8443"}, b"a.example", b"https://a.example:8443/p?q=1"),
        ({"scheme": "http", "port": "8080"}, b"a.example", b"http://a.example:8080/p?q=1"),
        ({"scheme": "https"}, b"[2001:db8::1]:80", b"https://[2001:db8::1]/p?q=1"),
    ],
)
def test_other_scheme_or_port_is_redirected(
    settings: dict[str, Any], authority: bytes, location: bytes
) -> None:
    found = answer(settings, authority, path=b"/p", query=b"q=1")
    assert found is not None
    assert found.headers.get(b"location") == location


@pytest.mark.parametrize(
    ("settings", "authority", "scheme"),
    [
        ({"scheme": "https"}, b"a.example", b"https"),
        ({"scheme": "https"}, b"a.example:8443", b"https"),
        ({"scheme": "https", "port": 443}, b"a.example", b"https"),
        ({"scheme": "https", "port": 8443}, b"a.example:8443", b"https"),
        ({"scheme": "http", "port": 80}, b"a.example", b"http"),
    ],
)
def test_what_is_right_already_goes_on(settings: dict[str, Any], authority: bytes, scheme: bytes) -> None:
    assert answer(settings, authority, scheme=scheme) is None


@pytest.mark.parametrize(
    ("method", "permanent", "status"),
    [
        (b"GET", False, 302),
        (b"GET", True, 301),
        (b"HEAD", False, 307),
        (b"POST", False, 307),
        (b"POST", True, 308),
    ],
)
def test_code_keeps_the_method_of_all_but_get(method: bytes, permanent: bool, status: int) -> None:
    found = answer({"scheme": "https", "permanent": permanent}, method=method)
    assert found is not None
    assert found.status == status


@pytest.mark.parametrize(
    ("trusted", "said", "redirected"),
    [
        (True, b"https", False),
        (True, b"WSS", False),
        (True, b"http", True),
        (True, b"gopher", True),
        (False, b"https", True),
    ],
)
def test_a_trusted_peer_may_say_which_scheme_the_client_used(
    trusted: bool, said: bytes, redirected: bool
) -> None:
    found = answer({"scheme": "https"}, headers={b"X-Forwarded-Proto": said}, trusted=trusted)
    assert (found is not None) is redirected


def test_following_the_redirect_ends_it() -> None:
    settings = {"scheme": "https", "port": "8443"}
    found = answer(settings, b"a.example:8080")
    assert found is not None
    location = found.headers.get(b"location") or b""
    authority = location.removeprefix(b"https://").partition(b"/")[0]
    assert answer(settings, authority, scheme=b"https") is None


def test_a_request_without_a_host_can_not_be_redirected() -> None:
    found = answer({"scheme": "https"}, b"")
    assert found is not None
    assert found.status == 400
    assert b"location" not in found.headers


@pytest.mark.parametrize("path", [b"//evil.example/x", b"/%0d%0aX:y", b"/\\evil.example"])
def test_location_stays_on_the_host_whatever_the_path(path: bytes) -> None:
    found = answer({"scheme": "https"}, path=path)
    assert found is not None
    assert found.headers.get(b"location") == b"https://a.example" + path


def rewritten(
    regex: str, replacement: str, path: bytes = b"/", authority: bytes = b"a.example", **request: Any
) -> Response | None:
    """What redirectRegex answers to a request."""
    a = exchange(path=path, **request)
    a.head.authority = authority
    a.head.host, a.head.port = normal_host(authority)
    settings = {"regex": regex, "replacement": replacement}
    return RedirectRegex.from_settings("r@file", settings).on_request(a)


def location(answer: Response | None) -> bytes | None:
    """Where an answer leads; None where there is none."""
    return None if answer is None else answer.headers.get(b"location")


class TestRedirectRegex(MiddlewareContract):
    make = RedirectRegex.from_settings
    good = {"regex": "^http://a.example/(.*)", "replacement": "https://b.example/$1", "permanent": "true"}
    bad = (
        {},
        {"regex": "^/a"},
        {"replacement": "/b"},
        {"regex": "(", "replacement": "/b"},
        {"regex": "^/a", "replacement": "/b\r\nSet-Cookie: a=b"},
        {"regex": "^/a", "replacement": "/b\x00"},
        {"regex": "^/a", "replacement": "/b", "permanent": "maybe"},
    )


@pytest.mark.parametrize(
    ("regex", "replacement", "authority", "target", "expected"),
    [
        (
            "^http://a.example/(.*)",
            "https://b.example/${1}",
            b"a.example",
            b"/x?q=1",
            b"https://b.example/x?q=1",
        ),
        (
            "^https?://a.example/(.*)",
            "http://a.example:8080/$1",
            b"A.EXAMPLE",
            b"/x",
            b"http://a.example:8080/x",
        ),
        ("^http://a.example:80/(.*)", "/b/$1", b"a.example:80", b"/x", b"/b/x"),
        ("^http://a.example/x$", "https://b.example/", b"a.example:80", b"/x", None),
        (r"^https?://(?:www\.)?(.+)", "https://www.${1}", b"a.example", b"/x", b"https://www.a.example/x"),
        ("^http://([^/]+)/(.*)", "https://$1:8443/$2", b"a.example", b"/x", b"https://a.example:8443/x"),
        ("^http://(.*)", "https://$1", b"[2001:db8::1]", b"/x", b"https://[2001:db8::1]/x"),
        (
            "^http://a.example/u/([^/]+)/(.*)",
            "https://$1.b.example/$2",
            b"a.example",
            b"/u/ann/x",
            b"https://ann.b.example/x",
        ),
        ("/old", "/new", b"a.example", b"/old/old", b"http://a.example/new/new"),
        ("old", "new stuff \u00e9", b"a.example", b"/old", b"http://a.example/new%20stuff%20%C3%A9"),
        ("b.example", "c.example", b"a.example", b"/x", None),
        ("a.example", "a.example", b"a.example", b"/x", None),
        ("^http://a.example/(.*)", "http://a.example/$1", b"a.example", b"/x", None),
    ],
)
def test_url_is_rewritten_or_goes_on(
    regex: str, replacement: str, authority: bytes, target: bytes, expected: bytes | None
) -> None:
    path, mark, query = target.partition(b"?")
    found = rewritten(regex, replacement, path, authority, query=query if mark else None)
    assert location(found) == expected


@pytest.mark.parametrize(
    ("regex", "replacement", "target"),
    [
        ("^http://a.example/x(.*)", "https://b.example$1", b"/x.evil.example/"),
        ("^http://a.example/x(.*)", "https://b.example$1", b"/x@evil.example/"),
        ("^http://a.example/x(.*)", "https://b.example$1", b"/x:80@evil.example/"),
        ("^http://a.example/x(.*)", "https://b.co$1", b"/xmunity/"),
        ("^http://a.example/x(.*)", "//$1", b"/xevil.example"),
        ("^http://a.example/x(.*)", "/$1", b"/x/evil.example"),
        ("^http://a.example/x(.*)", "$1", b"/x//evil.example"),
        (r".*\?u=(.*)", "$1", b"/?u=https://evil.example/"),
        (r".*\?u=(.*)", "/$1", b"/?u=/evil.example/"),
        (r".*\?u=(.*)", "/$1", b"/?u=\\evil.example/"),
        (r".*\?u=(.*)", "$1", b"/?u=javascript:alert(1)"),
        (r".*\?u=(.*)", "$1", b"/?u=https:evil.example"),
        (r".*\?u=(.*)", "https:$1", b"/?u=evil.example"),
        (r".*\?u=(.*)", "https:///$1", b"/?u=evil.example"),
        (r".*\?s=(.*)", "$1://b.example/", b"/?s=ftp"),
        ("^http://a.example/(.*)", "https://b.example:$1/", b"/81"),
        ("^http://a.example/(.*)", "https://$1.b.example/", b"/evil.example%2F"),
        ("a", "b", b"/" + b"a" * 200),
    ],
)
def test_client_does_not_choose_the_host_it_is_sent_to(regex: str, replacement: str, target: bytes) -> None:
    path, mark, query = target.partition(b"?")
    found = rewritten(regex, replacement, path, query=query if mark else None)
    assert found is not None
    assert (found.status, location(found)) == (400, None)


@given(
    st.text("/\\@:.%?#a-", max_size=10),
    st.sampled_from(
        ["https://b.example$1", "https://b.example/$1", "/$1", "$1", "//$1.b.example/", "https:$1"]
    ),
)
def test_host_of_a_location_is_one_the_replacement_names(rest: str, replacement: str) -> None:
    try:
        path, query = split_target(b"/x" + rest.encode())
    except RequestError:
        path, query = b"/x/", None
    found = location(rewritten("^http://a.example/x(.*)", replacement, path, query=query))
    if found is not None:
        # As a browser resolves it: slashes of both kinds, as many as it likes.
        target = re.sub(rb"^(https?:)/*", rb"\1//", found.replace(b"\\", b"/"))
        host = urlsplit(urljoin(b"http://a.example/", re.sub(rb"^/{2,}", b"//", target))).hostname or b""
        assert host in (b"", b"a.example", b"b.example") or host.endswith(b".b.example")


@pytest.mark.parametrize(
    ("method", "permanent", "status"),
    [(b"GET", False, 302), (b"GET", True, 301), (b"POST", False, 307), (b"POST", True, 308)],
)
def test_code_of_a_rewritten_url_keeps_the_method(method: bytes, permanent: bool, status: int) -> None:
    settings = {"regex": "a.example", "replacement": "b.example", "permanent": permanent}
    found = RedirectRegex.from_settings("r@file", settings).on_request(exchange(method))
    assert found is not None
    assert (found.status, location(found)) == (status, b"http://b.example/")


@pytest.mark.parametrize(("trusted", "expected"), [(True, None), (False, b"https://a.example/")])
def test_scheme_that_a_trusted_peer_told_is_that_of_the_url(trusted: bool, expected: bytes | None) -> None:
    headers = {b"X-Forwarded-Proto": b"https"}
    found = rewritten("^http:", "https:", headers=headers, trusted=trusted)
    assert location(found) == expected


def test_reference_to_no_group_is_told() -> None:
    made = RedirectRegex.from_settings("r@file", {"regex": "^(.*)$", "replacement": "$1x"})
    assert made.notices == ("$1x in the replacement is no group of the pattern",)


POINTS = {
    point.name: point
    for point in (
        EntryPoint("web", 80),
        EntryPoint("websecure", 443, tls=True),
        EntryPoint("own", 8443, tls=True),
        EntryPoint("plain", 8080),
        EntryPoint("each", 443),
    )
}


def to_entry_point(name: str, settings: dict[str, Any]) -> RedirectEntryPoint:
    return RedirectEntryPoint.from_settings(name, settings, entry_points=POINTS)


class TestRedirectEntryPoint(MiddlewareContract):
    make = staticmethod(to_entry_point)
    good = {"entryPoint": "websecure", "permanent": "true"}
    bad = (
        {},
        {"entryPoint": "webs"},
        {"entryPoint": "web", "permanent": "yes"},
        {"entryPoint": "web", "port": 1},
    )


def sent(
    target: str,
    authority: bytes = b"a.example",
    *,
    came_in: str = "web",
    permanent: bool = False,
    **request: Any,
) -> Response | None:
    host, port = normal_host(authority) if authority else (b"", None)
    a = exchange(host=host, **request)
    a.entry_point = POINTS[came_in]
    a.head.authority, a.head.port = authority, port
    return to_entry_point("to@docker", {"entryPoint": target, "permanent": permanent}).on_request(a)


@pytest.mark.parametrize(
    ("target", "location"),
    [
        # Traefik v1 writes the port whatever it is.
        ("websecure", b"https://a.example:443/p?q=1"),
        ("https", b"https://a.example:443/p?q=1"),
        ("own", b"https://a.example:8443/p?q=1"),
        ("plain", b"http://a.example:8080/p?q=1"),
        ("each", b"https://a.example:443/p?q=1"),
    ],
)
@pytest.mark.parametrize("authority", [b"a.example", b"A.example:8000"])
def test_redirect_to_an_entry_point_has_its_scheme_and_port(
    target: str, location: bytes, authority: bytes
) -> None:
    found = sent(target, authority, path=b"/p", query=b"q=1")
    assert found is not None
    assert (found.status, found.headers.get(b"location")) == (302, location)


@pytest.mark.parametrize(
    ("method", "permanent", "status"),
    [(b"GET", False, 302), (b"POST", False, 307), (b"GET", True, 301), (b"HEAD", True, 308)],
)
def test_redirect_to_an_entry_point_has_the_code_of_its_method(
    method: bytes, permanent: bool, status: int
) -> None:
    found = sent("websecure", method=method, permanent=permanent)
    assert found is not None
    assert found.status == status


def test_what_came_in_at_the_target_goes_on() -> None:
    assert sent("own", b"a.example", came_in="own") is None
    assert sent("https", b"a.example:9", came_in="websecure") is None


def test_url_that_is_the_target_already_goes_on() -> None:
    assert sent("plain", b"a.example:8080") is None


def test_redirect_to_an_entry_point_needs_a_host() -> None:
    found = sent("websecure", b"")
    assert found is not None
    assert found.status == 400


def test_unknown_entry_point_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError) as caught:
        to_entry_point("to@docker", {"entryPoint": "websecur"})
    assert "there is no entry point websecur" in caught.value.why
    assert caught.value.hint == "did you mean websecure?"


class TestRedirectTrailingSlash(MiddlewareContract):
    make = RedirectTrailingSlash.from_settings
    good = {"paths": ("/x", "/users/{id:[0-9]+}/"), "keep": "false"}
    bad = ({}, {"paths": "/x{"}, {"paths": ()}, {"paths": "/x", "keep": "maybe"}, {"path": "/x"})


def slashed(path: bytes, *paths: str, keep: bool = False, **request: Any) -> Response | None:
    middleware = RedirectTrailingSlash.from_settings("m@docker", {"paths": paths, "keep": keep})
    return middleware.on_request(exchange(path=path, **request))


@pytest.mark.parametrize(
    ("paths", "path", "location"),
    [
        (("/x",), b"/x/", b"/x"),
        (("/x/",), b"/x", b"/x/"),
        (("/a", "/b/"), b"/b", b"/b/"),
        (("/users/{id:[0-9]+}",), b"/users/7/", b"/users/7"),
        (("/users/{id}/",), b"/users/7", b"/users/7/"),
        (("/a/", "/a"), b"/a", b"/a/"),
    ],
)
def test_one_slash_too_many_or_too_few_leads_to_the_right_path(
    paths: tuple[str, ...], path: bytes, location: bytes
) -> None:
    for method in (b"GET", b"POST"):
        found = slashed(path, *paths, method=method, query=b"q=1")
        assert found is not None
        assert (found.status, found.headers.get(b"location")) == (301, location + b"?q=1")


@pytest.mark.parametrize(
    ("paths", "path"),
    [
        (("/x",), b"/x"),
        (("/x/",), b"/x/"),
        (("/",), b"/"),
        (("/{all:.*}",), b"/"),
        (("/users/{id}",), b"/users/7"),
        (("/x",), b"/other/"),
    ],
)
def test_right_paths_go_on(paths: tuple[str, ...], path: bytes) -> None:
    assert slashed(path, *paths) is None


def test_paths_that_are_kept_are_not_found() -> None:
    found = slashed(b"/x/", "/x", keep=True)
    assert found is not None
    assert (found.status, found.body) == (404, b"404 page not found\n")
    assert slashed(b"/x", "/x", keep=True) is None


def test_no_path_leads_to_another_host() -> None:
    found = slashed(b"//evil.example/", "/{all:.*}")
    assert found is not None
    assert (found.status, found.headers.get(b"location")) == (400, None)
