"""A rule as a tree: clauses that test an exchange, joined by *and*, *or* and *not*.

A node can be compiled to one callable, printed (in v3's spelling), shown as JSON, and traced: the same tree
with a verdict for every clause. What a rule says about hosts is kept apart (:class:`Hosts`), so that an
index can find the few rules a request may match without trying them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from dynbalancer.core.exchange import Exchange

#: Whether an exchange matches. Where None stands for one, it means: always.
Predicate = Callable[[Exchange], bool]


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts a rule is confined to: whole names, and ``suffixes`` that one label goes before."""

    exact: frozenset[bytes] = frozenset()
    suffixes: frozenset[bytes] = frozenset()

    def __or__(self, other: Hosts) -> Hosts:
        return Hosts(self.exact | other.exact, self.suffixes | other.suffixes)

    def __contains__(self, host: bytes) -> bool:
        if host in self.exact:
            return True
        label, dot, suffix = host.partition(b".")
        return bool(label and dot) and suffix in self.suffixes


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a matcher and its arguments come to: a predicate, or the hosts it must be for.

    ``warnings`` say which of its arguments are left out, or probably don't mean what they should.
    """

    predicate: Predicate | None = None
    hosts: Hosts | None = None
    warnings: tuple[str, ...] = ()


class Node:
    """A rule or a part of one."""

    __slots__ = ()

    @property
    def children(self) -> tuple[Node, ...]:
        """The parts, in the order written."""
        return ()

    def hosts(self) -> Hosts | None:
        """The hosts outside of which this can't match, or None where it may match on any."""
        return None

    def predicate(self) -> Predicate | None:
        """Whether an exchange matches; None where every exchange does."""
        raise NotImplementedError

    def compile(self) -> Predicate | None:
        """What is left to test once the exchange is known to be for one of :meth:`hosts`; None: nothing."""
        return self.predicate()

    def trace(self, exchange: Exchange) -> Trace:
        """This tree with a verdict for every clause."""
        raise NotImplementedError

    def as_dict(self) -> dict[str, Any]:
        """This tree for JSON."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Match(Node):
    """One call of a matcher. ``arguments`` are kept as written, without their quotes."""

    matcher: str
    arguments: tuple[str, ...]
    meaning: Meaning = field(compare=False, repr=False)

    def hosts(self) -> Hosts | None:
        return self.meaning.hosts

    def predicate(self) -> Predicate | None:
        hosts = self.meaning.hosts
        if hosts is None:
            return self.meaning.predicate
        if not hosts.suffixes:
            exact = hosts.exact
            return lambda exchange: exchange.head.host in exact
        return lambda exchange: exchange.head.host in hosts

    def compile(self) -> Predicate | None:
        return None if self.meaning.hosts is not None else self.meaning.predicate

    def trace(self, exchange: Exchange) -> Trace:
        test = self.predicate()
        return Trace(self, test is None or test(exchange))

    def as_dict(self) -> dict[str, Any]:
        return {"matcher": self.matcher, "arguments": list(self.arguments)}

    def __str__(self) -> str:
        return f"{self.matcher}({', '.join(map(quoted, self.arguments))})"


@dataclass(frozen=True, slots=True)
class And(Node):
    """Every part matches. Without parts it matches everything."""

    parts: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return self.parts

    def hosts(self) -> Hosts | None:
        return next((found for found in _hosts_of(self.parts) if found is not None), None)

    def predicate(self) -> Predicate | None:
        return all_of([part.predicate() for part in self.parts])

    def compile(self) -> Predicate | None:
        # The index answers for the first part that is confined to hosts; the others are tested in full.
        confined = next((part for part in self.parts if part.hosts() is not None), None)
        return all_of([part.compile() if part is confined else part.predicate() for part in self.parts])

    def trace(self, exchange: Exchange) -> Trace:
        traces = tuple(part.trace(exchange) for part in self.parts)
        return Trace(self, all(trace.matched for trace in traces), traces)

    def as_dict(self) -> dict[str, Any]:
        return {"op": "and", "children": [part.as_dict() for part in self.parts]}

    def __str__(self) -> str:
        return " && ".join(f"({part})" if isinstance(part, And | Or) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or(Node):
    """Some part matches. Without parts it matches nothing."""

    parts: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return self.parts

    def hosts(self) -> Hosts | None:
        together = Hosts()
        for found in _hosts_of(self.parts):
            if found is None:
                return None
            together |= found
        return together

    def predicate(self) -> Predicate | None:
        return any_of([part.predicate() for part in self.parts])

    def compile(self) -> Predicate | None:
        # The index knows that one of the hosts was asked for, not which: only a rule of mere hosts is done.
        if self.hosts() is not None and all(part.compile() is None for part in self.parts):
            return None
        return self.predicate()

    def trace(self, exchange: Exchange) -> Trace:
        traces = tuple(part.trace(exchange) for part in self.parts)
        return Trace(self, any(trace.matched for trace in traces), traces)

    def as_dict(self) -> dict[str, Any]:
        return {"op": "or", "children": [part.as_dict() for part in self.parts]}

    def __str__(self) -> str:
        return " || ".join(f"({part})" if isinstance(part, Or) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not(Node):
    """The part does not match."""

    part: Node

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.part,)

    def predicate(self) -> Predicate | None:
        test = self.part.predicate()
        if test is None:
            return never
        return lambda exchange: not test(exchange)

    def trace(self, exchange: Exchange) -> Trace:
        inner = self.part.trace(exchange)
        return Trace(self, not inner.matched, (inner,))

    def as_dict(self) -> dict[str, Any]:
        return {"op": "not", "children": [self.part.as_dict()]}

    def __str__(self) -> str:
        return f"!({self.part})" if isinstance(self.part, And | Or) else f"!{self.part}"


@dataclass(frozen=True, slots=True)
class Trace:
    """A node with the verdict on one exchange, and those of its children."""

    node: Node
    matched: bool
    children: tuple[Trace, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The tree for JSON, with ``matched`` in every node."""
        shown = self.node.as_dict() | {"matched": self.matched}
        if self.children:
            shown["children"] = [child.as_dict() for child in self.children]
        return shown

    def clauses(self) -> Iterator[Trace]:
        """The clauses that decided it, in the order written."""
        if not self.children:
            yield self
        for child in self.children:
            # In an and that failed only its failed parts decided, and so on: those with the whole's verdict.
            if isinstance(self.node, Not) or child.matched == self.matched:
                yield from child.clauses()


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that was read. ``modifiers`` are v1's calls that change the request, in the order in which they
    run; ``warnings`` say what was read but can't be used."""

    node: Node
    modifiers: tuple[tuple[str, tuple[str, ...]], ...] = ()
    warnings: tuple[str, ...] = ()


def never(exchange: Exchange) -> bool:
    """Matches nothing."""
    return False


def all_of(predicates: Sequence[Predicate | None]) -> Predicate | None:
    """True where each of them is."""
    tests = tuple(test for test in predicates if test is not None)
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda exchange: first(exchange) and second(exchange)

    def every(exchange: Exchange) -> bool:
        for test in tests:  # noqa: SIM110  (a generator would double the cost per request)
            if not test(exchange):
                return False
        return True

    return every


def any_of(predicates: Sequence[Predicate | None]) -> Predicate | None:
    """True where one of them is."""
    tests = tuple(test for test in predicates if test is not None)
    if len(tests) < len(predicates):
        return None
    if len(tests) == 1:
        return tests[0]

    def some(exchange: Exchange) -> bool:
        for test in tests:  # noqa: SIM110
            if test(exchange):
                return True
        return False

    return some


def quoted(argument: str) -> str:
    """An argument as v3 writes it: in backticks where that is possible, else in double quotes."""
    if argument.isprintable() and "`" not in argument:
        return f"`{argument}`"
    return f'"{"".join(map(_escaped, argument))}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _hosts_of(nodes: Iterable[Node]) -> Iterator[Hosts | None]:
    return (node.hosts() for node in nodes)
