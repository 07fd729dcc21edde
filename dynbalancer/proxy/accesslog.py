"""The access log: one line per request, written in batches. What a line says is :mod:`dynbalancer.core.accesslines`'s.

Lines are gathered and written together, a second later at most. A full disk or a stuck pipe costs lines (they are
counted), never requests: nothing here waits for who reads them.
"""

from __future__ import annotations

import os
import select
import stat
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from dynbalancer.core.accesslines import keeper, line_of
from dynbalancer.core.exchange import Exchange
from dynbalancer.core.settings import AccessLogSettings
from dynbalancer.errors import ConfigurationError
from dynbalancer.interfaces import IExchangeObserver
from dynbalancer.proxy.transports import encryption_of

#: A batch is written when it has this many lines, or after this many seconds.
BATCH, INTERVAL = 256, 1.0

#: How many lines, and octets, may wait for a disk or a reader. What comes on top is lost.
MOST, LARGEST = 10_000, 8 * 1024 * 1024


@implementer(IExchangeObserver)
class AccessLog:
    """Writes a line for each exchange. ``lost`` counts those that could not be written."""

    _log = Logger()

    def __init__(
        self,
        settings: AccessLogSettings,
        clock: Any,
        *,
        wall: Callable[[], float] = time.time,
        stdout: int = 1,
        silent: frozenset[str] = frozenset(),
    ) -> None:
        """``stdout`` is the descriptor to write to where the settings name no file.

        Of the entry points ``silent`` nothing is written but what is for routers that want it.
        """
        self._silent = silent
        self._path = settings.path
        self._stdout = stdout
        self._batch = min(settings.batch or BATCH, MOST)
        self._kept = keeper(settings)
        self._line = line_of(settings, offset=local_offset, encryption=_encryption)
        self._lines: list[str] = []
        self._count = 0
        self._wall = wall
        #: By how much the time of day is ahead of the exchanges' clock, for one batch.
        self._ahead: float | None = None
        self.lost = 0
        self._told = 0
        self._fd = -1
        self._poll: select.poll | None = None
        #: What was gathered and is not out, and how many lines and octets that is.
        self._queue: deque[bytes] = deque()
        self._waiting = 0
        self._size = 0
        self._begun = False
        self._call = LoopingCall(self.flush)
        self._call.clock = clock

    def start(self) -> None:
        """Open the file and begin to write. Raises ConfigurationError where it can't be opened."""
        self._open()
        self._call.start(INTERVAL, now=False)

    def stop(self) -> None:
        """Write what is left and close."""
        if self._call.running:
            self._call.stop()
        self.flush()
        self._close()

    def reopen(self) -> None:
        """The file was moved away: go on in a new one."""
        self.flush()
        before = self._fd
        try:
            self._open()
        except ConfigurationError as error:
            self._log.warn("{error}; the access log goes on in the old file", error=str(error))
            return
        if before not in (self._stdout, -1):
            os.close(before)

    def exchange_ended(self, exchange: Exchange) -> None:
        """See IExchangeObserver."""
        self._count += 1
        if self._kept is not None and not self._kept(exchange):
            return
        route = exchange.route
        wanted = None if route is None else route.router.access_log
        if wanted is None and self._silent:
            wanted = exchange.entry_point.name not in self._silent
        if wanted is False:
            return
        ahead = self._ahead
        if ahead is None:
            ahead = self._ahead = self._wall() - exchange.finished
        lines = self._lines
        lines.append(self._line(exchange, exchange.finished + ahead, self._count))
        if len(lines) >= self._batch:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered, as far as it is taken at once. The rest waits for the next time."""
        lines, self._lines = self._lines, []
        self._ahead = None
        if self._fd < 0:
            self.lost += len(lines)
            return
        if lines:
            data = "".join(lines).encode("ascii", "backslashreplace")
            self._queue.append(data)
            self._waiting += len(lines)
            self._size += len(data)
        try:
            while self._queue:
                self._write_some(self._queue[0])
        except OSError:
            self._drop_newest()
            return
        if self.lost > self._told:
            # Only now: before, who reads this might be the one who didn't read.
            self._log.warn("The access log goes on; {lost} lines were lost", lost=self.lost - self._told)
            self._told = self.lost

    def _write_some(self, data: bytes) -> None:
        size = self._write(data)
        self._size -= size
        self._waiting -= data.count(b"\n", 0, size)
        self._begun = data[size - 1] != ord("\n")
        if size == len(data):
            self._queue.popleft()
        else:
            self._queue[0] = data[size:]

    def _drop_newest(self) -> None:
        """What waits is bounded. The oldest is kept: a line that is out in part is completed first."""
        while len(self._queue) > 1 and (self._waiting > MOST or self._size > LARGEST):
            data = self._queue.pop()
            self._size -= len(data)
            lines = data.count(b"\n")
            self._waiting -= lines
            self.lost += lines

    def _drop_begun(self) -> None:
        """The end of a line is of no use without its beginning, which is in the old file."""
        data = self._queue.popleft()
        _, _, rest = data.partition(b"\n")
        self._begun = False
        self._size -= len(data) - len(rest)
        self._waiting -= 1
        self.lost += 1
        if rest:
            self._queue.appendleft(rest)

    def _write(self, data: bytes) -> int:
        """Write some of it. Raises OSError, also where that would wait."""
        if self._poll is None:
            return os.write(self._fd, data)
        if not self._poll.poll(0):
            raise BlockingIOError
        # A pipe that is ready takes this much without waiting.
        return os.write(self._fd, data[: select.PIPE_BUF])

    def _open(self) -> None:
        fd = self._open_file() if self._path else self._stdout
        self._fd, self._poll = fd, None
        if self._path and self._begun:
            self._drop_begun()
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            self._poll = select.poll()
            self._poll.register(fd, select.POLLOUT)

    def _open_file(self) -> int:
        try:
            os.makedirs(os.path.dirname(self._path) or ".", exist_ok=True)
            return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise ConfigurationError("--accesslog.filepath", f"{self._path}: {error.strerror}") from None

    def _close(self) -> None:
        if self._fd not in (self._stdout, -1):
            os.close(self._fd)
        self._fd = -1
        self.lost += self._waiting
        self._queue.clear()
        self._waiting = self._size = 0
        self._begun = False


def local_offset(seconds: float) -> int:
    """How far local time is ahead, in seconds."""
    return time.localtime(seconds).tm_gmtoff


def _encryption(exchange: Exchange) -> tuple[str, str] | None:
    connection = getattr(exchange, "client_connection", None)
    return None if connection is None else encryption_of(connection.transport)
