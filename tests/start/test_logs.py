"""What an operator's line looks like, and which there are."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import ILogObserver, Logger, LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from dynbalancer.errors import ConfigurationError
from dynbalancer.start import logs


def written(level: str, namespace: str, said: str) -> str:
    """What is written of one event of this level from this namespace."""
    stream = io.StringIO()
    observer = logs.observer(level, stream)
    log = Logger(namespace=namespace, observer=observer)
    log.emit(LogLevel.levelWithName(said), "one {thing}", thing="event")
    return stream.getvalue()


@pytest.mark.parametrize(
    "level, namespace, said, expected",
    [
        ("info", "dynbalancer.control", "info", True),
        ("info", "dynbalancer.control", "debug", False),
        ("warn", "dynbalancer.control", "info", False),
        ("debug", "dynbalancer.control", "debug", True),
        ("info", "twisted.internet.protocol.Factory", "info", False),
        ("info", "log_legacy", "info", False),
        ("info", "twisted.web", "warn", True),
        ("error", "twisted.web", "warn", False),
        ("debug", "twisted.web", "info", True),
    ],
)
def test_which_events_are_written(level: str, namespace: str, said: str, expected: bool) -> None:
    line = written(level, namespace, said)
    assert bool(line) == expected
    assert line.endswith(f"[{said}] one event\n") == expected


def test_it_is_an_observer() -> None:
    assert verifyObject(ILogObserver, logs.observer("info", io.StringIO()))


def test_a_failure_comes_with_its_traceback_and_an_empty_event_is_nothing() -> None:
    try:
        raise ValueError("a bug")
    except ValueError:
        failure = Failure()
    line = logs.line(
        {"log_format": "it failed", "log_failure": failure, "log_level": LogLevel.critical, "log_time": 0.0}
    )
    assert line is not None
    assert "[critical] it failed\nTraceback" in line
    assert "ValueError: a bug" in line
    assert logs.line({"log_format": ""}) is None


@pytest.mark.parametrize(
    "told, expected",
    [
        ({"nodaemon": True}, "terminal"),
        ({"nodaemon": True, "logfile": "-"}, "terminal"),
        ({"nodaemon": True, "logfile": "x.log"}, "x.log"),
        ({"logfile": "x.log"}, "x.log"),
        ({}, "twistd.log"),
        ({"logfile": "-"}, None),
        ({"nodaemon": True, "syslog": True}, None),
        ({"nodaemon": True, "logger": object()}, None),
    ],
)
def test_our_lines_are_where_twistd_would_write_its_own(
    told: dict[str, Any], expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = logs.under_twistd(told, "info")
    files = [path.name for path in tmp_path.iterdir()]
    assert (found is not None) == (expected is not None)
    assert files == ([] if expected in (None, "terminal") else [expected])
    if isinstance(found, logs.LogFile):
        found.close()


def test_a_log_file_keeps_to_its_level_and_is_opened_anew_when_it_was_moved_away(tmp_path: Path) -> None:
    path, moved = tmp_path / "a.log", tmp_path / "a.log.1"
    path.write_text("before\n")
    found = logs.LogFile("warn", str(path))
    log = Logger(namespace="dynbalancer", observer=found)
    assert verifyObject(ILogObserver, found)
    log.info("not this")
    log.warn("one")
    path.rename(moved)
    log.warn("two")
    found.reopen()
    log.warn("three")
    assert [line.split("] ")[-1] for line in moved.read_text().splitlines()] == ["before", "one", "two"]
    assert path.read_text().endswith("[warn] three\n")
    found.close()


def test_a_log_file_that_can_not_be_opened_anew_is_written_on(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    found = logs.LogFile("info", str(folder / "a.log"))
    folder.rename(tmp_path / "moved")
    with capturedLogs() as said:
        found.reopen()
    Logger(namespace="dynbalancer", observer=found).warn("one")
    assert "the log goes on in the old file" in formatEvent(said[0])
    assert (tmp_path / "moved" / "a.log").read_text().endswith("[warn] one\n")
    found.close()


def test_a_log_file_that_can_not_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"--logfile: .* can't be written: No such file or directory"
    ):
        logs.under_twistd({"logfile": str(tmp_path / "no" / "x.log")}, "info")


def test_the_directory_of_a_log_file_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.log"
    logs.with_directory("info", str(path), "--log.filepath").close()
    assert path.exists()


def test_a_directory_that_can_not_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"--log.filepath: .* can't be made: ") as caught:
        logs.with_directory("info", str(tmp_path / "file" / "b" / "x.log"), "--log.filepath")
    assert caught.value.where == "--log.filepath"
