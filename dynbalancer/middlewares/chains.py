"""The middleware chain: one name for several middlewares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dynbalancer.middlewares.base import Middleware, Option, SettingsReader


@dataclass(frozen=True, slots=True)
class Chain(Middleware):
    """Stands for ``members``, in that order. It does nothing itself: the routing table puts them in its place."""

    members: tuple[str, ...]

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option(
            "middlewares",
            "list",
            "Middlewares and chains; requests pass them in this order.",
            required=True,
        ),
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> Chain:
        """Takes ``middlewares``, a list of names."""
        return cls(SettingsReader(name, settings, cls.OPTIONS).words("middlewares"))
