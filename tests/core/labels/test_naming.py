"""The names that Traefik gives."""

from __future__ import annotations

import pytest

from dynbalancer.core.labels import naming
from dynbalancer.core.labels.containers import Container

COMPOSE = {"com.docker.compose.project": "proj", "com.docker.compose.service": "whoami1"}


@pytest.mark.parametrize(
    "text, normal",
    [
        ("whoami1_proj", "whoami1-proj"),
        ("/web.1", "web-1"),
        ("--a--b--", "a-b"),
        ("Host:a.example;Path:/x-0", "Host-a-example-Path-x-0"),
        ("año²", "año"),
        ("", ""),
        ("__", ""),
    ],
)
def test_normalize_joins_letters_and_digits_by_dashes(text: str, normal: str) -> None:
    assert naming.normalize(text) == normal


@pytest.mark.parametrize("name, part", [("/web_1", "web-1"), ("a/b_c", "a-b-c"), ("Web.proj", "Web.proj")])
def test_sub_makes_a_part_of_a_host_name(name: str, part: str) -> None:
    assert naming.sub(name) == part


@pytest.mark.parametrize(
    "labels, service",
    [({}, "box_1"), (COMPOSE, "whoami1_proj"), ({"com.docker.compose.service": "x"}, "box_1")],
)
def test_service_name_needs_both_compose_labels(labels: dict[str, str], service: str) -> None:
    assert naming.service_name(Container("1", "box_1", labels=labels)) == service


@pytest.mark.parametrize(
    "labels, domain, rule",
    [
        (COMPOSE, "docker.localhost", "Host:whoami1.proj.docker.localhost"),
        (COMPOSE, "", "Host:whoami1.proj"),
        ({}, ".docker.localhost.", "Host:box-1.docker.localhost"),
        ({}, "docker.localhost", "Host:box-1.docker.localhost"),
        ({}, "", ""),
    ],
)
def test_default_rule(labels: dict[str, str], domain: str, rule: str) -> None:
    assert naming.default_rule(Container("1", "box_1", labels=labels), domain) == rule


@pytest.mark.parametrize(
    "backend, segment, name",
    [("", "", "whoami1-proj"), ("a.b", "", "a-b"), ("a", "s", "whoami1-proj-a"), ("", "s", "whoami1-proj-s")],
)
def test_backend_name(backend: str, segment: str, name: str) -> None:
    assert naming.backend_name(Container("1", "box", labels=COMPOSE), backend, segment) == name


def test_frontend_name_is_of_the_rule_or_of_the_segment() -> None:
    rule = "Host:whoami1.proj.docker.localhost"
    assert naming.frontend_name(rule, "", "whoami1-proj") == "Host-whoami1-proj-docker-localhost"
    assert naming.frontend_name(rule, "api", "whoami1-proj-api") == "api-whoami1-proj-api"
    assert [naming.numbered(name, 3) for name in ("Host-a", "")] == ["Host-a-3", "3"]


def test_unique_counts_up() -> None:
    assert naming.unique("web", {"api"}) == "web"
    assert naming.unique("web", {"web", "web-2"}) == "web-3"
