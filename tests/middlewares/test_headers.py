"""The middleware headers: what it sets and removes, and what it refuses when it is loaded."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.exchange import Headers, ResponseHead
from dynbalancer.errors import ConfigurationError
from dynbalancer.middlewares.headers import CustomHeaders
from dynbalancer.testing import MiddlewareContract, exchange


def make(**settings: Any) -> CustomHeaders:
    return CustomHeaders.from_settings("h@file", settings)


class TestCustomHeaders(MiddlewareContract):
    make = CustomHeaders.from_settings
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
    response = ResponseHead(headers=Headers.of((b"Server", b"x"), (b"X-Powered-By", b"y")))
    made = CustomHeaders.from_settings(
        "h@docker", {"customresponseheaders": {"Server": "", "x-powered-by": "tea"}}
    )
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


@pytest.mark.parametrize(
    "settings",
    [{"allowedHosts": ["a.example"]}, {"sslredirect": "true"}, {"sslForceHost": True}],
)
def test_an_option_that_would_restrict_is_refused_rather_than_forgotten(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="understood, but not supported in this version"):
        make(**settings)


def test_an_option_that_is_switched_off_is_no_reason_to_refuse() -> None:
    made = make(sslRedirect="false", allowedHosts=[], frameDeny=False)
    assert made.notices == ()


def test_an_option_of_a_later_version_is_told() -> None:
    made = make(stsSeconds=31536000, frameDeny="true")
    assert made.notices == (
        "option stsSeconds has no effect in this version",
        "option frameDeny has no effect in this version",
    )


def test_a_mistyped_option_is_answered_with_the_right_one() -> None:
    with pytest.raises(ConfigurationError, match=r"did you mean customRequestHeaders\?"):
        make(customRequestHeader={"X-A": "1"})
