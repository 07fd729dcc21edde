"""Rules as v1 writes them: ``Host: a.example, b.example; PathPrefixStrip: /x``.

``;`` is *and*; ``,`` is *or* inside one call, but for Headers, HeadersRegexp and Query, where all must hold.
Some calls change the request instead of testing it, or do both: they are kept as the rule's modifiers.
"""

from __future__ import annotations

import re
from types import MappingProxyType

from dynbalancer.core.rules.matchers import V1, match
from dynbalancer.core.rules.regex import finder
from dynbalancer.core.rules.templates import split_outside_braces
from dynbalancer.core.rules.tree import And, Node, Rule
from dynbalancer.errors import ConfigurationError, did_you_mean

#: Every call that changes the request, and when it runs. Of those with one place, the last one counts.
MODIFIERS = MappingProxyType(
    {
        "PathStripRegex": 0,
        "PathPrefixStripRegex": 0,
        "PathStrip": 1,
        "PathPrefixStrip": 1,
        "AddPrefix": 2,
        "ReplacePathRegex": 3,
        "ReplacePath": 4,
    }
)
_KNOWN = MappingProxyType({name: name for name in V1})
_ALL = (*V1, *MODIFIERS)
_PAIRED = ("Headers", "HeadersRegexp")


def parse(text: str) -> Rule:
    """The tree and the modifiers of a rule. Raises ConfigurationError where a call can't be used."""
    parts: list[Node] = []
    modifiers: dict[int, tuple[str, tuple[str, ...]]] = {}
    warnings: list[str] = []
    for piece in split_outside_braces(text, ";"):
        if not piece.strip():
            continue
        name, arguments = _call(piece)
        if name in V1:
            parts.append(match(V1, name, arguments, _KNOWN))
        if name == "ReplacePathRegex" and len(arguments) != 2:
            # v1 says so and goes on; the rest of the rule still works.
            warnings.append(f"{piece.strip()}: ReplacePathRegex takes a pattern, one space and a replacement")
        elif name in MODIFIERS:
            modifiers[MODIFIERS[name]] = name, arguments
    if not parts and not modifiers and not warnings:
        raise ConfigurationError("rule", "the rule is empty", "write Host:a.example")
    node = parts[0] if len(parts) == 1 else And(tuple(parts))
    return Rule(node, tuple(modifiers[place] for place in sorted(modifiers)), tuple(warnings))


def _call(piece: str) -> tuple[str, tuple[str, ...]]:
    """Name and arguments of one call."""
    name, colon, rest = piece.partition(":")
    name = name.strip()
    if name not in V1 and name not in MODIFIERS:
        raise ConfigurationError("rule", f"unsupported function: {name}", _instead(name))
    arguments = _arguments(name, rest)
    if not colon or not arguments:
        raise ConfigurationError("rule", f"{name} has no argument", f"write {name}:VALUE")
    return name, arguments


def _instead(name: str) -> str:
    """What to write for something that is no function."""
    if name.startswith(("'", '"')):
        return "leave out the quotes around the rule: in a list of labels they are part of it"
    if "(" in name:
        return "this looks like v3's spelling; v1 writes Host:a.example"
    word, sign, rest = _split(name)
    return f"write {word}:{rest}" if sign and word in _ALL else did_you_mean(name, _ALL)


def _split(name: str) -> tuple[str, str, str]:
    """``Host=a.example`` and ``Host a.example`` at the sign that should be a colon."""
    found = re.match(r"(\w+)(\s*=\s*|\s+)(.+)", name, re.DOTALL)
    return (found[1], found[2], found[3]) if found else (name, "", "")


def _arguments(name: str, text: str) -> tuple[str, ...]:
    if name == "ReplacePathRegex":
        pattern, _, replacement = text.strip().partition(" ")
        if not replacement or " " in replacement:
            return (text.strip(),) if text.strip() else ()
        finder(pattern)
        return pattern, replacement
    pieces = [piece.strip() for piece in split_outside_braces(text, ",")]
    if name in _PAIRED:
        # The value of a pair may be empty, and means any then; a comma too many at the end means nothing.
        pieces = pieces[:-1] if len(pieces) % 2 and not pieces[-1] else pieces
        return tuple(pieces) if any(pieces) else ()
    given = tuple(piece for piece in pieces if piece)
    # Of several prefixes to add, or paths to put instead, v1 uses the last.
    return given[-1:] if name in ("AddPrefix", "ReplacePath") else given
