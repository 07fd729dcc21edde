"""Middlewares of connections that are not HTTP: who may connect, and how often at a time.

They are asked once, before anything is sent to a server; a connection that is not admitted is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Protocol

from dynbalancer.core.addresses import AddressRanges
from dynbalancer.core.inflight import FULL, ROOM, InFlight
from dynbalancer.core.model import Middleware
from dynbalancer.core.regions import Sources
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
    """Lets each address have so many connections at a time, in all workers together: ``inFlightConn``.

    ``entered`` are those of this process.
    """

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("amount", "number", "Connections that one address may have at a time.", required=True),
    )
    reason: ClassVar[str] = "tcp-in-flight"

    in_flight: InFlight
    sources: Sources
    entered: dict[str, list[int]] = field(default_factory=dict, compare=False)

    @classmethod
    def from_settings(
        cls, name: str, settings: Mapping[str, Any], shared: Any, secret: bytes
    ) -> InFlightConnections:
        """Takes ``amount``. Raises ConfigurationError."""
        amount = SettingsReader(name, settings, cls.OPTIONS).number("amount")
        region = shared.region(f"inFlightConn {name}", 8 * ROOM, ROOM)
        return cls(InFlight(region, amount), Sources(secret))

    def admits(self, client: str) -> bool:
        row = self.in_flight.enter(self.sources.number(client))
        if row == FULL:
            return False
        self.entered.setdefault(client, []).append(row)
        return True

    def ended(self, client: str) -> None:
        rows = self.entered.get(client)
        if rows:
            self.in_flight.leave(rows.pop())
            if not rows:
                del self.entered[client]


def _allow(name: str, settings: Mapping[str, Any], shared: Any, secret: bytes) -> AllowConnections:
    return AllowConnections.from_settings(name, settings)


#: Every type there is, in Traefik's spelling.
TYPES: Mapping[str, Callable[[str, Mapping[str, Any], Any, bytes], ConnectionMiddleware]] = {
    "ipAllowList": _allow,
    "ipWhiteList": _allow,
    "inFlightConn": InFlightConnections.from_settings,
}
_FOLDED = {name.lower(): make for name, make in TYPES.items()}


def connection_middleware(definition: Middleware, *, shared: Any, secret: bytes) -> ConnectionMiddleware:
    """The middleware of a definition; ``shared`` and ``secret`` are as offered to every middleware.

    Raises ConfigurationError.
    """
    make = _FOLDED.get(definition.type.lower())
    if make is None:
        why = f"there is no middleware type {definition.type} for TCP"
        raise ConfigurationError(f"middleware {definition.name}", why, did_you_mean(definition.type, TYPES))
    return make(definition.name, definition.settings, shared, secret)
