"""The ``dynbalancer`` command, command by command."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import pytest

from dynbalancer import cli, tap
from dynbalancer.core.settings import ApiSettings
from dynbalancer.errors import ConfigurationError
from dynbalancer.version import version

GOOD = "http:\n  routers:\n    web: {rule: 'Host(`a.example`)', service: web}\n"
GOOD += "  services:\n    web: {loadBalancer: {servers: [{url: 'http://192.0.2.1'}]}}\n"


class Balancer:
    """What makeService gives; keeps what was asked of it."""

    def __init__(self, problem: ConfigurationError | None = None) -> None:
        self.done: list[str] = []
        self.problem = problem

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
    code = cli.until_the_end(options, lambda found: balancer, reactor, lambda *log: begun.append(log[1]))
    assert code == 0
    assert balancer.done == ["privileged", "start"]
    assert reactor.triggers == [("before", "shutdown", balancer.stopService)]
    assert reactor.ran
    assert begun == ["info"]


def test_root_that_can_not_be_given_up_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    balancer = Balancer(ConfigurationError("--user", "not allowed"))
    assert cli.until_the_end(cli.RunOptions(), lambda found: balancer, Reactor(), lambda *log: None) == 1
    assert capsys.readouterr().err == "dynbalancer: --user: not allowed\n"


def test_run_uses_what_twistd_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    balancer, reactor = Balancer(), Reactor()
    monkeypatch.setattr(tap, "makeService", lambda options: balancer)
    monkeypatch.setattr(cli, "_reactor", lambda: reactor)
    monkeypatch.setattr(cli, "_begin_logging", lambda stream, level: None)
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
    assert cli.main(["check", str(good), str(bad)]) == 2
    said = capsys.readouterr().out
    assert f"{good}: nothing wrong" in said
    assert f"{bad}, line 3: http.routers.web.rule" in said


def test_check_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "no.yml"
    assert cli.main(["check", "--format=json", str(path)]) == 2
    found = json.loads(capsys.readouterr().out)
    assert [problem["severity"] for problem in found[str(path)]] == ["error"]


def test_check_against_named_entry_points(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.yml"
    path.write_text(GOOD.replace("service: web}", "service: web, entryPoints: [web]}"))
    assert cli.main(["check", "--entrypoints=other", str(path)]) == 2
    assert "other" in capsys.readouterr().out


class Connection:
    """An HTTP connection whose answer is known: a status, or an error to raise."""

    answer: int | OSError = 200
    asked: list[tuple[Any, ...]] = []

    def __init__(self, host: str, port: int, timeout: float) -> None:
        self.asked.append((host, port))

    def request(self, method: str, path: str) -> None:
        self.asked.append((method, path))
        if isinstance(self.answer, OSError):
            raise self.answer

    def getresponse(self) -> Any:
        return type("Answer", (), {"status": self.answer})

    def close(self) -> None:
        self.asked.append(("close",))


@pytest.mark.parametrize(
    "answer, code, said",
    [
        (200, 0, "OK"),
        (503, 1, "127.0.0.1:9 answers with status 503"),
        (ConnectionRefusedError(111, "Connection refused"), 1, "127.0.0.1:9 does not answer"),
    ],
)
def test_healthcheck(
    answer: Any, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = type("Known", (Connection,), {"answer": answer, "asked": []})
    monkeypatch.setattr(http.client, "HTTPConnection", kind)
    assert cli.main(["healthcheck", "--api.address=:9"]) == code
    assert capsys.readouterr().out.startswith(said)
    assert kind.asked == [("127.0.0.1", 9), ("GET", "/ping"), ("close",)]


@pytest.mark.parametrize("host, asked", [("::", "::1"), ("0.0.0.0", "127.0.0.1"), ("192.0.2.1", "192.0.2.1")])
def test_healthcheck_asks_where_the_api_can_be_reached(
    host: str, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type("Known", (Connection,), {"asked": []})
    monkeypatch.setattr(http.client, "HTTPConnection", kind)
    assert cli.ping(ApiSettings(host, 9)) == "OK"
    assert kind.asked[0] == (asked, 9)


def test_healthcheck_with_wrong_flags_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["healthcheck", "--api.adress=:9"]) == 2
    assert "did you mean --api.address?" in capsys.readouterr().err
