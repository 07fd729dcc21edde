"""The middleware headers: sets and removes fields of requests and responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dynbalancer.core.exchange import Exchange, ResponseHead
from dynbalancer.core.fields import CONTROLS, TOKEN
from dynbalancer.core.targets import normal_host
from dynbalancer.errors import RequestError
from dynbalancer.middlewares.base import FieldEdits, Middleware, SettingsReader, folded

CUSTOM = ("customRequestHeaders", "customResponseHeaders")

#: Options that keep requests out or off plain HTTP. Leaving them out silently would open what they close.
RESTRICTING = ("allowedHosts", "sslRedirect", "sslForceHost")

#: Options without effect in this version. None of them decides who gets through.
LATER = (
    "accessControlAllowCredentials",
    "accessControlAllowHeaders",
    "accessControlAllowMethods",
    "accessControlAllowOriginList",
    "accessControlAllowOriginListRegex",
    "accessControlExposeHeaders",
    "accessControlMaxAge",
    "addVaryHeader",
    "hostsProxyHeaders",
    "sslProxyHeaders",
    "sslTemporaryRedirect",
    "sslHost",
    "stsSeconds",
    "stsIncludeSubdomains",
    "stsPreload",
    "forceSTSHeader",
    "frameDeny",
    "customFrameOptionsValue",
    "contentTypeNosniff",
    "browserXssFilter",
    "customBrowserXSSValue",
    "contentSecurityPolicy",
    "contentSecurityPolicyReportOnly",
    "publicKey",
    "referrerPolicy",
    "featurePolicy",
    "permissionsPolicy",
    "isDevelopment",
)

#: The proxy frames messages: a second opinion about where a body ends is how requests get smuggled.
FRAMING = frozenset((b"content-length", b"transfer-encoding"))

#: Fields of one connection, which go no further than the next hop whoever sets them (RFC 9110 section 7.6.1).
HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade", b"http2-settings")
)


@dataclass(frozen=True, slots=True)
class CustomHeaders(Middleware):
    """Set fields of the request and of the response; an empty value removes one.

    ``authority`` is what the server sees as Host, None for what the client sent. ``notices`` are sentences
    about options that are understood, but change nothing.
    """

    request: FieldEdits
    response: FieldEdits
    authority: bytes | None = None
    notices: tuple[str, ...] = ()

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> CustomHeaders:
        """Takes ``customRequestHeaders`` and ``customResponseHeaders``, sections of names and values."""
        reader = SettingsReader(name, settings, (*CUSTOM, *RESTRICTING, *LATER))
        for option in RESTRICTING:
            if reader.is_on(option):
                raise reader.refuse(f"option {option}: understood, but not supported in this version")
        request = _fields(reader, CUSTOM[0])
        hosts = [value for name, value in request if name.lower() == b"host" and value]
        return cls(
            FieldEdits.of(field for field in request if field[0].lower() != b"host"),
            FieldEdits.of(_fields(reader, CUSTOM[1])),
            _host(reader, hosts[-1]) if hosts else None,
            tuple(
                f"option {option} has no effect in this version" for option in LATER if reader.is_on(option)
            ),
        )

    def on_request(self, exchange: Exchange) -> None:
        self.request.apply(exchange.head.headers)
        if self.authority is not None:
            exchange.head.authority = self.authority

    def on_response(self, exchange: Exchange, response: ResponseHead) -> None:
        self.response.apply(response.headers)


def _fields(reader: SettingsReader, option: str) -> tuple[tuple[bytes, bytes], ...]:
    """Names and values as they go on the wire, without those of one connection: they would not get far."""
    found = []
    for name, value in reader.pairs(option):
        field = _name(reader, option, name), _value(reader, option, name, value)
        if field[0].lower() not in HOP_BY_HOP:
            found.append(field)
    return tuple(found)


def _name(reader: SettingsReader, option: str, written: str) -> bytes:
    name = written.encode()
    if not name or name.translate(None, TOKEN):
        raise reader.refuse(f"option {option}: '{written}' is not a name of a header field")
    if folded(name) in FRAMING:
        raise reader.refuse(f"option {option}: {written} is set by the proxy itself")
    return name


def _value(reader: SettingsReader, option: str, name: str, written: str) -> bytes:
    value = written.strip(" \t").encode()
    if value.translate(None, CONTROLS) != value:
        raise reader.refuse(
            f"option {option}.{name}: a value must not hold CR, LF, NUL or other control characters"
        )
    return value


def _host(reader: SettingsReader, value: bytes) -> bytes:
    try:
        normal_host(value)
    except RequestError as error:
        why = f"option {CUSTOM[0]}.Host: expected a host, got '{value.decode()}': {error.why}"
        raise reader.refuse(why) from error
    return value
