"""Long work, a little at a time: the reactor does its own in between. And the collector, which is kept out of it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

T = TypeVar("T")

#: How long one slice may take, in seconds, and the pause after it where others are waiting.
SLICE = 0.004

#: More changes of routers and services than this are much: some ten thousand objects that stay.
MUCH = 1000


class Slices(Generic[T]):
    """Runs a generator in slices. The first begins at once: what is little is done when :meth:`run` returns."""

    def __init__(
        self, reactor: IReactorTime, clock: Callable[[], float], steps: Generator[None, None, T]
    ) -> None:
        self._reactor = reactor
        self._clock = clock
        self._steps = steps
        self._done: Deferred[T] = Deferred()

    def run(self, pause: float = 0.0) -> Deferred[T]:
        """Fires with what the generator returns, or fails as it does. ``pause`` seconds are between two slices."""
        end = self._clock() + SLICE
        try:
            while True:
                next(self._steps)
                if self._clock() >= end:
                    self._reactor.callLater(pause, self.run, pause)
                    break
        except StopIteration as stopped:
            self._done.callback(stopped.value)
        except Exception:
            self._done.errback()
        return self._done


class Building:
    """While something is built: the collector waits, for all that is made will stay.

    If it was much, the collector is never to look at it again: looking takes longer than a request may wait. What it
    does not look at is freed by reference counting when it is replaced, and must not be part of a cycle.
    """

    def __init__(self, collector: Any = gc) -> None:
        self._collector = collector
        self._running = False

    def begin(self) -> None:
        """From now on."""
        if not self._running:
            self._running = True
            self._collector.disable()

    def end(self, changes: int = 0) -> None:
        """It is built, with so many changes, or was given up."""
        if self._running:
            self._running = False
            if changes > MUCH:
                self._collector.freeze()
            self._collector.enable()
