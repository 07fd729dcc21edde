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
    record: dict[str, Any] = {}
    for name, default in _DEFAULTS[type(value)]:
        found = getattr(value, name)
        if found is not default and found != default:
            record[name] = [_record(server) for server in found] if name == "servers" else plain(found)
    return record


def _defaults(kind: type[Any]) -> tuple[tuple[str, Any], ...]:
    """The attributes of a record with their defaults; what has none is never equal to it."""
    return tuple(
        (one.name, one.default_factory() if one.default_factory is not MISSING else one.default)
        for one in fields(kind)
        if one.name != "name" or kind is Server
    )


_DEFAULTS = {kind: _defaults(kind) for kind in (*_KINDS.values(), Server)}


def _made(kind: type[T], name: str, record: Mapping[str, Any]) -> T:
    return kind(name=name, **{attribute: frozen(found) for attribute, found in record.items()})


def _service(name: str, record: Mapping[str, Any]) -> Service:
    plain_attributes = {attribute: found for attribute, found in record.items() if attribute != "servers"}
    servers = tuple(Server(**server) for server in record.get("servers", ()))
    return Service(name=name, servers=servers, **plain_attributes)
