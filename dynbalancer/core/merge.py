"""What several providers say, as one configuration; and what one change to it amounts to.

Inside one provider names are plain. Merged, each carries its provider (``web@docker``), so that two providers
can't take each other's names. References stay as written: a plain one means "of the same provider".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from operator import is_
from typing import Any, TypeVar

from dynbalancer.core.layered import moved
from dynbalancer.core.model import (
    NOTHING,
    Certificate,
    Configuration,
    Item,
    Middleware,
    Router,
    Server,
    ServersTransport,
    Service,
    TLSOptions,
)
from dynbalancer.core.streams import StreamRouter, StreamService, StreamTransport
from dynbalancer.errors import Problem

Definition = TypeVar(
    "Definition",
    Router,
    Service,
    Middleware,
    Certificate,
    ServersTransport,
    StreamRouter,
    StreamService,
    StreamTransport,
    TLSOptions,
)

#: The families of definitions in a configuration, and what one of each is called.
CALLED = {
    "routers": "router",
    "services": "service",
    "middlewares": "middleware",
    "certificates": "certificate",
    "transports": "serversTransport",
    "tcp_routers": "TCP router",
    "tcp_services": "TCP service",
    "tcp_middlewares": "TCP middleware",
    "tcp_transports": "TCP serversTransport",
    "udp_routers": "UDP router",
    "udp_services": "UDP service",
    "tls_options": "TLS options",
}
_FAMILIES, _KINDS = tuple(CALLED), tuple(CALLED.values())

#: States in which a server gets no new requests.
OUT_OF_ROTATION = ("draining", "down", "maintenance")


@dataclass(frozen=True, slots=True)
class Difference:
    """What came, went or changed: ``router web@docker``, ``server http://10.0.0.2:80 of web@docker``."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def merge(found: Iterable[tuple[str, Configuration]]) -> Configuration:
    """One configuration out of ``(provider, configuration)`` pairs, in the order of the pairs."""
    return Merging().merge(found)


class Merging:
    """Merges again and again. What was the same the last time is the same object: comparing it costs nothing."""

    def __init__(self) -> None:
        self._parts: dict[str, _Part] = {}
        self._whole: dict[str, tuple[tuple[Mapping[str, Any], ...], dict[str, Any] | None]] = {}

    def merge(self, found: Iterable[tuple[str, Configuration]]) -> Configuration:
        """See :func:`merge`."""
        parts = {name: _part(name, given, self._parts.get(name, _NOTHING)) for name, given in found}
        self._parts = parts
        problems = [problem for part in parts.values() for problem in part.problems]
        items = tuple(item for part in parts.values() for item in part.items)
        joined = {family: self._joined(family) for family in _FAMILIES}
        joined["certificates"] = _with_one_default(joined["certificates"], problems)
        return Configuration(problems=tuple(problems), items=items, **joined)

    def _joined(self, family: str) -> dict[str, Any]:
        pieces = tuple(found for part in self._parts.values() if (found := part.families[family].found))
        before, whole = self._whole.get(family, ((), None))
        if whole is not None and len(before) == len(pieces) and all(map(is_, before, pieces)):
            return whole
        joined: dict[str, Any] = {}
        for piece in pieces:
            joined.update(piece)
        self._whole[family] = pieces, joined
        return joined


@dataclass(frozen=True, slots=True)
class _Family:
    """What one provider said of one family, and what it is merged: its definitions by their full names."""

    given: Mapping[str, Any]
    found: Mapping[str, Any]
    refused: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    """What one provider said, and what it is merged."""

    source: Configuration
    families: Mapping[str, _Family]
    items: tuple[Item, ...]

    @property
    def problems(self) -> tuple[Problem, ...]:
        return (*self.source.problems, *(one for family in self.families.values() for one in family.refused))


_NOTHING = _Part(Configuration(), {family: _Family({}, {}) for family in _FAMILIES}, ())


def _part(provider: str, source: Configuration, before: _Part) -> _Part:
    families = {
        family: _qualified(kind, provider, getattr(source, family), before.families[family])
        for family, kind in zip(_FAMILIES, _KINDS, strict=True)
    }
    return _Part(source, families, _items(provider, source.items, before))


def _qualified(kind: str, provider: str, given: Mapping[str, Definition], before: _Family) -> _Family:
    """The definitions by their full names; those that are as they were ``before`` are the same objects."""
    if given is before.given:
        return before
    changed, gone = moved(before.given, given)
    if not gone and len(given) == len(before.given):
        # The usual change: others under the same names.
        found = dict(before.found)
        for name in changed:
            if "@" not in name:
                full_name = f"{name}@{provider}"
                found[full_name] = replace(given[name], name=full_name)
        return _Family(given, found if changed else before.found, before.refused)
    found, refused, others = {}, [], set(changed)
    for name, definition in given.items():
        if "@" in name:
            refused.append(_refused(kind, provider, name))
            continue
        full_name = f"{name}@{provider}"
        found[full_name] = replace(definition, name=full_name) if name in others else before.found[full_name]
    return _Family(given, found, tuple(refused))


def _items(provider: str, items: tuple[Item, ...], before: _Part) -> tuple[Item, ...]:
    if items is before.source.items:
        return before.items
    known = {id(source): item for source, item in zip(before.source.items, before.items, strict=True)}
    return tuple(known.get(id(item)) or _qualified_item(provider, item) for item in items)


def _qualified_item(provider: str, item: Item) -> Item:
    if not item.gave:
        return item
    return replace(item, gave=tuple(f"{name}@{provider}" for name in item.gave))


def _with_one_default(
    certificates: dict[str, Certificate], problems: list[Problem]
) -> dict[str, Certificate]:
    """The same where at most one is the default; several cancel each other out, as in Traefik."""
    defaults = sorted(name for name, certificate in certificates.items() if certificate.default)
    if len(defaults) < 2:
        return certificates
    why = f"more than one is said to be the default: {', '.join(defaults)}; none of them is"
    problems.append(Problem("tls.stores.default", why, "keep one defaultCertificate"))
    return {
        name: replace(certificate, default=False) if name in defaults else certificate
        for name, certificate in certificates.items()
    }


def _refused(kind: str, provider: str, name: str) -> Problem:
    return Problem(
        f"{kind} {name} of provider {provider}",
        "a name must not contain '@'",
        f"write {name.partition('@')[0] or 'a plain name'}; the provider is appended when it is used",
    )


def diff(old: Configuration, new: Configuration) -> Difference:
    """What came, went or changed. Servers are named where their service is in both."""
    difference: tuple[list[str], list[str], list[str]] = [], [], []
    for family, kind in zip(_FAMILIES, _KINDS, strict=True):
        before, after = getattr(old, family), getattr(new, family)
        changed, gone = moved(before, after)
        for name in changed:
            if name in before and family == "services":
                _compare(before[name], after[name], *difference)
            else:
                difference[2 if name in before else 0].append(f"{kind} {name}")
        difference[1].extend(f"{kind} {name}" for name in gone)
    added, removed, altered = difference
    return Difference(tuple(added), tuple(removed), tuple(altered))


def _compare(old: Service, new: Service, added: list[str], removed: list[str], changed: list[str]) -> None:
    """What happened to a service that stayed."""
    if replace(old, servers=()) != replace(new, servers=()):
        changed.append(f"service {new.name}")
    before, after = _servers(old), _servers(new)
    added += [name for name in after if name not in before]
    removed += [name for name in before if name not in after]
    changed += [name for name in after if name in before and before[name] != after[name]]


def _servers(service: Service) -> dict[str, tuple[Server, ...]]:
    by_url: dict[str, tuple[Server, ...]] = {}
    for server in service.servers:
        key = f"server {server.url} of {service.name}"
        by_url[key] = (*by_url.get(key, ()), server)
    return by_url


def only_removes_servers(old: Configuration, new: Configuration) -> bool:
    """Whether servers left, or were set to draining or down, and nothing else happened."""
    if replace(old, services=NOTHING).routing != replace(new, services=NOTHING).routing:
        return False
    changed, gone = moved(old.services, new.services)
    if gone or any(name not in old.services for name in changed):
        return False
    return all(_only_loses(old.services[name], new.services[name]) for name in changed)


def _only_loses(old: Service, new: Service) -> bool:
    if replace(old, servers=()) != replace(new, servers=()):
        return False
    remaining = iter(old.servers)
    # Consuming one iterator makes this a test for an ordered subset.
    return all(any(_is_same_or_out(before, server) for before in remaining) for server in new.servers)


def _is_same_or_out(old: Server, new: Server) -> bool:
    return old == new or (new.state in OUT_OF_ROTATION and replace(old, state=new.state) == new)
