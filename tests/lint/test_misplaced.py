"""Labels where no container gets them."""

from __future__ import annotations

import pytest

from dynbalancer.lint.composefile import read_project
from dynbalancer.lint.misplaced import Misplaced, misplaced
from tests.lint.files import files


def found(text: str) -> list[Misplaced]:
    """What is said of a compose file."""
    return list(misplaced(read_project(["shop/c.yml"], files(c_yml=text))))


@pytest.mark.parametrize(
    "text, line, word",
    [
        ("services:\n  web:\n    deploy:\n      labels:\n        - traefik.port=80\n", 5, "Swarm"),
        ("services:\n  web:\n    environment:\n      traefik.port: 80\n", 4, "variables of the program"),
        ("services:\n  web:\n    environment: [A=b, traefik.port=80]\n", 3, "variables of the program"),
        ("services:\n  web:\n    annotations: [traefik.port=80]\n", 3, "annotations"),
        ("services:\n  web:\n    traefik.port: 80\n", 3, "must be below labels"),
        ("services:\n  web:\n    label:\n      - traefik.port=80\n", 4, "did you mean labels?"),
        ("services:\n  web:\n    Labels:\n      - traefik.port=80\n", 4, "did you mean labels?"),
        ("labels:\n  - traefik.port=80\nservices: {web: {}}\n", 2, "top of the file"),
        ("traefik.port: 80\nservices: {web: {}}\n", 1, "below services.NAME.labels"),
        ("services: {web: {}}\nnetworks:\n  n:\n    labels:\n      traefik.port: 80\n", 5, "networks"),
        ("services: {web: {}}\nvolumes:\n  v:\n    labels: [traefik.port=80]\n", 4, "volumes"),
    ],
)
def test_labels_below_another_key(text: str, line: int, word: str) -> None:
    (place,) = found(text)
    assert (place.finding.line, place.finding.label) == (line, "traefik.port")
    assert word in place.finding.problem.why
    assert place.finding.rule == "misplaced-label"
    assert [label.verdict.verdict for _, label in place.labels] == ["ignored"]


@pytest.mark.parametrize(
    "text",
    [
        "services: {web: {labels: [traefik.port=80]}}",
        "services: {web: {deploy: {labels: [com.example=80]}, environment: [TRAEFIK_PORT=80]}}",
        "services: {web: {deploy: {labels: [traefik.port=80]}, labels: [traefik.port=80]}}",
        "services: {web: {build: {labels: [traefik.port=80]}}}",
        "x-labels: {traefik.port: 80}\nservices: {web: {x-labels: [traefik.port=80]}}",
    ],
)
def test_nothing_is_said_of_labels_in_their_place(text: str) -> None:
    assert found(text) == []


def test_several_labels_in_one_place_are_one_finding_and_a_verdict_each() -> None:
    text = (
        "services: {web: {deploy: {labels: [traefik.port=80, traefik.enable=true, x=y, traefik.weight=1]}}}"
    )
    (place,) = found(text)
    assert place.finding.problem.where == "service web, label traefik.port and 2 more"
    assert [label.label for _, label in place.labels] == ["traefik.port", "traefik.enable", "traefik.weight"]
