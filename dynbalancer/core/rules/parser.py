"""From the text of a rule to its tree, in any of the dialects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from dynbalancer.core.rules import v1, v3
from dynbalancer.core.rules.tree import Match, Node, Rule
from dynbalancer.errors import ConfigurationError

#: Longest rule, in characters.
LONGEST = 16384

_v1_call = re.compile(r"\s*;*\s*[A-Za-z]+\s*:").match


def read(text: str, dialect: str = "v3") -> Rule:
    """A rule with all that was written into it. ``dialect`` is ``v1``, ``v2`` or ``v3``.

    Raises ConfigurationError with ``rule`` for its place.
    """
    if len(text) > LONGEST:
        raise ConfigurationError("rule", f"the rule has {len(text)} characters; {LONGEST} are allowed")
    if not text.strip():
        raise ConfigurationError("rule", "the rule is empty", "write Host(`a.example`)")
    if dialect not in ("v1", "v2", "v3"):
        raise ConfigurationError("rule", f"unknown rule syntax {dialect}", "write v1, v2 or v3")
    rule = v1.parse(text) if dialect == "v1" else Rule(v3.parse(text, dialect))
    return replace(rule, warnings=(*rule.warnings, *_warnings(rule.node)))


def _warnings(node: Node) -> Iterator[str]:
    if isinstance(node, Match):
        yield from node.meaning.warnings
    for part in node.children:
        yield from _warnings(part)


def parse(text: str, dialect: str = "v3") -> Node:
    """The tree of a rule; see :func:`read`."""
    return read(text, dialect).node


def detect(text: str) -> str:
    """``v1`` for ``Host:a.example``, ``v3`` for ``Host(`a.example`)``, by how it begins."""
    return "v1" if _v1_call(text) else "v3"


def default_priority(text: str, dialect: str = "v3") -> int:
    """The priority of a rule that was given none: its length, in v1 in characters and later in bytes."""
    return len(text) if dialect == "v1" else len(text.encode("utf-8", "replace"))
