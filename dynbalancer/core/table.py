"""The routing table: a configuration compiled for one purpose, to say fast which route an exchange takes.

A table never changes. A new one takes over every live object whose definition is equal to the old one's, so
that positions, counters and connections survive a change of something else; and it shares with it whatever else the
change does not concern, so that changing one router of many costs about as much as changing one of few.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dynbalancer.core import model
from dynbalancer.core.compiler import (
    HIGHEST_PRIORITY,
    RANKS,
    Compiled,
    MakeMiddleware,
    MakeService,
    compiling,
)
from dynbalancer.core.exchange import Exchange
from dynbalancer.core.explanation import Explanation, explain
from dynbalancer.core.layered import Layered
from dynbalancer.core.references import with_hints
from dynbalancer.core.routes import Route, priority_of
from dynbalancer.core.shadows import unreachable
from dynbalancer.core.streamtable import StreamTable
from dynbalancer.core.tlschoice import NO_CHOICES, Choices, choosing
from dynbalancer.errors import Problem

__all__ = [
    "HIGHEST_PRIORITY",
    "Route",
    "RoutingTable",
    "compile_table",
    "compiling_table",
    "completed",
    "priority_of",
]

#: Makes the routes for everything but HTTP out of a configuration and those before; without one there are none.
MakeStreams = Callable[[model.Configuration, "StreamTable | None"], StreamTable]


class RoutingTable:
    """What :func:`compile_table` makes. Read it once per exchange, and keep it for that exchange.

    ``services`` and ``middlewares`` map names to live objects, ``disabled`` the routers that can't be used to
    the reasons why. ``replaced`` names the services whose live object came, went or is another than before, ``changes``
    says how many routers and services were looked at. ``streams`` are the routes for everything but HTTP, ``choices``
    the TLS options by host.
    """

    __slots__ = (
        "__weakref__",
        "_indexes",
        "_problems",
        "_routes",
        "_unreachable",
        "changes",
        "choices",
        "compiled",
        "configuration",
        "disabled",
        "entry_points",
        "middlewares",
        "number",
        "replaced",
        "services",
        "streams",
    )

    def __init__(
        self,
        number: int,
        configuration: model.Configuration,
        entry_points: Sequence[model.EntryPoint],
        compiled: Compiled,
        streams: StreamTable | None = None,
        choices: Choices = NO_CHOICES,
    ) -> None:
        self.number = number
        self.streams = streams or StreamTable()
        self.choices = choices
        self.configuration = configuration
        self.entry_points = tuple(entry_points)
        self.compiled = compiled
        self.services: Mapping[str, Any] = compiled.services.live
        self.middlewares: Mapping[str, Any] = compiled.middlewares.live
        self.disabled: Mapping[str, tuple[str, ...]] = compiled.disabled
        self.replaced = compiled.replaced
        self.changes = compiled.changes
        self._indexes = compiled.indexes
        self._routes: tuple[Route, ...] | None = None
        self._problems: tuple[Problem, ...] | None = None
        self._unreachable: tuple[Problem, ...] | None = None

    def route(self, exchange: Exchange) -> Route | None:
        """The route an exchange takes, or None."""
        indexes = self._indexes.get(exchange.entry_point.name)
        if indexes is None:
            return None
        head = exchange.head
        for route in indexes[head.scheme == b"https"].candidates(head.host):
            matches = route.matches
            if matches is None or matches(exchange):
                return route
        return None

    def misdirects(self, exchange: Exchange) -> bool:
        """Whether :meth:`route` gives nothing because another connection is the one to ask on."""
        return False

    @property
    def routes(self) -> tuple[Route, ...]:
        """Every router that can be used, the first to try first. Slow the first time."""
        if self._routes is None:
            self._routes = tuple(sorted(self.compiled.routes.values(), key=lambda route: route.order))
        return self._routes

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What can't be used, or not as meant: middlewares, services, routers, and routers in each other's way."""
        if self._problems is None:
            compiled, configuration = self.compiled, self.configuration
            said = [one for _, found in sorted(compiled.said.items()) for one in found]
            names = {
                "service": configuration.services,
                "middleware": configuration.middlewares,
                "serversTransport": configuration.transports,
            }
            shadows = [shadow for found in compiled.shadows.values() for shadow in found]
            shadows.sort(key=lambda shadow: shadow[0].order)
            http = (*with_hints(said, names), *(problem for _, problem in shadows))
            self._problems = (*http, *self.choices.problems, *self.streams.problems)
        return self._problems

    @property
    def unreachable(self) -> tuple[Problem, ...]:
        """Routers that another one keeps every request from. Slow the first time, so it is for who looks at them."""
        if self._unreachable is None:
            only_tls = frozenset(entry.name for entry in self.entry_points if entry.tls)
            self._unreachable = unreachable(self.routes, only_tls)
        return self._unreachable

    def encrypts(self, entry_point: str) -> bool:
        """Whether some router there asks for TLS itself."""
        return self.compiled.asking.get(entry_point, 0) > 0

    def answers(self, entry_point: str, name: str) -> bool:
        """Whether some router there may answer over TLS for a host."""
        indexes = self._indexes.get(entry_point)
        return indexes is not None and bool(indexes[True].candidates(name.encode()))

    def explain(self, exchange: Exchange) -> Explanation:
        """What :meth:`route` says, and why. Slow: it looks at every router."""
        return explain(self, exchange)

    def candidates(self, exchange: Exchange) -> tuple[Route, ...]:
        """The routes that are tried for an exchange, in that order."""
        indexes = self._indexes.get(exchange.entry_point.name)
        head = exchange.head
        return () if indexes is None else indexes[head.scheme == b"https"].candidates(head.host)

    def hosts(self) -> frozenset[str]:
        """Every host that some route names in full."""
        names = (name for pair in self._indexes.values() for index in pair for name in index.names())
        return frozenset(name.decode() for name in names)


class GuardedTable(RoutingTable):
    """A table of which not everything may be reached by every handshake."""

    __slots__ = ()

    def route(self, exchange: Exchange) -> Route | None:
        """The route an exchange takes, or None; also where its connection was made by other TLS options."""
        route = super().route(exchange)
        return None if self._misdirects(exchange, route) else route

    def misdirects(self, exchange: Exchange) -> bool:
        """See RoutingTable."""
        return self._misdirects(exchange, super().route(exchange))

    def _misdirects(self, exchange: Exchange, route: Route | None) -> bool:
        head = exchange.head
        return head.scheme == b"https" and self.choices.misdirects(
            exchange.entry_point.name, head.host, route, exchange.tls_options
        )


def compile_table(
    configuration: model.Configuration,
    entry_points: Sequence[model.EntryPoint],
    *,
    number: int = 0,
    previous: RoutingTable | None = None,
    make_middleware: MakeMiddleware,
    make_service: MakeService,
    make_streams: MakeStreams | None = None,
) -> RoutingTable:
    """A table for a merged configuration.

    ``make_service`` gets the service and the live object that had its name before, if any. What can't be used
    is in ``problems``, and only that is off. ``make_streams`` makes the routes for everything but HTTP.
    """
    return completed(
        compiling_table(
            configuration,
            entry_points,
            number=number,
            previous=previous,
            make_middleware=make_middleware,
            make_service=make_service,
            make_streams=make_streams,
        )
    )


def completed(steps: Generator[None, None, RoutingTable]) -> RoutingTable:
    """The table, when all steps are taken."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            table: RoutingTable = done.value
            return table


def compiling_table(
    configuration: model.Configuration,
    entry_points: Sequence[model.EntryPoint],
    *,
    number: int = 0,
    previous: RoutingTable | None = None,
    make_middleware: MakeMiddleware,
    make_service: MakeService,
    make_streams: MakeStreams | None = None,
) -> Generator[None, None, RoutingTable]:
    """What :func:`compile_table` does, in steps of some microseconds: the table is what the generator returns."""
    old, before = model.Configuration(), Compiled()
    if previous is not None:
        old, before = previous.configuration, previous.compiled
        if previous.entry_points != tuple(entry_points):
            old, before = replace(old, routers={}), _without_routers(before)
    compiled = yield from compiling(
        configuration,
        entry_points,
        old,
        before,
        make_middleware=make_middleware,
        make_service=make_service,
    )
    streams = None if previous is None else previous.streams
    if make_streams is not None:
        streams = make_streams(configuration, streams)
    choices = yield from choosing(configuration, compiled.routes, entry_points)
    made = GuardedTable if choices.guard else RoutingTable
    return made(number, configuration, entry_points, compiled, streams, choices)


def _without_routers(compiled: Compiled) -> Compiled:
    """What entry points have nothing to do with."""
    return Compiled(
        replace(compiled.services, users=Layered()),
        replace(compiled.middlewares, users=Layered()),
        said=Layered({key: said for key, said in compiled.said.items() if key[0] < RANKS["router"]}),
    )
