"""Files are checked as they would be used."""

from __future__ import annotations

import pytest

from dynbalancer.errors import Problem
from dynbalancer.lint.check import Checked, check_file, exit_code

GOOD = """\
http:
  routers:
    web: {rule: "Host(`a.example`)", service: web, entryPoints: [websecure]}
  services:
    web: {loadBalancer: {servers: [{url: "http://192.0.2.1"}]}}
"""
COMPOSE = """\
services:
  web:
    image: x
    labels:
      - "traefik.enable=true"
      - "traefik.frontend.rule=Host:a.example"
"""


def checked(text: str, path: str = "d.yml", entry_points: tuple[str, ...] = ()) -> Checked:
    """What is said of a file with this text."""
    return check_file(path, lambda name: text.encode(), entry_points)


def test_a_good_file_is_said_to_be_good() -> None:
    found = checked(GOOD)
    assert found.problems == ()
    assert found.as_text() == "d.yml: nothing wrong; 1 router, 1 service"


def test_a_wrong_key_names_its_line() -> None:
    found = checked(GOOD.replace("service: web", "servce: web"))
    assert "line 3" in found.as_text()
    assert "did you mean service?" in found.as_text()


def test_what_only_the_compiler_sees_is_found() -> None:
    assert "did you mean Host?" in checked(GOOD.replace("Host(", "Hots(")).as_text()


def test_certificates_are_read_as_they_would_be() -> None:
    text = GOOD + "tls: {certificates: [{certFile: /nowhere/a.pem, keyFile: /nowhere/a.key}]}\n"
    assert "line 6: tls.certificates[0]: /nowhere/a.pem can't be read" in checked(text).as_text()


def test_entry_points_that_are_named_must_exist() -> None:
    assert "websecure" in checked(GOOD, entry_points=("web",)).as_text()


def test_toml() -> None:
    text = '[http.routers.web]\nrule = "Host(`a.example`)"\nservice = "nosuch"\n'
    assert "nosuch" in checked(text, "d.toml").as_text()


def test_the_labels_of_a_compose_file() -> None:
    assert (
        checked(COMPOSE, "/srv/shop/docker-compose.yml")
        .as_text()
        .endswith("nothing wrong; 1 router, 1 service")
    )
    found = checked(COMPOSE.replace("frontend.rule", "frontend.ruel"))
    assert "traefik.frontend.rule" in found.as_text()


@pytest.mark.parametrize("text", ["a: [", "services: 5\n"])
def test_what_can_not_be_read_is_a_problem(text: str) -> None:
    found = checked(text)
    assert [problem.severity for problem in found.problems] == ["error"]


def test_a_missing_file_is_a_problem() -> None:
    def missing(path: str) -> bytes:
        raise FileNotFoundError(2, "No such file or directory")

    assert check_file("no.yml", missing).as_text() == "no.yml: can't be read: No such file or directory"


def test_lines_say_where_once_and_how_bad() -> None:
    found = Checked(
        "d.yml", (Problem("d.yml, line 3", "wrong"), Problem("router a", "odd", "write b", "warning"))
    )
    assert found.as_text() == "d.yml, line 3: wrong\nd.yml: router a: odd; write b [warning]"


@pytest.mark.parametrize(
    "severities, code", [((), 0), (("info",), 0), (("warning", "info"), 1), (("warning", "error"), 2)]
)
def test_exit_codes(severities: tuple[str, ...], code: int) -> None:
    problems = tuple(Problem("x", "y", severity=severity) for severity in severities)
    assert exit_code([Checked("a", ()), Checked("b", problems)]) == code
