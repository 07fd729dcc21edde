"""The supervisor: workers get the newest table, crash without harm, and end in peace."""

from __future__ import annotations

import signal
import socket
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dynbalancer.control.statistics import Statistics
from dynbalancer.control.supervisor import TICKET_TIME, Supervisor
from dynbalancer.core import transfer
from dynbalancer.core.frames import FrameDecoder, encode
from dynbalancer.core.model import Configuration, EntryPoint, Router, Server, Service
from dynbalancer.core.settings import Settings
from dynbalancer.core.settings_codec import in_worker
from dynbalancer.core.statistics import Report
from dynbalancer.core.streams import StreamService
from dynbalancer.interfaces import IWorkforce


def web(*hosts: str) -> Configuration:
    """One router and one service, merged."""
    servers = tuple(Server(f"http://{host}:80") for host in hosts)
    name = "web@docker"
    return Configuration({name: Router(name, "Host(`a.example`)", "web")}, {name: Service(name, servers)})


@dataclass
class FakeTable:
    """As much of a routing table as travels to a worker."""

    number: int
    configuration: Configuration


class FakeRouter:
    """A router whose table a test sets."""

    def __init__(self) -> None:
        self.table = FakeTable(0, Configuration())
        self.listeners: list[Any] = []

    def subscribe(self, listener: Any) -> Any:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def swap(self, configuration: Configuration) -> None:
        """A new table is in force."""
        old, self.table = self.table, FakeTable(self.table.number + 1, configuration)
        for listener in self.listeners:
            listener(old, self.table)


class FakeSocket:
    """A listening socket, as far as its descriptor."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def fileno(self) -> int:
        return self.fd


class FakeCounters:
    """Counters that note which rows were begun anew, and which workers have nothing in their regions any more."""

    fd = 70
    rows = 4

    def __init__(self) -> None:
        self.cleared: list[int] = []
        self.gone: list[int] = []
        self.regions = self

    def ended(self, worker: int) -> None:
        self.gone.append(worker)

    def clear(self, index: int) -> None:
        self.cleared.append(index)


class FakeWorker:
    """The other end: a process and its channel."""

    def __init__(self, pid: int, protocol: Any) -> None:
        self.pid = pid
        self.protocol = protocol
        self.channel: Any = None
        self.pipe = StringTransport()
        self.killed = False
        self.gone = False

    def signalProcess(self, name: str) -> None:
        if self.gone:
            raise ProcessExitedAlready
        assert name == "KILL"
        self.killed = True

    def told(self) -> list[dict[str, Any]]:
        """What it was sent since the last look."""
        found = FrameDecoder().feed(self.pipe.value())
        self.pipe.clear()
        return found

    def says(self, **message: Any) -> None:
        """It sends a message."""
        self.channel.dataReceived(encode(message))

    def serve(self) -> list[int]:
        """It answers all it was sent so far; gives the numbers of the tables among that."""
        numbers = [message["number"] for message in self.told() if message["type"] == "table"]
        self.says(type="ready", pid=self.pid)
        for number in numbers:
            self.says(type="ack", number=number)
        return numbers

    def end(self, signalled: int | None = None) -> None:
        """It is gone."""
        self.gone = True
        self.channel.connectionLost()
        error = ProcessDone(0) if signalled is None else ProcessTerminated(None, signalled, 0)
        self.protocol.processEnded(Failure(error))


class FakeReactor(MemoryReactorClock):
    """Spawns fake workers."""

    def __init__(self) -> None:
        super().__init__()
        self.workers: list[FakeWorker] = []
        self.fails: OSError | None = None

    def spawnProcess(self, protocol: Any, executable: str, args: Any, env: Any, childFDs: Any) -> FakeWorker:
        if self.fails:
            raise self.fails
        assert list(childFDs)[4:] == [4, 5]
        worker = FakeWorker(1001 + len(self.workers), protocol)
        self.workers.append(worker)
        protocol.makeConnection(worker)
        return worker

    def adoptStreamConnection(self, fd: int, family: Any, factory: Any) -> None:
        worker = self.workers[-1]
        worker.channel = factory.buildProtocol(None)
        worker.channel.makeConnection(worker.pipe)


class SupervisorTests(SynchronousTestCase):
    """Two workers."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.router: Any = FakeRouter()
        self.statistics = Statistics(self.reactor)
        self.counters: Any = FakeCounters()
        self.sockets: Any = {"web": FakeSocket(71)}
        self.settings = Settings(entry_points=(EntryPoint("web", 80),), workers=2, grace=5.0)
        self.supervisor = self.make()

    def make(self) -> Supervisor:
        return Supervisor(
            self.settings,
            self.router,
            self.sockets,
            self.counters,
            self.statistics,
            self.reactor,
            wall_time=lambda: 1e9 + self.reactor.seconds(),
        )

    def start(self) -> tuple[FakeWorker, FakeWorker]:
        """Start it, and both workers serve."""
        self.supervisor.startService()
        first, second = self.reactor.workers
        for worker in (first, second):
            worker.serve()
        return first, second

    def states(self) -> list[str]:
        return [worker.state for worker in self.supervisor.workers]

    def test_provides_the_interface(self) -> None:
        assert verifyObject(IWorkforce, self.supervisor)

    def test_nothing_is_spawned_before_it_is_started(self) -> None:
        assert self.reactor.workers == []

    def test_workers_are_told_settings_then_the_table(self) -> None:
        self.router.swap(web("10.0.0.1"))
        self.supervisor.startService()
        for worker in self.reactor.workers:
            start, table = worker.told()
            assert in_worker(start["settings"]) == self.settings
            assert start["entryPoints"] == [{"name": "web", "fd": 5}]
            held = transfer.applied(transfer.Held(), [transfer.read(table)])
            assert held.configuration.routing == web("10.0.0.1").routing
            assert (table["number"], table["base"], held.slots) == (1, None, {"web@docker": 0})

    def test_workers_share_a_key_for_tickets_that_changes_twice_a_day(self) -> None:
        self.supervisor.startService()
        told = [worker.told()[0]["tickets"] for worker in self.reactor.workers]
        assert (len(told[0]), told[0]) == (160, told[1])
        for worker in self.reactor.workers:
            worker.serve()
        self.reactor.advance(TICKET_TIME)
        (first,), (second,) = (worker.told() for worker in self.reactor.workers)
        assert first == second == {"type": "tickets", "key": first["key"]}
        assert first["key"] != told[0]

    def test_worker_serves_once_it_took_a_table(self) -> None:
        self.supervisor.startService()
        self.reactor.workers[0].says(type="ready", pid=1001)
        assert self.states() == ["starting", "starting"]
        self.reactor.workers[0].says(type="ack", number=0)
        assert self.states() == ["serving", "starting"]

    def test_change_goes_to_every_worker(self) -> None:
        workers = self.start()
        self.router.swap(web("10.0.0.1"))
        assert [[m["number"] for m in worker.told()] for worker in workers] == [[1], [1]]
        workers[0].says(type="ack", number=1)
        assert [worker.table for worker in self.supervisor.workers] == [1, 0]

    def test_worker_is_told_what_differs_from_what_it_has(self) -> None:
        first, second = self.start()
        one = web("10.0.0.1")
        self.router.swap(one)
        first.says(type="ack", number=1)
        for worker in (first, second):
            worker.told()
        self.router.swap(replace(one, services={**one.services, "api@file": Service("api@file")}))
        second.says(type="ack", number=1, error="oops")
        (small,), (large,) = first.told(), second.told()
        assert (small["base"], list(small["set"]), list(small["set"]["services"])) == (
            1,
            ["services", "slots"],
            ["api@file"],
        )
        assert (large["base"], sorted(large["set"]["services"])) == (0, ["api@file", "web@docker"])

    def test_news_that_is_no_new_table_is_not_sent(self) -> None:
        first, _ = self.start()
        for listener in self.router.listeners:
            listener(self.router.table, self.router.table)
        assert first.told() == []

    def test_slots_follow_the_services(self) -> None:
        first, _ = self.start()
        self.router.swap(web("10.0.0.1"))
        self.router.swap(Configuration())
        self.router.swap(Configuration(services={"api@file": Service("api@file")}))
        first.says(type="ack", number=1)
        last = first.told()[-1]
        assert (last["base"], last["set"]["slots"], last["gone"]["slots"]) == (
            1,
            {"api@file": 0},
            ["web@docker"],
        )
        assert self.counters.cleared == [0, 0]

    def test_datagrams_are_the_first_workers(self) -> None:
        points = (EntryPoint("web", 80), EntryPoint("dns", 53, udp=True))
        self.settings = replace(self.settings, entry_points=points)
        with socket.socket() as web, socket.socket(type=socket.SOCK_DGRAM) as dns:
            self.sockets = {"web": web, "dns": dns}
            supervisor = self.make()
            assert list(supervisor.launch(1).sockets) == ["web", "dns"]
            assert list(supervisor.launch(2).sockets) == ["web"]

    def test_services_of_streams_take_turns_over_all_workers_too(self) -> None:
        self.start()
        wanted = Configuration(tcp_services={"db@file": StreamService("db@file")})
        self.router.swap(wanted)
        assert self.supervisor.snapshot is not None
        assert self.supervisor.snapshot.held.slots == {"tcp/db@file": 0}

    def test_table_that_cannot_be_sent_leaves_the_last_one(self) -> None:
        self.start()
        unsendable: Any = {"r": Router("r", object(), "s")}  # type: ignore[arg-type]
        self.router.swap(Configuration(routers=unsendable))
        assert self.supervisor.snapshot is not None
        assert self.supervisor.snapshot.number == 0

    def test_crashed_worker_is_replaced_and_gets_the_last_table(self) -> None:
        first, second = self.start()
        self.router.swap(web("10.0.0.1"))
        first.end(signal.SIGKILL)
        assert self.states() == ["failed", "serving"]
        assert self.counters.gone == [1]
        self.reactor.advance(0)
        third = self.reactor.workers[2]
        assert third.serve() == [1]
        assert self.states() == ["serving", "serving"]
        status = self.supervisor.workers[0]
        assert (status.number, status.pid, status.table, status.restarts) == (1, 1003, 1, 1)
        assert not second.killed

    def test_crash_is_one_line_in_the_log(self) -> None:
        first, _ = self.start()
        with capturedLogs() as logs:
            first.end(signal.SIGSEGV)
        (line,) = [log["log_format"].format(**log) for log in logs]
        assert line == "Worker 1 (pid 1001) was ended by signal 11; the next one starts in 0 seconds"

    def waits(self, count: int, life: float) -> list[float]:
        """Crash worker 1 ``count`` times, each after ``life`` seconds; gives how long it was away."""
        found = []
        for _ in range(count):
            worker = next(w for w in self.reactor.workers if not w.gone and w.protocol.number == 1)
            worker.serve()
            self.reactor.advance(life)
            worker.end(signal.SIGKILL)
            began, before = self.reactor.seconds(), len(self.reactor.workers)
            self.reactor.advance(0)
            while len(self.reactor.workers) == before:
                self.reactor.advance(0.05)
            found.append(round(self.reactor.seconds() - began, 1))
        return found

    def test_worker_that_keeps_crashing_is_replaced_ever_more_slowly(self) -> None:
        self.start()
        assert self.waits(10, 1.0) == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]

    def test_long_life_makes_the_next_wait_short_again(self) -> None:
        self.start()
        self.waits(4, 1.0)
        assert self.waits(1, 31.0) == [0.0]

    def test_process_that_cannot_be_spawned_has_no_number_in_the_log(self) -> None:
        self.reactor.fails = OSError(12, "Cannot allocate memory")
        with capturedLogs() as logs:
            self.supervisor.startService()
        line = next(
            log["log_format"].format(**log) for log in logs if "started" in log["log_format"].format(**log)
        )
        assert line.startswith(
            "Worker 1 could not be started: [Errno 12] Cannot allocate memory; the next one"
        )

    def test_process_that_cannot_be_spawned_is_tried_again(self) -> None:
        self.reactor.fails = OSError(12, "Cannot allocate memory")
        self.supervisor.startService()
        assert self.states() == ["failed", "failed"]
        self.reactor.fails = None
        self.reactor.advance(0.1)
        assert self.states() == ["starting", "starting"]

    def test_counts_of_a_dead_worker_are_kept(self) -> None:
        first, second = self.start()
        report = Report()
        report.statuses, report.in_flight = {200: 5}, 1
        for worker in (first, second):
            worker.says(type="statistics", report=report.as_dict())
        first.end(signal.SIGKILL)
        found = self.statistics.totals()
        assert (found.count, found.in_flight) == (10, 1)

    def test_stop_waits_for_all_workers(self) -> None:
        first, second = self.start()
        stopped = self.supervisor.stopService()
        assert first.told() == [{"type": "stop", "grace": 5.0}]
        assert self.states() == ["stopping", "stopping"]
        first.end()
        self.assertNoResult(stopped)
        second.end()
        self.successResultOf(stopped)
        assert self.reactor.getDelayedCalls() == []
        assert self.router.listeners == []

    def test_stop_kills_who_does_not_end_in_time(self) -> None:
        first, second = self.start()
        stopped = self.supervisor.stopService()
        second.end()
        self.reactor.advance(6.1)
        assert first.killed
        self.assertNoResult(stopped)
        first.end(signal.SIGKILL)
        self.successResultOf(stopped)

    def test_stop_starts_nobody_anew(self) -> None:
        first, second = self.start()
        first.end(signal.SIGKILL)
        stopped = self.supervisor.stopService()
        second.end()
        self.successResultOf(stopped)
        self.reactor.advance(60)
        assert len(self.reactor.workers) == 2

    def test_logs_are_reopened_by_every_worker_there_is(self) -> None:
        first, second = self.start()
        first.end(signal.SIGKILL)
        self.supervisor.reopen_logs()
        assert second.told() == [{"type": "reopen"}]
