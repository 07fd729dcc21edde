"""Those who want to hear how an exchange goes on its way to a server: what services are told, and what they do then.

An attendant is one object for one exchange and one wish. An exchange without a wish has none, and pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from dynbalancer.core.exchange import ResponseHead
from dynbalancer.core.outages import Outages

if TYPE_CHECKING:
    from dynbalancer.proxy.forwarding import Forwarding
    from dynbalancer.proxy.upstream import Upstream

Choices = Callable[[Any], "Iterator[Upstream]"]


class Attendant:
    """Hears how one exchange goes. Nothing is done about it here."""

    __slots__ = ()

    def answered(self, exchange: Forwarding, head: ResponseHead) -> bool:
        """``exchange.server`` begins to answer. True: that answer is not wanted, and another server was asked."""
        return False

    def failed(self, exchange: Forwarding, upstream: Upstream) -> None:
        """This server gave no answer."""

    def over(self, exchange: Forwarding, outcome: str) -> None:
        """The exchange ended."""


class Attended:
    """Stands among the middlewares of a route whose service has attendants."""

    on_request = None
    on_response = None
    same_again = True
    once_more = None

    def on_finish(self, exchange: Forwarding, outcome: str) -> None:
        """Tell them that it is over."""
        for attendant in exchange.attendants:
            attendant.over(exchange, outcome)


ATTENDED = Attended()


class Learning:
    """Tells a balancer how long its servers take to answer, and with which status."""

    __slots__ = ("_choices", "_observe")

    def __init__(self, choices: Choices, observe: Callable[..., None]) -> None:
        self._choices = choices
        self._observe = observe

    def choices(self, exchange: Forwarding) -> Iterator[Upstream]:
        """The same, watched."""
        watch = _Watch(self._observe)
        exchange.attendants = (*exchange.attendants, watch)
        clock = exchange.resource.clock
        for upstream in self._choices(exchange):
            watch.asked, watch.since = upstream, clock()
            yield upstream


class _Watch(Attendant):
    """Knows who of its service was asked last, and when."""

    __slots__ = ("asked", "observe", "since")

    def __init__(self, observe: Callable[..., None]) -> None:
        self.asked: Upstream | None = None
        self.observe = observe
        self.since = 0.0

    def answered(self, exchange: Forwarding, head: ResponseHead) -> bool:
        if exchange.server is self.asked:
            now = exchange.resource.clock()
            self.observe(self.asked, now - self.since, head.status, now)
        return False

    def failed(self, exchange: Forwarding, upstream: Upstream) -> None:
        if upstream is self.asked:
            now = exchange.resource.clock()
            self.observe(upstream, now - self.since, 0, now)


class Failing:
    """Leaves out servers that failed too often: no answer, or 5xx (Traefik v3's ``passiveHealthCheck``)."""

    __slots__ = ("_choices", "_upstreams")

    def __init__(self, choices: Choices, upstreams: tuple[Upstream, ...], outages: Outages) -> None:
        self._choices = choices
        self._upstreams = frozenset(upstreams)
        for upstream in upstreams:
            upstream.outage = outages.of(" ".join(upstream.key))

    def choices(self, exchange: Forwarding) -> Iterator[Upstream]:
        """The same without those that are out."""
        exchange.attendants = (*exchange.attendants, _Failures(self._upstreams))
        now = exchange.resource.clock()
        return (upstream for upstream in self._choices(exchange) if upstream.outage.until <= now)


class _Failures(Attendant):
    """Counts the failures of one service's servers."""

    __slots__ = ("_upstreams",)

    def __init__(self, upstreams: frozenset[Upstream]) -> None:
        self._upstreams = upstreams

    def answered(self, exchange: Forwarding, head: ResponseHead) -> bool:
        if exchange.server in self._upstreams:
            if head.status >= 500:
                exchange.server.outage.failed(exchange.resource.clock())
            else:
                exchange.server.outage.answered()
        return False

    def failed(self, exchange: Forwarding, upstream: Upstream) -> None:
        if upstream in self._upstreams:
            upstream.outage.failed(exchange.resource.clock())
