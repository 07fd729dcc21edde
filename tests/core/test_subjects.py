"""Whom a problem is about, from its words."""

from __future__ import annotations

import pytest

from dynbalancer.core.labels.findings import Findings
from dynbalancer.core.model import Middleware, Router
from dynbalancer.core.routes import problem_of
from dynbalancer.core.subjects import Subject, label_of, subject_of
from dynbalancer.errors import Problem

RULE = "traefik.http.routers.Web.rule"
LABELS = (
    "traefik.enable",
    RULE,
    "traefik.http.routers.Web.middlewares",
    "traefik.http.middlewares.auth.basicauth.users",
    "traefik.http.middlewares.auth.basicauth.removeheader",
)
V1_LABELS = (
    "traefik.port",
    "traefik.frontend.rule",
    "traefik.frontend.entryPoints",
    "traefik.frontend.auth.basic",
)


def test_what_the_readers_of_labels_write_is_read_back() -> None:
    findings = Findings("web-1")
    findings.label("traefik.prot", "why")
    findings.whole("why")
    found = [subject_of(problem.where) for problem in findings.problems]
    assert found == [Subject(container="web-1", label="traefik.prot"), Subject(container="web-1")]


def test_what_the_table_writes_is_read_back() -> None:
    router = Router("web@docker", "Host(`a.example`)", "s", origin="container web-1")
    middleware = Middleware(
        "a@docker", "basicAuth", origin="label traefik.frontend.auth.basic of container web-1"
    )
    assert subject_of(problem_of("router", router, "why").where) == Subject("router", "web@docker", "web-1")
    assert subject_of(problem_of("middleware", middleware, "why").where) == Subject(
        "middleware", "a@docker", "web-1", "traefik.frontend.auth.basic"
    )


@pytest.mark.parametrize(
    "where, expected",
    [
        ("service web", Subject("service", "web")),
        ("middleware a of PathPrefixStrip in the rule of container w", Subject("middleware", "a", "w")),
        ("router web@file of d.yml", Subject("router", "web@file")),
        ("TCP router db@file of d.yml", Subject("router", "db@file", root="tcp")),
        ("UDP service db@docker of container w", Subject("service", "db@docker", "w", root="udp")),
        ("file d.yml, line 3: http.routers.web", Subject()),
        ("default rule Host(`{{ .Name }}`)", Subject()),
    ],
)
def test_other_places(where: str, expected: Subject) -> None:
    assert subject_of(where) == expected


TCP_LABELS = (
    "traefik.tcp.routers.db.rule",
    "traefik.tcp.routers.db.service",
    "traefik.tcp.routers.db.tls.domains[0].main",
    "traefik.tcp.routers.db.tls.domains[1].main",
    "traefik.tcp.services.s.loadbalancer.server.port",
)


@pytest.mark.parametrize(
    "where, why, labels, expected",
    [
        ("container w, label traefik.enable", "", LABELS, "traefik.enable"),
        ("container w, label TRAEFIK.enable", "", LABELS, "traefik.enable"),
        ("container w, label traefik.gone", "", LABELS, ""),
        ("container w, label traefik.tcp.routers.db.tls.domains", "", TCP_LABELS, TCP_LABELS[2]),
        ("TCP router db@docker of container w", "rule x: wrong", TCP_LABELS, TCP_LABELS[0]),
        ("TCP router db@docker of container w", "service x is gone", TCP_LABELS, TCP_LABELS[1]),
        ("UDP router db@docker of container w", "service x is gone", TCP_LABELS, ""),
        ("TCP service s@docker of container w", "wrong", TCP_LABELS, TCP_LABELS[4]),
        ("container w", "no port exposed", LABELS, ""),
        ("router web@docker of container w", "rule x: unsupported function", LABELS, RULE),
        ("router web@docker of container w", 'middleware "a" does not exist', LABELS, LABELS[2]),
        ("router web@docker of container w", "never gets a request", LABELS, RULE),
        ("router other@docker of container w", "rule x: wrong", LABELS, ""),
        ("container w", "router web names no service, and the container declares several", LABELS, RULE),
        ("middleware auth@docker of container w", "option users: wrong", LABELS, LABELS[3]),
        ("middleware auth@docker of container w", "wrong", LABELS, LABELS[4]),
        ("router Host-a-0@docker of container w", "rule x: wrong", V1_LABELS, V1_LABELS[1]),
        ("router Host-a-0@docker of container w", 'entryPoint "x"', V1_LABELS, V1_LABELS[2]),
        ("middleware b@docker of AddPrefix in the rule of container w", "wrong", V1_LABELS, V1_LABELS[1]),
        (
            "middleware b@docker of label traefik.frontend.auth.basic of container w",
            "",
            V1_LABELS,
            V1_LABELS[3],
        ),
    ],
)
def test_the_label_that_a_problem_is_about(
    where: str, why: str, labels: tuple[str, ...], expected: str
) -> None:
    assert label_of(Problem(where, why), labels) == expected
