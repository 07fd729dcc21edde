"""Routers, services and middlewares of TCP and UDP in the shapes of Traefik v3's API."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dynbalancer.admin.secrets import redacted
from dynbalancer.core.flows import Flow, Flows
from dynbalancer.core.model import Configuration, EntryPoint, Middleware
from dynbalancer.core.references import plain
from dynbalancer.core.streamdocuments import router_written, service_written
from dynbalancer.core.streams import StreamRouter, StreamService
from dynbalancer.core.streamtable import StreamRoute, StreamTable
from dynbalancer.errors import Problem

Json = dict[str, Any]

#: The families of each, and what one of them is called in an error.
FAMILIES: Mapping[str, Mapping[str, str]] = {
    "tcp": {"routers": "router", "services": "service", "middlewares": "middleware"},
    "udp": {"routers": "router", "services": "service"},
}

#: What a health check found, for JSON: by service, address and instance; empty where there is none.
Health = Callable[[str, str, str], Json]

#: What nobody counted anything of.
_NOTHING = Flow()

_about = re.compile(r"(TCP|UDP) (router|service|middleware) ([^\s,:]+)").match

#: Lists by ``tcp`` or ``udp`` and family.
StreamLists = Mapping[tuple[str, str], list[Json]]


def stream_lists(
    table: StreamTable, problems: Iterable[Problem], entry_points: Sequence[EntryPoint]
) -> StreamLists:
    """All of them, with their status and who uses them."""
    return {
        (root, family): found
        for root in FAMILIES
        for family, found in _Lists(table, problems, entry_points, root).lists().items()
    }


class _Lists:
    """The lists of TCP, or those of UDP."""

    def __init__(
        self,
        table: StreamTable,
        problems: Iterable[Problem],
        entry_points: Sequence[EntryPoint],
        root: str,
    ) -> None:
        self._table = table
        self._root = root
        routes: Sequence[StreamRoute] = table.routes if root == "tcp" else table.datagrams
        self._routes = {route.name: route for route in routes}
        points = [point for point in entry_points if point.udp == (root == "udp")]
        self._points = [p.name for p in points if p.as_default] or [p.name for p in points]
        self._errors: dict[tuple[str, str], list[str]] = {}
        self._warnings: dict[tuple[str, str], list[str]] = {}
        for problem in problems:
            match = _about(problem.where)
            if match is not None and match[1].lower() == root and problem.severity != "info":
                found = self._errors if problem.severity == "error" else self._warnings
                found.setdefault((match[2], match[3]), []).append(problem.why)
        self._using: dict[tuple[str, str], list[str]] = {}

    def lists(self) -> dict[str, list[Json]]:
        """By family."""
        wanted = self._table.configuration
        tcp = self._root == "tcp"
        routers = wanted.tcp_routers if tcp else wanted.udp_routers
        services = wanted.tcp_services if tcp else wanted.udp_services
        for name, router in sorted(routers.items()):
            self._use("service", services, router.service, name)
            for used in dict.fromkeys(router.middlewares):
                self._use("middleware", wanted.tcp_middlewares, used, name)
        found = {
            "routers": [self._router(router) for router in routers.values()],
            "services": [self._service(service) for service in services.values()],
        }
        if tcp:
            found["middlewares"] = [self._middleware(one) for one in wanted.tcp_middlewares.values()]
        return found

    def _use(self, kind: str, known: Mapping[str, object], reference: str, owner: str) -> None:
        own = reference if "@" in reference else f"{reference}@{_provider(owner)}"
        others = [name for name in known if plain(name) == reference]
        meant = others[0] if own not in known and len(others) == 1 else own
        self._using.setdefault((kind, meant), []).append(owner)

    def _finished(self, found: Json, kind: str, name: str, *more: tuple[str, Any]) -> Json:
        errors, warnings = self._errors.get((kind, name), []), self._warnings.get((kind, name), [])
        if errors or warnings:
            found["error"] = [*errors, *warnings]
        found["status"] = "disabled" if errors else "warning" if warnings else "enabled"
        if kind != "router" and (kind, name) in self._using:
            found["usedBy"] = self._using[kind, name]
        return found | dict(more) | {"name": name, "provider": _provider(name)}

    def _router(self, router: StreamRouter) -> Json:
        found: Json = {"entryPoints": list(router.entry_points) or self._points}
        found["service"] = router.service.removesuffix(f"@{_provider(router.name)}")
        route = self._routes.get(router.name)
        if self._root == "tcp":
            written = router_written(router)
            found["rule"] = router.rule
            found["priority"] = route.priority if route is not None else router.priority
            if router.middlewares:
                found["middlewares"] = [
                    name if "@" in name else f"{name}@{_provider(router.name)}" for name in router.middlewares
                ]
            if router.tls:
                found["tls"] = {"passthrough": router.passthrough, "options": "default"} | written["tls"]
        more: list[tuple[str, Any]] = [("using", list(route.entry_points))] if route is not None else []
        if self._root == "tcp":
            more.append(("priorityStr", str(found["priority"])))
        return self._finished(found, "router", router.name, *more)

    def _service(self, service: StreamService) -> Json:
        found = service_written(service)
        more: list[tuple[str, Any]] = [("type", service.kind.lower())]
        if service.servers:
            states = {one.address: "UP" if one.state == "ready" else "DOWN" for one in service.servers}
            more.append(("serverStatus", dict(sorted(states.items()))))
        return self._finished(found, "service", service.name, *more)

    def _middleware(self, middleware: Middleware) -> Json:
        found = {middleware.type: redacted("", middleware.settings)}
        return self._finished(found, "middleware", middleware.name, ("type", middleware.type.lower()))


def counted(entry: Mapping[str, Any], root: str, family: str, flows: Flows) -> Json:
    """One of a list with its ``statistics``, which Traefik's don't have: of a router, a service and its servers."""
    if family == "middlewares":
        return dict(entry)
    sums = flows.routers if family == "routers" else flows.services
    found = {**entry, "statistics": sums.get((root, entry["name"]), _NOTHING).as_dict()}
    if "serverStatus" in entry:
        found["serverStatistics"] = {
            address: flows.servers.get((root, f"{entry['name']} {address}"), _NOTHING).as_dict()
            for address in entry["serverStatus"]
        }
    return found


def _provider(name: str) -> str:
    return name.rpartition("@")[2] if "@" in name else ""


def rows(lists: StreamLists, configuration: Configuration, health: Health) -> list[Json]:
    """The routers of both for the dashboard, each with ``root`` and with what its service is made of."""
    found = []
    wanted = {"tcp": configuration.tcp_services, "udp": configuration.udp_services}
    for root in FAMILIES:
        services = {entry["name"]: entry for entry in lists.get((root, "services"), ())}
        for router in lists.get((root, "routers"), ()):
            own = f"{router['service']}@{router['provider']}"
            service = services.get(router["service"]) or services.get(own) or {}
            members = service.get("weighted", {}).get("services", ())
            found.append(
                router
                | {
                    "root": root,
                    "serviceName": service.get("name", ""),
                    "servers": _servers(wanted[root].get(service.get("name", "")), health),
                    "members": [f"{member['name']} {member.get('weight', 1)}" for member in members],
                }
            )
    return found


def middleware_rows(lists: StreamLists) -> list[Json]:
    """The middlewares of TCP for the dashboard, beside those of HTTP."""
    return [
        entry
        | {"root": "tcp", "users": [{"section": "streams", "name": name} for name in entry.get("usedBy", ())]}
        for entry in lists.get(("tcp", "middlewares"), ())
    ]


def _servers(service: StreamService | None, health: Health) -> list[Json]:
    if service is None:
        return []
    return [
        {"address": one.address, "state": one.state, "name": one.name}
        | health(service.name, one.address, one.instance)
        for one in service.servers
    ]
