"""Traefik v3's shapes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dynbalancer.admin import traefik3
from dynbalancer.admin.secrets import HIDDEN
from dynbalancer.core.model import (
    Configuration,
    EntryPoint,
    HealthCheck,
    Member,
    Middleware,
    PassiveHealth,
    Router,
    Service,
    Sticky,
)
from dynbalancer.errors import Problem
from tests.admin.fakes import POINTS, FakeRouter, table


def found() -> traefik3.Runtime:
    """The runtime of the fake router."""
    router = FakeRouter()
    return traefik3.runtime(router.table, router.problems, POINTS)


def one(family: str, name: str) -> dict[str, object]:
    """One entry."""
    return next(entry for entry in found().family(family) if entry["name"] == name)


def test_a_router_has_all_keys_of_v3() -> None:
    assert one("routers", "shop@docker") == {
        "entryPoints": ["web", "nowhere"],
        "middlewares": ["strip@docker"],
        "service": "shop",
        "rule": "Host(`shop.example`) && PathPrefix(`/cart`)",
        "priority": 90,
        "error": ['entryPoint "nowhere" doesn\'t exist'],
        "status": "warning",
        "using": ["web"],
        "name": "shop@docker",
        "provider": "docker",
        "priorityStr": "90",
    }


def test_a_disabled_router_stays_visible_with_its_reasons() -> None:
    broken = one("routers", "broken@docker")
    assert broken["status"] == "disabled"
    assert "Hots" in str(broken["error"])
    assert "using" not in broken


def test_a_router_without_entry_points_or_problems() -> None:
    web = one("routers", "web@docker")
    assert (web["entryPoints"], web["using"], web["status"]) == (["web"], ["web"], "enabled")
    assert "error" not in web
    assert web["priority"] == len("Host:web.example")


def test_a_service_of_another_provider_keeps_its_whole_name() -> None:
    assert one("routers", "status@file")["service"] == "shop@docker"


def test_a_service_has_servers_their_state_and_users() -> None:
    assert one("services", "web@docker") == {
        "loadBalancer": {
            "servers": [{"url": "http://10.0.0.1:80"}, {"url": "http://10.0.0.2:80", "weight": 2}],
            "strategy": "wrr",
            "passHostHeader": True,
            "responseForwarding": {"flushInterval": "100ms"},
        },
        "status": "enabled",
        "usedBy": ["broken@docker", "web@docker"],
        "serverStatus": {"http://10.0.0.1:80": "UP", "http://10.0.0.2:80": "DOWN"},
        "name": "web@docker",
        "provider": "docker",
        "type": "loadbalancer",
    }


def test_the_health_check_of_a_service_is_shown_without_its_secrets() -> None:
    router = FakeRouter()
    check = HealthCheck("/health", interval=10.0, headers=(("Authorization", "Basic eDp5"), ("X-A", "b")))
    asking = replace(router.configuration.services["web@docker"], health_check=check)
    services = {**router.configuration.services, "web@docker": asking}
    found = traefik3.runtime(table(replace(router.configuration, services=services)), (), POINTS).services
    balancer = next(entry for entry in found if entry["name"] == "web@docker")["loadBalancer"]
    assert balancer["healthCheck"] == {
        "path": "/health",
        "mode": "http",
        "interval": "10s",
        "timeout": "5s",
        "followRedirects": True,
        "headers": {"Authorization": HIDDEN, "X-A": "b"},
    }


def shown(*services: Service) -> dict[str, dict[str, Any]]:
    """These services beside the fake ones, by name."""
    configuration = FakeRouter().configuration
    known = {**configuration.services, **{service.name: service for service in services}}
    found = traefik3.runtime(table(replace(configuration, services=known)), (), POINTS).services
    return {entry["name"]: entry for entry in found}


def test_a_service_made_of_others_is_shown_with_them_and_uses_them() -> None:
    members = (Member("web", 3), Member("status@file"))
    found = shown(Service("both@docker", kind="weighted", members=members, sticky=Sticky("pin")))
    assert found["both@docker"] == {
        "weighted": {
            "services": [{"name": "web", "weight": 3}, {"name": "status@file", "weight": 1}],
            "sticky": {"cookie": {"name": "pin", "path": "/"}},
        },
        "status": "enabled",
        "name": "both@docker",
        "provider": "docker",
        "type": "weighted",
    }
    assert "both@docker" in found["web@docker"]["usedBy"]


def test_what_a_service_asks_for_is_shown() -> None:
    asked = Service(
        "s@docker", sticky=Sticky(secure=True), passive_health=PassiveHealth(), transport="mutual"
    )
    assert shown(asked)["s@docker"]["loadBalancer"] == {
        "servers": [],
        "strategy": "wrr",
        "passHostHeader": True,
        "sticky": {"cookie": {"secure": True, "path": "/"}},
        "passiveHealthCheck": {"failureWindow": "10s", "maxFailedAttempts": 1},
        "responseForwarding": {"flushInterval": "100ms"},
        "serversTransport": "mutual",
    }


def test_a_service_without_servers_or_users_leaves_those_keys_out() -> None:
    assert {"usedBy", "serverStatus"} & one("services", "empty@docker").keys() == set()
    assert one("services", "shop@docker")["usedBy"] == ["shop@docker", "status@file"]


def test_a_middleware_that_works_and_one_that_does_not() -> None:
    strip = one("middlewares", "strip@docker")
    assert (strip["stripPrefix"], strip["type"]) == ({"prefixes": ["/cart"]}, "stripprefix")
    assert strip["usedBy"] == ["shop@docker"]
    login = one("middlewares", "login@docker")
    assert (login["status"], login["error"]) == ("disabled", ["no such user file"])
    assert login["basicAuth"] == {"users": [f"ann:{HIDDEN}"]}


def test_faults_ignore_what_is_only_said_and_names_nothing() -> None:
    router = FakeRouter()
    problems = [
        Problem("router web@docker", "by the way", severity="info"),
        Problem("the engine", "is old"),
        Problem("service web@docker", "few servers", severity="warning"),
    ]
    wrong = traefik3.faults(router.table, problems)
    assert ("router", "web@docker") not in wrong
    assert wrong["service", "web@docker"].shown() == {"error": ["few servers"], "status": "warning"}


def test_overview_counts() -> None:
    overview = traefik3.overview(found(), ["docker", "rest"], access_log=True)
    assert overview["http"]["routers"] == {"total": 4, "warnings": 1, "errors": 1}
    assert overview["http"]["middlewares"] == {"total": 2, "warnings": 0, "errors": 1}
    assert overview["udp"] == {
        "routers": {"total": 0, "warnings": 0, "errors": 0},
        "services": {"total": 0, "warnings": 0, "errors": 0},
    }
    assert (overview["providers"], overview["features"]["accessLog"]) == (["Docker", "REST"], True)


def test_rawdata_is_keyed_by_name_without_naming_again() -> None:
    raw = traefik3.rawdata(found())
    assert list(raw) == ["routers", "middlewares", "services"]
    assert {"name", "provider", "type", "priorityStr"} & raw["services"]["web@docker"].keys() == set()
    assert traefik3.rawdata(traefik3.Runtime([], [], [])) == {}


def test_entry_points() -> None:
    point = EntryPoint("web", 80, trusted=("10.0.0.0/8",), trust_all=True, as_default=True)
    assert traefik3.entry_point(point) == {
        "address": ":80",
        "asDefault": True,
        "forwardedHeaders": {"insecure": True, "trustedIPs": ["10.0.0.0/8"]},
        "name": "web",
    }
    assert traefik3.default_entry_points(POINTS) == ["web"]
    assert traefik3.default_entry_points(POINTS[1:]) == ["internal"]


def test_what_is_always_there_is_shown_when_it_is_used() -> None:
    ours = Configuration(
        {"r@docker": Router("r@docker", "Host(`a.example`)", "api@internal")},
        {name: Service(name) for name in ("api@internal", "ping@internal", "web@docker")},
        {
            "ping-path@internal": Middleware("ping-path@internal", "replacePath", {"path": "/ping"}),
            "auth-web@internal": Middleware("auth-web@internal", "addPrefix", {}, "entry point web"),
        },
    )
    shown = traefik3.runtime(table(ours), (), POINTS)
    assert [entry["name"] for entry in shown.services] == ["api@internal", "web@docker"]
    assert [entry["name"] for entry in shown.middlewares] == ["auth-web@internal"]


def test_names_mean_what_the_table_takes_them_for() -> None:
    names = traefik3.Names(["a@docker", "a@file", "b@file", "b@internal", "c@internal"])
    assert names.meant("c", "r@docker") == "c@docker"
    assert names.meant("a", "r@docker") == "a@docker"
    assert names.meant("b", "r@docker") == "b@file"
    assert names.meant("a@file", "r@docker") == "a@file"
    assert names.meant("nothing", "r@docker") == "nothing@docker"
    assert names.meant("plain", "r") == "plain"
