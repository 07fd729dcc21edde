"""Why a connection takes the TCP router it takes, and no other; and who gets the datagrams of an entry point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dynbalancer.core.explanation import Candidate, candidate, verdict
from dynbalancer.core.rules.tree import Trace
from dynbalancer.core.streamrules import Caller, read_stream_rule
from dynbalancer.core.streams import StreamRouter
from dynbalancer.core.streamtable import StreamRoute, StreamTable
from dynbalancer.core.table import RoutingTable
from dynbalancer.errors import ConfigurationError

Json = dict[str, Any]


def explain_connection(table: RoutingTable, entry_point: str, caller: Caller, *, encrypted: bool) -> Json:
    """What becomes of a connection to an entry point, JSON-able: its router, and why the others don't have it.

    ``encrypted``: it begins with TLS, and with what ``caller`` says in it. Without router it goes on as HTTP.
    """
    streams = table.streams
    tried = streams.of(entry_point, encrypted=encrypted)
    traces = [_trace(route, caller) for route in tried]
    winner = next((route for route, trace in zip(tried, traces, strict=True) if trace.matched), None)
    why = _summary(winner, entry_point, encrypted=encrypted)
    if winner is not None and encrypted and winner.catch_all:
        name = caller.hello.server_name
        if table.answers(entry_point, name):
            # What nobody else takes is HTTP's before it is such a route's (Traefik 2.6 and later).
            why = f"an HTTP router answers for {name} here, which comes before {winner.name}: it goes on as HTTPS"
            winner = None
    found = [
        candidate(route, trace, _verdict(route, trace, winner, why))
        for route, trace in zip(tried, traces, strict=True)
    ]
    found += _elsewhere(streams, entry_point, caller, tried)
    found += _disabled(streams, caller)
    return _shown(streams, winner, why, found)


def explain_datagrams(table: RoutingTable, entry_point: str) -> Json:
    """Who gets the datagrams of an entry point, JSON-able."""
    streams = table.streams
    winner = streams.datagrams_of(entry_point)
    found = []
    for route in streams.datagrams:
        if route is winner:
            why = "takes them"
        elif winner is not None and entry_point in route.entry_points:
            why = f"{winner.name} comes first"
        else:
            why = f"listens on {', '.join(route.entry_points)} only, not on {entry_point}"
        found.append(Candidate(route.name, "", route.priority, route is winner, why))
    for name, reasons in _off(streams, "udp"):
        found.append(Candidate(name, "", 0, False, f"is off: {'; '.join(reasons)}"))
    why = f"no UDP router is on {entry_point}"
    if winner is not None:
        why = f"router {winner.name} takes every datagram, to service {winner.service_name}"
    return _shown(streams, winner, why, found)


def _shown(streams: StreamTable, winner: StreamRoute | None, why: str, found: Sequence[Candidate]) -> Json:
    return {
        "router": None if winner is None else winner.name,
        "service": None if winner is None else winner.service_name,
        "why": why,
        "tls": _ending(winner),
        "middlewares": [] if winner is None else list(winner.router.middlewares),
        "candidates": [one.as_dict() for one in found],
    }


def _ending(winner: StreamRoute | None) -> str:
    if winner is None or not winner.router.tls:
        return ""
    return "passed through" if winner.router.passthrough else "ends here"


def _summary(winner: StreamRoute | None, entry_point: str, *, encrypted: bool) -> str:
    if winner is not None:
        return f"router {winner.name} takes it, to service {winner.service_name}"
    kind, rest = ("with TLS", "HTTPS") if encrypted else ("without TLS", "HTTP")
    return f"no TCP router on {entry_point} takes this connection {kind}: it goes on as {rest}"


def _trace(route: StreamRoute, caller: Caller) -> Trace:
    assert route.rule is not None
    # The tree hands on whatever it is given.
    return route.rule.node.trace(caller)  # type: ignore[arg-type]


def _verdict(route: StreamRoute, trace: Trace, winner: StreamRoute | None, why: str) -> str:
    return why if trace.matched and winner is None else verdict(route, trace, winner)


def _elsewhere(
    streams: StreamTable, entry_point: str, caller: Caller, tried: Sequence[StreamRoute]
) -> Iterator[Candidate]:
    """Those whose rule matches, but which aren't asked on this entry point, or with or without TLS."""
    for route in streams.routes:
        trace = _trace(route, caller)
        if route in tried or not trace.matched:
            continue
        if entry_point not in route.entry_points:
            why = f"would match, but listens on {', '.join(route.entry_points)} only, not on {entry_point}"
        elif route.router.tls:
            why = "would match, but has tls, so it takes connections with TLS only"
        else:
            why = "would match, but has no tls, so it takes connections without TLS only"
        yield candidate(route, trace, why)


def _disabled(streams: StreamTable, caller: Caller) -> Iterator[Candidate]:
    """Those that are off, and would match or can't be read."""
    for name, reasons in _off(streams, "tcp"):
        router: StreamRouter = streams.configuration.tcp_routers[name]
        why = f"is off: {'; '.join(reasons)}"
        try:
            trace = read_stream_rule(router.rule, router.dialect).node.trace(caller)  # type: ignore[arg-type]
        except ConfigurationError:
            yield Candidate(name, router.rule, router.priority, False, why)
            continue
        if trace.matched:
            yield Candidate(name, router.rule, router.priority, True, why, trace)


def _off(streams: StreamTable, family: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    return ((name, reasons) for (of, name), reasons in streams.disabled.items() if of == family)
