"""A checker that makes the standard library's ``re`` safe enough where ``re2`` is missing.

``re`` backtracks: ``(a+)+$`` takes seconds on 27 characters. Whatever could do that is refused, and some
harmless patterns with it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any

from dynbalancer.errors import ConfigurationError

# The parser of ``re`` has no public name since Python 3.11.
parser: Any = import_module("re._parser")

_ANY = frozenset(range(256))
_CATEGORIES = {
    "CATEGORY_DIGIT": frozenset(b"0123456789"),
    "CATEGORY_SPACE": frozenset(b" \t\n\r\f\v"),
    "CATEGORY_WORD": frozenset(b"_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
}
_REFUSED = {
    "ASSERT": "look-around",
    "ASSERT_NOT": "look-around",
    "GROUPREF": "a back-reference",
    "GROUPREF_EXISTS": "a back-reference",
    "ATOMIC_GROUP": "an atomic group",
    "POSSESSIVE_REPEAT": "a possessive quantifier",
}
REPEATS = ("MAX_REPEAT", "MIN_REPEAT")
_HINT = "pip install google-re2, which takes any pattern of Go's dialect"

_Item = tuple[Any, Any]


def checked(pattern: str) -> Callable[[bytes], object]:
    """``search`` of the compiled pattern. Raises ConfigurationError where it could run for long."""
    encoded = pattern.encode()
    try:
        with warnings.catch_warnings():
            # A FutureWarning says that the pattern means something else in other dialects: [[:alpha:]].
            warnings.simplefilter("error")
            compiled = re.compile(encoded)
            parsed = list(parser.parse(encoded))
    except (re.error, FutureWarning, DeprecationWarning, OverflowError, RecursionError) as error:
        raise ConfigurationError("rule", f"bad regular expression {pattern}: {error}", _HINT) from None
    complaint = _complaint(parsed) or _slow(parsed)
    if complaint:
        why = f"regular expression {pattern} has {complaint}, which could take very long"
        raise ConfigurationError("rule", why, _HINT)
    return compiled.search


def _complaint(items: Sequence[_Item], *, repeated: bool = False) -> str:
    """What is wrong with this part, in words; empty where nothing is."""
    for op, argument in items:
        name = str(op)
        if name in _REFUSED:
            return _REFUSED[name]
        if name in REPEATS:
            low, high, inner = argument
            if repeated and low != high:
                return "a quantifier within a quantifier"
            found = _complaint(inner, repeated=repeated or high > 1)
        elif name == "BRANCH":
            if repeated and _overlap(argument[1]):
                return "alternatives that overlap under a quantifier"
            found = next(filter(None, (_complaint(part, repeated=repeated) for part in argument[1])), "")
        elif name == "SUBPATTERN":
            found = _complaint(argument[3], repeated=repeated)
        else:
            continue
        if found:
            return found
    return ""


def _slow(items: Sequence[_Item]) -> str:
    """An open repeat that may stop anywhere multiplies the time by the length, and so does a free start."""
    anchored = is_anchored(items)
    vague = _vague(items, _ANY)
    return "too many open-ended quantifiers" if vague > (2 if anchored else 1) else ""


def is_anchored(items: Sequence[_Item]) -> bool:
    """Whether a pattern can match at the begin of a value only."""
    return bool(items) and str(items[0][0]) == "AT" and str(items[0][1]).startswith("AT_BEGINNING")


def _vague(items: Sequence[_Item], after: frozenset[int]) -> int:
    """How many unbounded repeats may stop at more than one place. ``after``: what can follow these items."""
    count = 0
    for at, (op, argument) in enumerate(items):
        name = str(op)
        rest, empty = _first(items[at + 1 :])
        following = rest | after if empty else rest
        if name in REPEATS and argument[1] == parser.MAXREPEAT:
            taken, _ = _first(argument[2])
            count += bool(taken & following)
        elif name in REPEATS:
            count += _vague(argument[2], following)
        elif name == "SUBPATTERN":
            count += _vague(argument[3], following)
        elif name == "BRANCH":
            count += max(_vague(part, following) for part in argument[1])
    return count


def _overlap(alternatives: Iterable[Sequence[_Item]]) -> bool:
    seen: frozenset[int] = frozenset()
    for alternative in alternatives:
        first, empty = _first(alternative)
        if empty or first & seen:
            return True
        seen |= first
    return False


def _first(items: Iterable[_Item]) -> tuple[frozenset[int], bool]:
    """The bytes that these items can begin with, and whether they can be nothing at all."""
    found: frozenset[int] = frozenset()
    for op, argument in items:
        first, empty = _first_of(str(op), argument)
        found |= first
        if not empty:
            return found, False
    return found, True


def _first_of(name: str, argument: Any) -> tuple[frozenset[int], bool]:
    if name == "AT":
        return frozenset(), True
    if name in REPEATS:
        first, empty = _first(argument[2])
        return first, empty or argument[0] == 0
    if name == "SUBPATTERN":
        return _first(argument[3])
    if name == "BRANCH":
        firsts = [_first(part) for part in argument[1]]
        return frozenset().union(*(first for first, _ in firsts)), any(empty for _, empty in firsts)
    return one_byte(name, argument), False


def one_byte(name: str, argument: Any) -> frozenset[int]:
    if name == "LITERAL":
        # Both cases, whatever the flags are: that can only refuse more.
        return frozenset((argument, *bytes((argument,)).lower(), *bytes((argument,)).upper()))
    if name == "NOT_LITERAL":
        return _ANY - {argument}
    if name != "IN":
        return _ANY
    negated = str(argument[0][0]) == "NEGATE"
    members = frozenset[int]().union(*(_member(str(op), value, negated=negated) for op, value in argument))
    return _ANY - members if negated else members


def _member(name: str, value: Any, *, negated: bool) -> frozenset[int]:
    if name == "LITERAL":
        return frozenset((value,)) if negated else one_byte(name, value)
    if name == "RANGE":
        letters = bytes(range(value[0], value[1] + 1))
        return frozenset(letters) if negated else frozenset(letters + letters.lower() + letters.upper())
    if name == "CATEGORY":
        return _CATEGORIES.get(str(value), frozenset() if negated else _ANY)
    return frozenset()
