"""What several providers say, as one configuration; and what one change to it amounts to.

Inside one provider names are plain. Merged, each carries its provider (``web@docker``), so that two providers
can't take each other's names. References stay as written: a plain one means "of the same provider".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from dynbalancer.core.model import Certificate, Configuration, Item, Middleware, Router, Server, Service
from dynbalancer.errors import Problem

Definition = TypeVar("Definition", Router, Service, Middleware, Certificate)

#: States in which a server gets no new requests.
OUT_OF_ROTATION = ("draining", "down")


@dataclass(frozen=True, slots=True)
class Difference:
    """What came, went or changed: ``router web@docker``, ``server http://10.0.0.2:80 of web@docker``."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def merge(found: Iterable[tuple[str, Configuration]]) -> Configuration:
    """One configuration out of ``(provider, configuration)`` pairs, in the order of the pairs."""
    routers: dict[str, Router] = {}
    services: dict[str, Service] = {}
    middlewares: dict[str, Middleware] = {}
    certificates: dict[str, Certificate] = {}
    problems: list[Problem] = []
    items: list[Item] = []
    for provider, configuration in found:
        problems.extend(configuration.problems)
        routers.update(_qualified("router", provider, configuration.routers, problems))
        services.update(_qualified("service", provider, configuration.services, problems))
        middlewares.update(_qualified("middleware", provider, configuration.middlewares, problems))
        certificates.update(_qualified("certificate", provider, configuration.certificates, problems))
        items.extend(
            replace(item, gave=tuple(f"{name}@{provider}" for name in item.gave))
            for item in configuration.items
        )
    certificates = _with_one_default(certificates, problems)
    return Configuration(routers, services, middlewares, tuple(problems), tuple(items), certificates)


def _with_one_default(
    certificates: dict[str, Certificate], problems: list[Problem]
) -> dict[str, Certificate]:
    """The same where at most one is the default; several cancel each other out, as in Traefik."""
    defaults = [name for name, certificate in certificates.items() if certificate.default]
    if len(defaults) < 2:
        return certificates
    why = f"more than one is said to be the default: {', '.join(defaults)}; none of them is"
    problems.append(Problem("tls.stores.default", why, "keep one defaultCertificate"))
    return {
        name: replace(certificate, default=False) if name in defaults else certificate
        for name, certificate in certificates.items()
    }


def _qualified(
    kind: str, provider: str, definitions: Mapping[str, Definition], problems: list[Problem]
) -> Iterator[tuple[str, Definition]]:
    for name, definition in definitions.items():
        if "@" in name:
            problems.append(_refused(kind, provider, name))
            continue
        full_name = f"{name}@{provider}"
        yield full_name, replace(definition, name=full_name)


def _refused(kind: str, provider: str, name: str) -> Problem:
    return Problem(
        f"{kind} {name} of provider {provider}",
        "a name must not contain '@'",
        f"write {name.partition('@')[0] or 'a plain name'}; the provider is appended when it is used",
    )


def diff(old: Configuration, new: Configuration) -> Difference:
    """What came, went or changed. Servers are named where their service is in both."""
    before, after = _named(old, new), _named(new, old)
    return Difference(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(name for name in after if name in before and before[name] != after[name]),
    )


def _named(configuration: Configuration, other: Configuration) -> dict[str, object]:
    found: dict[str, object] = {f"router {name}": router for name, router in configuration.routers.items()}
    for name, service in configuration.services.items():
        found[f"service {name}"] = replace(service, servers=())
        if name in other.services and service.servers != other.services[name].servers:
            found.update(_servers(service))
    found.update((f"middleware {name}", middleware) for name, middleware in configuration.middlewares.items())
    found.update((f"certificate {name}", one) for name, one in configuration.certificates.items())
    return found


def _servers(service: Service) -> dict[str, tuple[Server, ...]]:
    by_url: dict[str, tuple[Server, ...]] = {}
    for server in service.servers:
        key = f"server {server.url} of {service.name}"
        by_url[key] = (*by_url.get(key, ()), server)
    return by_url


def only_removes_servers(old: Configuration, new: Configuration) -> bool:
    """Whether servers left, or were set to draining or down, and nothing else happened."""
    if (old.routers, old.middlewares, old.certificates) != (new.routers, new.middlewares, new.certificates):
        return False
    if old.services.keys() != new.services.keys():
        return False
    return all(_only_loses(old.services[name], service) for name, service in new.services.items())


def _only_loses(old: Service, new: Service) -> bool:
    if old == new:
        return True
    if replace(old, servers=()) != replace(new, servers=()):
        return False
    remaining = iter(old.servers)
    # Consuming one iterator makes this a test for an ordered subset.
    return all(any(_is_same_or_out(before, server) for before in remaining) for server in new.servers)


def _is_same_or_out(old: Server, new: Server) -> bool:
    return old == new or (new.state in OUT_OF_ROTATION and replace(old, state=new.state) == new)
