"""Tables that find problems and forward nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dynbalancer.core.labels.containers import Container, Defaults
from dynbalancer.core.labels.reader import configuration_of
from dynbalancer.core.merge import merge
from dynbalancer.core.model import (
    Configuration,
    EntryPoint,
    Member,
    Middleware,
    Router,
    Server,
    ServersTransport,
    Service,
)
from dynbalancer.start.compiling import compiler

COMPILE = compiler((EntryPoint("web", 80),), lambda: 0.0)
WEB = Router("web@x", "Host(`a.example`)", "web@x", middlewares=("m@x",))
SERVICE = Service("web@x", (Server("http://192.0.2.1:80"),))


def configuration(middleware: Middleware, service: Service = SERVICE) -> Configuration:
    """One router with one middleware and one service."""
    return Configuration({WEB.name: WEB}, {service.name: service}, {middleware.name: middleware})


def test_what_is_right_is_a_route_whose_service_is_its_definition() -> None:
    table = COMPILE(configuration(Middleware("m@x", "addPrefix", {"prefix": "/a"})), 5, None)
    assert table.number == 5
    assert [route.name for route in table.routes] == ["web@x"]
    assert table.routes[0].service == SERVICE
    assert table.problems == ()


def test_an_unknown_middleware_type_switches_its_router_off_with_the_nearest_name() -> None:
    table = COMPILE(configuration(Middleware("m@x", "addPrefex", {"prefix": "/a"})), 1, None)
    assert not table.routes
    assert "there is no middleware type addPrefex; did you mean addPrefix?" in " ".join(
        map(str, table.problems)
    )


def test_a_middleware_type_that_is_not_there_yet_switches_its_router_off() -> None:
    table = COMPILE(configuration(Middleware("m@x", "plugin", {"demo": {}})), 1, None)
    assert not table.routes
    assert "middleware m@x: type plugin is understood, but not supported in this version" in map(
        str, table.problems
    )


def test_wrong_settings_of_a_middleware_are_found() -> None:
    table = COMPILE(configuration(Middleware("m@x", "addPrefix", {"prefx": "/a"})), 1, None)
    assert any("m@x" in str(problem) for problem in table.problems)


def test_an_unknown_strategy_is_found() -> None:
    service = Service("web@x", SERVICE.servers, strategy="wrrr")
    table = COMPILE(configuration(Middleware("m@x", "addPrefix", {"prefix": "/a"}), service), 1, None)
    assert "there is no strategy wrrr; did you mean wrr?" in " ".join(map(str, table.problems))


def labelled(**labels: str) -> Configuration:
    """What a container asks for by v1 labels."""
    said = {f"traefik.frontend.{key.replace('__', '.')}": value for key, value in labels.items()}
    said["traefik.frontend.rule"] = "Host:a.example;PathPrefixStripRegex:/{id:[0-9]+}"
    one = Container("id", "web-1", labels=said, networks={"x": "10.0.0.2"}, ports=(80,), state="running")
    return configuration_of([one], Defaults())


def test_options_of_v1_labels_are_middlewares_that_can_be_made() -> None:
    wanted = labelled(
        auth__basic="ann:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/",
        auth__headerField="X-User",
        whiteList__sourceRange="10.0.0.0/8,::1",
        whiteList__useXForwardedFor="true",
        redirect__regex="^http://a.example/(.*)",
        redirect__replacement="https://b.example/$1",
        headers__customRequestHeaders="X-A:1||X-B:",
        headers__allowedHosts="a.example",
        headers__SSLRedirect="true",
        headers__STSSeconds="10",
        headers__browserXSSFilter="true",
    )
    table = COMPILE(wanted, 1, None)
    assert table.problems == ()
    kinds = [type(middleware).__name__ for middleware in table.routes[0].middlewares]
    assert kinds == ["IpWhiteList", "RedirectRegex", "Headers", "BasicAuth", "StripPrefixRegex"]


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({"auth__basic": "ann:secret"}, "the password of entry 1 (ann) is not a hash"),
        ({"auth__basic": "ann:/eaten"}, "the password of entry 1 (ann) is not a hash"),
        ({"auth__headerField": "X-User"}, "option users: expected at least one"),
        ({"auth__digest__users": "ann:x"}, "entry 1 is not of the form USER:REALM:HASH"),
        ({"whiteList__sourceRange": "10.0.0.0/33"}, "option sourceRange"),
        ({"headers__SSLRedirect": "yes"}, "option sslRedirect: expected true or false"),
        ({"headers__customRequestHeaders": "X-A:1\r\nX-B: 2"}, "a value must not hold CR"),
    ],
)
def test_options_of_v1_labels_that_can_not_be_obeyed_keep_the_router_closed(
    labels: dict[str, str], why: str
) -> None:
    table = COMPILE(labelled(**labels), 1, None)
    assert not table.routes
    assert why in " ".join(map(str, table.problems))
    assert "secret" not in " ".join(map(str, table.problems))


def test_a_transport_whose_ciphers_nobody_knows_is_found() -> None:
    wanted = Configuration(
        {WEB.name: replace(WEB, middlewares=())},
        {SERVICE.name: replace(SERVICE, transport="t")},
        transports={"t@x": ServersTransport("t@x", cipher_suites=("TLS_MADE_UP",))},
    )
    table = COMPILE(wanted, 1, None)
    assert not table.routes
    assert "there is no cipher suite TLS_MADE_UP" in " ".join(map(str, table.problems))


def test_a_service_made_of_others_is_its_definition() -> None:
    both = Service("both@x", kind="weighted", members=(Member("web"),))
    router = replace(WEB, middlewares=(), service="both")
    table = COMPILE(Configuration({WEB.name: router}, {SERVICE.name: SERVICE, both.name: both}), 1, None)
    assert table.problems == ()
    assert table.routes[0].service.kind == "weighted"


EVERY_V1_LABEL = {
    "frontend.rule": "Host:a.example;Path:/x;PathPrefixStrip:/x;AddPrefix:/y;ReplacePathRegex:^/a /b",
    "frontend.errors.e.status": "404,500-599",
    "frontend.errors.e.backend": "pages",
    "frontend.errors.e.query": "/{status}.html",
    "frontend.whiteList.sourceRange": "10.0.0.0/8",
    "frontend.whiteList.useXForwardedFor": "true",
    "frontend.redirect.entryPoint": "https",
    "frontend.headers.customRequestHeaders": "X-A:1||X-B:",
    "frontend.headers.SSLProxyHeaders": "X-Forwarded-Proto:https",
    "frontend.headers.allowedHosts": "a.example",
    "frontend.headers.STSSeconds": "1",
    "frontend.headers.frameDeny": "true",
    "frontend.auth.basic.users": "ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
    "frontend.auth.headerField": "X-User",
    "frontend.passTLSClientCert.pem": "true",
    "frontend.passTLSClientCert.infos.notAfter": "true",
    "frontend.passTLSClientCert.infos.subject.commonName": "true",
    "frontend.passTLSClientCert.infos.issuer.province": "true",
    "frontend.rateLimit.extractorFunc": "request.header.X-Key",
    "frontend.rateLimit.rateSet.slow.period": "10s",
    "frontend.rateLimit.rateSet.slow.average": "100",
    "frontend.rateLimit.rateSet.slow.burst": "200",
    "backend.circuitbreaker.expression": "NetworkErrorRatio() > 0.5 || LatencyAtQuantileMS(50.0) > 50",
    "backend.buffering.maxRequestBodyBytes": "10",
    "backend.buffering.memRequestBodyBytes": "5",
    "backend.buffering.retryExpression": "IsNetworkError() && Attempts() <= 2",
    "backend.maxconn.amount": "10",
    "backend.maxconn.extractorfunc": "client.ip",
    "backend.loadbalancer.method": "drr",
    "backend.loadbalancer.stickiness": "true",
    "backend.healthcheck.path": "/health",
}


@pytest.mark.parametrize(
    ("change", "types"),
    [
        ({}, {"redirectEntryPoint", "basicAuth", "redirectTrailingSlash"}),
        (
            {
                "frontend.redirect.entryPoint": "",
                "frontend.redirect.regex": "^http://a/(.*)",
                "frontend.redirect.replacement": "http://{{.Request.Host}}/$1",
                "frontend.auth.basic.users": "",
                "frontend.auth.digest.users": "ann:traefik:3d61b38f63ee56d3f68c21055bc11503",
            },
            {"redirectRegex"},
        ),
        (
            {
                "frontend.auth.basic.users": "",
                "frontend.auth.headerField": "",
                "frontend.auth.forward.address": "http://login.example/",
                "frontend.auth.forward.authResponseHeaders": "X-User,X-Group",
                "frontend.auth.forward.trustForwardHeader": "true",
                "frontend.auth.forward.tls.insecureSkipVerify": "true",
            },
            {"forwardAuth"},
        ),
    ],
)
def test_whatever_labels_of_v1_ask_for_can_be_made(change: dict[str, str], types: set[str]) -> None:
    wanted = {key: value for key, value in {**EVERY_V1_LABEL, **change}.items() if value}
    labels = {f"traefik.{key}": value for key, value in wanted.items()}
    pages = {"traefik.frontend.rule": "Host:pages.example", "traefik.backend": "pages"}
    containers = [
        Container(name, name, labels=said, networks={"x": f"192.0.2.{number}"}, ports=(80,), created=number)
        for number, (name, said) in enumerate((("web", labels), ("pages", pages)), 1)
    ]
    found = merge([("docker", configuration_of(containers, Defaults()))])
    assert found.problems == ()
    assert types <= {middleware.type for middleware in found.middlewares.values()}
    points = (EntryPoint("http", 80), EntryPoint("https", 443, tls=True))
    table = compiler(points, lambda: 0.0)(found, 1, None)
    assert (table.disabled, table.problems) == ({}, ())
    assert set(table.middlewares) == set(found.middlewares)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("compress", {"encodings": ["rar"]}),
        ("retry", {"attempts": 0}),
        ("errors", {"status": "5xx", "service": "web"}),
        ("headers", {"customResponseHeaders": {"X A": "1"}}),
    ],
)
def test_router_goes_on_without_a_middleware_that_keeps_nobody_out(
    kind: str, settings: dict[str, Any]
) -> None:
    table = COMPILE(configuration(Middleware("m@x", kind, settings)), 1, None)
    assert [route.middlewares for route in table.routes] == [()]
    (problem,) = table.problems
    assert (problem.where, problem.severity) == ("middleware m@x", "error")
    assert problem.why.endswith("what uses it goes on without it")


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("basicAuth", {"users": "nobody"}),
        ("ipAllowList", {"sourceRange": "here"}),
        ("forwardAuth", {}),
        ("headers", {"customResponseHeaders": {"X A": "1"}, "allowedHosts": "a.example"}),
        ("encodedCharacters", {"allowEncodedSlash": "perhaps"}),
        ("buffering", {"maxRequestBodyBytes": "10M"}),
        ("unheardOf", {}),
    ],
)
def test_router_is_off_without_a_middleware_that_keeps_somebody_out(
    kind: str, settings: dict[str, Any]
) -> None:
    assert not COMPILE(configuration(Middleware("m@x", kind, settings)), 1, None).routes


def test_chain_goes_on_without_its_broken_cosmetic_member() -> None:
    members = {
        "m@x": Middleware("m@x", "chain", {"middlewares": ["small", "add"]}),
        "small@x": Middleware("small@x", "compress", {"encodings": ["rar"]}),
        "add@x": Middleware("add@x", "addPrefix", {"prefix": "/a"}),
    }
    table = COMPILE(Configuration({WEB.name: WEB}, {SERVICE.name: SERVICE}, members), 1, None)
    assert [type(one).__name__ for one in table.routes[0].middlewares] == ["AddPrefix"]


def test_a_table_with_a_weighted_service_can_follow_another_one() -> None:
    """Services stand for themselves here, and have members as chains have: they are no chains."""
    blue, green = replace(SERVICE, name="blue@x"), replace(SERVICE, name="green@x")
    both = Service("web@x", kind="weighted", members=(Member("blue", 3), Member("green", 1)))
    services = {each.name: each for each in (blue, green, both)}
    router = replace(WEB, middlewares=())
    table = None
    for number, weight in enumerate((1, 0, 5), 1):
        services["web@x"] = replace(both, members=(Member("blue", weight), Member("green", 1)))
        services["blue@x"] = replace(blue, servers=(Server(f"http://192.0.2.{number}:80"),))
        table = COMPILE(Configuration({router.name: router}, dict(services)), number, table)
        (route,) = table.routes
        assert [member.weight for member in route.service.members] == [weight, 1]
        assert table.problems == ()
