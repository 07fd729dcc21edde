"""Services while they run that are more than servers in turn, and those that are made of other services."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from dynbalancer.core.balancers.hrw import HighestRandomWeight
from dynbalancer.core.balancers.roundrobin import WeightedRoundRobin
from dynbalancer.core.model import Member, Service
from dynbalancer.core.outages import Outages, room
from dynbalancer.errors import ConfigurationError
from dynbalancer.proxy.attending import ATTENDED, Failing, Learning
from dynbalancer.proxy.failover import Failover
from dynbalancer.proxy.keeping import Keeping
from dynbalancer.proxy.mirroring import Mirroring
from dynbalancer.proxy.upstream import LiveService, Upstream

Counter = Callable[[], int]


def balanced(service: Service, upstreams: tuple[Upstream, ...], balancer: Any, shared: Any) -> LiveService:
    """A service with servers, and with all that its definition asks for besides a balancer.

    ``shared`` (IRegions) is for what all workers are to know of servers that fail.
    """
    live = LiveService(service, upstreams, balancer)
    choices = live.choices
    if service.sticky is not None:
        owners = {upstream: upstream for upstream in upstreams}
        choices = Keeping(service, service.sticky, upstreams, choices, owners).choices
    wanted = service.passive_health
    if wanted is not None:
        region = shared.region(f"passiveHealthCheck {service.name}", room(wanted))
        choices = Failing(choices, upstreams, Outages(region, wanted)).choices
    if balancer.observe is not None:
        choices = Learning(choices, balancer.observe).choices
    if choices is not live.choices:
        live.choices = choices
        live.hooks = (ATTENDED,)
    return live


class Part:
    """A member of a service while it runs, as a balancer sees it."""

    __slots__ = ("in_flight", "learned", "live", "name", "weight")

    def __init__(self, member: Member, live: LiveService) -> None:
        self.name = member.name
        self.weight = member.weight
        self.live = live
        self.in_flight = 0
        self.learned: Any = None


class ComposedService(LiveService):
    """A service that is made of others. It has no servers of its own: those belong to its members."""

    __slots__ = ("parts",)

    def __init__(
        self, service: Service, parts: Sequence[Part], choices: Callable[[Any], Iterator[Upstream]]
    ) -> None:
        self.service = service
        self.parts = tuple(parts)
        self.upstreams = ()
        self.balancer = None
        self.choices = choices
        # Which member answers is known late, and what its servers get may differ.
        self.hooks = (ATTENDED,)
        self.same_head = False

    @property
    def reach(self) -> tuple[Upstream, ...]:
        """The servers of all members."""
        return tuple(chain.from_iterable(part.live.reach for part in self.parts))


def composed(service: Service, live: Sequence[LiveService], counter: Counter) -> ComposedService:
    """A service made of these, which run as its members. Raises ConfigurationError on a kind that is none."""
    parts = [Part(member, one) for member, one in zip(service.members, live, strict=True)]
    make = _KINDS.get(service.kind)
    if make is None:
        raise ConfigurationError(f"service {service.name}", f"there is no kind of service {service.kind}")
    return ComposedService(service, parts, make(service, parts, counter))


def _by(balancer: Any, service: Service, parts: Sequence[Part]) -> Callable[[Any], Iterator[Upstream]]:
    """The servers of one member after the other, in the order of a balancer over the members."""
    order: Callable[[Any], Iterator[Part]] = balancer.choices
    if service.sticky is not None:
        owners = {upstream: part for part in reversed(parts) for upstream in part.live.reach}
        order = Keeping(service, service.sticky, parts, order, owners).choices

    def choices(exchange: Any) -> Iterator[Upstream]:
        for part in order(exchange):
            yield from part.live.choices(exchange)

    return choices


def _weighted(service: Service, parts: Sequence[Part], counter: Counter) -> Any:
    return _by(WeightedRoundRobin(parts, {}, counter, _no_random), service, parts)


def _highest(service: Service, parts: Sequence[Part], counter: Counter) -> Any:
    return _by(HighestRandomWeight(parts, {}, counter, _no_random), service, parts)


def _mirroring(service: Service, parts: Sequence[Part], counter: Counter) -> Any:
    mirrors = [
        (part.live, member.percent) for part, member in zip(parts[1:], service.members[1:], strict=True)
    ]
    return Mirroring(service, parts[0].live, mirrors, counter).choices


def _failover(service: Service, parts: Sequence[Part], counter: Counter) -> Any:
    return Failover(service, parts[0].live, parts[1].live).choices


def _no_random() -> float:
    return 0.0


_KINDS: Mapping[str, Callable[[Service, Sequence[Part], Counter], Any]] = {
    "weighted": _weighted,
    "highestRandomWeight": _highest,
    "mirroring": _mirroring,
    "failover": _failover,
}
