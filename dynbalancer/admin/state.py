"""What the dashboard shows, as one value, and the smaller views that the API gives of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from dynbalancer.admin import streams, traefik3
from dynbalancer.admin.secrets import redacted
from dynbalancer.core.flows import FAMILIES, Flows
from dynbalancer.core.health import Standing
from dynbalancer.core.model import (
    Change,
    Configuration,
    EntryPoint,
    Item,
    Middleware,
    ProviderStatus,
    Server,
    Service,
    WorkerStatus,
)
from dynbalancer.core.statistics import Totals
from dynbalancer.core.table import Route, RoutingTable
from dynbalancer.core.verdicts import by_container, verdicts
from dynbalancer.errors import Problem
from dynbalancer.interfaces import IHealth, IRouter, IStatistics, IWorkforce
from dynbalancer.version import version

Json = dict[str, Any]

#: How bad is first.
SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where everything that is shown comes from. ``started`` is a Unix time."""

    router: IRouter
    statistics: IStatistics
    workforce: IWorkforce
    entry_points: tuple[EntryPoint, ...]
    started: float
    access_log: bool = False
    health: IHealth | None = None

    def health_of(self, service: str, address: str, instance: str) -> Json:
        """The same of a server of TCP, for JSON; nothing where it was never asked."""
        return {} if self.health is None else _health(self.health.standing(service, address, instance))

    def standing(self, service: Service, server: Server) -> Standing | None:
        """What the health check says of a server; None where there is none."""
        return (
            None if self.health is None else self.health.standing(service.name, server.url, server.instance)
        )

    def runtime(self) -> traefik3.Runtime:
        """Routers, services and middlewares in force."""
        return traefik3.runtime(self.router.table, all_problems(self.router), self.entry_points)


def whole(sources: Sources) -> Json:
    """Everything but the counts: what the dashboard fetches at first and after each change."""
    router = sources.router
    table, statuses = router.table, router.providers
    runtime = sources.runtime()
    routes = {route.name: route for route in table.routes}
    services = table.configuration.services
    names = traefik3.Names(services)
    users = users_of(table.configuration, sources.entry_points)
    return {
        "version": version(),
        "started": sources.started,
        "now": time.time(),
        "table": in_force(router),
        "entryPoints": [traefik3.entry_point(point) for point in sources.entry_points],
        "routers": [_with_tree(entry, routes.get(entry["name"]), table, names) for entry in runtime.routers],
        "services": [
            entry | _made_of(services[entry["name"]], sources, names) | users("services", entry["name"])
            for entry in runtime.services
        ],
        "middlewares": [entry | users("middlewares", entry["name"]) for entry in runtime.middlewares]
        + streams.middleware_rows(runtime.streams),
        "streams": streams.rows(runtime.streams, table.streams.configuration, sources.health_of),
        "providers": [provider(status) for status in statuses if status.name != "internal"],
        "problems": problems(router),
        "items": items(router),
        "history": history(router.history),
        "workers": workers(sources.workforce.workers),
    }


def users_of(
    configuration: Configuration, entry_points: Sequence[EntryPoint]
) -> Callable[[str, str], dict[str, list[dict[str, str]]]]:
    """A function that gives ``users`` of one of a family: sections of the dashboard, and who is meant there.

    Beside routers these are chains, middlewares that show the pages of a service, services made of others or with
    middlewares of their own, and entry points.
    """
    services, middlewares = traefik3.Names(configuration.services), traefik3.Names(configuration.middlewares)
    found: dict[tuple[str, str], list[dict[str, str]]] = {}

    def add(family: str, used: Iterable[str], section: str, user: str) -> None:
        names = services if family == "services" else middlewares
        for name in dict.fromkeys(used):
            entry = {"section": section, "name": user}
            found.setdefault((family, names.meant(name, user)), []).append(entry)

    for router in configuration.routers.values():
        add("services", [router.service], "routers", router.name)
        add("middlewares", router.middlewares, "routers", router.name)
    for service in configuration.services.values():
        add("services", [member.name for member in service.members], "services", service.name)
        add("middlewares", service.middlewares, "services", service.name)
    for middleware in configuration.middlewares.values():
        if middleware.type.lower() == "chain":
            add("middlewares", _linked(middleware), "middlewares", middleware.name)
        if middleware.asks:
            add("services", [middleware.asks], "middlewares", middleware.name)
    for point in entry_points:
        add("middlewares", point.middlewares, "overview", point.name)
    return lambda family, name: {"users": found.get((family, name), [])}


def _linked(chain: Middleware) -> list[str]:
    """The names in a chain; none where it says something else, which is its own problem."""
    for key, value in chain.settings.items():
        if key.lower() == "middlewares":
            words = value.split(",") if isinstance(value, str) else value
            return [str(word).strip() for word in words] if isinstance(words, list | tuple) else []
    return []


def in_force(router: IRouter) -> Json:
    """Number of the table, and when and why it came."""
    last: Change | None = router.history[-1] if router.history else None
    return {
        "number": router.table.number,
        "cause": last.cause if last else "",
        "time": last.time if last else 0,
    }


def _with_tree(entry: Json, route: Route | None, table: RoutingTable, names: traefik3.Names) -> Json:
    router = table.configuration.routers[entry["name"]]
    return entry | {
        "tree": route.rule.as_dict() if route is not None else None,
        "origin": router.origin,
        "dialect": router.dialect,
        "serviceName": names.meant(router.service, router.name),
    }


def _made_of(service: Service, sources: Sources, names: traefik3.Names) -> Json:
    servers = [
        {
            "url": server.url,
            "name": server.name,
            "state": server.state,
            "weight": server.weight,
            "instance": server.instance[:12],
        }
        | _health(sources.standing(service, server))
        for server in service.servers
    ]
    members = [
        {"name": names.meant(member.name, service.name), "role": role}
        for member, role in zip(service.members, _roles(service), strict=False)
    ]
    return {"servers": servers, "members": members, "origin": service.origin, "dialect": service.dialect}


def _roles(service: Service) -> list[str]:
    """What each member does, in a few words."""
    if service.kind in ("weighted", "highestRandomWeight"):
        return [f"weight {member.weight}" for member in service.members]
    others = [f"gets copies of {member.percent}%" for member in service.members[1:]]
    return ["answers", *(["answers while the other can't"] if service.kind == "failover" else others)]


def _health(standing: Standing | None) -> Json:
    """How a server did when it was asked last; nothing where it never was."""
    if standing is None or not standing.checked:
        return {}
    found = asdict(standing)
    return {"health": {key: found[key] for key in ("up", "why", "failures", "since", "checked")}}


def provider(status: ProviderStatus) -> Json:
    """How one provider is doing, and how much it gave."""
    given = status.configuration
    return {
        "name": status.name,
        "state": status.state,
        "since": status.since,
        "published": status.published,
        "reason": status.reason,
        "routers": len(given.routers),
        "services": len(given.services),
        "middlewares": len(given.middlewares),
        "items": len(given.items),
        "problems": len(given.problems),
    }


def all_problems(router: IRouter) -> tuple[Problem, ...]:
    """What the router says, and which routers never get a request: that is looked for when somebody looks."""
    return tuple(dict.fromkeys([*router.problems, *router.table.unreachable]))


def problems(router: IRouter) -> list[Json]:
    """Every problem with the provider it came from, the worst first."""
    origins = {
        problem: status.name for status in router.providers for problem in status.configuration.problems
    }
    found = sorted(all_problems(router), key=_badness)
    return [asdict(problem) | {"provider": origins.get(problem, _named(problem))} for problem in found]


def _badness(problem: Problem) -> int:
    return SEVERITIES.index(problem.severity) if problem.severity in SEVERITIES else len(SEVERITIES)


def _named(problem: Problem) -> str:
    """The provider that the table's own problems name: ``TCP router web@docker``."""
    named = (word.rstrip(",:") for word in problem.where.split(" "))
    return traefik3.provider_of(next((word for word in named if "@" in word), ""))


def severities(router: IRouter) -> dict[str, int]:
    """How many problems there are of each severity."""
    found = dict.fromkeys(SEVERITIES, 0)
    for problem in all_problems(router):
        found[problem.severity] = found.get(problem.severity, 0) + 1
    return found


def items(router: IRouter) -> list[Json]:
    """Everything that was discovered, used or not, and why."""
    said = by_container(all_problems(router))
    return [
        _item(_tried(item, status.name, router.table), status.name, said.get(item.name, ()))
        for status in router.providers
        for item in status.configuration.items
    ]


def _tried(item: Item, provider_name: str, table: RoutingTable) -> Item:
    """With what the table says of its routers: one with a bad rule is refused, though its provider can't know."""
    names = [f"{name}@{provider_name}" for name in item.gave]
    routers = [name for name in names if name in table.configuration.routers]
    off = [name for name in routers if name in table.disabled]
    if not off:
        return item
    reasons = [f"router {name} is off: {', '.join(table.disabled[name])}" for name in off]
    verdict = "refused" if off == routers else item.verdict
    return replace(item, verdict=verdict, why="; ".join(filter(None, [item.why, *reasons])))


def _item(item: Item, provider_name: str, problems: Sequence[Problem]) -> Json:
    return {
        "id": item.id,
        "name": item.name,
        "kind": item.kind,
        "verdict": item.verdict,
        "why": item.why,
        "gave": list(item.gave),
        "labels": {key: redacted(key, value) for key, value in item.labels.items()},
        "verdicts": {key: asdict(verdict) for key, verdict in verdicts(item, problems).items()},
        "details": dict(item.details),
        "provider": provider_name,
    }


def history(changes: Sequence[Change]) -> list[Json]:
    """The last changes, newest first."""
    return [asdict(change) for change in reversed(changes)]


def workers(statuses: Sequence[WorkerStatus]) -> list[Json]:
    """The worker processes."""
    return [asdict(status) for status in statuses]


def statistics(totals: Totals, per_second: Sequence[int]) -> Json:
    """All counts since start, and the requests of each of the last 60 seconds, oldest first."""
    return totals.as_dict() | {"perSecond": list(per_second)}


def news(totals: Totals, per_second: Sequence[int], before: Mapping[str, int]) -> tuple[Json, dict[str, int]]:
    """What one second brought, and what to give as ``before`` the next time.

    Of routers, services and servers only those are named whose count or load is another than before, so that
    a thousand idle ones cost nothing.
    """
    now: dict[str, int] = {}
    moved: Json = {}
    for family in ("routers", "services", "servers"):
        moved[family] = {}
        for name, tally in getattr(totals, family).items():
            # One number that changes when any of them does.
            mark = (tally.count * 1_000_003 + tally.earlier) * 1_000_003 + tally.in_flight
            now[f"{family} {name}"] = mark
            if before.get(f"{family} {name}") != mark:
                moved[family][name] = {
                    "count": tally.count,
                    "inFlight": tally.in_flight,
                    "p95": tally.quantile(0.95),
                }
                if family == "servers":
                    moved[family][name]["lately"] = tally.lately
    moved["streams"] = _flow_news(totals.flows, before, now)
    return {
        "count": totals.count,
        "seconds": totals.seconds,
        "bytesIn": totals.bytes_in,
        "bytesOut": totals.bytes_out,
        "statuses": {str(status): count for status, count in sorted(totals.statuses.items())},
        "openConnections": totals.open_connections,
        "inFlight": totals.in_flight,
        "refusals": dict(totals.refusals),
        "lostLines": totals.lost_lines,
        "stalls": totals.stalls,
        "recentErrors": list(totals.recent_errors),
        "breakers": totals.breakers_shown(),
        "perSecond": list(per_second),
        **moved,
    }, now


def _flow_news(flows: Flows, before: Mapping[str, int], now: dict[str, int]) -> Json:
    """The same of what is not HTTP, by ``tcp`` or ``udp`` and then by kind."""
    moved: Json = {family: {} for family in FAMILIES}
    for kind in ("routers", "services", "servers"):
        for (family, name), flow in getattr(flows, kind).items():
            key = f"{family} {kind} {name}"
            now[key] = hash((flow.count, flow.open, flow.bytes_in, flow.bytes_out, flow.refused))
            if before.get(key) != now[key]:
                moved[family].setdefault(kind, {})[name] = flow.as_dict()
    return moved
