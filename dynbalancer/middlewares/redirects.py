"""Middlewares that send the client elsewhere: redirectScheme."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dynbalancer.core.exchange import Exchange, Response
from dynbalancer.errors import did_you_mean
from dynbalancer.middlewares.base import Middleware, SettingsReader

DEFAULT_PORTS = {b"http": 80, b"https": 443}

#: What X-Forwarded-Proto may say: a WebSocket's handshake is a request over HTTP.
FORWARDED_SCHEMES = {b"http": b"http", b"ws": b"http", b"https": b"https", b"wss": b"https"}

REASONS = {
    301: b"Moved Permanently",
    302: b"Found",
    307: b"Temporary Redirect",
    308: b"Permanent Redirect",
}


@dataclass(frozen=True, slots=True)
class RedirectScheme(Middleware):
    """Redirect to the same URL with ``scheme``, and with ``port`` where one is given.

    A request that has the scheme (and the port, where one is given) goes on.
    """

    scheme: bytes
    port: int | None = None
    permanent: bool = False

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> RedirectScheme:
        """Takes ``scheme`` (http or https), ``port`` and ``permanent``."""
        reader = SettingsReader(name, settings, ("scheme", "port", "permanent"))
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
            return _plain(400, b"400 bad request\n")
        location = b"%b://%b%b%b" % (self.scheme, head.host, self._suffix(), head.target)
        status = _status(head.method, permanent=self.permanent)
        return _plain(status, REASONS[status], (b"Location", location))

    def _suffix(self) -> bytes:
        if self.port is None or self.port == DEFAULT_PORTS[self.scheme]:
            return b""
        return b":%d" % self.port


def _status(method: bytes, *, permanent: bool) -> int:
    """307 and 308 keep method and body; for GET the older codes do, which every client knows."""
    if method == b"GET":
        return 301 if permanent else 302
    return 308 if permanent else 307


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


def _plain(status: int, body: bytes, *fields: tuple[bytes, bytes]) -> Response:
    return Response(status, body, [(b"Content-Type", b"text/plain; charset=utf-8"), *fields])
