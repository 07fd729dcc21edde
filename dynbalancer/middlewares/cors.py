"""What pages of other origins may do, for the middleware headers (the Fetch standard, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from dynbalancer.core.exchange import Exchange, Headers, Response
from dynbalancer.core.fields import tokens_of
from dynbalancer.core.rules.regex import finder
from dynbalancer.middlewares.base import Option, SettingsReader, field_value

CORS_OPTIONS = (
    Option("accessControlAllowCredentials", "switch", "Whether browsers may send cookies along.", False),
    Option("accessControlAllowHeaders", "list", "Said in answers to preflights.", ()),
    Option("accessControlAllowMethods", "list", "Said in answers to preflights.", ()),
    Option("accessControlAllowOriginList", "list", "Origins that may read responses; `*`: all.", ()),
    Option("accessControlAllowOriginListRegex", "list", "Patterns for such origins.", ()),
    Option("accessControlExposeHeaders", "list", "Fields of responses that pages may read.", ()),
    Option("accessControlMaxAge", "number", "Seconds for which a preflight may be remembered.", 0),
    Option("addVaryHeader", "switch", "Add `Vary: Origin` to responses.", False),
)
CORS = tuple(option.name for option in CORS_OPTIONS)

#: The two lists of origins.
_LIST, _PATTERNS = CORS[3], CORS[4]

Pair = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Cors:
    """Answers preflight requests, and says in responses which origin may read them.

    ``asked`` are the fields of the answer to a preflight, ``always`` those of every response; the origin comes on top.
    """

    origins: frozenset[bytes] = frozenset()
    patterns: tuple[Callable[[bytes], bool], ...] = ()
    asked: tuple[Pair, ...] = ()
    always: tuple[Pair, ...] = ()
    varies: bool = False

    @classmethod
    def read(cls, reader: SettingsReader) -> Cors | None:
        """From the settings of the middleware; None where none of :data:`CORS` is on."""
        max_age = reader.number("accessControlMaxAge", low=-1, high=2**31)
        if not max_age and not any(
            reader.is_on(option) for option in CORS if option != "accessControlMaxAge"
        ):
            return None
        credentials = reader.switch("accessControlAllowCredentials")
        allowing = (b"Access-Control-Allow-Credentials", b"true" if credentials else b"")
        patterns = reader.words(_PATTERNS)
        made = (reader.made(_PATTERNS, partial(finder, word)) for word in patterns)
        asked = (
            allowing,
            (b"Access-Control-Allow-Headers", _listed(reader, "accessControlAllowHeaders")),
            (b"Access-Control-Allow-Methods", _listed(reader, "accessControlAllowMethods")),
            (b"Access-Control-Max-Age", b"%d" % max_age),
        )
        always = (allowing, (b"Access-Control-Expose-Headers", _listed(reader, "accessControlExposeHeaders")))
        return cls(
            frozenset(_values(reader, _LIST)),
            tuple(made),
            tuple(pair for pair in asked if pair[1]),
            tuple(pair for pair in always if pair[1]),
            reader.switch("addVaryHeader"),
        )

    def preflight(self, exchange: Exchange) -> Response | None:
        """The answer to a preflight; None for every other request."""
        if exchange.head.method != b"OPTIONS":
            return None
        headers = exchange.head.headers
        origin = headers.get(b"origin")
        if not origin or not headers.get(b"access-control-request-method"):
            return None
        allowed = self._allowed(origin)
        fields = [*self.asked, *([(b"Access-Control-Allow-Origin", allowed)] if allowed else [])]
        if self.varies:
            fields.append((b"Vary", b"Origin"))
        return Response(200, b"", fields)

    def mark(self, exchange: Exchange, headers: Headers) -> None:
        """Set the fields of a response."""
        allowed = self._allowed(exchange.head.headers.get(b"origin", b"") or b"")
        if allowed:
            headers.set(b"Access-Control-Allow-Origin", allowed)
        for name, value in self.always:
            headers.set(name, value)
        if self.varies:
            _vary_by_origin(headers)

    def _allowed(self, origin: bytes) -> bytes:
        """What to say of an origin; nothing where it is not allowed."""
        if origin in self.origins:
            return origin
        if b"*" in self.origins:
            return b"*"
        return origin if any(finds(origin) for finds in self.patterns) else b""


def notices(reader: SettingsReader) -> tuple[str, ...]:
    """Sentences about what is allowed by these settings and probably not meant."""
    found = []
    if reader.switch("accessControlAllowCredentials") and b"*" in _values(reader, _LIST):
        found.append("browsers send no credentials where every origin is allowed: name the origins")
    found += [
        f"{_PATTERNS} {pattern} fits more than it looks like: begin it with ^ and end it with $"
        for pattern in reader.words(_PATTERNS)
        if not (pattern.startswith("^") and pattern.endswith("$"))
    ]
    return tuple(found)


def _vary_by_origin(headers: Headers) -> None:
    said = headers.all(b"vary")
    if b"origin" not in tokens_of(said) and b"*" not in said:
        headers.set(b"Vary", b",".join([*filter(None, said), b"Origin"]))


def _values(reader: SettingsReader, option: str) -> tuple[bytes, ...]:
    return tuple(field_value(reader, option, word) for word in reader.words(option))


def _listed(reader: SettingsReader, option: str) -> bytes:
    return b",".join(_values(reader, option))
