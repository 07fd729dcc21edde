"""Configurations in v3's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dynbalancer.core.model import Configuration, Middleware, Router, Service
from dynbalancer.core.translation import Translated, in_v3


def one(middleware: Middleware | None = None, **router: Any) -> Translated:
    """A v1 router with a middleware, translated."""
    names = () if middleware is None else (middleware.name,)
    found = Router("Host-a-0", "Host:a", "web", middlewares=names, dialect="v1", **router)
    middlewares = {} if middleware is None else {middleware.name: middleware}
    services = {"web": Service("web", dialect="v1")}
    return in_v3(Configuration({"Host-a-0": found}, services, middlewares))


def settings(kind: str, given: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Name, type and settings of what becomes of a v1 middleware."""
    found = one(Middleware(f"Host-a-0-{kind}", kind, given)).configuration
    (router,) = found.routers.values()
    assert router.middlewares == tuple(found.middlewares)
    return [(m.name, m.type, m.settings) for m in found.middlewares.values()]


def test_a_router_is_called_after_its_service_and_keeps_its_place() -> None:
    found = one()
    assert found.configuration.routers["web"] == Router("web", "Host(`a`)", "web", priority=6)
    assert found.names == {"Host-a-0": "web"}
    assert found.notes == []


def test_two_routers_of_one_service_keep_their_names() -> None:
    routers = {name: Router(name, "Host:a", "web", dialect="v1") for name in ("a", "b")}
    assert set(in_v3(Configuration(routers, {"web": Service("web")})).configuration.routers) == {"a", "b"}


def test_a_router_of_v3_stays_as_it_is() -> None:
    router = Router("r", "Host( `a` )", "s", middlewares=("m",))
    middleware = Middleware("m", "compress", {"x": "", "y": False})
    found = in_v3(Configuration({"r": router}, {"s": Service("s")}, {"m": middleware})).configuration
    assert (found.routers, found.middlewares) == ({"r": router}, {"m": middleware})


def test_a_router_that_can_not_be_read_is_left_out_and_noted() -> None:
    found = in_v3(Configuration({"r": Router("r", "Nope:a", "s", dialect="v1")}))
    assert found.configuration.routers == {}
    assert [(note.kind, note.name) for note in found.notes] == [("router", "s")]


def test_entry_points_with_tls_are_noted() -> None:
    assert ["tls=true" in note.why for note in one(entry_points=("http", "https")).notes] == [True, False]


def test_entry_points_that_have_other_names_since_are_noted() -> None:
    (note,) = one(entry_points=("http", "internal")).notes
    assert note.why.endswith("write web for http")
    assert one(entry_points=("web",)).notes == []


@pytest.mark.parametrize(
    "kind, given, expected",
    [
        (
            "ipWhiteList",
            {"sourceRange": ("10.0.0.0/8",), "useXForwardedFor": False},
            [("web-ipWhiteList", "ipAllowList", {"sourceRange": ("10.0.0.0/8",)})],
        ),
        (
            "redirectEntryPoint",
            {"entryPoint": "https", "permanent": True},
            [("web-redirectScheme", "redirectScheme", {"scheme": "https", "permanent": True})],
        ),
        (
            "passTLSClientCert",
            {"pem": True, "dialect": "v1"},
            [("web-passTLSClientCert", "passTLSClientCert", {"pem": True})],
        ),
        (
            "rateLimit",
            {
                "dialect": "v1",
                "extractorFunc": "client.ip",
                "rateSet": {"r": {"period": 3.0, "average": 5, "burst": 9}},
            },
            [("web-rateLimit", "rateLimit", {"average": 5, "period": "3s", "burst": 9})],
        ),
        (
            "basicAuth",
            {"users": ("a:b",), "headerField": ""},
            [("web-basicAuth", "basicAuth", {"users": ("a:b",)})],
        ),
    ],
)
def test_middlewares(kind: str, given: dict[str, Any], expected: list[Any]) -> None:
    assert settings(kind, given) == expected


@pytest.mark.parametrize(
    "extractor, criterion",
    [
        ("request.host", {"sourceCriterion": {"requestHost": True}}),
        ("request.header.X-A", {"sourceCriterion": {"requestHeaderName": "X-A"}}),
        ("client.ip", {}),
    ],
)
def test_each_rate_is_a_middleware_of_its_own(extractor: str, criterion: dict[str, Any]) -> None:
    rate = {"period": "1s", "average": 1, "burst": 2}
    given = {"extractorFunc": extractor, "rateSet": {"a": rate, "b": rate}}
    assert settings("rateLimit", given) == [
        (f"web-rateLimit-{name}", "rateLimit", {"average": 1, "period": "1s", "burst": 2, **criterion})
        for name in ("a", "b")
    ]


@pytest.mark.parametrize(
    "kind, given, word",
    [
        ("ipWhiteList", {"sourceRange": ("10.0.0.0/8",), "useXForwardedFor": True}, "ipStrategy.depth"),
        ("redirectEntryPoint", {"entryPoint": "other"}, "entry point other; https and port 443 are assumed"),
        ("redirectEntryPoint", {"entryPoint": "https"}, "entry point https; port 443 is assumed"),
        ("redirectEntryPoint", {"entryPoint": "web"}, "entry point web; port 80 is assumed"),
        ("passTLSClientCert", {"pem": True, "dialect": "v1"}, "another form"),
        (
            "rateLimit",
            {"extractorFunc": "client.ip", "rateSet": {"r": {"average": 5, "burst": 9}}},
            "a little",
        ),
    ],
)
def test_what_is_not_quite_the_same_is_noted(kind: str, given: dict[str, Any], word: str) -> None:
    (note,) = one(Middleware(f"Host-a-0-{kind}", kind, given)).notes
    assert (note.kind, note.name) == ("middleware", f"web-{kind}")
    assert word in note.why


def test_a_strategy_that_v3_has_not() -> None:
    found = in_v3(Configuration(services={"s": Service("s", strategy="drr", dialect="v1")}))
    assert found.configuration.services["s"].strategy == "wrr"
    assert "drr" in found.notes[0].why


@pytest.mark.parametrize(
    ("extractor", "criterion"),
    [
        ("client.ip", {"ipStrategy": {"depth": 0}}),
        ("request.host", {"requestHost": True}),
        ("request.header.X-Key", {"requestHeaderName": "X-Key"}),
    ],
)
def test_what_tells_clients_of_v1_s_maxconn_apart(extractor: str, criterion: dict[str, Any]) -> None:
    given = {"dialect": "v1", "amount": 5, "extractorFunc": extractor}
    ((_, kind, found),) = settings("inFlightReq", given)
    assert (kind, found) == ("inFlightReq", {"amount": 5, "sourceCriterion": criterion})


def test_redirects_of_a_slash_at_the_end_are_noted_and_left_out() -> None:
    found = one(Middleware("Host-a-0-redirectTrailingSlash", "redirectTrailingSlash", {"paths": ("/x",)}))
    assert found.configuration.middlewares == {}
    assert [router.middlewares for router in found.configuration.routers.values()] == [()]
    assert ["answers such requests with 404" in note.why for note in found.notes] == [True]


def test_what_is_the_way_of_v3_anyway_is_left_out_without_a_word() -> None:
    found = one(
        Middleware(
            "Host-a-0-redirectTrailingSlash", "redirectTrailingSlash", {"paths": ("/x",), "keep": True}
        )
    )
    assert found.configuration.routers["web"].middlewares == ()
    assert (found.configuration.middlewares, found.notes) == ({}, [])


@pytest.mark.parametrize(("more", "noted"), [({"dialect": "v1"}, [True]), ({}, [])])
def test_templates_in_a_replacement_are_noted(more: dict[str, str], noted: list[bool]) -> None:
    given = {"regex": "^a", "replacement": "http://{{.Request.Host}}/b", **more}
    found = one(Middleware("Host-a-0-redirectRegex", "redirectRegex", given))
    assert ["knows no templates" in note.why for note in found.notes] == noted
