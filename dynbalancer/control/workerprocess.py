"""One worker process as its parent sees it: from the moment it is spawned until it has ended."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from dynbalancer.control.channel import CHANNEL_FD, Channel
from dynbalancer.control.counters import COUNTERS_FD
from dynbalancer.control.snapshots import Snapshot
from dynbalancer.control.statistics import checked_report
from dynbalancer.control.workerlog import WorkerLog
from dynbalancer.core.statistics import Report

#: File descriptors of a worker: the channel to its parent (3), the counters (4), then the listening sockets.
FIRST_SOCKET_FD = COUNTERS_FD + 1

#: For glibc's allocator. Each TLS connection of uvloop has a buffer of 256 KiB that it uses the beginning of. From this
#: size on memory comes from the system, untouched; below it from the heap, which would soon be taken for these as well:
#: then a connection has 22 KiB of it that others used before, and nobody looks at any more. Nor is the end of the heap
#: given back and taken again with every large piece of a body.
ALLOCATION = {b"MALLOC_MMAP_THRESHOLD_": b"262144", b"MALLOC_TRIM_THRESHOLD_": b"1048576"}

#: How long a worker may take to answer its start, and to end after its grace time, in seconds.
START_TIME = 10.0
KILL_TIME = 1.0

#: The largest message a worker may send: statistics of some hundred routers, whatever their names are.
LARGEST_FROM_WORKER = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Launch:
    """How a worker is started. ``sockets`` are file descriptors of listening sockets by entry point."""

    settings: Mapping[str, Any]
    sockets: Mapping[str, int]
    counters_fd: int
    environment: Mapping[bytes, bytes]
    privileges: Mapping[str, Any] | None = None
    ticket_key: str = field(default="", repr=False)
    executable: str = field(default_factory=lambda: sys.executable)

    @property
    def arguments(self) -> tuple[str, ...]:
        """The command line. ``-P``: what lies in the working directory is none of a worker's modules."""
        return (self.executable, "-P", "-m", "dynbalancer.worker")

    def start_message(self, number: int) -> dict[str, Any]:
        """The first thing a worker is told."""
        return {
            "type": "start",
            "worker": number,
            "settings": self.settings,
            "entryPoints": [
                {"name": name, "fd": fd} for fd, name in enumerate(self.sockets, FIRST_SOCKET_FD)
            ],
            "privileges": self.privileges,
            "tickets": self.ticket_key,
        }


class Owner(Protocol):
    """Who hears what becomes of a process."""

    def process_took_table(self, process: WorkerProcess) -> None:
        """It routes by ``process.table`` now."""

    def process_reported(self, process: WorkerProcess, report: Report) -> None:
        """It said what it did."""

    def process_ended(self, process: WorkerProcess, why: str) -> None:
        """It is gone."""


class WorkerProcess(ProcessProtocol):
    """A process, and the channel to it. What it says is checked; a worker that talks nonsense is killed.

    At most one table is on its way to a worker: when that is taken, the newest there is follows.
    """

    _log = Logger()
    #: Set by Twisted.
    transport: Any

    def __init__(self, number: int, launch: Launch, reactor: Any, owner: Owner) -> None:
        self.number = number
        self.pid = 0
        self.ready = False
        self.table = -1
        self.began = reactor.seconds()
        self._launch = launch
        self._reactor = reactor
        self._owner = owner
        self._written = WorkerLog(number)
        self._channel = Channel(self._received, self._channel_lost, LARGEST_FROM_WORKER)
        self._has: Snapshot | None = None
        self._on_its_way: Snapshot | None = None
        self._next: Snapshot | None = None
        self._deadline: IDelayedCall | None = None
        self._why = ""
        self._connected = False
        self._ending: str | None = None

    def spawn(self) -> None:
        """Start the process and tell it to begin. Raises OSError where the machine can't."""
        ours, theirs = socket.socketpair()
        with ours, theirs, open(os.devnull, "rb") as nothing:
            ours.setblocking(False)
            fds = (theirs.fileno(), self._launch.counters_fd, *self._launch.sockets.values())
            self._reactor.spawnProcess(
                self,
                self._launch.executable,
                self._launch.arguments,
                env=dict(self._launch.environment),
                childFDs={0: nothing.fileno(), 1: 1, 2: "r", **dict(enumerate(fds, CHANNEL_FD))},
            )
            self._limit(START_TIME, f"did not answer within {START_TIME:.0f} seconds")
            try:
                self._reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, _Only(self._channel))
            except OSError as error:
                self.kill(f"could not be connected to: {error}")
                return
        self._connected = True
        self._channel.send(self._launch.start_message(self.number))

    def connectionMade(self) -> None:
        """It runs."""
        self.pid = self.transport.pid

    def errReceived(self, data: bytes) -> None:
        """It logged something."""
        self._written.received(data)

    def offer(self, snapshot: Snapshot) -> None:
        """Send this table: now, or when the one on its way was taken and no newer one came."""
        self._next = snapshot
        self._send_next()

    def reopen_logs(self) -> None:
        """Ask it to open its log files anew. One that does not read is not asked again and again."""
        if not self._channel.congested:
            self._channel.send({"type": "reopen"})

    def share_tickets(self, key: str) -> None:
        """Have it issue and take TLS session tickets under this key, in hexadecimal."""
        if self._connected:
            self._channel.send({"type": "tickets", "key": key})

    def stop(self, grace: float) -> None:
        """Let it finish what it has for ``grace`` seconds; a second later it is killed."""
        self._channel.send({"type": "stop", "grace": grace})
        self._limit(grace + KILL_TIME, f"did not end within {grace + KILL_TIME:g} seconds")

    def kill(self, why: str) -> None:
        """End it at once."""
        self._why = self._why or why
        if self.transport is not None:
            try:
                self.transport.signalProcess("KILL")
            except ProcessExitedAlready:
                # Its end is on the way to us.
                return
            except OSError as error:
                self._log.error("Worker {worker} can't be killed: {why}", worker=self.number, why=error)
        self._channel.abort(why)

    def processEnded(self, reason: Failure) -> None:
        """Tell the owner, and why."""
        self._cancel_deadline()
        self._written.ended()
        self._ending = self._why or _how_it_ended(reason)
        # Its last statistics may still be on their way; the channel ends by itself now.
        if not self._connected:
            self._end(self._ending)

    def _end(self, why: str) -> None:
        self._cancel_deadline()
        self._owner.process_ended(self, why)

    def _limit(self, seconds: float, why: str) -> None:
        self._cancel_deadline()
        self._deadline = self._reactor.callLater(seconds, self.kill, why)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def _send_next(self) -> None:
        if self._next is None or self._on_its_way is not None:
            return
        snapshot, self._next = self._next, None
        try:
            frames = snapshot.frames(self._has)
        except ValueError as error:
            self._log.error("Table {number} can't be sent: {why}", number=snapshot.number, why=error)
            return
        self._on_its_way = snapshot
        for frame in frames:
            self._channel.send_frame(frame)

    def _received(self, message: Mapping[str, Any]) -> None:
        kind = message.get("type")
        if kind == "ready" and not self.ready:
            self.ready = True
            self._cancel_deadline()
        elif kind == "ack":
            self._took(message.get("number"), message.get("error"))
        elif kind == "statistics":
            self._owner.process_reported(self, checked_report(message.get("report")))
        else:
            raise ValueError(f"an unexpected message of type {str(kind)[:40]!r}")

    def _took(self, number: object, error: object) -> None:
        sent = self._on_its_way
        if sent is None or type(number) is not int or number != sent.number:
            raise ValueError(f"it acknowledged table {str(number)[:40]}, which was not on its way")
        self._on_its_way = None
        if error:
            self._log.error(
                "Worker {worker} can't use table {number}: {why}",
                worker=self.number,
                number=number,
                why=str(error)[:1000],
            )
        else:
            self._has, self.table = sent, number
            self._owner.process_took_table(self)
        self._send_next()

    def _channel_lost(self, why: str) -> None:
        # A worker nobody can talk to keeps its table for ever. One that is done closes its channel first.
        self._connected = False
        if self._ending is not None:
            self._end(self._ending)
        elif why:
            self.kill(f"said something wrong: {why}")
        else:
            self._limit(KILL_TIME, "closed its channel and did not end")


class _Only(Factory):
    """Gives the one protocol there is."""

    noisy = False

    def __init__(self, protocol: Channel) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> Channel:
        """The channel."""
        return self._protocol


def worker_environment(environ: Mapping[bytes, bytes], path: Iterable[str], here: str) -> dict[bytes, bytes]:
    """The environment of a worker: modules are found where the parent finds them, settings are not passed on.

    What somebody set for the allocator stays as it is.

    Settings may be secret, and what a worker needs of them it is told.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if not name.upper().startswith((b"DYNBALANCER_", b"DOCKER_"))
    }
    kept = {**ALLOCATION, **kept}
    kept[b"PYTHONPATH"] = os.fsencode(os.pathsep.join(os.path.join(here, entry) for entry in path))
    return kept


def _how_it_ended(reason: Failure) -> str:
    error = reason.value
    if not isinstance(error, ProcessTerminated):
        return "exited"
    if error.signal is not None:
        return f"was ended by signal {error.signal}"
    return f"exited with code {error.exitCode}"
