"""What every middleware starts from: hooks that cost nothing unless defined, and a reader of settings.

Settings come typed from files (``permanent: true``, lists) and as texts from labels (``permanent=true``,
``a,b``). Both read the same; letter case of option names does not count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, ClassVar, TypeVar

from zope.interface import implementer

from dynbalancer.core.exchange import CHUNKED, Exchange, Field, Headers, Response, ResponseHead, field_of
from dynbalancer.core.fields import CONTROLS, TOKEN
from dynbalancer.core.schema import NO, READERS, WrongValueError, describe
from dynbalancer.errors import ConfigurationError, did_you_mean
from dynbalancer.interfaces import IBodyFilter, IMiddleware

T = TypeVar("T")

#: The proxy frames messages: a second opinion about where a body ends is how requests get smuggled.
FRAMING = frozenset((b"content-length", b"transfer-encoding"))

#: Fields of one connection, which go no further than the next hop whoever sets them (RFC 9110 section 7.6.1).
HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade", b"http2-settings")
)

#: Up to so many dashes in a name, all its spellings are laid out.
_MOST_DASHES = 6

#: What an option says, as a text, that is as good as not there.
_OFF = frozenset(("", "false", "none", "()", "[]", "{}"))

_member = re.compile(r"(\w+)\[([0-9]{1,4})\]").fullmatch


@dataclass(frozen=True, slots=True)
class Option:
    """One setting of a middleware: what its reader takes, and a row of its page in the reference.

    ``kind`` is ``text``, ``list``, ``number``, ``switch``, ``duration`` (seconds once read) or ``section``, whose
    options are ``members`` (none: the keys are the user's). ``default`` is None where there is none.
    """

    name: str
    kind: str
    meaning: str
    default: Any = None
    required: bool = False
    members: tuple[Option, ...] = ()


@implementer(IMiddleware)
class Middleware:
    """No hook at all. Define the ones you need: the others stay None and are never called."""

    __slots__ = ()

    on_request: ClassVar[Any] = None
    on_response: ClassVar[Any] = None
    on_finish: ClassVar[Any] = None
    #: See IRepeatable: a promise, which nobody inherits.
    same_again: ClassVar[bool] = False
    once_more: ClassVar[Any] = None


@implementer(IBodyFilter)
class BodyFilter:
    """Lets the body of an answer pass as it is. Define what you need; see IBodyFilter."""

    __slots__ = ()

    undecided: bool = False

    def feed(self, data: bytes) -> bytes:
        """What comes out for these octets."""
        return data

    def flush(self) -> bytes:
        """What was held and should not be, for there is no more for now."""
        return b""

    def trailers(self, fields: Sequence[Field]) -> Sequence[Field]:
        """Those to pass on."""
        return fields

    def finish(self) -> bytes:
        """The rest."""
        return b""


def add_filter(exchange: Exchange, head: ResponseHead, one: BodyFilter) -> None:
    """The body of the answer with this head goes through one more filter."""
    if exchange.filters is None:
        exchange.filters = []
    exchange.filters.append(one)
    head.length = CHUNKED


class SettingsReader:
    """The settings of one middleware, option by option. Whatever can't be used raises ConfigurationError."""

    def __init__(
        self, name: str, settings: Mapping[str, Any], known: Iterable[str | Option], section: str = ""
    ) -> None:
        """``known``: the options, or only their names where their defaults are said at each reading."""
        self.where = f"middleware {name}"
        self._name = name
        self._section = section
        self._found: dict[str, Any] = {}
        self._declared = {option.name: option for option in known if isinstance(option, Option)}
        options = tuple(option.name if isinstance(option, Option) else option for option in known)
        spelling = {option.lower(): option for option in options}
        for key, value in _listed(settings).items():
            option = spelling.get(key.lower())
            if option is None:
                expected = f"; expected {', '.join(options)}" if len(options) < 8 else ""
                why = f"unknown option {section}{key}{expected}"
                raise ConfigurationError(self.where, why, did_you_mean(key, options))
            if option in self._found:
                raise self.wrong(option, "is given twice, in different letter case")
            self._found[option] = value

    def is_on(self, option: str) -> bool:
        """Whether it is given and neither false nor empty."""
        found = str(self._found.get(option)).lower()
        declared = self._declared.get(option)
        return found not in _OFF and not (declared is not None and declared.kind == "switch" and found in NO)

    def is_empty_section(self, option: str) -> bool:
        """Whether it is there with nothing in it, as ``ipStrategy: {}``."""
        found = self._found.get(option)
        return isinstance(found, Mapping) and not found

    def refuse(self, why: str, hint: str = "") -> ConfigurationError:
        """The error to raise; it names the middleware."""
        return ConfigurationError(self.where, why, hint)

    def wrong(self, option: str, why: str, hint: str = "") -> ConfigurationError:
        """The error to raise for one option; ``why`` follows its name."""
        return self.refuse(f"option {self._section}{option}{why if why[0] == ':' else ' ' + why}", hint)

    def below(self, option: str, known: Iterable[str | Option] = ()) -> SettingsReader | None:
        """The reader of a section in these settings, or None where there is none.

        As in Traefik's labels, ``true`` is a section with nothing in it, and ``false`` none.
        """
        value = self._found.get(option)
        alone = str(value).lower() if isinstance(value, (str, bool)) else ""
        if value is None or alone in NO:
            return None
        known = known or self._declared[option].members
        found = {} if alone == "true" else self._read("section", option, value, {})
        return SettingsReader(self._name, found, known, f"{self._section}{option}.")

    def named(self, option: str, known: Iterable[str | Option]) -> dict[str, SettingsReader]:
        """A reader for each section of a section, by the user's names."""
        sections = self._read("section", option, self._found.get(option), {})
        within = self.below(option, tuple(sections))
        found = {name: within.below(name, known) for name in sections} if within is not None else {}
        return {name: reader for name, reader in found.items() if reader is not None}

    def number(self, option: str, default: int | None = None, low: int = 0, high: int = 2**63 - 1) -> int:
        """A whole number from ``low`` to ``high``; without a default that of its declaration."""
        value = self._found.get(option)
        default = self._default(option, default)
        found = default if value == "" else int(self._read("number", option, value, default))
        if found != default and not low <= found <= high:
            raise self.wrong(option, f": expected a number from {low} to {high}, got {found}")
        return found

    def duration(self, option: str) -> float:
        """Seconds; the default of its declaration where it is not given."""
        value = self._found.get(option)
        return float(self._read("duration", option, None if value == "" else value, self._default(option)))

    def text(self, option: str, default: str | None = None) -> str:
        """A text, the default where it is empty. Without a default the option is required.

        Whole numbers are taken as they are written.
        """
        value = self._found.get(option)
        default = self._default(option, default)
        if value == "" and default is not None:
            return default
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return str(self._read("text", option, value, default))

    def switch(self, option: str, *, default: bool = False) -> bool:
        """True or false, the default where it is not given."""
        declared = self._default(option)
        default = default if declared is None else declared
        return bool(self._read("switch", option, self._found.get(option), default))

    def words(self, option: str, *, required: bool | None = None) -> tuple[str, ...]:
        """A list, or one text with commas; at least one word where required, as it is unless declared otherwise."""
        value = self._found.get(option)
        if required is None:
            required = option not in self._declared or self._declared[option].required
        if value is None and not required and self._default(option):
            return tuple(self._default(option))
        if not required and value in ("", None):
            return ()
        found = self._read("list", option, value, None)
        if required and not found:
            raise self.wrong(option, ": expected at least one, got an empty list")
        return tuple(found)

    def pairs(self, option: str) -> tuple[tuple[str, str], ...]:
        """A section of texts, in order; empty texts are allowed. Numbers and switches are taken as texts."""
        value = self._found.get(option)
        if isinstance(value, str):
            why = f": expected a section, got {describe(value)}"
            raise self.wrong(option, why, f"write {option}.NAME with the value of each")
        found: Mapping[str, Any] = self._read("section", option, value, {})
        return tuple((key, self._pair(option, key, value)) for key, value in found.items())

    def made(self, option: str, make: Callable[[], T]) -> T:
        """What ``make`` makes of an option; its complaint becomes that of the option."""
        try:
            return make()
        except ConfigurationError as error:
            raise self.wrong(option, f": {error.why}", error.hint) from error
        except ValueError as error:
            raise self.wrong(option, f": {error}") from error

    def _default(self, option: str, given: Any = None) -> Any:
        """What was given, or what its declaration says."""
        declared = self._declared.get(option)
        return given if given is not None or declared is None or declared.required else declared.default

    def _pair(self, option: str, key: str, value: object) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if value is None:
            return ""
        if isinstance(value, (str, int, float)):
            return str(value)
        raise self.wrong(f"{option}.{key}", f": expected a text, got {describe(value)}")

    def _read(self, kind: str, option: str, value: object, default: object) -> Any:
        if value is None:
            if default is None:
                raise self.wrong(option, "is missing")
            return default
        try:
            return READERS[kind](value)
        except WrongValueError as wrong:
            why = f": expected {wrong.expected}, got {describe(value)}"
            raise self.wrong(option, why, wrong.hint) from wrong


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
    #: All spellings of all names, so that one look is enough for each field of a message; none where they are too many.
    spellings: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, pairs: Iterable[tuple[bytes, bytes]]) -> FieldEdits:
        """Set each field of ``(name, value)`` pairs; an empty value removes it."""
        by_name = {folded(name): field_of(name, value) for name, value in pairs}
        found = [_spellings(name) for name in by_name]
        spellings = frozenset(chain.from_iterable(found)) if all(found) else frozenset()
        return cls(frozenset(by_name), tuple(field for field in by_name.values() if field[1]), spellings)

    def apply(self, headers: Headers) -> None:
        spellings = self.spellings
        if spellings:
            kept = [field for field in headers.fields if field[0] not in spellings]
        else:
            kept = [field for field in headers.fields if folded(field[0]) not in self.names]
        kept.extend(self.fields)
        headers.fields = kept


@lru_cache(maxsize=256)
def _spellings(name: bytes) -> tuple[bytes, ...]:
    """The name with ``-`` and ``_`` in every place where it has one of them; none where these are too many."""
    first, *others = name.split(b"-")
    if len(others) > _MOST_DASHES:
        return ()
    found = [first]
    for part in others:
        found = [before + dash + part for before in found for dash in (b"-", b"_")]
    return tuple(found)


def dialect_of(settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The manner in which settings are meant, ``v1`` or ``v3``, and the rest of them.

    Labels of Traefik 1 say so where the same option meant something else.
    """
    rest = {key: value for key, value in settings.items() if key.lower() != "dialect"}
    said = [str(value).lower() for key, value in settings.items() if key.lower() == "dialect"]
    return "v1" if said == ["v1"] else "v3", rest


def plain(status: int, body: bytes, *fields: tuple[bytes, bytes]) -> Response:
    """An answer of our own, in plain text: nothing of the request is in it that a browser could run."""
    return Response(status, body, [(b"Content-Type", b"text/plain; charset=utf-8"), *fields])


def folded(name: bytes) -> bytes:
    """A field name in the form in which servers may confuse it."""
    return name.lower().replace(b"_", b"-")


def field_name(reader: SettingsReader, option: str, written: str) -> bytes:
    """The name of a header field that may be set."""
    name = written.encode()
    if not name or name.translate(None, TOKEN):
        raise reader.wrong(option, f": '{written}' is not a name of a header field")
    if folded(name) in FRAMING:
        raise reader.wrong(option, f": {written} is set by the proxy itself")
    return name


def field_value(reader: SettingsReader, option: str, written: str) -> bytes:
    """The value of a header field, blanks around it left out."""
    value = written.strip(" \t").encode()
    if value.translate(None, CONTROLS) != value:
        raise reader.wrong(option, ": a value must not hold CR, LF, NUL or other control characters")
    return value
