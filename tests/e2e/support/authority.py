"""Authorities and what they sign, for tests of clients' certificates."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class Identity:
    """A certificate with its key, and the PEM texts of both."""

    certificate: Any
    private: Any

    @property
    def chain(self) -> str:
        """The certificate as PEM."""
        text: bytes = self.certificate.public_bytes(serialization.Encoding.PEM)
        return text.decode("ascii")

    @property
    def key(self) -> str:
        """The key as PEM."""
        text: bytes = self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return text.decode("ascii")

    @property
    def der(self) -> bytes:
        """The certificate as it is sent."""
        return ssl.PEM_cert_to_DER_cert(self.chain)

    def load(self, context: ssl.SSLContext, directory: Path) -> None:
        """Let a client show it."""
        path = directory / f"{self.certificate.serial_number}.pem"
        path.write_text(self.chain + self.key)
        context.load_cert_chain(path)


def signed(name: str, by: Identity | None = None, *, authority: bool = False, **about: Any) -> Identity:
    """A certificate for this common name; signed by another, or by itself. ``names``: the DNS names in it."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    now = datetime.now(UTC)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.certificate.subject)
        .public_key(private.public_key())
        .serial_number(about.get("serial", x509.random_serial_number()))
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + about.get("life", timedelta(days=9)))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        made = made.add_extension(usage, critical=False)
    if names := about.get("names", ()):
        found = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        made = made.add_extension(found, critical=False)
    return Identity(made.sign(private if by is None else by.private, hashes.SHA256()), private)
