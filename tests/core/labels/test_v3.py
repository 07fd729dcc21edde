"""v3 labels of one container."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dynbalancer.core.labels import v3
from dynbalancer.core.labels.addresses import place_of
from dynbalancer.core.labels.containers import Container, Defaults
from dynbalancer.core.labels.drafts import Reading
from dynbalancer.core.labels.findings import Findings
from dynbalancer.core.labels.sheet import sheet_of
from dynbalancer.core.model import Middleware, PassiveHealth, Router, Service, Sticky

COMPOSE = {"com.docker.compose.project": "proj", "com.docker.compose.service": "web"}
ROUTER = "traefik.http.routers.web"
SERVICE = "traefik.http.services.web.loadbalancer"
RULE = {f"{ROUTER}.rule": "Host(`a.example`)"}


def read(
    labels: dict[str, str],
    defaults: Defaults | None = None,
    ports: tuple[int, ...] = (80, 90),
    state: str = "running",
) -> tuple[Reading, Findings]:
    container = Container("id1", "box_1", labels=labels, networks={"x": "10.0.0.2"}, ports=ports, state=state)
    findings = Findings("box_1")
    sheet = sheet_of(labels, findings)
    return v3.read(place_of(container, defaults or Defaults(), sheet.docker), sheet, findings), findings


@pytest.mark.parametrize(
    "labels, usual, dialect",
    [
        (RULE, "v3", "v3"),
        (RULE, "v2", "v2"),
        ({**RULE, f"{ROUTER}.ruleSyntax": "v3"}, "v2", "v3"),
        ({**RULE, f"{ROUTER}.ruleSyntax": "v2"}, "v3", "v2"),
    ],
)
def test_rules_are_read_in_the_language_they_say_or_else_in_the_usual_one(
    labels: dict[str, str], usual: str, dialect: str
) -> None:
    reading, _ = read(labels, Defaults(default_rule_syntax=usual))
    assert [draft.router.dialect for draft in reading.routers] == [dialect]


@pytest.mark.parametrize(
    "value, expected, problems",
    [("false", False, 0), ("true", True, 0), ("", None, 0), ("maybe", True, 1), (None, None, 0)],
)
def test_whether_the_requests_of_a_router_are_in_the_access_log(
    value: str | None, expected: bool | None, problems: int
) -> None:
    labels = RULE if value is None else {**RULE, f"{ROUTER}.observability.accessLogs": value}
    reading, findings = read(labels)
    assert [draft.router.access_log for draft in reading.routers] == [expected]
    assert len(findings.problems) == problems


def test_all_options_of_a_router() -> None:
    labels = {
        **RULE,
        f"{ROUTER}.entryPoints": "web, websecure",
        f"{ROUTER}.middlewares": "auth@file, add",
        f"{ROUTER}.service": "other@file",
        f"{ROUTER}.priority": "-3",
        f"{ROUTER}.ruleSyntax": "v2",
    }
    reading, findings = read(labels)
    assert [draft.router for draft in reading.routers] == [
        Router(
            "web",
            "Host(`a.example`)",
            "other@file",
            ("web", "websecure"),
            ("auth@file", "add"),
            -3,
            "v2",
            False,
            "container box_1",
        )
    ]
    assert findings.problems == []


def test_all_options_of_a_service() -> None:
    labels = {
        f"{SERVICE}.server.port": "8080",
        f"{SERVICE}.server.scheme": "https",
        f"{SERVICE}.server.weight": "0",
        f"{SERVICE}.server.preservePath": "true",
        f"{SERVICE}.passHostHeader": "false",
        f"{SERVICE}.strategy": "wrr",
    }
    reading, findings = read(labels)
    (service,) = [draft.service for draft in reading.services]
    (server,) = service.servers
    assert (server.url, server.weight, server.preserve_path) == ("https://10.0.0.2:8080", 0, True)
    assert (service.name, service.pass_host_header, service.dialect) == ("web", False, "v3")
    assert findings.problems == []


@pytest.mark.parametrize(
    "labels, routers, services",
    [
        (COMPOSE, [("web-proj", "Host(`web-proj`)", "web-proj")], ["web-proj"]),
        ({}, [("box-1", "Host(`box-1`)", "box-1")], ["box-1"]),
        ({f"{SERVICE}.server.port": "81"}, [("box-1", "Host(`box-1`)", "web")], ["web"]),
        (RULE, [("web", "Host(`a.example`)", "box-1")], ["box-1"]),
        ({f"{ROUTER}.priority": "3"}, [("web", "Host(`box-1`)", "box-1")], ["box-1"]),
        (
            {"traefik.http.services.a.loadbalancer.server.port": "1", f"{SERVICE}.server.port": "2"},
            [],
            ["a", "web"],
        ),
    ],
)
def test_what_is_made_automatically(
    labels: dict[str, str], routers: list[tuple[str, str, str]], services: list[str]
) -> None:
    reading, findings = read(labels)
    findings.problems = [problem for problem in findings.problems if problem.severity != "info"]
    assert [
        (draft.router.name, draft.router.rule, draft.router.service) for draft in reading.routers
    ] == routers
    assert [draft.service.name for draft in reading.services] == services
    assert findings.problems == []


def test_several_routers_each_with_its_service() -> None:
    labels = {
        **RULE,
        f"{ROUTER}.service": "web",
        "traefik.http.routers.api.rule": "Host(`b.example`)",
        "traefik.http.routers.api.service": "api",
        f"{SERVICE}.server.port": "80",
        "traefik.http.services.api.loadbalancer.server.port": "81",
    }
    reading, _ = read(labels)
    assert {draft.router.name: draft.router.service for draft in reading.routers} == {
        "web": "web",
        "api": "api",
    }


def test_a_router_that_names_none_of_several_services_is_left_out() -> None:
    labels = {
        **RULE,
        f"{SERVICE}.server.port": "80",
        "traefik.http.services.api.loadbalancer.server.port": "81",
    }
    reading, findings = read(labels)
    assert reading.routers == []
    assert len(reading.services) == 2
    assert findings.problems[0].why == (
        "router web names no service, and the container declares several services (api, web); it is left out"
    )
    assert findings.problems[0].hint == "add label traefik.http.routers.web.service=web"


def test_the_default_rule_is_a_template() -> None:
    labels = {**COMPOSE, "site": "shop", "traefik.http.routers.web.priority": "1"}
    rule = 'Host(`{{ .ContainerName | lower }}.{{ index .Labels "site" }}.example`)'
    reading, _ = read(labels, Defaults(default_rule=rule))
    assert reading.routers[0].router.rule == "Host(`box_1.shop.example`)"


def test_a_default_rule_that_cant_be_used_is_said_once_and_makes_no_router() -> None:
    reading, findings = read({}, Defaults(default_rule="Host(`{{ .Nam }}`)"))
    assert reading.routers == []
    assert str(findings.problems[0]) == (
        "default rule Host(`{{ .Nam }}`): there is no field .Nam (character 10); did you mean .Name?"
    )


def test_a_default_rule_that_gives_nothing_makes_no_router() -> None:
    reading, findings = read({}, Defaults(default_rule="{{ index .Labels `site` }}"))
    assert reading.routers == []
    assert findings.problems[0].hint == "add label traefik.http.routers.box-1.rule=…"


def test_without_a_port_a_label_is_proposed() -> None:
    reading, findings = read(RULE, ports=())
    assert reading.idle == "no port exposed"
    assert findings.problems[0].hint == "add label traefik.http.services.box-1.loadbalancer.server.port=…"


def test_of_several_services_the_one_without_a_port_is_left_out() -> None:
    labels = {f"{SERVICE}.server.port": "80", "traefik.http.services.api.loadbalancer.strategy": "wrr"}
    reading, findings = read(labels, ports=())
    assert [draft.service.name for draft in reading.services] == ["web"]
    assert [problem.severity for problem in findings.problems] == ["error", "info"]


def test_a_router_to_a_service_elsewhere_needs_no_port() -> None:
    reading, findings = read({**RULE, f"{ROUTER}.service": "api@internal"}, ports=())
    assert [draft.router.service for draft in reading.routers] == ["api@internal"]
    assert (reading.services, findings.problems) == ([], [])


def test_a_bad_v1_port_beside_v3_labels_is_reported() -> None:
    reading, findings = read({**RULE, "traefik.port": '"8080"'})
    assert reading.services[0].service.servers[0].url == "http://10.0.0.2:80"
    assert [problem.where for problem in findings.problems] == ["container box_1, label traefik.port"]


def test_a_v1_port_beside_v3_labels_counts() -> None:
    reading, _ = read({**RULE, "traefik.port": "8080"})
    assert reading.services[0].service.servers[0].url == "http://10.0.0.2:8080"


@pytest.mark.parametrize(
    "key, value, why",
    [
        (f"{SERVICE}.server.port", "x", "'x' is not a whole number; 80 is used"),
        (f"{SERVICE}.server.scheme", "gopher", "'gopher' is unknown; http is used"),
        (f"{SERVICE}.passhostheader", "si", "'si' is neither true nor false; true is used"),
        (f"{SERVICE}.strategy", "best", "'best' is unknown; wrr is used"),
        (
            f"{SERVICE}.strategy",
            "p3c",
            "'p3c' is unknown; wrr is used",
        ),
    ],
)
def test_a_bad_value_is_refused_and_the_rest_stays(key: str, value: str, why: str) -> None:
    reading, findings = read({**RULE, key: value})
    assert reading.services[0].service.servers[0].url == "http://10.0.0.2:80"
    assert len(reading.routers) == 1
    assert [(problem.where, problem.why) for problem in findings.problems] == [
        (f"container box_1, label {key}", why)
    ]


@pytest.mark.parametrize(
    "url, hint",
    [
        ("10.0.0.9:80", "write http://10.0.0.9:80"),
        ("http://[::1", "write http://HOST:PORT"),
        ("h2c://10.0.0.9", "write http://HOST:PORT"),
        ("http://joe:secret@10.0.0.9", "write http://HOST:PORT"),
    ],
)
def test_a_bad_url_does_not_turn_to_the_container_itself(url: str, hint: str) -> None:
    reading, findings = read({**RULE, f"{SERVICE}.server.url": url})
    assert [draft.service.servers for draft in reading.services] == [()]
    assert len(reading.routers) == 1
    (problem,) = findings.problems
    assert problem.where == f"container box_1, label {SERVICE}.server.url"
    assert problem.why == "it is not a URL of a server; the service has no server"
    assert problem.hint == hint


def test_several_services_without_a_router_are_mentioned() -> None:
    labels = {f"{SERVICE}.server.port": "80", "traefik.http.services.api.loadbalancer.server.port": "81"}
    _, findings = read(labels)
    assert [(problem.severity, problem.why) for problem in findings.problems] == [
        ("info", "it declares several services (api, web) and no router, so that none is made by itself")
    ]


def test_a_url_stands_for_itself() -> None:
    labels = {f"{SERVICE}.server.url": "https://192.0.2.7:8443/", f"{SERVICE}.server.port": "80"}
    reading, findings = read(labels, ports=())
    assert reading.services[0].service.servers[0].url == "https://192.0.2.7:8443"
    assert [problem.where for problem in findings.problems] == [
        f"container box_1, label {SERVICE}.server.port"
    ]


@pytest.mark.parametrize(
    "labels, tls, warnings",
    [
        ({f"{ROUTER}.tls": "true"}, True, 0),
        ({f"{ROUTER}.tls": ""}, True, 0),
        ({f"{ROUTER}.tls": "false"}, False, 0),
        ({f"{ROUTER}.tls": "false", f"{ROUTER}.tls.certresolver": "le"}, False, 1),
        ({f"{ROUTER}.tls.options": "default@file"}, True, 0),
        ({f"{ROUTER}.tls.certresolver": "le"}, True, 1),
        ({f"{ROUTER}.tls.domains[0].main": "a.example"}, True, 1),
    ],
)
def test_a_router_with_tls_answers_no_plain_requests(
    labels: dict[str, str], tls: bool, warnings: int
) -> None:
    reading, findings = read({**RULE, **labels})
    assert (reading.routers[0].router.tls, reading.routers[0].refused) == (tls, False)
    assert [problem.severity for problem in findings.problems] == ["warning"] * warnings


@pytest.mark.parametrize("written, name", [("mtls@file", "mtls@file"), (" mtls ", "mtls"), ("default", "")])
def test_a_router_names_its_tls_options(written: str, name: str) -> None:
    reading, findings = read({**RULE, f"{ROUTER}.tls.options": written})
    router = reading.routers[0].router
    assert (router.tls, router.tls_options, findings.problems) == (True, name, [])


def test_a_router_whose_tls_options_are_misspelt_is_not_opened() -> None:
    reading, _ = read({**RULE, f"{ROUTER}.tls.optoins": "mtls@file"})
    assert reading.routers[0].refused


def test_middlewares_keep_nested_settings_as_text() -> None:
    labels = {
        "traefik.http.middlewares.Add.addprefix.prefix": "/x",
        "traefik.http.middlewares.h.headers.customrequestheaders.X-A": "1",
        "traefik.http.middlewares.h.headers.customRequestHeaders": "",
        "traefik.http.middlewares.h.headers.customrequestheaders.X-B": "",
        "traefik.http.middlewares.s.stripprefix.prefixes[0]": "/a",
        "traefik.http.middlewares.c.compress": "true",
        "traefik.http.middlewares.o.myOwn.key": "v",
    }
    reading, _ = read(labels)
    origin = "container box_1"
    assert sorted(reading.middlewares, key=lambda m: m.name) == [
        Middleware("Add", "addPrefix", {"prefix": "/x"}, origin),
        Middleware("c", "compress", {}, origin),
        Middleware(
            "h",
            "headers",
            {"customRequestHeaders": {"X-A": "1", "X-B": ""}},
            origin,
        ),
        Middleware("o", "myOwn", {"key": "v"}, origin),
        Middleware("s", "stripPrefix", {"prefixes[0]": "/a"}, origin),
    ]


def test_what_only_switches_a_level_on_gives_way_to_what_is_below() -> None:
    labels = {
        "traefik.http.middlewares.p.passtlsclientcert.info.subject": "true",
        "traefik.http.middlewares.p.passtlsclientcert.info.subject.country": "true",
    }
    reading, _ = read(labels)
    assert reading.middlewares[0].settings == {"info": {"subject": {"country": "true"}}}


def test_a_value_where_options_belong_is_told_without_being_shown() -> None:
    key = "traefik.http.middlewares.auth.basicauth"
    reading, findings = read({**RULE, key: "admin:secret", "traefik.http.middlewares.small.compress": "T"})
    assert [(middleware.name, middleware.settings) for middleware in reading.middlewares] == [
        ("auth", {}),
        ("small", {}),
    ]
    (problem,) = findings.problems
    assert (problem.where, problem.hint) == (f"container box_1, label {key}", f"write {key}.OPTION=…")
    assert problem.why == "basicauth takes no value but true: its options stand below it"


def test_a_middleware_of_two_types_is_left_out() -> None:
    labels = {
        "traefik.http.middlewares.m.addprefix.prefix": "/x",
        "traefik.http.middlewares.m.basicauth.users": "a:b",
    }
    reading, findings = read(labels)
    assert reading.middlewares == []
    assert findings.problems[0].severity == "error"


@pytest.mark.parametrize(
    "labels, refused",
    [
        ({}, False),
        ({f"{ROUTER}.midlewares": "auth"}, True),
        ({f"{SERVICE}.middlewares": "auth", f"{SERVICE}.server.port": "80"}, True),
        ({f"{ROUTER}.http.middlewares": "auth"}, True),
        ({"traefik.http.services.web.middlewares": "auth"}, False),
        ({"traefik.frontend.auth.basic.users": "a:b"}, True),
        ({"traefik.frontend.auth.basic.users": "a:b", f"{ROUTER}.middlewares": "auth"}, False),
    ],
)
def test_a_router_that_may_be_protected_is_not_opened_without(labels: dict[str, str], refused: bool) -> None:
    reading, findings = read({**RULE, **labels})
    assert [draft.refused for draft in reading.routers] == [refused]
    assert not refused or findings.problems


def service_of(**labels: str) -> tuple[Service, list[str]]:
    """The service of a container with these labels, and what is said about them."""
    named = {f"{SERVICE}.{key.replace('_', '.')}": value for key, value in labels.items()}
    reading, findings = read({**RULE, **named})
    return reading.services[0].service, [f"{one.why}; {one.hint}" for one in findings.problems]


def test_what_a_service_is_besides_its_servers() -> None:
    service, said = service_of(
        strategy="P2C",
        sticky_cookie_name="pin",
        sticky_cookie_secure="true",
        sticky_cookie_sameSite="Lax",
        sticky_cookie_maxAge="60",
        passiveHealthCheck_failureWindow="3s",
        passiveHealthCheck_maxFailedAttempts="2",
        responseForwarding_flushInterval="-1",
        serversTransport="mutual@file",
    )
    assert said == []
    assert service.strategy == "p2c"
    assert service.sticky == Sticky("pin", secure=True, same_site="lax", max_age=60)
    assert service.passive_health == PassiveHealth(3.0, 2)
    assert (service.flush_interval, service.transport) == (-1.0, "mutual@file")


@pytest.mark.parametrize(("value", "sticky"), [("true", Sticky()), ("", Sticky()), ("false", None)])
def test_a_cookie_needs_no_option(value: str, sticky: Sticky | None) -> None:
    assert service_of(sticky_cookie=value)[0].sticky == sticky


def test_sticky_without_a_cookie_does_nothing_and_says_so() -> None:
    service, said = service_of(sticky="true")
    assert service.sticky is None
    assert said == [f"does nothing by itself; write {SERVICE}.sticky.cookie=true"]
    assert service_of(sticky="true", sticky_cookie="true") == (replace(service, sticky=Sticky()), [])


def test_a_wrong_value_of_a_section_is_the_default() -> None:
    service, said = service_of(sticky_cookie_secure="yes", sticky_cookie_name="pin")
    assert service.sticky == Sticky("pin")
    assert said == ["expected true or false, got the text 'yes'; "]


def test_middlewares_of_a_service_are_in_their_order() -> None:
    reading, findings = read({**RULE, "traefik.http.services.web.middlewares": "auth, add@file"})
    assert reading.services[0].service.middlewares == ("auth", "add@file")
    assert findings.problems == []


def test_a_misspelt_protection_alone_makes_no_automatic_router() -> None:
    reading, _ = read({f"{ROUTER}.midlewares": "auth"})
    assert reading.routers == []
