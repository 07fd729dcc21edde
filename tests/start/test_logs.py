"""What an operator's line looks like, and which there are."""

from __future__ import annotations

import io

import pytest
from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

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
