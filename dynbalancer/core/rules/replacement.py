r"""Replacing what a pattern finds, as Go's ``regexp.ReplaceAllString`` does it: ``$1``, ``${1}``, ``${name}``.

A path or URL comes from a client and the pattern from a label, so the work is bounded: so many matches, so many bytes
for a pattern of that size. What is above is refused, not cut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from dynbalancer.core.rules import regex
from dynbalancer.errors import RequestError

#: Matches in one value, and bytes of a result.
MOST_MATCHES = 128
LONGEST_RESULT = 32768
#: Instructions of a pattern, times bytes. To fill groups ``re2`` may need 7 ns for each.
MOST_WORK = 1 << 20

#: Where a piece of a result comes from that no client sent.
OURS = -1

# As Go's Expand reads it: braces hold a name or a number; without them the longest run of word characters counts.
_reference = re.compile(r"\$(?:(\$)|([0-9A-Za-z_]+)|\{([0-9A-Za-z_]+)\})")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a result: its text, and where in the value it stood (:data:`OURS`: nowhere)."""

    text: bytes
    start: int = OURS


class Replacement:
    """A pattern and what to put in the places of its matches.

    ``literals`` are what the template says by itself. ``unknown`` are references to groups that the pattern hasn't,
    which stand for nothing: most often ``$1x``, which means ``${1x}`` and not ``${1}x``.
    """

    __slots__ = ("_finds", "_search", "_size", "_template", "literals", "unknown")

    def __init__(self, pattern: str, template: str) -> None:
        """Raises ConfigurationError where the pattern can't be used, saying why."""
        self._finds = regex.finder(pattern)
        compiled = regex.capturing(pattern)
        self._search = compiled.search
        self._size = int(compiled.programsize)
        groups = {name.decode(): number for name, number in compiled.groupindex.items()}
        groups |= {str(number): number for number in range(compiled.groups + 1)}
        self._template, self.unknown = _parsed(template, groups)
        self.literals = tuple(part for part in self._template if isinstance(part, bytes))

    def pieces(self, value: bytes) -> list[Piece] | None:
        """The value with every match replaced, in pieces; None where nothing matches.

        Raises RequestError 400 where that is too much work.
        """
        if len(value) * self._size > MOST_WORK and self._finds(value):
            raise RequestError(400, "rewrite", "too long for this pattern")
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


def _parsed(template: str, groups: dict[str, int]) -> tuple[tuple[bytes | int, ...], tuple[str, ...]]:
    """Texts and numbers of groups, and the references to none."""
    parts: list[bytes | int] = []
    unknown: list[str] = []
    at = 0
    for found in _reference.finditer(template):
        parts.append(template[at : found.start()].encode())
        at = found.end()
        dollar, bare, braced = found.groups()
        if dollar:
            parts.append(b"$")
        elif (bare or braced) in groups:
            parts.append(groups[bare or braced])
        else:
            unknown.append(found.group())
    parts.append(template[at:].encode())
    return tuple(part for part in parts if part != b""), tuple(unknown)
