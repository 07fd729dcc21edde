"""What a router means by the name of a service or a middleware, and what it may have meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dynbalancer.core.layered import Layered
from dynbalancer.errors import ConfigurationError, Problem, did_you_mean

#: Looking for the nearest name is slow, so it is done for so many mistakes, among so many names.
_HINTS = 50
_NAMES = 500
#: How the names end of what is ours. It is meant only where that is written.
OURS = "@internal"
_API_IS_OFF = "the API is off: add --api"
_NO_INTERNALS = f"of Traefik's own services there are api{OURS}, dashboard{OURS}, ping{OURS} and noop{OURS}"
_OF_THE_API = frozenset(f"{name}{OURS}" for name in ("api", "dashboard", "ping"))


def plain(name: str) -> str:
    """A name without its provider."""
    return name.partition("@")[0]


@dataclass(frozen=True, slots=True)
class Missing:
    """A reference to what doesn't exist: ``full`` is the name that it stands for."""

    kind: str
    reference: str
    full: str


class MissingError(ConfigurationError):
    """Nothing has this name. What is meant is looked for when somebody wants to know."""

    def __init__(self, missing: Missing) -> None:
        super().__init__("", f'{missing.kind} "{missing.full}" does not exist')
        self.missing = missing


def bare(error: ConfigurationError) -> ConfigurationError:
    """An error to be kept: without its traceback, which leads back to whoever keeps it, and to all he has."""
    error.__traceback__ = error.__context__ = None
    return error


@dataclass(frozen=True, slots=True)
class Said:
    """A problem, and what is to be looked for to give a hint."""

    problem: Problem
    missing: Missing | None = None


def found(
    kind: str,
    reference: str,
    owner: str,
    full_names: Mapping[str, object],
    by_plain: Layered[str, tuple[str, ...]],
) -> str:
    """The full name: ``name@provider``, or a plain name of the owner's provider or of one other.

    Raises ConfigurationError where there is none, or more than one.
    """
    if reference in full_names:
        return reference
    _, at, provider = owner.rpartition("@")
    full = reference if "@" in reference or not at else f"{reference}@{provider}"
    if full in full_names:
        return full
    others: tuple[str, ...] = () if "@" in reference else by_plain.get(reference, ())
    if len(others) > 1:
        why = f'{kind} "{reference}" is in several providers: {", ".join(others[:5])}'
        raise ConfigurationError("", why, f"write {others[0]}")
    if not others:
        raise MissingError(Missing(kind, reference, full))
    return others[0]


def with_hints(said: Iterable[Said], names: Mapping[str, Iterable[str]]) -> list[Problem]:
    """The problems, the first of them with a hint. ``names`` are all there are, by kind."""
    sought = {kind: _Sought(found) for kind, found in names.items()}
    return [one.problem if one.missing is None else _hinted(one, one.missing, sought) for one in said]


def _hinted(one: Said, missing: Missing, sought: Mapping[str, _Sought]) -> Problem:
    problem = one.problem
    return Problem(problem.where, problem.why, sought[missing.kind].hint(missing), problem.severity)


class _Sought:
    """The names of one kind, put in order when the first hint is needed."""

    __slots__ = ("_full", "_left", "_names", "_plain")

    def __init__(self, names: Iterable[str]) -> None:
        self._names = names
        self._left = _HINTS
        self._full: list[str] = []
        self._plain: list[str] = []

    def hint(self, missing: Missing) -> str:
        """``did you mean …?``, for the first mistakes."""
        reference = missing.reference
        if reference.endswith(OURS):
            return _API_IS_OFF if reference in _OF_THE_API else _NO_INTERNALS
        if not self._left or not reference:
            return ""
        if self._left == _HINTS:
            ordered = sorted(self._names)
            self._full = ordered[:_NAMES]
            self._plain = list(dict.fromkeys(plain(name) for name in ordered if not name.endswith(OURS)))[
                :_NAMES
            ]
        self._left -= 1
        if "@" in reference:
            return did_you_mean(missing.full, self._full)
        return did_you_mean(reference, self._plain)
