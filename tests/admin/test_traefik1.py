"""Traefik v1's shapes."""

from __future__ import annotations

import hashlib

import pytest

from dynbalancer.admin import traefik1
from dynbalancer.admin.secrets import HIDDEN
from dynbalancer.core.model import Configuration, HealthCheck, Server, Service, Sticky
from tests.admin.fakes import POINTS, FakeRouter, FakeStatistics

DIGEST = hashlib.md5(b"http://10.0.0.1:80").hexdigest()


def whole() -> dict[str, dict[str, object]]:
    """Everything of the fake router."""
    return traefik1.providers(FakeRouter().providers, POINTS)


def test_a_backend_lists_what_gets_requests() -> None:
    assert whole()["docker"]["backends"]["backend-web"] == {  # type: ignore[index]
        "servers": {f"server-web-1-{DIGEST}": {"url": "http://10.0.0.1:80", "weight": 1}},
        "loadBalancer": {"method": "wrr"},
    }
    assert whole()["docker"]["backends"]["backend-empty"] == {"loadBalancer": {"method": "wrr"}}  # type: ignore[index]


def test_a_backend_shows_its_stickiness() -> None:
    service = Service("web", strategy="drr", sticky=Sticky("c", secure=True, same_site="lax"))
    found = traefik1.provider(Configuration(services={"web": service}), ["http"])
    assert found["backends"]["backend-web"]["loadBalancer"] == {
        "method": "drr",
        "stickiness": {"cookieName": "c", "secure": True, "sameSite": "lax"},
    }


@pytest.mark.parametrize(
    ("check", "shown"),
    [
        (HealthCheck("/health"), {"path": "/health"}),
        (
            HealthCheck(
                "/", "https", "http", "h.example", 8443, 90.0, headers=(("X-A", "b"), ("Cookie", "c"))
            ),
            {
                "scheme": "https",
                "path": "/",
                "port": 8443,
                "interval": "1m30s",
                "hostname": "h.example",
                "headers": {"X-A": "b", "Cookie": HIDDEN},
            },
        ),
    ],
)
def test_a_backend_has_the_health_check_that_was_written(
    check: HealthCheck, shown: dict[str, object]
) -> None:
    configuration = Configuration(services={"web": Service("web", health_check=check)})
    found = traefik1.provider(configuration, ["web"])
    assert found["backends"]["backend-web"]["healthCheck"] == shown


def test_a_frontend() -> None:
    frontends: dict[str, object] = whole()["docker"]["frontends"]  # type: ignore[assignment]
    assert frontends["frontend-web"] == {
        "entryPoints": ["web"],
        "backend": "backend-web",
        "routes": {"route-frontend-web": {"rule": "Host:web.example"}},
        "passHostHeader": True,
        "priority": 0,
        "basicAuth": None,
    }
    assert "passHostHeader" not in frontends["frontend-shop"]  # type: ignore[operator]


def test_families_without_entries_are_left_out() -> None:
    assert list(whole()["file"]) == ["frontends"]
    assert traefik1.provider(Configuration(), ["web"]) == {}


@pytest.mark.parametrize(
    "text, key",
    [
        ("/web_1", "web-1"),
        ("a--b", "a-b"),
        ("Host:a.example,b", "Host-a-example-b"),
        ("é9", "é9"),
        ("//", ""),
    ],
)
def test_normalised(text: str, key: str) -> None:
    assert traefik1.normalised(text) == key


def test_server_keys_hold_name_and_digest() -> None:
    assert (
        traefik1.server_key(Server("http://10.0.0.1:80", name="/proj_web_1")) == f"server-proj-web-1-{DIGEST}"
    )


@pytest.mark.parametrize(
    "path, kind",
    [
        ("backends", dict),
        ("backends/backend-web", dict),
        ("backends/backend-web/servers", dict),
        (f"backends/backend-web/servers/server-web-1-{DIGEST}", dict),
        ("backends/backend-empty/servers", type(None)),
        ("frontends/frontend-web/routes/route-frontend-web", dict),
        ("backends/nothing", type(None)),
        ("backends/backend-web/loadBalancer", type(None)),
        ("backends/backend-web/servers/x", type(None)),
        (f"backends/backend-web/servers/server-web-1-{DIGEST}/url", type(None)),
        ("routers", type(None)),
        ("", type(None)),
    ],
)
def test_parts_of_a_provider(path: str, kind: type) -> None:
    assert isinstance(traefik1.part(whole()["docker"], path.split("/")), kind)


def test_an_empty_family_can_be_asked_for() -> None:
    assert traefik1.part({}, ["backends"]) == {}
    assert traefik1.part({}, []) == {}


def test_health_has_every_key_of_v1() -> None:
    found = traefik1.health(
        FakeStatistics().totals(), {404: 1, 200: 2}, pid=7, hostname="h", uptime=100.0, now=1000.25
    )
    (error,) = found.pop("recent_errors")
    assert found == {
        "pid": 7,
        "hostname": "h",
        "uptime": "1m40s",
        "uptime_sec": 100.0,
        "time": "1970-01-01 00:16:40.250000 +0000 UTC",
        "unixtime": 1000,
        "status_code_count": {"200": 2, "404": 1},
        "total_status_code_count": {"200": 3, "404": 1},
        "count": 3,
        "total_count": 4,
        "total_response_time": "2s",
        "total_response_time_sec": 2.0,
        "total_response_size": 1000,
        "average_response_size": 250,
        "average_response_time": "500ms",
        "average_response_time_sec": 0.5,
        "total_metrics_counts": {},
        "average_metrics_timers": {},
    }
    assert (error["status"], error["time"]) == ("Not Found", "1970-01-01T00:16:40Z")


def test_health_before_the_first_request_divides_by_nothing() -> None:
    totals = FakeStatistics().totals()
    totals.count = 0
    found = traefik1.health(totals, {}, pid=1, hostname="h", uptime=0.0, now=0.0)
    assert (found["average_response_time"], found["average_response_size"]) == ("0s", 0)
