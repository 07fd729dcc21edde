"""Sections within a service, from labels."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.labels.findings import Findings, Label
from dynbalancer.core.labels.sections import section_of
from dynbalancer.core.model import HealthCheck
from dynbalancer.errors import Problem

PREFIX = "traefik.http.services.web.loadbalancer.healthcheck."


def read(**values: str) -> tuple[Any, list[Problem]]:
    findings = Findings("box_1")
    fields = {
        f"loadbalancer.healthcheck.{key.replace('_', '.').lower()}": Label(
            PREFIX + key.replace("_", "."), value
        )
        for key, value in values.items()
    }
    return section_of("healthCheck", "loadbalancer.healthcheck.", fields, findings), findings.problems


def test_all_keys_in_any_letter_case() -> None:
    found, problems = read(
        path="/health",
        scheme="https",
        mode="http",
        hostname="a.example",
        port="8443",
        interval="10s",
        unhealthyInterval="2s",
        timeout="3s",
        method="head",
        status="204",
        followRedirects="false",
        **{"headers_X-Token": "b", "headers_X-Other": "c"},
    )
    assert found == HealthCheck(
        "/health",
        "https",
        "http",
        "a.example",
        8443,
        10.0,
        2.0,
        3.0,
        "HEAD",
        204,
        False,
        (("X-Token", "b"), ("X-Other", "c")),
    )
    assert problems == []


def test_no_label_is_no_section_and_nothing_to_say() -> None:
    assert read() == (None, [])


def test_an_empty_value_counts_as_absent() -> None:
    assert read(path="/health", scheme="") == (HealthCheck("/health"), [])


def test_without_its_path_it_is_not_used() -> None:
    found, problems = read(interval="10s")
    assert found is None
    assert problems == [
        Problem(
            "container box_1",
            "healthCheck is not used: its path is missing",
            f"add label {PREFIX}path=…",
        )
    ]


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("mode", "grpc", "expected http, got the text 'grpc'"),
        ("port", "web", "expected a whole number, got the text 'web'"),
        ("path", "http://b.example/", "expected a path such as /health, got the text 'http://b.example/'"),
        ("headers_Host", "b.example", "expected header fields without Host"),
    ],
)
def test_where_how_to_ask_is_wrong_nobody_is_asked(key: str, value: str, why: str) -> None:
    found, problems = read(**{"path": "/health", key: value})
    assert found is None
    assert [problem.why for problem in problems] == [why]
    assert [problem.where for problem in problems] == [
        f"container box_1, label {PREFIX}{key.replace('_', '.')}"
    ]


@pytest.mark.parametrize("key", ["interval", "unhealthyInterval", "timeout"])
def test_a_wrong_duration_leaves_the_default(key: str) -> None:
    found, problems = read(path="/health", **{key: "0"})
    assert found == HealthCheck("/health")
    assert [problem.why for problem in problems] == [
        "expected a duration above zero, such as 10s, got the text '0'"
    ]


def test_a_secret_in_a_field_is_not_repeated() -> None:
    _, problems = read(path="/health", **{"headers_X-Token": "se\ncret"})
    assert [problem for problem in problems if "cret" in problem.why + problem.hint] == []
    assert len(problems) == 1


def test_a_timeout_above_the_interval_is_told_at_its_label() -> None:
    found, (problem,) = read(path="/health", interval="2s", timeout="3s")
    assert found == HealthCheck("/health", interval=2.0, timeout=3.0)
    assert (problem.where, problem.severity) == (f"container box_1, label {PREFIX}timeout", "warning")


def test_what_is_switched_off_by_its_own_name_is_off_whatever_is_below() -> None:
    findings = Findings("box_1")
    below = {"sticky.cookie": Label("c", "false"), "sticky.cookie.name": Label("c.name", "x")}
    assert section_of("cookie", "sticky.cookie.", below, findings) is None
    assert findings.problems == []
