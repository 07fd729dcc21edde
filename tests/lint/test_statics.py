"""What is known of how the balancer is started."""

from __future__ import annotations

import pytest

from dynbalancer.core.labels.constraints import Constraints
from dynbalancer.core.labels.containers import Defaults
from dynbalancer.errors import Problem
from dynbalancer.lint.composefile import read_project
from dynbalancer.lint.findings import Finding
from dynbalancer.lint.statics import Static, defaults_of, is_static, read_file, read_flags, read_proxies
from tests.lint.files import files

PLACE = Finding("flags", Problem("", ""), rule="setting")


def names(static: Static) -> list[str]:
    """The entry points that are known."""
    return [point.name for point in static.entry_points]


def started(text: str) -> Static:
    """What the proxies of a compose file say."""
    static = Static()
    read_proxies(static, read_project(["shop/c.yml"], files(c_yml=text)), {"PORT": "8000"})
    return static


@pytest.mark.parametrize(
    "document, expected",
    [
        ({"entryPoints": {}}, True),
        ({"providers": {"docker": {}}, "log": {}}, True),
        ({"http": {}, "api": {}}, False),
        ({"services": {}, "api": {}}, False),
        ({"what": 1}, False),
        ([], False),
    ],
)
def test_which_documents_hold_settings(document: object, expected: bool) -> None:
    assert is_static(document) is expected


def test_options_of_the_provider_are_the_defaults_of_containers() -> None:
    given = {"exposedbydefault": False, "network": "n", "domain": "d", "defaultrule": "r", "watch": True}
    assert defaults_of(given) == Defaults(False, "n", "d", "r")


def test_constraints_leave_containers_out_here_too() -> None:
    assert defaults_of({"constraints": "tag==a"}) == Defaults(constraints=Constraints.of("tag==a"))
    assert defaults_of({"constraints": "tier==a"}) == defaults_of({"constraints": ""}) == Defaults()


def test_a_file_of_settings() -> None:
    static = Static()
    text = "entryPoints:\n  web: {address: ':80'}\nproviders:\n  docker:\n    exposedByDefault: false\n"
    read_file(static, "t.yml", lambda path: text)
    assert (names(static), static.defaults.exposed_by_default, static.findings) == (["web"], False, [])


def test_a_wrong_setting_has_its_line() -> None:
    static = Static()
    read_file(static, "t.yml", lambda path: "api: {}\nentryPoint:\n  web: {address: ':80'}\n")
    (finding,) = static.findings
    assert (finding.path, finding.line, finding.rule) == ("t.yml", 3, "setting")
    assert "did you mean" in finding.as_text()


def test_each_flag_that_can_not_be_used_is_found_and_the_others_count() -> None:
    static = Static()
    read_flags(static, ["--dokcer", "--entrypoints.a.address=:80", "--rest", "--api=maybe"], PLACE)
    assert [finding.problem.where for finding in static.findings] == ["--dokcer", "--rest", "--api"]
    assert names(static) == ["a"]


def test_a_file_that_flags_name_is_not_looked_for() -> None:
    static = Static()
    read_flags(static, ["--configfile=/etc/traefik.yml"], PLACE)
    assert "not among the files" in static.findings[0].problem.why


@pytest.mark.parametrize(
    "command",
    [
        "['--entrypoints.a.address=:$PORT', --docker.exposedbydefault=false]",
        "--entrypoints.a.address=:${PORT} --docker.exposedbydefault=false",
        "[traefik, '--entrypoints.a.address=:8000', '--providers.docker.exposedbydefault=false']",
        "dynbalancer run --entrypoints.a.address=:8000 --docker.exposedbydefault=false",
    ],
)
@pytest.mark.parametrize("image", ["traefik:v3.1", "registry.example.com/x/dynbalancer", "traefik"])
def test_a_proxy_in_a_compose_file(command: str, image: str) -> None:
    static = started(f"services:\n  proxy:\n    image: {image}\n    command: {command}\n")
    assert names(static) == ["a"]
    assert static.entry_points[0].port == 8000
    assert static.defaults.exposed_by_default is False
    assert static.findings == []


@pytest.mark.parametrize(
    "service", ["{image: nginx, command: --x}", "{image: traefik}", "{image: traefik, command: 5}", "{}"]
)
def test_services_that_say_nothing(service: str) -> None:
    static = started(f"services: {{a: {service}}}")
    assert (static.entry_points, static.findings) == ((), [])


@pytest.mark.parametrize("image, severity", [("traefik", "warning"), ("dynbalancer", "error")])
def test_a_wrong_flag_of_a_proxy_has_its_place(image: str, severity: str) -> None:
    static = started(f"services:\n  p:\n    image: {image}\n    command: [--rest]\n")
    (finding,) = static.findings
    assert (finding.path, finding.line, finding.service) == ("shop/c.yml", 4, "p")
    assert (finding.problem.where, finding.problem.severity) == ("service p, flag --rest", severity)
