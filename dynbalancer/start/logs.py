"""What the operator reads: one line for each thing that happened, from a level up."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    formatTime,
)
from zope.interface import implementer

from dynbalancer.errors import ConfigurationError


def under_twistd(told: Mapping[str, Any], level: str) -> ILogObserver | None:
    """Our own lines where twistd, told these options, would write its own; None where it writes to somebody else.

    Raises ConfigurationError where the file can't be written.
    """
    path, daemon = told.get("logfile"), not told.get("nodaemon")
    if told.get("syslog") or told.get("logger") or (path == "-" and daemon):
        return None
    if path == "-" or not (path or daemon):
        return observer(level, sys.stdout)
    return to_file(level, path or "twistd.log", "--logfile")


def to_file(level: str, path: str, flag: str) -> LogFile:
    """Our own lines in a file. Raises ConfigurationError, which names ``flag``, where it can't be written."""
    try:
        # From here on the working directory may change.
        return LogFile(level, os.path.abspath(path))
    except OSError as error:
        raise ConfigurationError(flag, f"{error.filename} can't be written: {error.strerror}") from None


def with_directory(level: str, path: str, flag: str) -> LogFile:
    """The same, where the directory is made if it isn't there, as Traefik does."""
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    except OSError as error:
        raise ConfigurationError(flag, f"{error.filename} can't be made: {error.strerror}") from None
    return to_file(level, path, flag)


@implementer(ILogObserver)
class LogFile:
    """Adds lines to a file, which somebody may move away. Raises OSError where it can't be opened."""

    _log = Logger()

    def __init__(self, level: str, path: str) -> None:
        self._level = level
        self._path = path
        self._open()

    def __call__(self, event: LogEvent) -> None:
        """Write one event, if it is of the level."""
        self._observer(event)

    def reopen(self) -> None:
        """Go on in a new file of the same name; in the old one where that can't be had."""
        before = self._file
        try:
            self._open()
        except OSError as error:
            self._log.warn("{error}; the log goes on in the old file", error=str(error))
            return
        before.close()

    def close(self) -> None:
        """Write no more."""
        self._file.close()

    def _open(self) -> None:
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._file = os.fdopen(fd, "a", encoding="utf-8", errors="backslashreplace")
        self._observer = observer(self._level, self._file)


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
