"""A service that answers while another one can't, or answers badly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from dynbalancer.core.exchange import ResponseHead
from dynbalancer.core.model import Service
from dynbalancer.proxy.attending import Attendant
from dynbalancer.proxy.upstream import LiveService, Upstream

if TYPE_CHECKING:
    from dynbalancer.proxy.forwarding import Forwarding

#: Of a body of any size, as much is kept for the second service, in bytes. What has more is not sent again.
KEPT = 1 << 24


class Failover:
    """Asks the servers of ``main``, and where none of them can be asked those of ``fallback``.

    With statuses, an answer with one of these counts as none. The body of a request is kept for that; one that is
    longer than the service says is refused with 413.
    """

    __slots__ = ("_fallback", "_main", "_most", "_servers", "_statuses")

    def __init__(self, service: Service, main: LiveService, fallback: LiveService) -> None:
        self._main = main
        self._fallback = fallback
        self._most = service.max_body
        self._statuses = frozenset(_statuses(service.error_statuses))
        self._servers = frozenset(main.reach)

    def choices(self, exchange: Forwarding) -> Iterator[Upstream]:
        """Those of the first service, then those of the second; none where the request was refused with 413."""
        if self._statuses:
            if self._most >= 0:
                exchange.limit_body(self._most)
                if exchange.over:
                    return iter(())
            exchange.replayed = self._most if self._most >= 0 else KEPT
            attendant = _Switch(self._servers, self._statuses, self._fallback.choices)
            exchange.attendants = (*exchange.attendants, attendant)
        return self._each(exchange)

    def _each(self, exchange: Forwarding) -> Iterator[Upstream]:
        yield from self._main.choices(exchange)
        yield from self._fallback.choices(exchange)


class _Switch(Attendant):
    """Takes one exchange to the second service where the first answers badly."""

    __slots__ = ("_choices", "_servers", "_statuses")

    def __init__(
        self,
        servers: frozenset[Upstream],
        statuses: frozenset[int],
        choices: Callable[[Forwarding], Iterator[Upstream]],
    ) -> None:
        self._servers = servers
        self._statuses = statuses
        self._choices = choices

    def answered(self, exchange: Forwarding, head: ResponseHead) -> bool:
        if head.status not in self._statuses or exchange.server not in self._servers:
            return False
        # Both services may share a server: once is enough.
        self._servers = frozenset()
        return exchange.ask_instead(self._choices)


def _statuses(ranges: tuple[str, ...]) -> Iterator[int]:
    for one in ranges:
        first, _, last = one.partition("-")
        yield from range(int(first), int(last or first) + 1)
