"""YAML as YAML 1.2 means it, and strictly: what a person sees is what is read.

PyYAML's own loaders take ``no`` for false, ``22:22`` for 1342 and ``017`` for 15, and let the second of two equal keys
win in silence. This reader builds values from PyYAML's events itself, keeps the line of each key, and stops at
documents that grow or nest without end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

from dynbalancer.errors import ConfigurationError

Path = tuple[str, ...]

#: How deep a document may nest, and how many values it may have once its aliases are written out.
DEEPEST = 100
MOST_VALUES = 1_000_000

# The C parser is the faster one; without it, the same events come from the one in Python.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NO_TEMPLATES = "put a text with a template ({{ … }}) in quotes"

_STANDARD = "tag:yaml.org,2002:"
_TAGS = frozenset(_STANDARD + word for word in ("null", "bool", "int", "float", "map", "seq"))
_WORDS: dict[str, Any] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_decimal = re.compile(r"[-+]?[0-9]{1,40}").fullmatch
_based = re.compile(r"0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}").fullmatch
_float = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?").fullmatch


def read(text: str, where: str) -> tuple[Any, dict[Path, int]]:
    """The value of a document, and the line of each key in it. Raises ConfigurationError with the line."""
    try:
        return _Composer(yaml.parse(text, Loader=_Loader), where).document()
    except yaml.YAMLError as error:
        raise _in_words(error, text, where) from error


def scalar(text: str) -> Any:
    """What an unquoted word means in YAML 1.2's core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if _decimal(text):
        return int(text)
    if _based(text):
        return int(text, 0)
    return float(text) if _float(text) else text


def _in_words(error: yaml.YAMLError, text: str, where: str) -> ConfigurationError:
    mark = getattr(error, "problem_mark", None)
    why = getattr(error, "problem", None) or getattr(error, "reason", None) or "it can't be parsed"
    context = getattr(error, "context", None)
    why = f"not YAML: {why}" + (f", {context}" if context else "")
    if mark is None:
        return ConfigurationError(where, why)
    lines = text.splitlines() or [""]
    # What ends too early is marked behind the last line.
    number = min(mark.line, len(lines) - 1)
    line = lines[number]
    hint = ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        hint = "indent with blanks, not with tabs"
    elif "{{" in line:
        hint = _NO_TEMPLATES
    elif line[mark.column : mark.column + 1] == "`":
        hint = "put a text that begins with ` in quotes"
    elif "mapping values are not allowed" in why:
        hint = 'put a text with ": " in it in quotes'
    return ConfigurationError(f"{where}, line {number + 1}", why, hint)


class _Composer:
    """Builds one document from events."""

    def __init__(self, events: Iterator[Any], where: str) -> None:
        self.events = events
        self.where = where
        self.lines: dict[Path, int] = {}
        self.size = 0
        # name → what it stands for, and how many values that has once written out
        self.anchors: dict[str, tuple[Any, int]] = {}

    def document(self) -> tuple[Any, dict[Path, int]]:
        next(self.events)
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            return None, {}
        value = self._value(next(self.events), (), 0)
        next(self.events)
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            self._refuse(event, "a second document begins here; one file holds one")
        return value, self.lines

    def _refuse(self, event: Any, why: str, hint: str = "") -> NoReturn:
        raise ConfigurationError(f"{self.where}, line {event.start_mark.line + 1}", why, hint)

    def _grow(self, event: Any, by: int) -> None:
        self.size += by
        if self.size > MOST_VALUES:
            self._refuse(event, f"more than {MOST_VALUES} values, aliases written out")

    def _value(self, event: Any, path: Path, depth: int) -> Any:
        if depth > DEEPEST:
            self._refuse(event, f"nested deeper than {DEEPEST} levels")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self.size
        self._grow(event, 1)
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        else:
            if event.tag not in (None, "!") and event.tag not in _TAGS:
                self._refuse(event, f"unknown tag {event.tag}")
            is_mapping = isinstance(event, yaml.MappingStartEvent)
            value = self._mapping(path, depth) if is_mapping else self._sequence(path, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = value, self.size - before
        return value

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self.anchors:
            self._refuse(event, f"*{event.anchor} stands for nothing that was written before it")
        value, size = self.anchors[event.anchor]
        self._grow(event, size)
        return value

    def _scalar(self, event: Any) -> Any:
        is_quoted = event.tag is None and not event.implicit[0]
        if is_quoted or event.tag in ("!", f"{_STANDARD}str"):
            return event.value
        if event.tag is not None and event.tag not in _TAGS:
            self._refuse(event, f"unknown tag {event.tag}")
        return scalar(event.value)

    def _sequence(self, path: Path, depth: int) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            place = (*path, str(len(found)))
            self.lines[place] = event.start_mark.line + 1
            found.append(self._value(event, place, depth + 1))
        return found

    def _mapping(self, path: Path, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: list[Any] = []
        lines: dict[str, int] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self._key(event)
            line = event.start_mark.line + 1
            if key in lines:
                self._refuse(event, f"key '{key}' is given twice: in line {lines[key]} and in line {line}")
            lines[key] = line
            place = (*path, key.lower())
            self.lines[place] = line
            is_merge = key == "<<" and isinstance(event, yaml.ScalarEvent) and event.implicit[0]
            value = self._value(next(self.events), place, depth + 1)
            if is_merge:
                merged.extend(self._merged(event, value))
            else:
                found[key] = value
        for other in merged:
            for key, value in other.items():
                found.setdefault(key, value)
        return found

    def _key(self, event: Any) -> str:
        """Keys are names: their text counts, whatever else it could be."""
        key = self._alias(event) if isinstance(event, yaml.AliasEvent) else getattr(event, "value", None)
        if not isinstance(key, str):
            is_template = isinstance(event, yaml.MappingStartEvent)
            self._refuse(event, "a key must be a plain text", _NO_TEMPLATES if is_template else "")
        return key

    def _merged(self, event: Any, value: Any) -> list[dict[str, Any]]:
        """``<<`` is not in YAML 1.2, but everybody uses it; keys written beside it win."""
        others = value if isinstance(value, list) else [value]
        if not all(isinstance(other, dict) for other in others):
            self._refuse(event, "<< takes a section, or a list of them")
        return others
