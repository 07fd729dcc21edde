"""How many of each source are in flight, counted by every worker in a column of its own.

A sum over the columns is what counts. A worker writes to its column only, and the column of one that is gone is set to
zeros: so no count survives whom it was about.
"""

from __future__ import annotations

from typing import Any

from dynbalancer.core.regions import Region, cells_of

#: In so many places a source may be found.
WAYS = 8

#: What :meth:`InFlight.enter` gives where there are enough.
FULL = -1

#: How many sources may be in flight at once before some of them count together.
ROOM = 8192


def room(region: Region) -> int:
    """How many sources a region has room for; it needs 8 octets and a row for each."""
    return min(len(region.cells) // 8, len(region.own)) // WAYS * WAYS


class InFlight:
    """Counts up to ``most`` of each source."""

    def __init__(self, region: Region, most: int) -> None:
        self.most = most
        self._region = region
        self._lock = region.lock
        self._sets = room(region) // WAYS
        self._numbers: Any = cells_of(region, "Q")
        self._columns: tuple[Any, ...] = region.columns
        self._own: Any = region.own

    def enter(self, number: int) -> int:
        """One more of this source: what :meth:`leave` wants to be given, or FULL."""
        lock = self._lock
        if lock is None:
            return self._enter(number)
        lock.acquire()
        try:
            return self._enter(number)
        finally:
            lock.release()

    def leave(self, row: int) -> None:
        """One less. Each that entered leaves once."""
        # No lock: nobody else writes here while this process lives.
        count = self._own[row]
        if count:
            self._own[row] = count - 1

    def count(self, number: int) -> int:
        """How many of this source are in flight."""
        base = number % self._sets * WAYS
        found = (self._sum(row) for row in range(base, base + WAYS) if self._numbers[row] == number)
        return next(found, 0)

    def _enter(self, number: int) -> int:
        row = number % self._sets * WAYS
        if self._numbers[row] != number:
            row = self._find(number, row)
        in_flight = 0
        for column in self._columns:
            in_flight += column[row]
        if in_flight >= self.most:
            return FULL
        self._own[row] += 1
        return row

    def _find(self, number: int, base: int) -> int:
        """The row of this source; a row that nobody uses, or that of the source with the fewest, becomes it."""
        numbers = self._numbers
        for row in range(base, base + WAYS):
            if numbers[row] == number:
                return row
        row = min(range(base, base + WAYS), key=self._sum)
        if not self._sum(row):
            numbers[row] = number
        # Otherwise the two count together: the limit is met too early then, but never passed.
        return row

    def _sum(self, row: int) -> int:
        return sum(column[row] for column in self._columns)
