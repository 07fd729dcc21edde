"""The routing in force in the shapes of Traefik v3's API, so that what reads that can read us."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dynbalancer.admin.secrets import redacted
from dynbalancer.admin.streams import FAMILIES as STREAM_FAMILIES
from dynbalancer.admin.streams import StreamLists, stream_lists
from dynbalancer.core.durations import go_duration
from dynbalancer.core.model import Configuration, EntryPoint, Middleware, Router, Server, Service
from dynbalancer.core.references import OURS
from dynbalancer.core.service_documents import written
from dynbalancer.core.table import Route, RoutingTable, priority_of
from dynbalancer.errors import Problem

Json = dict[str, Any]

#: The families of the HTTP part, and what one of each is called in an error.
FAMILIES = {"routers": "router", "services": "service", "middlewares": "middleware"}

_about = re.compile(r"(router|service|middleware) ([^\s,:]+)").match
_spelled = {"rest": "REST", "http": "HTTP", "ecs": "ECS", "kubernetescrd": "KubernetesCRD"}


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with one router, service or middleware."""

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """As Traefik calls it: enabled, warning or disabled."""
        return "disabled" if self.errors else "warning" if self.warnings else "enabled"

    def shown(self) -> Json:
        """The keys ``error`` and ``status``."""
        error = [*self.errors, *self.warnings]
        return {"error": error, "status": self.status} if error else {"status": self.status}


@dataclass(slots=True)
class _Found:
    """The same while it is being collected."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def faults(table: RoutingTable, problems: Iterable[Problem]) -> dict[tuple[str, str], Faults]:
    """What is wrong with whom, by kind (``router``) and name (``web@docker``)."""
    found: dict[tuple[str, str], _Found] = {}
    for name, reasons in table.disabled.items():
        found.setdefault(("router", name), _Found()).errors.extend(reasons)
    for problem in problems:
        match = _about(problem.where)
        if match is None or problem.severity == "info":
            continue
        kind, name = match.groups()
        # The table itself is what knows whether a router is off.
        if kind == "router" and problem.severity == "error" and name in table.disabled:
            continue
        entry = found.setdefault((kind, name), _Found())
        works = problem.severity == "warning" or kind == "router"
        (entry.warnings if works else entry.errors).append(problem.why)
    return {key: Faults(tuple(entry.errors), tuple(entry.warnings)) for key, entry in found.items()}


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything in force, as three lists; computed once per table."""

    routers: list[Json]
    services: list[Json]
    middlewares: list[Json]
    streams: StreamLists = field(default_factory=dict)

    def family(self, name: str) -> list[Json]:
        """One of the three by its name in the API."""
        found: list[Json] = getattr(self, name)
        return found


def runtime(table: RoutingTable, problems: Iterable[Problem], entry_points: Sequence[EntryPoint]) -> Runtime:
    """Routers, services and middlewares of a table with their status and who uses them."""
    configuration: Configuration = table.configuration
    problems = tuple(problems)
    wrong = faults(table, problems)
    routes = {route.name: route for route in table.routes}
    services, middlewares = Names(configuration.services), Names(configuration.middlewares)
    serving: dict[str, list[str]] = {}
    changing: dict[str, list[str]] = {}
    for name, router in sorted(configuration.routers.items()):
        serving.setdefault(services.meant(router.service, name), []).append(name)
        for used in dict.fromkeys(router.middlewares):
            changing.setdefault(middlewares.meant(used, name), []).append(name)
    for name, service in sorted(configuration.services.items()):
        for member in service.members:
            serving.setdefault(services.meant(member.name, name), []).append(name)

    def wrong_with(kind: str, name: str) -> Faults:
        return wrong.get((kind, name), Faults())

    return Runtime(
        [
            _router(router, routes.get(name), wrong_with("router", name), middlewares, entry_points)
            for name, router in configuration.routers.items()
        ],
        [
            _service(service, serving.get(name, []), wrong_with("service", name))
            for name, service in configuration.services.items()
            if name in serving or _shown(service)
        ],
        [
            _middleware(middleware, changing.get(name, []), wrong_with("middleware", name))
            for name, middleware in configuration.middlewares.items()
            if _shown(middleware)
        ],
        stream_lists(table.streams, problems, entry_points),
    )


def _shown(definition: Service | Middleware) -> bool:
    """Whether anybody wrote it: what is always there is of interest when it is used."""
    return bool(definition.origin) or not definition.name.endswith(OURS)


class Names:
    """Finds what a reference means, as the table does: of the same provider, else the only one named so."""

    def __init__(self, full: Iterable[str]) -> None:
        self._full = frozenset(full)
        self._plain: dict[str, list[str]] = {}
        for name in self._full:
            if not name.endswith(OURS):
                self._plain.setdefault(name.partition("@")[0], []).append(name)

    def meant(self, reference: str, owner: str) -> str:
        """The whole name; where there is none such, the one that was to be expected."""
        if "@" in reference or not provider_of(owner):
            return reference
        own = f"{reference}@{provider_of(owner)}"
        others = self._plain.get(reference, [])
        return others[0] if own not in self._full and len(others) == 1 else own


def default_entry_points(entry_points: Sequence[EntryPoint]) -> list[str]:
    """The names of those that a router is on which names none."""
    points = [point for point in entry_points if not point.udp]
    return [point.name for point in points if point.as_default] or [point.name for point in points]


def _router(
    router: Router, route: Route | None, wrong: Faults, middlewares: Names, entry_points: Sequence[EntryPoint]
) -> Json:
    provider = provider_of(router.name)
    using = list(route.entry_points) if route is not None else []
    priority = priority_of(router)
    found: Json = {"entryPoints": list(router.entry_points) or default_entry_points(entry_points)}
    if router.middlewares:
        found["middlewares"] = [middlewares.meant(name, router.name) for name in router.middlewares]
    found["service"] = router.service.removesuffix(f"@{provider}")
    found["rule"] = router.rule
    found["priority"] = priority
    if router.tls:
        found["tls"] = {"options": router.tls_options or "default"}
    found |= wrong.shown()
    if using:
        found["using"] = using
    return found | {"name": router.name, "provider": provider, "priorityStr": str(priority)}


def _service(service: Service, used_by: list[str], wrong: Faults) -> Json:
    shown = written(service)[service.kind]
    if service.kind == "loadBalancer":
        shown = {"servers": [], **shown}
    if service.health_check is not None:
        shown["healthCheck"] = redacted("", shown["healthCheck"])
    found: Json = {service.kind: shown} | wrong.shown()
    if used_by:
        found["usedBy"] = used_by
    if service.servers:
        # Two servers may share a URL while one of them is on its way out: the better state counts.
        found["serverStatus"] = dict(sorted((s.url, _up(s)) for s in service.servers))
    return found | {
        "name": service.name,
        "provider": provider_of(service.name),
        "type": service.kind.lower(),
    }


def _up(server: Server) -> str:
    return "UP" if server.state == "ready" else "DOWN"


def _middleware(middleware: Middleware, used_by: list[str], wrong: Faults) -> Json:
    found: Json = {middleware.type: redacted("", middleware.settings)} | wrong.shown()
    if used_by:
        found["usedBy"] = used_by
    return found | {
        "name": middleware.name,
        "provider": provider_of(middleware.name),
        "type": middleware.type.lower(),
    }


def provider_of(name: str) -> str:
    """``docker`` of ``web@docker``."""
    return name.rpartition("@")[2] if "@" in name else ""


def rawdata(found: Runtime) -> Json:
    """All families keyed by name; an empty one is left out."""
    whole: Json = {}
    for family in ("routers", "middlewares", "services"):
        entries = {entry["name"]: _unnamed(entry) for entry in found.family(family)}
        if entries:
            whole[family] = entries
    for (root, family), listed in found.streams.items():
        if listed:
            whole[f"{root}{family.capitalize()}"] = {entry["name"]: _unnamed(entry) for entry in listed}
    return whole


def _unnamed(entry: Json) -> Json:
    return {
        key: value for key, value in entry.items() if key not in ("name", "provider", "type", "priorityStr")
    }


def overview(found: Runtime, providers: Iterable[str], *, access_log: bool) -> Json:
    """How many of everything there are, and how many of them are in trouble."""
    return {
        "http": {family: _counts(found.family(family)) for family in FAMILIES},
        **{
            root: {family: _counts(found.streams.get((root, family), ())) for family in families}
            for root, families in STREAM_FAMILIES.items()
        },
        "features": {"tracing": "", "metrics": "", "accessLog": access_log},
        "providers": [_spelled.get(name, name[:1].upper() + name[1:]) for name in providers],
    }


def _counts(entries: Sequence[Mapping[str, Any]]) -> Json:
    return {
        "total": len(entries),
        "warnings": sum(entry["status"] == "warning" for entry in entries),
        "errors": sum(entry["status"] == "disabled" for entry in entries),
    }


def entry_point(point: EntryPoint) -> Json:
    """One entry point as its settings would be written."""
    found: Json = {"address": point.address}
    if point.as_default:
        found["asDefault"] = True
    forwarded: Json = {}
    if point.trust_all:
        forwarded["insecure"] = True
    if point.trusted:
        forwarded["trustedIPs"] = list(point.trusted)
    http: Json = {"tls": {}} if point.tls else {}
    if point.middlewares:
        http["middlewares"] = list(point.middlewares)
    if http:
        found["http"] = http
    if point.proxy_trust_all:
        found["proxyProtocol"] = {"insecure": True}
    elif point.proxy_trusted:
        found["proxyProtocol"] = {"trustedIPs": list(point.proxy_trusted)}
    if point.udp:
        return found | {"udp": {"timeout": go_duration(point.udp_timeout)}, "name": point.name}
    return found | {"forwardedHeaders": forwarded, "name": point.name}
