"""encodedCharacters: refuses paths in which characters are written in a way that servers read differently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dynbalancer.core.exchange import Exchange, Response
from dynbalancer.middlewares.base import Middleware, Option, SettingsReader, plain

#: The options, and what each of them allows.
CHARACTERS = {
    "allowEncodedSlash": (b"%2f", "`%2F`, a slash"),
    "allowEncodedBackSlash": (b"%5c", "`%5C`, a backslash"),
    "allowEncodedNullCharacter": (b"%00", "`%00`, the null character"),
    "allowEncodedSemicolon": (b"%3b", "`%3B`, a semicolon"),
    "allowEncodedPercent": (b"%25", "`%25`, a per cent sign"),
    "allowEncodedQuestionMark": (b"%3f", "`%3F`, a question mark"),
    "allowEncodedHash": (b"%23", "`%23`, a hash"),
}


@dataclass(frozen=True, slots=True)
class EncodedCharacters(Middleware):
    """Answer paths with one of ``refused`` with 400."""

    same_again: ClassVar[bool] = True

    refused: tuple[bytes, ...]

    OPTIONS: ClassVar[tuple[Option, ...]] = tuple(
        Option(name, "switch", f"Let {meaning} in a path pass.", False)
        for name, (_, meaning) in CHARACTERS.items()
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> EncodedCharacters:
        """Takes the options of Traefik 3, all off unless given."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        return cls(tuple(octets for option, (octets, _) in CHARACTERS.items() if not reader.switch(option)))

    def on_request(self, exchange: Exchange) -> Response | None:
        path = exchange.head.path
        if b"%" not in path:
            return None
        path = path.lower()
        if any(octets in path for octets in self.refused):
            return plain(400, b"Bad Request")
        return None
