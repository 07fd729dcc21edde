"""Sections within a service that have tables of keys of their own, and what is made of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dynbalancer.core import checks, schema, service_keys
from dynbalancer.core.model import HealthCheck, Member, PassiveHealth, Server, Sticky
from dynbalancer.core.schema import Key

#: What is odd about what was made of a section, as (key, why, severity), by the attributes that somebody wrote.
Doubts = Callable[[Any, Iterable[str]], tuple[tuple[str, str, str], ...]]


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its keys, what is made of their attributes, and what may be odd about that."""

    keys: tuple[Key, ...]
    make: Callable[..., Any]
    doubts: Doubts = lambda made, given: ()


def only(**attributes: Any) -> Any:
    """The one attribute of a section that has one; None where it is not given."""
    return next(iter(attributes.values()), None)


#: By the key that the section stands under.
BELOW: Mapping[str, Section] = {
    "observability": Section(schema.OBSERVABILITY, only),
    "healthCheck": Section(checks.HEALTH_CHECK, HealthCheck, checks.doubts),
    "sticky": Section(service_keys.STICKY, only, service_keys.sticky_doubts),
    "cookie": Section(service_keys.COOKIE, Sticky),
    "passiveHealthCheck": Section(service_keys.PASSIVE_HEALTH, PassiveHealth),
    "responseForwarding": Section(service_keys.RESPONSE_FORWARDING, only),
    "errors": Section(service_keys.ERRORS, dict),
    "forwardingTimeouts": Section(service_keys.TIMEOUTS, dict),
}

#: By the kind of the key, where another section stands under a key of that name.
OF_KIND: Mapping[str, Section] = {
    "tcpHealthCheck": Section(checks.TCP_HEALTH_CHECK, checks.tcp_check, checks.doubts),
}


def below(key: Key) -> Section | None:
    """What stands under a key, if that is a section."""
    return BELOW.get(key.name) if key.kind == "section" else OF_KIND.get(key.kind)


#: Lists of sections, by the key that they stand under: the keys of each member, and what is made of it.
LISTED: Mapping[str, tuple[tuple[Key, ...], Callable[..., Any]]] = {
    "servers": (schema.SERVER, Server),
    "services": (service_keys.MEMBER, Member),
    "mirrors": (service_keys.MIRROR, Member),
    "certificates": (service_keys.PAIR, service_keys.pair),
}

#: Readers of every kind of value, by kind.
READERS: Mapping[str, Callable[[object], Any]] = {
    **schema.READERS,
    **checks.READERS,
    **service_keys.READERS,
}
