"""How values are printed, and Go's ``printf``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from dynbalancer.core.gotemplates.faults import Fault

_VERB = re.compile(r"%(?P<flags>[-+ 0#]*)(?P<width>[0-9]*)(?:\.(?P<digits>[0-9]*))?(?P<verb>.)", re.DOTALL)
_VERBS = "write %s, %d, %v or %q"
_WIDEST = 1000


def shown(value: object) -> str:
    """A value as Go prints it: ``true``, ``[a b]``, ``map[k:v]``; nothing for what isn't there."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, list):
        return f"[{' '.join(map(shown, value))}]"
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{key}:{shown(value[key])}' for key in sorted(value))}]"
    return str(value)


def _float(value: float) -> str:
    text = repr(value)
    if "e" in text:
        return text
    # Go's %v writes an exponent from 1e21 on; below that, 3.0 is 3.
    return text.removesuffix(".0")


def quoted(value: object) -> str:
    """In double quotes, as Go writes a text in a program."""
    return json.dumps(shown(value), ensure_ascii=False)


def whole(value: object) -> int:
    """A whole number, from a text too. Raises Fault."""
    if isinstance(value, bool | float):
        return int(value)
    try:
        return int(shown(value))
    except ValueError:
        raise Fault(f"{shown(value)!r} is not a whole number") from None


def number(value: object) -> float:
    """A number with a fraction, from a text too. Raises Fault."""
    try:
        return float(shown(value))
    except ValueError:
        raise Fault(f"{shown(value)!r} is not a number") from None


def printf(text: object, *values: object) -> str:
    """``text`` with the values in the places of its verbs. Raises Fault for what Go would mark in the result."""
    rest = list(values)

    def put(match: re.Match[str]) -> str:
        verb = match["verb"]
        if verb == "%":
            return "%"
        if verb not in "sdvqtxXfcT":
            raise Fault(f"printf: %{verb} is not supported", _VERBS)
        if not rest:
            raise Fault(f"printf: no value for %{verb}")
        width = int(match["width"] or 0)
        digits = None if match["digits"] is None else int(match["digits"] or 0)
        if max(width, digits or 0) > _WIDEST:
            raise Fault("printf: a width above 1000")
        return _padded(_by_verb(verb, rest.pop(0), digits), match["flags"], width, verb)

    found = _VERB.sub(put, shown(text))
    if rest:
        raise Fault(f"printf: {len(rest)} values too many")
    return found


def _by_verb(verb: str, value: object, digits: int | None) -> str:
    if verb == "d":
        return str(whole(value))
    if verb == "f":
        return f"{number(value):.{6 if digits is None else digits}f}"
    if verb == "c":
        return chr(whole(value))
    if verb == "q":
        return quoted(value)
    if verb in "xX":
        text = f"{value:x}" if isinstance(value, int) else shown(value).encode().hex()
        return text.upper() if verb == "X" else text
    text = shown(value)
    return text if digits is None or verb == "v" else text[:digits]


def _padded(text: str, flags: str, width: int, verb: str) -> str:
    if verb in "df" and not text.startswith("-"):
        text = "+" + text if "+" in flags else " " + text if " " in flags else text
    if "-" in flags:
        return text.ljust(width)
    return text.zfill(width) if "0" in flags else text.rjust(width)
