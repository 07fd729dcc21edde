"""Durations as Traefik reads and writes them: ``300ms``, ``1m30s``; a number alone means seconds."""

from __future__ import annotations

import re

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def seconds_of(text: str) -> float:
    """Seconds: ``10s``, ``1m30s``, ``500ms``; a number alone means seconds (Traefik v1.7 and v3).

    Raises ValueError for everything else, for less than none, and for more than a process can live.
    """
    word = text.strip().lower()
    try:
        seconds = float(word)
    except ValueError:
        parts = _PART.findall(word)
        if not parts or "".join(number + unit for number, unit in parts) != word:
            raise ValueError(f"{text!r} is not a duration such as 10s or 1m30s") from None
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not 0 <= seconds < 1e9:
        raise ValueError(f"{text!r} is not a duration that can be waited for")
    return seconds


def go_duration(seconds: float) -> str:
    """As Go prints it: 1h2m3.5s, 12.5ms, 0s."""
    nanoseconds = round(seconds * 1e9)
    if nanoseconds == 0:
        return "0s"
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if nanoseconds < 1000 * size:
            return f"{_trimmed(nanoseconds, size)}{unit}"
    minutes, rest = divmod(nanoseconds, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    text = f"{_trimmed(rest, 10**9)}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _trimmed(amount: int, size: int) -> str:
    whole, part_of = divmod(amount, size)
    digits = str(part_of).rjust(len(str(size)) - 1, "0").rstrip("0") if part_of else ""
    return f"{whole}.{digits}" if digits else str(whole)
