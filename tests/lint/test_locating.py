"""Problems find their file and line."""

from __future__ import annotations

import pytest

from dynbalancer.errors import Problem
from dynbalancer.lint.compose import composed
from dynbalancer.lint.composefile import read_project
from dynbalancer.lint.locating import Sources, located
from dynbalancer_file.documents import parse
from tests.lint.files import files

COMPOSE = """\
services:
  web:
    labels:
      - traefik.http.routers.r.rule=Host(`a`)
      - traefik.prot=80
  web-2:
    container_name: shop_web_1_b
"""
ROUTES = "http:\n  routers:\n    q: {rule: x}\n"


@pytest.fixture
def sources() -> Sources:
    """A compose project and a file of routes."""
    project = read_project(["shop/c.yml"], files(c_yml=COMPOSE))
    document = parse("r.yml", "r.yml", ROUTES.encode())
    return Sources(((project, composed(project, {})),), {"r.yml": document})


@pytest.mark.parametrize(
    "where, path, line, rule, service",
    [
        ("container shop_web_1, label traefik.prot", "shop/c.yml", 5, "wrong-label", "web"),
        ("container shop_web_1", "shop/c.yml", 2, "container", "web"),
        ("router r@docker of container shop_web_1", "shop/c.yml", 4, "router", "web"),
        ("router r", "shop/c.yml", 4, "router", "web"),
        ("container shop_web_1_b", "shop/c.yml", 6, "container", "web-2"),
        ("r.yml, line 3: http.routers.q", "r.yml", 3, "definition", ""),
        ("r.yml: http.routers.q", "r.yml", 0, "definition", ""),
        ("router q@file of r.yml", "r.yml", 3, "router", ""),
        ("router q", "r.yml", 3, "router", ""),
        ("default rule Host(`x`)", "shop/c.yml", 0, "definition", ""),
    ],
)
def test_places(sources: Sources, where: str, path: str, line: int, rule: str, service: str) -> None:
    (found,) = located([Problem(where, "why")], sources)
    assert (found.path, found.line, found.rule, found.service) == (path, line, rule, service)


@pytest.mark.parametrize(
    "why, severity, rule",
    [
        ("this label is unknown and not used", "error", "unknown-label"),
        ("odd", "warning", "ignored-label"),
        ("odd", "info", "noted-label"),
    ],
)
def test_kinds_of_findings_about_labels(sources: Sources, why: str, severity: str, rule: str) -> None:
    problem = Problem("container shop_web_1, label traefik.prot", why, severity=severity)
    assert located([problem], sources)[0].rule == rule


def test_containers_are_called_services(sources: Sources) -> None:
    problem = Problem("container shop_web_1", "as container shop_web_1_b has it", "see container shop_web_1.")
    (found,) = located([problem], sources)
    assert found.problem == Problem("service web", "as service web-2 has it", "see service web.")
