"""One worker process: what it is started with, what it is sent, what it may say, and how it ends."""

from __future__ import annotations

import os
import signal
import struct
from dataclasses import replace
from typing import Any

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dynbalancer.control.snapshots import Snapshot
from dynbalancer.control.workerprocess import ALLOCATION, Launch, WorkerProcess, worker_environment
from dynbalancer.core.frames import FrameDecoder, encode
from dynbalancer.core.model import Configuration, Router, Service
from dynbalancer.core.statistics import Report
from dynbalancer.core.transfer import Held

LAUNCH = Launch(
    {"grace": 10.0}, {"web": 71, "alt": 72}, 70, {b"PATH": b"/bin"}, {"user": "www"}, executable="/python"
)


class FakeProcess:
    """A process that notes what is done to it, and ends when it is told to."""

    def __init__(self, protocol: Any, pid: int) -> None:
        self.protocol = protocol
        self.pid = pid
        self.signals: list[str] = []
        self.gone = False
        self.refuses: OSError | None = None

    def signalProcess(self, name: str) -> None:
        if self.gone:
            raise ProcessExitedAlready
        if self.refuses:
            raise self.refuses
        self.signals.append(name)

    def end(self, code: int = 0, signalled: int | None = None) -> None:
        """It has ended, with this code or by this signal."""
        self.gone = True
        clean = code == 0 and signalled is None
        error = ProcessDone(0) if clean else ProcessTerminated(None if signalled else code, signalled, 0)
        self.protocol.processEnded(Failure(error))


class FakeReactor(MemoryReactorClock):
    """Spawns fake processes, and connects channels to transports in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[dict[str, Any]] = []
        self.processes: list[FakeProcess] = []
        self.transports: list[StringTransport] = []
        self.channels: list[Any] = []
        self.fails: OSError | None = None
        self.cannot_adopt = False

    def spawnProcess(self, protocol: Any, executable: str, args: Any, env: Any, childFDs: Any) -> FakeProcess:
        if self.fails:
            raise self.fails
        self.spawned.append({"executable": executable, "args": args, "env": env, "fds": childFDs})
        process = FakeProcess(protocol, 1000 + len(self.processes))
        self.processes.append(process)
        protocol.makeConnection(process)
        return process

    def adoptStreamConnection(self, fd: int, family: Any, factory: Any) -> None:
        if self.cannot_adopt:
            raise OSError(24, "Too many open files")
        transport, channel = StringTransport(), factory.buildProtocol(None)
        self.transports.append(transport)
        self.channels.append(channel)
        channel.makeConnection(transport)

    def sent(self, index: int = -1) -> list[dict[str, Any]]:
        """What was sent to one of the processes since the last look."""
        transport = self.transports[index]
        found = FrameDecoder().feed(transport.value())
        transport.clear()
        return found

    def says(self, index: int = -1, **message: Any) -> None:
        """One of the processes sends a message."""
        self.channels[index].dataReceived(encode(message))


def table(number: int) -> Snapshot:
    """A table with one service of its own."""
    return Snapshot(number, Held(Configuration(services={f"s{number}": Service(f"s{number}")})))


class WorkerProcessTests(SynchronousTestCase):
    """One process on a fake reactor. The test case is its owner."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.taken: list[int] = []
        self.reports: list[int] = []
        self.ends: list[str] = []
        self.process = WorkerProcess(2, LAUNCH, self.reactor, self)
        self.process.spawn()
        self.os_process = self.reactor.processes[0]

    def process_took_table(self, process: WorkerProcess) -> None:
        self.taken.append(process.table)

    def process_reported(self, process: WorkerProcess, report: Report) -> None:
        self.reports.append(report.in_flight)

    def process_ended(self, process: WorkerProcess, why: str) -> None:
        self.ends.append(why)

    def lose_channel(self) -> None:
        self.reactor.channels[0].connectionLost()

    def test_is_started_with_its_descriptors_and_environment(self) -> None:
        (spawned,) = self.reactor.spawned
        assert spawned["executable"] == "/python"
        assert spawned["args"] == ("/python", "-P", "-m", "dynbalancer.worker")
        assert spawned["env"] == {b"PATH": b"/bin"}
        fds = spawned["fds"]
        assert list(fds) == [0, 1, 2, 3, 4, 5, 6]
        assert (fds[1], fds[2], fds[4], fds[5], fds[6]) == (1, "r", 70, 71, 72)
        assert self.process.pid == 1000

    def test_what_it_writes_is_in_our_log_even_when_it_ends_in_the_middle_of_a_line(self) -> None:
        with capturedLogs() as events:
            self.os_process.protocol.childDataReceived(
                2, b"2026-01-02T03:04:05+0000 [warn] worker 2: one\ncut"
            )
            self.os_process.end(signalled=signal.SIGSEGV)
        assert [formatEvent(event) for event in events] == ["worker 2: one", "worker 2: cut"]

    def test_spawning_leaves_no_descriptor_open_here(self) -> None:
        for fd in (self.reactor.spawned[0]["fds"][0], self.reactor.spawned[0]["fds"][3]):
            with self.assertRaises(OSError):
                os.fstat(fd)

    def test_first_message_says_all_it_needs(self) -> None:
        (start,) = self.reactor.sent()
        assert start == {
            "type": "start",
            "worker": 2,
            "settings": {"grace": 10.0},
            "entryPoints": [{"name": "web", "fd": 5}, {"name": "alt", "fd": 6}],
            "privileges": {"user": "www"},
            "tickets": "",
        }

    def test_only_the_newest_table_waits_for_the_one_on_its_way(self) -> None:
        self.reactor.sent()
        for number in range(1, 50):
            self.process.offer(table(number))
        assert [m["number"] for m in self.reactor.sent()] == [1]
        self.reactor.says(type="ack", number=1)
        assert [m["number"] for m in self.reactor.sent()] == [49]
        self.reactor.says(type="ack", number=49)
        assert self.reactor.sent() == []
        assert self.taken == [1, 49]

    def test_table_is_sent_as_what_differs_from_the_last_one_taken(self) -> None:
        self.reactor.sent()
        for number, error in ((1, None), (2, "oops"), (3, None)):
            self.process.offer(table(number))
            self.reactor.says(type="ack", number=number, error=error)
        assert [(m["base"], list(m["set"]["services"]), m.get("gone")) for m in self.reactor.sent()] == [
            (None, ["s1"], None),
            (1, ["s2"], {"services": ["s1"]}),
            (1, ["s3"], {"services": ["s1"]}),
        ]

    def test_table_that_cannot_be_sent_is_logged_and_the_next_one_sent(self) -> None:
        self.reactor.sent()
        bad: Any = Router("r", object(), "s")  # type: ignore[arg-type]
        with capturedLogs() as events:
            self.process.offer(Snapshot(1, Held(Configuration({"r": bad}))))
            self.process.offer(table(2))
        assert "Table 1 can't be sent" in str(formatEvent(events[0]))
        assert [m["number"] for m in self.reactor.sent()] == [2]

    def test_table_it_cannot_use_is_logged_and_the_next_one_sent(self) -> None:
        self.process.offer(table(1))
        self.process.offer(table(2))
        self.reactor.says(type="ack", number=1, error="oops")
        assert self.reactor.sent()[-1]["number"] == 2
        assert self.taken == []

    def test_worker_that_does_not_answer_is_killed(self) -> None:
        self.reactor.advance(9.9)
        assert self.os_process.signals == []
        self.reactor.advance(0.2)
        assert self.os_process.signals == ["KILL"]
        self.os_process.end(signalled=signal.SIGKILL)
        self.lose_channel()
        assert self.ends == ["did not answer within 10 seconds"]

    def test_worker_that_answers_lives_on(self) -> None:
        self.reactor.says(type="ready", pid=1)
        self.reactor.advance(60)
        assert self.os_process.signals == []
        assert self.process.ready

    def test_statistics_are_handed_on(self) -> None:
        report = Report()
        report.in_flight = 7
        self.reactor.says(type="statistics", report=report.as_dict())
        assert self.reports == [7]

    def test_worker_that_talks_nonsense_is_killed(self) -> None:
        nonsense: list[tuple[bytes, str]] = [
            (encode({"type": "dance"}), "unexpected message of type 'dance'"),
            (encode({"n": 1}), "unexpected message of type 'None'"),
            (encode({"type": "ack", "number": 1}), "acknowledged table 1"),
            (encode({"type": "ack", "number": [1]}), "acknowledged table [1]"),
            (encode({"type": "statistics", "report": {"inFlight": "x"}}), "statistics not readable"),
            (encode({"type": "ready"}) * 2, "unexpected message of type 'ready'"),
            (struct.pack(">I", 2**30), "at most 8388608"),
        ]
        for said, why in nonsense:
            self.setUp()
            self.reactor.channels[0].dataReceived(said)
            self.lose_channel()
            assert self.os_process.signals == ["KILL"], said
            self.os_process.end(signalled=signal.SIGKILL)
            (end,) = self.ends
            assert end.startswith("said something wrong: ")
            assert why in end

    def test_stop_gives_grace_and_a_second(self) -> None:
        self.process.stop(3.0)
        assert self.reactor.sent()[-1] == {"type": "stop", "grace": 3.0}
        self.reactor.advance(3.9)
        assert self.os_process.signals == []
        self.reactor.advance(0.2)
        assert self.os_process.signals == ["KILL"]

    def test_last_statistics_are_heard_though_the_process_ended_first(self) -> None:
        self.process.stop(3.0)
        self.os_process.end()
        assert self.ends == []
        self.reactor.says(type="statistics", report=Report().as_dict())
        self.lose_channel()
        assert self.reports == [0]
        assert self.ends == ["exited"]
        assert self.reactor.getDelayedCalls() == []

    def test_channel_closed_by_a_worker_that_ends_is_no_reason_to_kill_it(self) -> None:
        self.lose_channel()
        assert self.os_process.signals == []
        self.os_process.end()
        assert self.ends == ["exited"]
        assert self.reactor.getDelayedCalls() == []

    def test_worker_that_closes_its_channel_and_stays_is_killed(self) -> None:
        self.lose_channel()
        self.reactor.advance(1.1)
        assert self.os_process.signals == ["KILL"]

    def test_ends_are_told_in_words(self) -> None:
        for code, signalled, why in [(3, None, "exited with code 3"), (0, 11, "was ended by signal 11")]:
            self.setUp()
            self.lose_channel()
            self.os_process.end(code, signalled)
            assert self.ends == [why]

    def test_killing_what_has_ended_or_may_not_be_killed_is_no_failure(self) -> None:
        self.os_process.refuses = PermissionError(1, "Operation not permitted")
        self.process.kill("because")
        self.os_process.gone = True
        self.process.kill("once more")
        assert self.os_process.signals == []
        assert self.reactor.transports[0].disconnected

    def test_process_that_cannot_be_connected_to_is_killed(self) -> None:
        self.reactor.cannot_adopt = True
        self.process = WorkerProcess(2, LAUNCH, self.reactor, self)
        self.process.spawn()
        assert self.reactor.processes[1].signals == ["KILL"]
        self.reactor.processes[1].end(signalled=signal.SIGKILL)
        (why,) = self.ends
        assert why.startswith("could not be connected to: ")

    def test_process_that_cannot_be_spawned_is_an_error(self) -> None:
        self.reactor.fails = OSError(12, "Cannot allocate memory")
        self.assertRaises(OSError, WorkerProcess(2, LAUNCH, self.reactor, self).spawn)

    def test_logs_are_reopened_only_where_the_worker_reads(self) -> None:
        self.reactor.sent()
        self.process.reopen_logs()
        self.reactor.channels[0].pauseProducing()
        self.process.reopen_logs()
        assert self.reactor.sent() == [{"type": "reopen"}]

    def test_key_for_tickets_is_sent_once_there_is_a_channel(self) -> None:
        WorkerProcess(2, LAUNCH, self.reactor, self).share_tickets("0aff")
        self.reactor.sent()
        self.process.share_tickets("0aff")
        assert self.reactor.sent() == [{"type": "tickets", "key": "0aff"}]

    def test_key_for_tickets_is_not_shown(self) -> None:
        assert "0aff" not in repr(replace(LAUNCH, ticket_key="0aff"))


class EnvironmentTests(SynchronousTestCase):
    """What a worker finds in its environment."""

    def test_settings_are_not_passed_on_and_modules_are_found(self) -> None:
        environ = {
            b"PATH": b"/bin",
            b"Dynbalancer_API_TOKEN": b"x",
            b"DOCKER_HOST": b"x",
            b"PYTHONPATH": b"old",
        }
        found = worker_environment(environ, ["", "providers", "/lib"], "/here")
        assert found == {b"PATH": b"/bin", b"PYTHONPATH": b"/here/:/here/providers:/lib", **ALLOCATION}

    def test_what_somebody_set_for_the_allocator_stays(self) -> None:
        found = worker_environment({b"MALLOC_MMAP_THRESHOLD_": b"4096"}, [], "/")
        assert found[b"MALLOC_MMAP_THRESHOLD_"] == b"4096"
        assert found[b"MALLOC_TRIM_THRESHOLD_"] == ALLOCATION[b"MALLOC_TRIM_THRESHOLD_"]
