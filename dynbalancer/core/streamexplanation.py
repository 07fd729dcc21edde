"""Why a connection takes the TCP router it takes, and no other; and who gets the datagrams of an entry point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dynbalancer.core.explanation import Candidate, candidate, disabled, elsewhere, verdict
from dynbalancer.core.rules.tree import Trace
from dynbalancer.core.streamrules import Caller, StreamRule, read_stream_rule
from dynbalancer.core.streamtable import StreamRoute, StreamTable
from dynbalancer.core.table import RoutingTable

Json = dict[str, Any]


def explain_connection(table: RoutingTable, entry_point: str, caller: Caller, *, encrypted: bool) -> Json:
    """What becomes of a connection to an entry point, JSON-able: its router, and why the others don't have it.

    ``encrypted``: it begins with TLS, and with what ``caller`` says in it. Without router it goes on as HTTP.
    """
    streams = table.streams
    tried = streams.of(entry_point, encrypted=encrypted)
    traces = [_trace(route.rule, caller) for route in tried]
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
    names = {route.name for route in tried}
    others = ((route, _trace(route.rule, caller)) for route in streams.routes if route.name not in names)
    routers = streams.configuration.tcp_routers
    off = ((name, routers[name], reasons) for name, reasons in _off(streams, "tcp"))
    found += elsewhere(others, entry_point, "connections with TLS", "connections without TLS")
    found += disabled(off, lambda router: _trace(read_stream_rule(router.rule, router.dialect), caller))
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


def _trace(rule: StreamRule | None, caller: Caller) -> Trace:
    assert rule is not None
    # The tree hands on whatever it is given.
    return rule.node.trace(caller)  # type: ignore[arg-type]


def _verdict(route: StreamRoute, trace: Trace, winner: StreamRoute | None, why: str) -> str:
    return why if trace.matched and winner is None else verdict(route, trace, winner)


def _off(streams: StreamTable, family: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    return ((name, reasons) for (of, name), reasons in streams.disabled.items() if of == family)
