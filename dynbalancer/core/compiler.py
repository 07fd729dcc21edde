"""From a configuration, and the table before it, to the parts of the next table: the cost is that of what changed.

Everything here is done in small steps, so that whoever serves requests can do so in between.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from dynbalancer.core import model
from dynbalancer.core.composition import Composing
from dynbalancer.core.entrypoints import meant_by_v1
from dynbalancer.core.families import Family, FamilyDraft, said_of
from dynbalancer.core.layered import Groups, Layered, moved
from dynbalancer.core.references import OURS, Said, bare, plain
from dynbalancer.core.routes import Place, Read, Route, priority_of, problem_of, read_rule, shadowed
from dynbalancer.core.rules.index import HostIndex, IndexDraft
from dynbalancer.core.rules.tree import Node
from dynbalancer.core.tlschoice import NamedOptions
from dynbalancer.core.wiring import Transports
from dynbalancer.errors import ConfigurationError, Problem, did_you_mean, printable

MakeMiddleware = Callable[[model.Middleware], Any]
#: With what runs under its name so far; and, of a service made of others, with what runs as those.
MakeService = Callable[..., Any]

#: Above this a priority is ours.
HIGHEST_PRIORITY = 2**63 - 1 - 1000
#: In which order problems are told.
RANKS = {"middleware": 0, "service": 1, "router": 2}

#: The problems of one definition, by rank and name; routers with one rule, by dialect and rule.
_SaidBy = Layered[tuple[int, str], tuple[Said, ...]]
_Twins = Layered[tuple[str, Node], tuple[Route, ...]]
_Shadows = Layered[tuple[str, Node], tuple[tuple[Route, Problem], ...]]


@dataclass(frozen=True, slots=True)
class Compiled:
    """The parts of a table. ``replaced`` names the services whose live object is another than before.

    ``changes`` is the number of routers and services that came, went or were made anew.
    """

    services: Family = field(default_factory=Family)
    middlewares: Family = field(default_factory=Family)
    routes: Layered[str, Route] = field(default_factory=Layered)
    disabled: Layered[str, tuple[str, ...]] = field(default_factory=Layered)
    said: _SaidBy = field(default_factory=Layered)
    twins: _Twins = field(default_factory=Layered)
    shadows: _Shadows = field(default_factory=Layered)
    indexes: Mapping[str, tuple[HostIndex[Route], HostIndex[Route]]] = field(default_factory=dict)
    asking: Mapping[str, int] = field(default_factory=dict)
    replaced: tuple[str, ...] = ()
    changes: int = 0


def compiling(
    configuration: model.Configuration,
    entry_points: Sequence[model.EntryPoint],
    old: model.Configuration,
    before: Compiled,
    *,
    make_middleware: MakeMiddleware,
    make_service: MakeService,
) -> Generator[None, None, Compiled]:
    """The parts of a table, in steps. ``before`` was made of ``old``, for the same entry points."""
    compiler = _Compiler(configuration, entry_points, old, before)
    yield from compiler.middlewares.making(lambda wanted, running: make_middleware(wanted), _same_settings)
    yield from compiler.serving(make_service)
    yield from compiler.routing()
    return (yield from compiler.closing())


def _same_settings(old: model.Middleware, new: model.Middleware) -> bool:
    return (old.type, old.settings) == (new.type, new.settings)


def _never(old: model.Service, new: model.Service) -> bool:
    return False


class _Complaints:
    """The problems of each definition, on their way. On their own, for who is given ``say`` must not lead back here."""

    def __init__(self, before: _SaidBy) -> None:
        self.draft = before.draft()

    def say(
        self, kind: str, about: model.Router | model.Middleware | model.Service, problems: list[Said]
    ) -> None:
        """These are the problems of a definition now."""
        key = RANKS[kind], about.name
        if problems:
            self.draft[key] = tuple(problems)
        else:
            self.draft.discard(key)


class _Compiler:
    """One run of :func:`compiling`. Nothing it leads to leads back: it holds the old table, which must go with it."""

    def __init__(
        self,
        configuration: model.Configuration,
        entry_points: Sequence[model.EntryPoint],
        old: model.Configuration,
        before: Compiled,
    ) -> None:
        self._complaints = _Complaints(before.said)
        self.services = FamilyDraft(
            "service", before.services, old.services, configuration.services, self._complaints.say
        )
        self.middlewares = FamilyDraft(
            "middleware", before.middlewares, old.middlewares, configuration.middlewares, self._complaints.say
        )
        self._before = before
        self._transports = old.transports, configuration.transports
        self._old: Mapping[str, model.Router] = old.routers
        self._new = configuration.routers
        entry_points = [entry for entry in entry_points if not entry.udp]
        self._points = tuple(entry.name for entry in entry_points)
        self._before_all = {entry.name: entry.middlewares for entry in entry_points if entry.middlewares}
        self._default_points = tuple(entry.name for entry in entry_points if entry.as_default) or self._points
        self._only_tls = frozenset(entry.name for entry in entry_points if entry.tls)
        self._options = NamedOptions(configuration.tls_options)
        self._with_options = {entry.name: entry for entry in entry_points if entry.tls_options or entry.tls}
        self._other_options = old.tls_options != configuration.tls_options
        self._routes = before.routes.draft()
        self._disabled = before.disabled.draft()
        self._twins: Groups[tuple[str, Node], Route] = Groups(before.twins, _name_of, _order_of)
        self._indexes: dict[Place, IndexDraft[Route]] = {}
        self._asking = dict(before.asking)
        self._changes = 0

    def serving(self, make: MakeService) -> Iterator[None]:
        """Make the services: those with servers, and then those that are made of others."""
        services, transports = self.services, Transports(*self._transports)

        def made(definition: model.Service, running: Any, *parts: Any) -> Any:
            return make(transports.resolved(definition), running, *parts)

        yield from services.making(made, _never, transports.users(services.new))
        if services.composed or services.later:
            yield from Composing(services, made).making()
        services.guard(lambda service: service.middlewares, self.middlewares.touched)
        self.middlewares.asking(services)

    def routing(self) -> Iterator[None]:
        """Compile the routers that changed, and those for which something else did."""
        changed, gone = moved(self._old, self._new)
        for name in gone:
            self._refer(name, self._old[name], None)
            self._drop(self._old[name])
            yield
        for name in changed:
            self._refer(name, self._old.get(name), self._new[name])
            yield
        affected = [*self.services.affected(), *self.middlewares.affected()]
        if self._other_options:
            affected += [name for name, one in self._new.items() if self._only_tls or one.tls]
        for name in dict.fromkeys([*changed, *(name for name in affected if name in self._new)]):
            self._compile(self._new[name])
            yield

    def _refer(self, name: str, old: model.Router | None, new: model.Router | None) -> None:
        """Keep the lists of who uses what."""
        for family, before, now in (
            (self.services, _service_of(old), _service_of(new)),
            (self.middlewares, self._middlewares_of(old), self._middlewares_of(new)),
        ):
            for used in before - now:
                family.users.remove(used, name)
            for used in now - before:
                family.users.add(used, name)

    def _middlewares_of(self, router: model.Router | None) -> set[str]:
        if router is None:
            return set()
        # Those of all entry points: one too many only looks at a router once too often.
        every = chain(router.middlewares, *self._before_all.values())
        return {plain(name) for name in every}

    def _drop(self, router: model.Router) -> None:
        """Forget what the last table had of a router."""
        self._changes += 1
        self._disabled.discard(router.name)
        self._complaints.say("router", router, [])
        route = self._routes.get(router.name)
        if route is None:
            return
        self._routes.discard(router.name)
        self._twins.remove((route.router.dialect, route.rule), route)
        self._count(route, -1)
        for place in route.places(self._only_tls):
            self._index(place).remove(route.read.hosts, route.on(place[0]))

    def _put(self, route: Route) -> None:
        self._routes[route.name] = route
        self._twins.add((route.router.dialect, route.rule), route)
        self._count(route, 1)
        for place in route.places(self._only_tls):
            self._index(place).add(route.read.hosts, route.on(place[0]))

    def _count(self, route: Route, step: int) -> None:
        if route.router.tls:
            for name in route.entry_points:
                self._asking[name] = self._asking.get(name, 0) + step

    def _index(self, place: Place) -> IndexDraft[Route]:
        index = self._indexes.get(place)
        if index is None:
            name, encrypted = place
            pair = self._before.indexes.get(name)
            index = self._indexes[place] = (pair[encrypted] if pair else HostIndex[Route]()).draft()
        return index

    def _compile(self, router: model.Router) -> None:
        before = self._routes.get(router.name)
        self._drop(router)
        said: list[Said] = []
        errors: list[ConfigurationError] = []
        read = self._try(errors, self._read, router, before, said)
        service = self._try(errors, self._service, router)
        points = self._entry_points(router, errors, said)
        middlewares = [self._try(errors, self._middleware, router, name) or () for name in router.middlewares]
        if service is not None:
            middlewares += self._of_service(self.services.new[service], errors)
        points, ahead = self._with_middlewares(router, points, errors, said)
        self._try(errors, self._check_options, router, points)
        if router.priority > HIGHEST_PRIORITY and not router.name.endswith(OURS):
            why = f"priority {router.priority} is above the highest allowed, {HIGHEST_PRIORITY}"
            errors.append(ConfigurationError("", why))
        if errors:
            said += [said_of("router", router, error) for error in errors]
            self._disabled[router.name] = tuple(error.why for error in errors)
        else:
            route = Route(
                router.name,
                router,
                read,
                read.matches,
                tuple(chain.from_iterable(middlewares)),
                self.services.live.get(service),
                service,
                priority_of(router),
                points,
            )
            self._put(_varied(route, ahead) if ahead else route)
        self._complaints.say("router", router, said)

    @staticmethod
    def _try(errors: list[ConfigurationError], step: Callable[..., Any], *arguments: object) -> Any:
        """What ``step`` gives, or None with its error added: a router shows all its errors at once."""
        try:
            return step(*arguments)
        except ConfigurationError as error:
            errors.append(bare(error))
            return None

    @staticmethod
    def _read(router: model.Router, before: Route | None, said: list[Said]) -> Read:
        if before is not None and _same_rule(before.router, router):
            read = before.read
        else:
            try:
                read = read_rule(router.rule, router.dialect)
            except ConfigurationError as error:
                why = f"rule {_shortened(router.rule)}: {error.why}" if router.rule.strip() else error.why
                raise ConfigurationError("", printable(why), printable(error.hint)) from None
        said += [Said(problem_of("router", router, why, "", "warning")) for why in read.rule.warnings]
        return read

    def _check_options(self, router: model.Router, points: tuple[str, ...]) -> None:
        """Raise ConfigurationError where a router can't have the TLS options that it is to have."""
        if router.tls:
            self._options.of(router, None)
        for name in points:
            if name in self._with_options:
                self._options.of(router, self._with_options[name])

    def _service(self, router: model.Router) -> str:
        if not router.service:
            raise ConfigurationError("", "it names no service")
        return self.services.find(router.service, router)

    def _of_service(self, service: model.Service, errors: list[ConfigurationError]) -> list[tuple[Any, ...]]:
        """The middlewares of a service, which come after those of the router, and what it hears of exchanges by."""
        own = [self._try(errors, self._middleware, service, name) or () for name in service.middlewares]
        return [*own, getattr(self.services.live.get(service.name), "hooks", ())]

    def _middleware(self, router: model.Router | model.Service, reference: str) -> tuple[Any, ...]:
        """The running middleware, or those that a chain stands for."""
        family = self.middlewares
        name = family.find(reference, router)
        leaves = family.unfolded.get(name, (name,))
        for leaf in leaves:
            family.check(leaf, router)
        return tuple(family.live.get(leaf) for leaf in leaves if leaf not in family.spared)

    def _with_middlewares(
        self,
        router: model.Router,
        points: tuple[str, ...],
        errors: list[ConfigurationError],
        said: list[Said],
    ) -> tuple[tuple[str, ...], dict[str, tuple[Any, ...]]]:
        """The entry points whose own middlewares can be used, and those of each; on the others it must not answer."""
        if not self._before_all:
            return points, {}
        ahead: dict[str, tuple[Any, ...]] = {}
        failed: list[ConfigurationError] = []
        for name in points:
            if name in self._before_all:
                wrong: list[ConfigurationError] = []
                found = [
                    self._try(wrong, self._middleware, router, one) or () for one in self._before_all[name]
                ]
                ahead[name] = tuple(chain.from_iterable(found))
                failed += [ConfigurationError("", f"entryPoint {name}: {one.why}", one.hint) for one in wrong]
                points = tuple(point for point in points if point != name) if wrong else points
        if failed and not points:
            errors += failed
        else:
            said += [said_of("router", router, error) for error in failed]
        return points, {name: ahead[name] for name in points if name in ahead}

    def _entry_points(
        self, router: model.Router, errors: list[ConfigurationError], said: list[Said]
    ) -> tuple[str, ...]:
        if not router.entry_points:
            return self._default_points
        wanted = dict.fromkeys(self._entry_point(name, router) for name in router.entry_points)
        points = tuple(name for name in wanted if name in self._points)
        for name in wanted:
            if name in self._points:
                continue
            why = f'entryPoint "{name}" doesn\'t exist'
            hint = did_you_mean(name, self._points) or f"there is {', '.join(self._points)}"
            if points:
                said.append(Said(problem_of("router", router, why, hint, "warning")))
            else:
                errors.append(ConfigurationError("", why, hint))
        if not points:
            errors.append(ConfigurationError("", "no valid entryPoint for this router"))
        return points

    def _entry_point(self, name: str, router: model.Router) -> str:
        return meant_by_v1(name, self._points) if router.dialect == "v1" else name

    def closing(self) -> Generator[None, None, Compiled]:
        """Put everything in order, and give it."""
        yield from self._twins.closing()
        for users in (self.services.users, self.middlewares.users):
            yield from users.closing()
        for index in self._indexes.values():
            yield from index.closing()
        twins = self._twins.done()
        shadows = self._before.shadows.draft()
        for key in self._twins.open:
            routes = twins.get(key, ())
            problems = tuple(shadowed(routes, self._only_tls)) if len(routes) > 1 else ()
            if problems:
                shadows[key] = problems
            else:
                shadows.discard(key)
            yield
        replaced = tuple(dict.fromkeys(self.services.replaced))
        services = self.services.done()
        yield
        middlewares = self.middlewares.done()
        yield
        routes = self._routes.done()
        yield
        indexes = {}
        for name in self._points:
            indexes[name] = (self._index((name, False)).done(), self._index((name, True)).done())
            yield
        return Compiled(
            services,
            middlewares,
            routes,
            self._disabled.done(),
            self._complaints.draft.done(),
            twins,
            shadows.done(),
            indexes,
            self._asking,
            replaced,
            self._changes + len(replaced),
        )


def _service_of(router: model.Router | None) -> set[str]:
    return set() if router is None else {plain(router.service)}


def _varied(route: Route, ahead: Mapping[str, tuple[Any, ...]]) -> Route:
    """The same with a variant for each entry point that has middlewares of its own, which come first there."""
    variants = {
        name: replace(route, middlewares=(*before, *route.middlewares), entry_points=(name,))
        for name, before in ahead.items()
    }
    return replace(route, variants=variants)


def _same_rule(one: model.Router, other: model.Router) -> bool:
    return one is other or (one.rule, one.dialect) == (other.rule, other.dialect)


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


def _name_of(route: Route) -> str:
    return route.name


def _order_of(route: Route) -> tuple[int, str]:
    return route.order
