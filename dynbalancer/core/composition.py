"""Services that are made of other services: each after those that it is made of, and never of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from dynbalancer.core.families import LONE, FamilyDraft
from dynbalancer.core.model import Service
from dynbalancer.core.references import bare
from dynbalancer.errors import ConfigurationError

#: How many may be within each other.
DEEPEST = 16

#: Makes a service of a definition whose references are full names, what ran so far, and what runs as its members.
Make = Callable[[Service, Any, tuple[Any, ...]], Any]


class Composing:
    """Makes the services of a draft that were left for later, and those whose members changed."""

    def __init__(self, services: FamilyDraft[Service], make: Make) -> None:
        self._services = services
        self._make = make
        self._before = dict(services.composed)
        self._wanted = {name for name in services.later if name in services.new}
        self._done: set[str] = set()
        self._replaced = set(services.replaced)
        self._parts: dict[str, tuple[str, ...]] = {}

    def making(self) -> Iterator[None]:
        """One at each step."""
        for name in sorted({*self._before, *self._wanted} & self._services.new.keys()):
            self._settle(name, ())
            yield

    def _settle(self, name: str, above: tuple[str, ...]) -> None:
        """Make this one if it has to be, after all that it is made of."""
        if name in self._done:
            return
        try:
            parts = self._members(name, (*above, name))
        except ConfigurationError as error:
            if name not in self._done:
                self._done.add(name)
                self._services.fail(name, bare(error))
            return
        self._done.add(name)
        if name in self._wanted or parts != self._before.get(name) or not self._replaced.isdisjoint(parts):
            self._replaced.add(name)
            self._parts[name] = parts
            self._services.renew(name, self._made, _never)
            if name not in self._services.failed:
                self._services.composed[name] = parts

    def _members(self, name: str, above: tuple[str, ...]) -> tuple[str, ...]:
        """The full names of those it is made of, each made. Raises ConfigurationError where one can't be."""
        services, definition = self._services, self._services.new[name]
        found = []
        for member in definition.members:
            part = services.named(member.name, name)
            other = services.new[part]
            if part in above:
                raise ConfigurationError("", f"it leads back to itself: {' → '.join((*above, part))}")
            if len(above) == DEEPEST:
                raise ConfigurationError("", f"more than {DEEPEST} services within each other")
            if other.kind != LONE:
                self._settle(part, above)
            services.check(part, definition)
            _check(definition, other)
            found.append(part)
        return tuple(found)

    def _made(self, definition: Service, running: Any) -> Any:
        parts = self._parts[definition.name]
        members = tuple(
            replace(member, name=part) for member, part in zip(definition.members, parts, strict=True)
        )
        live = tuple(self._services.live.get(part) for part in parts)
        return self._make(replace(definition, members=members), running, live)


def _never(old: Service, new: Service) -> bool:
    return False


def _check(definition: Service, member: Service) -> None:
    """Raise ConfigurationError where a service can't be a member of this one."""
    if member.middlewares:
        # They would have to run once this member is chosen, and must not be left out.
        why = f'service "{member.name}" has middlewares of its own, and can\'t be a member'
        raise ConfigurationError("", why, f"give them to the routers, or to {definition.name}")
    tells = member.follows_health if member.kind != LONE else (member.health_check or member.passive_health)
    if definition.follows_health and not tells:
        why = f"cannot register {definition.name} as updater for {member.name}: it has no health check"
        raise ConfigurationError("", why, f"give {member.name} one, or leave healthCheck out here")
