"""Round robin: every server in its turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from math import gcd
from typing import Any, Protocol

#: The longest cycle laid out; heavier sets of weights are scaled down to it.
LONGEST_CYCLE = 4096

#: Up to this length all rotations of a cycle are kept.
_SHORT = 32


class Weighted(Protocol):
    """What round robin needs to know of a server."""

    weight: int


class Candidate(Weighted, Protocol):
    """What a balancer may know of a server, or of a service that others are made of.

    ``name`` is the same in every process (a URL). ``learned`` is for the balancer to keep what it learned of it.
    """

    name: str
    in_flight: int
    learned: Any


class WeightedRoundRobin:
    """Each in turn, ``weight`` times per cycle, interleaved as evenly as can be (as nginx and Traefik do).

    The cycle is laid out once; a pick is one step of a counter that all workers share, so that requests over fresh
    connections rotate strictly whichever worker takes them. A server of weight 0 gets no requests (Traefik v3).
    """

    __slots__ = ("_counter", "_cycle", "_rotations")

    #: Round robin does not learn.
    observe: Any = None

    def __init__(
        self,
        servers: Sequence[Weighted],
        settings: Mapping[str, Any],
        counter: Callable[[], int],
        random: Callable[[], float],
    ) -> None:
        self._counter = counter
        self._lay(servers, [server.weight for server in servers])

    def _lay(self, servers: Sequence[Weighted], weights: Sequence[int]) -> None:
        self._cycle = cycle = tuple(servers[i] for i in smooth_cycle(weights))
        # For a short cycle every order is laid out: then a choice is one look-up.
        self._rotations = (
            tuple(tuple(self._from(i)) for i in range(len(cycle))) if len(cycle) <= _SHORT else ()
        )

    def choices(self, exchange: object) -> Iterator[Any]:
        """The next one of the row, then the others in the order in which their turn would come."""
        cycle = self._cycle
        if not cycle:
            return iter(())
        position = self._counter() % len(cycle)
        return iter(self._rotations[position]) if self._rotations else self._from(position)

    def _from(self, position: int) -> Iterator[Any]:
        cycle = self._cycle
        first = cycle[position]
        yield first
        yield from _each_once(cycle[position + 1 :] + cycle[:position], but=first)


def smooth_cycle(weights: Sequence[int]) -> list[int]:
    """Indexes in smooth weighted order: weights 3 and 1 give ``[0, 0, 1, 0]``, never ``[0, 0, 0, 1]``.

    One cycle, weights divided by their greatest common divisor; at most about :data:`LONGEST_CYCLE` long.
    """
    positive = [max(weight, 0) for weight in weights]
    total = sum(positive)
    if not total:
        return []
    if all(weight in (0, 1) for weight in positive):
        return [index for index, weight in enumerate(positive) if weight]
    positive = _scaled(positive, total)
    total = sum(positive)
    credit = [0] * len(positive)
    cycle = []
    for _ in range(total):
        credit = [have + weight for have, weight in zip(credit, positive, strict=True)]
        best = max(range(len(credit)), key=credit.__getitem__)
        credit[best] -= total
        cycle.append(best)
    return cycle


def _scaled(weights: list[int], total: int) -> list[int]:
    divisor = reduce(gcd, weights)
    weights = [weight // divisor for weight in weights]
    total //= divisor
    if total <= LONGEST_CYCLE:
        return weights
    # Whoever has some weight keeps at least one turn.
    return [max(1, round(weight * LONGEST_CYCLE / total)) if weight else 0 for weight in weights]


def _each_once(servers: Sequence[Weighted], *, but: Weighted) -> Iterator[Any]:
    seen = {id(but)}
    for server in servers:
        if id(server) not in seen:
            seen.add(id(server))
            yield server
