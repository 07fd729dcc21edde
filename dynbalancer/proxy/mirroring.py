"""Copies of requests for other services, whose answers nobody reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dynbalancer.core.exchange import RequestHead
from dynbalancer.core.model import Service
from dynbalancer.proxy.attending import Attendant
from dynbalancer.proxy.bodies import Copied
from dynbalancer.proxy.forwarding import Forwarding
from dynbalancer.proxy.unattended import Unattended
from dynbalancer.proxy.upstream import LiveService, Upstream

if TYPE_CHECKING:
    from dynbalancer.proxy.resource import ReverseProxyResource

#: A body longer than this is not copied, whatever the service says, in bytes.
LARGEST = 1 << 23

#: Copies under way in one process; while there are so many, no more are made.
MOST = 256


class Mirroring:
    """Sends requests to ``main``, and copies of some to ``mirrors`` (pairs of service and percent).

    A copy leaves when the answer to the original is out: it can't delay it. Nothing is copied for a client that left,
    of a request with too long a body, or of an upgrade.
    """

    __slots__ = ("_counter", "_main", "_mirrors", "_most", "_with_body", "under_way")

    def __init__(
        self,
        service: Service,
        main: LiveService,
        mirrors: Sequence[tuple[LiveService, int]],
        counter: Callable[[], int],
    ) -> None:
        self._main = main
        self._mirrors = tuple((live, percent) for live, percent in mirrors if percent > 0)
        self._counter = counter
        self._with_body = service.mirror_body
        self._most = min(LARGEST, service.max_body) if service.max_body >= 0 else LARGEST
        self.under_way: set[Copy] = set()

    def choices(self, exchange: Forwarding) -> Iterator[Upstream]:
        """The servers of the service that answers."""
        if self._mirrors:
            # One count for all mirrors, over all workers.
            number = self._counter()
            chosen = [live for live, percent in self._mirrors if is_due(number, percent)]
            length = exchange.head.length or 0
            if chosen and exchange.head.upgrade is None and (length <= self._most or not self._with_body):
                kept = exchange.keep_copy(self._most) if length and self._with_body else None
                copying = _Copying(self, chosen, exchange.head.copy(), kept)
                exchange.attendants = (*exchange.attendants, copying)
        return self._main.choices(exchange)

    def send(self, exchange: Forwarding, service: LiveService, head: RequestHead, body: bytes) -> None:
        """Send a copy, unless there are too many under way."""
        if len(self.under_way) < MOST:
            copy = Copy(self, exchange, head, body)
            self.under_way.add(copy)
            copy.forward(service)


def is_due(number: int, percent: int) -> bool:
    """Whether the request of this number is among so many of a hundred: evenly, and the first one is."""
    return -(-(number + 1) * percent // 100) > -(-number * percent // 100)


class _Copying(Attendant):
    """Sends copies of one request once it is over."""

    __slots__ = ("_head", "_kept", "_mirroring", "_services")

    def __init__(
        self, mirroring: Mirroring, services: list[LiveService], head: RequestHead, kept: Copied | None
    ) -> None:
        self._mirroring = mirroring
        self._services = services
        self._head = head
        self._kept = kept

    def over(self, exchange: Forwarding, outcome: str) -> None:
        if outcome == "client-gone" or not exchange.request_complete:
            return
        body = b""
        if self._kept is not None:
            if self._kept.pieces is None:
                return
            body = b"".join(self._kept.pieces)
        for service in self._services:
            head = self._head.copy()
            head.expect_continue = False
            # What was chunked is whole now.
            head.length = len(body) if self._kept is not None else None
            self._mirroring.send(exchange, service, head, body)


class Silence:
    """What a copy has in place of a resource: it is not counted, not logged, and no middleware hears of it."""

    def __init__(self, resource: ReverseProxyResource) -> None:
        self.clock = resource.clock
        self.retries = resource.retries
        self.request_head = resource.request_head

    def exchange_over(self, exchange: Forwarding) -> None:
        """Nobody asked."""
        exchange.finished = self.clock()


class Copy(Unattended):
    """A request that nobody waits for the answer of."""

    def __init__(self, mirroring: Mirroring, exchange: Forwarding, head: RequestHead, body: bytes) -> None:
        silence: Any = Silence(exchange.resource)
        super().__init__(
            silence,
            head,
            exchange.entry_point,
            exchange.client,
            exchange.client_port,
            exchange.trusted,
        )
        self._mirroring = mirroring
        self.have(body)

    def finish(self) -> None:
        super().finish()
        self._mirroring.under_way.discard(self)
