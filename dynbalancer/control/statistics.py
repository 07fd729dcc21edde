"""Request statistics over all workers, or of this process where it forwards by itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from dynbalancer.core.model import Configuration
from dynbalancer.core.rates import Rates, Shares
from dynbalancer.core.statistics import Report, Totals, newest, worst_standings
from dynbalancer.interfaces import IStatistics

#: For how many seconds the requests of each second are remembered.
SECONDS = 60

#: Over how many seconds the rates of routers, services and servers are taken.
RATE_SECONDS = 10

#: How long a span is, of which the last and the one that goes on make the shares of servers.
SHARE_SECONDS = 30

#: The fields of a recent error, and how long their texts may be.
ERROR_FIELDS = ("status_code", "status", "method", "host", "path", "time")
ERROR_TEXT = 2048

#: Workers count from 1.
_THIS_PROCESS = 0


@implementer(IStatistics)
class Statistics(Service):
    """Sums of what the workers did, those that run and those that ended.

    The sums are kept, and moved by each report: the cost is that of what changed. ``local`` gives reports of this
    process, where it forwards by itself. ``stalls`` says how often the loop of this process stood still.
    """

    name = "statistics"

    def __init__(
        self,
        clock: IReactorTime,
        local: Callable[[], Report] | None = None,
        *,
        stalls: Callable[[], int] = lambda: 0,
    ) -> None:
        self._local = local
        self._stalls = stalls
        self._seen: dict[int, Report] = {}
        self._sum = Totals()
        self._rates = Rates(self._sum)
        self._shares = Shares(self._sum)
        self._seconds = 0
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

    def update(self, worker: int, report: Report) -> None:
        """Worker number ``worker`` reports."""
        self._rates.expect(report)
        self._shares.expect(report)
        self._sum.take(self._seen.setdefault(worker, Report()), report)

    def close(self, worker: int) -> None:
        """That worker has ended; the next one of its number starts anew."""
        seen = self._seen.pop(worker, None)
        if seen is not None:
            self._sum.end(seen)

    def forget(self, routers: Mapping[str, object], services: Mapping[str, object]) -> None:
        """Drop what was counted for others than these, but for what a worker that runs may still report."""
        self._sum.forget(routers, services, self._seen.values())

    def forget_flows(self, wanted: Configuration) -> None:
        """The same for what is not HTTP, where it is not in this configuration."""
        self._sum.flows.forget(wanted)

    def totals(self) -> Totals:
        """See :class:`~dynbalancer.interfaces.IStatistics`. Read it at once: its tallies go on counting."""
        self._look()
        found = self._sum.copy()
        errors = (error for seen in self._seen.values() for error in seen.recent_errors)
        found.recent_errors = newest([*found.recent_errors, *errors])
        found.stalls += self._stalls()
        found.breakers = worst_standings(self._seen.values())
        return found

    def per_second(self) -> list[int]:
        """See :class:`~dynbalancer.interfaces.IStatistics`."""
        return list(self._ring)

    def count_second(self) -> None:
        """One more second has passed."""
        self._look()
        self._ring.append(max(0, self._sum.count - self._counted))
        self._counted = self._sum.count
        self._seconds += 1
        if self._seconds % RATE_SECONDS == 0:
            self._rates.look(RATE_SECONDS)
        if self._seconds % SHARE_SECONDS == 0:
            self._shares.look()

    def _look(self) -> None:
        if self._local is not None:
            self.update(_THIS_PROCESS, self._local())


def checked_report(found: object) -> Report:
    """A report as a worker sent it. Raises ValueError, in words, on anything else."""
    if not isinstance(found, Mapping):
        raise ValueError("statistics must be a JSON object")
    try:
        report = Report.from_dict(found)
        report.recent_errors = [_checked_error(error) for error in report.recent_errors]
    except (KeyError, TypeError, AttributeError, OverflowError, ValueError) as error:
        raise ValueError(f"statistics not readable: {error!r}") from error
    return report


def _checked_error(error: Mapping[str, Any]) -> dict[str, Any]:
    if type(error["time"]) not in (int, float):
        raise ValueError("a recent error without a time")
    known = {name: error[name] for name in ERROR_FIELDS if name in error}
    return {
        name: value if isinstance(value, int | float) else str(value)[:ERROR_TEXT]
        for name, value in known.items()
    }
