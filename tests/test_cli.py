"""The ``dynbalancer`` command, command by command."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from dynbalancer import cli, tap
from dynbalancer.core.settings import ApiSettings, Settings
from dynbalancer.errors import ConfigurationError
from dynbalancer.start import commandline, explaining, health
from dynbalancer.version import version

GOOD = "http:\n  routers:\n    web: {rule: 'Host(`a.example`)', service: web}\n"
GOOD += "  services:\n    web: {loadBalancer: {servers: [{url: 'http://192.0.2.1'}]}}\n"


class Balancer:
    """What makeService gives; keeps what was asked of it."""

    def __init__(self, problem: ConfigurationError | None = None) -> None:
        self.done: list[str] = []
        self.problem = problem
        self.observer = object()

    def privilegedStartService(self) -> None:
        if self.problem is not None:
            raise self.problem
        self.done.append("privileged")

    def startService(self) -> None:
        self.done.append("start")

    def stopService(self) -> None:
        self.done.append("stop")


class Reactor:
    """Runs for no time at all."""

    def __init__(self) -> None:
        self.triggers: list[tuple[Any, ...]] = []
        self.ran = False

    def addSystemEventTrigger(self, *trigger: Any) -> None:
        self.triggers.append(trigger)

    def run(self) -> None:
        self.ran = True


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Command lines that would have been run."""
    lines: list[list[str]] = []
    monkeypatch.setattr(cli, "run", lambda argv: lines.append(argv) or 0)
    return lines


@pytest.mark.parametrize("argv", [[], ["help"], ["--help"], ["-h"]])
def test_without_a_command_the_help_is_printed(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv) == 0
    assert "check FILE" in capsys.readouterr().out


def test_an_unknown_command_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rnu"]) == 2
    assert capsys.readouterr().err.startswith("dynbalancer: there is no command rnu; there are run,")


@pytest.mark.parametrize("argv", [["version"], ["--version"]])
def test_version(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv) == 0
    assert capsys.readouterr().out.strip() == version()


def test_a_wrong_flag_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["run", "--dokcer"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == "dynbalancer: --dokcer: no such flag; did you mean --docker?\n"


def test_run_starts_in_the_order_of_twistd_and_stops_with_the_reactor() -> None:
    balancer, reactor, begun = Balancer(), Reactor(), []
    options = cli.RunOptions()
    code = cli.until_the_end(options, lambda found: balancer, reactor, begun.append)
    assert code == 0
    assert balancer.done == ["privileged", "start"]
    assert reactor.triggers == [("before", "shutdown", balancer.stopService)]
    assert reactor.ran
    assert begun == [balancer.observer]


def test_root_that_can_not_be_given_up_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    balancer = Balancer(ConfigurationError("--user", "not allowed"))
    assert cli.until_the_end(cli.RunOptions(), lambda found: balancer, Reactor(), lambda *log: None) == 1
    assert capsys.readouterr().err == "dynbalancer: --user: not allowed\n"


def test_run_uses_what_twistd_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    balancer, reactor = Balancer(), Reactor()
    monkeypatch.setattr(tap, "makeService", lambda options: balancer)
    monkeypatch.setattr(cli, "_reactor", lambda: reactor)
    monkeypatch.setattr(cli, "_begin_logging", lambda observer: None)
    assert cli.main(["run", "--workers=1"]) == 0
    assert reactor.ran


def test_the_demo_has_ports_of_its_own(given: list[list[str]]) -> None:
    assert cli.demo([]) == 0
    assert "--demo" in given[0] and "--api" in given[0]
    assert "--entrypoints.web.address=127.0.0.1:8000" in given[0]


def test_the_demo_takes_other_ports(given: list[list[str]]) -> None:
    cli.demo(["--entrypoints.x.address=:9000"])
    assert given[0][-1] == "--entrypoints.x.address=:9000"
    assert not any("8000" in word for word in given[0])


def test_check_prints_problems_and_counts_them_in_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text(GOOD)
    bad.write_text(GOOD.replace("Host(", "Hots("))
    assert cli.main(["check", str(good)]) == 0
    assert cli.main(["check", str(good), str(bad)]) == 1
    said = capsys.readouterr().out
    assert f"{good}: nothing wrong" in said
    assert f"{bad}, line 3: http.routers.web.rule" in said


def test_check_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "no.yml"
    assert cli.main(["check", "--format=json", str(path)]) == 2
    found = json.loads(capsys.readouterr().out)
    assert [problem["severity"] for problem in found["files"][str(path)]["problems"]] == ["error"]


def test_check_into_a_pipe_that_nobody_reads_any_more_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "good.yml"
    path.write_text(GOOD)
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert cli.main(["check", str(path)]) == 0


def test_translate_prints_what_it_was_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "labels"
    path.write_text("traefik.frontend.rule=Host:a.example\n")
    assert cli.main(["translate", str(path)]) == 0
    assert "traefik.http.routers.web.rule=Host(`a.example`)" in capsys.readouterr().out


def test_check_against_named_entry_points(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.yml"
    path.write_text(GOOD.replace("service: web}", "service: web, entryPoints: [web]}"))
    assert cli.main(["check", "--entrypoints=other", str(path)]) == 1
    assert "other" in capsys.readouterr().out


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings whose health was asked for; nobody is process 1."""
    found: list[Settings] = []
    monkeypatch.setattr(health, "ask", lambda settings: found.append(settings) or "OK")
    monkeypatch.setattr(commandline, "flags_of_first_process", lambda read_bytes: None)
    return found


def test_healthcheck_with_flags_asks_the_api_they_name(asked: list[Settings]) -> None:
    assert cli.main(["healthcheck", "--api.address=:9"]) == 0
    assert [settings.api for settings in asked] == [ApiSettings("", 9)]


def test_healthcheck_without_anything_asks_where_the_api_is_by_default(asked: list[Settings]) -> None:
    assert cli.main(["healthcheck"]) == 0
    assert [settings.api for settings in asked] == [ApiSettings()]


def test_healthcheck_takes_the_flags_of_process_1_where_that_is_the_balancer(
    asked: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ["--docker", "--entrypoints.web.address=:8000"]
    monkeypatch.setattr(commandline, "flags_of_first_process", lambda read_bytes: flags)
    assert cli.main(["healthcheck"]) == 0
    assert [(settings.api, settings.entry_points[0].port) for settings in asked] == [(None, 8000)]


def test_healthcheck_of_an_api_that_is_off_asks_the_entry_point(asked: list[Settings]) -> None:
    assert cli.main(["healthcheck", "--api=false"]) == 0
    assert asked[0].api is None


def test_healthcheck_says_why_it_is_not_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(health, "ask", lambda settings: "127.0.0.1:9 answers with status 503")
    assert cli.main(["healthcheck", "--api.address=:9"]) == 1
    assert capsys.readouterr().out == "127.0.0.1:9 answers with status 503\n"


@pytest.mark.parametrize("argv", [["--help"], ["-h"]])
def test_healthcheck_explains_itself(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["healthcheck", *argv]) == 0
    assert "Exit code 0: well" in capsys.readouterr().out


def test_healthcheck_with_wrong_flags_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["healthcheck", "--api.adress=:9"]) == 2
    assert "did you mean --api.address?" in capsys.readouterr().err


def test_explain_asks_the_api_that_flags_name_and_tells_by_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[object] = []
    found = {"router": None, "why": "because", "table": 1, "candidates": [], "request": {"entryPoint": "dns"}}
    monkeypatch.setattr(
        explaining, "ask", lambda question, api: asked.append((question.target, api)) or found
    )
    assert cli.main(["explain", "udp://", "--api.address=:9"]) == 1
    assert asked == [("/api/explain/udp?", ApiSettings("", 9))]
    assert capsys.readouterr().out.startswith("not routed: because\n")
    assert cli.main(["explain", "--json", "udp://", "--api.address=:9"]) == 1
    assert json.loads(capsys.readouterr().out) == found


@pytest.mark.parametrize("argv", [[], ["--help"]])
def test_explain_explains_itself(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", *argv]) == 0
    assert "Exit code 0: a router takes it" in capsys.readouterr().out


def test_explain_without_a_url_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "--json"]) == 2
    assert "there is no URL" in capsys.readouterr().err
