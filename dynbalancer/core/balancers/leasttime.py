"""Least time: the server that is likely to answer first (Traefik v3's ``leasttime``)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dynbalancer.core.balancers.roundrobin import Candidate, WeightedRoundRobin

#: The mean is that of so many answers.
SAMPLES = 100


class Samples:
    """The last times to the first octet of an answer, in seconds, and their sum."""

    __slots__ = ("sum", "times")

    def __init__(self) -> None:
        self.times: deque[float] = deque(maxlen=SAMPLES)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """One more; the oldest one goes where there are enough."""
        if len(self.times) == SAMPLES:
            self.sum -= self.times[0]
        self.times.append(seconds)
        self.sum += seconds


class LeastTime:
    """The server with the lowest mean time to its answer, times what is in flight, by its weight.

    Of equal ones, such as those that have not answered yet, each in turn. What it learned of a server is this worker's,
    and stays as long as the server does.
    """

    __slots__ = ("_rotation",)

    def __init__(
        self,
        servers: Sequence[Candidate],
        settings: Mapping[str, Any],
        counter: Callable[[], int],
        random: Callable[[], float],
    ) -> None:
        self._rotation = WeightedRoundRobin(servers, settings, counter, random)

    def choices(self, exchange: object) -> Iterator[Candidate]:
        """The servers, the one that should answer first at the head."""
        # Sorting keeps equal ones as they were: in turn.
        return iter(sorted(self._rotation.choices(exchange), key=expected))

    def observe(self, server: Candidate, seconds: float, status: int, now: float) -> None:
        """It began to answer after so many seconds; without an answer (status 0) nothing is learned."""
        if status:
            if not isinstance(server.learned, Samples):
                server.learned = Samples()
            server.learned.add(seconds)


def expected(server: Candidate) -> float:
    """The mean time, times one more than what is in flight, divided by the weight."""
    learned = server.learned
    if not isinstance(learned, Samples):
        return 0.0
    return learned.sum / len(learned.times) * (1 + server.in_flight) / server.weight
