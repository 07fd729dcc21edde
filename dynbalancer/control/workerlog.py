"""What a worker writes to its standard error, as lines of the parent's own log.

So all that is logged is in one place, wherever twistd was told to write it; a daemon has no terminal to write to.
"""

from __future__ import annotations

import re

from twisted.logger import Logger, LogLevel

#: As :func:`dynbalancer.start.logs.line` writes the first line of an event: time, level, text.
FIRST = re.compile(r"\S+ \[(debug|info|warn|error|critical)\] (.*)", re.DOTALL)

#: What is kept of a line that does not end, in octets.
LONGEST = 65536


class WorkerLog:
    """Takes octets as they come, and logs what they say."""

    _log = Logger()

    def __init__(self, worker: int) -> None:
        self._worker = worker
        self._rest = b""

    def received(self, octets: bytes) -> None:
        """Log what is whole of it."""
        *lines, self._rest = (self._rest + octets).split(b"\n")
        if len(self._rest) > LONGEST:
            lines.append(self._rest)
            self._rest = b""
        event: list[str] = []
        for line in lines:
            text = line.decode("utf-8", "backslashreplace")
            if FIRST.match(text):
                self._say(event)
                event = []
            event.append(text)
        self._say(event)

    def ended(self) -> None:
        """Log what was begun, too."""
        if self._rest:
            self.received(b"\n")

    def _say(self, event: list[str]) -> None:
        text = "\n".join(event).rstrip()
        if not text:
            return
        found = FIRST.match(text)
        if found is not None:
            self._log.emit(LogLevel.levelWithName(found[1]), "{text}", text=found[2])
            return
        # Not of its log: the interpreter itself, or a library written in C, has something to say.
        self._log.error("worker {worker}: {text}", worker=self._worker, text=text)
