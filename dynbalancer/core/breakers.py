"""Circuit breakers in one region: what was answered lately, and whether requests pass.

A breaker is *closed* while its condition does not hold. When it does, the breaker *opens*: nothing passes for a while.
Then it *recovers*: a share of the requests passes that grows with time, up to a half (as in Traefik), and it closes, or
opens again. The condition is over the answers of the last ten seconds, counted second by second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from dynbalancer.core.breaker_rules import ALL, CODES, NETWORK, WITHIN, Condition, Counter
from dynbalancer.core.regions import Lock, Region, cells_of

CLOSED, OPEN, RECOVERING = 0.0, 1.0, 2.0

#: The same in words, the worst last.
STANDINGS = ("closed", "half-open", "open")

#: How many seconds of answers count.
WINDOW = 10

#: The share of requests that passes at the end of recovering.
FULL_SHARE = 0.5

#: How many breakers there may be in one region, and after how many seconds without an answer one may be given up.
ROOM, UNUSED = 64, 600.0

#: The cells of one breaker. Then come those of each second: which one, and the counts.
_NUMBER, _STATE, _UNTIL, _CHECK, _PASSED, _HELD, _USED, _HEAD = range(8)


@dataclass(frozen=True, slots=True)
class Times:
    """How often the condition is looked at, how long a breaker stays open, and how long it recovers, in seconds."""

    check: float = 0.1
    fallback: float = 10.0
    recovery: float = 10.0


def size(condition: Condition) -> int:
    """How many octets the breakers of a condition need."""
    return ROOM * _length(condition) * 8


def _length(condition: Condition) -> int:
    return _HEAD + WINDOW * (1 + len(condition.counters))


class Breakers:
    """Breakers with one condition, each with a number of its own."""

    def __init__(self, region: Region, condition: Condition, times: Times) -> None:
        self.condition = condition
        self.times = times
        self.lock = region.lock
        self._region = region
        self._cells: Any = cells_of(region, "d")
        self._length = _length(condition)

    def breaker(self, number: int, now: float) -> Breaker:
        """The breaker with this number, closed if it is new. Where there is no room for it, it is of this process."""
        # A float holds so many bits.
        mark = float(number >> 11 | 1)
        lock = self.lock
        if lock is None:
            return Breaker(self, self._claimed(mark, now), mark)
        lock.acquire()
        try:
            return Breaker(self, self._claimed(mark, now), mark)
        finally:
            lock.release()

    def _claimed(self, mark: float, now: float) -> Any:
        places = [slice(at, at + self._length) for at in range(0, ROOM * self._length, self._length)]
        for place in places:
            if self._cells[place.start + _NUMBER] == mark:
                return self._cells[place]
        for place in places:
            cells = self._cells[place]
            if not cells[_NUMBER] or not cells[_USED] + UNUSED > now:
                break
        else:
            cells = memoryview(bytearray(8 * self._length)).cast("d")
        for at in range(self._length):
            cells[at] = 0.0
        cells[_USED] = now
        cells[_NUMBER] = mark
        return cells


class Breaker:
    """One of them."""

    __slots__ = ("_cells", "_check", "_condition", "_lock", "_mark", "_steps", "_times", "_width")

    def __init__(self, breakers: Breakers, cells: Any, mark: float) -> None:
        self._condition = breakers.condition
        self._times = breakers.times
        self._lock = breakers.lock
        self._cells = cells
        self._mark = mark
        self._width = 1 + len(self._condition.counters)
        self._steps = [partial(_counts, counter) for counter in self._condition.counters]

    @property
    def lost(self) -> bool:
        """Whether its place is another's by now, for it was not used for long."""
        return bool(self._cells[_NUMBER] != self._mark)

    @property
    def state(self) -> float:
        """CLOSED, OPEN or RECOVERING, as it was when the last request came."""
        found: float = self._cells[_STATE]
        return found

    def standing(self, now: float) -> tuple[str, float]:
        """One of :data:`STANDINGS`, and for how many seconds more that is settled; nothing is changed by asking.

        Without requests an open breaker stays as it is, but the next one may pass: that is ``half-open`` already.
        """
        state, until = self._cells[_STATE], self._cells[_UNTIL]
        if state == OPEN:
            return ("open", until - now) if now < until else ("half-open", 0.0)
        return ("half-open", until - now) if state == RECOVERING and now <= until else ("closed", 0.0)

    def admits(self, now: float) -> bool:
        """Whether a request passes."""
        if self._cells[_STATE] == CLOSED:
            return True
        return self._locked(partial(self._admits, now))

    def record(self, now: float, status: int, seconds: float, *, network_error: bool) -> bool:
        """Count an answer. Whether the breaker has opened now."""
        return self._locked(partial(self._record, now, status, int(seconds * 1000), network_error))

    def _locked(self, step: partial[bool]) -> bool:
        lock: Lock | None = self._lock
        if lock is None:
            return step()
        lock.acquire()
        try:
            return step()
        finally:
            lock.release()

    def _admits(self, now: float) -> bool:
        cells, times = self._cells, self._times
        if cells[_STATE] == CLOSED:
            return True
        if cells[_STATE] == OPEN:
            if now < cells[_UNTIL]:
                return False
            cells[_UNTIL] = now + times.recovery
            cells[_PASSED] = cells[_HELD] = 0.0
            cells[_STATE] = RECOVERING
        if not now <= cells[_UNTIL]:
            cells[_STATE] = CLOSED
            return True
        return self._passes(now)

    def _passes(self, now: float) -> bool:
        """Whether the share of those that passed stays within what it may be by now."""
        cells, recovery = self._cells, self._times.recovery
        share = FULL_SHARE * (now - (cells[_UNTIL] - recovery)) / recovery if recovery else 1.0
        if (cells[_PASSED] + 1) / (cells[_PASSED] + 1 + cells[_HELD]) < share:
            cells[_PASSED] += 1
            return True
        cells[_HELD] += 1
        return False

    def _record(self, now: float, status: int, milliseconds: int, network_error: bool) -> bool:
        cells, width, second = self._cells, self._width, int(now)
        cells[_USED] = now
        at = _HEAD + second % WINDOW * width
        if cells[at] != second:
            cells[at] = second
            for place in range(at + 1, at + width):
                cells[place] = 0.0
        for counts in self._steps:
            at += 1
            if counts(status, milliseconds, network_error):
                cells[at] += 1
        if now < cells[_CHECK] or cells[_STATE] == OPEN:
            return False
        cells[_CHECK] = now + self._times.check
        if not self._condition.holds(self._sums(second)):
            return False
        self._open(now)
        return True

    def _open(self, now: float) -> None:
        cells = self._cells
        cells[_UNTIL] = now + self._times.fallback
        cells[_STATE] = OPEN
        # What it opened for must not open it again before anything new is known.
        for at in range(_HEAD, len(cells)):
            cells[at] = 0.0

    def _sums(self, second: int) -> list[float]:
        cells, width = self._cells, self._width
        sums = [0.0] * (width - 1)
        for at in range(_HEAD, len(cells), width):
            if second - WINDOW < cells[at] <= second:
                for place, count in enumerate(cells[at + 1 : at + width]):
                    sums[place] += count
        return sums


def _counts(counter: Counter, status: int, milliseconds: int, network_error: bool) -> bool:
    """Whether an answer is one of those counted."""
    kind = counter.kind
    if kind == ALL:
        return True
    if kind == NETWORK:
        return network_error
    if kind == CODES:
        return counter.low <= status < counter.high
    assert kind == WITHIN
    return milliseconds <= counter.high
