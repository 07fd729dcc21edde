"""Token buckets of many sources in one region: who may pass, and how long anybody else would have to wait.

A bucket is one number, the time at which it will be full again, for each of its rates. What passes moves that on by
the time one token takes; how far it may be ahead of now is what the bucket holds. That comes to the same as counting
tokens (it is ATM's generic cell rate algorithm), and needs no second number and no filling up.

The table has room for so many sources that owe something at once. The place for a new one is that of a bucket which is
full again. Where there is none, it takes the place *and the debt* of whoever owes least around there: so nobody gets
more than his share by going round the table, however many sources a client has to its name, and who owes much keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from dynbalancer.core.regions import Region, cells_of

#: In so many places a source may be found.
WAYS = 8

#: How far the time of one process may be behind that of another, in seconds, at the very most.
_BEHIND = 1.0

#: How late a request may be for its turn without moving the next one, in seconds. Event loops come round as late as
#: that where a machine has much to do, and with a burst of 1 each delay would take something off the rate.
_LATE = 0.005


@dataclass(frozen=True, slots=True)
class Rate:
    """``average`` tokens in each ``period`` (seconds), of which the bucket holds up to ``burst``."""

    average: int
    period: float
    burst: int

    @property
    def interval(self) -> float:
        """The time that one token takes, in seconds."""
        return self.period / self.average

    @property
    def ahead(self) -> float:
        """How far a full bucket may be run ahead of before the last token is taken, in seconds."""
        return (self.burst - 1) * self.interval


def room(size: int, rates: int) -> int:
    """How many sources a region of so many octets has room for."""
    return size // (8 * (1 + rates)) // WAYS * WAYS


class TokenBuckets:
    """The buckets of a limit. ``patience`` is the wait, in seconds, up to which one passes, after that wait."""

    def __init__(self, region: Region, rates: Sequence[Rate], patience: float = 0.0) -> None:
        self.rates = tuple(rates)
        self.patience = patience
        self.room = room(len(region.cells), len(self.rates))
        self._region = region
        self._lock = region.lock
        self._sets = self.room // WAYS
        self._numbers: Any = cells_of(region, "Q")
        times = cells_of(region, "d")
        self._times: list[Any] = [
            times[self.room * place : self.room * (place + 1)] for place in range(1, len(self.rates) + 1)
        ]
        self._first = self._times[0]
        self._interval: float = self.rates[0].interval
        self._ahead = self.rates[0].ahead
        # Sums of times are not exact: nobody is to be sent away for a thousandth of a turn.
        self._slack = min(rate.interval for rate in self.rates) / 1000
        self._longest = patience + self._slack
        self._late = min(patience, _LATE)
        # Longer ahead than this nobody gets by the rates of now; who is was when there were others.
        self._farthest = max(rate.ahead + rate.interval for rate in self.rates) + patience + _BEHIND

    def wait(self, number: int, now: float) -> float:
        """Seconds until the source with this number may pass; up to ``patience`` it has passed, and took its tokens."""
        lock = self._lock
        if lock is None:
            return self._take(number, now) if len(self.rates) == 1 else self._take_of_each(number, now)
        lock.acquire()
        try:
            return self._take(number, now) if len(self.rates) == 1 else self._take_of_each(number, now)
        finally:
            lock.release()

    def waiting(self, number: int) -> Callable[[float], float]:
        """What says, for a time, what :meth:`wait` does of this source."""
        if self._lock is not None or len(self.rates) > 1:
            return partial(self.wait, number)
        at, numbers, first = number % self._sets * WAYS, self._numbers, self._first
        late, interval = self._late, self._interval

        def wait(now: float) -> float:
            # As in _take, where most sources are most of the time.
            if numbers[at] == number:
                full: float = first[at]
                if full < now:
                    first[at] = (now if now - full > late else full) + interval
                    return 0.0
            return self._take(number, now)

        return wait

    def _take(self, number: int, now: float) -> float:
        at = number % self._sets * WAYS
        if self._numbers[at] != number:
            at = self._find(number, at, now)
        full: float = self._first[at]
        if full < now:
            # Who comes as late as others come early does not move the turns that follow.
            self._first[at] = (now if now - full > self._late else full) + self._interval
            return 0.0
        wait = full - now - self._ahead
        if not wait <= self._longest:
            return self._refused(at, now, wait)
        self._first[at] = full + self._interval
        return 0.0 if wait <= self._slack else min(wait, self.patience)

    def _take_of_each(self, number: int, now: float) -> float:
        at = self._find(number, number % self._sets * WAYS, now)
        fulls = [max(times[at], now) for times in self._times]
        wait: float = max(full - now - rate.ahead for full, rate in zip(fulls, self.rates, strict=True))
        if not wait <= self._longest:
            return self._refused(at, now, wait)
        for times, full, rate in zip(self._times, fulls, self.rates, strict=True):
            times[at] = full + rate.interval
        return 0.0 if wait <= self._slack else min(wait, self.patience)

    def _refused(self, at: int, now: float, wait: float) -> float:
        for times in self._times:
            # Also where that is no number at all.
            if not times[at] <= now + self._farthest:
                times[at] = now + self._farthest
                wait = min(wait, self._farthest) if wait == wait else self._farthest
        return wait

    def _find(self, number: int, base: int, now: float) -> int:
        """The place of this source, which may have to be made for it."""
        numbers = self._numbers
        for at in range(base, base + WAYS):
            if numbers[at] == number:
                return at
        debts = [max(times[at] for times in self._times) for at in range(base, base + WAYS)]
        least = min(range(WAYS), key=debts.__getitem__)
        at = base + least
        if debts[least] <= now:
            for times in self._times:
                times[at] = 0.0
        numbers[at] = number
        return at
