"""Routers that never get a request, because another one is asked first and takes everything that they match.

Only what is certain is said: a rule covers another where that follows from their hosts, paths, methods and addresses,
or from their being written alike. Regular expressions are compared as texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TypeGuard

from dynbalancer.core.routes import Route, problem_of
from dynbalancer.core.rules.matchers import path_bytes
from dynbalancer.core.rules.templates import is_template
from dynbalancer.core.rules.tree import And, Match, Node, Not, Or
from dynbalancer.errors import Problem

#: Tables with more routers are not looked at, and at most so many pairs of routers are compared.
MOST_ROUTES = 20_000
MOST_PAIRS = 200_000

_PREFIXES = ("PathPrefix", "PathPrefixStrip")
_PATHS = ("Path", "PathStrip")
_ANY = frozenset((".*", "^.*$", "(.*)", "{any:.*}", "{host:.*}", "{catchall:.*}"))
_ANY_NAME = frozenset((".+", "^.+$", "(.+)", "{any:.+}", "{host:.+}", "{catchall:.+}"))


def unreachable(routes: Sequence[Route], only_tls: frozenset[str]) -> tuple[Problem, ...]:
    """A problem for each route that never gets a request. ``routes`` are in the order of trial.

    Routers with the very same rule are left to :func:`~dynbalancer.core.routes.shadowed`.
    """
    if len(routes) > MOST_ROUTES:
        return ()
    impossible = [_never(route, apart) for route in routes if (apart := _apart(route.rule))]
    return (*impossible, *_found(routes, only_tls))


def _found(routes: Sequence[Route], only_tls: frozenset[str]) -> Iterator[Problem]:
    earlier = _Earlier()
    pairs = 0
    for route in routes:
        candidates = earlier.candidates(route)
        pairs += len(candidates)
        if pairs > MOST_PAIRS:
            return
        winner = _winner(route, candidates, only_tls) if candidates else None
        if winner is not None and not _alike(winner, route):
            yield _problem(winner, route)
        earlier.add(route)


def _winner(route: Route, candidates: Sequence[Route], only_tls: frozenset[str]) -> Route | None:
    """The last of those that together take everything from it, wherever it answers; None where something is left."""
    left = set(route.places(only_tls))
    for candidate in candidates:
        shared = left.intersection(candidate.places(only_tls))
        if shared and covers(_Rule.of(candidate), _Rule.of(route)):
            left -= shared
            if not left:
                return candidate
    return None


def _apart(node: Node) -> str:
    """What no request can be at once, where a rule asks for it: two hosts, or two methods."""
    parts = node.children if isinstance(node, And) else ()
    for what, sets in (
        ("host", [set(h.exact) for part in parts if (h := part.hosts()) is not None and not h.suffixes]),
        ("method", [{a.upper() for a in part.arguments} for part in parts if _is_method(part)]),
    ):
        if len(sets) > 1 and not set.intersection(*sets):
            return what
    return ""


def _is_method(node: Node) -> TypeGuard[Match]:
    return isinstance(node, Match) and node.matcher == "Method"


def _never(route: Route, what: str) -> Problem:
    why = f"never gets a request: its rule {route.router.rule} asks for one {what} and another at once"
    either = (
        "put them into one, with a comma between" if route.router.dialect == "v1" else "write || between them"
    )
    return problem_of("router", route.router, why, either, "warning")


class _Earlier:
    """The routes that are asked before, by the hosts that they are for."""

    def __init__(self) -> None:
        self._by_host: dict[bytes, list[Route]] = {}
        self._anywhere: list[Route] = []

    def add(self, route: Route) -> None:
        hosts = route.read.hosts
        if hosts is None or hosts.suffixes:
            self._anywhere.append(route)
            return
        for host in hosts.exact:
            self._by_host.setdefault(host, []).append(route)

    def candidates(self, route: Route) -> list[Route]:
        """Whoever covers it must be for each of its hosts, so one of them finds him."""
        hosts = route.read.hosts
        if hosts is None or not hosts.exact:
            return self._anywhere
        found = self._by_host.get(next(iter(hosts.exact)))
        return [*found, *self._anywhere] if found else self._anywhere


def _alike(one: Route, other: Route) -> bool:
    return one.router.dialect == other.router.dialect and one.rule == other.rule


def _problem(winner: Route, route: Route) -> Problem:
    if winner.name.endswith("@internal"):
        # Nothing goes before that, whatever its priority.
        why = f"never gets a request: {', '.join(winner.entry_points)} redirects all of them"
        return problem_of(
            "router", route.router, why, "attach it to the entry point that they lead to", "warning"
        )
    if winner.priority == route.priority:
        order = "with the same priority, and its name comes first"
    else:
        order = f"with priority {winner.priority} against {route.priority}"
    why = f"never gets a request: router {winner.name} (rule {winner.router.rule}) takes all of them, {order}"
    hint = "give this one a higher priority, or change one of the rules"
    return problem_of("router", route.router, why, hint, "warning")


@dataclass(frozen=True, slots=True)
class _Rule:
    """A part of a rule, and the dialect it was read in."""

    node: Node
    dialect: str

    @classmethod
    def of(cls, route: Route) -> _Rule:
        return cls(route.rule, route.router.dialect)

    @property
    def parts(self) -> list[_Rule]:
        return [_Rule(part, self.dialect) for part in self.node.children]


def covers(wide: _Rule, narrow: _Rule) -> bool:
    """Whether it is certain that ``wide`` matches whatever ``narrow`` does."""
    if isinstance(wide.node, And):
        return all(covers(part, narrow) for part in wide.parts)
    if isinstance(narrow.node, Or):
        return all(covers(wide, part) for part in narrow.parts)
    if isinstance(wide.node, Or) and any(covers(part, narrow) for part in wide.parts):
        return True
    if isinstance(narrow.node, And):
        # What is said of hosts in several places is one thing: And knows it, its parts don't.
        return any(covers(wide, part) for part in narrow.parts)
    if isinstance(wide.node, Not) and isinstance(narrow.node, Not):
        return covers(_Rule(narrow.node.part, narrow.dialect), _Rule(wide.node.part, wide.dialect))
    if isinstance(wide.node, Match):
        return _takes(wide.node, wide.dialect, narrow)
    return False


def _takes(wide: Match, dialect: str, narrow: _Rule) -> bool:
    if wide.meaning.hosts is None and wide.meaning.predicate is None:
        # Host(`*`).
        return True
    if wide.matcher == "HostRegexp" and len(wide.arguments) == 1:
        if wide.arguments[0] in _ANY:
            return True
        if wide.arguments[0] in _ANY_NAME and narrow.node.hosts() is not None:
            return True
    if wide.matcher in _PREFIXES and _literals(wide, dialect) == (b"/",):
        return True
    if not isinstance(narrow.node, Match):
        return False
    if narrow.dialect == dialect and narrow.node == wide:
        return True
    if wide.meaning.hosts is not None:
        return _covers_hosts(wide, narrow.node)
    compare = _COMPARED.get(wide.matcher)
    return compare is not None and compare(wide, dialect, narrow.node, narrow.dialect)


def _covers_hosts(wide: Match, narrow: Match) -> bool:
    mine, theirs = wide.meaning.hosts, narrow.meaning.hosts
    if mine is None or theirs is None:
        return False
    return theirs.suffixes <= mine.suffixes and all(host in mine for host in theirs.exact)


def _literals(match: Match, dialect: str) -> tuple[bytes, ...]:
    """The paths of a matcher as octets; nothing where one of them is a template."""
    if dialect != "v3" and any(map(is_template, match.arguments)):
        return ()
    return tuple(path_bytes(argument) for argument in match.arguments)


def _covers_paths(wide: Match, dialect: str, narrow: Match, other: str) -> bool:
    prefixed = wide.matcher in _PREFIXES
    if narrow.matcher not in (*_PATHS, *(_PREFIXES if prefixed else ())):
        return False
    mine, theirs = _literals(wide, dialect), _literals(narrow, other)
    if not mine or not theirs:
        return False
    return all(path.startswith(mine) if prefixed else path in mine for path in theirs)


def _covers_methods(wide: Match, dialect: str, narrow: Match, other: str) -> bool:
    mine, theirs = ({argument.upper() for argument in match.arguments} for match in (wide, narrow))
    return narrow.matcher == "Method" and theirs <= mine


def _covers_clients(wide: Match, dialect: str, narrow: Match, other: str) -> bool:
    if narrow.matcher != "ClientIP":
        return False
    mine, theirs = (
        [ip_network(argument.strip(), strict=False) for argument in match.arguments]
        for match in (wide, narrow)
    )
    return all(any(_within(inner, outer) for outer in mine) for inner in theirs)


def _within(inner: object, outer: object) -> bool:
    try:
        return bool(inner.subnet_of(outer))  # type: ignore[attr-defined]
    except TypeError:
        return False


_COMPARED: Mapping[str, Callable[[Match, str, Match, str], bool]] = {
    **dict.fromkeys((*_PREFIXES, *_PATHS), _covers_paths),
    "Method": _covers_methods,
    "ClientIP": _covers_clients,
}
