"""What the operator reads: one line for each thing that happened, from a level up."""

from __future__ import annotations

from typing import Any, TextIO

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    formatTime,
)


def observer(level: str, stream: TextIO) -> ILogObserver:
    """Writes lines to ``stream``: time, level, text; a traceback only where the program itself is wrong."""
    wanted = LogLevel.levelWithName(level)
    predicate = LogLevelFilterPredicate(wanted)
    # Twisted tells of every port that it opens and closes; that is for whoever looks for a bug.
    for namespace in () if wanted == LogLevel.debug else ("twisted", "log_legacy", "stdout"):
        predicate.setLogLevelForNamespace(namespace, max(wanted, LogLevel.warn, key=_severity))
    return FilteringLogObserver(FileLogObserver(stream, line), [predicate])


def _severity(level: Any) -> int:
    return list(LogLevel.iterconstants()).index(level)


def line(event: LogEvent) -> str | None:
    """One event as it is written; None where it says nothing."""
    text = formatEvent(event)
    failure = event.get("log_failure")
    if failure is not None:
        text = f"{text}\n{failure.getTraceback()}".strip()
    if not text:
        return None
    level = event.get("log_level")
    name = level.name if level is not None else "-"
    return f"{formatTime(event.get('log_time'))} [{name}] {text}\n"
