"""The middleware headers: fields of requests and responses, other origins (CORS), and what protects browsers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dynbalancer.core.exchange import Exchange, Response, ResponseHead
from dynbalancer.core.targets import normal_host
from dynbalancer.errors import RequestError
from dynbalancer.middlewares import cors
from dynbalancer.middlewares.base import (
    HOP_BY_HOP,
    FieldEdits,
    Middleware,
    Option,
    SettingsReader,
    field_name,
    field_value,
)
from dynbalancer.middlewares.cors import CORS_OPTIONS, Cors
from dynbalancer.middlewares.security import BROWSER_OPTIONS, HOST_OPTIONS, Security

CUSTOM = ("customRequestHeaders", "customResponseHeaders")


@dataclass(frozen=True, slots=True)
class Headers(Middleware):
    """Set fields of the request and of the response; an empty value removes one.

    ``authority`` is what the server sees as Host, None for what the client sent. ``cors`` and ``security`` are None
    where nothing of theirs is on. ``notices`` are sentences about what is probably not meant.
    """

    same_again: ClassVar[bool] = True

    request: FieldEdits
    response: FieldEdits
    authority: bytes | None = None
    cors: Cors | None = None
    security: Security | None = None
    notices: tuple[str, ...] = ()

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("customRequestHeaders", "section", "Fields of the request; an empty value removes one."),
        Option("customResponseHeaders", "section", "Fields of the response; an empty value removes one."),
        *CORS_OPTIONS,
        *HOST_OPTIONS,
        *BROWSER_OPTIONS,
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> Headers:
        """Takes :data:`CUSTOM` (sections of names and values) and the options of the other two modules."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        request = _fields(reader, CUSTOM[0])
        hosts = [value for name, value in request if name.lower() == b"host" and value]
        return cls(
            FieldEdits.of(field for field in request if field[0].lower() != b"host"),
            FieldEdits.of(_fields(reader, CUSTOM[1])),
            _host(reader, hosts[-1]) if hosts else None,
            Cors.read(reader),
            Security.read(reader),
            cors.notices(reader),
        )

    def on_request(self, exchange: Exchange) -> Response | None:
        if self.cors is not None:
            preflight = self.cors.preflight(exchange)
            if preflight is not None:
                notes = exchange.notes = {} if exchange.notes is None else exchange.notes
                notes["preflight"] = self
                return preflight
        self.request.apply(exchange.head.headers)
        if self.authority is not None:
            exchange.head.authority = self.authority
        return None if self.security is None else self.security.check(exchange)

    def on_response(self, exchange: Exchange, response: ResponseHead) -> None:
        if exchange.notes is not None and exchange.notes.get("preflight") is self:
            return
        # In Traefik's order: what is set by hand has the last word.
        if self.security is not None:
            self.security.mark(exchange, response)
        self.response.apply(response.headers)
        if self.cors is not None:
            self.cors.mark(exchange, response.headers)


def _fields(reader: SettingsReader, option: str) -> tuple[tuple[bytes, bytes], ...]:
    """Names and values as they go on the wire, without those of one connection: they would not get far."""
    found = []
    for name, value in reader.pairs(option):
        field = field_name(reader, option, name), field_value(reader, f"{option}.{name}", value)
        if field[0].lower() not in HOP_BY_HOP:
            found.append(field)
    return tuple(found)


def _host(reader: SettingsReader, value: bytes) -> bytes:
    try:
        normal_host(value)
    except RequestError as error:
        why = f": expected a host, got '{value.decode()}': {error.why}"
        raise reader.wrong(f"{CUSTOM[0]}.Host", why) from error
    return value
