"""Middlewares that send the client elsewhere: to another scheme, entry point or URL, or a slash further."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote

from dynbalancer.core.entrypoints import meant_by_v1
from dynbalancer.core.exchange import Exchange, Response
from dynbalancer.core.model import EntryPoint
from dynbalancer.core.reasons import REASONS
from dynbalancer.core.rules.regex import finder
from dynbalancer.core.rules.replacement import OURS, Piece, Replacement
from dynbalancer.core.rules.templates import is_template, pattern_of
from dynbalancer.errors import RequestError, did_you_mean
from dynbalancer.middlewares.base import Middleware, Option, SettingsReader, dialect_of, plain
from dynbalancer.middlewares.requesttemplates import URL, RequestTemplates

DEFAULT_PORTS = {b"http": 80, b"https": 443}

#: What X-Forwarded-Proto may say: a WebSocket's handshake is a request over HTTP.
FORWARDED_SCHEMES = {b"http": b"http", b"ws": b"http", b"https": b"https", b"wss": b"https"}


@dataclass(frozen=True, slots=True)
class RedirectScheme(Middleware):
    """Redirect to the same URL with ``scheme``, and with ``port`` where one is given.

    A request that has the scheme (and the port, where one is given) goes on.
    """

    same_again: ClassVar[bool] = True

    scheme: bytes
    port: int | None = None
    permanent: bool = False

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("scheme", "text", "Where to: `http` or `https`.", required=True),
        Option(
            "port",
            "text",
            "Port of the new URL; none: that of the scheme, which is not written.",
            "",
        ),
        Option("permanent", "switch", "Whether clients may remember it.", False),
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> RedirectScheme:
        """Takes ``scheme`` (http or https), ``port`` and ``permanent``."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        scheme = reader.text("scheme").lower()
        if scheme not in ("http", "https"):
            hint = did_you_mean(scheme.rstrip(":/"), ("https", "http"))
            raise reader.refuse(f"option scheme: expected http or https, got '{scheme}'", hint)
        return cls(scheme.encode("ascii"), _port(reader), reader.switch("permanent"))

    def on_request(self, exchange: Exchange) -> Response | None:
        head = exchange.head
        scheme = _scheme(exchange)
        port = head.port or DEFAULT_PORTS[scheme]
        if scheme == self.scheme and self.port in (None, port):
            return None
        if not head.host:
            return _refused()
        location = b"%b://%b%b%b" % (self.scheme, head.host, self._suffix(), head.target)
        return moved(head.method, location, permanent=self.permanent)

    def _suffix(self) -> bytes:
        if self.port is None or self.port == DEFAULT_PORTS[self.scheme]:
            return b""
        return b":%d" % self.port


@dataclass(frozen=True, slots=True)
class RedirectEntryPoint(Middleware):
    """Redirect to the same URL at another entry point, over TLS where that speaks it.

    In the manner of Traefik v1 the port is always written. A request that came in there goes on, and so does one whose
    URL is that already, as a trusted peer says.
    """

    same_again: ClassVar[bool] = True

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("entryPoint", "text", "Name of the entry point that requests are sent to.", required=True),
        Option("permanent", "switch", "301 and 308 instead of 302 and 307.", False),
    )

    entry_point: str
    scheme: bytes
    port: int
    permanent: bool = False

    @classmethod
    def from_settings(
        cls, name: str, settings: Mapping[str, Any], *, entry_points: Mapping[str, EntryPoint]
    ) -> RedirectEntryPoint:
        """``entry_points`` are those there are; v1's ``http`` and ``https`` may stand for ``web`` and ``websecure``."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        written = reader.text("entryPoint")
        target = entry_points.get(meant_by_v1(written, entry_points))
        if target is None:
            hint = did_you_mean(written, entry_points) or f"there is {', '.join(entry_points)}"
            raise reader.wrong("entryPoint", f": there is no entry point {written}", hint)
        # There routers may ask for TLS each by itself.
        scheme = b"https" if target.tls or target.port == DEFAULT_PORTS[b"https"] else b"http"
        return cls(target.name, scheme, target.port, reader.switch("permanent"))

    def on_request(self, exchange: Exchange) -> Response | None:
        if exchange.entry_point.name == self.entry_point:
            return None
        head = exchange.head
        scheme = _scheme(exchange)
        if scheme == self.scheme and (head.port or DEFAULT_PORTS[scheme]) == self.port:
            return None
        if not head.host:
            return _refused()
        location = b"%b://%b:%d%b" % (self.scheme, head.host, self.port, head.target)
        return moved(head.method, location, permanent=self.permanent)


@dataclass(frozen=True, slots=True)
class RedirectTrailingSlash(Middleware):
    """Redirect to the one of ``paths`` (templates of v1) from which a path differs by one slash at the end.

    The first that fits decides. With ``keep`` such a path is answered with 404. Traefik v1.7, ``keepTrailingSlash``.
    """

    same_again: ClassVar[bool] = True

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("paths", "list", "Paths, or templates such as ``/users/{id:[0-9]+}``.", required=True),
        Option("keep", "switch", "Answer with 404 instead.", False),
    )

    paths: tuple[tuple[Callable[[bytes], bool], bool], ...]
    exact: frozenset[bytes]
    keep: bool = False

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> RedirectTrailingSlash:
        """Takes ``paths`` and ``keep``."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        written = reader.words("paths")
        found = tuple(
            (reader.made("paths", partial(_but_for_a_slash, path)), path.endswith("/")) for path in written
        )
        # The others may differ by a slash from one before them.
        exact = () if is_template(written[0]) else (written[0].encode(),)
        return cls(found, frozenset(exact), reader.switch("keep"))

    def on_request(self, exchange: Exchange) -> Response | None:
        head = exchange.head
        path = head.path
        if path in self.exact or path == b"/":
            return None
        slash = path.endswith(b"/")
        with_slash = next((end for fits, end in self.paths if fits(path)), slash)
        if with_slash == slash:
            return None
        if self.keep:
            return plain(404, b"404 page not found\n", (b"X-Content-Type-Options", b"nosniff"))
        target = path + b"/" if with_slash else path[:-1]
        if target.startswith(b"//"):
            # A browser would take what follows for a host.
            return _refused()
        location = target if head.query is None else b"%b?%b" % (target, head.query)
        return plain(301, REASONS[301], (b"Location", location))


def _but_for_a_slash(template: str) -> Callable[[bytes], bool]:
    return finder(f"^{pattern_of(template.removesuffix('/'), '[^/]+')}/?$")


@dataclass(frozen=True, slots=True)
class RedirectRegex(Middleware):
    """Redirect to what becomes of the whole URL when what a pattern finds in it is replaced.

    A URL that the pattern doesn't find, or that stays the same, goes on.
    """

    same_again: ClassVar[bool] = True

    replacement: Replacement
    permanent: bool = False
    notices: tuple[str, ...] = ()
    templates: RequestTemplates | None = None

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("regex", "text", "The pattern, in Go's dialect, at most 1024 bytes.", required=True),
        Option(
            "replacement",
            "text",
            "In the place of each match; `$1`, `${1}`, `${name}` are groups.",
            required=True,
        ),
        Option("permanent", "switch", "Whether clients may remember it.", False),
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> RedirectRegex:
        """Takes ``regex``, ``replacement`` (``$1`` or ``${name}`` stands for a group) and ``permanent``.

        With ``dialect: v1`` templates such as ``{{.Request.Host}}`` may stand in the replacement.
        """
        dialect, settings = dialect_of(settings)
        reader = SettingsReader(name, settings, cls.OPTIONS)
        pattern, written = reader.text("regex"), reader.text("replacement")
        if not written.isprintable():
            raise reader.refuse("option replacement: control characters have no place in a URL")
        templates = None
        if dialect == "v1":
            templates = reader.made("replacement", partial(RequestTemplates.of, written))
        template = quote(written if templates is None else templates.plain, safe=URL)
        made = reader.made("regex", partial(Replacement, pattern, template))
        notices = tuple(f"{word} in the replacement is no group of the pattern" for word in made.unknown)
        return cls(made, reader.switch("permanent"), notices, templates)

    def on_request(self, exchange: Exchange) -> Response | None:
        head = exchange.head
        origin = b"%b://%b" % (_scheme(exchange), head.host)
        if head.port is not None:
            origin += b":%d" % head.port
        url = origin + head.target
        try:
            pieces = self.replacement.pieces(url)
        except RequestError:
            return _refused()
        if pieces is None:
            return None
        if self.templates is not None:
            pieces = self.templates.filled(pieces, exchange, len(origin))
        location = b"".join(piece.text for piece in pieces)
        if location == url:
            return None
        if leads_astray(pieces, location, len(origin)):
            return _refused()
        return moved(head.method, location, permanent=self.permanent)


# As browsers read it: slashes either way, and any number of them.
_leading = re.compile(rb"(?:[A-Za-z][A-Za-z0-9+.-]*:[/\\]*|[/\\]{2,})").match
_end_of_authority = re.compile(rb"[/\\?#]|\Z").search
_label = re.compile(rb"[A-Za-z0-9_-]*").fullmatch


def leads_astray(pieces: Sequence[Piece], location: bytes, path_at: int) -> bool:
    """Whether a client chose by path or query which host a redirect leads to.

    ``path_at`` says where in the client's URL the path begins: what stood before was decided by the router. What
    stood behind may become a label of the new host, but neither its scheme nor its end: ``https://b.example$1``
    must not lead to ``b.example.evil.example``.
    """
    leading = _leading(location)
    if leading is None:
        return False
    end = _end_of_authority(location, leading.end())
    assert end is not None
    at = 0
    for piece in pieces:
        begin, at = at, at + len(piece.text)
        if piece.start == OURS or begin >= end.start():
            continue
        chosen = max(begin, begin + path_at - piece.start)
        if chosen >= min(at, end.start()):
            continue
        text, behind = location[chosen : min(at, end.start())], location[at : end.start()]
        if chosen < leading.end() or not _label(text) or b"." not in behind:
            return True
    return False


def moved(method: bytes, location: bytes, *, permanent: bool) -> Response:
    """A redirect. 307 and 308 keep method and body; for GET the older codes do, which every client knows."""
    if method == b"GET":
        status = 301 if permanent else 302
    else:
        status = 308 if permanent else 307
    return plain(status, REASONS[status], (b"Location", location))


def _refused() -> Response:
    return plain(400, b"400 bad request\n")


def _scheme(exchange: Exchange) -> bytes:
    """The scheme the client used, as far as we may believe it."""
    if exchange.trusted:
        said = exchange.head.headers.get(b"x-forwarded-proto", b"") or b""
        return FORWARDED_SCHEMES.get(said.lower(), exchange.head.scheme)
    return exchange.head.scheme


def _port(reader: SettingsReader) -> int | None:
    written = reader.text("port", "")
    if not written:
        return None
    port = int(written) if written.isdecimal() and written.isascii() and len(written) < 6 else 0
    if not 0 < port < 65536:
        raise reader.refuse(f"option port: expected a number from 1 to 65535, got '{written}'")
    return port
