"""Counting in a worker: by router and by server; the sums are taken when somebody asks."""

from __future__ import annotations

import time
from collections.abc import Callable

from zope.interface import implementer

from dynbalancer.core.exchange import Exchange
from dynbalancer.core.statistics import Tally, Totals
from dynbalancer.interfaces import IExchangeObserver
from dynbalancer.proxy.upstream import Upstream


@implementer(IExchangeObserver)
class Counting:
    """Counts each exchange twice, for its router and its server; ``totals`` adds everything up."""

    def __init__(self, *, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._routers: dict[str, Tally] = {}
        self._services: dict[str, str] = {}
        self._unrouted = Tally()
        self._servers: dict[str, dict[Upstream, None]] = {}
        self._leaving: list[tuple[str, Upstream]] = []
        self._kept = Totals()

    def exchange_ended(self, exchange: Exchange) -> None:
        """See IExchangeObserver."""
        route = exchange.route
        if route is None:
            tally = self._unrouted
        else:
            found = self._routers.get(route.name)
            if found is None:
                found = self._routers[route.name] = Tally()
                self._services[route.name] = route.service_name
            tally = found
        _count(tally, exchange)
        server = exchange.server
        if server is not None:
            _count(server.tally, exchange)
        if exchange.status >= 400:
            self._remember(exchange)

    def _remember(self, exchange: Exchange) -> None:
        head = exchange.head
        self._kept.recent_errors.appendleft(
            {
                "status_code": exchange.status,
                "status": exchange.outcome,
                "method": head.method.decode("latin-1"),
                "host": head.host.decode("latin-1"),
                "path": head.path.decode("latin-1")[:256],
                "time": self._wall(),
            }
        )

    def follow(self, service: str, upstreams: tuple[Upstream, ...]) -> None:
        """These are the servers of a service now; the counts of those that left are kept."""
        before = self._servers.get(service, {})
        now = self._servers[service] = dict.fromkeys(upstreams)
        self._leaving += [(_key(service, upstream), upstream) for upstream in before if upstream not in now]

    def _settle(self) -> None:
        """Take over the counts of servers that left and have finished what they had."""
        for key, upstream in self._leaving:
            if not upstream.in_flight:
                self._kept.servers.setdefault(key, Tally()).add(upstream.tally)
        self._leaving = [entry for entry in self._leaving if entry[1].in_flight]

    def totals(self, *, open_connections: int = 0, refusals: dict[str, int] | None = None) -> Totals:
        """Everything since the start of this process."""
        self._settle()
        totals = Totals()
        totals.add(self._kept)
        for name, tally in self._routers.items():
            totals.routers[name] = tally
            Tally.add(totals, tally)
        Tally.add(totals, self._unrouted)
        serving = [
            (_key(service, upstream), upstream)
            for service, upstreams in self._servers.items()
            for upstream in upstreams
        ]
        for key, upstream in serving + self._leaving:
            mine = totals.servers.setdefault(key, Tally())
            mine.add(upstream.tally)
            mine.in_flight += upstream.in_flight
        for key, tally in totals.servers.items():
            totals.services.setdefault(key.partition(" ")[0], Tally()).add(tally)
        totals.in_flight = sum(tally.in_flight for tally in totals.servers.values())
        totals.open_connections = open_connections
        totals.refusals = dict(refusals or {})
        return totals


def _key(service: str, upstream: Upstream) -> str:
    return f"{service} {upstream.server.url}"


def _count(tally: Tally, exchange: Exchange) -> None:
    tally.count += 1
    tally.seconds += exchange.finished - exchange.started
    tally.bytes_in += exchange.bytes_in
    tally.bytes_out += exchange.bytes_out
    if exchange.tries > 1:
        tally.retries += exchange.tries - 1
    statuses = tally.statuses
    status = exchange.status
    statuses[status] = statuses.get(status, 0) + 1
