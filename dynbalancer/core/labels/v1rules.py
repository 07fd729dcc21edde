"""What labels need of v1's rules beside matching: when two rules are the same one, and what they do to the path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dynbalancer.core.labels.values import csv
from dynbalancer.core.rules import parser
from dynbalancer.core.rules.templates import pattern_of
from dynbalancer.core.rules.tree import Match, Node
from dynbalancer.errors import ConfigurationError

#: Functions whose arguments are alternatives, so that their order says nothing.
_ALTERNATIVES = frozenset(
    ("Host", "HostRegexp", "Path", "PathPrefix", "PathStrip", "PathPrefixStrip", "Method")
)


#: Functions whose arguments are whole paths.
_WHOLE = ("Path", "PathStrip", "PathStripRegex")


@dataclass(frozen=True, slots=True)
class Modifier:
    """A middleware that a rule or another label asks for; ``where`` says which call or label that is.

    ``name`` tells it from others of its type on the same router.
    """

    type: str
    settings: Mapping[str, Any]
    where: str = field(default="", compare=False)
    name: str = ""


def same_rule_key(rule: str) -> str:
    """One text for all spellings of a rule: spaces, order of functions and of alternatives don't count."""
    pairs = (piece.partition(":") for piece in rule.split(";") if piece.strip())
    return "; ".join(sorted(_canonical(name.strip(), arguments) for name, _, arguments in pairs))


def modifiers_of(rule: str, *, keep_trailing_slash: bool = False) -> tuple[Modifier, ...]:
    """What a rule does to the path, in the order in which v1 does it; nothing where the rule can't be read.

    A path that is whole, but for a slash at its end, is redirected, unless ``keep_trailing_slash``: then it is 404.
    """
    try:
        found = parser.read(rule, "v1")
    except ConfigurationError:
        # The routing table refuses the router for it, and says why.
        return ()
    made = [
        replace(_MODIFIERS[name](arguments), where=f"{name} in the rule")
        for name, arguments in found.modifiers
    ]
    return (*_whole_paths(found.node, keep_trailing_slash), *made)


def _whole_paths(node: Node, keep: bool) -> Iterator[Modifier]:
    parts = [part for part in (node, *node.children) if isinstance(part, Match) and part.matcher in _WHOLE]
    paths = tuple(dict.fromkeys(argument for part in parts for argument in part.arguments))
    if paths:
        settings = {"paths": paths, "keep": True} if keep else {"paths": paths}
        yield Modifier("redirectTrailingSlash", settings, f"{parts[0].matcher} in the rule")


def _canonical(name: str, arguments: str) -> str:
    items = csv(arguments)
    if name == "Host":
        items = tuple(item.lower() for item in items)
    if name == "Method":
        items = tuple(item.upper() for item in items)
    if name in _ALTERNATIVES:
        items = tuple(sorted(set(items)))
    return f"{name}:{','.join(items)}"


def _strip(prefixes: tuple[str, ...]) -> Modifier:
    # v1 tries the longest first, whatever the order in the rule.
    return Modifier("stripPrefix", {"prefixes": tuple(sorted(prefixes, key=len, reverse=True))})


def _strip_templates(templates: tuple[str, ...], end: str = "") -> Modifier:
    patterns = tuple(f"^{pattern_of(template, '[^/]+')}{end}" for template in templates)
    return Modifier("stripPrefixRegex", {"regex": patterns})


_MODIFIERS: dict[str, Callable[[tuple[str, ...]], Modifier]] = {
    "PathStripRegex": lambda arguments: _strip_templates(arguments, "$"),
    "PathPrefixStripRegex": _strip_templates,
    "PathStrip": _strip,
    "PathPrefixStrip": _strip,
    "AddPrefix": lambda arguments: Modifier("addPrefix", {"prefix": arguments[-1]}),
    "ReplacePathRegex": lambda arguments: Modifier(
        "replacePathRegex", {"regex": arguments[0], "replacement": arguments[1]}
    ),
    "ReplacePath": lambda arguments: Modifier("replacePath", {"path": arguments[-1]}),
}
