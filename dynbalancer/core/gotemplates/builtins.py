"""The functions that Go's templates have themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote_plus

from dynbalancer.core.gotemplates.faults import Fault
from dynbalancer.core.gotemplates.printing import printf, shown, whole

Function = tuple[int, int, Callable[..., object]]

#: So many arguments are any number.
ANY = 99

_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;", "\0": "�"})


def index(collection: object, *keys: object) -> object:
    """What is at a place of a list or map, and at places within that. Raises Fault where a list is shorter."""
    for key in keys:
        if isinstance(collection, Mapping):
            # Go gives the zero value of the map's type: an empty string.
            collection = collection.get(shown(key), "")
        elif isinstance(collection, list) and 0 <= whole(key) < len(collection):
            collection = collection[whole(key)]
        else:
            raise Fault(f"index: nothing at {shown(key)!r}")
    return collection


def part(value: object, *ends: object) -> object:
    """The part of a text or list from one place to another. Raises Fault where it is shorter."""
    if not isinstance(value, str | list):
        raise TypeError
    start, end, *_ = [*map(whole, ends), *(0, len(value))[len(ends) :]]
    if not 0 <= start <= end <= len(value):
        raise Fault(f"slice: nothing from {start} to {end}")
    return value[start:end]


def _printed(*values: object) -> str:
    """As Go's Sprint: a blank between two of which neither is a text."""
    text = ""
    for number, value in enumerate(values):
        apart = number and not isinstance(value, str) and not isinstance(values[number - 1], str)
        text += (" " if apart else "") + shown(value)
    return text


def _equal(first: object, *others: object) -> bool:
    return any(_comparable(first, other) and first == other for other in others)


def _comparable(first: object, second: object) -> bool:
    """Raises Fault where Go compares no such values: a text with a number, say."""
    if first is not None and second is not None and type(first) is not type(second):
        raise Fault(f"{shown(first)!r} and {shown(second)!r} are of different types", "see atoi and toString")
    return True


def _less(first: object, second: object) -> bool:
    if not isinstance(first, str | int | float) or isinstance(first, bool):
        raise TypeError
    return _comparable(first, second) and first < second  # type: ignore[operator]


def _printed_lines(*values: object) -> str:
    return " ".join(map(shown, values)) + "\n"


FUNCTIONS: dict[str, Function] = {
    # Parsed as what looks at no more than it needs.
    "and": (1, ANY, _printed),
    "or": (1, ANY, _printed),
    "not": (1, 1, lambda value: not value),
    "len": (1, 1, lambda value: len(value.encode() if isinstance(value, str) else value)),
    "index": (2, 9, index),
    "slice": (1, 3, part),
    "print": (0, ANY, _printed),
    "println": (0, ANY, _printed_lines),
    "printf": (1, ANY, printf),
    "html": (1, 1, lambda value: shown(value).translate(_HTML)),
    "urlquery": (1, 1, lambda value: quote_plus(shown(value))),
    "eq": (2, ANY, _equal),
    "ne": (2, 2, lambda first, second: not _equal(first, second)),
    "lt": (2, 2, _less),
    "le": (2, 2, lambda first, second: _less(first, second) or first == second),
    "gt": (2, 2, lambda first, second: _less(second, first)),
    "ge": (2, 2, lambda first, second: _less(second, first) or first == second),
}
