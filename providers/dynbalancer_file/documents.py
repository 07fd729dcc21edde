"""The text of one file as a document: YAML or TOML by its name."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dynbalancer.errors import ConfigurationError
from dynbalancer_file import yaml12

YAML = (".yml", ".yaml")
TOML = (".toml",)
SUFFIXES = (*YAML, *TOML)


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says, and in which line it says it, as far as that is known."""

    value: Any = None
    lines: Mapping[tuple[str, ...], int] = field(default_factory=dict)

    def line_of(self, path: tuple[str, ...]) -> int | None:
        """The line of a path, or of the section that should hold it. Letter case does not count."""
        folded = tuple(step.lower() for step in path)
        for length in range(len(folded), 0, -1):
            line = self.lines.get(folded[:length])
            if line is not None:
                return line
        return None


def parse(where: str, name: str, content: bytes) -> Document:
    """The document in a file. Raises ConfigurationError that says where, and in which line where that is known."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{where}, line {line}", "not UTF-8 text") from error
    if name.lower().endswith(TOML):
        return Document(_toml(where, text))
    return Document(*yaml12.read(text, where))


def _toml(where: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        why, line = _split(str(error))
        raise ConfigurationError(f"{where}, line {line}" if line else where, f"not TOML: {why}") from error
    except RecursionError as error:
        raise ConfigurationError(where, "nested too deeply") from error


def _split(message: str) -> tuple[str, str]:
    """tomllib tells the place at the end of its message."""
    match = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    if match is None:
        return message, ""
    words = message[: match.start()]
    return words[:1].lower() + words[1:] + ("" if match.group(1) else ", at the end"), match.group(1) or ""
