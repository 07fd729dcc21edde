"""Which hosts are answered, over what, and what browsers are told, for the middleware headers."""

from __future__ import annotations

from dataclasses import dataclass

from dynbalancer.core.exchange import Exchange, Response, ResponseHead
from dynbalancer.core.targets import normal_host
from dynbalancer.errors import RequestError
from dynbalancer.middlewares.base import FieldEdits, Option, SettingsReader, field_name, field_value, plain

#: Options that give one field each its value.
_TEXTS = {
    "contentSecurityPolicy": b"Content-Security-Policy",
    "contentSecurityPolicyReportOnly": b"Content-Security-Policy-Report-Only",
    "referrerPolicy": b"Referrer-Policy",
    "featurePolicy": b"Feature-Policy",
    "permissionsPolicy": b"Permissions-Policy",
}
#: Switches, the field and value each stands for, and the option that gives another value.
_SWITCHES = (
    ("frameDeny", b"X-Frame-Options", b"DENY", "customFrameOptionsValue"),
    ("contentTypeNosniff", b"X-Content-Type-Options", b"nosniff", ""),
    ("browserXssFilter", b"X-XSS-Protection", b"1; mode=block", "customBrowserXSSValue"),
)
#: Hosts and TLS.
HOST_OPTIONS = (
    Option("allowedHosts", "list", "Hosts that are answered, others get 500 `Bad Host`; none: all.", ()),
    Option(
        "hostsProxyHeaders",
        "list",
        "Fields that may say the host; the first that isn't empty counts.",
        (),
    ),
    Option("sslProxyHeaders", "section", "Fields and values that say that the client came over TLS."),
    Option("stsSeconds", "number", "`Strict-Transport-Security` with this `max-age`, over TLS.", 0),
    Option("stsIncludeSubdomains", "switch", "With `includeSubDomains`.", False),
    Option("stsPreload", "switch", "With `preload`.", False),
    Option("forceSTSHeader", "switch", "Also without TLS.", False),
    Option(
        "isDevelopment",
        "switch",
        "No check of hosts, no redirects, no HSTS, no `Public-Key-Pins`.",
        False,
    ),
    Option("sslRedirect", "switch", "Redirect requests without TLS (old: write redirectScheme).", False),
    Option("sslHost", "text", "Where such a redirect leads; none: to the host that was asked for.", ""),
    Option("sslTemporaryRedirect", "switch", "307 instead of 301.", False),
    Option("sslForceHost", "switch", "Redirect requests to other hosts than `sslHost` too.", False),
)
#: What browsers are told.
BROWSER_OPTIONS = (
    Option("frameDeny", "switch", "`X-Frame-Options: DENY`.", False),
    Option("customFrameOptionsValue", "text", "Another value for it.", ""),
    Option("contentTypeNosniff", "switch", "`X-Content-Type-Options: nosniff`.", False),
    Option("browserXssFilter", "switch", "`X-XSS-Protection: 1; mode=block`.", False),
    Option("customBrowserXSSValue", "text", "Another value for it.", ""),
    Option("contentSecurityPolicy", "text", "`Content-Security-Policy`.", ""),
    Option("contentSecurityPolicyReportOnly", "text", "`Content-Security-Policy-Report-Only`.", ""),
    Option("referrerPolicy", "text", "`Referrer-Policy`.", ""),
    Option("permissionsPolicy", "text", "`Permissions-Policy`.", ""),
    Option("featurePolicy", "text", "`Feature-Policy` (old).", ""),
    Option("publicKey", "text", "`Public-Key-Pins`, over TLS (old).", ""),
)
SECURITY = tuple(option.name for option in (*HOST_OPTIONS, *BROWSER_OPTIONS))

#: Host in lower case, and port where one was named.
Authority = tuple[bytes, int | None]


@dataclass(frozen=True, slots=True)
class Security:
    """Refuses other hosts than ``allowed``, redirects to TLS, and sets ``fields``, over TLS ``tls_fields`` as well.

    ``host_fields`` may say the host that was asked for, ``tls_signs`` that the client came over TLS, each a name and
    a value. ``ssl_host`` is where a redirect leads; ``forced``: also for requests to other hosts over TLS.
    """

    fields: FieldEdits
    tls_fields: FieldEdits
    allowed: frozenset[Authority] = frozenset()
    host_fields: tuple[bytes, ...] = ()
    tls_signs: tuple[tuple[bytes, bytes], ...] = ()
    redirected: bool = False
    temporary: bool = False
    ssl_host: bytes = b""
    forced: bool = False

    @classmethod
    def read(cls, reader: SettingsReader) -> Security | None:
        """From the settings of the middleware; None where none of :data:`SECURITY` is on."""
        if not any(reader.is_on(option) for option in SECURITY):
            return None
        lax = reader.switch("isDevelopment")
        fields, tls_fields = _fields(reader, lax=lax)
        ssl_host = reader.text("sslHost", "")
        hosts = reader.words("allowedHosts", required=False)
        allowed = frozenset(_authority(reader, "allowedHosts", host) for host in hosts)
        if ssl_host:
            _authority(reader, "sslHost", ssl_host)
        return cls(
            FieldEdits.of(fields),
            FieldEdits.of([*fields, *tls_fields]),
            frozenset() if lax else allowed,
            tuple(
                field_name(reader, "hostsProxyHeaders", name).lower()
                for name in reader.words("hostsProxyHeaders", required=False)
            ),
            tuple(
                (field_name(reader, "sslProxyHeaders", name).lower(), value.encode())
                for name, value in reader.pairs("sslProxyHeaders")
            ),
            reader.switch("sslRedirect") and not lax,
            reader.switch("sslTemporaryRedirect"),
            ssl_host.lower().encode(),
            reader.switch("sslForceHost") and bool(ssl_host) and not lax,
        )

    def check(self, exchange: Exchange) -> Response | None:
        """None for a request that may go on."""
        if not (self.allowed or self.redirected or self.forced):
            return None
        try:
            asked = normal_host(self._host(exchange))
        except RequestError:
            asked = b"", None
        if self.allowed and asked not in self.allowed:
            return plain(500, b"Bad Host\n")
        if self.redirected and not self._over_tls(exchange):
            return self._to(self.ssl_host or asked[0], exchange)
        if self.forced and asked != normal_host(self.ssl_host):
            return self._to(self.ssl_host, exchange)
        return None

    def mark(self, exchange: Exchange, response: ResponseHead) -> None:
        """Set the fields of a response."""
        over_tls = self._over_tls(exchange)
        if over_tls and self.ssl_host:
            _stay_on_tls(response, self.ssl_host)
        (self.tls_fields if over_tls else self.fields).apply(response.headers)

    def _host(self, exchange: Exchange) -> bytes:
        headers = exchange.head.headers
        said = (headers.get(name) for name in self.host_fields)
        return next((value for value in said if value), exchange.head.authority)

    def _over_tls(self, exchange: Exchange) -> bool:
        headers = exchange.head.headers
        return exchange.head.scheme == b"https" or any(headers.get(n) == value for n, value in self.tls_signs)

    def _to(self, host: bytes, exchange: Exchange) -> Response:
        if not host:
            return plain(400, b"400 bad request\n")
        location = b"https://%b%b" % (host, exchange.head.target)
        if self.temporary:
            return plain(307, b"Temporary Redirect", (b"Location", location))
        return plain(301, b"Moved Permanently", (b"Location", location))


def _fields(
    reader: SettingsReader, *, lax: bool
) -> tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]]:
    """The fields of every response, and those over TLS only."""

    def value(option: str) -> bytes:
        return field_value(reader, option, reader.text(option, ""))

    found = [(name, value(option)) for option, name in _TEXTS.items()]
    for switch, name, usual, other in _SWITCHES:
        on = usual if reader.switch(switch) else b""
        found.append((name, (value(other) if other else b"") or on))
    over_tls = [(b"Public-Key-Pins", b"" if lax else value("publicKey"))]
    strict = _strict_transport(reader)
    if not lax:
        (found if reader.switch("forceSTSHeader") else over_tls).append(
            (b"Strict-Transport-Security", strict)
        )
    return [pair for pair in found if pair[1]], [pair for pair in over_tls if pair[1]]


def _strict_transport(reader: SettingsReader) -> bytes:
    seconds = reader.number("stsSeconds", 0, 0, 2**63 - 1)
    subdomains, preload = reader.switch("stsIncludeSubdomains"), reader.switch("stsPreload")
    if not seconds:
        return b""
    return b"max-age=%d" % seconds + b"; includeSubDomains" * subdomains + b"; preload" * preload


def _authority(reader: SettingsReader, option: str, written: str) -> Authority:
    try:
        return normal_host(written.encode())
    except RequestError as error:
        raise reader.wrong(option, f": expected a host, got '{written}': {error.why}") from error


def _stay_on_tls(response: ResponseHead, host: bytes) -> None:
    """A server behind TLS that ends here does not know of it, and redirects to http."""
    location = response.headers.get(b"location") or b""
    rest = location.removeprefix(b"http://" + host)
    if rest != location and rest[:1] in (b"", b"/"):
        response.headers.set(b"Location", b"https://%b%b" % (host, rest))
