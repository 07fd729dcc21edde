"""What the process does on SIGTERM, SIGINT, SIGHUP and SIGUSR1."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from twisted.internet.error import ReactorNotRunning

Install = Callable[[int, Any], Any]


class Signals:
    """SIGTERM and SIGINT end the process with exit code 0, SIGHUP reads everything again, SIGUSR1 reopens logs.

    What twistd has installed for SIGUSR1 (it rotates its own log) still happens.
    """

    def __init__(
        self,
        reactor: Any,
        reload: Callable[[], object],
        reopen_logs: Callable[[], object],
        install: Install = signal.signal,
    ) -> None:
        self._reactor = reactor
        self._actions: dict[int, Callable[[], object]] = {
            signal.SIGTERM: self._end,
            signal.SIGINT: self._end,
            signal.SIGHUP: reload,
            signal.SIGUSR1: reopen_logs,
        }
        self._install = install
        self._before: dict[int, Any] = {}

    def install(self) -> None:
        """Take the signals over as soon as the reactor runs, because it takes some itself when it starts."""
        self._reactor.callWhenRunning(self._take_over)

    def remove(self) -> None:
        """SIGHUP and SIGUSR1 do nothing from here on; the end goes its way."""
        for number in (signal.SIGHUP, signal.SIGUSR1):
            if number in self._before:
                self._install(number, signal.SIG_IGN)

    def _take_over(self) -> None:
        for number in self._actions:
            self._before[number] = self._install(number, self._received)

    def _received(self, number: int, frame: FrameType | None) -> None:
        # In the middle of any other code: do nothing here but ask the reactor.
        self._reactor.callFromThread(self._actions[number])
        before = self._before.get(number)
        if number == signal.SIGUSR1 and callable(before):
            before(number, frame)

    def _end(self) -> None:
        try:
            # Not Twisted's own handlers: after those twistd ends itself by the same signal, not with exit code 0.
            self._reactor.stop()
        except ReactorNotRunning:
            # It ends already; a second signal changes nothing.
            return
