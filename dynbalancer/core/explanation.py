"""Why an exchange takes the route it takes, and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dynbalancer.core.exchange import Exchange
from dynbalancer.core.rules.parser import read
from dynbalancer.core.rules.tree import Trace
from dynbalancer.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    from dynbalancer.core.model import Router
    from dynbalancer.core.streams import StreamRouter
    from dynbalancer.core.streamtable import StreamRoute
    from dynbalancer.core.table import Route, RoutingTable

#: How many routers with unreadable rules are shown, and among how many hosts the nearest is looked for.
_UNREADABLE = 20
_HOSTS = 500


@dataclass(frozen=True, slots=True)
class Candidate:
    """A router that an exchange takes or might have taken. ``trace`` is None where its rule can't be read."""

    name: str
    rule: str
    priority: int
    matched: bool
    why: str
    trace: Trace | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "rule": self.rule,
            "priority": self.priority,
            "matched": self.matched,
            "why": self.why,
            "trace": None if self.trace is None else self.trace.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """Which route an exchange takes. ``candidates`` are those tried, in order, then those not here."""

    winner: Route | None
    candidates: tuple[Candidate, ...]
    why: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "router": None if self.winner is None else self.winner.name,
            "service": None if self.winner is None else self.winner.service_name,
            "why": self.why,
            "candidates": [candidate.as_dict() for candidate in self.candidates],
        }


def explain(table: RoutingTable, exchange: Exchange) -> Explanation:
    """What ``table.route(exchange)`` says, and why. Looks at every router: nothing for each request."""
    tried = table.candidates(exchange)
    traces = [route.rule.trace(exchange) for route in tried]
    winner = next((route for route, trace in zip(tried, traces, strict=True) if trace.matched), None)
    candidates = [
        candidate(route, trace, verdict(route, trace, winner))
        for route, trace in zip(tried, traces, strict=True)
    ]
    names = {route.name for route in tried}
    others = ((route, route.rule.trace(exchange)) for route in table.routes if route.name not in names)
    routers = table.configuration.routers
    off = ((name, routers[name], table.disabled[name]) for name in routers if name in table.disabled)
    candidates += elsewhere(others, exchange.entry_point.name, "HTTPS requests", "plain HTTP requests")
    candidates += disabled(off, lambda router: read(router.rule, router.dialect).node.trace(exchange))
    return Explanation(winner, tuple(candidates), _summary(table, exchange, winner, tried))


def candidate(route: Route | StreamRoute, trace: Trace, why: str) -> Candidate:
    """A route with its trace, and why it takes an exchange or doesn't."""
    return Candidate(route.name, route.router.rule, route.priority, trace.matched, why, trace)


def verdict(route: Route | StreamRoute, trace: Trace, winner: Route | StreamRoute | None) -> str:
    """Why a route that was tried takes an exchange or a connection, or doesn't."""
    if route is winner:
        return "takes it"
    if not trace.matched or winner is None:
        return " and ".join(_clauses(trace))
    if winner.priority == route.priority:
        return f"matches, but {winner.name} has the same priority and its name comes first"
    return f"matches, but {winner.name} comes first: priority {winner.priority} against {route.priority}"


def elsewhere(
    routes: Iterable[tuple[Route | StreamRoute, Trace]], entry_point: str, encrypted: str, plain: str
) -> Iterator[Candidate]:
    """Of routes that weren't tried, those whose rule matches: on other entry points, or with or without TLS.

    ``encrypted`` and ``plain``: what routes take that have tls, and those that have none.
    """
    for route, trace in routes:
        if not trace.matched:
            continue
        if entry_point not in route.entry_points:
            why = f"would match, but listens on {', '.join(route.entry_points)} only, not on {entry_point}"
        elif route.router.tls:
            why = f"would match, but has tls, so it takes {encrypted} only"
        else:
            why = f"would match, but has no tls, so it takes {plain} only"
        yield candidate(route, trace, why)


def disabled(
    routers: Iterable[tuple[str, Router | StreamRouter, tuple[str, ...]]],
    trace_of: Callable[[Any], Trace],
) -> Iterator[Candidate]:
    """Routers that are off, with the reasons: those that would match, and some that can't be read."""
    unreadable = 0
    for name, router, reasons in routers:
        why = f"is off: {'; '.join(reasons)}"
        try:
            trace = trace_of(router)
        except ConfigurationError:
            unreadable += 1
            if unreadable <= _UNREADABLE:
                yield Candidate(name, router.rule, router.priority, False, why)
            continue
        if trace.matched:
            yield Candidate(name, router.rule, router.priority, True, why, trace)


def _clauses(trace: Trace) -> Iterator[str]:
    for clause in trace.clauses():
        yield f"{clause.node} is {'true' if clause.matched else 'false'}"


def _summary(table: RoutingTable, exchange: Exchange, winner: Route | None, tried: Sequence[Route]) -> str:
    if winner is not None:
        return f"router {winner.name} takes it, to service {winner.service_name}"
    if not table.routes:
        return "there is no router"
    host = exchange.head.host.decode("ascii", "replace")
    if tried:
        return f"none of the {len(tried)} routers that may serve host {host} here matches"
    hint = did_you_mean(host, sorted(table.hosts())[:_HOSTS])
    return f"no router on entry point {exchange.entry_point.name} is for host {host}" + (hint and f"; {hint}")
