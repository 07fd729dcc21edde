r"""Regular expressions of users: Go's dialect, in linear time, on bytes.

Rules come from container labels, so a pattern must never be able to stop the reactor. ``re2`` never backtracks,
and is the dialect Traefik's users already write; patterns whose automaton would not fit its memory, which makes it
a hundred times slower, are refused. Only where it can't be imported, the standard library's ``re`` is used behind a
checker that refuses whatever could backtrack badly.

A search costs 1.5 µs, a hundred times more than comparing a prefix: so the literal text a pattern begins with
(``^/api/v[0-9]+``) is compared first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from dynbalancer.core.rules import automaton, backtracking
from dynbalancer.errors import ConfigurationError

#: Longest pattern, in bytes.
LONGEST = 1024
#: What one pattern's program and automaton may take, in bytes. Few get near it: see :mod:`.automaton`.
_MEMORY = 8 << 20
#: Instructions of a program that takes less than 5 ms for 32 KiB even without an automaton.
_SMALL = 16
_META = frozenset("\\.+*?()|[]{}^$")
_TOO_SLOW = "begin it with ^, and make counted repeats like {20} smaller where anything may stand before them"
_HINTS = {
    "invalid perl operator: (?=": "look-ahead is not part of this dialect",
    "invalid perl operator: (?!": "look-ahead is not part of this dialect; write !…Regexp(…) beside it",
    "invalid perl operator: (?<": "look-behind is not part of this dialect",
}


@cache
def library() -> Any:
    """``re2``, or None where there is no wheel for the platform. Loaded for the first pattern: many need no 3 MiB."""
    try:
        import re2
    except ImportError:  # pragma: no cover
        return None
    return re2


def finder(pattern: str) -> Callable[[bytes], bool]:
    """Whether a value contains a match of ``pattern``, which anchors itself where it wants to.

    Raises ConfigurationError where the pattern can't be used, saying why.
    """
    encoded = pattern.encode()
    if len(encoded) > LONGEST:
        raise ConfigurationError("rule", f"regular expression of {len(encoded)} bytes; {LONGEST} are allowed")
    search = _search_of(pattern)
    prefix = literal_prefix(pattern)
    if not prefix:
        return lambda value: search(value) is not None
    return lambda value: value.startswith(prefix) and search(value) is not None


def capturing(pattern: str, *, groups: bool = True) -> Any:
    """The compiled pattern (of ``re2``), which says where it matched, and its ``groups``. On bytes.

    Raises ConfigurationError where the pattern can't be used, saying why. Without ``re2`` none can: what ``re`` takes
    to fill groups is not bounded by what :mod:`.backtracking` checks.
    """
    finder(pattern)
    re2 = library()
    if re2 is None:
        why = f"regular expression {pattern} needs google-re2, which is not installed"
        raise ConfigurationError("rule", why, "pip install google-re2")
    options = _options(pattern)
    options.never_capture = not groups
    options.longest_match = False
    return re2.compile(pattern.encode(), options)


def escape(text: str) -> str:
    """A pattern that matches just this text."""
    return "".join(f"\\{character}" if character in _META else character for character in text)


def literal_prefix(pattern: str) -> bytes:
    """The text that every match of an anchored pattern begins with; empty where that isn't plain to see."""
    if not pattern.startswith("^") or "|" in pattern:
        return b""
    literal: list[str] = []
    at = 1
    while at < len(pattern):
        character = pattern[at]
        if character == "\\" and pattern[at + 1 : at + 2] in _META:
            character, at = pattern[at + 1 : at + 2], at + 1
        elif character in _META:
            break
        literal.append(character)
        at += 1
    if pattern[at : at + 1] in tuple("?*{+"):
        literal = literal[:-1]
    return "".join(literal).encode()


def _search_of(pattern: str) -> Callable[[bytes], object]:
    re2 = library()
    if re2 is None:
        return backtracking.checked(pattern)
    encoded = pattern.encode()
    try:
        found = re2.compile(encoded, _options(pattern))
        if not pattern.startswith("^") or "|" in pattern:
            # Otherwise it looks for where the match began as well, with a second automaton.
            found = re2.compile(rb"\A(?s:.*?)(?:%b)" % encoded, _options(pattern))
    except re2.error as error:
        why = _message(error)
        raise ConfigurationError(
            "rule", f"bad regular expression {pattern}: {why}", _HINTS.get(why[:26], "")
        ) from None
    if found.programsize > _SMALL and not automaton.fits(encoded):
        raise ConfigurationError("rule", f"regular expression {pattern} could take very long", _TOO_SLOW)
    search: Callable[[bytes], object] = found.search
    return search


def _options(pattern: str) -> Any:
    options = library().Options()
    # Otherwise it prints to stderr.
    options.log_errors = False
    options.never_capture = True
    # Sets of states instead of lists of them: fewer, and it only matters whether there is a match.
    options.longest_match = True
    options.max_mem = _MEMORY
    # In UTF-8 mode a dot stops at a byte that isn't UTF-8: a client could slip past a pattern by sending one.
    options.encoding = options.Encoding.LATIN1 if pattern.isascii() else options.Encoding.UTF8
    return options


def _message(error: Exception) -> str:
    said = error.args[0] if error.args else error
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
