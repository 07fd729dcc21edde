"""The middleware headers: what it sets and removes, and what it refuses when it is loaded."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.exchange import Headers as Fields
from dynbalancer.core.exchange import ResponseHead
from dynbalancer.errors import ConfigurationError
from dynbalancer.middlewares.headers import Headers
from dynbalancer.testing import MiddlewareContract, exchange


def make(**settings: Any) -> Headers:
    return Headers.from_settings("h@file", settings)


class TestHeaders(MiddlewareContract):
    make = Headers.from_settings
    good = {"customRequestHeaders": {"X-A": "1"}}
    bad = (
        {"customRequestHeaders": {"X A": "1"}},
        {"customRequestHeaders": {"": "1"}},
        {"customRequestHeaders": {"X-\u00e9": "1"}},
        {"customRequestHeaders": {"X-A": "1\r\nX-B: 2"}},
        {"customRequestHeaders": {"X-A": "1\x00"}},
        {"customResponseHeaders": {"X-A\n": "1"}},
        {"customRequestHeaders": {"Host": "a b"}},
        {"customRequestHeaders": {"Content-Length": "0"}},
        {"customResponseHeaders": {"transfer_encoding": "chunked"}},
        {"customRequestHeaders": "X-A:1"},
        {"customRequestHeader": {"X-A": "1"}},
    )


def test_request_fields_are_set_replaced_and_removed() -> None:
    a = exchange(headers={b"x-user": b"evil", b"X_User": b"evil", b"X-Debug": b"1", b"Accept": b"*/*"})
    make(customRequestHeaders={"X-User": "ann", "X-Debug": "", "X-New": "caf\u00e9"}).on_request(a)
    assert list(a.head.headers) == [
        (b"Accept", b"*/*"),
        (b"X-User", b"ann"),
        (b"X-New", b"caf\xc3\xa9"),
    ]
    assert a.head.authority == b"a.example"


def test_response_fields_are_set_replaced_and_removed() -> None:
    response = ResponseHead(headers=Fields.of((b"Server", b"x"), (b"X-Powered-By", b"y")))
    made = Headers.from_settings("h@docker", {"customresponseheaders": {"Server": "", "x-powered-by": "tea"}})
    made.on_response(exchange(), response)
    assert list(response.headers) == [(b"x-powered-by", b"tea")]


@pytest.mark.parametrize("name", ["Host", "host", "HOST"])
def test_host_rewrites_the_authority_and_nothing_else(name: str) -> None:
    a = exchange(host=b"a.example")
    make(customRequestHeaders={name: "b.example:8080"}).on_request(a)
    assert (a.head.authority, a.head.host) == (b"b.example:8080", b"a.example")
    assert len(a.head.headers) == 0


def test_an_empty_host_changes_nothing() -> None:
    a = exchange(host=b"a.example")
    make(customRequestHeaders={"Host": ""}).on_request(a)
    assert a.head.authority == b"a.example"


def test_fields_of_one_connection_are_left_out() -> None:
    a = exchange()
    make(customRequestHeaders={"Connection": "Upgrade", "upgrade": "websocket", "X-A": "1"}).on_request(a)
    assert list(a.head.headers) == [(b"X-A", b"1")]


def test_options_that_are_switched_off_do_nothing() -> None:
    made = make(
        sslRedirect="false", allowedHosts=[], frameDeny=False, contentSecurityPolicy="", addVaryHeader=""
    )
    assert (made.cors, made.security, made.notices) == (None, None, ())
    assert made.on_request(exchange(host=b"other.example")) is None


def test_what_is_set_by_hand_goes_before_what_an_option_sets() -> None:
    response = ResponseHead()
    made = make(
        frameDeny=True,
        contentTypeNosniff="true",
        customResponseHeaders={"X-Frame-Options": "SAMEORIGIN", "X-Content-Type-Options": ""},
    )
    made.on_response(exchange(), response)
    assert list(response.headers) == [(b"X-Frame-Options", b"SAMEORIGIN")]


def test_host_set_by_hand_is_the_one_that_is_checked() -> None:
    """As in Traefik, where the field is set before the host is looked at."""
    made = make(customRequestHeaders={"Host": "inside.example"}, allowedHosts="a.example")
    found = made.on_request(exchange())
    assert found is not None
    assert found.status == 500


def test_forwarded_for_can_be_kept_from_the_server() -> None:
    a = exchange(headers={b"X-Forwarded-For": b"198.51.100.7, 192.0.2.1"})
    make(customRequestHeaders={"X-Forwarded-For": ""}).on_request(a)
    assert len(a.head.headers) == 0


def test_preflight_is_answered_before_anything_else_and_as_it_is() -> None:
    made = make(
        accessControlAllowMethods="GET",
        customResponseHeaders={"X-A": "1"},
        allowedHosts="other.example",
        frameDeny=True,
    )
    asked = {b"Origin": b"https://b.example", b"Access-Control-Request-Method": b"GET"}
    a = exchange(b"OPTIONS", headers=asked)
    found = made.on_request(a)
    assert found is not None
    made.on_response(a, response := ResponseHead(found.status, headers=found.headers.copy()))
    assert (found.status, response.headers) == (200, found.headers)
    # Another middleware of the type does what it does to every response.
    make(frameDeny=True).on_response(a, response)
    assert response.headers.get(b"x-frame-options") == b"DENY"


def test_a_mistyped_option_is_answered_with_the_right_one() -> None:
    with pytest.raises(ConfigurationError, match=r"did you mean customRequestHeaders\?"):
        make(customRequestHeader={"X-A": "1"})
