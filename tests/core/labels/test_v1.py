"""v1 labels of one container."""

from __future__ import annotations

import pytest

from dynbalancer.core.labels import v1
from dynbalancer.core.labels.addresses import place_of
from dynbalancer.core.labels.containers import Container, Defaults
from dynbalancer.core.labels.drafts import Reading
from dynbalancer.core.labels.findings import Findings
from dynbalancer.core.labels.sheet import sheet_of

COMPOSE = {"com.docker.compose.project": "proj", "com.docker.compose.service": "whoami1"}
RULE = {"traefik.frontend.rule": "Host:a.example"}


def read(
    labels: dict[str, str],
    defaults: Defaults | None = None,
    ports: tuple[int, ...] = (80, 90),
    state: str = "running",
) -> tuple[Reading, Findings]:
    container = Container("id1", "box_1", labels=labels, networks={"x": "10.0.0.2"}, ports=ports, state=state)
    findings = Findings("box_1")
    sheet = sheet_of(labels, findings)
    return v1.read(place_of(container, defaults or Defaults(), sheet.docker), sheet, findings), findings


@pytest.mark.parametrize(
    "labels, domain, router, rule, service",
    [
        (
            COMPOSE,
            "docker.localhost",
            "Host-whoami1-proj-docker-localhost",
            "Host:whoami1.proj.docker.localhost",
            "whoami1-proj",
        ),
        (COMPOSE, "", "Host-whoami1-proj", "Host:whoami1.proj", "whoami1-proj"),
        ({}, "x.example", "Host-box-1-x-example", "Host:box-1.x.example", "box-1"),
        (
            {"traefik.domain": "y.example"},
            "x.example",
            "Host-box-1-y-example",
            "Host:box-1.y.example",
            "box-1",
        ),
        (RULE, "x.example", "Host-a-example", "Host:a.example", "box-1"),
        ({**RULE, "traefik.backend": "my_pool"}, "", "Host-a-example", "Host:a.example", "my-pool"),
    ],
)
def test_names_and_rules(labels: dict[str, str], domain: str, router: str, rule: str, service: str) -> None:
    reading, findings = read(labels, Defaults(domain=domain))
    (draft,) = reading.routers
    assert (draft.router.name, draft.router.rule, draft.router.service) == (router, rule, service)
    assert draft.router.dialect == "v1"
    assert draft.router.origin == "container box_1"
    assert reading.services[0].service.name == service
    assert findings.problems == []


def test_options_of_the_frontend_and_of_the_server() -> None:
    labels = {
        **RULE,
        "traefik.port": "8080",
        "traefik.protocol": "https",
        "traefik.weight": "5",
        "traefik.frontend.entryPoints": "http, https",
        "traefik.frontend.priority": "7",
        "traefik.frontend.passHostHeader": "false",
        "traefik.backend.loadbalancer.method": "WRR",
    }
    reading, findings = read(labels)
    (draft,), (offer,) = reading.routers, reading.services
    assert draft.router.entry_points == ("http", "https")
    assert draft.router.priority == 7
    assert offer.service.pass_host_header is False
    assert [(server.url, server.weight) for server in offer.service.servers] == [("https://10.0.0.2:8080", 5)]
    assert findings.problems == []


@pytest.mark.parametrize(
    "key, value, why",
    [
        ("traefik.port", "http", "'http' is not a whole number; 80 is used"),
        ("traefik.port", "99999", "99999 is not between 1 and 65535; 80 is used"),
        ("traefik.weight", "-2", "-2 is not between 0 and 2147483647; 1 is used"),
        ("traefik.protocol", "ftp", "'ftp' is unknown; http is used"),
        ("traefik.frontend.priority", "high", "'high' is not a whole number; 0 is used"),
        ("traefik.frontend.passHostHeader", "maybe", "'maybe' is neither true nor false; true is used"),
    ],
)
def test_a_bad_value_is_refused_and_the_rest_stays(key: str, value: str, why: str) -> None:
    reading, findings = read({**RULE, key: value})
    assert [server.url for server in reading.services[0].service.servers] == ["http://10.0.0.2:80"]
    assert reading.services[0].service.servers[0].weight == 1
    assert [(problem.where, problem.why) for problem in findings.problems] == [
        (f"container box_1, label {key}", why)
    ]


def test_weight_zero_counts_as_one() -> None:
    reading, _ = read({**RULE, "traefik.weight": "0"})
    assert reading.services[0].service.servers[0].weight == 1


def test_without_a_port_nothing_is_made_and_a_label_is_proposed() -> None:
    reading, findings = read(RULE, ports=())
    assert (reading.routers, reading.services, reading.idle) == ([], [], "no port exposed")
    assert str(findings.problems[0]) == "container box_1: no port exposed; add label traefik.port=…"


def test_without_labels_a_missing_port_is_only_mentioned() -> None:
    _, findings = read(COMPOSE, ports=())
    assert [problem.severity for problem in findings.problems] == ["info"]


def test_without_a_rule_nothing_is_made() -> None:
    reading, _ = read({})
    assert reading.routers == []
    assert reading.idle.startswith("no rule")


@pytest.mark.parametrize(("written", "strategy"), [("drr", "drr"), ("WRR", "wrr"), ("rrd", "wrr")])
def test_the_method_is_the_strategy(written: str, strategy: str) -> None:
    reading, findings = read({**RULE, "traefik.backend.loadbalancer.method": written})
    assert reading.services[0].service.strategy == strategy
    assert bool(findings.problems) is (written == "rrd")


def test_segments_inherit_from_the_container_and_replace_it() -> None:
    labels = {
        **COMPOSE,
        **RULE,
        "traefik.protocol": "https",
        "traefik.api.port": "81",
        "traefik.api.frontend.rule": "Host:api.example",
        "traefik.admin.port": "82",
        "traefik.admin.backend": "x",
        "traefik.admin.protocol": "http",
    }
    reading, findings = read(labels)
    assert [(draft.router.name, draft.router.rule, draft.router.service) for draft in reading.routers] == [
        ("admin-whoami1-proj-x", "Host:a.example", "whoami1-proj-x"),
        ("api-whoami1-proj-api", "Host:api.example", "whoami1-proj-api"),
    ]
    assert [offer.service.servers[0].url for offer in reading.services] == [
        "http://10.0.0.2:82",
        "https://10.0.0.2:81",
    ]
    assert findings.problems == []


def test_a_segment_without_a_rule_says_so_and_the_others_stay() -> None:
    labels = {
        "traefik.web.port": "9000",
        "traefik.api.port": "81",
        "traefik.api.frontend.rule": "Host:api.example",
    }
    reading, findings = read(labels)
    assert [draft.router.name for draft in reading.routers] == ["api-box-1-api"]
    assert [(problem.severity, str(problem)) for problem in findings.problems] == [
        ("error", "container box_1: segment web has no rule; add label traefik.web.frontend.rule=…")
    ]


def test_a_rule_that_no_segment_uses_is_pointed_out() -> None:
    labels = {
        **RULE,
        "traefik.api.frontend.rule": "Host:api.example",
        "traefik.adm.frontend.rule": "Host:b.example",
    }
    _, findings = read(labels)
    (problem,) = findings.problems
    assert (problem.severity, problem.where) == ("warning", "container box_1, label traefik.frontend.rule")
    assert problem.why == "not used: beside segments (adm, api), it is for those without a rule of their own"


def test_a_segment_without_a_port_names_its_label() -> None:
    _, findings = read({**RULE, "traefik.api.weight": "2"}, ports=())
    assert findings.problems[0].hint == "add label traefik.api.port=…"


def test_a_router_with_labels_that_keep_requests_out_is_refused() -> None:
    labels = {
        **RULE,
        "traefik.api.port": "81",
        "traefik.adm.port": "82",
        "traefik.adm.frontend.auth.forward.addres": "http://login.example",
    }
    reading, _ = read(labels)
    assert [(draft.router.name, draft.refused) for draft in reading.routers] == [
        ("adm-box-1-adm", True),
        ("api-box-1-api", False),
    ]
    reading, _ = read({**labels, "traefik.frontend.auth.basic.users": ""})
    assert [draft.refused for draft in reading.routers] == [True, True]


def test_a_stopped_container_has_a_router_and_no_server() -> None:
    reading, findings = read(RULE, ports=(), state="exited")
    assert len(reading.routers) == 1
    assert reading.services[0].service.servers == ()
    assert findings.problems[1:] == []


def test_path_modifiers_are_kept_for_later() -> None:
    reading, _ = read({"traefik.frontend.rule": "Host:a.example;PathPrefixStrip:/x"})
    assert [modifier.type for modifier in reading.routers[0].modifiers] == ["stripPrefix"]
