"""Every field that Traefik's access log has is known here, or known to be unknown."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dynbalancer.core.accessfields import NAMES, UNKNOWN, Remembered, instant, target, values
from dynbalancer.core.exchange import Exchange
from dynbalancer.testing import exchange

#: Of Traefik 3, and of Traefik 1.
TRAEFIK3 = [
    "StartUTC",
    "StartLocal",
    "Duration",
    "RouterName",
    "ServiceName",
    "ServiceURL",
    "ServiceAddr",
    "ClientAddr",
    "ClientHost",
    "ClientPort",
    "ClientUsername",
    "RequestAddr",
    "RequestHost",
    "RequestPort",
    "RequestMethod",
    "RequestPath",
    "RequestProtocol",
    "RequestScheme",
    "RequestContentSize",
    "OriginDuration",
    "OriginContentSize",
    "OriginStatus",
    "DownstreamStatus",
    "DownstreamContentSize",
    "RequestCount",
    "GzipRatio",
    "Overhead",
    "RetryAttempts",
    "TLSVersion",
    "TLSCipher",
    "TLSClientSubject",
    "entryPointName",
    "TraceId",
    "SpanId",
]
TRAEFIK1 = [
    "FrontendName",
    "BackendName",
    "BackendURL",
    "BackendAddr",
    "RequestLine",
    "OriginStatusLine",
    "DownstreamStatusLine",
]


def known(encryption: tuple[str, str] | None = None) -> dict[str, Any]:
    """All values by name."""
    return dict(values(lambda seconds: 3600, lambda exchange: encryption))


def value(name: str, one: Exchange, **more: Any) -> object:
    """One of them, of an exchange that ended a second after the Unix time began, as the seventh."""
    return known(**more)[name](one, 1.0, 7)


@pytest.mark.parametrize("name", TRAEFIK3 + TRAEFIK1)
def test_traefiks_names_are_understood_in_any_case(name: str) -> None:
    ours = NAMES[name.lower()]
    assert ours in known() or ours == "RequestPath" or ours in UNKNOWN


def test_names_of_settings_and_of_values_are_the_same() -> None:
    assert set(NAMES.values()) == {*known(), *UNKNOWN, "RequestPath"}


@pytest.mark.parametrize(
    "name, about, expected",
    [
        ("ClientAddr", {}, "192.0.2.1:40000"),
        ("ClientAddr", {"client": "2001:db8::1"}, "[2001:db8::1]:40000"),
        ("ClientUsername", {}, "-"),
        ("ClientUsername", {"user": b"ann"}, b"ann"),
        ("RequestPort", {}, "-"),
        ("RouterName", {}, None),
        ("ServiceName", {}, None),
        ("ServiceURL", {}, None),
        ("ServiceAddr", {}, None),
        ("ServiceAddr", {"server": SimpleNamespace(server=SimpleNamespace(url="https://b:1/x"))}, "b:1"),
        ("OriginStatus", {}, None),
        ("OriginContentSize", {}, None),
        ("OriginDuration", {}, None),
        ("OriginDuration", {"forwarded": 10.25}, 250_000_000),
        ("Overhead", {}, 500_000_000),
        ("Overhead", {"forwarded": 10.25}, 250_000_000),
        ("RetryAttempts", {"tries": 0}, 0),
        ("RetryAttempts", {"tries": 3}, 2),
        ("Outcome", {"outcome": "done"}, None),
        ("Outcome", {"outcome": "client-gone"}, "client-gone"),
        ("StartUTC", {}, "1970-01-01T00:00:00.500000Z"),
        ("StartLocal", {}, "1970-01-01T01:00:00.500000+01:00"),
        ("RequestCount", {}, 7),
    ],
)
def test_values(name: str, about: dict[str, Any], expected: object) -> None:
    one = exchange()
    one.started, one.finished = 10.0, 10.5
    for attribute, found in about.items():
        setattr(one, attribute, found)
    assert value(name, one) == expected


@pytest.mark.parametrize("version, expected", [(10, "HTTP/1.0"), (11, "HTTP/1.1"), (20, "HTTP/2.0")])
def test_protocols(version: int, expected: str) -> None:
    one = exchange()
    one.head.version = version
    assert value("RequestProtocol", one) == expected


def test_encryption_is_known_where_there_is_any() -> None:
    found = ("1.3", "TLS_AES_128_GCM_SHA256")
    assert [value(name, exchange(), encryption=found) for name in ("TLSVersion", "TLSCipher")] == list(found)
    assert [value(name, exchange()) for name in ("TLSVersion", "TLSCipher")] == [None, None]


def test_target_is_the_one_that_was_asked_for() -> None:
    one = exchange(path=b"/b", query=b"x")
    assert target(one) == (b"/b", b"x")
    one.asked = (b"/a", None)
    assert target(one) == (b"/a", None)


def test_seconds_are_remembered_within_bounds() -> None:
    times = Remembered(lambda seconds: 0)
    found = [times[second] for second in range(2 * Remembered.MOST)]
    assert found == [instant(second) for second in range(2 * Remembered.MOST)]
    assert len(times) <= Remembered.MOST
