"""Labels sorted by what they are about."""

from __future__ import annotations

import pytest

from dynbalancer.core.labels.findings import Findings
from dynbalancer.core.labels.sheet import HIDDEN, Sheet, sheet_of


def read(labels: dict[str, str]) -> tuple[Sheet, Findings]:
    findings = Findings("web-1")
    return sheet_of(labels, findings), findings


def test_v1_labels_of_the_container_and_of_segments() -> None:
    found, findings = read(
        {
            "traefik.port": "80",
            "traefik.frontend.rule": "Host:a",
            "traefik.api.port": "81",
            "traefik.api.frontend.rule": "Host:b",
            "traefik.api.backend": "x",
            "traefik.my.admin.weight": "3",
        }
    )
    assert {key: label.value for key, label in found.v1.items()} == {"port": "80", "frontend.rule": "Host:a"}
    assert {name: sorted(fields) for name, fields in found.segments.items()} == {
        "api": ["backend", "frontend.rule", "port"],
        "my.admin": ["weight"],
    }
    assert (found.speaks_v1, found.speaks_v3, found.v1_rule) == (True, False, True)
    assert findings.problems == []


def test_v3_labels_are_no_segments() -> None:
    found, findings = read(
        {
            "traefik.http.routers.Web.Rule": "Host(`a`)",
            "traefik.http.routers.web.entryPoints": "http",
            "traefik.HTTP.services.web.loadBalancer.server.port": "80",
            "traefik.http.middlewares.add.addPrefix.prefix": "/x",
            "traefik.docker.network": "front",
        }
    )
    assert found.segments == {}
    assert {name: sorted(fields) for name, fields in found.routers.items()} == {
        "Web": ["entrypoints", "rule"]
    }
    assert list(found.services["web"]) == ["loadbalancer.server.port"]
    assert [path for path, _ in found.middlewares["add"]] == [("addPrefix", "prefix")]
    assert found.docker["docker.network"].value == "front"
    assert (found.speaks_v1, found.speaks_v3) == (False, True)
    assert findings.problems == []


@pytest.mark.parametrize("key", ["traefik.enable", "traefik.tags", "traefik.docker.network"])
def test_some_labels_belong_to_no_manner(key: str) -> None:
    found, _ = read({key: "true"})
    assert (found.speaks_v1, found.speaks_v3) == (False, False)


def test_labels_of_tcp_and_udp_are_kept_for_their_own_reader() -> None:
    labels = {"traefik.tcp.routers.db.rule": "HostSNI(`*`)", "traefik.UDP.services.d.x": "1"}
    found, findings = read(labels)
    assert [label.key for label in found.streams] == sorted(labels)
    assert (found.other_families, findings.problems) == (False, [])


def test_other_families_are_for_later() -> None:
    found, findings = read({"traefik.tls.stores.default.defaultgeneratedcert.resolver": "le"})
    assert found.other_families
    assert [problem.severity for problem in findings.problems] == ["warning"]


@pytest.mark.parametrize(
    "key",
    [
        "traefik.swarm.network",
        "traefik.docker.lbswarm",
        "traefik.http.routers.a.observability.metrics",
        "traefik.http.routers.a.tls.certresolver",
    ],
)
def test_labels_of_later_versions_are_a_warning_each(key: str) -> None:
    _, findings = read({key: "x"})
    assert [(problem.severity, problem.where) for problem in findings.problems] == [
        ("warning", f"container web-1, label {key}")
    ]


def test_what_would_be_on_and_can_not_be_switched_off_is_a_problem() -> None:
    _, findings = read({"traefik.http.routers.a.observability.metrics": "false"})
    assert [problem.severity for problem in findings.problems] == ["warning"]


def test_v1_labels_in_another_case_are_read() -> None:
    found, findings = read({"Traefik.Frontend.Rule": "Host:a", "traefik.frontend.rule": "Host:b"})
    assert found.v1["frontend.rule"].value == "Host:b"
    assert [(problem.severity, problem.where) for problem in findings.problems] == [
        ("info", "container web-1, label Traefik.Frontend.Rule")
    ]


def test_an_empty_v1_label_is_an_absent_one() -> None:
    found, _ = read({"traefik.frontend.rule": "", "traefik.port": "80"})
    assert list(found.v1) == ["port"]
    assert not found.v1_rule


@pytest.mark.parametrize(
    "key, hint",
    [
        ("traefik.prot", "did you mean traefik.port?"),
        ("traefk.port", "did you mean traefik.port?"),
        ("traefik.htpp.services.web.loadbalancer.server.port", "did you mean traefik.http.services.web."),
        ("traefik.http.routers.web.ruel", "did you mean traefik.http.routers.web.rule?"),
        ("traefik.frontend.rul", "did you mean traefik.frontend.rule?"),
        ("traefik.docker.netwrk", "did you mean traefik.docker.network?"),
        ("traefik.http.routers.rule", ""),
        ("traefik.http.routers..rule", ""),
        ("traefik.http", ""),
        ("traefik.xyzzy", ""),
    ],
)
def test_unknown_labels_are_refused_with_the_nearest_right_key(key: str, hint: str) -> None:
    found, findings = read({key: "80"})
    assert not (found.v1 or found.segments or found.routers or found.services)
    (problem,) = findings.problems
    assert problem.where == f"container web-1, label {key}"
    assert problem.severity == "error"
    assert problem.hint.startswith(hint)


@pytest.mark.parametrize(
    "key",
    [
        "maintainer",
        "com.example.traefik.port",
        "traffic.shape",
        "tls.port",
        "traefik",
        "traefik-net",
        "traefik_net",
    ],
)
def test_labels_of_others_are_left_alone(key: str) -> None:
    found, findings = read({key: "x"})
    assert found.ours == {}
    assert findings.problems == []


@pytest.mark.parametrize(
    "key", ["traefk.enable", "Treafik.frontend.rule", "traefik-enable", "traefik.enabled"]
)
def test_misspelt_roots_and_enables_decide_whether_it_is_meant_for_us(key: str) -> None:
    _, findings = read({key: "true"})
    assert findings.roots == findings.problems != []


@pytest.mark.parametrize(
    "key, segments, routers, services",
    [
        ("traefik.frontend.auth.basic.users", [""], [], []),
        ("traefik.frontend.auth.basic", [""], [], []),
        ("traefik.api.frontend.whiteList.sourceRange", ["api"], [], []),
        ("traefik.frontend.auht.basic.users", [""], [], []),
        ("traefik.frontend.auth.oidc", [""], [], []),
        ("traefik.api.frontend.auth.basic.user", ["api"], [], []),
        ("traefik.http.routers.Web.midlewares", [], ["web"], []),
        ("traefik.htpp.routers.web.middlewares", [], ["web"], []),
        ("traefik.http.services.web.midlewares", [], [], ["web"]),
        ("traefik.http.services.web.midlewares", [], [], ["web"]),
        ("traefik.http.routers.web.entrypoint", [], ["web"], []),
        ("traefik.http.routers.web.tsl", [], ["web"], []),
        ("traefik.frontend.entryPoint", [""], [], []),
        ("traefik.api.frontend.entrypiont", ["api"], [], []),
        ("traefik.frontend.headers.SSLRedirect", [""], [], []),
        ("traefik.auth.basic.users", [""], [], []),
    ],
)
def test_whatever_may_keep_requests_out_closes_what_it_is_about(
    key: str, segments: list[str], routers: list[str], services: list[str]
) -> None:
    found, findings = read({key: ""})
    assert list(found.restricted_segments) == segments
    assert list(found.restricted_routers) == routers
    assert list(found.restricted_services) == services
    assert findings.problems[0].severity == "error"
    assert "not opened" in findings.problems[0].why


@pytest.mark.parametrize(
    "key", ["traefik.frontend.headers.SSLRedirect", "traefik.frontend.whiteList.useXForwardedFor"]
)
def test_what_keeps_requests_out_may_be_switched_off(key: str) -> None:
    found, findings = read({key: "false"})
    assert (found.restricted_segments, findings.problems) == ({}, [])


def test_a_name_with_an_at_sign_is_refused() -> None:
    found, findings = read({"traefik.http.routers.web@docker.rule": "Host(`a`)"})
    assert found.routers == {}
    assert findings.problems[0].why == "a name must not contain '@'"
    assert findings.problems[0].hint == "write traefik.http.routers.web.rule; @docker is appended by itself"


@pytest.mark.parametrize("key", [" traefik.enable", "traefik.enable ", "\ttraefik.enable"])
def test_blanks_around_a_key_are_pointed_out(key: str) -> None:
    _, findings = read({key: "true"})
    (problem,) = findings.roots
    assert problem.why == "this label has a blank before or after its key, and is not used"
    assert problem.hint == "did you mean traefik.enable?"


def test_secrets_are_not_shown() -> None:
    found, _ = read({"traefik.http.middlewares.a.basicauth.users": "joe:$apr1$x", "traefik.port": "80"})
    assert found.ours == {"traefik.http.middlewares.a.basicauth.users": HIDDEN, "traefik.port": "80"}


def test_void_labels_are_mentioned() -> None:
    _, findings = read({"traefik.portIndex": "1"})
    assert [(problem.severity, problem.why) for problem in findings.problems] == [
        ("info", "means nothing for Docker containers")
    ]


def test_entries_of_lists_may_be_labels_of_their_own() -> None:
    found, findings = read(
        {
            "traefik.http.routers.r.middlewares[0]": "a",
            "traefik.http.routers.r.middlewares[1]": "b@file",
            "traefik.http.routers.r.entryPoints[0]": "web",
            "traefik.http.services.s.middlewares[0]": "c",
        }
    )
    assert {key: label.value for key, label in found.routers["r"].items()} == {
        "middlewares": "a,b@file",
        "entrypoints": "web",
    }
    assert found.services["s"]["middlewares"].value == "c"
    assert findings.problems == []


def test_entry_of_a_list_that_is_too_long_for_order_closes_the_router() -> None:
    found, findings = read({"traefik.http.routers.r.middlewares[10]": "a"})
    assert list(found.restricted_routers) == ["r"]
    assert len(findings.problems) == 1
