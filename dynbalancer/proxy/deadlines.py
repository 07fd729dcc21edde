"""One coarse timer for all connections.

Each connection has one deadline at a time and moves it often, mostly later. Moving it later is one attribute; the timer
looks again when the old one comes up. Deadlines are kept to about half a second, which is what they are worth.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.task import LoopingCall

#: Seconds between two looks.
TICK = 0.5

NEVER = float("inf")


class Watched(Protocol):
    """What has a deadline. ``deadline`` and ``watched`` belong to :class:`Deadlines`; both begin as NEVER."""

    deadline: float
    watched: float

    def deadline_passed(self) -> None:
        """The deadline is over; set a new one or close."""


class Deadlines:
    """Calls ``deadline_passed`` on whoever is due. ``now`` is the time of the last look, in seconds."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        # Not sets: those that are due together are told in the order in which they came, not by their addresses.
        self._buckets: dict[float, dict[Watched, None]] = {}
        self._call = LoopingCall(self._look)
        self._call.clock = clock
        self.now: float = clock.seconds()

    def start(self) -> None:
        """Begin to look."""
        self.now = self._clock.seconds()
        self._call.start(TICK, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._call.running:
            self._call.stop()
        self._buckets.clear()

    def set(self, thing: Watched, seconds: float) -> None:
        """Give ``thing`` a deadline from now; 0 seconds mean none."""
        if not seconds:
            thing.deadline = NEVER
            return
        thing.deadline = deadline = self.now + seconds
        if deadline < thing.watched - TICK:
            self._watch(thing, deadline)

    def forget(self, thing: Watched) -> None:
        """``thing`` is gone."""
        thing.deadline = NEVER
        self._unwatch(thing)

    def _watch(self, thing: Watched, deadline: float) -> None:
        self._unwatch(thing)
        thing.watched = due = (deadline // TICK + 1) * TICK
        self._buckets.setdefault(due, {})[thing] = None

    def _unwatch(self, thing: Watched) -> None:
        bucket = self._buckets.get(thing.watched)
        if bucket is not None:
            bucket.pop(thing, None)
            if not bucket:
                del self._buckets[thing.watched]
        thing.watched = NEVER

    def _look(self) -> None:
        self.now = now = self._clock.seconds()
        for due in [due for due in self._buckets if due <= now]:
            for thing in self._buckets.pop(due, ()):
                thing.watched = NEVER
                if thing.deadline <= now:
                    thing.deadline = NEVER
                    thing.deadline_passed()
                elif thing.deadline != NEVER:
                    self._watch(thing, thing.deadline)
