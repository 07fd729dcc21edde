"""Compose files that belong together."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.errors import ConfigurationError
from dynbalancer.lint.composefile import base_of, is_compose, override_of, read_project
from tests.lint.files import Files, files


def services(found: Files, *names: str) -> dict[str, list[tuple[str, Any]]]:
    """What each file says of the label of each service, the least important first."""
    project = read_project([f"shop/{name}" for name in names], found)
    assert project.findings == []
    return {
        name: [(part.file.path.removeprefix("shop/"), part.section.get("labels")) for part in parts]
        for name, parts in project.services.items()
    }


@pytest.mark.parametrize(
    "document, expected",
    [
        ({"services": {}}, True),
        ({"services": None}, True),
        ({"include": ["a.yml"]}, True),
        ({"http": {}, "services": {}}, False),
        ({"http": {}}, False),
        ({}, False),
        ([], False),
        (None, False),
    ],
)
def test_which_documents_are_compose_files(document: object, expected: bool) -> None:
    assert is_compose(document) is expected


def test_names_of_overrides() -> None:
    assert override_of("a/docker-compose.yml") == "a/docker-compose.override.yml"
    assert base_of("a/docker-compose.override.yml") == "a/docker-compose.yml"
    assert base_of("a/docker-compose.yml") == ""


def test_later_files_go_over_earlier_ones() -> None:
    found = files(a_yml="services: {web: {labels: [a=1]}}", b_yml="services: {web: {labels: [b=2]}, x: {}}")
    assert services(found, "a.yml", "b.yml") == {
        "web": [("a.yml", ["a=1"]), ("b.yml", ["b=2"])],
        "x": [("b.yml", None)],
    }


def test_included_files_are_of_the_project() -> None:
    found = files(
        a_yml="include: [b.yml, {path: [c.yml]}]\nservices: {web: {}}",
        b_yml="services: {b: {}}",
        c_yml="services: {c: {}}",
    )
    assert set(services(found, "a.yml")) == {"web", "b", "c"}


def test_what_is_extended_comes_first() -> None:
    found = files(
        a_yml="services:\n  web: {extends: {service: base, file: b.yml}, labels: [c=3]}\n",
        b_yml="services:\n  base: {extends: root, labels: [b=2]}\n  root: {labels: [a=1]}\n",
    )
    assert services(found, "a.yml")["web"] == [("b.yml", ["a=1"]), ("b.yml", ["b=2"]), ("a.yml", ["c=3"])]


@pytest.mark.parametrize(
    "extends, why",
    [
        ("bsae", "the service bsae that it extends is not in shop/a.yml"),
        ("web", "extends goes round in a circle"),
        ("{service: web, file: no.yml}", "can't be read: No such file"),
    ],
)
def test_what_can_not_be_extended_is_a_finding_with_its_line(extends: str, why: str) -> None:
    found = files(a_yml=f"services:\n  base: {{}}\n  web:\n    extends: {extends}\n")
    (finding,) = read_project(["shop/a.yml"], found).findings
    assert why in finding.problem.why
    assert (finding.line, finding.service) == (4, "web")


def test_the_project_has_the_name_of_its_directory_or_its_own() -> None:
    assert read_project(["shop/a.yml"], files(a_yml="services: {}")).name == "shop"
    assert read_project(["shop/a.yml"], files(a_yml="name: Mine\nservices: {}")).name == "mine"


@pytest.mark.parametrize(
    "text, where",
    [
        ("services: [1]", "services"),
        ("services: {web: }", "services.web"),
        ("[]", "shop/a.yml"),
        ("a: [", ""),
    ],
)
def test_a_wrong_shape_is_one_sentence(text: str, where: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_project(["shop/a.yml"], files(a_yml=text))
    assert where in caught.value.where


def test_parts_know_their_lines() -> None:
    text = "services:\n  web:\n    labels:\n      - a=1\n      - b=2\n"
    (part,) = read_project(["shop/a.yml"], files(a_yml=text)).services["web"]
    assert (part.line(), part.line("labels", "1")) == (2, 5)
