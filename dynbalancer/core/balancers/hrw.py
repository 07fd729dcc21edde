"""Highest random weight: each client has its own order of servers, the same one every time (rendezvous hashing)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from math import log
from typing import Any

from dynbalancer.core.balancers.roundrobin import Candidate
from dynbalancer.core.exchange import Exchange

#: The orders of so many clients are remembered.
REMEMBERED = 4096


class HighestRandomWeight:
    """The server with the highest score for the client's address. Without it the others keep their clients.

    A server's share of all clients is its share of all weights. The order is the same in every worker, and after a
    restart.
    """

    __slots__ = ("_orders", "_servers")

    #: There is nothing to learn.
    observe: Any = None

    def __init__(
        self,
        servers: Sequence[Candidate],
        settings: Mapping[str, Any],
        counter: Callable[[], int],
        random: Callable[[], float],
    ) -> None:
        self._servers = tuple(server for server in servers if server.weight > 0)
        self._orders: dict[str, tuple[Candidate, ...]] = {}

    def choices(self, exchange: Exchange) -> Iterator[Candidate]:
        """The servers, the one with the highest score for this client first."""
        client = exchange.client
        order = self._orders.get(client)
        if order is None:
            if len(self._orders) >= REMEMBERED:
                self._orders.clear()
            order = tuple(sorted(self._servers, key=lambda server: score(client, server), reverse=True))
            self._orders[client] = order
        return iter(order)


def score(client: str, server: Candidate) -> float:
    """Above 0, and higher for one server in as many cases as its weight says (logarithmic rendezvous hashing)."""
    digest = blake2b(f"{client} {server.name}".encode(), digest_size=8).digest()
    # In (0, 1), whatever the digest.
    chance = (int.from_bytes(digest, "big") + 0.5) / 2**64
    return server.weight / -log(chance)
