"""Whether a pattern's automaton stays small enough for ``re2`` to build it.

``re2`` searches with an automaton that it builds while it reads: a nanosecond for each byte. Where that grows without
end (``(a|b)*a(a|b){900}c`` needs 2⁹⁰⁰ states) it falls back to a method whose cost grows with the size of the
pattern: 145 ms for 32 KiB, in which a reactor does nothing else. So the automaton is built here first, in outline
and up to a bound, and what does not fit is refused.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from functools import lru_cache, reduce
from typing import Any

from dynbalancer.core.rules.backtracking import REPEATS, is_anchored, one_byte, parser

#: Steps in which the outline must be done. One takes about 0.2 µs.
MOST_STEPS = 100_000
#: Bytes that a pattern may name, one by one, with its counted repeats written out.
MOST_PLACES = 2_000

_Item = tuple[Any, Any]


class _TooLargeError(Exception):
    """The pattern does not fit."""


@lru_cache(1024)
def fits(pattern: bytes) -> bool:
    """Whether the automaton stays small. False too where the pattern can't be understood well enough to tell."""
    try:
        with warnings.catch_warnings():
            # They say that a pattern means something else in other dialects.
            warnings.simplefilter("ignore")
            items = list(parser.parse(_in_words_of_re(pattern)))
        return _Outline(items).is_small()
    except (re.error, OverflowError, RecursionError, _TooLargeError):
        return False


#: What only RE2's dialect has, in the words of ``re``, as nearly as the outline needs it.
_DIALECT = tuple(
    (re.compile(there, re.DOTALL), here)
    for there, here in (
        (rb"\\Q(.*?)(?:\\E|\Z)", lambda found: re.escape(found[1])),
        (rb"\[:\^?(?:alnum|alpha|lower|upper|digit|xdigit|word):\]", rb"\\w"),
        (rb"\[:\^?(?:space|blank):\]", rb"\\s"),
        (rb"\\[pP](?:\w|\{\^?\w+\})", rb"\\w"),
        (rb"\\z", rb"\\Z"),
        (rb"\\C", b"."),
        # Both cases of a letter, and the end of a line as any byte, are taken for granted.
        (rb"\(\?[imsU]*(?:-[imsU]+)?\)", b""),
        (rb"\(\?[imsU]*(?:-[imsU]+)?:", b"(?:"),
        (rb"\(\?P?<\w+>", b"(?:"),
    )
)


def _in_words_of_re(pattern: bytes) -> bytes:
    for there, here in _DIALECT:
        pattern = there.sub(here, pattern)
    return pattern


class _Outline:
    """The places of a pattern (each takes one byte), which can follow which, and the sets that can be reached.

    Sets of places are whole numbers with a bit for each. (Glushkov's construction.)
    """

    def __init__(self, items: Sequence[_Item]) -> None:
        self.takes: list[frozenset[int]] = []
        self.follow: list[int] = []
        self.start, _, _ = self._sequence(items)
        self.again = 0 if is_anchored(items) else self.start

    def is_small(self) -> bool:
        """Follow every byte from every set of places, until there are no new ones or the steps run out."""
        kinds = self._kinds()
        seen = {self.start}
        waiting = [self.start]
        steps = 0
        while waiting:
            state = waiting.pop()
            for kind in kinds:
                after, places = self.again, state & kind
                steps += 1
                while places:
                    place = places & -places
                    after |= self.follow[place.bit_length() - 1]
                    places ^= place
                    steps += 1
                if after not in seen:
                    seen.add(after)
                    waiting.append(after)
            if steps > MOST_STEPS:
                return False
        return True

    def _kinds(self) -> set[int]:
        """For each byte the places that take it; bytes that no place tells apart are one kind."""
        places: dict[frozenset[int], int] = {}
        for place, taken in enumerate(self.takes):
            places[taken] = places.get(taken, 0) | 1 << place
        return {sum(at for taken, at in places.items() if byte in taken) for byte in range(256)}

    # Each gives the places that can be first and last in a part, and whether the part can be nothing at all.

    def _sequence(self, items: Iterable[_Item]) -> tuple[int, int, bool]:
        first, last, empty = 0, 0, True
        for op, argument in items:
            first_of, last_of, empty_of = self._item(str(op), argument)
            self._link(last, first_of)
            first |= first_of if empty else 0
            last = last_of | (last if empty_of else 0)
            empty = empty and empty_of
        return first, last, empty

    def _item(self, name: str, argument: Any) -> tuple[int, int, bool]:
        if name == "AT":
            return 0, 0, True
        if name == "SUBPATTERN":
            return self._sequence(argument[3])
        if name == "BRANCH":
            parts = [self._sequence(part) for part in argument[1]]
            first = reduce(int.__or__, (part[0] for part in parts), 0)
            last = reduce(int.__or__, (part[1] for part in parts), 0)
            return first, last, any(part[2] for part in parts)
        if name in REPEATS:
            return self._repeat(*argument)
        return self._place(one_byte(name, argument))

    def _repeat(self, low: int, high: int, inner: Sequence[_Item]) -> tuple[int, int, bool]:
        if high == parser.MAXREPEAT:
            copies: list[_Item] = [("SUBPATTERN", (None, 0, 0, inner))] * max(low - 1, 0)
            before = self._sequence(copies)
            first, last, empty = self._sequence(inner)
            self._link(last, first)
            self._link(before[1], first)
            start = before[0] | (first if before[2] else 0)
            return start, last | (before[1] if empty else 0), low == 0 or (before[2] and empty)
        first, last, empty = 0, 0, True
        for copy in range(high):
            first_of, last_of, empty_of = self._sequence(inner)
            empty_of = empty_of or copy >= low
            self._link(last, first_of)
            first |= first_of if empty else 0
            last = last_of | (last if empty_of else 0)
            empty = empty and empty_of
        return first, last, empty

    def _place(self, taken: frozenset[int]) -> tuple[int, int, bool]:
        if len(self.takes) == MOST_PLACES:
            raise _TooLargeError
        place = 1 << len(self.takes)
        self.takes.append(taken)
        self.follow.append(0)
        return place, place, False

    def _link(self, before: int, after: int) -> None:
        while before:
            place = before & -before
            self.follow[place.bit_length() - 1] |= after
            before ^= place
