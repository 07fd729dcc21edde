"""The routes of connections that are not HTTP, and of datagrams: compiled from a configuration, beside those of HTTP.

There are few of them, so that they are compiled together, whenever one of them changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from dynbalancer.core.model import Configuration, EntryPoint, Middleware, TLSOptions
from dynbalancer.core.references import MissingError, found, plain
from dynbalancer.core.streamrules import Caller, StreamRule, read_stream_rule
from dynbalancer.core.streams import StreamRouter, StreamService, StreamTransport
from dynbalancer.core.tlschoice import NamedOptions
from dynbalancer.errors import ConfigurationError, Problem, did_you_mean, printable

MakeMiddleware = Callable[[Middleware], Any]
#: Gets a service, its transport, its members while they run with their weights, and what ran under its name before.
MakeService = Callable[
    [str, StreamService, "StreamTransport | None", "tuple[tuple[Any, int], ...]", Any], Any
]

TCP, UDP = "tcp", "udp"


@dataclass(frozen=True, slots=True, eq=False)
class StreamRoute:
    """A router, compiled. ``rule`` is None for datagrams; ``service`` and ``middlewares`` are what runs.

    ``options`` are those that TLS ends here by, where it does.
    """

    name: str
    router: StreamRouter
    rule: StreamRule | None
    middlewares: tuple[Any, ...]
    service: Any
    service_name: str
    priority: int
    entry_points: tuple[str, ...]
    options: TLSOptions | None = None

    @property
    def order(self) -> tuple[int, str]:
        """Those with less come first."""
        return -self.priority, self.name

    @property
    def catch_all(self) -> bool:
        """Whether it takes what nobody else does."""
        return self.rule is not None and self.rule.catch_all

    def takes(self, caller: Caller) -> bool:
        """Whether a connection is for it."""
        return self.rule is None or self.rule.matches is None or self.rule.matches(caller)


@dataclass(frozen=True, slots=True, eq=False)
class StreamTable:
    """All routes. ``disabled`` has the routers that can't be used, by ``tcp`` or ``udp`` and name, and why.

    ``services`` and ``middlewares`` are what runs, by the same.
    """

    configuration: Configuration = field(default_factory=Configuration)
    routes: tuple[StreamRoute, ...] = ()
    datagrams: tuple[StreamRoute, ...] = ()
    services: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    middlewares: Mapping[str, Any] = field(default_factory=dict)
    disabled: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def of(self, entry_point: str, *, encrypted: bool) -> tuple[StreamRoute, ...]:
        """The routes of an entry point for connections with or without TLS, the first to try first."""
        return tuple(
            route
            for route in self.routes
            if route.router.tls == encrypted and entry_point in route.entry_points
        )

    def datagrams_of(self, entry_point: str) -> StreamRoute | None:
        """The route of all datagrams of an entry point."""
        return next((route for route in self.datagrams if entry_point in route.entry_points), None)


def compile_streams(
    configuration: Configuration,
    previous: StreamTable | None,
    *,
    entry_points: Sequence[EntryPoint],
    make_middleware: MakeMiddleware,
    make_service: MakeService,
) -> StreamTable:
    """A table for a merged configuration; ``previous``, where nothing of it is another."""
    if previous is not None and (previous.configuration.streaming, previous.configuration.tls_options) == (
        configuration.streaming,
        configuration.tls_options,
    ):
        return previous
    return _Compiler(
        configuration, entry_points, previous or StreamTable(), make_middleware, make_service
    ).table()


class _Names:
    """The definitions of one family, by full and by plain names."""

    def __init__(self, kind: str, definitions: Mapping[str, Any]) -> None:
        self.kind = kind
        self.definitions = definitions
        names = sorted(definitions, key=lambda name: (plain(name), name))
        self._by_plain: Any = {key: tuple(group) for key, group in groupby(names, plain)}

    def find(self, reference: str, owner: str) -> str:
        """The full name that a reference of ``owner`` stands for. Raises ConfigurationError."""
        try:
            return found(self.kind, reference, owner, self.definitions, self._by_plain)
        except MissingError as error:
            names = self.definitions if "@" in reference else self._by_plain
            hint = did_you_mean(error.missing.full if "@" in reference else reference, names)
            raise ConfigurationError("", error.why, hint) from None


class _Compiler:
    """One run of :func:`compile_streams`."""

    def __init__(
        self,
        configuration: Configuration,
        entry_points: Sequence[EntryPoint],
        previous: StreamTable,
        make_middleware: MakeMiddleware,
        make_service: MakeService,
    ) -> None:
        self._configuration = configuration
        self._points = {
            family: [point for point in entry_points if point.udp == (family == UDP)] for family in (TCP, UDP)
        }
        self._previous = previous
        self._make_middleware = make_middleware
        self._make_service = make_service
        self._names = {
            TCP: _Names("service", configuration.tcp_services),
            UDP: _Names("service", configuration.udp_services),
        }
        self._middleware_names = _Names("middleware", configuration.tcp_middlewares)
        self._transport_names = _Names("serversTransport", configuration.tcp_transports)
        self._options = NamedOptions(configuration.tls_options)
        self._services: dict[tuple[str, str], Any] = {}
        self._wrong: dict[tuple[str, str], ConfigurationError] = {}
        self._open: list[tuple[str, str]] = []
        self._middlewares: dict[str, Any] = {}
        self._disabled: dict[tuple[str, str], tuple[str, ...]] = {}
        self._problems: list[Problem] = []

    def table(self) -> StreamTable:
        """The table."""
        wanted = self._configuration
        for name, middleware in wanted.tcp_middlewares.items():
            self._add_middleware(name, middleware)
        for family, services in ((TCP, wanted.tcp_services), (UDP, wanted.udp_services)):
            for name in services:
                try:
                    self._service(family, name)
                except ConfigurationError as error:
                    about = f"{family.upper()} service {name}"
                    self._note(about, services[name].origin, error.why, error.hint)
        routes = sorted(self._routes(TCP, wanted.tcp_routers.values()), key=lambda route: route.order)
        datagrams = sorted(self._routes(UDP, wanted.udp_routers.values()), key=lambda route: route.order)
        for shadow, winner in _shadowed(routes):
            self._warn(
                shadow, f"never gets a connection: TCP router {winner.name} has the same rule and comes first"
            )
        for shadow, winner in _shadowed(datagrams):
            self._warn(
                shadow, f"gets no datagram where UDP router {winner.name} also listens: that one comes first"
            )
        return StreamTable(
            wanted,
            tuple(routes),
            tuple(datagrams),
            self._services,
            self._middlewares,
            self._disabled,
            tuple(self._problems),
        )

    def _note(self, about: str, origin: str, why: str, hint: str = "", severity: str = "error") -> None:
        where = f"{about} of {origin}" if origin else about
        self._problems.append(Problem(where, printable(why), printable(hint), severity))

    def _warn(self, route: StreamRoute, why: str) -> None:
        family = "UDP" if route.rule is None else "TCP"
        self._note(f"{family} router {route.name}", route.router.origin, why, severity="warning")

    def _add_middleware(self, name: str, wanted: Middleware) -> None:
        before = self._previous.configuration.tcp_middlewares.get(name)
        if before is not None and (before.type, before.settings) == (wanted.type, wanted.settings):
            running = self._previous.middlewares.get(name)
            if running is not None:
                # It may be counting.
                self._middlewares[name] = running
                return
        try:
            self._middlewares[name] = self._make_middleware(wanted)
        except ConfigurationError as error:
            self._note(f"TCP middleware {name}", wanted.origin, error.why, error.hint)

    def _service(self, family: str, name: str) -> Any:
        """What runs for a service. Raises ConfigurationError where that is nothing."""
        key = family, name
        if key in self._wrong:
            raise self._wrong[key]
        if key in self._open:
            raise ConfigurationError(
                "", "it is made of itself, by way of " + ", ".join(n for _, n in self._open)
            )
        if key not in self._services:
            self._open.append(key)
            try:
                self._services[key] = self._made(family, self._names[family].definitions[name])
            except ConfigurationError as error:
                self._wrong[key] = error
                raise
            finally:
                self._open.pop()
        return self._services[key]

    def _made(self, family: str, wanted: StreamService) -> Any:
        members = tuple(
            (self._service(family, self._names[family].find(member.name, wanted.name)), member.weight)
            for member in wanted.members
        )
        transport = None
        if wanted.transport:
            full = self._transport_names.find(wanted.transport, wanted.name)
            transport = self._configuration.tcp_transports[full]
        before = self._previous.services.get((family, wanted.name))
        return self._make_service(family, wanted, transport, members, before)

    def _routes(self, family: str, routers: Iterable[StreamRouter]) -> Iterator[StreamRoute]:
        for router in routers:
            errors: list[ConfigurationError] = []
            route = self._route(family, router, errors)
            if route is not None and not errors:
                yield route
                continue
            self._disabled[family, router.name] = tuple(error.why for error in errors)
            for error in errors:
                self._note(f"{family.upper()} router {router.name}", router.origin, error.why, error.hint)

    def _route(
        self, family: str, router: StreamRouter, errors: list[ConfigurationError]
    ) -> StreamRoute | None:
        rule, service, service_name = None, None, ""
        if family == TCP:
            rule = self._try(errors, self._rule, router)
        if not router.service:
            errors.append(ConfigurationError("", "it names no service"))
        else:
            service_name = self._try(errors, self._names[family].find, router.service, router.name) or ""
            service = self._try(errors, self._usable, family, service_name) if service_name else None
        middlewares = [self._try(errors, self._middleware, router, name) for name in router.middlewares]
        points = self._entry_points(family, router, errors)
        options = None
        if router.tls and not router.passthrough:
            listening = [point for point in self._points[family] if point.name in points]
            options = self._try(errors, self._options.of_stream, router, listening)
        if errors:
            return None
        if rule is not None and rule.catch_all and not router.priority:
            # It is for what nobody else takes, and must not win by its length.
            priority = -1
        else:
            priority = router.priority or len(router.rule.encode("utf-8", "replace"))
        return StreamRoute(
            router.name, router, rule, tuple(middlewares), service, service_name, priority, points, options
        )

    @staticmethod
    def _try(errors: list[ConfigurationError], step: Callable[..., Any], *arguments: object) -> Any:
        try:
            return step(*arguments)
        except ConfigurationError as error:
            errors.append(error)
            return None

    @staticmethod
    def _rule(router: StreamRouter) -> StreamRule:
        rule = read_stream_rule(router.rule, router.dialect)
        if rule.asks_name and not router.tls:
            why = f"invalid rule: {router.rule[:200]}, has HostSNI matcher, but no TLS on router"
            raise ConfigurationError(
                "", why, "a name is only known with TLS: write tls=true, or HostSNI(`*`)"
            )
        return rule

    def _usable(self, family: str, name: str) -> Any:
        try:
            return self._service(family, name)
        except ConfigurationError as error:
            raise ConfigurationError("", f"service {name} can't be used: {error.why}") from None

    def _middleware(self, router: StreamRouter, reference: str) -> Any:
        name = self._middleware_names.find(reference, router.name)
        if name not in self._middlewares:
            raise ConfigurationError("", f"middleware {name} can't be used")
        return self._middlewares[name]

    def _entry_points(
        self, family: str, router: StreamRouter, errors: list[ConfigurationError]
    ) -> tuple[str, ...]:
        points = self._points[family]
        if not router.entry_points:
            found = tuple(point.name for point in points if point.as_default) or tuple(p.name for p in points)
            if not found:
                hint = "write --entrypoints.NAME.address=:PORT/udp" if family == UDP else ""
                errors.append(ConfigurationError("", f"there is no entry point for {family.upper()}", hint))
            return found
        names = [point.name for point in points]
        known = tuple(name for name in dict.fromkeys(router.entry_points) if name in names)
        for name in router.entry_points:
            if name not in names:
                why = f'entryPoint "{name}" doesn\'t exist'
                hint = did_you_mean(name, names) or (f"there is {', '.join(names)}" if names else "")
                if known:
                    about = f"{family.upper()} router {router.name}"
                    self._note(about, router.origin, why, hint, "warning")
                else:
                    errors.append(ConfigurationError("", why, hint))
        if not known:
            errors.append(ConfigurationError("", "no valid entryPoint for this router"))
        return known


def _shadowed(routes: Sequence[StreamRoute]) -> Iterator[tuple[StreamRoute, StreamRoute]]:
    """Of routes in their order, those with the rule of an earlier one, wherever they listen."""
    first: dict[tuple[object, ...], StreamRoute] = {}
    for route in routes:
        rule = None if route.rule is None else str(route.rule.node)
        places = [(rule, route.router.tls, name) for name in route.entry_points]
        winners = [first.setdefault(place, route) for place in places]
        if all(winner is not route for winner in winners) or (
            rule is None and any(winner is not route for winner in winners)
        ):
            yield route, next(winner for winner in winners if winner is not route)
