"""The routing table: a configuration compiled for one purpose, to say fast which route an exchange takes.

A table never changes. A new one takes over every live object whose definition is equal to the old one's, so
that positions, counters and connections survive a change of something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from types import MappingProxyType
from typing import Any

from dynbalancer.core import chains, model
from dynbalancer.core.exchange import Exchange
from dynbalancer.core.explanation import Explanation, explain
from dynbalancer.core.rules.index import HostIndex
from dynbalancer.core.rules.parser import default_priority, read
from dynbalancer.core.rules.tree import Hosts, Node, Predicate, Rule
from dynbalancer.errors import ConfigurationError, Problem, did_you_mean, printable

MakeMiddleware = Callable[[model.Middleware], Any]
MakeService = Callable[[model.Service, Any], Any]

#: Above this a priority is ours.
HIGHEST_PRIORITY = 2**63 - 1 - 1000
#: Looking for the nearest name is slow, so it is done for so many mistakes, among so many names.
_HINTS = 50
_NAMES = 500
#: What v1 called the entry points that are web and websecure since; ``http`` was there without being asked for.
_V1_ENTRY_POINTS = {"http": "web", "https": "websecure"}
_NO_INTERNALS = "services of Traefik itself are not here; --api.address says where API and dashboard listen"


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A router, compiled. ``matches`` tests what the host index didn't; None: nothing."""

    name: str
    router: model.Router
    rule: Node
    matches: Predicate | None
    middlewares: tuple[Any, ...]
    service: Any
    service_name: str
    priority: int
    entry_points: tuple[str, ...]

    @property
    def schemes(self) -> tuple[bool, ...]:
        """Whether it takes encrypted exchanges by itself: v3's routers do or don't, v1's take both."""
        return (False, True) if self.router.dialect == "v1" else (self.router.tls,)


class RoutingTable:
    """What :func:`compile_table` makes. Read it once per exchange, and keep it for that exchange.

    ``services`` and ``middlewares`` map names to live objects, ``disabled`` the routers that can't be used to
    the reasons why.
    """

    __slots__ = (
        "_encrypting",
        "_indexes",
        "_rules",
        "configuration",
        "disabled",
        "entry_points",
        "middlewares",
        "number",
        "problems",
        "routes",
        "services",
    )

    def __init__(
        self,
        number: int,
        configuration: model.Configuration,
        entry_points: Sequence[model.EntryPoint],
        routes: Sequence[Route],
        rules: Mapping[tuple[str, str], _Read],
        *,
        services: Mapping[str, Any],
        middlewares: Mapping[str, Any],
        problems: Sequence[Problem],
        disabled: Mapping[str, tuple[str, ...]],
    ) -> None:
        self.number = number
        self.configuration = configuration
        self.entry_points = tuple(entry_points)
        self.routes = tuple(routes)
        self.services = services
        self.middlewares = middlewares
        self.problems = tuple(problems)
        self.disabled = disabled
        self._rules = rules
        self._encrypting: frozenset[str] | None = None
        self._indexes = _indexes(self.entry_points, self.routes)

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

    def encrypts(self, entry_point: str) -> bool:
        """Whether some router there asks for TLS itself. Slow the first time."""
        if self._encrypting is None:
            asking = (route for route in self.routes if route.router.tls)
            self._encrypting = frozenset(name for route in asking for name in route.entry_points)
        return entry_point in self._encrypting

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


def compile_table(
    configuration: model.Configuration,
    entry_points: Sequence[model.EntryPoint],
    *,
    number: int = 0,
    previous: RoutingTable | None = None,
    make_middleware: MakeMiddleware,
    make_service: MakeService,
) -> RoutingTable:
    """A table for a merged configuration.

    ``make_service`` gets the service and the live object that had its name before, if any. What can't be used
    is in ``problems``, and only that is off.
    """
    compiler = _Compiler(configuration, entry_points, previous)
    compiler.make_middlewares(make_middleware)
    compiler.make_services(make_service)
    routes = compiler.routes()
    compiler.problems += _shadowed(routes, _only_tls(entry_points))
    return RoutingTable(
        number,
        configuration,
        entry_points,
        routes,
        compiler.rules,
        services=MappingProxyType(compiler.services),
        middlewares=MappingProxyType(compiler.middlewares),
        problems=compiler.problems,
        disabled=MappingProxyType(compiler.disabled),
    )


@dataclass(frozen=True, slots=True)
class _Read:
    """All that a table needs of a rule; kept from table to table."""

    rule: Rule
    hosts: Hosts | None
    matches: Predicate | None


class _Names:
    """Finds what a reference means: ``name@provider``, or a plain name of the same provider or one other."""

    __slots__ = ("_full", "_hints", "_plain")

    def __init__(self, full: Iterable[str]) -> None:
        self._full = frozenset(full)
        self._hints = _HINTS
        self._plain: dict[str, list[str]] = {}
        for name in sorted(self._full):
            self._plain.setdefault(name.partition("@")[0], []).append(name)

    def find(self, kind: str, reference: str, owner: str) -> str:
        """The full name. Raises ConfigurationError where there is none, or more than one."""
        if reference in self._full:
            return reference
        _, at, provider = owner.rpartition("@")
        full = reference if "@" in reference or not at else f"{reference}@{provider}"
        if full in self._full:
            return full
        others = [] if "@" in reference else self._plain.get(reference, [])
        if len(others) > 1:
            why = f'{kind} "{reference}" is in several providers: {", ".join(others[:5])}'
            raise ConfigurationError("", why, f"write {others[0]}")
        if not others:
            raise ConfigurationError("", f'{kind} "{full}" does not exist', self.hint(reference, full))
        return others[0]

    def hint(self, reference: str, full: str) -> str:
        """``did you mean …?``, for the first mistakes."""
        if reference.endswith("@internal"):
            return _NO_INTERNALS
        if not self._hints or not reference:
            return ""
        self._hints -= 1
        if "@" in reference:
            return did_you_mean(full, sorted(self._full)[:_NAMES])
        return did_you_mean(reference, list(self._plain)[:_NAMES])


class _Compiler:
    """One run of :func:`compile_table`."""

    def __init__(
        self,
        configuration: model.Configuration,
        entry_points: Sequence[model.EntryPoint],
        previous: RoutingTable | None,
    ) -> None:
        self.configuration = configuration
        self.entry_points = tuple(entry.name for entry in entry_points)
        self.default_entry_points = (
            tuple(entry.name for entry in entry_points if entry.as_default) or self.entry_points
        )
        self.previous = previous
        self.problems: list[Problem] = []
        self.disabled: dict[str, tuple[str, ...]] = {}
        self.services: dict[str, Any] = {}
        self.middlewares: dict[str, Any] = {}
        self.chains: dict[str, tuple[str, ...]] = {}
        self.failed: dict[str, str] = {}
        self.rules: dict[tuple[str, str], _Read] = {}
        self.old_rules = previous._rules if previous else {}
        self.service_names = _Names(configuration.services)
        self.middleware_names = _Names(configuration.middlewares)

    def make_middlewares(self, make: MakeMiddleware) -> None:
        """A running middleware for each definition; the old one where type and settings are the same."""
        old = self.previous.middlewares if self.previous else {}
        before = self.previous.configuration.middlewares if self.previous else {}
        for name, wanted in self.configuration.middlewares.items():
            had = before.get(name)
            if name in old and had and (had.type, had.settings) == (wanted.type, wanted.settings):
                self.middlewares[name] = old[name]
            else:
                self._make("middleware", self.middlewares, wanted, partial(make, wanted))
            for notice in getattr(self.middlewares.get(name), "notices", ()):
                self._say("middleware", wanted, notice, severity="warning")
        self._unfold_chains()

    def _unfold_chains(self) -> None:
        """Learn what each middleware with ``members`` stands for."""
        found = {n: live.members for n, live in self.middlewares.items() if hasattr(live, "members")}
        self.chains, failed = chains.unfold(found, partial(self.middleware_names.find, "middleware"))
        for name, error in failed.items():
            # Made anew next time: what it refers to may be there then.
            del self.middlewares[name]
            self._fail("middleware", self.configuration.middlewares[name], error)

    def make_services(self, make: MakeService) -> None:
        """A live service for each definition; the old one where nothing changed."""
        old = self.previous.services if self.previous else {}
        before = self.previous.configuration.services if self.previous else {}
        for name, wanted in self.configuration.services.items():
            if name in old and before.get(name) == wanted:
                self.services[name] = old[name]
                continue
            self._make("service", self.services, wanted, partial(make, wanted, old.get(name)))

    def _make(
        self,
        kind: str,
        made: dict[str, Any],
        wanted: model.Middleware | model.Service,
        make: Callable[[], Any],
    ) -> None:
        try:
            made[wanted.name] = make()
        except ConfigurationError as error:
            self._fail(kind, wanted, error)

    def _fail(self, kind: str, wanted: model.Middleware | model.Service, error: ConfigurationError) -> None:
        self.failed[f"{kind} {wanted.name}"] = error.why
        self._say(kind, wanted, error.why, error.hint)

    def _say(
        self,
        kind: str,
        about: model.Router | model.Middleware | model.Service,
        why: str,
        hint: str = "",
        severity: str = "error",
    ) -> None:
        self.problems.append(_problem(kind, about, why, hint, severity))

    def routes(self) -> list[Route]:
        """Every router that can be used, the first to try first."""
        found = [route for router in self.configuration.routers.values() if (route := self._route(router))]
        # Traefik leaves open which of two equal ones is first; here it is the one whose name is.
        return sorted(found, key=lambda route: (-route.priority, route.name))

    def _route(self, router: model.Router) -> Route | None:
        errors: list[ConfigurationError] = []
        rule = self._try(errors, self._rule, router)
        service = self._try(errors, self._service, router)
        entry_points = self._entry_points(router, errors)
        middlewares = [self._try(errors, self._middleware, router, name) or () for name in router.middlewares]
        if router.priority > HIGHEST_PRIORITY:
            why = f"priority {router.priority} is above the highest allowed, {HIGHEST_PRIORITY}"
            errors.append(ConfigurationError("", why))
        if errors or rule is None or service is None:
            for error in errors:
                self._say("router", router, error.why, error.hint)
            self.disabled[router.name] = tuple(error.why for error in errors)
            return None
        return Route(
            router.name,
            router,
            rule.rule.node,
            rule.matches,
            tuple(chain.from_iterable(middlewares)),
            self.services[service],
            service,
            priority_of(router),
            entry_points,
        )

    @staticmethod
    def _try(errors: list[ConfigurationError], step: Callable[..., Any], *arguments: object) -> Any:
        """What ``step`` gives, or None with its error added: a router shows all its errors at once."""
        try:
            return step(*arguments)
        except ConfigurationError as error:
            errors.append(error)
            return None

    def _rule(self, router: model.Router) -> _Read:
        key = router.rule, router.dialect
        found = self.rules.get(key) or self.old_rules.get(key)
        if found is None:
            try:
                rule = read(*key)
            except ConfigurationError as error:
                why = f"rule {_shortened(router.rule)}: {error.why}" if router.rule.strip() else error.why
                raise ConfigurationError("", printable(why), printable(error.hint)) from None
            found = _Read(rule, rule.node.hosts(), rule.node.compile())
        self.rules[key] = found
        for why in found.rule.warnings:
            self._say("router", router, why, severity="warning")
        return found

    def _service(self, router: model.Router) -> str:
        if not router.service:
            raise ConfigurationError("", "it names no service")
        name = self.service_names.find("service", router.service, router.name)
        return self._usable("service", self.configuration.services[name], router)

    def _middleware(self, router: model.Router, reference: str) -> tuple[Any, ...]:
        """The running middleware, or those that a chain stands for."""
        name = self.middleware_names.find("middleware", reference, router.name)
        self._usable("middleware", self.configuration.middlewares[name], router)
        wanted = (self.configuration.middlewares[leaf] for leaf in self.chains.get(name, (name,)))
        return tuple(self.middlewares[self._usable("middleware", one, router)] for one in wanted)

    def _usable(self, kind: str, wanted: model.Middleware | model.Service, router: model.Router) -> str:
        failure = self.failed.get(f"{kind} {wanted.name}")
        if failure is not None:
            whose = f" of {wanted.origin}" if wanted.origin not in ("", router.origin) else ""
            raise ConfigurationError("", f'{kind} "{wanted.name}"{whose} can\'t be used: {failure}')
        return wanted.name

    def _entry_points(self, router: model.Router, errors: list[ConfigurationError]) -> tuple[str, ...]:
        if not router.entry_points:
            return self.default_entry_points
        wanted = dict.fromkeys(self._entry_point(name, router) for name in router.entry_points)
        found = tuple(name for name in wanted if name in self.entry_points)
        for name in wanted:
            if name in self.entry_points:
                continue
            why = f'entryPoint "{name}" doesn\'t exist'
            hint = did_you_mean(name, self.entry_points) or f"there is {', '.join(self.entry_points)}"
            if found:
                self._say("router", router, why, hint, "warning")
            else:
                errors.append(ConfigurationError("", why, hint))
        if not found:
            errors.append(ConfigurationError("", "no valid entryPoint for this router"))
        return found

    def _entry_point(self, name: str, router: model.Router) -> str:
        since = _V1_ENTRY_POINTS.get(name, "") if router.dialect == "v1" else ""
        return since if name not in self.entry_points and since in self.entry_points else name


def priority_of(router: model.Router) -> int:
    """The priority a router was given, or that of its rule. v1 knows none below 1."""
    if router.priority > 0 or (router.priority and router.dialect != "v1"):
        return router.priority
    return default_priority(router.rule, router.dialect)


def _problem(
    kind: str,
    about: model.Router | model.Middleware | model.Service,
    why: str,
    hint: str = "",
    severity: str = "error",
) -> Problem:
    origin = f" of {about.origin}" if about.origin else ""
    return Problem(f"{kind} {about.name}{origin}", why, hint, severity)


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


def _indexes(
    entry_points: Iterable[model.EntryPoint], routes: Sequence[Route]
) -> dict[str, tuple[HostIndex[Route], HostIndex[Route]]]:
    """For each entry point the routes for plain exchanges and those for encrypted ones."""
    sorted_out: dict[tuple[str, bool], list[tuple[Hosts | None, Route]]] = {}
    only_tls = _only_tls(entry_points)
    for route in routes:
        entry = route.rule.hosts(), route
        for place in _places(route, only_tls):
            sorted_out.setdefault(place, []).append(entry)
    return {
        entry.name: (
            HostIndex(sorted_out.get((entry.name, False), ())),
            HostIndex(sorted_out.get((entry.name, True), ())),
        )
        for entry in entry_points
    }


def _only_tls(entry_points: Iterable[model.EntryPoint]) -> frozenset[str]:
    return frozenset(entry.name for entry in entry_points if entry.tls)


def _places(route: Route, only_tls: frozenset[str]) -> list[tuple[str, bool]]:
    """Entry points, and whether for encrypted exchanges there. Those of ``only_tls`` have no others."""
    return [
        (name, encrypted)
        for name in route.entry_points
        for encrypted in ((True,) if name in only_tls else route.schemes)
    ]


def _shadowed(routes: Sequence[Route], only_tls: frozenset[str]) -> Iterator[Problem]:
    """Routers that another with the same rule keeps requests from. ``routes`` in the order of trial."""
    first: dict[tuple[Any, ...], Route] = {}
    for route in routes:
        keys = [(route.router.dialect, route.rule, place) for place in _places(route, only_tls)]
        winners = [first.setdefault(key, route) for key in keys]
        taken = [winner for winner in winners if winner is not route]
        if not taken:
            continue
        winner = taken[0]
        equal = winner.priority == route.priority
        why = (
            "and its name comes first"
            if equal
            else f"and priority {winner.priority} against {route.priority}"
        )
        if len(taken) == len(winners):
            why = f"never gets a request: router {winner.name} has the same rule {why}"
        elif equal:
            why = f"gets no request where router {winner.name} also listens: it has the same rule {why}"
        else:
            continue
        yield _problem(
            "router", route.router, why, "change the rule or the priority of one of them", "warning"
        )
