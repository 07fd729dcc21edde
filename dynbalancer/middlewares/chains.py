"""The middleware chain: one name for several middlewares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dynbalancer.middlewares.base import Middleware, SettingsReader


@dataclass(frozen=True, slots=True)
class Chain(Middleware):
    """Stands for ``members``, in that order. It does nothing itself: the routing table puts them in its place."""

    members: tuple[str, ...]

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> Chain:
        """Takes ``middlewares``, a list of names."""
        return cls(SettingsReader(name, settings, ("middlewares",)).words("middlewares"))
