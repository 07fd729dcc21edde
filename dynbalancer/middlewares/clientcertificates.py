"""passTLSClientCert: tells the server which certificate the client has shown."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import quote_plus

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from dynbalancer.core.exchange import Exchange
from dynbalancer.middlewares.base import FieldEdits, Middleware, Option, SettingsReader, dialect_of

#: The fields, the last one as each version of Traefik calls it.
PEM = b"X-Forwarded-Tls-Client-Cert"
INFO, INFOS = b"X-Forwarded-Tls-Client-Cert-Info", b"X-Forwarded-Tls-Client-Cert-Infos"

#: Clients whose certificates need not be read again for each request.
REMEMBERED = 256

_forget = FieldEdits.of([(PEM, b""), (INFO, b""), (INFOS, b"")])

#: Options for a name, the letters they stand for, and the attribute (in the order in which they are written).
_PARTS = {
    "domainComponent": ("DC", NameOID.DOMAIN_COMPONENT),
    "country": ("C", NameOID.COUNTRY_NAME),
    "province": ("ST", NameOID.STATE_OR_PROVINCE_NAME),
    "locality": ("L", NameOID.LOCALITY_NAME),
    "organization": ("O", NameOID.ORGANIZATION_NAME),
    "organizationalUnit": ("OU", NameOID.ORGANIZATIONAL_UNIT_NAME),
    "serialNumber": ("SN", NameOID.SERIAL_NUMBER),
    "commonName": ("CN", NameOID.COMMON_NAME),
}
_NAME = tuple(
    Option(option, "switch", f"With `{letters}=…`.", False) for option, (letters, _) in _PARTS.items()
)
_INFO = (
    Option("notAfter", "switch", "Until when it is valid, in seconds since 1970.", False),
    Option("notBefore", "switch", "From when on it is valid.", False),
    Option("sans", "switch", "The names and addresses it is for.", False),
    Option("serialNumber", "switch", "Its number.", False),
    Option("subject", "section", "Whose it is.", members=_NAME),
    Option("issuer", "section", "Who has signed it.", members=_NAME),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is told of each certificate. ``subject`` and ``issuer`` name :data:`_PARTS`, in their order."""

    subject: tuple[str, ...] = ()
    issuer: tuple[str, ...] = ()
    serial_number: bool = False
    not_before: bool = False
    not_after: bool = False
    sans: bool = False


@dataclass(frozen=True, slots=True)
class PassTlsClientCert(Middleware):
    """Set the fields with the certificate (``pem``) and what is in it (``wanted``); what a client says there goes.

    ``old``: as Traefik 1 writes them.
    """

    same_again: ClassVar[bool] = True

    pem: bool
    wanted: Wanted | None
    old: bool = False

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("pem", "switch", "The certificates themselves, in `X-Forwarded-Tls-Client-Cert`.", False),
        Option("info", "section", "What is in them, in `X-Forwarded-Tls-Client-Cert-Info`.", members=_INFO),
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> PassTlsClientCert:
        """Takes the options of Traefik 3; ``dialect: v1`` writes as Traefik 1 does."""
        dialect, settings = dialect_of(settings)
        reader = SettingsReader(name, settings, cls.OPTIONS)
        info = reader.below("info")
        return cls(reader.switch("pem"), None if info is None else _wanted(info), dialect == "v1")

    def on_request(self, exchange: Exchange) -> None:
        headers = exchange.head.headers
        _forget.apply(headers)
        shown = exchange.client_certificates()
        if shown:
            for name, value in _told(self, tuple(shown)):
                headers.add(name, value)

    def told(self, shown: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """The fields that tell of these certificates."""
        if self.pem:
            coded = [base64.b64encode(one) for one in shown]
            if self.old:
                coded = [quote_plus(one).encode("ascii") for one in coded]
            yield PEM, b",".join(coded)
        if self.wanted is not None:
            found = [
                _described(x509.load_der_x509_certificate(one), self.wanted, old=self.old) for one in shown
            ]
            written = quote_plus((";" if self.old else ",").join(found))
            yield INFOS if self.old else INFO, written.encode("ascii")


@lru_cache(maxsize=REMEMBERED)
def _told(middleware: PassTlsClientCert, shown: tuple[bytes, ...]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(middleware.told(shown))


def _wanted(reader: SettingsReader) -> Wanted:
    return Wanted(
        _parts(reader.below("subject")),
        _parts(reader.below("issuer")),
        reader.switch("serialNumber"),
        reader.switch("notBefore"),
        reader.switch("notAfter"),
        reader.switch("sans"),
    )


def _parts(reader: SettingsReader | None) -> tuple[str, ...]:
    return () if reader is None else tuple(option for option in _PARTS if reader.switch(option))


def _described(certificate: x509.Certificate, wanted: Wanted, *, old: bool) -> str:
    found: list[tuple[str, str]] = []
    for word, name, parts in (
        ("Subject", certificate.subject, wanted.subject),
        ("Issuer", certificate.issuer, wanted.issuer),
    ):
        said = _name(name, parts)
        if said:
            found.append((word, f'"{said}"'))
    quote = "" if old else '"'
    if wanted.serial_number:
        found.append(("SerialNumber", f"{quote}{certificate.serial_number}{quote}"))
    if wanted.not_before:
        found.append(("NB", f"{quote}{int(certificate.not_valid_before_utc.timestamp())}{quote}"))
    if wanted.not_after:
        found.append(("NA", f"{quote}{int(certificate.not_valid_after_utc.timestamp())}{quote}"))
    names = _alternative_names(certificate) if wanted.sans else ""
    if names:
        found.append(("SAN", f"{quote}{names}{quote}"))
    return ("," if old else ";").join(f"{word}={value}" for word, value in found)


def _name(name: x509.Name, parts: tuple[str, ...]) -> str:
    return ",".join(
        f"{_PARTS[part][0]}={attribute.value!s}"
        for part in parts
        for attribute in name.get_attributes_for_oid(_PARTS[part][1])
    )


def _alternative_names(certificate: x509.Certificate) -> str:
    try:
        extension = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except (x509.ExtensionNotFound, ValueError):
        return ""
    names: Any = extension.value
    kinds = (x509.DNSName, x509.RFC822Name, x509.IPAddress, x509.UniformResourceIdentifier)
    return ",".join(str(one) for kind in kinds for one in names.get_values_for_type(kind))
