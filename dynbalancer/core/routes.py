"""A router, compiled: what of it a table needs to route by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from dynbalancer.core import model
from dynbalancer.core.rules.parser import default_priority, read
from dynbalancer.core.rules.tree import Hosts, Node, Predicate, Rule
from dynbalancer.errors import Problem

#: An entry point, and whether it is for encrypted exchanges there.
Place = tuple[str, bool]

#: Rules that are remembered beside those in use: containers come back.
_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Read:
    """All that a table needs of a rule."""

    rule: Rule
    hosts: Hosts | None
    matches: Predicate | None


@lru_cache(maxsize=_REMEMBERED)
def read_rule(text: str, dialect: str) -> Read:
    """A rule, read. Raises ConfigurationError with ``rule`` for its place."""
    rule = read(text, dialect)
    return Read(rule, rule.node.hosts(), rule.node.compile())


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A router, compiled. ``matches`` tests what the host index didn't; None: nothing.

    ``variants`` take its place on entry points that have middlewares of their own.
    """

    name: str
    router: model.Router
    read: Read
    matches: Predicate | None
    middlewares: tuple[Any, ...]
    service: Any
    service_name: str
    priority: int
    entry_points: tuple[str, ...]
    variants: Mapping[str, Route] = field(default_factory=lambda: model.NOTHING)
    #: Those of the middlewares that want to hear of the end.
    finishing: tuple[Any, ...] = field(init=False)

    def __post_init__(self) -> None:
        finishing = tuple(one for one in self.middlewares if getattr(one, "on_finish", None) is not None)
        object.__setattr__(self, "finishing", finishing)

    def on(self, entry_point: str) -> Route:
        """The one that answers there."""
        return self.variants.get(entry_point, self)

    @property
    def rule(self) -> Node:
        """The rule as a tree."""
        return self.read.rule.node

    @property
    def order(self) -> tuple[int, str]:
        """Those with less come first. Traefik leaves open which of two equal ones does; here the name decides."""
        return -self.priority, self.name

    @property
    def schemes(self) -> tuple[bool, ...]:
        """Whether it takes encrypted exchanges by itself: v3's routers do or don't, v1's take both."""
        return (False, True) if self.router.dialect == "v1" else (self.router.tls,)

    def places(self, only_tls: frozenset[str]) -> list[Place]:
        """Where it answers. Entry points of ``only_tls`` have nothing but encrypted exchanges."""
        return [
            (name, encrypted)
            for name in self.entry_points
            for encrypted in ((True,) if name in only_tls else self.schemes)
        ]


def priority_of(router: model.Router) -> int:
    """The priority a router was given, or that of its rule. v1 knows none below 1."""
    if router.priority > 0 or (router.priority and router.dialect != "v1"):
        return router.priority
    return default_priority(router.rule, router.dialect)


def problem_of(
    kind: str,
    about: model.Router | model.Middleware | model.Service,
    why: str,
    hint: str = "",
    severity: str = "error",
) -> Problem:
    """A problem of a definition, with its place in the reader's words."""
    origin = f" of {about.origin}" if about.origin else ""
    return Problem(f"{kind} {about.name}{origin}", why, hint, severity)


def shadowed(routes: Sequence[Route], only_tls: frozenset[str]) -> Iterator[tuple[Route, Problem]]:
    """Of routes with the same rule, in the order of trial, those that another keeps requests from."""
    first: dict[Place, Route] = {}
    for route in routes:
        winners = [first.setdefault(place, route) for place in route.places(only_tls)]
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
        hint = "change the rule or the priority of one of them"
        yield route, problem_of("router", route.router, why, hint, "warning")
