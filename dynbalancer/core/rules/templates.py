"""Templates of v1 and v2: text with ``{name}`` or ``{name:regex}`` in it, as in ``/users/{id:[0-9]+}``."""

from __future__ import annotations

from collections.abc import Iterator

from dynbalancer.core.rules.regex import escape
from dynbalancer.errors import ConfigurationError


def is_template(text: str) -> bool:
    """Whether there is anything but literal text in it."""
    return "{" in text or "}" in text


def pattern_of(template: str, default: str) -> str:
    """The regular expression of a template, without anchors; ``{name}`` alone means ``default``."""
    pieces: list[str] = []
    end = 0
    for start, stop in _braces(template):
        name, _, expression = template[start + 1 : stop - 1].partition(":")
        expression = expression or default
        if not name or (":" in template[start:stop] and template[start:stop].endswith(":}")):
            raise ConfigurationError(
                "rule", f"missing name or pattern in {template[start:stop]}", "write {name:[a-z]+} or {name}"
            )
        pieces += (escape(template[end:start]), f"(?:{expression})")
        end = stop
    return "".join((*pieces, escape(template[end:])))


def split_outside_braces(text: str, separator: str) -> list[str]:
    """Pieces between separators, of which those in braces don't count: ``{name:[a-z]{1,3}}`` stays whole."""
    pieces: list[str] = []
    depth = start = 0
    for at, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return text.split(separator)
        if character == separator and not depth:
            pieces.append(text[start:at])
            start = at + 1
    # Braces that don't balance are not templates; whoever reads the pieces will say so.
    return text.split(separator) if depth else [*pieces, text[start:]]


def _braces(template: str) -> Iterator[tuple[int, int]]:
    """Start and end of each outermost pair of braces."""
    depth = start = 0
    for at, character in enumerate(template):
        if character == "{":
            if not depth:
                start = at
            depth += 1
        elif character == "}":
            depth -= 1
            if depth < 0:
                break
            if not depth:
                yield start, at + 1
    if depth:
        raise ConfigurationError("rule", f"unbalanced braces in {template}", "write {name:regex} or {name}")
