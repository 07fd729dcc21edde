"""A verdict for each label."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dynbalancer.core.labels.containers import Container, Defaults
from dynbalancer.core.labels.reader import configuration_of
from dynbalancer.core.verdicts import VERDICTS, Verdict, by_container, verdicts
from dynbalancer.errors import Problem

RULE = "traefik.http.routers.web.rule"


def judged(
    labels: Mapping[str, str], *more: Problem, exposed: bool = True, ports: tuple[int, ...] = (80,)
) -> dict[str, Verdict]:
    """The verdicts on a container's labels; ``more`` are problems that the table has with it."""
    container = Container("id", "web-1", labels=labels, networks={"front": "192.0.2.1"}, ports=ports)
    found = configuration_of([container], Defaults(exposed_by_default=exposed))
    (item,) = found.items
    return verdicts(item, by_container([*found.problems, *more]).get("web-1", ()))


def test_a_label_that_is_used_is_understood() -> None:
    assert judged({RULE: "Host(`a.example`)"}) == {RULE: Verdict()}


def test_an_unknown_label_has_the_nearest_one_for_its_hint() -> None:
    found = judged({"traefik.prot": "80"})["traefik.prot"]
    assert (found.verdict, found.hint) == ("unknown", "did you mean traefik.port?")


@pytest.mark.parametrize(
    "key, value, verdict",
    [
        ("traefik.port", "eighty", "wrong"),
        ("traefik.portName", "x", "ignored"),
        ("traefik.docker.network", "nowhere", "ignored"),
        ("traefik.Port", "80", "understood"),
        ("com.example.other", "x", None),
    ],
)
def test_what_is_said_of_a_value(key: str, value: str, verdict: str | None) -> None:
    found = judged({"traefik.frontend.rule": "Host:a.example", key: value})
    assert (found[key].verdict if key in found else None) == verdict


def test_what_the_table_says_of_a_router_is_said_of_its_label() -> None:
    problem = Problem(
        "router web@docker of container web-1", "rule Hots(`a`): unsupported function", "did you"
    )
    assert judged({RULE: "Hots(`a`)"}, problem)[RULE] == Verdict("wrong", problem.why, "did you")


def test_the_labels_of_a_container_that_is_not_enabled_are_ignored() -> None:
    found = judged({RULE: "Host(`a.example`)", "traefik.enable": "false"})
    assert found["traefik.enable"].verdict == "understood"
    assert found[RULE] == Verdict("ignored", "not enabled: label traefik.enable=false")


def test_without_the_label_that_enables_it_a_container_with_others_is_a_problem() -> None:
    container = Container("id", "web-1", labels={RULE: "Host(`a.example`)"})
    (problem,) = configuration_of([container], Defaults(exposed_by_default=False)).problems
    assert (problem.severity, problem.hint) == ("warning", "add label traefik.enable=true")
    silent = Container("id", "web-1", labels={"com.example": "x"})
    assert configuration_of([silent], Defaults(exposed_by_default=False)).problems == ()


def test_a_port_that_nothing_exposes_is_understood_with_a_word_about_it() -> None:
    found = judged({"traefik.frontend.rule": "Host:a.example", "traefik.port": "81"}, ports=(80, 90))[
        "traefik.port"
    ]
    assert found.verdict == "understood"
    assert "81 is not among those that are exposed (80, 90)" in found.why
    assert judged({"traefik.http.services.s.loadbalancer.server.port": "80"}) == {
        "traefik.http.services.s.loadbalancer.server.port": Verdict()
    }


def test_the_worst_that_is_said_counts() -> None:
    labels = {"traefik.Port": "eighty", "traefik.frontend.rule": "Host:a.example"}
    assert judged(labels)["traefik.Port"].verdict == "wrong"
    assert VERDICTS.index("wrong") < VERDICTS.index("understood")
