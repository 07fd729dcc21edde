"""Power of two choices: of two servers drawn by lot, the one with less to do (Traefik v3's ``p2c``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dynbalancer.core.balancers.roundrobin import Candidate


class TwoChoices:
    """Draws two servers, and takes the one with fewer requests in flight; of equal ones the first drawn.

    Weights make no difference but 0: no requests. What is in flight is this worker's.
    """

    __slots__ = ("_random", "_servers")

    #: It knows all it needs.
    observe: Any = None

    def __init__(
        self,
        servers: Sequence[Candidate],
        settings: Mapping[str, Any],
        counter: Callable[[], int],
        random: Callable[[], float],
    ) -> None:
        self._servers = tuple(server for server in servers if server.weight > 0)
        self._random = random

    def choices(self, exchange: object) -> Iterator[Candidate]:
        """The better one of two, the other one, and then the rest in their order."""
        servers = self._servers
        count = len(servers)
        if count < 2:
            yield from servers
            return
        first = int(self._random() * count)
        second = int(self._random() * (count - 1))
        if second >= first:
            second += 1
        if servers[second].in_flight < servers[first].in_flight:
            first, second = second, first
        yield servers[first]
        yield servers[second]
        yield from (server for index, server in enumerate(servers) if index not in (first, second))
