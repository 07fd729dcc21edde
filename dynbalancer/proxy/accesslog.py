"""The access log: one line per request, in Traefik's common format or as JSON, written in batches.

Lines are gathered and written together, a second later at most; a full disk or a stuck pipe loses lines (they are
counted), never requests: nothing here waits for who reads them.
"""

from __future__ import annotations

import json
import os
import select
import stat
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from dynbalancer.core.exchange import Exchange
from dynbalancer.core.settings import AccessLogSettings
from dynbalancer.errors import ConfigurationError
from dynbalancer.interfaces import IExchangeObserver

#: A batch is written when it has this many lines, or after this many seconds.
BATCH, INTERVAL = 256, 1.0

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: Octets that stand for themselves in a line.
_PLAIN = bytes(octet for octet in range(0x20, 0x7F) if octet not in b'"\\')
_unprintable = {octet: f"\\x{octet:02x}" for octet in (*range(0x20), *range(0x7F, 0x100))} | {
    ord('"'): '\\"',
    ord("\\"): "\\\\",
}


@implementer(IExchangeObserver)
class AccessLog:
    """Writes a line for each exchange."""

    _log = Logger()

    def __init__(
        self,
        settings: AccessLogSettings,
        clock: Any,
        *,
        wall: Callable[[], float] = time.time,
        stdout: int = 1,
    ) -> None:
        """``stdout`` is the descriptor to write to where the settings name no file."""
        self._path = settings.path
        self._stdout = stdout
        self._line = _as_json if settings.format == "json" else _as_common
        self._lines: list[str] = []
        self._count = 0
        self._wall = wall
        self._second = -1
        self._stamp = ""
        self.lost = 0
        self._fd = -1
        self._poll: select.poll | None = None
        self._rest = b""
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
        now = self._wall()
        if int(now) != self._second:
            self._second = int(now)
            self._stamp = _clf_time(now)
        self._count += 1
        self._lines.append(self._line(exchange, self._stamp, self._count))
        if len(self._lines) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered, as far as it is taken at once."""
        lines, self._lines = self._lines, []
        if not lines:
            return
        begun, left = bool(self._rest), self._rest + "".join(lines).encode("ascii", "backslashreplace")
        self._rest = b""
        try:
            while left:
                size = self._write(left)
                begun = left[size - 1] != ord("\n")
                left = left[size:]
        except OSError:
            if begun:
                # A line that is out in part is completed first thing next time: no two lines become one.
                self._rest, _, left = left.partition(b"\n")
                self._rest += b"\n"
            self.lost += left.count(b"\n")

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
        self._fd, self._rest, self._poll = fd, b"", None
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


def _clf_time(seconds: float) -> str:
    # strftime would follow the locale for the month.
    parts = time.gmtime(seconds)
    return (
        f"{parts.tm_mday:02d}/{_MONTHS[parts.tm_mon - 1]}/{parts.tm_year:04d}"
        f":{parts.tm_hour:02d}:{parts.tm_min:02d}:{parts.tm_sec:02d} +0000"
    )


def _text(value: bytes) -> str:
    """Latin-1, with quotes and everything unprintable escaped: one request can't write two lines."""
    text = value.decode("latin-1")
    return text if not value.translate(None, _PLAIN) else text.translate(_unprintable)


def _as_common(exchange: Exchange, stamp: str, count: int) -> str:
    """``host - user [time] "request" status size "referer" "agent" count "router" "server" ms`` (Traefik 3)."""
    head = exchange.head
    referer = agent = None
    for lower, value, _ in head.headers.fields:
        if lower == b"user-agent":
            agent = value
        elif lower == b"referer":
            referer = value
    route = exchange.route
    server = exchange.server
    return '%s - %s [%s] "%s %s HTTP/1.%d" %d %d "%s" "%s" %d "%s" "%s" %dms\n' % (
        exchange.client,
        _text(exchange.user) if exchange.user else "-",
        stamp,
        # A method is a token.
        head.method.decode("ascii"),
        _text(head.path if head.query is None else head.target),
        head.version - 10,
        exchange.status,
        exchange.bytes_out,
        _text(referer) if referer else "-",
        _text(agent) if agent else "-",
        count,
        route.name if route is not None else "-",
        server.server.url if server is not None else "-",
        (exchange.finished - exchange.started) * 1000,
    )


def _as_json(exchange: Exchange, stamp: str, count: int) -> str:
    head = exchange.head
    route = exchange.route
    server = exchange.server
    line: dict[str, Any] = {
        "time": stamp,
        "ClientHost": exchange.client,
        "ClientPort": exchange.client_port,
        "ClientUsername": exchange.user.decode("latin-1") or "-",
        "RequestMethod": head.method.decode("latin-1"),
        "RequestHost": head.host.decode("latin-1"),
        "RequestPath": head.target.decode("latin-1"),
        "RequestProtocol": f"HTTP/1.{head.version - 10}",
        "RequestScheme": head.scheme.decode("latin-1"),
        "RequestContentSize": exchange.bytes_in,
        "DownstreamStatus": exchange.status,
        "DownstreamContentSize": exchange.bytes_out,
        "Duration": int((exchange.finished - exchange.started) * 1e9),
        "RetryAttempts": max(exchange.tries - 1, 0),
        "RequestCount": count,
        "entryPointName": exchange.entry_point.name,
    }
    if route is not None:
        line["RouterName"] = route.name
        line["ServiceName"] = route.service_name
    if server is not None:
        line["ServiceURL"] = server.server.url
    if exchange.outcome != "done":
        line["Outcome"] = exchange.outcome
    return json.dumps(line) + "\n"
