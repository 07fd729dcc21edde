"""passTLSClientCert: what a server learns of a client's certificate, in both versions' words."""

from __future__ import annotations

import base64
import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from dynbalancer.core.exchange import Exchange
from dynbalancer.core.model import EntryPoint
from dynbalancer.middlewares.clientcertificates import PassTlsClientCert
from dynbalancer.testing import MiddlewareContract, exchange

START = datetime(2026, 1, 1, tzinfo=UTC)
PARTS = ("domainComponent", "country", "province", "locality", "organization", "organizationalUnit")
EVERY = dict.fromkeys((*PARTS, "serialNumber", "commonName"), True)


def certificate(*parts: tuple[x509.ObjectIdentifier, str], names: bool = True) -> bytes:
    """One that a client might show, in DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example CA")])
    builder = x509.CertificateBuilder(issuer, name, key.public_key(), 4711, START, START + timedelta(days=1))
    if names:
        found = [x509.DNSName("a.example"), x509.RFC822Name("ann@a.example")]
        addresses = [x509.IPAddress(ipaddress.ip_address("192.0.2.7"))]
        builder = builder.add_extension(x509.SubjectAlternativeName([*found, *addresses]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


ANN = certificate(
    (NameOID.DOMAIN_COMPONENT, "org"),
    (NameOID.DOMAIN_COMPONENT, "cheese"),
    (NameOID.COUNTRY_NAME, "FR"),
    (NameOID.STATE_OR_PROVINCE_NAME, "Some"),
    (NameOID.LOCALITY_NAME, "Lyon"),
    (NameOID.ORGANIZATION_NAME, "Cheese"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "Soft"),
    (NameOID.SERIAL_NUMBER, "7"),
    (NameOID.COMMON_NAME, "*.cheese.example"),
)
BOB = certificate((NameOID.COMMON_NAME, "bob"), names=False)


class Shown(Exchange):
    """An exchange whose client has shown something."""

    shown: tuple[bytes, ...] = ()

    def client_certificates(self) -> tuple[bytes, ...]:
        return self.shown


def told(settings: dict[str, Any], *shown: bytes, **forged: bytes) -> dict[bytes, bytes]:
    """The fields that the server gets."""
    pairs = {name.replace("_", "-").encode(): value for name, value in forged.items()}
    asked = Shown(exchange(headers=pairs).head, EntryPoint("web", 443), "192.0.2.1")
    asked.shown = shown
    PassTlsClientCert.from_settings("cert@test", settings).on_request(asked)
    return dict(asked.head.headers)


class TestPassTlsClientCert(MiddlewareContract):
    make = PassTlsClientCert.from_settings
    good = {"pem": True, "info": {"subject": {"commonName": "true"}}}
    bad = ({"pem": "maybe"}, {"info": {"names": True}}, {"info": {"subject": {"CN": True}}}, {"infos": {}})


def test_certificates_are_passed_in_base64() -> None:
    found = told({"pem": True}, ANN, BOB)
    one, other = found[b"X-Forwarded-Tls-Client-Cert"].split(b",")
    assert (base64.b64decode(one), base64.b64decode(other)) == (ANN, BOB)


def test_version_one_escapes_them() -> None:
    (found,) = told({"pem": True, "dialect": "v1"}, ANN).values()
    assert not set(found) & set(b"+/=")
    assert base64.b64decode(unquote_plus(found.decode())) == ANN


INFO = {"notAfter": True, "notBefore": True, "sans": True, "serialNumber": True}


def test_what_is_in_them_is_told_as_traefik_3_does() -> None:
    settings = {"info": {**INFO, "subject": EVERY, "issuer": {"commonName": True}}}
    found = told(settings, ANN, BOB)
    assert unquote_plus(found[b"X-Forwarded-Tls-Client-Cert-Info"].decode()) == (
        'Subject="DC=org,DC=cheese,C=FR,ST=Some,L=Lyon,O=Cheese,OU=Soft,SN=7,CN=*.cheese.example";'
        'Issuer="CN=Example CA";SerialNumber="4711";NB="1767225600";NA="1767312000";'
        'SAN="a.example,ann@a.example,192.0.2.7",'
        'Subject="CN=bob";Issuer="CN=Example CA";SerialNumber="4711";NB="1767225600";NA="1767312000"'
    )
    assert b'"' not in found[b"X-Forwarded-Tls-Client-Cert-Info"]


def test_what_is_in_them_is_told_as_traefik_1_did() -> None:
    info = {
        "notAfter": True,
        "notBefore": True,
        "sans": True,
        "subject": {"commonName": True, "country": True},
    }
    found = told({"info": {**info, "issuer": {"commonName": True}}, "dialect": "v1"}, ANN, BOB)
    assert unquote_plus(found[b"X-Forwarded-Tls-Client-Cert-Infos"].decode()) == (
        'Subject="C=FR,CN=*.cheese.example",Issuer="CN=Example CA",NB=1767225600,NA=1767312000,'
        "SAN=a.example,ann@a.example,192.0.2.7;"
        'Subject="CN=bob",Issuer="CN=Example CA",NB=1767225600,NA=1767312000'
    )


@pytest.mark.parametrize("shown", [(), (BOB,)])
def test_what_a_client_makes_up_goes(shown: tuple[bytes, ...]) -> None:
    forged = {
        "X_Forwarded_Tls_Client_Cert": b"forged",
        "X_Forwarded_Tls_Client_Cert_Info": b"forged",
        "X_Forwarded_Tls_Client_Cert_Infos": b"forged",
    }
    found = told({"pem": True}, *shown, **forged)
    assert b"forged" not in found.values()
    assert len(found) == len(shown)
