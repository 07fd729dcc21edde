"""The supervisor: starts the workers, gives them the routing table, replaces those that crash, ends them.

All workers accept on the same listening sockets, which the parent bound and keeps: a worker that dies takes
no queued connection with it, and its siblings go on.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from dynbalancer.control.counters import Counters, SlotNumbers
from dynbalancer.control.snapshots import Snapshot
from dynbalancer.control.statistics import Statistics
from dynbalancer.control.workerprocess import Launch, WorkerProcess, worker_environment
from dynbalancer.core.certificates import TICKET_KEY_SIZE
from dynbalancer.core.model import Configuration, WorkerStatus
from dynbalancer.core.settings import Settings
from dynbalancer.core.settings_codec import for_worker
from dynbalancer.core.statistics import Report
from dynbalancer.core.transfer import Held
from dynbalancer.interfaces import IWorkforce

if TYPE_CHECKING:
    from dynbalancer.control.router import RouterService
    from dynbalancer.core.table import RoutingTable

#: Seconds before a worker is replaced that crashed again (the first time none pass), at first and at most; and the
#: life after which it is the first time.
FIRST_WAIT = 0.1
LONGEST_WAIT = 10.0
STEADY = 30.0

#: How long TLS session tickets are issued under one key, in seconds. Who gets hold of a key can read what was resumed
#: with TLS 1.2 under it, but nothing older.
TICKET_TIME = 12 * 3600.0


class Worker:
    """One of the places for a worker: it has a process, or waits until the next one may be started."""

    _log = Logger()

    def __init__(self, number: int, supervisor: Supervisor) -> None:
        self.number = number
        self.process: WorkerProcess | None = None
        self.ended: Deferred[None] | None = None
        self._supervisor = supervisor
        self._state = "starting"
        self._restarts = 0
        self._crashes = 0
        self._since = 0.0
        self._restart: IDelayedCall | None = None

    @property
    def status(self) -> WorkerStatus:
        """How it is doing."""
        pid, table = (0, 0) if self.process is None else (self.process.pid, max(0, self.process.table))
        return WorkerStatus(self.number, pid, self._state, table, self._restarts, self._since)

    def start(self) -> None:
        """Start a process and give it the newest table."""
        self._restart = None
        self._change("starting")
        process = WorkerProcess(
            self.number, self._supervisor.launch(self.number), self._supervisor.reactor, self
        )
        try:
            process.spawn()
        except OSError as error:
            self._failed(process, f"could not be started: {error}")
            return
        self.process = process
        self._log.info("Worker {worker} started with pid {pid}", worker=self.number, pid=process.pid)
        if self._supervisor.snapshot is not None:
            process.offer(self._supervisor.snapshot)

    def stop(self, grace: float) -> Deferred[None] | None:
        """End it. A Deferred that fires when its process is gone, or None where there is none."""
        if self._restart is not None:
            self._restart.cancel()
            self._restart = None
        self._change("stopping")
        if self.process is None:
            return None
        self.ended = Deferred()
        self.process.stop(grace)
        return self.ended

    def process_took_table(self, process: WorkerProcess) -> None:
        """It serves: a worker begins to accept when it has its first table."""
        if self._state == "starting":
            self._change("serving")

    def process_reported(self, process: WorkerProcess, report: Report) -> None:
        """Count what it did."""
        self._supervisor.statistics.update(self.number, report)

    def process_ended(self, process: WorkerProcess, why: str) -> None:
        """Start the next one, after a while if it is not the first that crashed, or tell who waits for the end."""
        self._supervisor.statistics.close(self.number)
        self._supervisor.regions.ended(self.number)
        self.process = None
        if self._state != "stopping":
            self._failed(process, why)
            return
        self._log.info("Worker {worker} {why}", worker=self.number, why=why)
        if self.ended is not None:
            ended, self.ended = self.ended, None
            ended.callback(None)

    def _failed(self, process: WorkerProcess, why: str) -> None:
        self._change("failed")
        reactor = self._supervisor.reactor
        if reactor.seconds() - process.began >= STEADY:
            self._crashes = 0
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(self._crashes - 1, 20)) if self._crashes else 0.0
        self._crashes += 1
        self._restarts += 1
        # One that could not be started has no pid.
        who = "Worker {worker} (pid {pid})" if process.pid else "Worker {worker}"
        self._log.error(
            who + " {why}; the next one starts in {wait:g} seconds",
            worker=self.number,
            pid=process.pid,
            why=why,
            wait=wait,
        )
        self._restart = reactor.callLater(wait, self.start)

    def _change(self, state: str) -> None:
        self._state = state
        self._since = self._supervisor.wall_time()


@implementer(IWorkforce)
class Supervisor(Service):
    """The workers of this process. Each has the routing table of ``router``, and its own life.

    ``sockets`` are the bound listening sockets by entry point; they are looked at when a worker starts, so
    they may be bound after this is made. ``privileges`` says what the workers give up, in the words of
    ``control.privileges``.
    """

    name = "supervisor"
    _log = Logger()

    def __init__(
        self,
        settings: Settings,
        router: RouterService,
        sockets: Mapping[str, socket.socket],
        counters: Counters,
        statistics: Statistics,
        reactor: Any,
        *,
        privileges: Mapping[str, Any] | None = None,
        wall_time: Callable[[], float] = time.time,
    ) -> None:
        self.reactor = reactor
        self.statistics = statistics
        self.wall_time = wall_time
        self.snapshot: Snapshot | None = None
        self._settings = settings
        self._router = router
        self._sockets = sockets
        self._counters = counters
        self.regions = counters.regions
        self._slots = SlotNumbers(counters.rows, counters.clear)
        self._privileges = privileges
        # Now, not later: twistd changes its working directory before it starts services.
        self._environment = worker_environment(os.environb, sys.path, os.getcwd())
        self._workers = tuple(Worker(number, self) for number in range(1, settings.workers + 1))
        self._unsubscribe: Callable[[], None] | None = None
        self._ticket_key = token_hex(TICKET_KEY_SIZE)
        self._ticket_keys = LoopingCall(self._change_ticket_key)
        self._ticket_keys.clock = reactor

    @property
    def workers(self) -> tuple[WorkerStatus, ...]:
        """How each worker is doing."""
        return tuple(worker.status for worker in self._workers)

    def startService(self) -> None:
        """Start the workers with the table in force, and follow it."""
        super().startService()
        self._unsubscribe = self._router.subscribe(self._router_changed)
        self._take(self._router.table)
        self._ticket_keys.start(TICKET_TIME, now=False)
        for worker in self._workers:
            worker.start()

    def stopService(self) -> Deferred[Any]:
        """End the workers, each after its requests. The Deferred fires when all are gone; it can't fail."""
        super().stopService()
        if self._ticket_keys.running:
            self._ticket_keys.stop()
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        ends = [worker.stop(self._settings.grace) for worker in self._workers]
        return DeferredList([end for end in ends if end is not None])

    def reopen_logs(self) -> None:
        """Have every worker open its log files anew (after they were rotated)."""
        for worker in self._workers:
            if worker.process is not None:
                worker.process.reopen_logs()

    def launch(self, number: int = 1) -> Launch:
        """How the worker of this number is started now. Datagrams are the first one's: a client has one server."""
        elsewhere = {point.name for point in self._settings.entry_points if point.udp and number != 1}
        return Launch(
            for_worker(self._settings),
            {name: sock.fileno() for name, sock in self._sockets.items() if name not in elsewhere},
            self._counters.fd,
            self._environment,
            self._privileges,
            self._ticket_key,
        )

    def _change_ticket_key(self) -> None:
        self._ticket_key = token_hex(TICKET_KEY_SIZE)
        for worker in self._workers:
            if worker.process is not None:
                worker.process.share_tickets(self._ticket_key)

    def _router_changed(self, old: RoutingTable, new: RoutingTable) -> None:
        if new is old:
            return
        self._take(new)
        for worker in self._workers:
            if worker.process is not None and self.snapshot is not None:
                worker.process.offer(self.snapshot)

    def _take(self, table: RoutingTable) -> None:
        configuration, before = table.configuration, self.snapshot
        held = None if before is None else before.held.configuration
        if before is not None and held is not None and _turns(held) == _turns(configuration):
            slots = before.held.slots
        else:
            slots = self._slots.assign(
                [*configuration.services, *(f"tcp/{name}" for name in configuration.tcp_services)]
            )
        self.statistics.forget(configuration.routers, configuration.services)
        self.statistics.forget_flows(configuration)
        snapshot = Snapshot(table.number, Held(configuration, slots))
        try:
            # What most workers will need. Where it can't be sent, those that start get the one before.
            snapshot.frames(before)
        except ValueError as error:
            self._log.error("Table {number} can't be sent: {why}", number=table.number, why=error)
            return
        if before is not None:
            before.outdated()
        self.snapshot = snapshot


def _turns(configuration: Configuration) -> tuple[int, int]:
    """Which objects have the services that take turns: those of another table are others where one changed."""
    return id(configuration.services), id(configuration.tcp_services)
