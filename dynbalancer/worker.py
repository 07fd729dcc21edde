"""``python -m dynbalancer.worker``: one worker process. Started by the supervisor, of no use by itself.

It has a channel to its parent on file descriptor 3, the shared counters on 4 and listening sockets after that. It is
told its settings, gives up what rights it has, and begins to accept when it has taken its first routing table: a new
worker never answers 404 for want of one.

**When the parent dies** the channel ends. The worker then goes on with the last table for :data:`ORPHAN_TIME`, finishes
what it has, and exits. Going on at once loses no request while somebody restarts the parent by hand or by script; an
end after a minute is needed because the workers hold the ports, and a new parent can't bind them before they are gone,
and because a table nobody corrects sends more and more requests to servers that have left.

Nothing here may import ``twisted.internet.reactor`` before :func:`install_reactor` has run.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    InvalidLogLevelError,
    LogEvent,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from dynbalancer.control.channel import CHANNEL_FD, Channel
from dynbalancer.control.counters import COUNTERS_FD, Counters
from dynbalancer.control.slices import SLICE, Building, Slices
from dynbalancer.core import transfer
from dynbalancer.core.model import Configuration
from dynbalancer.core.settings import Settings
from dynbalancer.core.settings_codec import in_worker
from dynbalancer.errors import DynbalancerError
from dynbalancer.start import logs

#: How long a worker without a parent goes on, and how long it waits for its last words to be taken, in seconds.
ORPHAN_TIME = 60.0
FAREWELL_TIME = 0.5

#: How often the parent is told what was done, and how soon it hears the rest where that is much, in seconds. Sooner
#: would be fresher where thousands of routers are busy, and each of their requests would pay for it.
REPORT_TIME = 1.0
PART_TIME = 0.5


class Worker:
    """What a worker does with what its parent tells it.

    ``make_data_plane(settings, counters)`` gives the DataPlane; ``become(privileges)`` gives up rights for good;
    ``adopt_socket(fd)`` makes a socket of an inherited descriptor; ``begin_log(number, level)`` sets the log up;
    ``make_watchdog(stall)`` gives the Watchdog of this process.
    """

    _log = Logger("dynbalancer.worker")

    def __init__(
        self,
        reactor: Any,
        counters: Any,
        *,
        make_data_plane: Callable[[Settings, Any], Any],
        become: Callable[[Mapping[str, Any]], None],
        adopt_socket: Callable[[int], socket.socket],
        begin_log: Callable[[int, str], None],
        make_watchdog: Callable[[float], Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.exit_code = 0
        self.channel = Channel(self._told, self._parent_lost)
        self._reactor = reactor
        self._counters = counters
        self._make_data_plane = make_data_plane
        self._become = become
        self._adopt_socket = adopt_socket
        self._begin_log = begin_log
        self._make_watchdog = make_watchdog
        self._clock = clock
        self._watchdog: Any = None
        self._settings = Settings()
        self._data_plane: Any = None
        self._unused: list[tuple[Any, socket.socket]] = []
        self._stopping = False
        self._exiting = False
        self._reports = LoopingCall(self._report)
        self._reports.clock = reactor
        self._part: IDelayedCall | None = None
        self._building = Building()
        self._parts: list[transfer.Part] = []
        # The last table is not held here but in the data plane, which lets it go little by little.
        self._held = transfer.Held()
        self._unread: DynbalancerError | None = None
        self._table: int | None = None

    def drain(self, grace: float | None = None) -> None:
        """Accept no more, finish what there is within ``grace`` seconds (default: as in the settings), and exit."""
        if self._stopping:
            return
        self._stopping = True
        if self._data_plane is None:
            self._exit(self.exit_code)
            return
        drained: Deferred[None] = self._data_plane.drain(self._settings.grace if grace is None else grace)
        drained.addErrback(lambda failure: self._log.failure("Draining failed", failure))
        drained.addCallback(lambda ignored: self._say_farewell())

    def _told(self, message: Mapping[str, Any]) -> None:
        kind = message.get("type")
        if kind == "start" and self._data_plane is None:
            self._start(message)
        elif kind == "stop":
            self.drain(float(message["grace"]))
        elif kind == "part" and self._data_plane is not None:
            self._read(message)
        elif kind == "table" and self._data_plane is not None:
            self._take(message)
        elif kind == "reopen" and self._data_plane is not None:
            self._data_plane.reopen_logs()
        elif kind == "tickets" and self._data_plane is not None:
            self._data_plane.share_tickets(bytes.fromhex(message["key"]))
        elif not self._exiting:
            raise ValueError(f"an unexpected message of type {kind!r}")

    def _start(self, message: Mapping[str, Any]) -> None:
        try:
            self._settings = in_worker(message["settings"])
            self._begin_log(message["worker"], self._settings.log_level)
            # First of all, so that nothing else here ever runs with more rights than it needs.
            self._become(message["privileges"] or {})
            self._unused = self._sockets(message["entryPoints"])
            self._counters.regions.join(message["worker"])
            data_plane = self._make_data_plane(self._settings, self._counters)
            data_plane.start()
            data_plane.share_tickets(bytes.fromhex(message["tickets"]))
        except (DynbalancerError, OSError) as error:
            self._log.critical("The worker can't start: {why}", why=error)
            self._exit(1)
            return
        except Exception:
            self._log.failure("The worker can't start")
            self._exit(1)
            return
        self._data_plane = data_plane
        self._watchdog = self._make_watchdog(self._settings.stall)
        data_plane.watched_by(self._watchdog)
        self._reports.start(REPORT_TIME, now=False)
        # What is there now stays for good: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        self.channel.send({"type": "ready", "pid": os.getpid()})

    def _sockets(self, found: list[Mapping[str, Any]]) -> list[tuple[Any, socket.socket]]:
        by_name = {entry_point.name: entry_point for entry_point in self._settings.entry_points}
        return [(by_name[wanted["name"]], self._adopt_socket(wanted["fd"])) for wanted in found]

    def _read(self, message: Mapping[str, Any]) -> None:
        # Each part as it comes, with requests in between: all of a large table together would hold them up.
        self._building.begin()
        try:
            self._parts.append(transfer.read(message))
        except DynbalancerError as error:
            self._unread = error

    def _take(self, message: Mapping[str, Any]) -> None:
        number, slots = message["number"], self._held.slots
        self._read(message)
        # Before it serves nobody waits for what is imported.
        new = [one for part in self._parts for one in part.set.middlewares.values()]
        loading = self._data_plane.loading(new) if new and not self._unused else None
        if loading is None:
            self._build(number, slots, message["base"])
        else:
            loading.addBoth(lambda _: self._build(number, slots, message["base"]))

    def _build(self, number: int, slots: Mapping[str, int], base: int | None) -> None:
        try:
            steps = self._data_plane.taking(self._new_configuration(base), number)
        except Exception:
            self._could_not_take(number, slots, Failure())
            return
        taking = Slices(self._reactor, self._clock, steps).run(0.0 if self._unused else SLICE)
        taking.addCallbacks(
            lambda _: self._took(number), lambda failure: self._could_not_take(number, slots, failure)
        )
        taking.addErrback(lambda failure: self._log.failure("What follows a table failed", failure))

    def _new_configuration(self, base: int | None) -> Configuration:
        parts, self._parts = self._parts, []
        unread, self._unread = self._unread, None
        if unread is not None:
            raise unread
        if base not in (None, self._table):
            raise ValueError(f"it is made of table {base}, and here is table {self._table}")
        self._held = transfer.applied(transfer.Held() if base is None else self._held, parts)
        self._counters.use(
            self._held.slots, {name: row for part in parts for name, row in part.slots.items()}
        )
        return self._held.configuration

    def _took(self, number: int) -> None:
        self._building.end(self._data_plane.table.changes)
        self._table = number
        # Until now nobody waited for this process.
        self._watchdog.start()
        unused, self._unused = self._unused, []
        for entry_point, listening in unused:
            if not self._stopping:
                self._data_plane.listen(entry_point, listening)
        self.channel.send({"type": "ack", "number": number})

    def _could_not_take(self, number: int, slots: Mapping[str, int], failure: Failure) -> None:
        # A bug, ours or a plugin's. The last good table goes on, and the parent learns of it.
        self._building.end()
        self._log.failure(
            "Table {number} can't be used; the one before stays in force", failure, number=number
        )
        self._held = transfer.Held(self._data_plane.table.configuration, slots)
        self._counters.use(slots, {})
        self.channel.send({"type": "ack", "number": number, "error": repr(failure.value)})

    def _report(self) -> None:
        if self._part is None:
            self._report_part()

    def _report_part(self) -> None:
        self._part = None
        if self.channel.congested:
            # What is not reported now will be: sums since the start are told.
            return
        self._send_report()
        if self._data_plane.unreported:
            self._part = self._reactor.callLater(PART_TIME, self._report_part)

    def _send_report(self) -> None:
        report = self._data_plane.report()
        report.stalls = self._watchdog.stalls
        self.channel.send({"type": "statistics", "report": report.as_dict()})

    def _say_farewell(self) -> None:
        self._reports.stop()
        if self._part is not None:
            self._part.cancel()
        if not self.channel.open:
            self._exit(0)
            return
        # What was left of the last round, and then what happened since.
        for _ in range(2):
            self._send_report()
            while self._data_plane.unreported:
                self._send_report()
        self.channel.close()
        self._reactor.callLater(FAREWELL_TIME, self._exit, 0)

    def _parent_lost(self, why: str) -> None:
        if self._data_plane is None:
            self._exit(self.exit_code or 1)
        elif not self._stopping:
            self._log.warn(
                "The parent is gone ({why}); going on for {seconds:.0f} seconds",
                why=why or "its channel was closed",
                seconds=ORPHAN_TIME,
            )
            self._reactor.callLater(ORPHAN_TIME, self.drain)
        elif not self._reports.running:
            self._exit(0)

    def _exit(self, code: int) -> None:
        if not self._exiting:
            self._exiting = True
            self.exit_code = code
            if self._watchdog is not None:
                self._watchdog.stop()
            self._reactor.stop()


class OneChannel(Factory):
    """Gives the one protocol there is."""

    noisy = False

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def buildProtocol(self, addr: object) -> Channel:
        """The channel."""
        return self._channel


def new_loop(import_module: Callable[[str], Any] = importlib.import_module) -> asyncio.AbstractEventLoop:
    """An event loop: uvloop's, whose transports are the fast ones, or asyncio's where uvloop is missing."""
    try:
        uvloop = import_module("uvloop")
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def install_reactor(loop: asyncio.AbstractEventLoop) -> Any:
    """Make this loop the reactor's, and give the reactor.

    It is one as of a Twisted without its extra ``tls``. Here the loop and ``ssl`` encrypt; pyOpenSSL and all that it
    imports would be 13 MiB that nothing looks at. Plug-ins can import Twisted's TLS nevertheless, for endpoints and
    for Agent; only the reactor's own ``connectSSL`` and its transports' ``startTLS`` are missing.
    """
    with _missing("OpenSSL"):
        from twisted.internet import asyncioreactor

    asyncio.set_event_loop(loop)
    asyncioreactor.install(loop)
    from twisted.internet import reactor

    from dynbalancer.control.steady import keep_steady

    keep_steady(reactor)
    return reactor


@contextmanager
def _missing(module: str) -> Iterator[None]:
    """Let a module be one that is not installed, while ``with`` lasts; unless it is loaded already."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


def adopted(fd: int) -> socket.socket:
    """An inherited socket, made non-blocking, and not to be inherited any further."""
    os.set_inheritable(fd, False)
    found = socket.socket(fileno=fd)
    found.setblocking(False)
    return found


@implementer(ILogObserver)
class WorkerLog:
    """Writes the log to a file as the parent does, from a level up; each line says which worker it is from."""

    def __init__(self, out: TextIO) -> None:
        self._worker = 0
        self._levels = LogLevelFilterPredicate(LogLevel.info)
        self._observer = FilteringLogObserver(FileLogObserver(out, self._line), [self._levels])

    def begin(self, worker: int, level: str) -> None:
        """It is this worker, and this is the lowest level to write."""
        self._worker = worker
        try:
            self._levels.setLogLevelForNamespace("", LogLevel.levelWithName(level.lower()))
        except InvalidLogLevelError:
            # The parent checks its settings; what it means by others is not worth a worker's life.
            self._levels.setLogLevelForNamespace("", LogLevel.info)

    def __call__(self, event: LogEvent) -> None:
        """Write one event."""
        self._observer(event)

    def _line(self, event: LogEvent) -> str | None:
        written = logs.line(event)
        if written is None:
            return None
        head, bracket, text = written.partition("] ")
        return f"{head}{bracket}worker {self._worker}: {text}"


def begin_logging(out: TextIO) -> WorkerLog:
    """Write all that is logged from now on to a file."""
    log = WorkerLog(out)
    globalLogBeginner.beginLoggingTo([log], redirectStandardIO=False)
    return log


def ignore_signals_of_the_group() -> None:
    """Ctrl-C and a closed terminal reach every process of the group; what they mean is the parent's to decide."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _data_plane(reactor: Any) -> Callable[[Settings, Any], Any]:
    from dynbalancer.proxy.dataplane import DataPlane
    from dynbalancer.tls.termination import Termination

    def make(settings: Settings, counters: Any) -> DataPlane:
        return DataPlane(settings, reactor, counters, Termination(settings.default_certificate))

    return make


def _watchdog(reactor: Any) -> Callable[[float], Any]:
    from dynbalancer.proxy.watchdog import Watchdog

    return lambda stall: Watchdog(stall, reactor)


def _become(privileges: Mapping[str, Any]) -> None:
    from dynbalancer.control.privileges import become_worker

    become_worker(privileges)


def _raise_limit() -> None:
    from dynbalancer.proxy.descriptors import raise_limit

    raise_limit()


def main() -> int:
    """Run a worker on the descriptors this process inherited. Gives its exit code."""
    ignore_signals_of_the_group()
    loop = new_loop()
    reactor = install_reactor(loop)
    _raise_limit()
    log = begin_logging(sys.stderr)
    worker = Worker(
        reactor,
        Counters(COUNTERS_FD),
        make_data_plane=_data_plane(reactor),
        become=_become,
        adopt_socket=adopted,
        begin_log=log.begin,
        make_watchdog=_watchdog(reactor),
    )
    with adopted(CHANNEL_FD) as channel:
        reactor.adoptStreamConnection(channel.fileno(), socket.AF_UNIX, OneChannel(worker.channel))
    loop.add_signal_handler(signal.SIGTERM, worker.drain)
    reactor.run(installSignalHandlers=False)
    return worker.exit_code


if __name__ == "__main__":
    sys.exit(main())
