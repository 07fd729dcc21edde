"""From the text of a rule to its tree, in any of the dialects."""

from __future__ import annotations

import re

from dynbalancer.core.rules import v1, v3
from dynbalancer.core.rules.tree import Node, Rule
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
    if dialect == "v1":
        return v1.parse(text)
    if dialect not in ("v2", "v3"):
        raise ConfigurationError("rule", f"unknown rule syntax {dialect}", "write v1, v2 or v3")
    return Rule(v3.parse(text, dialect))


def parse(text: str, dialect: str = "v3") -> Node:
    """The tree of a rule; see :func:`read`."""
    return read(text, dialect).node


def detect(text: str) -> str:
    """``v1`` for ``Host:a.example``, ``v3`` for ``Host(`a.example`)``, by how it begins."""
    return "v1" if _v1_call(text) else "v3"


def default_priority(text: str, dialect: str = "v3") -> int:
    """The priority of a rule that was given none: its length, in v1 in characters and later in bytes."""
    return len(text) if dialect == "v1" else len(text.encode("utf-8", "replace"))
