"""The model as data: exact snapshots between our own processes, Traefik's dynamic document for all others.

A snapshot is JSON-able and holds the routing: routers, services, middlewares, and certificates with their keys, so
it is for our own processes alone. Attributes that have their default are left out. Problems
and items stay where they were found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from dynbalancer.core.documents import from_document, frozen, plain, to_document
from dynbalancer.core.model import Certificate, Configuration, Middleware, Router, Server, Service
from dynbalancer.core.schema import WrongValueError
from dynbalancer.errors import ConfigurationError

__all__ = ["from_document", "from_snapshot", "snapshot", "to_document"]

T = TypeVar("T", Router, Service, Middleware, Certificate, Server)

_KINDS: Mapping[str, type[Router | Service | Middleware | Certificate]] = {
    "routers": Router,
    "services": Service,
    "middlewares": Middleware,
    "certificates": Certificate,
}


def snapshot(configuration: Configuration) -> dict[str, Any]:
    """The routing, whole and JSON-able."""
    return {
        family: {name: _record(value) for name, value in getattr(configuration, family).items()}
        for family in _KINDS
    }


def from_snapshot(found: Mapping[str, Any]) -> Configuration:
    """The routing out of what :func:`snapshot` gave. Raises ConfigurationError on anything else."""
    try:
        return Configuration(
            routers={name: _made(Router, name, record) for name, record in found["routers"].items()},
            services={name: _service(name, record) for name, record in found["services"].items()},
            middlewares={
                name: _made(Middleware, name, record) for name, record in found["middlewares"].items()
            },
            certificates={
                name: _made(Certificate, name, record) for name, record in found["certificates"].items()
            },
        )
    except (KeyError, TypeError, AttributeError, WrongValueError) as error:
        raise ConfigurationError("snapshot", f"not readable: {error!r}") from error


def _record(value: Router | Service | Middleware | Certificate | Server) -> dict[str, Any]:
    """The attributes that don't have their default. The name of a definition is its key already."""
    named = not isinstance(value, Server)
    record: dict[str, Any] = {}
    for attribute in fields(value):
        found = getattr(value, attribute.name)
        if (named and attribute.name == "name") or _is_default(attribute, found):
            continue
        record[attribute.name] = (
            [_record(server) for server in found] if attribute.name == "servers" else plain(found)
        )
    return record


def _is_default(attribute: Any, found: object) -> bool:
    if attribute.default_factory is not MISSING:
        return bool(attribute.default_factory() == found)
    return attribute.default is not MISSING and bool(attribute.default == found)


def _made(kind: type[T], name: str, record: Mapping[str, Any]) -> T:
    return kind(name=name, **{attribute: frozen(found) for attribute, found in record.items()})


def _service(name: str, record: Mapping[str, Any]) -> Service:
    plain_attributes = {attribute: found for attribute, found in record.items() if attribute != "servers"}
    servers = tuple(Server(**server) for server in record.get("servers", ()))
    return Service(name=name, servers=servers, **plain_attributes)
