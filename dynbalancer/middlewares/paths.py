"""Middlewares that change the path the server sees: addPrefix, stripPrefix, replacePath, and two by patterns.

The query stays. Paths come in normal form and leave in it: what could then be read in two ways is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote

from dynbalancer.core.exchange import Exchange, Response
from dynbalancer.core.rules.regex import capturing
from dynbalancer.core.rules.replacement import Replacement
from dynbalancer.core.targets import normal_path
from dynbalancer.errors import RequestError
from dynbalancer.middlewares.base import FieldEdits, Middleware, Option, SettingsReader, plain

FORWARDED_PREFIX = b"X-Forwarded-Prefix"
REPLACED_PATH = b"X-Replaced-Path"

_forget_prefix = FieldEdits.of([(FORWARDED_PREFIX, b"")])
_forget_replaced = FieldEdits.of([(REPLACED_PATH, b"")])

_slashes = re.compile(rb"/{2,}")

# What the parser of requests leaves as it is.
_UNQUOTED = "/%:@!$&'()*+,;=~|<>[]^`{}\"\\"


@dataclass(frozen=True, slots=True)
class AddPrefix(Middleware):
    """Put ``prefix`` in front of the path the server sees."""

    same_again: ClassVar[bool] = True

    prefix: bytes

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option(
            "prefix",
            "text",
            "What is put in front, with or without a slash at its begin.",
            required=True,
        ),
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> AddPrefix:
        """Takes ``prefix``; a slash in front of it is added where it is missing."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        prefix = reader.text("prefix")
        return cls(_path(reader, "prefix", prefix if prefix.startswith("/") else f"/{prefix}").rstrip(b"/"))

    def on_request(self, exchange: Exchange) -> None:
        exchange.head.path = self.prefix + exchange.head.path


@dataclass(frozen=True, slots=True)
class StripPrefix(Middleware):
    """Take the first of ``prefixes`` that fits off the path, and tell the server in X-Forwarded-Prefix.

    Where none fits, the request goes on unchanged. ``notices`` are sentences about prefixes without effect.
    """

    same_again: ClassVar[bool] = True

    prefixes: tuple[bytes, ...]
    notices: tuple[str, ...] = ()

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("prefixes", "list", "Tried in this order; the first that fits is taken off.", required=True),
        Option(
            "forceSlash",
            "switch",
            "Taken, and without effect: a path always begins with a slash here.",
            False,
        ),
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> StripPrefix:
        """Takes ``prefixes``; and ``forceSlash``, without effect, since a path always has its slash here."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        reader.switch("forceSlash")
        words = reader.words("prefixes")
        # As in Traefik, a prefix without its slash never fits: no path begins that way.
        silent = tuple(
            f"prefix {word} never fits: a path begins with a slash" for word in words if word[0] != "/"
        )
        return cls(tuple(_path(reader, "prefixes", word) for word in words if word[0] == "/"), silent)

    def on_request(self, exchange: Exchange) -> Response | None:
        path = exchange.head.path
        for prefix in self.prefixes:
            if path.startswith(prefix):
                return _strip(exchange, prefix)
        return None


@dataclass(frozen=True, slots=True)
class StripPrefixRegex(Middleware):
    """Take what the first pattern that fits finds at the start off the path, and tell it in X-Forwarded-Prefix.

    ``searches`` are those of the compiled patterns. Where none fits, the request goes on unchanged.
    """

    same_again: ClassVar[bool] = True

    searches: tuple[Callable[[bytes], Any], ...]

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option(
            "regex",
            "list",
            "Patterns, tried in this order; what the first finds is taken off.",
            required=True,
        ),
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> StripPrefixRegex:
        """Takes ``regex``, a list of patterns."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        words = reader.words("regex")
        return cls(
            tuple(reader.made("regex", partial(capturing, word, groups=False)).search for word in words)
        )

    def on_request(self, exchange: Exchange) -> Response | None:
        path = exchange.head.path
        for search in self.searches:
            found = search(path)
            if found is not None and found.start() == 0 and found.end():
                return _strip(exchange, found.group())
        return None


def _strip(exchange: Exchange, prefix: bytes) -> Response | None:
    rest = exchange.head.path[len(prefix) :]
    rest = rest if rest.startswith(b"/") else b"/" + rest
    # /api../secret without /api would be /../secret: what was no dot segment when it was routed must not
    # become one.
    try:
        unambiguous = normal_path(rest) == rest
    except RequestError:
        unambiguous = False
    if not unambiguous:
        return _refused()
    exchange.head.path = rest
    _tell_prefix(exchange, prefix)
    return None


def _refused() -> Response:
    return plain(400, b"400 bad request\n")


def _tell_prefix(exchange: Exchange, prefix: bytes) -> None:
    """Append to what a trusted peer or we ourselves said before; what any other client said is forgotten."""
    notes = exchange.notes = {} if exchange.notes is None else exchange.notes
    if not exchange.trusted and "stripped" not in notes:
        _forget_prefix.apply(exchange.head.headers)
    notes["stripped"] = True
    exchange.head.headers.add(FORWARDED_PREFIX, prefix)


@dataclass(frozen=True, slots=True)
class ReplacePath(Middleware):
    """Send ``path`` to the server instead, and the path that was asked for in X-Replaced-Path."""

    same_again: ClassVar[bool] = True

    path: bytes

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("path", "text", "The path the server sees; begins with a slash.", required=True),
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> ReplacePath:
        """Takes ``path``, which must begin with a slash."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        return cls(_path(reader, "path", reader.text("path")))

    def on_request(self, exchange: Exchange) -> None:
        _forget_replaced.apply(exchange.head.headers)
        exchange.head.headers.add(REPLACED_PATH, exchange.head.path)
        exchange.head.path = self.path


@dataclass(frozen=True, slots=True)
class ReplacePathRegex(Middleware):
    """Replace in the path what a pattern finds, and send the old path in X-Replaced-Path.

    Where it finds nothing, the request goes on unchanged. ``replacement`` None: there is nothing to put in its place.
    """

    same_again: ClassVar[bool] = True

    replacement: Replacement | None
    notices: tuple[str, ...] = ()

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("regex", "text", "The pattern, in Go's dialect, at most 1024 bytes.", required=True),
        Option(
            "replacement",
            "text",
            "In the place of each match; `$1`, `${1}`, `${name}` are groups.",
            "",
        ),
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> ReplacePathRegex:
        """Takes ``regex`` and ``replacement``, in which ``$1`` or ``${name}`` stands for a group."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        pattern, written = reader.text("regex"), reader.text("replacement")
        if not written.isprintable():
            raise reader.refuse("option replacement: control characters have no place in a path")
        # As in Traefik: a path is made of it, which has no query.
        template = quote(written, safe=_UNQUOTED)
        made = reader.made("regex", partial(Replacement, pattern, template))
        notices = [f"{word} in the replacement is no group of the pattern" for word in made.unknown]
        if "?" in written or "#" in written:
            notices.append("? and # in the replacement become part of the path: the query can't be changed")
        if not written:
            return cls(None, ("without a replacement it changes nothing",))
        return cls(made, tuple(notices))

    def on_request(self, exchange: Exchange) -> Response | None:
        head = exchange.head
        _forget_replaced.apply(head.headers)
        if self.replacement is None:
            return None
        try:
            found = self.replacement.replaced(head.path)
            if found is None:
                return None
            path = _rewritten(found)
        except RequestError:
            return _refused()
        head.headers.add(REPLACED_PATH, head.path)
        head.path = path
        return None


def _rewritten(found: bytes) -> bytes:
    """A path put together from pieces. Raises RequestError 400 where one became a dot segment, as in :func:`_strip`."""
    path = _slashes.sub(b"/", b"/" + found)
    for segment in path.lower().split(b"/"):
        if segment.replace(b"%2e", b".") in (b".", b".."):
            raise RequestError(400, "rewrite", "a dot segment came about")
    return normal_path(path)


def _path(reader: SettingsReader, option: str, written: str) -> bytes:
    """A configured path in the form that paths of requests have; what is not ASCII is escaped."""
    if not written.startswith("/"):
        raise reader.refuse(f"option {option}: expected a path, got '{written}'", f"write /{written}")
    if not written.isprintable() or "?" in written or "#" in written:
        raise reader.refuse(f"option {option}: a path has no '?', no '#' and no control characters")
    if ".." in written.split("/"):
        raise reader.refuse(f"option {option}: '..' has no place here, got '{written}'")
    try:
        return normal_path(quote(written, safe=_UNQUOTED).encode("ascii"))
    except RequestError as error:
        raise reader.refuse(f"option {option}: {error.why}") from error
