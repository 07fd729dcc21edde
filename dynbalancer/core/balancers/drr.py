"""Dynamic round robin: turns, but more of them for servers that do not fail (Traefik v1's ``drr``)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from dynbalancer.core.balancers.roundrobin import Candidate, WeightedRoundRobin

#: Failures of the last so many seconds count, and between two changes of weights are as many at least.
WINDOW = 10

#: By how much the weights of good servers grow, and the highest there is.
GROWTH, HIGHEST = 4, 4096

#: A server is bad where it fails this many times as often as the one in the middle.
BAD = 1.5


class Record:
    """How often a server was asked, and failed, in each of the last seconds."""

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        self.seconds: deque[list[int]] = deque(maxlen=WINDOW)

    def add(self, now: int, failed: bool) -> None:
        """It was asked in this second."""
        if not self.seconds or self.seconds[-1][0] != now:
            self.seconds.append([now, 0, 0])
        last = self.seconds[-1]
        last[1] += 1
        last[2] += failed

    def ratio(self, now: int) -> float:
        """Its failures among all requests within the window; 0 without any."""
        recent = [counts for counts in self.seconds if counts[0] > now - WINDOW]
        asked = sum(counts[1] for counts in recent)
        return sum(counts[2] for counts in recent) / asked if asked else 0.0


class DynamicRoundRobin(WeightedRoundRobin):
    """Weighted round robin whose weights follow how often servers fail: no answer, or 5xx.

    While some fail clearly more often than others, the weights of those others grow; when that is over they come back
    step by step to what they were. Each worker has its own view.
    """

    __slots__ = ("_changed", "_looked", "_servers", "weights")

    def __init__(
        self,
        servers: Sequence[Candidate],
        settings: Mapping[str, Any],
        counter: Callable[[], int],
        random: Callable[[], float],
    ) -> None:
        super().__init__(servers, settings, counter, random)
        self._servers = tuple(server for server in servers if server.weight > 0)
        self.weights = [server.weight for server in self._servers]
        self._changed = -float(WINDOW)
        self._looked = 0

    def observe(self, server: Candidate, seconds: float, status: int, now: float) -> None:
        """It answered with this status, or not at all (0); ``now`` is a monotonic time in seconds."""
        if not isinstance(server.learned, Record):
            server.learned = Record()
        second = int(now)
        server.learned.add(second, not status or status >= 500)
        if second != self._looked and now - self._changed >= WINDOW:
            self._looked = second
            self._adjust(now)

    def _adjust(self, now: float) -> None:
        weights = adjusted(
            [server.weight for server in self._servers],
            self.weights,
            [_ratio(server, int(now)) for server in self._servers],
        )
        if weights != self.weights:
            self._changed = now
            self.weights = weights
            self._lay(self._servers, weights)


def adjusted(given: Sequence[int], weights: Sequence[int], ratios: Sequence[float]) -> list[int]:
    """The next weights: those of good servers grow while there are bad ones, else all go back to the ``given``."""
    limit = BAD * median(ratios) if ratios else 0.0
    bad = [ratio > limit for ratio in ratios]
    if any(bad):
        grown = [weight if is_bad else weight * GROWTH for weight, is_bad in zip(weights, bad, strict=True)]
        return list(weights) if max(grown) > HIGHEST else grown
    return [max(first, weight // GROWTH) for first, weight in zip(given, weights, strict=True)]


def _ratio(server: Candidate, now: int) -> float:
    return server.learned.ratio(now) if isinstance(server.learned, Record) else 0.0
