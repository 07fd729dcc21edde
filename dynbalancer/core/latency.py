"""How long exchanges took, in buckets that are the same everywhere: cheap to add to, to send and to sum.

Ten buckets make a decade, so a quantile is right to within a third at worst and mostly to a few percent. Their bounds
are round numbers, among them those that Traefik's histograms have by default.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

_STEPS = ("1", "1.2", "1.5", "2", "2.5", "3", "4", "5", "6", "7.5")

#: Upper bounds in seconds, each still in its bucket: from ten microseconds to a quarter of an hour.
BOUNDS = (*(float(f"{step}e{exponent}") for exponent in range(-5, 3) for step in _STEPS), 1000.0)


def bucket(seconds: float) -> int:
    """The number of the bucket that a time is in; what is longer than the last bound has ``len(BOUNDS)``."""
    return bisect_left(BOUNDS, seconds)


def quantile(counts: Mapping[int, int], q: float) -> float | None:
    """The time within which the share ``q`` of what was counted was done, or None where nothing was counted."""
    rank = q * sum(counts.values())
    passed = 0
    for number in sorted(counts):
        count = counts[number]
        if count and passed + count >= rank:
            return _within(number, (rank - passed) / count)
        passed += count
    return None


def _within(number: int, share: float) -> float:
    """As if times were spread evenly over their bucket."""
    if number >= len(BOUNDS):
        return BOUNDS[-1]
    low = BOUNDS[number - 1] if number else 0.0
    return low + (BOUNDS[number] - low) * share
