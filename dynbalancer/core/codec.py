"""The model as data: exact snapshots between our own processes, Traefik's dynamic document for all others.

A snapshot is JSON-able and holds the routing: routers, services, middlewares, and certificates and transports with
their keys, so it is for our own processes alone. Attributes that have their default are left out. Problems
and items stay where they were found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from dynbalancer.core.documents import from_document, to_document
from dynbalancer.core.model import (
    Certificate,
    Configuration,
    HealthCheck,
    Member,
    Middleware,
    PassiveHealth,
    Router,
    Server,
    ServersTransport,
    Service,
    Sticky,
    TLSOptions,
)
from dynbalancer.core.schema import WrongValueError
from dynbalancer.core.streams import StreamRouter, StreamServer, StreamService, StreamTransport
from dynbalancer.core.tables import frozen, plain
from dynbalancer.errors import ConfigurationError

__all__ = ["from_document", "from_snapshot", "snapshot", "to_document"]

#: The families of definitions in a configuration.
KINDS: Mapping[str, type[Any]] = {
    "routers": Router,
    "services": Service,
    "middlewares": Middleware,
    "certificates": Certificate,
    "transports": ServersTransport,
    "tcp_routers": StreamRouter,
    "tcp_services": StreamService,
    "tcp_middlewares": Middleware,
    "tcp_transports": StreamTransport,
    "udp_routers": StreamRouter,
    "udp_services": StreamService,
    "tls_options": TLSOptions,
}

#: Attributes that are values of ours, or a tuple of them.
_NESTED: Mapping[str, type[Any]] = {
    "servers": Server,
    "members": Member,
    "sticky": Sticky,
    "passive_health": PassiveHealth,
    "health_check": HealthCheck,
}
_NESTED_IN_STREAMS: Mapping[str, type[Any]] = {
    "servers": StreamServer,
    "members": Member,
    "health_check": HealthCheck,
}


def snapshot(configuration: Configuration) -> dict[str, Any]:
    """The routing, whole and JSON-able."""
    return {
        family: {name: _record(value) for name, value in getattr(configuration, family).items()}
        for family in KINDS
    }


def from_snapshot(found: Mapping[str, Any]) -> Configuration:
    """The routing out of what :func:`snapshot` gave. Raises ConfigurationError on anything else."""
    try:
        families: dict[str, Any] = {
            family: {name: _made(kind, name, record) for name, record in found[family].items()}
            for family, kind in KINDS.items()
        }
    except (KeyError, TypeError, AttributeError, WrongValueError) as error:
        raise ConfigurationError("snapshot", f"not readable: {error!r}") from error
    return Configuration(**families)


def _record(value: Any) -> dict[str, Any]:
    """The attributes that don't have their default. The name of a definition is its key already."""
    record: dict[str, Any] = {}
    for name, default in _DEFAULTS[type(value)]:
        found = getattr(value, name)
        if found is not default and found != default:
            record[name] = _plain(found) if name in _NESTED else plain(found)
    return record


def _plain(found: Any) -> Any:
    return [_record(value) for value in found] if isinstance(found, tuple) else _record(found)


def _defaults(kind: type[Any]) -> tuple[tuple[str, Any], ...]:
    """The attributes of a record with their defaults; what has none is never equal to it."""
    return tuple(
        (one.name, one.default_factory() if one.default_factory is not MISSING else one.default)
        for one in fields(kind)
        if one.name != "name" or kind not in KINDS.values()
    )


_DEFAULTS = {kind: _defaults(kind) for kind in (*KINDS.values(), *_NESTED.values(), StreamServer)}


def _made(kind: type[Any], name: str, record: Mapping[str, Any]) -> Any:
    nested = _NESTED_IN_STREAMS if kind is StreamService else _NESTED
    attributes = {key: _value(nested.get(key), found) for key, found in record.items()}
    return kind(name=name, **attributes)


def _value(nested: type[Any] | None, found: Any) -> Any:
    if nested is None:
        return frozen(found)
    if isinstance(found, Mapping):
        return nested(**{name: frozen(member) for name, member in found.items()})
    return tuple(nested(**member) for member in found)
