"""Which of many like things are worth a line: a server that is gone fails every request, and says so a few times."""

from __future__ import annotations

from collections.abc import Hashable


class Repeats:
    """Lets ``allowed`` of a kind pass in each ``period`` of seconds, and counts the others.

    At most ``kinds`` kinds are told apart; beyond that they count as one.
    """

    def __init__(self, allowed: int = 5, period: float = 10.0, kinds: int = 200) -> None:
        self._allowed = allowed
        self._period = period
        self._kinds = kinds
        #: For each kind: when its period began, how many passed in it, and how many did not since one last passed.
        self._counts: dict[Hashable, tuple[float, int, int]] = {}

    def passes(self, kind: Hashable, now: float) -> int | None:
        """How many of this kind went unsaid before this one; None where this one is not to be said either."""
        kind = self._told_apart(kind, now)
        began, passed, unsaid = self._counts.get(kind, (now, 0, 0))
        if not 0 <= now - began < self._period:
            began, passed = now, 0
        if passed >= self._allowed:
            self._counts[kind] = (began, passed, unsaid + 1)
            return None
        self._counts[kind] = (began, passed + 1, 0)
        return unsaid

    def _told_apart(self, kind: Hashable, now: float) -> Hashable:
        if kind in self._counts or len(self._counts) < self._kinds:
            return kind
        # What is over and left nothing unsaid needs no memory.
        self._counts = {
            known: found for known, found in self._counts.items() if found[2] or now - found[0] < self._period
        }
        return kind if len(self._counts) < self._kinds else None
