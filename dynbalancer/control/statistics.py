"""Request statistics over all workers, or of this process where it forwards by itself."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from dynbalancer.core.statistics import Totals
from dynbalancer.interfaces import IStatistics

#: For how many seconds the requests of each second are remembered.
SECONDS = 60

#: The fields of a recent error, and how long their texts may be.
ERROR_FIELDS = ("status_code", "status", "method", "host", "path", "time")
ERROR_TEXT = 2048


@implementer(IStatistics)
class Statistics(Service):
    """Sums whole totals: the last of each worker that runs, and of all workers that ended.

    ``local`` gives the totals of this process, where it forwards by itself.
    """

    name = "statistics"

    def __init__(self, clock: IReactorTime, local: Callable[[], Totals] | None = None) -> None:
        self._local = local
        self._workers: dict[int, Totals] = {}
        self._ended = Totals()
        self._ring: deque[int] = deque([0] * SECONDS, maxlen=SECONDS)
        self._counted = 0
        self._tick = LoopingCall(self.count_second)
        self._tick.clock = clock

    def startService(self) -> None:
        """Begin to count seconds."""
        super().startService()
        self._tick.start(1.0, now=False)

    def stopService(self) -> None:
        """Stop counting seconds; the sums stay."""
        if self._tick.running:
            self._tick.stop()
        super().stopService()

    def update(self, worker: int, totals: Totals) -> None:
        """Worker number ``worker`` says all it did since it started."""
        self._workers[worker] = totals

    def close(self, worker: int) -> None:
        """That worker has ended: what it did stays counted, what it was doing is over."""
        totals = self._workers.pop(worker, None)
        if totals is not None:
            _end(totals)
            self._ended.add(totals)

    def forget(self, names: Mapping[str, object]) -> None:
        """Drop what ended workers counted for routers and services that are not among ``names``."""
        self._ended.forget(names)

    def totals(self) -> Totals:
        """See :class:`~dynbalancer.interfaces.IStatistics`."""
        found = Totals()
        found.add(self._ended)
        for totals in self._workers.values():
            found.add(totals)
        if self._local is not None:
            found.add(self._local())
        return found

    def per_second(self) -> list[int]:
        """See :class:`~dynbalancer.interfaces.IStatistics`."""
        return list(self._ring)

    def count_second(self) -> None:
        """One more second has passed."""
        count = self._ended.count + sum(totals.count for totals in self._workers.values())
        if self._local is not None:
            count += self._local().count
        self._ring.append(max(0, count - self._counted))
        self._counted = count


def checked_totals(found: object) -> Totals:
    """Totals as a worker sent them. Raises ValueError, in words, on anything else."""
    if not isinstance(found, Mapping):
        raise ValueError("statistics must be a JSON object")
    try:
        totals = Totals.from_dict(found)
        totals.recent_errors = deque((_checked_error(error) for error in totals.recent_errors), maxlen=10)
    except (KeyError, TypeError, AttributeError, OverflowError, ValueError) as error:
        raise ValueError(f"statistics not readable: {error!r}") from error
    tallies = [totals, *totals.routers.values(), *totals.services.values(), *totals.servers.values()]
    if not all(math.isfinite(tally.seconds) for tally in tallies):
        raise ValueError("statistics not readable: a time that is not finite")
    return totals


def _checked_error(error: Mapping[str, Any]) -> dict[str, Any]:
    if type(error["time"]) not in (int, float):
        raise ValueError("a recent error without a time")
    known = {name: error[name] for name in ERROR_FIELDS if name in error}
    return {
        name: value if isinstance(value, int | float) else str(value)[:ERROR_TEXT]
        for name, value in known.items()
    }


def _end(totals: Totals) -> None:
    totals.open_connections = 0
    for tally in (totals, *totals.routers.values(), *totals.services.values(), *totals.servers.values()):
        tally.in_flight = 0
