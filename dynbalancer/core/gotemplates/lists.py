"""sprig's functions for lists and maps, and for what isn't there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from dynbalancer.core.gotemplates.builtins import ANY, Function, index, part
from dynbalancer.core.gotemplates.faults import Fault
from dynbalancer.core.gotemplates.printing import shown, whole

#: Items that one function may make.
MOST_ITEMS = 10_000


class Made(dict[str, Any]):
    """A map that the template itself made, and may change."""


def _list(items: object) -> list[Any]:
    if not isinstance(items, list):
        raise TypeError
    return items


def _split(separator: object, text: object) -> list[str]:
    divided, by = shown(text), shown(separator)
    return divided.split(by) if by else list(divided)


def _numbered(parts: Iterable[object]) -> Made:
    return Made({f"_{number}": text for number, text in enumerate(parts)})


def _split_some(separator: object, most: object, text: object) -> Made:
    by = shown(separator)
    return _numbered(shown(text).split(by, max(whole(most) - 1, 0)) if by else list(shown(text)))


def _joined(separator: object, items: object) -> str:
    each = items if isinstance(items, list) else [items]
    return shown(separator).join(shown(item) for item in each if item is not None)


def _ends(items: object, place: int) -> object:
    return _list(items)[place] if items else ""


def _numbers(start: int, end: int, step: int) -> list[int]:
    found = range(start, end, step) if step else range(0)
    if len(found) > MOST_ITEMS:
        raise Fault(f"more than {MOST_ITEMS} numbers")
    return list(found)


def _until(end: object) -> list[int]:
    return _numbers(0, whole(end), 1 if whole(end) >= 0 else -1)


def _sequence(*ends: object) -> str:
    """``seq 3`` is 1 2 3, ``seq 2 4`` is 2 3 4; what is between is the step."""
    numbers = [whole(end) for end in ends]
    start, end = (1, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[-1])
    step = numbers[1] if len(numbers) == 3 else 1 if start <= end else -1
    return " ".join(map(str, _numbers(start, end + (1 if step > 0 else -1), step)))


def _dict(*pairs: object) -> Made:
    values = [*pairs[1::2], *([""] if len(pairs) % 2 else [])]
    return Made(zip(map(shown, pairs[::2]), values, strict=True))


def _set(collection: object, key: object, value: object) -> Made:
    made = _made(collection)
    if len(made) >= MOST_ITEMS:
        raise Fault(f"more than {MOST_ITEMS} items")
    made[shown(key)] = value
    return made


def _unset(collection: object, key: object) -> Made:
    made = _made(collection)
    made.pop(shown(key), None)
    return made


def _made(collection: object) -> Made:
    if not isinstance(collection, Made):
        raise Fault("only a map made by dict can be changed")
    return collection


def _map(collection: object) -> Mapping[str, Any]:
    if not isinstance(collection, Mapping):
        raise TypeError
    return collection


def _keys(*collections: object) -> list[str]:
    return [key for collection in collections for key in sorted(_map(collection))]


def _merged(*collections: object) -> Made:
    """The first map that has a key gives its value."""
    found = Made()
    for collection in collections:
        found = Made({**_map(collection), **found})
    return found


def _picked(collection: object, *keys: object) -> Made:
    return Made({key: value for key, value in _map(collection).items() if key in map(shown, keys)})


def _omitted(collection: object, *keys: object) -> Made:
    left_out = set(map(shown, keys))
    return Made({key: value for key, value in _map(collection).items() if key not in left_out})


def _dug(*arguments: object) -> object:
    """``dig "a" "b" default map``."""
    *keys, default, found = arguments
    for key in map(shown, keys):
        if not isinstance(found, Mapping) or key not in found:
            return default
        found = found[key]
    return found


def _unique(items: object) -> list[Any]:
    found: list[Any] = []
    for item in _list(items):
        found += [] if item in found else [item]
    return found


def _joined_lists(*lists: object) -> list[Any]:
    return [item for items in lists for item in _list(items)]


def _read(text: object) -> object:
    try:
        found = json.loads(shown(text), object_hook=Made)
    except (ValueError, RecursionError) as error:
        raise Fault(f"fromJson: {error}") from None
    return found


def _written(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _failed(why: object) -> object:
    raise Fault(shown(why))


def _first_there(*values: object) -> object:
    return next((value for value in values if value), "")


FUNCTIONS: dict[str, Function] = {
    "list": (0, ANY, lambda *items: list(items)),
    "tuple": (0, ANY, lambda *items: list(items)),
    "first": (1, 1, lambda items: _ends(items, 0)),
    "last": (1, 1, lambda items: _ends(items, -1)),
    "rest": (1, 1, lambda items: _list(items)[1:]),
    "initial": (1, 1, lambda items: _list(items)[:-1]),
    "append": (2, 2, lambda items, item: [*_list(items), item]),
    "push": (2, 2, lambda items, item: [*_list(items), item]),
    "prepend": (2, 2, lambda items, item: [item, *_list(items)]),
    "concat": (0, ANY, _joined_lists),
    "reverse": (1, 1, lambda items: _list(items)[::-1]),
    "uniq": (1, 1, _unique),
    "without": (1, ANY, lambda items, *others: [item for item in _list(items) if item not in others]),
    "has": (2, 2, lambda item, items: item in _list(items)),
    "compact": (1, 1, lambda items: [item for item in _list(items) if item]),
    "slice": (1, 3, part),
    "sortAlpha": (1, 1, lambda items: sorted(map(shown, _list(items)))),
    "toStrings": (1, 1, lambda items: list(map(shown, _list(items)))),
    "split": (2, 2, lambda separator, text: _numbered(_split(separator, text))),
    "splitn": (3, 3, _split_some),
    "splitList": (2, 2, _split),
    "join": (2, 2, _joined),
    "until": (1, 1, _until),
    "untilStep": (3, 3, lambda start, end, step: _numbers(whole(start), whole(end), whole(step))),
    "seq": (1, 3, _sequence),
    "dict": (0, ANY, _dict),
    "get": (2, 2, index),
    "set": (3, 3, _set),
    "unset": (2, 2, _unset),
    "hasKey": (2, 2, lambda collection, key: shown(key) in _map(collection)),
    "keys": (1, ANY, _keys),
    "values": (1, 1, lambda collection: [_map(collection)[key] for key in sorted(_map(collection))]),
    "pluck": (2, ANY, lambda key, *maps: [_map(one)[shown(key)] for one in maps if shown(key) in _map(one)]),
    "pick": (1, ANY, _picked),
    "omit": (1, ANY, _omitted),
    "merge": (1, ANY, _merged),
    "dig": (3, ANY, _dug),
    "toJson": (1, 1, _written),
    "fromJson": (1, 1, _read),
    "default": (2, 2, lambda default, value: value or default),
    "empty": (1, 1, lambda value: not value),
    "coalesce": (1, ANY, _first_there),
    "ternary": (3, 3, lambda yes, no, test: yes if test else no),
    "all": (0, ANY, lambda *values: all(values)),
    "any": (0, ANY, lambda *values: any(values)),
    "fail": (1, 1, _failed),
}
