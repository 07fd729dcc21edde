"""Counts of what was served: cheap to add to in a worker, summed in the parent.

A worker says in a :class:`Report` what changed: of the routers and servers concerned all that they did since its start.
So nothing is counted twice, nothing is lost where a report is left out, and ten thousand routers that do nothing cost
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from dynbalancer.core.breakers import STANDINGS
from dynbalancer.core.flows import Flow, FlowKey, Flows, flows_read, flows_written
from dynbalancer.core.latency import BOUNDS, quantile

Key = TypeVar("Key")

#: How many recent errors are kept.
RECENT = 10

#: How many bits of a mark say how long it took, and what they say of an upgraded connection.
MARK_BITS = 7
UPGRADED = (1 << MARK_BITS) - 1


class Tally:
    """What a router, service or server did. Times in seconds, sizes in bytes; ``in_flight`` is now, the rest so far.

    ``latency`` counts by the buckets of :mod:`dynbalancer.core.latency`, but upgraded connections, whose time says how
    long somebody stayed. ``rate`` is exchanges a second lately, and ``earlier`` how many of ``count`` are no longer
    lately, where somebody keeps them: see :mod:`dynbalancer.core.rates`.
    """

    __slots__ = (
        "bytes_in",
        "bytes_out",
        "count",
        "earlier",
        "in_flight",
        "latency",
        "rate",
        "retries",
        "seconds",
        "statuses",
    )

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self.bytes_in = 0
        self.bytes_out = 0
        self.retries = 0
        self.in_flight = 0
        self.statuses: dict[int, int] = {}
        self.latency: dict[int, int] = {}
        self.rate = 0.0
        self.earlier = 0

    @property
    def lately(self) -> int:
        """Exchanges of the last 30 to 60 seconds, where ``earlier`` is kept."""
        return self.count - self.earlier

    def quantile(self, q: float) -> float | None:
        """Seconds within which this share (0 to 1) was answered, None where nothing was."""
        return quantile(self.latency, q)

    def classes(self) -> dict[str, int]:
        """Exchanges by class of their status: ``2xx``."""
        found: dict[str, int] = {}
        for status, count in sorted(self.statuses.items()):
            name = f"{status // 100}xx"
            found[name] = found.get(name, 0) + count
        return found

    def add(self, other: Tally) -> None:
        """Take the other's counts on top."""
        self.count += other.count
        self.seconds += other.seconds
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out
        self.retries += other.retries
        self.in_flight += other.in_flight
        add_counts(self.statuses, other.statuses)
        add_counts(self.latency, other.latency)

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
            "classes": self.classes(),
            "rate": self.rate,
            "p50": self.quantile(0.5),
            "p95": self.quantile(0.95),
            "p99": self.quantile(0.99),
        }

    def follow(self, before: Tally, now: Tally) -> None:
        """Count what was done between two states of another."""
        self.count += now.count - before.count
        self.seconds += now.seconds - before.seconds
        self.bytes_in += now.bytes_in - before.bytes_in
        self.bytes_out += now.bytes_out - before.bytes_out
        self.retries += now.retries - before.retries
        self.in_flight += now.in_flight - before.in_flight
        _follow_counts(self.statuses, before.statuses, now.statuses)
        _follow_counts(self.latency, before.latency, now.latency)

    def as_list(self) -> list[Any]:
        """JSON-able, and short: what a worker sends."""
        return [
            self.count,
            self.seconds,
            self.bytes_in,
            self.bytes_out,
            self.retries,
            self.in_flight,
            self.statuses,
            self.latency,
        ]

    @classmethod
    def from_list(cls, found: Any) -> Tally:
        """What :meth:`as_list` gave. Raises TypeError, ValueError or AttributeError on anything else."""
        count, seconds, bytes_in, bytes_out, retries, in_flight, statuses, latency = found
        tally = cls()
        tally.count = int(count)
        tally.seconds = float(seconds)
        tally.bytes_in = int(bytes_in)
        tally.bytes_out = int(bytes_out)
        tally.retries = int(retries)
        tally.in_flight = int(in_flight)
        tally.statuses = _counts(statuses)
        tally.latency = _counts(latency)
        if not all(0 <= number <= len(BOUNDS) for number in tally.latency):
            raise ValueError("a bucket that there is not")
        if not math.isfinite(tally.seconds):
            raise ValueError("a time that is not finite")
        return tally


class Pending:
    """What was counted since the last look, by the fewest operations: the request path pays for them.

    ``marks`` counts how exchanges ended and how long they took: ``status << MARK_BITS | bucket``, where the bucket is
    one of :mod:`dynbalancer.core.latency`, or ``UPGRADED`` where the time says nothing.
    """

    __slots__ = ("bytes_in", "bytes_out", "marks", "retries", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.bytes_in = 0
        self.bytes_out = 0
        self.retries = 0
        self.marks: dict[int, int] = {}

    def tally(self) -> Tally:
        """The same as a tally of its own."""
        tally = Tally()
        tally.seconds, tally.retries = self.seconds, self.retries
        tally.bytes_in, tally.bytes_out = self.bytes_in, self.bytes_out
        for mark, count in self.marks.items():
            status, took = mark >> MARK_BITS, mark & UPGRADED
            tally.count += count
            tally.statuses[status] = tally.statuses.get(status, 0) + count
            if took != UPGRADED:
                tally.latency[took] = tally.latency.get(took, 0) + count
        return tally


class Report:
    """What a process says of itself: of some routers and servers all they did since its start; the rest is whole.

    ``statuses`` are those of all its exchanges. Router ``""`` stands for the exchanges that no router took.
    ``lost_lines`` of the access log could not be written, ``stalls`` are times when the event loop stood still.
    ``breakers`` that are not closed say how they stand, and for how many seconds more, by middleware and router.
    ``flows`` are of what is not HTTP, and say what was added; what was seen of a process has what it has open.
    """

    __slots__ = (
        "breakers",
        "flows",
        "in_flight",
        "lost_lines",
        "open_connections",
        "recent_errors",
        "refusals",
        "routers",
        "servers",
        "stalls",
        "statuses",
    )

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {}
        self.routers: dict[str, Tally] = {}
        self.servers: dict[str, Tally] = {}
        self.refusals: dict[str, int] = {}
        self.recent_errors: list[dict[str, Any]] = []
        self.in_flight = 0
        self.open_connections = 0
        self.lost_lines = 0
        self.stalls = 0
        self.flows: dict[FlowKey, Flow] = {}
        self.breakers: dict[tuple[str, str], tuple[str, float]] = {}

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "statuses": self.statuses,
            "routers": {name: tally.as_list() for name, tally in self.routers.items()},
            "servers": {name: tally.as_list() for name, tally in self.servers.items()},
            "refusals": self.refusals,
            "recentErrors": self.recent_errors,
            "inFlight": self.in_flight,
            "openConnections": self.open_connections,
            "lostLines": self.lost_lines,
            "stalls": self.stalls,
            "flows": flows_written(self.flows),
            "breakers": [[*key, *standing] for key, standing in self.breakers.items()],
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Report:
        """What :meth:`as_dict` gave. Raises KeyError, TypeError, ValueError or AttributeError on anything else."""
        report = cls()
        report.statuses = _counts(found["statuses"])
        report.routers = {str(name): Tally.from_list(tally) for name, tally in found["routers"].items()}
        report.servers = {str(name): Tally.from_list(tally) for name, tally in found["servers"].items()}
        report.refusals = {str(reason): int(count) for reason, count in found["refusals"].items()}
        report.recent_errors = [dict(error) for error in found["recentErrors"]][:RECENT]
        report.in_flight = int(found["inFlight"])
        report.open_connections = int(found["openConnections"])
        report.lost_lines, report.stalls = int(found["lostLines"]), int(found["stalls"])
        report.flows = flows_read(found["flows"])
        for middleware, router, state, left in found["breakers"]:
            report.breakers[str(middleware), str(router)] = _standing(state), float(left)
        return report

    def update(self, newer: Report) -> None:
        """Take over a newer report of the same process."""
        self.statuses, self.refusals = newer.statuses, newer.refusals
        self.recent_errors = newer.recent_errors
        self.in_flight, self.open_connections = newer.in_flight, newer.open_connections
        self.lost_lines, self.stalls = newer.lost_lines, newer.stalls
        self.breakers = newer.breakers
        self.routers.update(newer.routers)
        self.servers.update(newer.servers)


class Totals(Tally):
    """All that one process, or all of them, did. Server keys are ``service url``."""

    __slots__ = (
        "breakers",
        "flows",
        "lost_lines",
        "open_connections",
        "recent_errors",
        "refusals",
        "routers",
        "servers",
        "services",
        "stalls",
    )

    def __init__(self) -> None:
        super().__init__()
        self.routers: dict[str, Tally] = {}
        self.services: dict[str, Tally] = {}
        self.servers: dict[str, Tally] = {}
        self.refusals: dict[str, int] = {}
        self.recent_errors: list[dict[str, Any]] = []
        self.open_connections = 0
        self.lost_lines = 0
        self.stalls = 0
        self.flows = Flows()
        self.breakers: dict[tuple[str, str], tuple[str, float]] = {}

    def take(self, seen: Report, report: Report) -> None:
        """Count what a process did since what was ``seen`` of it, which is brought up to date."""
        self.count += sum(report.statuses.values()) - sum(seen.statuses.values())
        self.in_flight += report.in_flight - seen.in_flight
        self.open_connections += report.open_connections - seen.open_connections
        self.lost_lines += report.lost_lines - seen.lost_lines
        self.stalls += report.stalls - seen.stalls
        _follow_counts(self.statuses, seen.statuses, report.statuses)
        _follow_counts(self.refusals, seen.refusals, report.refusals)
        for name, now in report.routers.items():
            before = seen.routers.get(name, _NOTHING)
            self._follow_amounts(before, now)
            if name:
                _of(self.routers, name).follow(before, now)
        for key, now in report.servers.items():
            before = seen.servers.get(key, _NOTHING)
            _of(self.servers, key).follow(before, now)
            _of(self.services, service_of(key)).follow(before, now)
        self.flows.take(seen.flows, report.flows)
        seen.update(report)

    def _follow_amounts(self, before: Tally, now: Tally) -> None:
        """What is summed over the routers: numbers of exchanges come with their statuses, and sooner."""
        self.seconds += now.seconds - before.seconds
        self.bytes_in += now.bytes_in - before.bytes_in
        self.bytes_out += now.bytes_out - before.bytes_out
        self.retries += now.retries - before.retries
        _follow_counts(self.latency, before.latency, now.latency)

    def end(self, seen: Report) -> None:
        """A process has ended: what it did stays counted, what it was doing is over."""
        self.in_flight -= seen.in_flight
        self.open_connections -= seen.open_connections
        for key, tally in seen.servers.items():
            self.servers[key].in_flight -= tally.in_flight
            self.services[service_of(key)].in_flight -= tally.in_flight
        self.flows.end(seen.flows)
        self.recent_errors = newest([*self.recent_errors, *seen.recent_errors])

    def forget(
        self, routers: Mapping[str, object], services: Mapping[str, object], seen: Iterable[Report] = ()
    ) -> None:
        """Drop what is in neither mapping and not ``seen`` of a process that runs: counts must not grow for ever."""
        gone = [name for name in self.routers if name not in routers]
        for name in gone:
            if not any(name in report.routers for report in seen):
                del self.routers[name]
        left = {name for name in self.services if name not in services}
        if left:
            left -= {service_of(key) for report in seen for key in report.servers}
            for name in left:
                del self.services[name]
            for key in [key for key in self.servers if service_of(key) in left]:
                del self.servers[key]

    def copy(self) -> Totals:
        """The same, of its own; but its tallies are those of this one, and go on counting."""
        found = Totals()
        for name in Tally.__slots__:
            setattr(found, name, getattr(self, name))
        found.statuses, found.latency = dict(self.statuses), dict(self.latency)
        found.routers, found.services, found.servers = (
            dict(self.routers),
            dict(self.services),
            dict(self.servers),
        )
        found.refusals = dict(self.refusals)
        found.recent_errors = list(self.recent_errors)
        found.open_connections = self.open_connections
        found.lost_lines, found.stalls = self.lost_lines, self.stalls
        found.flows = self.flows
        return found

    def breakers_shown(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Those that are not closed, JSON-able: by middleware and router."""
        shown: dict[str, dict[str, dict[str, Any]]] = {}
        for (middleware, router), (state, left) in sorted(self.breakers.items()):
            shown.setdefault(middleware, {})[router] = {"state": state, "seconds": round(left, 1)}
        return shown

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        found = super().as_dict()
        for family in ("routers", "services", "servers"):
            found[family] = {name: tally.as_dict() for name, tally in getattr(self, family).items()}
        for key, server in self.servers.items():
            found["servers"][key]["lately"] = server.lately
        found["refusals"] = dict(self.refusals)
        found["recentErrors"] = self.recent_errors
        found["openConnections"] = self.open_connections
        found["lostLines"], found["stalls"] = self.lost_lines, self.stalls
        found["streams"] = self.flows.as_dict()
        found["breakers"] = self.breakers_shown()
        return found


#: What is not there yet.
_NOTHING = Tally()


def service_of(key: str) -> str:
    """The service in the key of a server."""
    return key.partition(" ")[0]


def worst_standings(reports: Iterable[Report]) -> dict[tuple[str, str], tuple[str, float]]:
    """How breakers stand: as the process says that saw it last, or worst."""
    found: dict[tuple[str, str], tuple[str, float]] = {}
    for report in reports:
        for key, standing in report.breakers.items():
            found[key] = max(found.get(key, standing), standing, key=_badness)
    return found


def _badness(standing: tuple[str, float]) -> tuple[int, float]:
    return STANDINGS.index(standing[0]), standing[1]


def _standing(found: Any) -> str:
    if found not in STANDINGS:
        raise ValueError(f"{found!r} is nothing that a breaker may be")
    return str(found)


def newest(errors: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest few errors, the newest first."""
    return sorted(errors, key=lambda error: error["time"], reverse=True)[:RECENT]


def _of(tallies: dict[str, Tally], name: str) -> Tally:
    found = tallies.get(name)
    if found is None:
        found = tallies[name] = Tally()
    return found


def _counts(found: Any) -> dict[int, int]:
    return {int(key): int(count) for key, count in found.items()}


def add_counts(mine: dict[Key, int], theirs: Mapping[Key, int]) -> None:
    """Add the numbers of each key to those that are there."""
    for key, count in theirs.items():
        mine[key] = mine.get(key, 0) + count


def _follow_counts(mine: dict[Key, int], before: Mapping[Key, int], now: Mapping[Key, int]) -> None:
    for key, count in now.items():
        mine[key] = mine.get(key, 0) + count - before.get(key, 0)
