"""Middlewares of connections: who is admitted, how often at a time, and which settings can't be used."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.model import Middleware
from dynbalancer.core.regions import LocalRegions
from dynbalancer.errors import ConfigurationError
from dynbalancer.middlewares.connections import ConnectionMiddleware, connection_middleware

SHARED = LocalRegions()


def made(type_: str, **settings: Any) -> ConnectionMiddleware:
    return connection_middleware(Middleware("m@x", type_, settings), shared=SHARED, secret=b"s")


@pytest.mark.parametrize("type_", ["ipAllowList", "ipWhiteList", "ipallowlist"])
@pytest.mark.parametrize(
    "client, admitted",
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("198.51.100.1", False),
        ("2001:db8::9", True),
        ("", False),
    ],
)
def test_allow_list(type_: str, client: str, *, admitted: bool) -> None:
    middleware = made(type_, sourceRange="192.0.2.0/24, 2001:db8::/32")
    assert middleware.admits(client) is admitted
    middleware.ended(client)
    assert middleware.admits(client) is admitted


def test_connections_at_a_time_are_counted_by_address() -> None:
    middleware = made("inFlightConn", amount="2")
    assert [middleware.admits("a") for _ in range(3)] == [True, True, False]
    assert middleware.admits("b")
    middleware.ended("a")
    assert [middleware.admits("a") for _ in range(2)] == [True, False]
    for client in ("a", "a", "b"):
        middleware.ended(client)
    assert middleware.entered == {}  # type: ignore[attr-defined]
    middleware.ended("a")
    assert middleware.admits("a")


def test_connections_are_counted_over_all_workers() -> None:
    one, other = (made("inFlightConn", amount=2) for _ in range(2))
    assert [middleware.admits("a") for middleware in (one, other, one, other)] == [True, True, False, False]
    one.ended("a")
    assert [other.admits("a"), one.admits("a")] == [True, False]


@pytest.mark.parametrize(
    "type_, settings, why",
    [
        ("ipAllowList", {}, "sourceRange is missing"),
        ("ipAllowList", {"sourceRange": "nonsense"}, "sourceRange"),
        ("ipAllowList", {"sourceRange": "10.0.0.1", "ipStrategy": {}}, "unknown option ipStrategy"),
        ("inFlightConn", {}, "amount is missing"),
        ("inFlightConn", {"amount": "many"}, "amount"),
        ("inFlightCon", {"amount": 1}, "there is no middleware type inFlightCon for TCP"),
        ("stripPrefix", {"prefixes": "/a"}, "there is no middleware type stripPrefix for TCP"),
    ],
)
def test_settings_that_cannot_be_used(type_: str, settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        made(type_, **settings)
    assert why in caught.value.why
