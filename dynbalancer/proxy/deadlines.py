"""One coarse timer for all connections.

Each connection has one deadline at a time and moves it often, mostly later. Moving it later is one attribute; the timer
looks again when the old one comes up. Deadlines are kept to a tenth of a second. Where nobody has one, nobody looks.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall

#: Seconds between two looks.
TICK = 0.1

NEVER = float("inf")


class Watched(Protocol):
    """What has a deadline. ``deadline`` and ``watched`` belong to :class:`Deadlines`; both begin as NEVER."""

    deadline: float
    watched: float

    def deadline_passed(self) -> None:
        """The deadline is over; set a new one or close."""


class Deadlines:
    """Calls ``deadline_passed`` on whoever is due.

    ``now`` is the time of the last look, in seconds. It stands still where nobody has a deadline.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        # Not sets: those that are due together are told in the order in which they came, not by their addresses.
        self._buckets: dict[float, dict[Watched, None]] = {}
        #: The times of all buckets, the first in front. An empty one stays until its time.
        self._times: list[float] = []
        self._call: IDelayedCall | None = None
        #: Whether it is to look when somebody has a deadline again.
        self._asleep = False
        self.now: float = clock.seconds()

    def start(self) -> None:
        """Begin to look."""
        self._wake()

    def stop(self) -> None:
        """Look no more."""
        self._asleep = False
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        self._buckets.clear()
        self._times.clear()

    def set(self, thing: Watched, seconds: float) -> None:
        """Give ``thing`` a deadline from now; 0 seconds mean none."""
        if not seconds:
            thing.deadline = NEVER
            return
        if self._asleep:
            self._wake()
        thing.deadline = deadline = self.now + seconds
        if deadline < thing.watched - TICK:
            self._watch(thing, deadline)

    def forget(self, thing: Watched) -> None:
        """``thing`` is gone."""
        thing.deadline = NEVER
        self._unwatch(thing)

    def _wake(self) -> None:
        self._asleep = False
        self.now = self._clock.seconds()
        self._call = self._clock.callLater(TICK, self._look)

    def _watch(self, thing: Watched, deadline: float) -> None:
        if thing.watched != NEVER:
            self._unwatch(thing)
        thing.watched = due = (deadline // TICK + 1) * TICK
        bucket = self._buckets.get(due)
        if bucket is None:
            bucket = self._buckets[due] = {}
            heappush(self._times, due)
        bucket[thing] = None

    def _unwatch(self, thing: Watched) -> None:
        bucket = self._buckets.get(thing.watched)
        if bucket is not None:
            bucket.pop(thing, None)
        thing.watched = NEVER

    def _look(self) -> None:
        if not self._times:
            self._call, self._asleep = None, True
            return
        # First of all: a defect of one must not cost all others their ends.
        self._wake()
        now = self.now
        over: list[float] = []
        while self._times and self._times[0] <= now:
            over.append(heappop(self._times))
        for due in over:
            for thing in self._buckets.pop(due, ()):
                thing.watched = NEVER
                if thing.deadline <= now:
                    thing.deadline = NEVER
                    thing.deadline_passed()
                elif thing.deadline != NEVER:
                    self._watch(thing, thing.deadline)
