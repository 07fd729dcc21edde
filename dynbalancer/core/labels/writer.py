"""From a configuration in v3's words to the labels of one container, by the same tables that read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from dynbalancer.core import schema, service_documents
from dynbalancer.core.model import (
    Configuration,
    HealthCheck,
    PassiveHealth,
    Router,
    Server,
    Service,
    Sticky,
)
from dynbalancer.core.sections import BELOW
from dynbalancer.core.tables import write

#: Sections whose keys are names of header fields, and stay as they are.
_NAMED = (".customrequestheaders", ".customresponseheaders", ".sslproxyheaders", ".healthcheck.headers")

#: What a service is where nothing is said of it.
_DEFAULTS: Mapping[str, Any] = service_documents.written(Service("default"))["loadBalancer"]
#: What its sections are where they are there, and nothing is said in them.
_BELOW: Mapping[str, Any] = {
    "sticky": {"cookie": write(BELOW["cookie"].keys, Sticky())},
    "healthCheck": write(BELOW["healthCheck"].keys, HealthCheck()),
    "passiveHealthCheck": write(BELOW["passiveHealthCheck"].keys, PassiveHealth()),
}


class UnwritableError(Exception):
    """A value that labels have no room for: why."""


def labels_of(container: str, names: Iterable[str], found: Configuration) -> dict[str, str]:
    """The labels that give the routers and services of these ``names``, and the middlewares they use.

    ``container`` is the id of the container whose server the services get. Raises UnwritableError.
    """
    labels: dict[str, str] = {}
    wanted = list(dict.fromkeys(names))
    for router in (found.routers[name] for name in wanted if name in found.routers):
        labels |= dict(_router(router))
    for service in (found.services[name] for name in wanted if name in found.services):
        labels |= dict(_service(service, container))
    for name in _used(wanted, found):
        middleware = found.middlewares[name]
        prefix = f"traefik.http.middlewares.{_name(name)}.{middleware.type.lower()}"
        labels |= dict(_flat(prefix, middleware.settings)) if middleware.settings else {prefix: "true"}
    return labels


def _used(names: Iterable[str], found: Configuration) -> list[str]:
    """The middlewares of these routers and services, and those that chains among them stand for."""
    left = [
        middleware
        for name in names
        for family in (found.routers, found.services)
        if name in family
        for middleware in family[name].middlewares
    ]
    used: dict[str, None] = {}
    while left:
        name = left.pop(0).removesuffix("@docker")
        if name in used or name not in found.middlewares:
            continue
        used[name] = None
        members = found.middlewares[name].settings.get("middlewares", ())
        left += [word.strip() for word in members.split(",")] if isinstance(members, str) else list(members)
    return list(used)


def _name(name: str) -> str:
    if "." in name:
        raise UnwritableError(f"the name {name} has a dot in it, which separates the parts of a label")
    return name


def _router(router: Router) -> Iterator[tuple[str, str]]:
    prefix = f"traefik.http.routers.{_name(router.name)}"
    for key, value in write(schema.ROUTER, router).items():
        yield from _flat(f"{prefix}.{key.lower()}", value)


def _service(service: Service, container: str) -> Iterator[tuple[str, str]]:
    if service.kind != "loadBalancer":
        raise UnwritableError(f"service {service.name}: labels have no {service.kind}; write it into a file")
    prefix = f"traefik.http.services.{_name(service.name)}"
    balancer = dict(service_documents.written(service)["loadBalancer"])
    balancer.pop("servers", None)
    for server in (server for server in service.servers if server.instance == container):
        yield from _server(f"{prefix}.loadbalancer.server", server)
    for key, value in balancer.items():
        if value != _DEFAULTS.get(key):
            own = _differing(value, _BELOW[key]) if key in _BELOW else value
            yield from _flat(f"{prefix}.loadbalancer.{key.lower()}", own)
    if service.middlewares:
        yield from _flat(f"{prefix}.middlewares", service.middlewares)


def _differing(found: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What is not as it would be anyway."""
    differing: dict[str, Any] = {}
    for key, value in found.items():
        usual = defaults.get(key)
        if isinstance(value, Mapping) and isinstance(usual, Mapping):
            differing[key] = _differing(value, usual)
        elif value != usual:
            differing[key] = value
    return differing


def _server(prefix: str, server: Server) -> Iterator[tuple[str, str]]:
    parts = urlsplit(server.url)
    yield f"{prefix}.port", str(parts.port)
    if parts.scheme != "http":
        yield f"{prefix}.scheme", parts.scheme
    if server.weight != 1:
        yield f"{prefix}.weight", str(server.weight)
    if server.preserve_path:
        yield f"{prefix}.preservepath", "true"


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Dotted keys from nested values; a section without anything in it is ``true``."""
    if not isinstance(value, Mapping):
        yield prefix, _text(prefix, value)
        return
    if not value:
        yield prefix, "true"
    for key, below in value.items():
        named = prefix.lower().endswith(_NAMED)
        yield from _flat(f"{prefix}.{key if named else key.lower()}", below)


def _text(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        words = [_text(key, word) for word in value]
        if any("," in word for word in words):
            raise UnwritableError(
                f"{key}: one of its values has a comma in it, which separates values in a label"
            )
        return ",".join(words)
    return str(value)
