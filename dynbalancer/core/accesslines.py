"""One line for each exchange, as Traefik writes it: in the common format, the generic one, or JSON.

:func:`line_of` chooses once, from the settings, the function that writes every line. Whatever a client sends, one
exchange is one line, in ASCII: quotes and everything unprintable are escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from dynbalancer.core.accessfields import (
    Encryption,
    Offset,
    Remembered,
    Value,
    client_host,
    instant,
    target,
    values,
)
from dynbalancer.core.exchange import Exchange, Field
from dynbalancer.core.settings import AccessLogSettings

#: An exchange, the time of its end (Unix seconds) and its number in this process make a line.
Line = Callable[[Exchange, float, int], str]

_Key = TypeVar("_Key")

REDACTED = "REDACTED"

#: Fields of a request or an answer that open doors: kept only by name.
SECRET_FIELDS = frozenset(
    (
        b"authorization",
        b"cookie",
        b"proxy-authorization",
        b"set-cookie",
        b"x-api-key",
        b"x-auth-token",
    )
)

#: Values in a query whose names say that they are secrets.
_SECRET_VALUES = re.compile(
    rb"((?:^|[&;?])(?:[\w.-]*(?:token|secret|password|passwd|signature|credential|api[_-]?key)"
    rb"|key|pwd|sig|jwt|auth|sid|session|sessionid)=)[^&;#]*",
    re.IGNORECASE,
)
_HINTS = re.compile(rb"oken|ecret|ss|sig|edential|key|pwd|jwt|auth|sid")
_VALUES = re.compile(rb"((?:^|[&;])[^=&;]*=)[^&;]*")

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PROTOCOLS = {10: "HTTP/1.0", 11: "HTTP/1.1", 20: "HTTP/2.0"}
#: Octets that stand for themselves in a line.
_PLAIN = bytes(octet for octet in range(0x20, 0x7F) if octet not in b'"\\')
_UNPRINTABLE = {octet: f"\\x{octet:02x}" for octet in (*range(0x20), *range(0x7F, 0x100))} | {
    ord('"'): '\\"',
    ord("\\"): "\\\\",
}

#: The fields of the line with quotes where the line has them.
_GENERIC = (
    ("ClientHost", "{} - "),
    ("ClientUsername", "{} ["),
    ("", '{}] "'),
    ("RequestMethod", "{} "),
    ("RequestPath", "{} "),
    ("RequestProtocol", '{}" '),
    ("DownstreamStatus", "{} "),
    ("DownstreamContentSize", "{} "),
    ("request_referer", '"{}" '),
    ("request_user-agent", '"{}"'),
)
_COMMON = (
    *_GENERIC,
    ("RequestCount", " {} "),
    ("RouterName", '"{}" '),
    ("ServiceURL", '"{}" '),
    ("Duration", "{}ms"),
)


def line_of(
    settings: AccessLogSettings,
    *,
    offset: Offset = lambda seconds: 0,
    encryption: Encryption = lambda exchange: None,
) -> Line:
    """The function that writes a line. ``offset`` says how far local time is ahead, ``encryption`` what TLS is used."""
    if settings.format == "json":
        return _json_line(settings, offset, encryption)
    plain = settings.fields == "keep" and not settings.field_modes
    if plain and settings.format == "common" and not (settings.headers or settings.header_modes):
        return _usual_line(settings.query)
    return _chosen_line(settings, offset, encryption)


def keeper(settings: AccessLogSettings) -> Callable[[Exchange], bool] | None:
    """Says which exchanges are written; None where all are. One reason to keep it is enough, as in Traefik."""
    if not (settings.statuses or settings.retried or settings.slower_than):
        return None
    statuses = frozenset(status for low, high in settings.statuses for status in range(low, high + 1))
    retried, slower_than = settings.retried, settings.slower_than

    def kept(exchange: Exchange) -> bool:
        return (
            exchange.status in statuses
            or (retried and exchange.tries > 1)
            or 0 < slower_than < exchange.finished - exchange.started
        )

    return kept


def clf_time(seconds: float, ahead: int = 0) -> str:
    """``09/Jul/2026:12:00:05 +0000``, whatever language the system speaks."""
    date, _ = instant(int(seconds), ahead)
    zone = f"{'-' if ahead < 0 else '+'}{abs(ahead) // 3600:02d}{abs(ahead) // 60 % 60:02d}"
    return f"{date[8:10]}/{_MONTHS[int(date[5:7]) - 1]}/{date[:4]}:{date[11:19]} {zone}"


def escaped(value: bytes) -> str:
    """Latin-1, with quotes and everything unprintable escaped: one request can't write two lines."""
    text = value.decode("latin-1")
    return text if not value.translate(None, _PLAIN) else text.translate(_UNPRINTABLE)


def _masked(mode: str) -> Callable[[bytes], bytes]:
    """What is written of a query."""
    if mode == "keep":
        return lambda query: b"?" + query
    if mode == "drop":
        return lambda query: b""
    if mode == "redact":
        return lambda query: b"?" + _VALUES.sub(rb"\1REDACTED", query)
    hinted = _HINTS.search

    def masked(query: bytes) -> bytes:
        return b"?" + (without_secrets(query) if hinted(query.lower()) else query)

    return masked


def without_secrets(query: bytes) -> bytes:
    """The query, with ``REDACTED`` for what looks like a secret by its name."""
    # Most have none; to see that takes a tenth of the time.
    return _SECRET_VALUES.sub(rb"\1REDACTED", query) if _HINTS.search(query.lower()) else query


def _clean(mode: str) -> Callable[[bytes], bytes]:
    """What is written of a field that may be an address with a query, such as Referer."""
    if mode == "keep":
        return lambda value: value
    return lambda value: without_secrets(value) if b"?" in value else value


class _Texts(dict[bytes | str, str]):
    """Texts as they are written, remembered: most clients say the same again and again."""

    #: How long they may be.
    LONGEST = 512

    def __init__(self, clean: Callable[[bytes], bytes], most: int = 2048) -> None:
        self._clean = clean
        self._most = most

    def __missing__(self, value: bytes | str) -> str:
        raw = value if isinstance(value, bytes) else value.encode("utf-8", "replace")
        text = escaped(self._clean(raw))
        if len(value) <= self.LONGEST:
            if len(self) >= self._most:
                self.clear()
            self[value] = text
        return text


class _Written(dict[_Key, str]):
    """What ``write`` makes of a key, remembered until there are ``most``."""

    def __init__(self, write: Callable[[_Key], str], most: int) -> None:
        self._write = write
        self._most = most

    def __missing__(self, key: _Key) -> str:
        if len(self) >= self._most:
            self.clear()
        self[key] = text = self._write(key)
        return text


def _about(texts: _Texts, query_of: Callable[[bytes], bytes]) -> Callable[[Exchange], tuple[str, str]]:
    """What the common line says of a request: its target, and the two fields."""

    def of_fields(fields: list[Field]) -> str:
        referer = agent = None
        for lower, value, _ in fields:
            if lower == b"user-agent":
                agent = value
                if referer is not None:
                    break
            elif lower == b"referer":
                referer = value
                if agent is not None:
                    break
        return f' "{texts[referer] if referer else "-"}" "{texts[agent] if agent else "-"}" '

    def about(exchange: Exchange) -> tuple[str, str]:
        head = exchange.head
        path, query = exchange.asked or (head.path, head.query)
        asked = path if query is None else path + query_of(query)
        # The same as escaped(), without the call: this is what differs in every line.
        asked_text = asked.decode("latin-1")
        if asked.translate(None, _PLAIN):
            asked_text = asked_text.translate(_UNPRINTABLE)
        alike = head.alike
        # Where there are no middlewares, nobody has changed these fields.
        if alike is None or exchange.asked is not None:
            return asked_text, of_fields(head.headers.fields)
        if not alike.said:
            alike.said = of_fields(head.headers.fields)
        return asked_text, alike.said

    return about


def _whole(number: float) -> str:
    return str(int(number))


def _usual_line(query: str) -> Line:
    """The common line with all its fields: what nearly everybody has, so it is written out."""
    texts = _Texts(_clean(query))
    # Routers and servers: as many as are configured.
    names = _Texts(_clean(query), 65536)
    about = _about(texts, _masked(query))
    stamps = _Written(clf_time, 600)
    # Statuses, small sizes and milliseconds: whole, whatever their type.
    numbers = _Written(_whole, 8192)

    def stamped(exchange: Exchange, begun: float) -> tuple[float, str, str]:
        """From when on this holds for a second; what stands before, and behind, status and size."""
        head = exchange.head
        # A head that nobody changes may come again.
        lasting = exchange.asked is None or head.shared
        asked, fields = said = head.logged or about(exchange)
        client = exchange.client if not exchange.trusted else _word(client_host(exchange))
        user = _word(exchange.user) if exchange.user else "-"
        # Not int(): a call costs more than all of this.
        second = begun // 1
        request = f'"{texts[head.method]} {asked} {_PROTOCOLS[head.version]}"'
        found = second, f"{client} - {user} [{stamps[second]}] {request} ", fields
        if lasting:
            head.logged, head.stamped = said, found
        return found

    def line(exchange: Exchange, now: float, count: int) -> str:
        seconds = exchange.finished - exchange.started
        begun = now - seconds
        known = exchange.head.stamped
        if known is None or not 0.0 <= begun - known[0] < 1.0:
            known = stamped(exchange, begun)
        _, before, after = known
        route = exchange.route
        server = exchange.server
        size = exchange.bytes_out
        router = names[route.name] if route is not None else "-"
        url = names[server.server.url] if server is not None else "-"
        # Writing numbers costs more than all the rest. "!s": half the time that they take without it.
        return (
            f"{before}{numbers[exchange.status]} {numbers[size] if size < 1024 else str(size)}{after}"
            f'{count!s} "{router}" "{url}" {numbers[seconds * 1000 // 1]}ms\n'
        )

    return line


# Lines whose fields somebody chose.


@dataclass(frozen=True, slots=True)
class _Modes:
    """What becomes of header fields: ``keep``, ``drop`` or ``redact``, for all and by lower-case name."""

    default: str
    named: Mapping[bytes, str]

    @classmethod
    def of(cls, settings: AccessLogSettings, *also: str) -> _Modes:
        """As set; those of ``also`` are kept where nothing was said of any."""
        kept = {name.encode(): "keep" for name in also if not settings.headers}
        return cls(settings.headers or "drop", kept | {n.encode(): mode for n, mode in settings.header_modes})

    def mode(self, lower: bytes) -> str:
        """What becomes of this one."""
        mode = self.named.get(lower)
        if mode is None:
            mode = "redact" if self.default == "keep" and lower in SECRET_FIELDS else self.default
        return mode


def _chosen_values(settings: AccessLogSettings, offset: Offset, encryption: Encryption) -> dict[str, Value]:
    """The fields that are written, by name."""
    query_of = _masked(settings.query)

    def request_path(exchange: Exchange, now: float, count: int) -> bytes:
        path, query = target(exchange)
        return path if query is None else path + query_of(query)

    named = dict(settings.field_modes)
    known = {**values(offset, encryption), "RequestPath": request_path}
    return {name: value for name, value in known.items() if named.get(name, settings.fields) != "drop"}


def _chosen_line(settings: AccessLogSettings, offset: Offset, encryption: Encryption) -> Line:
    """The common or generic line; of what was dropped there is a dash."""
    known = _chosen_values(settings, offset, encryption)
    modes = _Modes.of(settings, "referer", "user-agent")
    parts = _GENERIC if settings.format == "genericclf" else _COMMON
    getters: list[Value] = []
    for name, _ in parts:
        if name.startswith("request_"):
            getters.append(_header(name.removeprefix("request_").encode(), modes, _clean(settings.query)))
        elif not name:
            getters.append(_stamp(known, offset))
        elif name == "Duration":
            getters.append(_milliseconds if name in known else _zero)
        else:
            getters.append(known.get(name, _nothing))
    template = "".join(part for _, part in parts) + "\n"
    host, user, *others = getters

    def line(exchange: Exchange, now: float, count: int) -> str:
        words = (_word(getter(exchange, now, count)) for getter in (host, user))
        return template.format(*words, *(_clf(getter(exchange, now, count)) for getter in others))

    return line


def _clf(value: object) -> str:
    if isinstance(value, bytes):
        return escaped(value) or "-"
    if isinstance(value, str):
        return escaped(value.encode("utf-8", "replace")) or "-"
    return "-" if value is None else str(value)


def _word(value: object) -> str:
    """The same for what has no quotes around it: a blank would shift all that follows."""
    return _clf(value).replace(", ", ",").replace(" ", "\\x20")


def _nothing(exchange: Exchange, now: float, count: int) -> None:
    return None


def _zero(exchange: Exchange, now: float, count: int) -> int:
    return 0


def _milliseconds(exchange: Exchange, now: float, count: int) -> int:
    return int((exchange.finished - exchange.started) * 1000)


def _stamp(known: Mapping[str, Value], offset: Offset) -> Value:
    """When it began, by whichever of the two clocks is kept."""
    if "StartUTC" not in known and "StartLocal" not in known:
        return _nothing
    ahead = (lambda seconds: 0) if "StartUTC" in known else offset

    def stamp(exchange: Exchange, now: float, count: int) -> str:
        start = now - (exchange.finished - exchange.started)
        return clf_time(start, ahead(start))

    return stamp


def _header(lower: bytes, modes: _Modes, clean: Callable[[bytes], bytes]) -> Value:
    mode = modes.mode(lower)
    if mode == "drop":
        return _nothing

    def header(exchange: Exchange, now: float, count: int) -> object:
        value = exchange.head.headers.get(lower)
        if value and mode == "redact":
            return REDACTED
        return clean(value) if value else None

    return header


# JSON.


def _json_line(settings: AccessLogSettings, offset: Offset, encryption: Encryption) -> Line:
    known = sorted(_chosen_values(settings, offset, encryption).items())
    modes, clean = _Modes.of(settings), _clean(settings.query)
    with_headers = modes.default != "drop" or any(mode != "drop" for mode in modes.named.values())
    encode = json.JSONEncoder(separators=(",", ":")).encode
    instants = Remembered(lambda seconds: 0)

    def line(exchange: Exchange, now: float, count: int) -> str:
        found: dict[str, object] = {}
        for name, value in known:
            one = value(exchange, now, count)
            if one is not None:
                found[name] = _text(one) if isinstance(one, bytes) else one
        if with_headers:
            for prefix, fields in _messages(exchange):
                found.update(_header_values(prefix, fields, modes, clean))
        # These three are what its logger adds to every line.
        found["level"], found["msg"], found["time"] = "info", "", "".join(instants[int(now)])
        return encode(found) + "\n"

    return line


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _messages(exchange: Exchange) -> Iterable[tuple[str, Iterable[Field]]]:
    yield "request_", exchange.head.headers.fields
    response = exchange.response
    if exchange.origin is not None:
        yield "origin_", exchange.origin[1]
    elif response is not None:
        yield "origin_", response.headers.fields
    sent = exchange.sent or response
    if sent is not None:
        yield "downstream_", sent.headers.fields


def _header_values(
    prefix: str, fields: Iterable[Field], modes: _Modes, clean: Callable[[bytes], bytes]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for lower, value, _ in fields:
        mode = modes.mode(lower)
        if mode == "drop":
            continue
        # As Go writes them.
        name = prefix + "-".join(part.capitalize() for part in lower.decode("latin-1").split("-"))
        if mode == "redact":
            found[name] = REDACTED
        else:
            text = _text(clean(value))
            found[name] = f"{found[name]}, {text}" if name in found else text
    return found
