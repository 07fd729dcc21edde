"""Statuses as they are written in settings: ``500-599``, ``418``, one or several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dynbalancer.middlewares.base import SettingsReader


def as_texts(settings: Mapping[str, Any], *options: str) -> dict[str, Any]:
    """The same settings, but numbers in these lists are texts: ``status: [500, 502]`` is what people write."""
    found = dict(settings)
    for key, value in settings.items():
        if key.lower() not in options:
            continue
        if isinstance(value, int) and not isinstance(value, bool):
            found[key] = str(value)
        elif isinstance(value, (list, tuple)):
            found[key] = tuple(str(one) if type(one) is int else one for one in value)
    return found


def statuses_of(reader: SettingsReader, option: str, written: Iterable[str]) -> frozenset[int]:
    """The statuses that are meant, both ends of a range among them."""
    found: set[int] = set()
    for text in written:
        low, dash, high = (part.strip() for part in text.partition("-"))
        ends = (low, high if dash else low)
        if not all(end.isascii() and end.isdigit() and len(end) == 3 for end in ends):
            raise reader.wrong(option, f": '{text}' is no status", "write 404, or a range such as 500-599")
        first, last = map(int, ends)
        if not 100 <= first <= last <= 999:
            raise reader.wrong(option, f": '{text}' is no range of statuses", "write the lower one first")
        found.update(range(first, last + 1))
    return frozenset(found)
