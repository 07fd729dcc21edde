"""Keys of a health check: what their values may be, and what is odd about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from dynbalancer.core import checks
from dynbalancer.core.model import HealthCheck
from dynbalancer.core.schema import Key, WrongValueError


@pytest.mark.parametrize(
    ("reader", "value", "found"),
    [
        (checks.wait, "1m30s", 90.0),
        (checks.wait, 5, 5.0),
        (checks.port, "8080", 8080),
        (checks.port, 0, 0),
        (checks.scheme, "HTTPS", "https"),
        (checks.status, "204", 204),
        (checks.status, 0, 0),
        (checks.method, "head", "HEAD"),
        (checks.host, "a.example", "a.example"),
        (checks.host, "a.example:8080", "a.example:8080"),
        (checks.host, "[fd00::2]", "[fd00::2]"),
        (checks.check_path, "/health?full=1", "/health?full=1"),
        (checks.check_path, "health", "/health"),
        (checks.check_path, "/to?next=http://a.example", "/to?next=http://a.example"),
        (checks.check_mode, "HTTP", "http"),
        (checks.header_fields, {"X-A": " b ", "x-n": 5}, (("X-A", "b"), ("x-n", "5"))),
        (checks.header_fields, {"X-Forwarded-Proto": "https"}, (("X-Forwarded-Proto", "https"),)),
        (checks.header_fields, {"X-Empty": ""}, (("X-Empty", ""),)),
        (checks.payload, " PING\r\n", " PING\r\n"),
    ],
)
def test_good_values_are_taken(reader: Callable[[object], Any], value: object, found: object) -> None:
    assert reader(value) == found


@pytest.mark.parametrize(
    ("reader", "value", "expected"),
    [
        (checks.wait, "0s", "above zero"),
        (checks.wait, "-1s", "a duration"),
        (checks.wait, True, "a duration"),
        (checks.port, 65536, "a port"),
        (checks.port, "http", "a whole number"),
        (checks.scheme, "h2c", "http or https"),
        (checks.status, 199, "200 to 599"),
        (checks.status, "2xx", "a whole number"),
        (checks.method, "GET /", "a method"),
        (checks.method, "CONNECT", "a method"),
        (checks.host, "a.example/x", "a host name"),
        (checks.host, "ä.example", "a host name"),
        (checks.check_path, "http://169.254.169.254/latest", "a path"),
        (checks.check_path, "//evil.example/", "a path"),
        (checks.check_path, "/a b", "a path"),
        (checks.check_path, "/a\r\nX: y", "a path"),
        (checks.check_path, "/ä", "a path"),
        (checks.check_mode, "grpc", "http"),
        (checks.check_mode, "icmp", "http"),
        (checks.header_fields, {"Host": "a"}, "without Host"),
        (checks.header_fields, {"Content-Length": "5"}, "without Content-Length"),
        (checks.header_fields, {"Connection": "close"}, "without Connection"),
        (checks.header_fields, {"X A": "b"}, "names of header fields"),
        (checks.header_fields, {"X-A": "b\r\nX-B: c"}, "no control characters"),
        (checks.header_fields, {"X-A": ["b"]}, "a text for X-A"),
        (checks.header_fields, {"X-A": True}, "a text for X-A"),
        (checks.header_fields, [], "a section"),
        (checks.payload, "", "a text that is not empty"),
        (checks.payload, 5, "a text that is not empty"),
    ],
)
def test_wrong_values_are_refused_with_what_was_expected(
    reader: Callable[[object], Any], value: object, expected: str
) -> None:
    with pytest.raises(WrongValueError) as caught:
        reader(value)
    assert expected in caught.value.expected


def test_checks_by_grpc_are_refused_with_a_reason() -> None:
    with pytest.raises(WrongValueError) as caught:
        checks.check_mode("grpc")
    assert caught.value.hint == "health checks by gRPC are not supported in this version"


@pytest.mark.parametrize("table", [checks.HEALTH_CHECK, checks.TCP_HEALTH_CHECK])
def test_every_key_fits_the_model(table: tuple[Key, ...]) -> None:
    defaults = {attribute.name: attribute.default for attribute in fields(HealthCheck)}
    assert [key.name for key in table if key.attribute not in defaults] == []
    wrong = [key.name for key in table if not key.required and defaults[key.attribute] != key.default]
    assert wrong == []


def test_a_check_of_tcp_is_one_by_connecting() -> None:
    names = "port send expect interval unhealthyInterval timeout"
    assert [key.name for key in checks.TCP_HEALTH_CHECK] == names.split()
    assert checks.tcp_check(port=81, send="PING") == HealthCheck(mode="tcp", port=81, send="PING")


@pytest.mark.parametrize(
    ("check", "given", "severities"),
    [
        (HealthCheck("/"), (), []),
        (HealthCheck("/", interval=5.0), ("interval",), ["info"]),
        (HealthCheck("/", interval=2.0, timeout=2.0), ("timeout",), ["warning"]),
        (HealthCheck("/", interval=2.0, timeout=1.9), ("timeout",), []),
    ],
)
def test_a_timeout_that_is_not_less_than_the_interval_is_odd(
    check: HealthCheck, given: tuple[str, ...], severities: list[str]
) -> None:
    assert [severity for _, _, severity in checks.doubts(check, given)] == severities
