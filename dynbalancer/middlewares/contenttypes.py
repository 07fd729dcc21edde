"""The middleware contentType, which Traefik needs and this proxy does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dynbalancer.middlewares.base import Middleware, Option, SettingsReader


@dataclass(frozen=True, slots=True)
class ContentType(Middleware):
    """Nothing: a response has the Content-Type that its server gave it, or none. Nobody guesses here.

    Guessing is how a browser comes to run what was uploaded as a picture.
    """

    same_again: ClassVar[bool] = True

    notices: tuple[str, ...] = ()

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option(
            "autoDetect", "switch", "Traefik 2's switch; `false` asks for what happens here anyway.", True
        ),
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> ContentType:
        """Takes ``autoDetect``, which Traefik 2 had; false says that nothing is to be guessed."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        if reader.switch("autoDetect"):
            return cls(("it has no effect: no Content-Type is guessed for a server that gives none",))
        return cls()
