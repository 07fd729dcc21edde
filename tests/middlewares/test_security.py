"""Which hosts are answered, over what, and what browsers are told."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.exchange import Exchange, Headers, Response, ResponseHead
from dynbalancer.errors import ConfigurationError
from dynbalancer.middlewares.base import SettingsReader
from dynbalancer.middlewares.security import SECURITY, Security
from dynbalancer.testing import exchange

PROXIED = {"X-Forwarded-Proto": "https"}


def security(**settings: Any) -> Security:
    made = Security.read(SettingsReader("h@file", settings, SECURITY))
    assert made is not None
    return made


def asking(host: bytes, headers: dict[bytes, bytes] | None = None, scheme: bytes = b"http") -> Exchange:
    a = exchange(path=b"/p", query=b"q=1", host=b"routed.example", headers=headers, scheme=scheme)
    a.head.authority = host
    return a


def leads_to(found: Response | None) -> tuple[int, bytes | None] | None:
    return None if found is None else (found.status, found.headers.get(b"location"))


@pytest.mark.parametrize(
    ("settings", "host", "headers", "status"),
    [
        ({}, b"a.example", {}, None),
        ({}, b"A.EXAMPLE.", {}, None),
        ({}, b"b.example:8080", {}, None),
        ({}, b"b.example", {}, 500),
        ({}, b"a.example:8080", {}, 500),
        ({}, b"a.example.evil.example", {}, 500),
        ({}, b"", {}, 500),
        ({}, b"evil.example", {b"X-Forwarded-Host": b"a.example"}, 500),
        (
            {"hostsProxyHeaders": "X-Forwarded-Host"},
            b"evil.example",
            {b"x-forwarded-host": b"a.example"},
            None,
        ),
        (
            {"hostsProxyHeaders": "X-Forwarded-Host"},
            b"a.example",
            {b"X-Forwarded-Host": b"evil.example"},
            500,
        ),
        (
            {"hostsProxyHeaders": "X-Forwarded-Host"},
            b"a.example",
            {b"X-Forwarded-Host": b"a.example, b"},
            500,
        ),
        ({"hostsProxyHeaders": ["X-A", "X-B"]}, b"evil.example", {b"X-A": b"", b"X-B": b"a.example"}, None),
        ({"isDevelopment": "true"}, b"evil.example", {}, None),
    ],
)
def test_other_hosts_are_refused(
    settings: dict[str, Any], host: bytes, headers: dict[bytes, bytes], status: int | None
) -> None:
    made = security(allowedHosts=["a.example", "B.example:8080"], **settings)
    found = made.check(asking(host, headers))
    assert (None if found is None else found.status) == status
    if found is not None:
        assert found.body == b"Bad Host\n"


@pytest.mark.parametrize(
    ("settings", "host", "scheme", "headers", "expected"),
    [
        ({"sslRedirect": True}, b"a.example", b"http", {}, (301, b"https://a.example/p?q=1")),
        ({"sslRedirect": True}, b"A.example:80", b"http", {}, (301, b"https://a.example/p?q=1")),
        ({"sslRedirect": True}, b"a.example", b"https", {}, None),
        (
            {"sslRedirect": True, "sslTemporaryRedirect": "true"},
            b"a.example",
            b"http",
            {},
            (307, b"https://a.example/p?q=1"),
        ),
        (
            {"sslRedirect": True, "sslHost": "S.example:8443"},
            b"a.example",
            b"http",
            {},
            (301, b"https://s.example:8443/p?q=1"),
        ),
        (
            {"sslRedirect": True, "sslProxyHeaders": PROXIED},
            b"a.example",
            b"http",
            {b"X-Forwarded-Proto": b"https"},
            None,
        ),
        (
            {"sslRedirect": True, "sslProxyHeaders": PROXIED},
            b"a.example",
            b"http",
            {b"X-Forwarded-Proto": b"http"},
            (301, b"https://a.example/p?q=1"),
        ),
        (
            {"sslRedirect": True, "hostsProxyHeaders": "X-Host"},
            b"a.example",
            b"http",
            {b"X-Host": b"b.example"},
            (301, b"https://b.example/p?q=1"),
        ),
        (
            {"sslRedirect": True, "hostsProxyHeaders": "X-Host"},
            b"a.example",
            b"http",
            {b"X-Host": b"b/x"},
            (400, None),
        ),
        ({"sslRedirect": True}, b"", b"http", {}, (400, None)),
        ({"sslRedirect": True, "isDevelopment": True}, b"a.example", b"http", {}, None),
        (
            {"sslForceHost": True, "sslHost": "s.example"},
            b"a.example",
            b"https",
            {},
            (301, b"https://s.example/p?q=1"),
        ),
        (
            {"sslForceHost": True, "sslHost": "s.example"},
            b"a.example",
            b"http",
            {},
            (301, b"https://s.example/p?q=1"),
        ),
        ({"sslForceHost": True, "sslHost": "s.example"}, b"S.EXAMPLE", b"https", {}, None),
        ({"sslForceHost": True}, b"a.example", b"https", {}, None),
        ({"sslHost": "s.example"}, b"a.example", b"http", {}, None),
        ({"sslTemporaryRedirect": True}, b"a.example", b"http", {}, None),
    ],
)
def test_requests_are_sent_to_tls_and_to_the_host_for_it(
    settings: dict[str, Any],
    host: bytes,
    scheme: bytes,
    headers: dict[bytes, bytes],
    expected: tuple[int, bytes | None] | None,
) -> None:
    assert leads_to(security(**settings).check(asking(host, headers, scheme))) == expected


STS = {"stsSeconds": 315360000}


@pytest.mark.parametrize(
    ("settings", "plain", "over_tls"),
    [
        (STS, {}, {b"Strict-Transport-Security": b"max-age=315360000"}),
        (
            {**STS, "stsIncludeSubdomains": True, "stsPreload": "true"},
            {},
            {b"Strict-Transport-Security": b"max-age=315360000; includeSubDomains; preload"},
        ),
        ({"stsSeconds": "10", "stsPreload": True, "isDevelopment": True}, {}, {}),
        ({"stsPreload": True, "stsSeconds": 0}, {}, {}),
        ({"publicKey": "pin"}, {}, {b"Public-Key-Pins": b"pin"}),
        ({"publicKey": "pin", "isDevelopment": True, "frameDeny": True}, {b"X-Frame-Options": b"DENY"}, None),
        (
            {"stsSeconds": 10, "forceSTSHeader": True},
            {b"Strict-Transport-Security": b"max-age=10"},
            None,
        ),
        ({"frameDeny": True}, {b"X-Frame-Options": b"DENY"}, None),
        (
            {"customFrameOptionsValue": "SAMEORIGIN", "frameDeny": True},
            {b"X-Frame-Options": b"SAMEORIGIN"},
            None,
        ),
        ({"contentTypeNosniff": "true"}, {b"X-Content-Type-Options": b"nosniff"}, None),
        ({"browserXssFilter": True}, {b"X-XSS-Protection": b"1; mode=block"}, None),
        ({"customBrowserXSSValue": "0"}, {b"X-XSS-Protection": b"0"}, None),
        (
            {
                "contentSecurityPolicy": "default-src 'self'",
                "contentSecurityPolicyReportOnly": "default-src 'none'",
                "referrerPolicy": "same-origin",
                "featurePolicy": "vibrate 'none'",
                "permissionsPolicy": "microphone=()",
            },
            {
                b"Content-Security-Policy": b"default-src 'self'",
                b"Content-Security-Policy-Report-Only": b"default-src 'none'",
                b"Referrer-Policy": b"same-origin",
                b"Feature-Policy": b"vibrate 'none'",
                b"Permissions-Policy": b"microphone=()",
            },
            None,
        ),
    ],
)
def test_browsers_are_told(
    settings: dict[str, Any], plain: dict[bytes, bytes], over_tls: dict[bytes, bytes] | None
) -> None:
    made = security(**settings)
    for scheme, expected in ((b"http", plain), (b"https", plain if over_tls is None else over_tls)):
        response = ResponseHead()
        made.mark(asking(b"a.example", scheme=scheme), response)
        assert dict(response.headers) == expected


def test_tls_of_another_proxy_counts_and_what_the_server_said_is_replaced() -> None:
    made = security(**STS, sslProxyHeaders=PROXIED)
    response = ResponseHead(headers=Headers.of((b"strict-transport-security", b"max-age=0")))
    made.mark(asking(b"a.example", {b"X-Forwarded-Proto": b"https"}), response)
    assert list(response.headers) == [(b"Strict-Transport-Security", b"max-age=315360000")]


@pytest.mark.parametrize(
    ("scheme", "location", "expected"),
    [
        (b"https", b"http://s.example/x", b"https://s.example/x"),
        (b"https", b"http://s.example", b"https://s.example"),
        (b"https", b"http://s.example.evil/x", b"http://s.example.evil/x"),
        (b"https", b"http://a.example/x", b"http://a.example/x"),
        (b"https", b"/x", b"/x"),
        (b"http", b"http://s.example/x", b"http://s.example/x"),
    ],
)
def test_redirects_of_the_server_stay_on_tls(scheme: bytes, location: bytes, expected: bytes) -> None:
    response = ResponseHead(302, headers=Headers.of((b"Location", location)))
    security(sslHost="s.example").mark(asking(b"s.example", scheme=scheme), response)
    assert response.headers.all(b"location") == [expected]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"allowedHosts": ["a b"]}, "allowedHosts: expected a host, got 'a b'"),
        ({"allowedHosts": "https://a.example"}, "allowedHosts: expected a host"),
        ({"sslHost": "a.example/x"}, "sslHost: expected a host"),
        ({"sslHost": "a\r\nb"}, "sslHost: expected a host"),
        ({"hostsProxyHeaders": "X A"}, "hostsProxyHeaders: 'X A' is not a name"),
        ({"sslProxyHeaders": "X-A:b"}, "sslProxyHeaders: expected a section"),
        ({"stsSeconds": -1}, "stsSeconds: expected a number from 0"),
        ({"stsSeconds": "1y"}, "stsSeconds: expected a whole number"),
        ({"contentSecurityPolicy": "a\r\nSet-Cookie: b"}, "contentSecurityPolicy: a value must not hold CR"),
        ({"customFrameOptionsValue": "a\x00"}, "customFrameOptionsValue: a value must not hold CR"),
        ({"sslRedirect": "yes"}, "sslRedirect: expected true or false"),
    ],
)
def test_what_can_not_be_used_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        security(**settings)
