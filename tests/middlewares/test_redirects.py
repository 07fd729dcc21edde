"""redirectScheme: where it sends whom, with which code, and whom it lets pass."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.exchange import Response
from dynbalancer.core.targets import normal_host
from dynbalancer.middlewares.redirects import RedirectScheme
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
