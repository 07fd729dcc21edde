"""Label keys: what becomes of each, and which is meant by a wrong one."""

from __future__ import annotations

import pytest

from dynbalancer.core.labels import vocabulary as words


@pytest.mark.parametrize(
    "rest, key, use",
    [
        ("port", "port", words.USED),
        ("FRONTEND.rule", "frontend.rule", words.USED),
        ("frontend.passhostheader", "frontend.passHostHeader", words.USED),
        ("frontend.headers.STSSeconds", "frontend.headers.STSSeconds", words.USED),
        ("Frontend.Errors.own.Status", "frontend.errors.own.status", words.USED),
        ("frontend.ratelimit.rateset.A.burst", "frontend.rateLimit.rateSet.A.burst", words.USED),
        ("frontend.auth.basic.users", "frontend.auth.basic.users", words.USED),
        ("frontend.auth.basic.usersFile", "frontend.auth.basic.usersFile", words.USED),
        ("frontend.auth.forward.address", "frontend.auth.forward.address", words.USED),
        ("frontend.whitelist.sourcerange", "frontend.whiteList.sourceRange", words.USED),
        ("frontend.redirect.entryPoint", "frontend.redirect.entryPoint", words.USED),
        ("backend.healthcheck.path", "backend.healthcheck.path", words.USED),
        ("portName", "portName", words.VOID),
    ],
)
def test_v1_keys_in_any_case(rest: str, key: str, use: str) -> None:
    assert words.v1_key(rest) == (key, use)


def test_other_v1_keys_are_unknown() -> None:
    assert words.v1_key("frontend.errors.a.b.status") is None
    assert words.v1_key("frontend.errors.a.burst") is None
    assert words.v1_key("prot") is None


@pytest.mark.parametrize(
    "rest, restricts",
    [
        ("frontend.auth.basic.users", True),
        ("frontend.auth.oidc", True),
        ("frontend.whiteListe", True),
        ("frontend.headers.allowedhosts", True),
        ("frontend.rule", False),
        ("frontend.redirect.regex", False),
    ],
)
def test_v1_keys_that_keep_requests_out(rest: str, restricts: bool) -> None:
    assert words.v1_restricts(rest) is restricts


@pytest.mark.parametrize(
    "kind, field, use",
    [
        ("routers", "rule", words.USED),
        ("routers", "tls.domains[0].main", words.LATER),
        ("routers", "tls.options", words.USED),
        ("routers", "ruel", ""),
        ("services", "loadbalancer.server.port", words.USED),
        ("services", "loadbalancer.healthcheck.headers.X-A", words.USED),
        ("services", "loadbalancer.sticky.cookie", words.USED),
        ("services", "loadbalancer.sticky.cookie.samesite", words.USED),
        ("services", "loadbalancer.passivehealthcheck.failurewindow", words.USED),
        ("services", "middlewares", words.USED),
        ("services", "weighted.services", ""),
    ],
)
def test_v3_fields(kind: str, field: str, use: str) -> None:
    assert words.v3_field(kind, field) == use


@pytest.mark.parametrize(
    "wrong, right",
    [
        ("traefik.prot", "traefik.port"),
        ("traefik.enabled", "traefik.enable"),
        ("traefk.enable", "traefik.enable"),
        ("traefik_enable", "traefik.enable"),
        ("trafik.frontend.rul", "traefik.frontend.rule"),
        ("traefik.frontent.rule", "traefik.frontend.rule"),
        ("traefik.frontend.auht.basic.user", "traefik.frontend.auth.basic.users"),
        ("traefik.api.frontend.rul", "traefik.api.frontend.rule"),
        ("traefik.docker.netwrok", "traefik.docker.network"),
        ("traefk.docker.network", "traefik.docker.network"),
        ("traefik.htpp.routers.Web.rule", "traefik.http.routers.Web.rule"),
        ("traefik.http.router.web.rule", "traefik.http.routers.web.rule"),
        ("traefik.http.routers.web.midlewares", "traefik.http.routers.web.middlewares"),
        ("traefik.http.routers.web.entrypoint", "traefik.http.routers.web.entrypoints"),
        ("traefik.http.services.a.loadbalancer.port", "traefik.http.services.a.loadbalancer.server.port"),
        (
            "traefik.http.service.a.loadbalancer.server.port",
            "traefik.http.services.a.loadbalancer.server.port",
        ),
        ("traefik.http.middleware.a.addprefix.prefix", "traefik.http.middlewares.a.addprefix.prefix"),
        ("traefik.rule", "traefik.frontend.rule"),
        ("traefik.network", "traefik.docker.network"),
        ("traefik.backend.port", "traefik.port"),
        ("traefik.frontend.port", "traefik.port"),
        ("traefik.priority", "traefik.frontend.priority"),
        ("traefik.api.rule", "traefik.api.frontend.rule"),
        ("traefik.auth.basic.users", "traefik.frontend.auth.basic.users"),
        ("traefik.http.services.a.port", "traefik.http.services.a.loadbalancer.server.port"),
        ("traefik.http.services.a.scheme", "traefik.http.services.a.loadbalancer.server.scheme"),
        ("traefik.http.routers.a.certresolver", "traefik.http.routers.a.tls.certresolver"),
        ("traefik.routers.a.rule", "traefik.http.routers.a.rule"),
        ("traefik.services.a.loadbalancer.server.port", "traefik.http.services.a.loadbalancer.server.port"),
        ("traefik.xyzzy", ""),
    ],
)
def test_the_nearest_right_key(wrong: str, right: str) -> None:
    assert words.nearest(wrong) == right


def test_near_ignores_letter_case() -> None:
    assert words.near("POST", ("port", "host")) in ("port", "host")
    assert words.near("ROUTER", ("routers", "services")) == "routers"
    assert words.near("xyzzy", ("routers",)) == ""
