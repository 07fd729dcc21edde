r"""Replacing what a pattern finds, as Go's ``regexp.ReplaceAllString`` does it: ``$1``, ``${1}``, ``${name}``.

A path or URL comes from a client and the pattern from a label, so the work is bounded: so many matches, a result of so
many bytes. What is above is refused, not cut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from dynbalancer.core.rules import regex
from dynbalancer.errors import ConfigurationError, RequestError

#: Matches in one value, and bytes of a result.
MOST_MATCHES = 128
LONGEST_RESULT = 32768

#: Where a piece of a result comes from that no client sent.
OURS = -1

# As Go's Expand reads it: braces hold a name or a number; without them the longest run of word characters counts.
_reference = re.compile(r"\$(?:(\$)|([0-9A-Za-z_]+)|\{([0-9A-Za-z_]+)\})", re.ASCII)
_number = re.compile(r"0|[1-9][0-9]{0,7}", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a result: its text, and where in the value it stood (:data:`OURS`: nowhere)."""

    text: bytes
    start: int = OURS


class Replacement:
    """A pattern and what to put in the places of its matches."""

    __slots__ = ("_search", "_template")

    def __init__(self, pattern: str, template: str) -> None:
        """Raises ConfigurationError where the pattern can't be used, saying why."""
        compiled = regex.capturing(pattern)
        self._search = compiled.search
        self._template = _parsed(template, compiled.groups, dict(compiled.groupindex))

    @property
    def literals(self) -> bytes:
        """What the template says by itself, references left out."""
        return b"".join(part for part in self._template if isinstance(part, bytes))

    def pieces(self, value: bytes) -> list[Piece] | None:
        """The value with every match replaced, in pieces; None where nothing matches.

        Raises RequestError 400 where that is too much work.
        """
        found: list[Piece] = []
        searched = copied = matches = 0
        while searched <= len(value) and (match := self._search(value, searched)) is not None:
            start, end = match.span()
            matches += 1
            if matches > MOST_MATCHES:
                raise RequestError(400, "rewrite", "too many matches to replace")
            found.append(Piece(value[copied:start], copied))
            # An empty match right behind another one is none.
            if end > copied or start == 0:
                self._expand(match, found)
            copied = end
            searched = max(end, searched + 1)
        if not matches:
            return None
        found.append(Piece(value[copied:], copied))
        if sum(len(piece.text) for piece in found) > LONGEST_RESULT:
            raise RequestError(400, "rewrite", "the result is too long")
        return [piece for piece in found if piece.text]

    def replaced(self, value: bytes) -> bytes | None:
        """The value with every match replaced; None where nothing matches. Raises RequestError 400."""
        found = self.pieces(value)
        return None if found is None else b"".join(piece.text for piece in found)

    def _expand(self, match: Any, found: list[Piece]) -> None:
        for part in self._template:
            if isinstance(part, bytes):
                found.append(Piece(part))
            elif match.start(part) >= 0:
                found.append(Piece(match.group(part), match.start(part)))


def _parsed(template: str, groups: int, names: dict[Any, int]) -> tuple[bytes | int, ...]:
    """Texts and numbers of groups. A reference to a group that isn't there stands for nothing, as in Go."""
    parts: list[bytes | int] = []
    at = 0
    for found in _reference.finditer(template):
        parts.append(template[at : found.start()].encode())
        at = found.end()
        dollar, bare, braced = found.groups()
        name = bare or braced
        if dollar:
            parts.append(b"$")
        elif _number(name):
            parts += [int(name)] if int(name) <= groups else []
        else:
            parts += [names[name.encode()]] if name.encode() in names else []
    parts.append(template[at:].encode())
    return tuple(part for part in parts if part != b"")


def unknown_references(pattern: str, template: str) -> tuple[str, ...]:
    """References to groups that the pattern hasn't: most often ``$1x``, which means ``${1x}`` and not ``${1}x``."""
    compiled = regex.capturing(pattern)
    names = {name.decode() for name in compiled.groupindex}
    wrong = []
    for found in _reference.finditer(template):
        name = found.group(2) or found.group(3)
        if name and name not in names and not (_number(name) and int(name) <= compiled.groups):
            wrong.append(found.group())
    return tuple(wrong)


__all__ = ["ConfigurationError", "Piece", "Replacement", "unknown_references"]
