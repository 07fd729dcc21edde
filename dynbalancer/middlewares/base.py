"""What every middleware starts from: hooks that cost nothing unless defined, and a reader of settings.

Settings come typed from files (``permanent: true``, lists) and as texts from labels (``permanent=true``,
``a,b``). Both read the same; letter case of option names does not count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from zope.interface import implementer

from dynbalancer.core.exchange import Field, Headers, Response, field_of
from dynbalancer.core.schema import READERS, WrongValueError, describe
from dynbalancer.errors import ConfigurationError, did_you_mean
from dynbalancer.interfaces import IMiddleware

T = TypeVar("T")

_member = re.compile(r"(\w+)\[([0-9]{1,4})\]").fullmatch


@implementer(IMiddleware)
class Middleware:
    """No hook at all. Define the ones you need: the others stay None and are never called."""

    __slots__ = ()

    on_request: ClassVar[Any] = None
    on_response: ClassVar[Any] = None
    on_finish: ClassVar[Any] = None


class SettingsReader:
    """The settings of one middleware, option by option. Whatever can't be used raises ConfigurationError."""

    def __init__(self, name: str, settings: Mapping[str, Any], known: Iterable[str]) -> None:
        self.where = f"middleware {name}"
        self._found: dict[str, Any] = {}
        options = tuple(known)
        spelling = {option.lower(): option for option in options}
        for key, value in _listed(settings).items():
            option = spelling.get(key.lower())
            if option is None:
                expected = f"; expected {', '.join(options)}" if len(options) < 8 else ""
                why = f"unknown option {key}{expected}"
                raise ConfigurationError(self.where, why, did_you_mean(key, options))
            if option in self._found:
                raise ConfigurationError(
                    self.where, f"option {option} is given twice, in different letter case"
                )
            self._found[option] = value

    def is_on(self, option: str) -> bool:
        """Whether it is given and neither false nor empty."""
        return str(self._found.get(option)).lower() not in ("", "false", "none", "()", "[]", "{}")

    def refuse(self, why: str, hint: str = "") -> ConfigurationError:
        """The error to raise; it names the middleware."""
        return ConfigurationError(self.where, why, hint)

    def text(self, option: str, default: str | None = None) -> str:
        """A text, the default where it is empty. Without a default the option is required.

        Whole numbers are taken as they are written.
        """
        value = self._found.get(option)
        if value == "" and default is not None:
            return default
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return str(self._read("text", option, value, default))

    def switch(self, option: str) -> bool:
        """True or false, false where it is not given."""
        return bool(self._read("switch", option, self._found.get(option), False))

    def words(self, option: str) -> tuple[str, ...]:
        """A list, or one text with commas; at least one word."""
        found = self._read("list", option, self._found.get(option), None)
        if not found:
            raise self.refuse(f"option {option}: expected at least one, got an empty list")
        return tuple(found)

    def pairs(self, option: str) -> tuple[tuple[str, str], ...]:
        """A section of texts, in order; empty texts are allowed. Numbers and switches are taken as texts."""
        found: Mapping[str, Any] = self._read("section", option, self._found.get(option), {})
        return tuple((key, self._pair(option, key, value)) for key, value in found.items())

    def regex(self, option: str, made: Callable[[], T]) -> T:
        """What ``made`` makes of the pattern of an option; its complaint becomes that of the option."""
        try:
            return made()
        except ConfigurationError as error:
            raise self.refuse(f"option {option}: {error.why}", error.hint) from error

    def _pair(self, option: str, key: str, value: object) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if value is None:
            return ""
        if isinstance(value, (str, int, float)):
            return str(value)
        raise self.refuse(f"option {option}.{key}: expected a text, got {describe(value)}")

    def _read(self, kind: str, option: str, value: object, default: object) -> Any:
        if value is None:
            if default is None:
                raise self.refuse(f"option {option} is missing")
            return default
        try:
            return READERS[kind](value)
        except WrongValueError as wrong:
            why = f"option {option}: expected {wrong.expected}, got {describe(value)}"
            raise self.refuse(why, wrong.hint) from wrong


def _listed(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Labels may write a list member by member, ``prefixes[0]=/a``: those become one list again."""
    members: dict[str, dict[int, Any]] = {}
    found: dict[str, Any] = {}
    for key, value in settings.items():
        indexed = _member(key)
        if indexed is None:
            found[key] = value
        else:
            members.setdefault(indexed.group(1), {})[int(indexed.group(2))] = value
    for key, by_number in members.items():
        found[key] = tuple(by_number[number] for number in sorted(by_number))
    return found


@dataclass(frozen=True, slots=True)
class FieldEdits:
    """What to do to the fields of a message: drop every one of ``names``, then append ``fields``.

    Names are lower case with ``-`` for ``_``, and stand for all spellings that fold to them: many servers
    take the two for one, and a client must not be able to slip its own value in beside ours.
    """

    names: frozenset[bytes]
    fields: tuple[Field, ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[tuple[bytes, bytes]]) -> FieldEdits:
        """Set each field of ``(name, value)`` pairs; an empty value removes it."""
        by_name = {folded(name): field_of(name, value) for name, value in pairs}
        return cls(frozenset(by_name), tuple(field for field in by_name.values() if field[1]))

    def apply(self, headers: Headers) -> None:
        names = self.names
        kept = [field for field in headers.fields if field[0].replace(b"_", b"-") not in names]
        kept.extend(self.fields)
        headers.fields = kept


def plain(status: int, body: bytes, *fields: tuple[bytes, bytes]) -> Response:
    """An answer of our own, in plain text: nothing of the request is in it that a browser could run."""
    return Response(status, body, [(b"Content-Type", b"text/plain; charset=utf-8"), *fields])


def folded(name: bytes) -> bytes:
    """A field name in the form in which servers may confuse it."""
    return name.lower().replace(b"_", b"-")
