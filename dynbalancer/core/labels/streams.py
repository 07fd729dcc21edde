"""Labels of TCP and UDP: ``traefik.tcp.routers.db.rule=HostSNI(`db.example`)``, read as the sections of a file are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from dynbalancer.core.labels.addresses import Place, server_at
from dynbalancer.core.labels.containers import Container
from dynbalancer.core.labels.findings import Findings, Label
from dynbalancer.core.labels.naming import normalize, service_name
from dynbalancer.core.model import Middleware
from dynbalancer.core.schema import WrongValueError, describe, section, switch
from dynbalancer.core.streamdocuments import StreamDocument
from dynbalancer.core.streams import StreamRouter, StreamServer, StreamService
from dynbalancer.core.tables import Path, TableReader, frozen
from dynbalancer.errors import Problem

#: The families of a Configuration that labels may say something about.
FAMILIES = ("tcp_routers", "tcp_services", "tcp_middlewares", "udp_routers", "udp_services")

_indexed = re.compile(r"(?P<name>.+)\[(?P<index>[0-9]{1,3})\]").fullmatch

_KINDS = {"tcp_routers": "TCP router", "tcp_services": "TCP service", "tcp_middlewares": "TCP middleware"}
_KINDS |= {"udp_routers": "UDP router", "udp_services": "UDP service"}


@dataclass(slots=True)
class StreamReading:
    """What one container says of TCP and UDP, by family and name."""

    found: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Of routers and services, each once."""
        families = [family for family in FAMILIES if family != "tcp_middlewares"]
        return list(dict.fromkeys(name for family in families for name in self.found.get(family, ())))

    def __bool__(self) -> bool:
        return any(self.found.values())


class _Labels(TableReader):
    """A reader whose places are labels."""

    def __init__(self, findings: Findings, dialect: str) -> None:
        super().__init__(f"container {findings.container}")
        self.dialect = dialect
        self._findings = findings

    def note(self, path: Path, why: str, hint: str = "", severity: str = "error") -> None:
        key = ".".join(("traefik", *(step for step in path)))
        self._findings.label(key, why, hint, severity)


def read(place: Place, labels: Sequence[Label], findings: Findings) -> StreamReading:
    """What a container's labels of TCP and UDP ask for; what can't be used is among the findings."""
    document = _listed(_nested(labels, findings))
    reader = _Labels(findings, place.defaults.default_rule_syntax)
    for below in document.values():
        _with_service(below, place.container)
    servers = {
        root: _take_servers(below.get("services", {}), place, root, findings)
        for root, below in document.items()
    }
    for below in document.values():
        _link(below)
    found = StreamDocument(reader, _middleware(reader)).read(document.get("tcp"), document.get("udp"))
    for root, by_name in servers.items():
        services = found[f"{root}_services"]
        for name, server in by_name.items():
            if name in services and server is None:
                del services[name]
            elif name in services and isinstance(server, StreamServer):
                services[name] = replace(services[name], servers=(server,))
    return StreamReading({family: found[family] for family in FAMILIES})


def _nested(labels: Sequence[Label], findings: Findings) -> dict[str, dict[str, Any]]:
    """The labels as a document: shorter keys first, for what only says that a level is there gives way."""
    document: dict[str, Any] = {}
    for label in sorted(labels, key=lambda label: label.key.count(".")):
        steps = label.key.split(".")[1:]
        if len(steps) < 4 or not all(steps):
            findings.label(
                label.key, "this label is unknown and not used", "write traefik.tcp.routers.NAME.rule=…"
            )
            continue
        level = document
        for step in (steps[0].lower(), steps[1].lower(), *steps[2:-1]):
            key = _same_key(step, level)
            if not isinstance(level.get(key), dict):
                level[key] = {}
            level = level[key]
        value: Any = label.value.strip()
        level[_same_key(steps[-1], level)] = {} if not value and steps[-1].lower() == "tls" else value
    return document


def _listed(level: dict[str, Any]) -> dict[str, Any]:
    """The same with ``domains[0]``, ``domains[1]`` … as one list, in the order of their numbers."""
    found: dict[str, Any] = {}
    members: dict[str, dict[int, Any]] = {}
    for key, value in level.items():
        below = _listed(value) if isinstance(value, dict) else value
        indexed = _indexed(key)
        if indexed:
            members.setdefault(_same_key(indexed["name"], members), {})[int(indexed["index"])] = below
        else:
            found[key] = below
    for name, numbered in members.items():
        found[_same_key(name, found)] = [numbered[number] for number in sorted(numbered)]
    return found


def _same_key(key: str, level: Mapping[str, Any]) -> str:
    return next((known for known in level if known.lower() == key.lower()), key)


def _take_servers(
    services: Mapping[str, Any], place: Place, root: str, findings: Findings
) -> dict[str, StreamServer | str | None]:
    """The container's server for each of its services; None where there is no port, empty where no address.

    What says how the server is spoken to is taken out of the document.
    """
    found: dict[str, StreamServer | str | None] = {}
    for name, types in services.items():
        if not isinstance(types, dict) or not isinstance(
            balancer := types.get(_same_key("loadBalancer", types)), dict
        ):
            continue
        given = balancer.pop(_same_key("server", balancer), {})
        where = f"traefik.{root}.services.{name}.loadbalancer.server"
        found[name] = _server(given if isinstance(given, dict) else {}, place, root, where, findings)
        balancer["servers"] = []
    return found


def _server(
    given: Mapping[str, Any], place: Place, root: str, where: str, findings: Findings
) -> StreamServer | str | None:
    folded = {key.lower(): value for key, value in given.items()}
    for key in folded.keys() - {"port", "tls"}:
        findings.label(f"{where}.{key}", "this label is unknown and not used", "port and tls are known here")
    port = _port(folded.get("port"), place.container, root, where, findings)
    if port is None:
        return None
    tls = False
    if "tls" in folded:
        try:
            tls = switch(folded["tls"])
        except WrongValueError as wrong:
            # In clear to a server that wants TLS would say what was to be kept secret.
            findings.label(f"{where}.tls", f"expected {wrong.expected}, got {describe(folded['tls'])}")
            return None
    if place.container.stopped:
        return ""
    at = server_at(place, port, findings)
    if at is None:
        return ""
    return StreamServer(urlsplit(at.url).netloc, tls, at.state, at.name, at.instance)


def _port(written: object, container: Container, root: str, where: str, findings: Findings) -> int | None:
    if isinstance(written, str) and written:
        if written.isascii() and written.isdecimal() and 0 < int(written[:6]) < 65536:
            return int(written)
        findings.label(f"{where}.port", f"{written!r} is not a port")
        return None
    datagrams = [binding.container_port for binding in container.bindings if binding.protocol == "udp"]
    ports: Iterable[int] = datagrams if root == "udp" else container.ports
    lowest = min(ports, default=None)
    if lowest is None:
        findings.whole(f"no port exposed for {root.upper()}", f"add label {where}.port=…")
    return lowest


def _with_service(below: dict[str, Any], container: Container) -> None:
    """Where a router names no service and there is none, the container is one, as it is for HTTP."""
    routers = [router for router in below.get("routers", {}).values() if isinstance(router, dict)]
    if "services" not in below and any(not router.get(_same_key("service", router)) for router in routers):
        below["services"] = {normalize(service_name(container)): {"loadBalancer": {}}}


def _link(below: dict[str, Any]) -> None:
    """Give routers that name no service the only one there is."""
    services = list(below.get("services", {}))
    for router in below.get("routers", {}).values():
        if isinstance(router, dict) and not router.get(_same_key("service", router)) and len(services) == 1:
            router[_same_key("service", router)] = services[0]


def _middleware(reader: TableReader) -> Any:
    def read_one(name: str, found: Mapping[str, Any], path: Path) -> Middleware:
        if len(found) != 1:
            why = f"middleware {name} has several types ({', '.join(found)}); routers with it are not opened"
            raise reader.refuse(path, why, "give each type a name of its own")
        type_, value = next(iter(found.items()))
        settings = {} if isinstance(value, str) else frozen(section(value))
        return Middleware(name, type_, settings, reader.where)

    return read_one


@dataclass(slots=True)
class Streams:
    """What all containers say of TCP and UDP together; ``gave`` has the names that each container is part of."""

    families: dict[str, dict[str, Any]]
    problems: list[Problem]
    gave: dict[str, list[str]]


def joined(readings: Iterable[tuple[Container, StreamReading]]) -> Streams:
    """One routing from what each container says, oldest container first.

    Services of one name have the servers of all. Of different definitions the newest of a container that takes
    connections counts.
    """
    whole = Streams({family: {} for family in FAMILIES}, [], {})
    said: dict[tuple[str, str], list[tuple[Container, Any]]] = {}
    for container, reading in readings:
        if reading:
            whole.gave[container.id] = reading.names
        for family, found in reading.found.items():
            for name, definition in found.items():
                said.setdefault((family, name), []).append((container, definition))
    for (family, name), definitions in said.items():
        serving = [definition for container, definition in definitions if container.serves]
        chosen = (serving or [definition for _, definition in definitions])[-1]
        if any(_terms(definition) != _terms(chosen) for _, definition in definitions):
            origins = ", ".join(dict.fromkeys(definition.origin for _, definition in definitions))
            why = f"defined differently by {origins}; that of {chosen.origin} counts"
            hint = "give it the same labels everywhere, or another name"
            whole.problems.append(Problem(f"{_KINDS[family]} {name}", why, hint, "warning"))
        if isinstance(chosen, StreamService):
            servers = (server for _, definition in definitions for server in definition.servers)
            chosen = replace(chosen, servers=tuple(dict.fromkeys(servers)))
        whole.families[family][name] = chosen
    return whole


def _terms(definition: StreamRouter | StreamService | Middleware) -> Any:
    """A definition without what differs between containers anyway."""
    if isinstance(definition, StreamService):
        return replace(definition, origin="", servers=())
    return replace(definition, origin="")
