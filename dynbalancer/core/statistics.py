"""Counts of what was served: cheap to add to in a worker, summed in the parent.

Each worker keeps one :class:`Totals` since its start and sends it whole; sums are taken over whole totals, so that a
message that got lost loses nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, TypeVar

Key = TypeVar("Key")

#: How many recent errors are kept.
RECENT = 10


class Tally:
    """What a router, service or server did. Times in seconds, sizes in bytes; ``in_flight`` is now, the rest so far."""

    __slots__ = ("bytes_in", "bytes_out", "count", "in_flight", "retries", "seconds", "statuses")

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self.bytes_in = 0
        self.bytes_out = 0
        self.retries = 0
        self.in_flight = 0
        self.statuses: dict[int, int] = {}

    def add(self, other: Tally) -> None:
        """Take the other's counts on top."""
        self.count += other.count
        self.seconds += other.seconds
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out
        self.retries += other.retries
        self.in_flight += other.in_flight
        _add_counts(self.statuses, other.statuses)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "count": self.count,
            "seconds": self.seconds,
            "bytesIn": self.bytes_in,
            "bytesOut": self.bytes_out,
            "retries": self.retries,
            "inFlight": self.in_flight,
            "statuses": {str(status): count for status, count in self.statuses.items()},
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Tally:
        """What :meth:`as_dict` gave. Raises KeyError, TypeError or ValueError on anything else."""
        tally = cls()
        tally.count = int(found["count"])
        tally.seconds = float(found["seconds"])
        tally.bytes_in = int(found["bytesIn"])
        tally.bytes_out = int(found["bytesOut"])
        tally.retries = int(found["retries"])
        tally.in_flight = int(found["inFlight"])
        tally.statuses = {int(status): int(count) for status, count in found["statuses"].items()}
        return tally


class Totals(Tally):
    """All that one process, or all of them, did. Server keys are ``service url``."""

    __slots__ = ("open_connections", "recent_errors", "refusals", "routers", "servers", "services")

    def __init__(self) -> None:
        super().__init__()
        self.routers: dict[str, Tally] = {}
        self.services: dict[str, Tally] = {}
        self.servers: dict[str, Tally] = {}
        self.refusals: dict[str, int] = {}
        self.recent_errors: deque[dict[str, Any]] = deque(maxlen=RECENT)
        self.open_connections = 0

    def add(self, other: Tally) -> None:
        """Take the other's counts on top; the newest errors of both are kept."""
        super().add(other)
        if not isinstance(other, Totals):
            return
        for mine, theirs in (
            (self.routers, other.routers),
            (self.services, other.services),
            (self.servers, other.servers),
        ):
            for name, tally in theirs.items():
                mine.setdefault(name, Tally()).add(tally)
        _add_counts(self.refusals, other.refusals)
        self.open_connections += other.open_connections
        newest = sorted([*self.recent_errors, *other.recent_errors], key=lambda e: e["time"], reverse=True)
        self.recent_errors = deque(newest[:RECENT], maxlen=RECENT)

    def forget(self, names: Mapping[str, object]) -> None:
        """Drop services and routers that are idle and not among ``names``, so that counts don't grow for ever."""
        for tallies in (self.routers, self.services):
            for name in [n for n, tally in tallies.items() if n not in names and not tally.in_flight]:
                del tallies[name]
        for key in [
            k for k, t in self.servers.items() if k.partition(" ")[0] not in names and not t.in_flight
        ]:
            del self.servers[key]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        found = super().as_dict()
        for family in ("routers", "services", "servers"):
            found[family] = {name: tally.as_dict() for name, tally in getattr(self, family).items()}
        found["refusals"] = dict(self.refusals)
        found["recentErrors"] = list(self.recent_errors)
        found["openConnections"] = self.open_connections
        return found

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Totals:
        """What :meth:`as_dict` gave. Raises KeyError, TypeError or ValueError on anything else."""
        totals = cls()
        whole = Tally.from_dict(found)
        for name in Tally.__slots__:
            setattr(totals, name, getattr(whole, name))
        for family in ("routers", "services", "servers"):
            setattr(totals, family, {str(name): Tally.from_dict(t) for name, t in found[family].items()})
        totals.refusals = {str(reason): int(count) for reason, count in found["refusals"].items()}
        totals.recent_errors = deque((dict(error) for error in found["recentErrors"]), maxlen=RECENT)
        totals.open_connections = int(found["openConnections"])
        return totals


def _add_counts(mine: dict[Key, int], theirs: Mapping[Key, int]) -> None:
    for key, count in theirs.items():
        mine[key] = mine.get(key, 0) + count
