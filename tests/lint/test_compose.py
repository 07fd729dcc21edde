"""Compose files as containers."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.labels.containers import Container
from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer.lint.compose import containers_of, is_compose

PATH = "/srv/Shop/docker-compose.yml"


def containers(document: dict[str, Any], **environ: str) -> list[Container]:
    """The containers of a compose file in a directory named Shop."""
    return containers_of(document, PATH, environ)[0]


def one(**service: Any) -> Container:
    """The container of the only service of a file, ``web``."""
    [found] = containers({"services": {"web": service}})
    return found


@pytest.mark.parametrize(
    "document, expected",
    [
        ({"services": {}}, True),
        ({"services": None}, True),
        ({"http": {}, "services": {}}, False),
        ({"http": {}}, False),
        ([], False),
        (None, False),
    ],
)
def test_which_documents_are_compose_files(document: object, expected: bool) -> None:
    assert is_compose(document) is expected


def test_a_service_is_a_container_with_compose_s_own_labels() -> None:
    found = one(image="x", labels=["traefik.enable=true"])
    assert found.name == "shop_web_1"
    assert found.compose == ("web", "shop")
    assert found.labels["traefik.enable"] == "true"
    assert found.ports == (80,)
    assert found.networks == {"shop_default": "192.0.2.1"}


@pytest.mark.parametrize(
    "labels, expected",
    [
        (["a=b=c", "d"], {"a": "b=c", "d": ""}),
        ({"a": True, "b": 80, "c": None}, {"a": "true", "b": "80", "c": ""}),
        (None, {}),
    ],
)
def test_labels_in_both_manners(labels: Any, expected: dict[str, str]) -> None:
    found = one(labels=labels).labels
    assert {key: value for key, value in found.items() if not key.startswith("com.docker")} == expected


@pytest.mark.parametrize(
    "text, expected, missing",
    [
        ("$$x", "$x", ()),
        ("${HOST}", "a.example", ()),
        ("$HOST/", "a.example/", ()),
        ("${NO:-b.example}", "b.example", ()),
        ("${NO-}", "", ()),
        ("${NO}", "", ("NO",)),
        ("^/[a-z]+$", "^/[a-z]+$", ()),
    ],
)
def test_variables_are_replaced_as_compose_does(text: str, expected: str, missing: tuple[str, ...]) -> None:
    document = {"services": {"web": {"labels": {"l": text}}}}
    found, problems = containers_of(document, PATH, {"HOST": "a.example"})
    assert found[0].labels["l"] == expected
    where = f"{PATH}: service web, label l"
    assert problems == tuple(Problem(where, f"the variable {n} is not set", "", "warning") for n in missing)


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


def test_the_file_s_own_name_is_the_project() -> None:
    [found] = containers({"name": "mine", "services": {"web": {"container_name": "c"}}})
    assert found.compose == ("web", "mine")
    assert found.name == "c"


@pytest.mark.parametrize(
    "document, where",
    [
        ({"services": [1]}, "services"),
        ({"services": {"web": None}}, "services.web"),
        ({"services": {"web": {"labels": "a=b"}}}, "labels"),
    ],
)
def test_a_wrong_shape_is_one_sentence(document: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        containers(document)
    assert where in caught.value.where
