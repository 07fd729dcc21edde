"""Servers that failed too often and are left out for a while, in memory that all workers share."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from dynbalancer.core.model import PassiveHealth
from dynbalancer.core.regions import Region

#: For so many servers of a service, those that left included, there is room in a region.
SERVERS = 256


def room(wanted: PassiveHealth) -> int:
    """How many octets a region needs."""
    return 8 * SERVERS * _width(wanted)


def _width(wanted: PassiveHealth) -> int:
    # Whose they are, until when it is out, and when it failed.
    return 2 + wanted.max_failed_attempts


class Outages:
    """The outages of one service's servers. A region has to begin as zeros, and be equal in all workers."""

    def __init__(self, region: Region, wanted: PassiveHealth) -> None:
        self._region = region
        self._wanted = wanted
        self._names = region.cells.cast("Q")
        self._times = region.cells.cast("d")

    def of(self, server: str) -> Outage:
        """The outage of a server, by a name that all workers have for it."""
        width = _width(self._wanted)
        number = int.from_bytes(blake2b(server.encode(), digest_size=8).digest(), "big") | 1
        lock = self._region.lock
        if lock is not None:
            lock.acquire()
        try:
            for step in range(SERVERS):
                at = (number + step) % SERVERS * width
                if self._names[at] in (0, number):
                    self._names[at] = number
                    return Outage(self._region, self._times, at + 1, self._wanted)
        finally:
            if lock is not None:
                lock.release()
        # There was no room for it: this worker knows it alone.
        cells = memoryview(bytearray(8 * width))
        return Outage(Region(cells), cells.cast("d"), 1, self._wanted)


class Outage:
    """When a server failed lately, and until when it is left out, in monotonic seconds."""

    __slots__ = ("_at", "_region", "_times", "_wanted")

    def __init__(self, region: Region, times: Any, at: int, wanted: PassiveHealth) -> None:
        self._region = region
        self._times = times
        self._at = at
        self._wanted = wanted

    @property
    def until(self) -> float:
        """Until when it is out; 0 where it never was."""
        return float(self._times[self._at])

    @property
    def failures(self) -> list[float]:
        """When it failed since it was last out or answered well."""
        first = self._at + 1
        return [moment for moment in self._times[first : first + self._wanted.max_failed_attempts] if moment]

    def failed(self, now: float) -> None:
        """It failed once more: with enough of that in the window, it is out for as long as the window."""
        lock = self._region.lock
        if lock is not None:
            lock.acquire()
        try:
            window, most = self._wanted.failure_window, self._wanted.max_failed_attempts
            recent = [moment for moment in self.failures if moment > now - window][-most:]
            recent.append(now)
            if len(recent) >= most:
                self._times[self._at] = now + window
                recent = []
            self._write(recent)
        finally:
            if lock is not None:
                lock.release()

    def answered(self) -> None:
        """It answered well: what it failed before does not count any more."""
        if self._times[self._at + 1]:
            self._write([])

    def _write(self, moments: list[float]) -> None:
        for index in range(self._wanted.max_failed_attempts):
            self._times[self._at + 1 + index] = moments[index] if index < len(moments) else 0.0
