"""Middlewares of connections that are not HTTP: who may connect, and how often at a time.

They are asked once, before anything is sent to a server; a connection that is not admitted is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Protocol

from dynbalancer.core.addresses import AddressRanges
from dynbalancer.core.model import Middleware
from dynbalancer.errors import ConfigurationError, did_you_mean
from dynbalancer.middlewares.base import Option, SettingsReader


class ConnectionMiddleware(Protocol):
    """What a route asks about a client's address. ``ended`` is called once for each time ``admits`` said True."""

    #: What is counted, and logged, of those that are not admitted.
    reason: ClassVar[str]

    def admits(self, client: str) -> bool:
        """Whether it may connect."""

    def ended(self, client: str) -> None:
        """Its connection is over."""


@dataclass(frozen=True, slots=True)
class AllowConnections:
    """Lets in who is in ``ranges``: ``ipAllowList``, and ``ipWhiteList``, which is its older name."""

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("sourceRange", "list", "Addresses and networks that may connect.", required=True),
    )
    reason: ClassVar[str] = "tcp-allow-list"

    ranges: AddressRanges

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> AllowConnections:
        """Takes ``sourceRange``. Raises ConfigurationError."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        words = reader.words("sourceRange")
        return cls(reader.made("sourceRange", partial(AddressRanges, words)))

    def admits(self, client: str) -> bool:
        return client in self.ranges

    def ended(self, client: str) -> None:
        """Nothing was counted."""


@dataclass(frozen=True, slots=True)
class InFlightConnections:
    """Lets each address have ``amount`` connections at a time: ``inFlightConn``. Each process counts its own."""

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("amount", "number", "Connections that one address may have at a time.", required=True),
    )
    reason: ClassVar[str] = "tcp-in-flight"

    amount: int
    counts: dict[str, int] = field(default_factory=dict, compare=False)

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> InFlightConnections:
        """Takes ``amount``. Raises ConfigurationError."""
        return cls(SettingsReader(name, settings, cls.OPTIONS).number("amount"))

    def admits(self, client: str) -> bool:
        count = self.counts.get(client, 0)
        if count >= self.amount:
            return False
        self.counts[client] = count + 1
        return True

    def ended(self, client: str) -> None:
        count = self.counts.pop(client, 0) - 1
        if count > 0:
            self.counts[client] = count


#: Every type there is, in Traefik's spelling.
TYPES: Mapping[str, Callable[[str, Mapping[str, Any]], ConnectionMiddleware]] = {
    "ipAllowList": AllowConnections.from_settings,
    "ipWhiteList": AllowConnections.from_settings,
    "inFlightConn": InFlightConnections.from_settings,
}
_FOLDED = {name.lower(): make for name, make in TYPES.items()}


def connection_middleware(definition: Middleware) -> ConnectionMiddleware:
    """The middleware of a definition. Raises ConfigurationError."""
    make = _FOLDED.get(definition.type.lower())
    if make is None:
        why = f"there is no middleware type {definition.type} for TCP"
        raise ConfigurationError(f"middleware {definition.name}", why, did_you_mean(definition.type, TYPES))
    return make(definition.name, definition.settings)
