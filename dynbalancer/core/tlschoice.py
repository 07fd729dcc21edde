"""Which TLS options hold for which server name at which entry point, and which routers are behind them.

A client names a host when TLS begins, and is let in by the options of that host; the requests on its connection may
name another one. Whoever asks for a host with other options is misdirected (RFC 9110 section 15.5.20), and what wants
certificates of clients is never reached without one, whatever host led there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dynbalancer.core.layered import Layered
from dynbalancer.core.model import Configuration, EntryPoint, Router, TLSOptions
from dynbalancer.core.references import OURS, MissingError, found, plain
from dynbalancer.core.routes import Route, problem_of
from dynbalancer.core.streams import StreamRouter
from dynbalancer.errors import ConfigurationError, Problem, did_you_mean

#: What holds where nobody says otherwise; and what is known where somebody else spoke TLS.
BUILT_IN = TLSOptions("default")
UNNAMED = TLSOptions("")


class NamedOptions:
    """The sets of options of a configuration, as routers refer to them. ``default`` is the one without a name."""

    def __init__(self, options: Mapping[str, TLSOptions]) -> None:
        self._options = options
        self._by_plain: Layered[str, tuple[str, ...]] | None = None
        self.default = _default(options)

    def find(self, reference: str, owner: str) -> TLSOptions:
        """What a router means. Raises ConfigurationError where there is none such, or it can't be used."""
        options = self.default if not reference else self._named(reference, owner)
        if options.broken:
            raise ConfigurationError("", f"TLS options {options.name} can't be used: {options.broken}")
        return options

    def _named(self, reference: str, owner: str) -> TLSOptions:
        if self._by_plain is None:
            names: dict[str, tuple[str, ...]] = {}
            for name in self._options:
                names[plain(name)] = (*names.get(plain(name), ()), name)
            self._by_plain = Layered(names)
        try:
            return self._options[found("TLS options", reference, owner, self._options, self._by_plain)]
        except MissingError as error:
            near = did_you_mean(error.missing.full, self._options)
            raise ConfigurationError("", f"unknown TLS options: {error.missing.full}", near) from None

    def of(self, router: Router, point: EntryPoint | None) -> TLSOptions:
        """The options of a router at an entry point. Raises ConfigurationError.

        A router with ``tls`` of its own has its own, or the default ones. But what an entry point of Traefik 1 asks of
        clients it asks of all.
        """
        if router.tls_options:
            return self.find(router.tls_options, router.name)
        if point is not None and point.tls_options and (not router.tls or point.tls_options.endswith(OURS)):
            return self.find(point.tls_options, router.name)
        return self.find("", router.name)

    def of_stream(self, router: StreamRouter, points: Iterable[EntryPoint]) -> TLSOptions:
        """The options of a router of connections. Raises ConfigurationError."""
        asked = (point.tls_options for point in points if point.tls_options.endswith(OURS))
        return self.find(router.tls_options or next(asked, ""), router.name)


def _default(options: Mapping[str, TLSOptions]) -> TLSOptions:
    """The options named default. Of several none counts, as in Traefik, unless they were to keep somebody out."""
    named = [one for name, one in options.items() if plain(name) == "default"]
    if len(named) > 1:
        if not any(one.demands for one in named):
            return BUILT_IN
        return TLSOptions("default", broken=_several(named))
    return named[0] if named else BUILT_IN


def _several(named: Iterable[TLSOptions]) -> str:
    return f"more than one is named default: {', '.join(sorted(one.name for one in named))}"


@dataclass(frozen=True, slots=True)
class Choice:
    """The options of one entry point: by host, and ``default`` for all other names and for none."""

    default: TLSOptions = BUILT_IN
    by_host: Mapping[bytes, TLSOptions] = field(default_factory=dict)

    def of(self, host: bytes) -> TLSOptions:
        """The options for a host, in small letters and without the dot of the root."""
        options = self.by_host.get(host)
        if options is None:
            label, dot, parent = host.partition(b".")
            options = self.by_host.get(b"*." + parent) if label and dot else None
        return self.default if options is None else options


@dataclass(frozen=True, slots=True)
class Choices:
    """All of a table. ``locked`` has the options of those routers that want certificates of clients, by entry point
    and name.
    """

    points: Mapping[str, Choice] = field(default_factory=dict)
    locked: Mapping[tuple[str, str], TLSOptions] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def at(self, entry_point: str) -> Choice:
        """The options of an entry point."""
        return self.points.get(entry_point, _USUAL)

    @property
    def guard(self) -> bool:
        """Whether a request has to be compared with the handshake that it came after."""
        return bool(self.locked) or any(one.by_host or one.default.demands for one in self.points.values())

    def misdirects(
        self, entry_point: str, host: bytes, route: Route | None, given: TLSOptions | None
    ) -> bool:
        """Whether a request is on the wrong connection: one that was begun with ``given``. None: nobody knows."""
        if given is None:
            return False
        wanted = self.at(entry_point).of(host)
        if wanted.admission != given.admission or (given.name and wanted.name != given.name):
            return True
        locked = None if route is None else self.locked.get((entry_point, route.name))
        return locked is not None and locked.admission != given.admission


_USUAL = Choice()


class _Choosing:
    """One run of :func:`choosing`."""

    def __init__(self, named: NamedOptions, points: Sequence[EntryPoint]) -> None:
        self._named = named
        self._points = {point.name: point for point in points}
        self.hosts: dict[tuple[str, bytes], list[tuple[Route, TLSOptions]]] = {}
        self.locked: dict[tuple[str, str], TLSOptions] = {}
        self.problems: list[Problem] = []
        self.defaults = {point.name: self._default_of(point) for point in points}

    def _default_of(self, point: EntryPoint) -> TLSOptions:
        if not point.tls_options:
            return self._named.default
        try:
            return self._named.find(point.tls_options, "")
        except ConfigurationError as error:
            self.problems.append(Problem(f"entryPoint {point.name}", error.why, error.hint))
            return TLSOptions(point.tls_options, broken=error.why)

    def add(self, route: Route, point: EntryPoint) -> None:
        """Take what a route wants at an entry point where it answers over TLS."""
        router = route.router
        try:
            options = self._named.of(router, point)
        except ConfigurationError as error:
            # It answers without TLS as well.
            options = TLSOptions(router.tls_options or point.tls_options or "default", broken=error.why)
        if options.demands:
            self.locked[point.name, route.name] = options
        if (
            point.tls_options
            and router.tls
            and not router.tls_options
            and not point.tls_options.endswith(OURS)
        ):
            why = f"its own tls takes the place of TLS options {point.tls_options} of entryPoint {point.name}"
            hint = f"write tls.options: {point.tls_options} to have these"
            if options != self.defaults[point.name]:
                self._say(route, why, hint, "warning")
        hosts = route.read.hosts
        if hosts is None:
            self._add_without_host(route, options, self.defaults[point.name])
            return
        for host in (*hosts.exact, *(b"*." + suffix for suffix in hosts.suffixes)):
            self.hosts.setdefault((point.name, host), []).append((route, options))

    def _add_without_host(self, route: Route, options: TLSOptions, default: TLSOptions) -> None:
        if options == default:
            return
        why = f"its rule names no host to choose TLS options {options.name} by; {default.name} are in force"
        if options.demands and options.admission != default.admission:
            hint = (
                "write Host(`…`): until then 421 is the answer, since these keep out who has no certificate"
            )
            self._say(route, why, hint)
        else:
            self._say(route, why, "write Host(`…`)", "warning")

    def settle(self, name: str, host: bytes, wanted: list[tuple[Route, TLSOptions]]) -> TLSOptions:
        """The options of a host. Where its routers don't agree, the default ones, as in Traefik."""
        default = self.defaults[name]
        if all(options == wanted[0][1] for _, options in wanted):
            return wanted[0][1]
        for route, options in wanted:
            shown = host.decode("ascii", "replace")
            why = f"found different TLS options for routers on the same host {shown}, so {default.name} are in force"
            if options.demands and options.admission != default.admission:
                hint = "give them the same: until then 421 is the answer, since these keep out who has no certificate"
                self._say(route, why, hint)
            else:
                self._say(route, why, "give them the same", "warning")
        return default

    def _say(self, route: Route, why: str, hint: str, severity: str = "error") -> None:
        self.problems.append(problem_of("router", route.router, why, hint, severity))


def with_objections(configuration: Configuration, objection: Callable[[TLSOptions], str]) -> Configuration:
    """The same with those TLS options marked broken that can't be obeyed, as ``objection`` says."""
    broken = {
        name: replace(options, broken=why)
        for name, options in configuration.tls_options.items()
        if not options.broken and (why := objection(options))
    }
    if not broken:
        return configuration
    return replace(configuration, tls_options={**configuration.tls_options, **broken})


def choosing(
    configuration: Configuration, routes: Mapping[str, Route], entry_points: Sequence[EntryPoint]
) -> Generator[None, None, Choices]:
    """The choices of a table, in steps. Where there are no options but the default ones, there is just one step."""
    points = [point for point in entry_points if not point.udp]
    options = configuration.tls_options
    if not options and not any(point.tls_options for point in points):
        return NO_CHOICES
    chosen = _Choosing(NamedOptions(options), points)
    several = [one for name, one in options.items() if plain(name) == "default"]
    if len(several) > 1:
        chosen.problems.append(Problem("tls.options.default", _several(several), "keep one of them"))
    if len(several) == len(options) and not any(point.tls_options for point in points):
        # Whoever comes in comes in by these.
        return Choices(
            {name: Choice(one) for name, one in chosen.defaults.items()}, {}, tuple(chosen.problems)
        )
    only_tls = frozenset(point.name for point in points if point.tls)
    by_name = {point.name: point for point in points}
    for route in routes.values():
        for name, encrypted in route.places(only_tls):
            if encrypted and name in by_name:
                chosen.add(route, by_name[name])
        yield
    by_host: dict[str, dict[bytes, TLSOptions]] = {point.name: {} for point in points}
    for (name, host), wanted in chosen.hosts.items():
        by_host[name][host] = chosen.settle(name, host, wanted)
        yield
    choices = {
        name: Choice(default, _other(by_host[name], default)) for name, default in chosen.defaults.items()
    }
    return Choices(choices, chosen.locked, tuple(dict.fromkeys(chosen.problems)))


def _other(by_host: Mapping[bytes, TLSOptions], default: TLSOptions) -> Mapping[bytes, TLSOptions]:
    """The same, or nothing where it is all alike."""
    return by_host if any(options != default for options in by_host.values()) else {}


NO_CHOICES = Choices()
