"""Certificates and private keys as PEM text: read, checked as pairs, loaded, and made. For providers and shells."""

from __future__ import annotations

import os
import re
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dynbalancer.core.certificates import normal_name
from dynbalancer.core.model import Certificate
from dynbalancer.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography import x509

#: What a text with PEM in it has, and a path has not.
MARK = "-----BEGIN"

#: The name in the certificate that is made where there is none.
OWN_NAME = "dynbalancer default certificate"
_OWN_HOST = "default.dynbalancer.invalid"
_OWN_LIFE = timedelta(days=3650)

_hostname = re.compile(
    r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*"
).fullmatch


def read_certificate(chain: str, key: str) -> Certificate:
    """The certificate in a PEM text, with its key. Raises ConfigurationError where the two can't be used together.

    It is named for the first DNS name in it. Whether it has expired is the caller's to judge.
    """
    found = _certificates_in(chain)
    if MARK not in key:
        hint = "it must contain a line -----BEGIN PRIVATE KEY-----"
        raise ConfigurationError("", "the key is not in PEM format", hint)
    certificate = _certificate(found, key)
    try:
        load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificate)
    except ssl.SSLError as error:
        raise _in_words(error) from None
    return certificate


def _certificate(chain: Sequence[x509.Certificate], key: str) -> Certificate:
    first = chain[0]
    names = _names_in(first)
    return Certificate(
        name=names[0] if names else f"certificate-{first.serial_number:x}",
        chain="".join(_pem(certificate) for certificate in chain),
        key=key,
        names=names,
        expires=first.not_valid_after_utc.timestamp(),
    )


def _certificates_in(chain: str) -> list[x509.Certificate]:
    # Not before it is needed: whoever only loads PEM needs no X.509 in Python.
    from cryptography import x509

    if MARK not in chain:
        hint = "it must contain a line -----BEGIN CERTIFICATE-----"
        raise ConfigurationError("", "the certificate is not in PEM format", hint)
    try:
        if chain.count(MARK) != chain.count("-----END"):
            raise ValueError("it ends in the middle")
        return x509.load_pem_x509_certificates(chain.encode())
    except ValueError:
        raise ConfigurationError(
            "", "the certificate can't be read", "is it whole, and a certificate?"
        ) from None


def _pem(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def _names_in(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names, and as in Traefik the common name where it is one too."""
    from cryptography import x509

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = list(extension.value.get_values_for_type(x509.DNSName))
    except (x509.ExtensionNotFound, ValueError):
        names = []
    common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    names += [str(attribute.value) for attribute in common]
    return tuple(dict.fromkeys(name for name in map(normal_name, names) if _hostname(name)))


def _in_words(error: ssl.SSLError) -> ConfigurationError:
    reason = error.reason or ""
    if reason == "KEY_VALUES_MISMATCH":
        return ConfigurationError("", "the key does not belong to the certificate", "one of them is older?")
    if "TOO_SMALL" in reason or "TOO_WEAK" in reason:
        return ConfigurationError(
            "", f"OpenSSL refuses it ({reason})", "make a stronger one: EC P-256, RSA 2048"
        )
    return ConfigurationError("", "the key can't be read", "is it whole, and without a password?")


def check_authorities(text: str) -> None:
    """Raise ConfigurationError where there is no certificate in this PEM text, or one that can't be read."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError("", f"there is no certificate that can be read: {error}") from None


def load(context: ssl.SSLContext, certificate: Certificate) -> None:
    """Let an SSL context answer with this certificate. Raises ssl.SSLError."""
    # OpenSSL reads files only by their names; these are in memory and gone at once.
    with _as_file(certificate.chain) as chain, _as_file(certificate.key) as key:
        context.load_cert_chain(chain, key, password=_no_password)


def client_context(ca: str = "", chain: str = "", key: str = "", *, insecure: bool = False) -> ssl.SSLContext:
    """How to speak TLS to servers that these authorities vouch for, and who we are to them.

    ``ca``, ``chain`` and ``key`` are PEM texts, or paths of files with them. Raises ConfigurationError.
    """
    context = ssl.create_default_context()
    if ca:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=text_of(ca))
        except ssl.SSLError:
            raise ConfigurationError("", "the authorities' certificates can't be read") from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if chain or key:
        if not (chain and key):
            raise ConfigurationError("", "a certificate goes with its key", "give both, or none of them")
        load(context, read_certificate(text_of(chain), text_of(key)))
    context.set_alpn_protocols(["http/1.1"])
    return context


def text_of(written: str) -> str:
    """A PEM text as it is, or what is in the file of that name. Raises ConfigurationError."""
    if MARK in written:
        return written
    try:
        with open(written, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ConfigurationError("", f"{written} can't be read: {why}") from None


def _no_password() -> str:
    # Without this OpenSSL would ask on the terminal.
    return ""


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        descriptor = os.memfd_create("pem")
        try:
            os.write(descriptor, text.encode())
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        yield file.name


def make_own(now: datetime | None = None) -> Certificate:
    """A new certificate for names that no other has. No client trusts it, but it is better than no answer at all."""
    made = self_signed(OWN_NAME, (_OWN_HOST,), life=_OWN_LIFE, now=now)
    return replace(made, name="default", default=True, origin="made at start")


def self_signed(
    common_name: str, names: Sequence[str], *, life: timedelta, now: datetime | None = None
) -> Certificate:
    """A new certificate for DNS names, signed by its own new key (EC P-256)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of clients may be behind.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + life)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return _certificate([certificate], text.decode("ascii"))
