"""What v1's frontend labels do to requests: which middlewares they become, and what closes a router."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dynbalancer.core.labels.containers import Container, Defaults
from dynbalancer.core.labels.findings import Findings, Label
from dynbalancer.core.labels.reader import configuration_of
from dynbalancer.core.labels.v1options import keeps_out, options_of
from dynbalancer.core.model import Configuration

USER = "ann:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/"
DIGEST = "ann:traefik:3d61b38f63ee56d3f68c21055bc11503"


def container(name: str, labels: dict[str, str], created: float = 1.0) -> Container:
    """A container with v1 labels, ``traefik.frontend.`` left out, and a rule."""
    said = {f"traefik.frontend.{key}": value for key, value in labels.items()}
    said.setdefault("traefik.frontend.rule", "Host:a.example")
    at = {"x": "10.0.0.2"}
    return Container(
        f"id-{name}", name, labels=said, networks=at, ports=(80,), created=created, state="running"
    )


def read(**labels: str) -> tuple[list[tuple[str, dict[str, Any]]], list[str]]:
    """Types and settings of the middlewares of a container's router, and what is wrong."""
    found = configuration_of(
        [container("web-1", {k.replace("__", "."): v for k, v in labels.items()})], Defaults()
    )
    return through(found), [problem.why for problem in found.problems]


def through(found: Configuration) -> list[tuple[str, dict[str, Any]]]:
    """Types and settings of the middlewares of the only router, in order."""
    (router,) = found.routers.values()
    used = [found.middlewares[name] for name in router.middlewares]
    return [(middleware.type, dict(middleware.settings)) for middleware in used]


def test_all_of_them_in_traefik_s_order_and_before_the_path_is_changed() -> None:
    made, problems = read(
        rule="Host:a.example;PathPrefixStrip:/x;AddPrefix:/y",
        auth__basic__users=USER,
        headers__frameDeny="true",
        redirect__regex="^http://a.example/(.*)",
        redirect__replacement="https://b.example/$1",
        whiteList__sourceRange="10.0.0.0/8",
    )
    assert [kind for kind, _ in made] == [
        "ipWhiteList",
        "redirectRegex",
        "headers",
        "basicAuth",
        "stripPrefix",
        "addPrefix",
    ]
    assert problems == []


def test_without_such_labels_there_is_nothing() -> None:
    assert read(
        priority="5", passHostHeader="false", headers__frameDeny="false", headers__STSSeconds="0"
    ) == ([], [])


@pytest.mark.parametrize(
    ("labels", "settings"),
    [
        (
            {"whiteList__sourceRange": " 10.0.0.0/8 ,::1", "whiteList__useXForwardedFor": "true"},
            {"sourceRange": ("10.0.0.0/8", "::1"), "useXForwardedFor": True},
        ),
        (
            {"whitelistSourceRange": "10.0.0.0/8", "whiteList__useXForwardedFor": "true"},
            {"sourceRange": ("10.0.0.0/8",), "useXForwardedFor": False},
        ),
        (
            {"whitelistSourceRange": "10.0.0.0/8", "whiteList__sourceRange": "192.0.2.1"},
            {"sourceRange": ("192.0.2.1",), "useXForwardedFor": False},
        ),
    ],
)
def test_white_lists(labels: dict[str, str], settings: dict[str, Any]) -> None:
    assert read(**labels)[0] == [("ipWhiteList", settings)]


def test_redirects() -> None:
    made, _ = read(redirect__regex="^a", redirect__replacement="$1", redirect__permanent="true")
    assert made == [("redirectRegex", {"regex": "^a", "replacement": "$1", "permanent": True})]


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({"redirect__regex": "^a"}, "not used without label traefik.frontend.redirect.replacement"),
        ({"redirect__replacement": "/a"}, "not used without label traefik.frontend.redirect.regex"),
    ],
)
def test_redirects_that_lead_nowhere_are_left_out(labels: dict[str, str], why: str) -> None:
    made, problems = read(**labels)
    assert made == []
    assert why in problems


def test_header_options_of_every_kind() -> None:
    made, problems = read(
        headers__customRequestHeaders="X-a:1 || x-b-C : d:e||X-Gone:",
        headers__customResponseHeaders="Server:",
        headers__SSLProxyHeaders="X-Forwarded-Proto:https",
        headers__allowedHosts="a.example, b.example",
        headers__hostsProxyHeaders="X-Forwarded-Host",
        headers__SSLRedirect="1",
        headers__SSLTemporaryRedirect="t",
        headers__SSLHost="s.example",
        headers__STSSeconds="31536000",
        headers__STSIncludeSubdomains="True",
        headers__forceSTSHeader="true",
        headers__browserXSSFilter="true",
        headers__contentSecurityPolicy="default-src 'self'; img-src *",
        headers__isDevelopment="0",
    )
    assert problems == []
    assert made == [
        (
            "headers",
            {
                "customRequestHeaders": {"X-A": "1", "X-B-C": "d:e", "X-Gone": ""},
                "customResponseHeaders": {"Server": ""},
                "sslProxyHeaders": {"X-Forwarded-Proto": "https"},
                "allowedHosts": ("a.example", "b.example"),
                "hostsProxyHeaders": ("X-Forwarded-Host",),
                "sslRedirect": True,
                "sslTemporaryRedirect": True,
                "stsIncludeSubdomains": True,
                "forceSTSHeader": True,
                "browserXSSFilter": True,
                "sslHost": "s.example",
                "contentSecurityPolicy": "default-src 'self'; img-src *",
                "stsSeconds": 31536000,
            },
        )
    ]


def test_header_values_that_can_not_be_read_are_left_out_unless_they_close_something() -> None:
    made, problems = read(
        headers__frameDeny="yes",
        headers__STSSeconds="1y",
        headers__customRequestHeaders="Authorization=Bearer s3cret||X-A:1",
        headers__SSLRedirect="yes",
    )
    assert made == [("headers", {"customRequestHeaders": {"X-A": "1"}, "sslRedirect": "yes"})]
    assert len(problems) == 3
    assert not any("s3cret" in why for why in problems)


@pytest.mark.parametrize(
    ("labels", "kind", "settings"),
    [
        ({"auth__basic": USER}, "basicAuth", {}),
        ({"auth__basic__users": USER}, "basicAuth", {}),
        ({"auth__basic__users": USER, "auth__basic": "bob:x"}, "basicAuth", {}),
        (
            {"auth__basic__users": USER, "auth__basic__removeHeader": "true", "auth__headerField": "X-User"},
            "basicAuth",
            {"removeHeader": True, "headerField": "X-User"},
        ),
        ({"auth__digest__users": DIGEST}, "digestAuth", {"users": (DIGEST,)}),
        (
            {
                "auth__digest__users": DIGEST,
                "auth__digest__removeHeader": "true",
                "auth__headerField": "X-User",
            },
            "digestAuth",
            {"users": (DIGEST,), "removeHeader": True, "headerField": "X-User"},
        ),
        ({"auth__basic": f"{USER} , bob:y"}, "basicAuth", {"users": (USER, "bob:y")}),
    ],
)
def test_passwords(labels: dict[str, str], kind: str, settings: dict[str, Any]) -> None:
    usual = {"users": (USER,), "removeHeader": False, "headerField": ""}
    assert read(**labels) == ([(kind, usual | settings)], [])


def test_basic_goes_before_digest() -> None:
    made, problems = read(auth__basic__users=USER, auth__digest__users=DIGEST)
    assert [kind for kind, _ in made] == ["basicAuth"]
    assert problems == ["not used: auth.basic goes before it"]


@pytest.mark.parametrize(
    "key", ["auth__headerField", "auth__basic__removeHeader", "auth__digest__removeHeader"]
)
def test_passwords_without_users_let_nobody_in(key: str) -> None:
    made, problems = read(**{key: "true"})
    assert [settings["users"] for _, settings in made] == [()]
    assert "names no users" in problems[0]


@pytest.mark.parametrize(
    "key", ["auth.basic", "auth.digest.users", "whiteList.sourceRange", "headers.allowedHosts"]
)
def test_empty_label_that_is_meant_to_keep_requests_out_closes_the_router(key: str) -> None:
    """An unset variable in a compose file leaves one behind."""
    found = configuration_of([container("web-1", {key: " "})], Defaults())
    assert found.routers == {}
    assert "is empty" in found.problems[0].why


def test_segments_have_the_options_of_their_container_and_their_own() -> None:
    labels = {"auth.basic.users": USER}
    more = {
        "traefik.api.port": "81",
        "traefik.api.frontend.rule": "Host:api.example",
        "traefik.adm.port": "82",
        "traefik.adm.frontend.rule": "Host:adm.example",
        "traefik.adm.frontend.whiteList.sourceRange": "10.0.0.0/8",
    }
    one = container("web-1", labels)
    found = configuration_of([replace(one, labels={**one.labels, **more})], Defaults())
    kinds = {
        router.rule: [found.middlewares[name].type for name in router.middlewares]
        for router in found.routers.values()
    }
    assert kinds == {"Host:api.example": ["basicAuth"], "Host:adm.example": ["ipWhiteList", "basicAuth"]}


def test_of_containers_with_one_rule_the_one_that_keeps_requests_out_decides() -> None:
    """A new version gets a password while the old one without still runs, or the other way round."""
    for old, new in (({}, {"auth.basic": USER}), ({"auth.basic": USER}, {"headers.frameDeny": "true"})):
        found = configuration_of([container("old", old), container("new", new, created=2.0)], Defaults())
        assert [kind for kind, _ in through(found)] == ["basicAuth"]
        assert any("differ from those of container" in problem.why for problem in found.problems)


def test_otherwise_the_oldest_decides() -> None:
    options = ({"headers.frameDeny": "true"}, {"headers.contentTypeNosniff": "true"})
    found = configuration_of(
        [container("old", options[0]), container("new", options[1], created=2.0)], Defaults()
    )
    assert through(found) == [("headers", {"frameDeny": True})]
    whose = [problem.where for problem in found.problems if "differ" in problem.why]
    assert whose == ["container new"]


def test_same_options_are_no_news() -> None:
    same = {"auth.basic": USER, "headers.frameDeny": "true"}
    found = configuration_of([container("old", same), container("new", same, created=2.0)], Defaults())
    assert not any("differ" in problem.why for problem in found.problems)


def test_middleware_says_which_label_of_which_container_it_is_from() -> None:
    found = configuration_of([container("web-1", {"auth.basic": USER})], Defaults())
    (middleware,) = found.middlewares.values()
    assert middleware.origin == "label traefik.frontend.auth.basic of container web-1"
    assert middleware.name == "Host-a-example-0-basicAuth"


@pytest.mark.parametrize(
    ("key", "value", "closes"),
    [
        ("auth.basic", USER, True),
        ("auth.digest.users", DIGEST, True),
        ("whiteList.sourceRange", "10.0.0.0/8", True),
        ("headers.allowedHosts", "a.example", True),
        ("headers.SSLForceHost", "true", True),
        ("headers.SSLRedirect", "false", False),
        ("headers.frameDeny", "true", False),
    ],
)
def test_options_that_keep_requests_out(key: str, value: str, closes: bool) -> None:
    fields = {f"frontend.{key}": Label(f"traefik.frontend.{key}", value)}
    assert keeps_out(options_of(fields, Findings("web-1"))) is closes


def test_templates_in_a_replacement_are_v1_s_alone() -> None:
    made, problems = read(redirect__regex="^a", redirect__replacement="http://{{.Request.Host}}/b")
    assert made == [
        (
            "redirectRegex",
            {"regex": "^a", "replacement": "http://{{.Request.Host}}/b", "permanent": False, "dialect": "v1"},
        )
    ]
    assert problems == []


def test_redirects_to_an_entry_point_go_before_those_by_a_pattern() -> None:
    made, problems = read(
        redirect__entryPoint="https",
        redirect__permanent="true",
        redirect__regex="^a",
        redirect__replacement="b",
    )
    assert made == [("redirectEntryPoint", {"entryPoint": "https", "permanent": True})]
    assert problems == ["not used: redirect.entryPoint goes before it"]


def test_rates_each_with_a_name() -> None:
    made, problems = read(
        rateLimit__extractorFunc="client.ip",
        rateLimit__rateSet__slow__period="10s",
        rateLimit__rateSet__slow__average="100",
        rateLimit__rateSet__slow__burst="200",
        rateLimit__rateSet__fast__period="3",
        rateLimit__rateSet__fast__average="5",
        rateLimit__rateSet__fast__burst="10",
    )
    assert made == [
        (
            "rateLimit",
            {
                "dialect": "v1",
                "extractorFunc": "client.ip",
                "rateSet": {
                    "fast": {"period": 3.0, "average": 5, "burst": 10},
                    "slow": {"period": 10.0, "average": 100, "burst": 200},
                },
            },
        )
    ]
    assert problems == []


RATE = {"rateLimit__rateSet__a__period": "1s", "rateLimit__rateSet__a__average": "5"}


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (
            {**RATE, "rateLimit__rateSet__a__burst": "5"},
            "not used without label traefik.frontend.rateLimit.extractorFunc",
        ),
        (
            {**RATE, "rateLimit__extractorFunc": "client.ip"},
            "not used without label traefik.frontend.rateLimit.rateSet.a.burst",
        ),
        ({"rateLimit__extractorFunc": "client.ip"}, "there is no rate to hold; requests are not limited"),
        (
            {**RATE, "rateLimit__rateSet__a__burst": "5", "rateLimit__extractorFunc": "client.port"},
            "'client.port' is unknown; requests are not limited",
        ),
        (
            {**RATE, "rateLimit__rateSet__a__burst": "many", "rateLimit__extractorFunc": "request.host"},
            "'many' is not a whole number; the label is ignored",
        ),
        (
            {
                "rateLimit__rateSet__a__period": "soon",
                "rateLimit__rateSet__a__average": "1",
                "rateLimit__rateSet__a__burst": "5",
                "rateLimit__extractorFunc": "request.host",
            },
            "'soon' is not a duration such as 10s or 1m30s; the label is ignored",
        ),
        (
            {
                "rateLimit__rateSet__a__period": "0s",
                "rateLimit__rateSet__a__average": "1",
                "rateLimit__rateSet__a__burst": "5",
                "rateLimit__extractorFunc": "request.host",
            },
            "a period of nothing; this rate is left out",
        ),
    ],
)
def test_rates_that_can_not_be_held_are_left_out_and_told(labels: dict[str, str], why: str) -> None:
    made, problems = read(**labels)
    assert made == []
    assert why in problems


def test_error_pages_each_with_a_name_and_in_front_of_all() -> None:
    labels = {
        "errors.b.status": "500-599, 404",
        "errors.b.backend": "pages",
        "errors.b.query": "/{status}.html",
        "errors.a.status": "403",
        "errors.a.backend": "pages",
        "errors.a.query": "/no",
        "whiteList.sourceRange": "10.0.0.0/8",
    }
    pages = Container(
        "id-pages",
        "pages-1",
        labels={"traefik.frontend.rule": "Host:pages.example", "traefik.backend": "pages"},
        networks={"x": "10.0.0.3"},
        ports=(80,),
        created=2.0,
    )
    found = configuration_of([container("web-1", labels), pages], Defaults())
    router = next(router for router in found.routers.values() if router.rule == "Host:a.example")
    assert router.middlewares == (
        "Host-a-example-0-errors-a",
        "Host-a-example-0-errors-b",
        "Host-a-example-0-ipWhiteList",
    )
    assert found.middlewares["Host-a-example-0-errors-b"].settings == {
        "status": ("500-599", "404"),
        "service": "pages",
        "query": "/{status}.html",
    }
    assert found.problems == ()


def test_error_page_of_a_backend_that_is_not_there_is_left_out_and_the_router_stays() -> None:
    made, problems = read(errors__a__status="404", errors__a__backend="pages", errors__a__query="/")
    assert made == []
    assert problems == ["there is no backend pages; this error page is left out"]


def test_error_page_that_is_not_complete_is_left_out() -> None:
    made, problems = read(errors__a__status="404", errors__a__query="/")
    assert made == []
    assert problems == ["not used without label traefik.frontend.errors.a.backend"]


def test_certificates_of_clients() -> None:
    made, problems = read(
        passTLSClientCert__pem="true",
        passTLSClientCert__infos__notAfter="true",
        passTLSClientCert__infos__sans="false",
        passTLSClientCert__infos__subject__commonName="true",
        passTLSClientCert__infos__issuer__commonName="1",
    )
    assert made == [
        (
            "passTLSClientCert",
            {
                "pem": True,
                "info": {"notAfter": True, "subject": {"commonName": True}, "issuer": {"commonName": True}},
                "dialect": "v1",
            },
        )
    ]
    assert problems == []


def test_no_wish_for_a_certificate_is_no_middleware() -> None:
    assert read(passTLSClientCert__pem="false") == ([], [])


def test_what_comes_after_the_path_is_changed_is_in_traefik_s_order_too() -> None:
    one = container(
        "web-1",
        {
            "rule": "Host:a.example;PathPrefixStrip:/x",
            "auth.forward.address": "http://login.example",
            "passTLSClientCert.pem": "true",
            **{key.replace("__", "."): value for key, value in RATE.items()},
            "rateLimit.rateSet.a.burst": "5",
            "rateLimit.extractorFunc": "client.ip",
        },
    )
    backend = {
        "traefik.backend.maxconn.amount": "10",
        "traefik.backend.circuitbreaker.expression": "NetworkErrorRatio() > 0.5",
        "traefik.backend.buffering.maxRequestBodyBytes": "10",
    }
    found = configuration_of([replace(one, labels={**one.labels, **backend})], Defaults())
    assert [kind for kind, _ in through(found)] == [
        "stripPrefix",
        "passTLSClientCert",
        "forwardAuth",
        "circuitBreaker",
        "buffering",
        "inFlightReq",
        "rateLimit",
    ]
