"""Counting in a worker: by router and by server; sums are taken when somebody asks, and of what changed."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from zope.interface import implementer

from dynbalancer.core.exchange import Exchange
from dynbalancer.core.latency import BOUNDS
from dynbalancer.core.model import NOTHING
from dynbalancer.core.statistics import (
    MARK_BITS,
    RECENT,
    UPGRADED,
    Pending,
    Report,
    Tally,
    Totals,
    add_counts,
)
from dynbalancer.interfaces import IExchangeObserver
from dynbalancer.proxy.upstream import Upstream

#: The routers, and the servers, of one report at most: a millisecond's work for the worker, and one for its parent.
REPORTED = 500


@implementer(IExchangeObserver)
class Counting:
    """Counts each exchange for its router and its server, and notes that these have news.

    ``used`` is where upstreams note themselves when they are asked: their load changes then, and the exchange may
    take hours.
    """

    def __init__(self, used: set[Upstream], *, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._statuses: dict[int, int] = {}
        # Router "" is for exchanges that no router took.
        self._routers: dict[str, Tally] = {}
        self._unserved: dict[str, Pending] = {}
        self._used = used
        self._present: dict[str, dict[Upstream, None]] = {}
        self._leaving: list[Upstream] = []
        self._keys: dict[Upstream, str] = {}
        self._servers: dict[str, list[Upstream]] = {}
        self._left: dict[str, Tally] = {}
        self._errors: deque[dict[str, Any]] = deque(maxlen=RECENT)
        # A round of reports: what was counted before it and is not taken over yet, and who has news besides.
        self._unfolded: list[tuple[Upstream | None, dict[str, Pending]]] = []
        self._pendings = 0
        self._routers_due: set[str] = set()
        self._servers_due: set[str] = set()

    def exchange_ended(self, exchange: Exchange) -> None:
        """See IExchangeObserver."""
        status = exchange.status
        route, server = exchange.route, exchange.server
        name = route.name if route is not None else ""
        seconds = exchange.finished - exchange.started
        # What is there already is there all but always: this is faster than to ask.
        try:
            pending = (self._unserved if server is None else server.pending)[name]
        except KeyError:
            pending = self._begin(name, server)
        pending.seconds += seconds
        pending.bytes_in += exchange.bytes_in
        pending.bytes_out += exchange.bytes_out
        if exchange.tries > 1:
            pending.retries += exchange.tries - 1
        mark = status << MARK_BITS | (bisect_left(BOUNDS, seconds) if status != 101 else UPGRADED)
        try:
            pending.marks[mark] += 1
        except KeyError:
            pending.marks[mark] = 1
        if status >= 400:
            self._remember(exchange)

    def _begin(self, name: str, server: Upstream | None) -> Pending:
        """The first exchange of this router over this server since the last look."""
        pending = Pending()
        if server is None:
            self._unserved[name] = pending
        else:
            server.pending[name] = pending
            self._used.add(server)
        return pending

    def _fold(self, most: int) -> None:
        """Take over so many of what came before this round: for the whole, the routers and the servers."""
        while self._unfolded and most:
            upstream, pendings = self._unfolded[-1]
            while pendings and most:
                name, pending = pendings.popitem()
                tally = pending.tally()
                add_counts(self._statuses, tally.statuses)
                self._routers.setdefault(name, Tally()).add(tally)
                self._routers_due.add(name)
                if upstream is not None:
                    upstream.tally.add(tally)
                most -= 1
                self._pendings -= 1
            if upstream in self._keys:
                self._servers_due.add(self._keys[upstream])
            if not pendings:
                self._unfolded.pop()

    def _remember(self, exchange: Exchange) -> None:
        head = exchange.head
        self._errors.appendleft(
            {
                "status_code": exchange.status,
                "status": exchange.outcome,
                "method": head.method.decode("latin-1"),
                "host": head.host.decode("latin-1"),
                "path": head.path.decode("latin-1")[:256],
                "time": self._wall(),
            }
        )

    def meet(self, service: str, upstreams: tuple[Upstream, ...]) -> None:
        """These will be servers of a service: before the first request to one of them."""
        for upstream in upstreams:
            if upstream not in self._keys:
                key = self._keys[upstream] = f"{service} {upstream.server.url}"
                self._servers.setdefault(key, []).append(upstream)

    def follow(self, service: str, upstreams: tuple[Upstream, ...]) -> None:
        """These are the servers of a service now; the counts of those that left are kept."""
        self.meet(service, upstreams)
        before = self._present.pop(service, {})
        now = dict.fromkeys(upstreams)
        if now:
            self._present[service] = now
        left = [upstream for upstream in before if upstream not in now]
        self._leaving += left
        self._used.update(left)

    def _settle(self) -> None:
        """Take over the counts of servers that left and have finished what they had."""
        leaving, self._leaving = self._leaving, []
        for upstream in leaving:
            if upstream.in_flight or upstream.pending:
                self._leaving.append(upstream)
                continue
            key = self._keys.pop(upstream)
            self._servers[key].remove(upstream)
            if not self._servers[key]:
                del self._servers[key]
            self._left.setdefault(key, Tally()).add(upstream.tally)

    def report(
        self, most: int, *, open_connections: int = 0, refusals: Mapping[str, int] = NOTHING
    ) -> Report:
        """What changed, for at most so many routers and as many servers; ask again while any are :attr:`due`."""
        if not self.due:
            self._gather()
        # Not all at once: of ten thousand routers that held up the requests for 33 to 47 ms.
        self._fold(most)
        report = self._head(open_connections, refusals)
        report.routers = {name: _sum((self._routers[name],)) for name in _taken(self._routers_due, most)}
        report.servers = {key: self._server(key) for key in _taken(self._servers_due, most)}
        return report

    @property
    def due(self) -> int:
        """How much is left to report of what changed before this round; a router counts by each of its servers."""
        return self._pendings + len(self._routers_due) + len(self._servers_due)

    def _gather(self) -> None:
        """Begin a round with all that was counted until now."""
        # Before those that left are settled: that they are at rest is news.
        self._servers_due.update(self._keys[upstream] for upstream in self._used if upstream in self._keys)
        self._settle()
        for upstream in self._used:
            if upstream.pending:
                self._put_off(upstream, upstream.pending)
                upstream.pending = {}
        if self._unserved:
            self._put_off(None, self._unserved)
            self._unserved = {}
        busy = [upstream for upstream in self._used if upstream.in_flight]
        self._used.clear()
        self._used.update(busy)

    def _put_off(self, upstream: Upstream | None, pendings: dict[str, Pending]) -> None:
        self._unfolded.append((upstream, pendings))
        self._pendings += len(pendings)

    def _server(self, key: str) -> Tally:
        upstreams = self._servers.get(key, ())
        tally = _sum(upstream.tally for upstream in upstreams)
        if key in self._left:
            tally.add(self._left[key])
        tally.in_flight = sum(upstream.in_flight for upstream in upstreams)
        return tally

    def totals(self, *, open_connections: int = 0, refusals: Mapping[str, int] = NOTHING) -> Totals:
        """Everything since the start of this process. The cost is that of all there is."""
        self._fold(self._pendings)
        self._gather()
        self._fold(self._pendings)
        whole = self._head(open_connections, refusals)
        whole.routers = self._routers
        whole.servers = {key: self._server(key) for key in {**self._left, **self._servers}}
        totals = Totals()
        totals.take(Report(), whole)
        totals.recent_errors = whole.recent_errors
        return totals

    def _head(self, open_connections: int, refusals: Mapping[str, int]) -> Report:
        report = Report()
        report.statuses = dict(self._statuses)
        report.recent_errors = list(self._errors)
        report.refusals = dict(refusals)
        report.open_connections = open_connections
        report.in_flight = sum(upstream.in_flight for upstream in self._used)
        return report


def _taken(names: set[str], most: int) -> list[str]:
    """A few, taken off the set."""
    return [names.pop() for _ in range(min(most, len(names)))]


def _sum(tallies: Iterable[Tally]) -> Tally:
    found = Tally()
    for tally in tallies:
        found.add(tally)
    return found
