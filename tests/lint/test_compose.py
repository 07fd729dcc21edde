"""Compose files as containers, and what compose makes of their labels."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from dynbalancer.core.labels.containers import Container
from dynbalancer.lint.compose import Composed, composed
from dynbalancer.lint.composefile import read_project
from tests.lint.files import files


def made(text: str, **environ: str) -> Composed:
    """What becomes of a compose file in a directory named shop."""
    return composed(read_project(["shop/compose.yml"], files(compose_yml=text)), environ)


def containers(document: dict[str, Any]) -> list[Container]:
    """The containers of a compose file."""
    return made(yaml.safe_dump(document)).containers


def one(**service: Any) -> Container:
    """The container of the only service of a file, ``web``."""
    [found] = containers({"services": {"web": service}})
    return found


def said(found: Composed) -> list[tuple[str, str, int, str]]:
    """Rule, label, line and severity of each finding."""
    return [(f.rule, f.label, f.line, f.problem.severity) for f in found.findings]


def test_a_service_is_a_container_with_compose_s_own_labels() -> None:
    found = one(image="x", labels=["traefik.enable=true"])
    assert found.name == "shop_web_1"
    assert found.compose == ("web", "shop")
    assert found.labels["traefik.enable"] == "true"
    assert (found.ports, found.ports_known) == ((80,), False)
    assert found.networks == {"shop_default": "192.0.2.2"}


@pytest.mark.parametrize(
    "labels, expected",
    [
        (["a=b=c", "d"], {"a": "b=c", "d": ""}),
        ({"a": True, "b": 80, "c": None}, {"a": "true", "b": "80", "c": ""}),
        ([{"a": 80}], {"a": "80"}),
        (None, {}),
    ],
)
def test_labels_in_both_manners(labels: Any, expected: dict[str, str]) -> None:
    found = one(labels=labels).labels
    assert {key: value for key, value in found.items() if not key.startswith("com.docker")} == expected


def test_labels_of_the_image_that_is_built_count_where_the_service_has_no_other() -> None:
    found = one(build={"context": ".", "labels": ["a=1", "b=1"]}, labels={"b": "2"}).labels
    assert (found["a"], found["b"]) == ("1", "2")


def test_anchors_merged_sections_and_x_keys() -> None:
    text = "x-l: &l {a: '1', b: '1'}\nservices:\n  web:\n    labels: {<<: *l, b: '2'}\n  y:\n    labels: *l\n"
    found = made(text)
    assert {key: label.value for key, label in found.labels["web"].items()} == {"a": "1", "b": "2"}
    assert {key: label.value for key, label in found.labels["y"].items()} == {"a": "1", "b": "1"}


def test_each_label_knows_its_line() -> None:
    found = made(
        "services:\n  web:\n    labels:\n      - a=1\n      - b=2\n    build:\n      labels:\n        c: x\n"
    )
    assert {key: label.line for key, label in found.labels["web"].items()} == {"a": 4, "b": 5, "c": 8}


@pytest.mark.parametrize(
    "label, expected",
    [
        ("- a=${NO}", [("variable", "a", 4, "warning")]),
        ("- a=${NO:?say it}", [("variable", "a", 4, "error")]),
        ("- a=/x$", [("eaten-dollar", "a", 4, "error")]),
        ("a: u:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/", [("eaten-dollar", "a", 4, "error")]),
        ("a: u:$2y$05$x", [("eaten-dollar", "a", 4, "error")]),
        ("a: u:$$apr1$$H6uskkkW$$IgXLP6ewTrSuBkTrqE8wj/", []),
        ("a.${HOST}: x", [("variable", "a.${HOST}", 4, "warning")]),
        ("- a.${HOST}=x", []),
        ("a: true", [("label-type", "a", 4, "info")]),
        ("a: 80", []),
        ("a: 1.10", [("label-type", "a", 4, "warning")]),
        ("a: [b]", [("label-type", "a", 4, "error")]),
        ("- a: b", [("label-type", "a", 4, "error")]),
        ("- true", [("label-type", "", 4, "error")]),
    ],
)
def test_what_does_not_arrive_as_it_is_written(label: str, expected: list[tuple[str, str, int, str]]) -> None:
    found = made(f"services:\n  web:\n    labels:\n      {label}\n", HOST="h")
    assert said(found) == expected


def test_labels_that_are_neither_a_list_nor_a_section() -> None:
    assert said(made("services:\n  web:\n    labels: a=b\n")) == [("label-type", "", 3, "error")]


def test_the_parts_of_a_lost_hash_are_not_said_and_what_else_is_wrong_with_it_is_of_no_interest() -> None:
    found = made("services:\n  web:\n    labels:\n      - a=u:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/\n")
    assert found.lost == {("web", "a")}
    assert not any(
        "H6us" in str(finding.problem) or "IgXL" in str(finding.problem) for finding in found.findings
    )


def test_variables_in_keys_of_a_list() -> None:
    found = made("services:\n  web:\n    labels: ['traefik.${N}.port=$P']\n", N="x", P="80")
    assert found.containers[0].labels["traefik.x.port"] == "80"


@pytest.mark.parametrize(
    "service, ports",
    [
        ({"expose": ["8080", 9090]}, (8080, 9090)),
        ({"ports": ["80:8080", "127.0.0.1:81:8081/tcp", 8082, {"target": 8083}]}, (8080, 8081, 8082, 8083)),
        ({"ports": ["8000-8010:8000-8010"]}, (80,)),
    ],
)
def test_ports(service: dict[str, Any], ports: tuple[int, ...]) -> None:
    assert one(**service).ports == ports


def test_networks_have_the_names_that_the_engine_knows() -> None:
    document = {
        "services": {"web": {"networks": ["inner", "global", "named", "old"]}},
        "networks": {
            "inner": None,
            "global": {"external": True},
            "named": {"name": "other"},
            "old": {"external": {"name": "older"}},
        },
    }
    assert set(containers(document)[0].networks) == {"shop_inner", "global", "other", "older"}


def test_a_network_mode_leaves_no_networks() -> None:
    found = one(network_mode="host")
    assert (found.networks, found.network_mode) == ({}, "host")
    both = containers({"services": {"vpn": {}, "web": {"network_mode": "service:vpn"}}})
    assert both[1].network_mode == f"container:{both[0].id}"


def test_the_file_s_own_name_is_the_project() -> None:
    [found] = containers({"name": "mine", "services": {"web": {"container_name": "c"}}})
    assert found.compose == ("web", "mine")
    assert found.name == "c"
