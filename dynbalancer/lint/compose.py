"""Compose files as the containers that they would become, as far as labels go."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from dynbalancer.core.labels.containers import COMPOSE_PROJECT, COMPOSE_SERVICE, Container
from dynbalancer.errors import ConfigurationError, Problem

#: What an image listens on is in the image; this is the usual answer.
USUAL_PORT = 80

_VARIABLE = re.compile(r"\$(?:\$|(\w+)|\{(\w+)(?::?([-?+])([^{}]*))?\})")


def is_compose(document: object) -> bool:
    """Whether a document is a compose file, and not one of routes."""
    return isinstance(document, Mapping) and "services" in document and "http" not in document


def containers_of(
    document: Mapping[str, Any], path: str, environ: Mapping[str, str]
) -> tuple[list[Container], tuple[Problem, ...]]:
    """One container for each service, and what is wrong with the file. Raises ConfigurationError."""
    services = document["services"] or {}
    if not isinstance(services, Mapping):
        raise ConfigurationError(f"{path}: services", "expected one section for each service")
    # As compose does without -p: the name of the directory.
    project = str(document.get("name") or PurePath(path).parent.name or "project").lower()
    problems: list[Problem] = []
    containers = []
    for number, (name, service) in enumerate(services.items(), 1):
        if not isinstance(service, Mapping):
            raise ConfigurationError(f"{path}: services.{name}", "expected a section")
        labels = _labels(service, f"{path}: service {name}", environ, problems)
        own = {COMPOSE_PROJECT: project, COMPOSE_SERVICE: name}
        containers.append(
            Container(
                id=f"{project}-{name}",
                name=str(service.get("container_name") or f"{project}_{name}_1"),
                image=str(service.get("image", "")),
                labels=labels | own,
                networks=_networks(service, document, project, number),
                network_mode=str(service.get("network_mode", "bridge")),
                ports=_ports(service) or (USUAL_PORT,),
            )
        )
    return containers, tuple(dict.fromkeys(problems))


def _labels(
    service: Mapping[str, Any], where: str, environ: Mapping[str, str], problems: list[Problem]
) -> dict[str, str]:
    found = service.get("labels") or {}
    if isinstance(found, Mapping):
        pairs = [(str(key), _text(value)) for key, value in found.items()]
    elif isinstance(found, list):
        pairs = [(key, value) for key, _, value in (_text(line).partition("=") for line in found)]
    else:
        raise ConfigurationError(f"{where}: labels", "expected a list of KEY=VALUE, or a section")
    return {key: _substituted(value, environ, f"{where}, label {key}", problems) for key, value in pairs}


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _substituted(text: str, environ: Mapping[str, str], where: str, problems: list[Problem]) -> str:
    """Variables replaced as compose does: ``$NAME``, ``${NAME}``, ``${NAME:-default}``, ``$$``."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name is None:
            return "$"
        if environ.get(name):
            return environ[name]
        if match[3] is None:
            problems.append(Problem(where, f"the variable {name} is not set", "", "warning"))
        return (match[4] or "") if match[3] == "-" else ""

    return _VARIABLE.sub(value, text)


def _networks(
    service: Mapping[str, Any], document: Mapping[str, Any], project: str, number: int
) -> dict[str, str]:
    if service.get("network_mode"):
        return {}
    declared = document.get("networks")
    names = service.get("networks") or ["default"]
    # Addresses are given by the engine; these are of the block for documents (RFC 5737).
    return {
        _full_name(
            str(name), declared if isinstance(declared, Mapping) else {}, project
        ): f"192.0.2.{number % 250}"
        for name in names
    }


def _full_name(name: str, declared: Mapping[str, Any], project: str) -> str:
    settings = declared.get(name)
    if isinstance(settings, Mapping):
        if settings.get("name"):
            return str(settings["name"])
        external = settings.get("external")
        if external:
            return str(external.get("name", name)) if isinstance(external, Mapping) else name
    return f"{project}_{name}"


def _ports(service: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(sorted(set(_container_ports(service))))


def _container_ports(service: Mapping[str, Any]) -> Iterator[int]:
    for entry in (*_listed(service.get("expose")), *_listed(service.get("ports"))):
        target = entry.get("target") if isinstance(entry, Mapping) else entry
        # HOST:PUBLISHED:TARGET/PROTOCOL, each but the target optional.
        word = str(target).rpartition(":")[2].partition("/")[0]
        if word.isdigit():
            yield int(word)


def _listed(found: object) -> list[Any]:
    return found if isinstance(found, list) else []
