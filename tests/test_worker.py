"""A worker: begins when it has a table, never loses the last good one, and always comes to an end."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from dynbalancer.core import transfer
from dynbalancer.core.frames import FrameDecoder, encode
from dynbalancer.core.model import Configuration, EntryPoint, Middleware, Service
from dynbalancer.core.settings import Settings
from dynbalancer.core.settings_codec import for_worker
from dynbalancer.core.statistics import Report
from dynbalancer.errors import ConfigurationError
from dynbalancer.worker import OneChannel, Worker, WorkerLog, adopted, ignore_signals_of_the_group, new_loop

SETTINGS = Settings(entry_points=(EntryPoint("web", 80), EntryPoint("alt", 81)), grace=7.0, log_level="debug")
START = {
    "type": "start",
    "worker": 3,
    "settings": for_worker(SETTINGS),
    "entryPoints": [{"name": "web", "fd": 5}, {"name": "alt", "fd": 6}],
    "privileges": {"uid": 33},
    "tickets": "0aff",
}


class FakeDataPlane:
    """A data plane that notes what it is told, and drains when a test says so."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log
        self.drained: Deferred[None] = Deferred()
        self.fails: Exception | None = None
        self.served = 0
        self.unreported = 0
        self.loaded: Deferred[None] | None = None
        self.table = SimpleNamespace(configuration=Configuration(), changes=0)

    def start(self) -> None:
        self.log.append("started")

    def watched_by(self, watchdog: object) -> None:
        self.watchdog = watchdog

    def share_tickets(self, key: bytes) -> None:
        self.log.append(("shares", key))

    def taking(self, configuration: Configuration, number: int) -> Iterator[None]:
        yield
        if self.fails:
            raise self.fails
        self.table.configuration, self.table.changes = configuration, len(configuration.services)
        self.log.append(("took", number, list(configuration.services)))
        yield

    def loading(self, definitions: Iterable[Any]) -> Deferred[None] | None:
        self.log.append(("loads", [definition.type for definition in definitions]))
        return self.loaded

    def listen(self, entry_point: EntryPoint, sock: Any) -> None:
        self.log.append(("listens", entry_point.name, sock))

    def drain(self, grace: float) -> Deferred[None]:
        self.log.append(("drains", grace))
        return self.drained

    def reopen_logs(self) -> None:
        self.log.append("reopened")

    def report(self) -> Report:
        self.unreported = max(0, self.unreported - 1)
        report = Report()
        report.statuses[200] = self.served
        return report


class Dog:
    """A watchdog that notes when it watches."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.stalls = 0

    def start(self) -> None:
        self.told.append("start")

    def stop(self) -> None:
        self.told.append("stop")


class WorkerCase(SynchronousTestCase):
    """A worker on a clock, its parent a transport in memory. ``log`` holds what it did, in order."""

    def setUp(self) -> None:
        # What a test leaves behind must not become permanent.
        self.patch(gc, "freeze", lambda: self.frozen.append(True))
        self.frozen: list[bool] = []
        self.log: list[Any] = []
        self.reactor = MemoryReactorClock()
        self.reactor.running = True
        self.plane = FakeDataPlane(self.log)
        self.regions = self
        self.joined: list[int] = []
        self.refusal: Exception | None = None
        self.dog = Dog()
        self.now: Callable[[], float] = self.reactor.seconds
        self.worker = Worker(
            self.reactor,
            self,
            make_data_plane=self.make_data_plane,
            become=self.become,
            adopt_socket=lambda fd: fd,  # type: ignore[arg-type, return-value]
            begin_log=lambda number, level: self.log.append(("logs", number, level)),
            make_watchdog=self.make_watchdog,
            clock=lambda: self.now(),
        )
        self.pipe = StringTransport()
        OneChannel(self.worker.channel).buildProtocol(None).makeConnection(self.pipe)

    def make_data_plane(self, settings: Settings, counters: object) -> FakeDataPlane:
        assert settings == SETTINGS
        assert counters is self
        return self.plane

    def make_watchdog(self, stall: float) -> Any:
        assert stall == SETTINGS.stall
        return self.dog

    def become(self, privileges: object) -> None:
        if self.refusal:
            raise self.refusal
        self.log.append(("became", privileges))

    def use(self, slots: Mapping[str, int], changed: Mapping[str, int]) -> None:
        """The counters are this test case, too."""
        self.log.append(("uses", dict(slots)))

    def join(self, worker: int) -> None:
        """And so are their regions."""
        self.joined.append(worker)

    def told(self, **message: Any) -> None:
        """The parent says something."""
        self.worker.channel.dataReceived(encode(message))

    def table(self, number: int, base: int | None = None, *services: str, gone: Sequence[str] = ()) -> None:
        """The parent sends a table with one service, or with these on top of another."""
        names = services or ("web@docker",)
        configuration = Configuration(services={name: Service(name) for name in names})
        for part in transfer.parts(transfer.Held(configuration, dict.fromkeys(names, 4)), transfer.Held()):
            self.told(type="table", number=number, base=base, **part, gone={"services": gone, "slots": gone})

    def said(self) -> list[dict[str, Any]]:
        """What the worker said since the last look."""
        found = FrameDecoder().feed(self.pipe.value())
        self.pipe.clear()
        return found

    def start(self) -> None:
        """The worker serves, and what it did for that is forgotten."""
        self.told(**START)
        self.table(1)
        self.said()
        self.log.clear()


class StartTests(WorkerCase):
    """From the first message to the first request."""

    def test_gives_up_its_rights_before_anything_else_is_made(self) -> None:
        self.told(**START)
        assert self.log == [("logs", 3, "debug"), ("became", {"uid": 33}), "started", ("shares", b"\x0a\xff")]
        assert self.joined == [3]
        assert self.said() == [{"type": "ready", "pid": os.getpid()}]
        assert self.frozen

    def test_listens_when_it_has_its_first_table_and_only_then(self) -> None:
        self.told(**START)
        self.log.clear()
        self.table(1)
        self.table(2, 1)
        assert self.log == [
            ("uses", {"web@docker": 4}),
            ("took", 1, ["web@docker"]),
            ("listens", "web", 5),
            ("listens", "alt", 6),
            ("uses", {"web@docker": 4}),
            ("took", 2, ["web@docker"]),
        ]
        assert [m.get("number") for m in self.said()] == [None, 1, 2]

    def test_refused_rights_end_it_with_one_sentence(self) -> None:
        self.refusal = ConfigurationError("--user", "may not")
        self.told(**START)
        assert self.reactor.hasStopped
        assert self.worker.exit_code == 1
        assert self.log == [("logs", 3, "debug")]
        assert self.flushLoggedErrors() == []

    def test_bug_at_the_start_is_logged_with_its_traceback(self) -> None:
        self.refusal = KeyError("uid")
        self.told(**START)
        assert self.worker.exit_code == 1
        assert len(self.flushLoggedErrors(KeyError)) == 1

    def test_without_privileges_it_stays_who_it_is(self) -> None:
        self.told(**{**START, "privileges": None})
        assert ("became", {}) in self.log

    def test_parent_gone_before_the_start_ends_it(self) -> None:
        self.worker.channel.connectionLost()
        assert self.reactor.hasStopped
        assert self.worker.exit_code == 1


class ServingTests(WorkerCase):
    """While it serves."""

    def test_table_that_cannot_be_used_leaves_the_last_one(self) -> None:
        self.start()
        self.plane.fails = ZeroDivisionError("oops")
        self.table(2, 1, "api@docker")
        assert self.said() == [{"type": "ack", "number": 2, "error": "ZeroDivisionError('oops')"}]
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        assert not self.reactor.hasStopped

    def test_table_is_made_of_the_last_one_taken(self) -> None:
        self.start()
        self.table(2, 1, "api@docker")
        self.plane.fails = ZeroDivisionError("oops")
        self.table(3, 2, "lost@docker")
        self.plane.fails = None
        self.table(4, 2, "db@docker", gone=["web@docker"])
        assert [entry for entry in self.log if entry[0] == "took"] == [
            ("took", 2, ["web@docker", "api@docker"]),
            ("took", 4, ["api@docker", "db@docker"]),
        ]
        # Table 3 was given up: its rows, too.
        assert [list(entry[1]) for entry in self.log if entry[0] == "uses"] == [
            ["web@docker", "api@docker"],
            ["web@docker", "api@docker", "lost@docker"],
            ["web@docker", "api@docker"],
            ["api@docker", "db@docker"],
        ]
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1

    def test_table_made_of_another_than_the_last_is_refused(self) -> None:
        self.start()
        self.table(7, 6)
        (ack,) = self.said()
        assert "it is made of table 6, and here is table 1" in ack["error"]
        assert len(self.flushLoggedErrors(ValueError)) == 1

    def test_table_that_can_not_be_read_is_refused_and_the_next_one_taken(self) -> None:
        self.start()
        self.told(type="part", number=2, set={"routers": {"r": {"rule": {}, "colour": "red"}}})
        self.table(2, 1)
        self.table(3, 1)
        assert [(ack["number"], "error" in ack) for ack in self.said()] == [(2, True), (3, False)]
        assert len(self.flushLoggedErrors(ConfigurationError)) == 1

    def test_large_table_comes_in_parts_and_is_taken_in_slices(self) -> None:
        self.told(**START)
        self.said()
        self.log.clear()
        held = transfer.Held(Configuration(services={f"s{n}": Service(f"s{n}") for n in range(1200)}))
        *first, last = transfer.parts(held, transfer.Held())
        assert len(first) == 2
        for part in first:
            self.told(type="part", number=1, **part)
        assert not gc.isenabled()
        self.frozen.clear()
        self.now = count(0.0, 1.0).__next__
        self.told(type="table", number=1, base=None, **last)
        assert self.said() == []
        self.reactor.advance(0)
        assert [ack["number"] for ack in self.said()] == [1]
        assert [entry[0] for entry in self.log] == ["uses", "took", "listens", "listens"]
        assert self.log[1][2] == list(held.configuration.services)
        assert (gc.isenabled(), self.frozen) == (True, [True])

    def test_new_types_of_middlewares_are_imported_before_a_table_is_built(self) -> None:
        self.start()
        configuration = Configuration(middlewares={"a@x": Middleware("a@x", "compress")})
        self.plane.loaded = Deferred()
        for part in transfer.parts(transfer.Held(configuration), transfer.Held()):
            self.told(type="table", number=2, base=None, **part)
        assert self.log == [("loads", ["compress"])]
        self.plane.loaded.callback(None)
        assert self.log[-1] == ("took", 2, [])
        assert {"type": "ack", "number": 2} in self.said()

    def test_collector_works_again_after_a_table_that_can_not_be_used(self) -> None:
        self.start()
        self.plane.fails = ZeroDivisionError("oops")
        self.table(2, 1)
        assert gc.isenabled()
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1

    def reported(self) -> list[int]:
        """The counts that were told since the last look."""
        return [m["report"]["statuses"]["200"] for m in self.said() if m["type"] == "statistics"]

    def test_statistics_are_sent_every_second(self) -> None:
        self.start()
        self.plane.served = 5
        self.reactor.pump([1, 1])
        assert self.reported() == [5, 5]

    def test_loop_is_watched_from_the_first_table_on_and_its_stalls_are_reported(self) -> None:
        self.told(**START)
        assert (self.dog.told, self.plane.watchdog) == ([], self.dog)
        self.table(1)
        assert self.dog.told[0] == "start"
        self.said()
        self.dog.stalls = 2
        self.reactor.advance(1)
        assert [m["report"]["stalls"] for m in self.said()] == [2]
        self.told(type="stop", grace=0)
        self.plane.drained.callback(None)
        self.reactor.advance(1)
        assert self.dog.told[-1] == "stop"

    def test_many_statistics_are_sent_in_parts_one_after_the_other(self) -> None:
        self.start()
        self.plane.unreported = 8
        self.reactor.pump([1, 0.5, 0.5])
        assert len(self.reported()) == 3
        self.reactor.pump([0.5] * 5)
        # What a second's beginning would have sent comes with the parts.
        assert (len(self.reported()), self.plane.unreported) == (5, 0)
        self.reactor.advance(0.4)
        assert len(self.reported()) == 0
        self.reactor.advance(0.1)
        assert len(self.reported()) == 1

    def test_statistics_are_left_out_while_the_parent_does_not_read(self) -> None:
        self.start()
        self.plane.unreported = 8
        self.worker.channel.pauseProducing()
        self.reactor.pump([1, 1])
        assert self.said() == []
        assert self.plane.unreported == 8
        self.worker.channel.resumeProducing()
        self.reactor.advance(1)
        assert len(self.reported()) == 1

    def test_logs_are_reopened(self) -> None:
        self.start()
        self.told(type="reopen")
        assert self.log == ["reopened"]

    def test_tickets_are_under_a_new_key_when_the_parent_says_so(self) -> None:
        self.start()
        self.told(type="tickets", key="00ff")
        assert self.log == [("shares", b"\x00\xff")]

    def test_what_it_does_not_understand_is_as_if_the_parent_was_gone(self) -> None:
        self.start()
        self.told(type="dance")
        assert self.pipe.disconnected
        self.worker.channel.connectionLost()
        assert not self.reactor.hasStopped


class EndTests(WorkerCase):
    """Every way to end."""

    def test_stop_drains_then_says_its_last_sums_and_exits(self) -> None:
        self.start()
        self.told(type="stop", grace=3.0)
        assert self.log == [("drains", 3.0)]
        self.plane.unreported = 5
        self.reactor.advance(1)
        self.said()
        self.plane.served = 9
        self.plane.drained.callback(None)
        assert {m["report"]["statuses"]["200"] for m in self.said()} == {9}
        assert self.plane.unreported == 0
        assert self.pipe.disconnecting
        assert not self.reactor.hasStopped
        self.worker.channel.connectionLost()
        assert self.reactor.hasStopped
        assert self.worker.exit_code == 0

    def test_parent_that_does_not_take_the_last_words_is_not_waited_for(self) -> None:
        self.start()
        self.told(type="stop", grace=3.0)
        self.plane.drained.callback(None)
        self.reactor.advance(0.6)
        assert self.reactor.hasStopped

    def test_signal_drains_with_the_grace_of_the_settings_once(self) -> None:
        self.start()
        self.worker.drain()
        self.worker.drain()
        self.told(type="stop", grace=1.0)
        assert self.log == [("drains", 7.0)]

    def test_drain_that_fails_ends_it_all_the_same(self) -> None:
        self.start()
        self.worker.drain()
        self.plane.drained.errback(ZeroDivisionError())
        self.worker.channel.connectionLost()
        assert self.reactor.hasStopped
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1

    def test_stop_before_the_start_exits_at_once(self) -> None:
        self.told(type="stop", grace=3.0)
        assert self.reactor.hasStopped
        assert self.worker.exit_code == 0

    def test_table_that_comes_while_it_drains_opens_nothing(self) -> None:
        self.told(**START)
        self.told(type="stop", grace=3.0)
        self.log.clear()
        self.table(1)
        assert not [entry for entry in self.log if entry[0] == "listens"]

    def test_without_a_parent_it_goes_on_for_a_minute_then_drains_and_exits(self) -> None:
        self.start()
        self.worker.channel.connectionLost()
        self.reactor.advance(59)
        assert self.log == []
        self.reactor.advance(1)
        assert self.log == [("drains", 7.0)]
        self.plane.drained.callback(None)
        assert self.reactor.hasStopped
        assert self.worker.exit_code == 0

    def test_parent_that_dies_while_it_drains_does_not_cut_it_short(self) -> None:
        self.start()
        self.told(type="stop", grace=3.0)
        self.worker.channel.connectionLost()
        assert not self.reactor.hasStopped
        self.plane.drained.callback(None)
        assert self.reactor.hasStopped


class ProcessTests(SynchronousTestCase):
    """What belongs to a process of its own."""

    def test_loop_is_uvloops_where_there_is_one(self) -> None:
        class FakeUvloop:
            @staticmethod
            def new_event_loop() -> str:
                return "fast"

        assert new_loop(lambda name: FakeUvloop) == "fast"  # type: ignore[comparison-overlap]

    def test_loop_is_asyncios_where_uvloop_is_missing(self) -> None:
        def missing(name: str) -> Any:
            raise ImportError(name)

        loop = new_loop(missing)
        self.addCleanup(loop.close)
        assert isinstance(loop, asyncio.SelectorEventLoop)

    def test_adopted_socket_does_not_block_and_is_not_inherited(self) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        theirs.set_inheritable(True)
        found = adopted(theirs.detach())
        self.addCleanup(found.close)
        assert found.gettimeout() == 0
        assert not found.get_inheritable()

    def test_signals_of_the_group_are_the_parents_to_decide_on(self) -> None:
        found: dict[int, object] = {}
        self.patch(signal, "signal", lambda number, action: found.update({number: action}))
        ignore_signals_of_the_group()
        assert found == {signal.SIGINT: signal.SIG_IGN, signal.SIGHUP: signal.SIG_IGN}


class LogTests(SynchronousTestCase):
    """Lines of the log."""

    def test_each_line_says_which_worker_and_what_is_below_the_level_is_left_out(self) -> None:
        out = io.StringIO()
        log = WorkerLog(out)
        log.begin(4, "WARN")
        logger = Logger("proxy", observer=log)
        logger.info("not this")
        logger.warn("but {this}", this="that")
        (line,) = out.getvalue().splitlines()
        assert line.endswith(" [warn] worker 4: but that")

    def test_event_that_says_nothing_is_no_line(self) -> None:
        out = io.StringIO()
        Logger("proxy", observer=WorkerLog(out)).info("")
        assert out.getvalue() == ""

    def test_unknown_level_means_info(self) -> None:
        out = io.StringIO()
        log = WorkerLog(out)
        log.begin(4, "chatty")
        logger = Logger("proxy", observer=log)
        logger.debug("not this")
        logger.info("but this")
        assert len(out.getvalue().splitlines()) == 1
