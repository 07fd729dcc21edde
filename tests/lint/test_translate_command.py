"""The arguments of ``dynbalancer translate``, and its answers."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dynbalancer.core.labels.containers import Container
from dynbalancer.errors import ConfigurationError
from dynbalancer.lint.check import check_file
from dynbalancer.lint.command import Answer, read_bytes
from dynbalancer.lint.translate_command import answer

COMPOSE = """\
services:
  proxy:
    image: traefik:1.7
    command: --docker --docker.domain=example.com
  web:
    image: x
    labels:
      - "traefik.enable=true"
      - "traefik.port=${PORT:-81}"
      - "traefik.frontend.auth.basic=u:$$apr1$$H6uskkkW$$IgXLP6ewTrSuBkTrqE8wj/"
      - "traefik.frontend.rule=Host:${NAME}.example.com"
"""
V1 = b"traefik.frontend.rule=Host:a\ntraefik.port=81\n"
V3 = """\
traefik.http.routers.web.rule=Host(`a`)
traefik.http.routers.web.service=web
traefik.http.routers.web.priority=6
traefik.http.services.web.loadbalancer.server.port=81"""


def nobody(name: str) -> Container:
    """An engine without containers."""
    raise ConfigurationError(f"container {name}", "there is no such container")


def told(*argv: str, given: bytes = b"") -> Answer:
    """The answer to a command line, with this on standard input."""
    return answer(argv, {}, lambda: given, nobody)


@pytest.mark.parametrize(
    "given",
    [
        V1,
        b"- traefik.frontend.rule=Host:a\n- 'traefik.port=81'\n",
        b'labels:\n  - "traefik.frontend.rule=Host:a"\n  - "traefik.port=81"\n',
        b"  -l traefik.frontend.rule=Host:a \\\n  --label 'traefik.port=81' \\\n",
        b"# a comment\n\ntraefik.frontend.rule=Host:a\ntraefik.port=81\n",
    ],
)
def test_a_list_of_labels_however_it_is_pasted(given: bytes) -> None:
    assert told(given=given) == Answer(V3, 0)
    assert told("-", given=given) == Answer(V3, 0)


def test_a_file_with_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(V1)
    assert told(str(path)) == Answer(V3, 0)


def test_the_other_way_and_as_a_file() -> None:
    assert told("--to=v1-labels", given=V3.encode()).text.splitlines() == [
        "traefik.frontend.rule=Host:a",
        "traefik.frontend.priority=6",
        "traefik.port=81",
        "traefik.backend=web",
    ]
    found = yaml.safe_load(told("--to=file", given=V1).text)
    assert found["http"]["routers"]["web"] == {"rule": "Host(`a`)", "service": "web", "priority": 6}


def test_a_compose_file_is_answered_with_what_can_be_pasted_into_it(tmp_path: Path) -> None:
    path = tmp_path / "compose.yml"
    path.write_text(COMPOSE)
    found = told(str(path))
    labels = yaml.safe_load(found.text)["services"]["web"]["labels"]
    assert "Host(`${NAME}.example.com`)" in found.text
    assert any(label.endswith("users=u:$$apr1$$H6uskkkW$$IgXLP6ewTrSuBkTrqE8wj/") for label in labels)
    assert any(label.endswith(".server.port=81") for label in labels)
    path.write_text(yaml.safe_dump({"services": {"web": {"image": "x", "labels": labels}}}))
    again = check_file(str(path), read_bytes, environ={"NAME": "a"})
    assert (again.problems, again.counts) == ((), "1 router, 1 service")


def test_a_compose_file_as_a_file_of_routes(tmp_path: Path) -> None:
    path = tmp_path / "compose.yml"
    path.write_text(COMPOSE.replace("${NAME}", "a"))
    routes = tmp_path / "routes.yml"
    routes.write_text(told("--to=file", str(path)).text)
    (found,) = [check_file(str(routes), read_bytes)]
    assert (found.problems, found.counts) == ((), "1 router, 1 service")
    assert "http://web:81" in routes.read_text()


def test_the_domain_of_the_default_rule(tmp_path: Path) -> None:
    assert "Host(`web.d.example`)" in told("--domain=d.example", given=b"traefik.port=80").text
    path = tmp_path / "compose.yml"
    path.write_text(COMPOSE.replace('      - "traefik.frontend.rule=Host:${NAME}.example.com"\n', ""))
    assert f"Host(`web.{tmp_path.name}.example.com`)".replace("_", "-") in told(str(path)).text


def test_a_running_container() -> None:
    labels = {"traefik.frontend.rule": "Host:a", "traefik.port": "81"}
    web = Container("id", "web", labels=labels, networks={"n": "192.0.2.1"})
    found = answer(["--container=web"], {}, lambda: b"", {"web": web}.__getitem__)
    assert found == Answer(V3, 0)
    assert told("--container=no") == Answer("container no: there is no such container", 2)


@pytest.mark.parametrize("given", [b"http: {}", b"a: [", b"\xff\xfe", b"hello world"])
def test_what_can_not_be_read(given: bytes) -> None:
    assert told(given=given).code == 2


def test_a_file_that_is_not_there() -> None:
    assert told("no.yml") == Answer("no.yml: can't be read: No such file or directory", 2)


def test_where_there_is_nothing_to_translate_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "compose.yml"
    path.write_text("services: {web: {labels: [com.example=x]}}")
    assert told(str(path)) == Answer("# there are no labels of ours", 0)
    assert told(given=b"com.example=x") == Answer("# there are no labels of ours", 0)
