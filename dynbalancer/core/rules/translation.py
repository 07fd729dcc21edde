"""Rules of one version in the words of another: v1 and v2 as v3, and v3 as v1 as far as v1 has words for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from dynbalancer.core.rules import parser, v3
from dynbalancer.core.rules.templates import is_template, pattern_of
from dynbalancer.core.rules.tree import And, Match, Node, Or
from dynbalancer.errors import ConfigurationError

Arguments = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Translation:
    """A rule in other words. ``notes`` say where it doesn't mean quite the same."""

    rule: str
    notes: tuple[str, ...] = ()


class UntranslatableError(Exception):
    """A rule, or a part of one, that the other version has no words for: why."""


def to_v3(rule: str, dialect: str) -> Translation:
    """A rule in v3's words. Raises ConfigurationError where it can't be read."""
    node = parser.parse(rule, dialect)
    if dialect == "v3":
        return Translation(rule)
    notes: list[str] = []
    return Translation(str(_in_v3(node, dialect, notes)), tuple(dict.fromkeys(notes)))


def _in_v3(node: Node, dialect: str, notes: list[str]) -> Node:
    if isinstance(node, Match):
        return _MATCHERS[node.matcher](node.arguments, dialect, notes)
    parts = tuple(_in_v3(part, dialect, notes) for part in node.children)
    if isinstance(node, Or):
        return Or(_flat(parts, Or))
    if isinstance(node, And):
        # A rule of v1 that only changes requests matches all of them.
        return And(_flat(parts, And)) if parts else v3.clause("PathPrefix", "/")
    return type(node)(parts[0])  # type: ignore[call-arg]


def _flat(parts: Iterable[Node], kind: type[And] | type[Or]) -> tuple[Node, ...]:
    return tuple(leaf for part in parts for leaf in (part.children if isinstance(part, kind) else (part,)))


def _any(nodes: Iterable[Node]) -> Node:
    found = tuple(nodes)
    return found[0] if len(found) == 1 else Or(found)


def _all(nodes: Iterable[Node]) -> Node:
    found = tuple(nodes)
    return found[0] if len(found) == 1 else And(found)


def _hosts(arguments: Arguments, dialect: str, notes: list[str]) -> Node:
    # v1 leaves out names that no request can have.
    return _any(v3.clause("Host", name) for name in _good(arguments, "Host"))


def _good(arguments: Arguments, matcher: str) -> Iterator[str]:
    for argument in arguments:
        try:
            v3.clause(matcher, argument)
        except ConfigurationError:
            continue
        yield argument


def _host_templates(arguments: Arguments, dialect: str, notes: list[str]) -> Node:
    return _any(v3.clause("HostRegexp", f"(?i)^{pattern_of(one, '[^.]+')}$") for one in arguments)


def _paths(end: str) -> Callable[[Arguments, str, list[str]], Node]:
    literal = "Path" if end else "PathPrefix"

    def translated(arguments: Arguments, dialect: str, notes: list[str]) -> Node:
        return _any(
            v3.clause("PathRegexp", f"^{pattern_of(one, '[^/]+')}{end}")
            if is_template(one)
            else v3.clause(literal, one)
            for one in arguments
        )

    return translated


def _methods(arguments: Arguments, dialect: str, notes: list[str]) -> Node:
    return _any(v3.clause("Method", one.upper()) for one in arguments)


def _clients(arguments: Arguments, dialect: str, notes: list[str]) -> Node:
    return _any(v3.clause("ClientIP", one.strip()) for one in arguments)


def _headers(arguments: Arguments, dialect: str, notes: list[str]) -> Node:
    pairs = zip(arguments[::2], arguments[1::2], strict=True)
    return _all(
        # An empty value stands for any in v1, and for itself in v2.
        v3.clause("Header", name, value)
        if value or dialect != "v1"
        else v3.clause("HeaderRegexp", name, ".*")
        for name, value in pairs
    )


def _headers_regexp(arguments: Arguments, dialect: str, notes: list[str]) -> Node:
    pairs = zip(arguments[::2], arguments[1::2], strict=True)
    return _all(v3.clause("HeaderRegexp", name, pattern) for name, pattern in pairs)


def _query(arguments: Arguments, dialect: str, notes: list[str]) -> Node:
    notes.append("of a parameter that is there several times v1 looks at the first, v3 at all")
    return _all(_query_item(argument) for argument in arguments)


def _query_item(argument: str) -> Node:
    name, _, value = argument.partition("=")
    if value and not is_template(value):
        return v3.clause("Query", name, value)
    return v3.clause("QueryRegexp", name, f"^{pattern_of(value, '.*')}$" if value else ".*")


_MATCHERS: Mapping[str, Callable[[Arguments, str, list[str]], Node]] = {
    "Host": _hosts,
    "HostHeader": _hosts,
    "HostRegexp": _host_templates,
    "Path": _paths("$"),
    "PathPrefix": _paths(""),
    "PathStrip": _paths("$"),
    "PathStripRegex": _paths("$"),
    "PathPrefixStrip": _paths(""),
    "PathPrefixStripRegex": _paths(""),
    "Method": _methods,
    "ClientIP": _clients,
    "Headers": _headers,
    "HeadersRegexp": _headers_regexp,
    "Query": _query,
}


def to_v1(rule: str, dialect: str) -> Translation:
    """A rule in v1's words. Raises UntranslatableError where v1 has none, ConfigurationError where it can't be read."""
    if dialect == "v1":
        return Translation(rule)
    node = parser.parse(to_v3(rule, dialect).rule, "v3")
    parts = _flat((node,), And)
    calls = [_v1_call(part) for part in parts]
    names = [name for name, _ in calls]
    # Routes of v1 are tested all, so that a name may be there twice.
    return Translation(";".join(f"{name}:{arguments}" for name, arguments in calls), _v1_notes(names))


def _v1_notes(names: Iterable[str]) -> tuple[str, ...]:
    why = "of a parameter that is there several times v1 looks at the first, v3 at all"
    return (why,) if "Query" in names else ()


def _v1_call(node: Node) -> tuple[str, str]:
    leaves = _flat((node,), Or)
    if not all(isinstance(leaf, Match) for leaf in leaves):
        raise UntranslatableError(f"{node}: v1 knows neither ! nor || between parts of a rule")
    matches = [leaf for leaf in leaves if isinstance(leaf, Match)]
    names = {match.matcher for match in matches}
    if len(names) > 1:
        raise UntranslatableError(f"{node}: v1 knows no || between {' and '.join(sorted(names))}")
    name = names.pop()
    make = _IN_V1.get(name)
    if make is None or (
        len(matches) > 1 and name not in ("Host", "Path", "PathPrefix", "Method", "HostRegexp")
    ):
        raise UntranslatableError(f"{node}: v1 has no words for it")
    return make[0], ",".join(make[1](match.arguments) for match in matches)


def _plain(arguments: Arguments) -> str:
    (found,) = arguments
    if not found or set(found) & set(",;{}") or found != found.strip() or found.startswith("*"):
        raise UntranslatableError(f"{found}: it can't stand in a rule of v1")
    return found


def _pair(arguments: Arguments) -> str:
    if not arguments[1] or any(set(argument) & set(",;") for argument in arguments):
        raise UntranslatableError(f"{', '.join(arguments)}: it can't stand in a rule of v1")
    return ",".join(arguments)


def _item(arguments: Arguments) -> str:
    if len(arguments) < 2 or not arguments[1] or any(set(argument) & set(",;{}=") for argument in arguments):
        raise UntranslatableError(f"Query({', '.join(arguments)}): it can't stand in a rule of v1")
    return "=".join(arguments)


def _template(arguments: Arguments) -> str:
    (pattern,) = arguments
    inner = pattern.removeprefix("(?i)")
    if not (inner.startswith("^") and inner.endswith("$")) or set(inner) & set(",;{}"):
        raise UntranslatableError(
            f"{pattern}: v1's templates are anchored, and hold no comma, semicolon or brace"
        )
    return f"{{any:{inner[1:-1]}}}"


_IN_V1: Mapping[str, tuple[str, Callable[[Arguments], str]]] = {
    "Host": ("Host", _plain),
    "HostRegexp": ("HostRegexp", _template),
    "Path": ("Path", _plain),
    "PathPrefix": ("PathPrefix", _plain),
    "Method": ("Method", _plain),
    "Header": ("Headers", _pair),
    "HeaderRegexp": ("HeadersRegexp", _pair),
    "Query": ("Query", _item),
}
