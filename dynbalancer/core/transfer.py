"""A routing table on its way to a worker: whole, or as what differs from one it has; in parts that are quickly read.

Each part is a message with what is to be set and what is gone. What it is about is the routing, and the rows of the
shared counters by service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from dynbalancer.core import codec
from dynbalancer.core.layered import moved
from dynbalancer.core.model import NOTHING, Configuration
from dynbalancer.errors import ConfigurationError

#: Definitions in one part at most: some milliseconds to read.
PART = 500

_FAMILIES = tuple(codec.KINDS)


@dataclass(frozen=True, slots=True)
class Held:
    """What a worker needs to have for a table: the routing, and the rows of the counters by service."""

    configuration: Configuration = field(default_factory=Configuration)
    slots: Mapping[str, int] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True)
class Part:
    """One part, read."""

    set: Configuration
    slots: Mapping[str, int]
    gone: Mapping[str, Sequence[str]]


def parts(new: Held, old: Held, most: int = PART) -> list[dict[str, Any]]:
    """What makes ``new`` of ``old``, as JSON-able parts with ``set`` and ``gone``; at least one."""
    pieces: dict[str, Iterator[str]] = {}
    gone: dict[str, list[str]] = {}
    for family, before, after in _families(old, new):
        changed, left = moved(before, after)
        pieces[family] = iter(changed)
        if left:
            gone[family] = left
    found: list[dict[str, Any]] = []
    while piece := {family: names for family, rest in pieces.items() if (names := list(islice(rest, most)))}:
        found.append({"set": _encoded(new, piece)})
    if not found:
        found.append({"set": {}})
    if gone:
        found[-1]["gone"] = gone
    return found


def _families(old: Held, new: Held) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    for family in _FAMILIES:
        yield family, getattr(old.configuration, family), getattr(new.configuration, family)
    yield "slots", old.slots, new.slots


def _encoded(held: Held, names: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for family in _FAMILIES:
        definitions = getattr(held.configuration, family)
        chosen[family] = {name: definitions[name] for name in names.get(family, ())}
    encoded = codec.snapshot(Configuration(**chosen))
    encoded["slots"] = {name: held.slots[name] for name in names.get("slots", ())}
    return {family: found for family, found in encoded.items() if found}


def read(found: Mapping[str, Any]) -> Part:
    """A part out of a message. Raises ConfigurationError on anything that is none."""
    try:
        wanted = {family: found["set"].get(family, {}) for family in _FAMILIES}
        slots = dict(found["set"].get("slots", {}))
        gone = {family: tuple(found.get("gone", {}).get(family, ())) for family in (*_FAMILIES, "slots")}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError("table", f"not readable: {error!r}") from error
    return Part(codec.from_snapshot(wanted), slots, gone)


def applied(held: Held, parts: Sequence[Part]) -> Held:
    """What comes of ``held`` by these parts. What they don't touch is the same object."""
    families = {family: getattr(held.configuration, family) for family in _FAMILIES} | {"slots": held.slots}
    fresh: dict[str, dict[str, Any]] = {}

    def own(family: str) -> dict[str, Any]:
        if family not in fresh:
            fresh[family] = dict(families[family])
        return fresh[family]

    for part in parts:
        for family, names in part.gone.items():
            if names:
                mine = own(family)
                for name in names:
                    mine.pop(name, None)
        for family in _FAMILIES:
            if found := getattr(part.set, family):
                own(family).update(found)
        if part.slots:
            own("slots").update(part.slots)
    now = families | fresh
    return Held(Configuration(**{family: now[family] for family in _FAMILIES}), now["slots"])
