"""What was done lately: kept of what moved, so that a thousand routers at rest cost nothing."""

from __future__ import annotations

from dynbalancer.core.statistics import Report, Tally, Totals, service_of

Key = tuple[str, str]


class Rates:
    """Keeps ``rate`` of the tallies in some totals."""

    def __init__(self, totals: Totals) -> None:
        self._totals = totals
        self._whole = 0
        #: What each had when it first moved since the last look, and what has a rate.
        self._before: dict[Key, int] = {}
        self._rated: set[Key] = set()

    def expect(self, report: Report) -> None:
        """This report is about to be counted."""
        for name in report.routers:
            self._mark("routers", name)
        for key in report.servers:
            self._mark("servers", key)
            self._mark("services", service_of(key))

    def look(self, seconds: float) -> None:
        """So much time has passed since the last look."""
        for key in self._rated.difference(self._before):
            tally = self._find(key)
            if tally is not None:
                tally.rate = 0.0
        for key, before in self._before.items():
            tally = self._find(key)
            if tally is not None:
                tally.rate = (tally.count - before) / seconds
        self._rated = set(self._before)
        self._before = {}
        self._totals.rate = (self._totals.count - self._whole) / seconds
        self._whole = self._totals.count

    def _mark(self, family: str, name: str) -> None:
        key = (family, name)
        if key not in self._before:
            tally = self._find(key)
            self._before[key] = tally.count if tally is not None else 0

    def _find(self, key: Key) -> Tally | None:
        found: dict[str, Tally] = getattr(self._totals, key[0])
        return found.get(key[1])


class Shares:
    """Keeps ``earlier`` of the servers in some totals, by which each has its share of the requests of its service.

    A share of all since the start says nothing of a server that came later. Two spans are remembered: the last whole
    one, and the one that goes on.
    """

    def __init__(self, totals: Totals) -> None:
        self._totals = totals
        #: What each server had when it first moved in a span.
        self._last: dict[str, int] = {}
        self._now: dict[str, int] = {}

    def expect(self, report: Report) -> None:
        """This report is about to be counted."""
        for key in report.servers:
            if key not in self._now:
                tally = self._totals.servers.get(key)
                self._now[key] = tally.count if tally is not None else 0

    def look(self) -> None:
        """A span is over."""
        for key in self._last:
            tally = self._totals.servers.get(key)
            if tally is not None:
                # One that was forgotten and came back has less than it had then.
                tally.earlier = min(self._now.get(key, tally.count), tally.count)
        self._last, self._now = self._now, {}
