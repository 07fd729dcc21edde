"""From the text of a label to a typed value; what can't be read is reported and replaced by the default."""

from __future__ import annotations

import re

from dynbalancer.core.durations import seconds_of
from dynbalancer.core.labels.findings import Findings, Label

_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
_UNQUOTE = "leave out the quotes: in a list of labels they are part of the value"


def csv(text: str) -> tuple[str, ...]:
    """The items of a comma separated list, trimmed, without empty ones."""
    return tuple(item for item in (piece.strip() for piece in text.split(",")) if item)


def is_false(text: str) -> bool:
    """Whether a label says no."""
    return text.strip() in _FALSE


def is_boolean(text: str) -> bool:
    """Whether a label says yes or no, as Go's ParseBool reads it."""
    return text in _TRUE or text in _FALSE


def pairs(label: Label, findings: Findings) -> dict[str, str]:
    """Names and values out of ``Name:value||Name:value``, names spelt as header fields are."""
    found = {}
    for piece in label.value.split("||"):
        name, colon, value = piece.partition(":")
        if colon and name.strip():
            words = name.strip().split("-")
            found["-".join(word[:1].upper() + word[1:].lower() for word in words)] = value.strip()
        elif piece.strip():
            # It may be a secret: it is not shown.
            why = "a part of it is not of the form NAME:VALUE, and is left out"
            findings.label(label.key, why, "write NAME:VALUE||NAME:VALUE", "warning")
    return found


def text(label: Label | None, default: str = "") -> str:
    """The trimmed text of a label; an empty one counts as absent."""
    return (label.value.strip() if label else "") or default


def boolean(label: Label | None, default: bool, findings: Findings, *, root: bool = False) -> bool:
    """True or false as Go's ParseBool reads it."""
    value = text(label)
    if label is None or not value:
        return default
    if value in _TRUE or value in _FALSE:
        return value in _TRUE
    why = f"{value!r} is neither true nor false; {str(default).lower()} is used"
    findings.label(label.key, why, _unquoted(value) or "write true or false", root=root)
    return default


def integer(
    label: Label | None, default: int | None, findings: Findings, low: int, high: int, *, instead: str = ""
) -> int | None:
    """A whole number from ``low`` to ``high``. ``instead`` says what the default is where it is only a guess."""
    value = text(label)
    if label is None or not value:
        return default
    if not _INTEGER.fullmatch(value):
        why = f"{value!r} is not a whole number; {instead or _used(default)}"
        findings.label(label.key, why, _unquoted(value))
        return default
    number = int(value)
    if low <= number <= high:
        return number
    findings.label(label.key, f"{number} is not between {low} and {high}; {instead or _used(default)}")
    return default


def port(label: Label | None, default: int | None, findings: Findings, *, known: bool = True) -> int | None:
    """The number of a port. ``known``: it is known what the container exposes, and ``default`` is the lowest of it."""
    instead = "" if known else "the lowest port that the image exposes is used"
    return integer(label, default, findings, 1, 65535, instead=instead)


def duration(label: Label | None, findings: Findings) -> float | None:
    """Seconds, from ``10s`` or a number of them; None where there is none, or it can't be read."""
    value = text(label)
    if label is None or not value:
        return None
    try:
        return seconds_of(value)
    except ValueError as error:
        findings.label(label.key, f"{error}; the label is ignored", _unquoted(value))
        return None


def choice(label: Label | None, default: str, known: tuple[str, ...], findings: Findings) -> str:
    """One of the ``known`` words, in any letter case."""
    value = text(label).lower()
    if label is None or not value:
        return default
    if value in known:
        return value
    hint = _unquoted(value) or f"write one of {', '.join(known)}"
    findings.label(label.key, f"{value!r} is unknown; {default} is used", hint)
    return default


def _unquoted(value: str) -> str:
    """A hint for ``- traefik.port="80"``, where the quotes belong around the whole."""
    return _UNQUOTE if value[:1] in ("'", '"') else ""


def _used(default: int | None) -> str:
    return "the label is ignored" if default is None else f"{default} is used"
