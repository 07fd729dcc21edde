"""Services of connections that are not HTTP while they run: whose turn it is, and how servers are connected to."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from random import random
from typing import Any

from dynbalancer.core.balancers.roundrobin import WeightedRoundRobin
from dynbalancer.core.model import ServersTransport
from dynbalancer.core.streams import TERMINATION_DELAY, StreamServer, StreamService, StreamTransport
from dynbalancer.errors import ConfigurationError
from dynbalancer.proxy.trust import client_context

#: A server that could not be connected to comes after the others for so long, in seconds.
AVOIDED = 2.0


@dataclass(frozen=True, slots=True)
class Manner:
    """How the servers of one service are connected to. ``dial_time`` None: as the settings say."""

    dial_time: float | None
    keep_alive: bool
    termination_delay: float
    proxy_protocol: int
    server_name: str
    tls: ssl.SSLContext | None


class StreamUpstream:
    """One server while it runs."""

    __slots__ = ("avoid_until", "host", "in_flight", "manner", "port", "server", "service", "weight")

    def __init__(self, server: StreamServer, manner: Manner, service: str) -> None:
        """Raises ConfigurationError where the address is none."""
        host, _, port = server.address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ConfigurationError(
                f"server {server.address}", "not an address with a port", "write 10.0.0.2:5432, or [::1]:5432"
            )
        self.server = server
        self.service = service
        self.manner = manner
        self.host = host.removeprefix("[").removesuffix("]")
        self.port = int(port)
        self.weight = 1
        self.in_flight = 0
        self.avoid_until = 0.0


@dataclass(slots=True)
class _Member:
    """A service that a weighted one is made of."""

    service: LiveStreams
    weight: int


class LiveStreams:
    """A service while it runs. ``upstreams`` are its own servers, none where it is made of other services."""

    __slots__ = ("_balancer", "_clock", "_members", "definition", "transport", "upstreams")

    def __init__(
        self,
        definition: StreamService,
        transport: StreamTransport | None,
        upstreams: tuple[StreamUpstream, ...],
        members: tuple[tuple[LiveStreams, int], ...],
        counter: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self.definition = definition
        self.transport = transport
        self.upstreams = upstreams
        self._clock = clock
        self._members = members
        ready = [upstream for upstream in upstreams if upstream.server.state == "ready"]
        below = [_Member(service, weight) for service, weight in members]
        turns: Sequence[_Member | StreamUpstream] = below or ready
        self._balancer = WeightedRoundRobin(turns, {}, counter, random)

    def choices(self) -> Iterator[StreamUpstream]:
        """The servers to try, the best first; each once, those that lately failed last."""
        late: list[StreamUpstream] = []
        seen: set[int] = set()
        now = self._clock()
        for upstream in self._in_turn():
            if id(upstream) not in seen:
                seen.add(id(upstream))
                if upstream.avoid_until > now:
                    late.append(upstream)
                else:
                    yield upstream
        yield from late

    def servers(self) -> Iterator[StreamServer]:
        """All that may be chosen now."""
        for service, weight in self._members:
            if weight:
                yield from service.servers()
        for upstream in self.upstreams:
            if upstream.server.state == "ready":
                yield upstream.server

    def _in_turn(self) -> Iterator[StreamUpstream]:
        for chosen in self._balancer.choices(None):
            if isinstance(chosen, _Member):
                yield from chosen.service._in_turn()
            else:
                assert isinstance(chosen, StreamUpstream)
                yield chosen


class MakingStreams:
    """Makes what runs of a definition; servers that stay keep what is known of them."""

    def __init__(self, counters: Any, clock: Callable[[], float]) -> None:
        """``counters.slot(name)`` gives the row of whole numbers that a service steps through."""
        self._counters = counters
        self._clock = clock

    def __call__(
        self,
        family: str,
        wanted: StreamService,
        transport: StreamTransport | None,
        members: tuple[tuple[LiveStreams, int], ...],
        previous: LiveStreams | None,
    ) -> LiveStreams:
        """See core.streamtable.MakeService. Raises ConfigurationError."""
        manner = manner_of(wanted, transport)
        known = (
            {} if previous is None else {upstream.server.address: upstream for upstream in previous.upstreams}
        )
        upstreams = []
        for server in wanted.servers:
            upstream = StreamUpstream(server, manner, wanted.name)
            before = known.get(server.address)
            if before is not None and before.server.instance == server.instance:
                upstream.avoid_until = before.avoid_until
            upstreams.append(upstream)
        # Datagrams are all one process's.
        counter = count().__next__ if family == "udp" else self._counters.slot(f"{family}/{wanted.name}")
        return LiveStreams(wanted, transport, tuple(upstreams), members, counter, self._clock)


def checking_streams(
    family: str, wanted: StreamService, transport: StreamTransport | None, members: object, previous: object
) -> StreamService:
    """For who only looks for mistakes: a service stands for itself. Raises ConfigurationError."""
    manner = manner_of(wanted, transport)
    for server in wanted.servers:
        StreamUpstream(server, manner, wanted.name)
    return wanted


def manner_of(service: StreamService, transport: StreamTransport | None) -> Manner:
    """How the servers of a service are connected to. Raises ConfigurationError for certificates that are none."""
    given = transport or StreamTransport("")
    delay = service.termination_delay
    if delay is None:
        delay = given.termination_delay if transport is not None else TERMINATION_DELAY
    tls = _context(given) if any(server.tls for server in service.servers) else None
    return Manner(
        given.dial_time,
        given.keep_alive > 0,
        delay,
        service.proxy_protocol or given.proxy_protocol,
        given.server_name,
        tls,
    )


def _context(transport: StreamTransport) -> ssl.SSLContext:
    whom = ServersTransport(
        transport.name,
        insecure=transport.insecure,
        root_cas=transport.root_cas,
        certificates=transport.certificates,
    )
    # What is spoken to these servers is not ours to say.
    return client_context(whom, protocols=())
