"""Signals become calls in the reactor."""

from __future__ import annotations

import signal
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.trial.unittest import SynchronousTestCase

from dynbalancer.start.signals import Signals


class Reactor:
    """Runs what it is given at once; keeps how often it was stopped."""

    def __init__(self) -> None:
        self.stops = 0
        self.waiting: list[Any] = []

    def callWhenRunning(self, call: Any) -> None:
        self.waiting.append(call)

    def callFromThread(self, call: Any) -> None:
        call()

    def stop(self) -> None:
        self.stops += 1
        if self.stops > 1:
            raise ReactorNotRunning


class SignalsTests(SynchronousTestCase):
    """A table of signals instead of the process's own."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.done: list[str] = []
        self.table: dict[int, Any] = {signal.SIGUSR1: lambda number, frame: self.done.append("twistd")}
        self.signals = Signals(
            self.reactor, lambda: self.done.append("reload"), lambda: self.done.append("reopen"), self.set
        )

    def set(self, number: int, action: Any) -> Any:
        before = self.table.get(number)
        self.table[number] = action
        return before

    def start(self) -> None:
        self.signals.install()
        for call in self.reactor.waiting:
            call()

    def test_nothing_is_taken_over_before_the_reactor_runs(self) -> None:
        self.signals.install()
        assert signal.SIGTERM not in self.table

    def test_term_and_int_stop_the_reactor_and_a_second_one_changes_nothing(self) -> None:
        self.start()
        self.table[signal.SIGTERM](signal.SIGTERM, None)
        self.table[signal.SIGINT](signal.SIGINT, None)
        assert self.reactor.stops == 2

    def test_hup_reloads(self) -> None:
        self.start()
        self.table[signal.SIGHUP](signal.SIGHUP, None)
        assert self.done == ["reload"]

    def test_usr1_reopens_logs_and_what_twistd_installed_still_happens(self) -> None:
        self.start()
        self.table[signal.SIGUSR1](signal.SIGUSR1, None)
        assert self.done == ["reopen", "twistd"]

    def test_when_it_ends_hup_and_usr1_do_nothing_any_more(self) -> None:
        self.start()
        self.signals.remove()
        assert self.table[signal.SIGHUP] == self.table[signal.SIGUSR1] == signal.SIG_IGN

    def test_nothing_is_put_back_where_nothing_was_taken(self) -> None:
        self.signals.remove()
        assert signal.SIGHUP not in self.table
