"""PEM texts: which pairs are taken, what is said of the others, and what is made."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from dynbalancer import pem
from dynbalancer.core.model import Certificate
from dynbalancer.errors import ConfigurationError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ONE = pem.self_signed("One", ["a.example", "*.B.example", "10.example."], life=90 * DAY, now=NOW)
OTHER = pem.self_signed("other.example", [], life=90 * DAY, now=NOW)
BROKEN_KEY = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"


def encrypted(key: str, form: serialization.PrivateFormat) -> str:
    """The same key with a password."""
    loaded = serialization.load_pem_private_key(key.encode(), None)
    how = serialization.BestAvailableEncryption(b"s3cret")
    return loaded.private_bytes(serialization.Encoding.PEM, form, how).decode()


def weak() -> tuple[str, str]:
    """A certificate whose key nobody should trust any more."""
    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "weak.example")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + DAY)
    chain = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    text = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return chain.decode(), text.decode()


def test_a_pair_is_named_for_its_first_dns_name() -> None:
    found = pem.read_certificate(ONE.chain, ONE.key)
    assert found == Certificate(
        "a.example",
        ONE.chain,
        ONE.key,
        ("a.example", "*.b.example", "10.example", "one"),
        expires=(NOW + 90 * DAY).timestamp(),
    )


def test_common_name_counts_where_there_is_no_other() -> None:
    assert pem.read_certificate(OTHER.chain, OTHER.key).names == ("other.example",)


def test_a_certificate_without_a_host_name_is_named_by_its_number() -> None:
    made = pem.self_signed("Not a host", [], life=DAY)
    assert made.names == ()
    assert made.name.startswith("certificate-")


def test_whole_chain_is_kept_and_what_stands_around_it_is_not() -> None:
    found = pem.read_certificate(f"Bag attributes\n{ONE.chain}text\n{OTHER.chain}", ONE.key)
    assert found.chain == ONE.chain + OTHER.chain


def test_key_and_certificate_may_be_in_one_text() -> None:
    both = ONE.key + ONE.chain
    assert pem.read_certificate(both, both).chain == ONE.chain


@pytest.mark.parametrize(
    "chain, key, said",
    [
        (ONE.chain, OTHER.key, "the key does not belong to the certificate"),
        (ONE.chain, BROKEN_KEY, "the key can't be read"),
        (ONE.chain, "garbage", "the key is not in PEM format"),
        (ONE.chain, ONE.chain, "the key can't be read"),
        (ONE.chain, encrypted(ONE.key, serialization.PrivateFormat.PKCS8), "without a password"),
        (ONE.chain, encrypted(ONE.key, serialization.PrivateFormat.TraditionalOpenSSL), "without a password"),
        ("garbage", ONE.key, "the certificate is not in PEM format"),
        ("", ONE.key, "the certificate is not in PEM format"),
        (ONE.key, ONE.key, "the certificate can't be read"),
        (ONE.chain[:-40], ONE.key, "the certificate can't be read"),
        (ONE.chain + OTHER.chain[:-40], ONE.key, "the certificate can't be read"),
        (*weak(), "OpenSSL refuses it"),
    ],
)
def test_a_pair_that_cannot_be_used_is_refused_in_words(chain: str, key: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        pem.read_certificate(chain, key)
    assert said in str(refused.value)
    assert key[40:80] not in str(refused.value) or not key[40:80]


def test_own_certificate_is_the_default_and_lasts() -> None:
    own = pem.make_own(NOW)
    assert (own.default, own.name) == (True, "default")
    assert own.expires > (NOW + timedelta(days=3600)).timestamp()
    parsed = x509.load_pem_x509_certificate(own.chain.encode())
    assert parsed.subject.rfc4514_string() == "CN=dynbalancer default certificate"
    assert pem.read_certificate(own.chain, own.key).chain == own.chain


def test_loading_leaves_no_descriptor_open() -> None:
    before = os.listdir("/proc/self/fd")
    pem.load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ONE)
    with pytest.raises(ssl.SSLError):
        pem.load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), Certificate("x", ONE.chain, BROKEN_KEY))
    assert os.listdir("/proc/self/fd") == before


def test_loading_works_without_files_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    pem.load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ONE)
    with pytest.raises(ssl.SSLError):
        pem.load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), Certificate("x", ONE.chain, OTHER.key))


def test_client_trusts_whom_it_is_told_to() -> None:
    usual, own = pem.client_context(), pem.client_context(ONE.chain)
    assert usual.check_hostname and own.check_hostname
    assert (own.verify_mode, own.cert_store_stats()["x509"]) == (ssl.CERT_REQUIRED, 1)
    careless = pem.client_context(insecure=True)
    assert (careless.check_hostname, careless.verify_mode) == (False, ssl.CERT_NONE)


def test_client_takes_texts_and_paths(tmp_path: Path) -> None:
    for name, text in (("ca", ONE.chain), ("chain", OTHER.chain), ("key", OTHER.key)):
        (tmp_path / name).write_text(text)
    paths = [str(tmp_path / name) for name in ("ca", "chain", "key")]
    for ca, chain, key in (paths, (ONE.chain, OTHER.chain, OTHER.key)):
        assert pem.client_context(ca, chain, key).cert_store_stats()["x509"] == 1


@pytest.mark.parametrize(
    ("ca", "chain", "key", "said"),
    [
        ("/nowhere/ca.pem", "", "", "/nowhere/ca.pem can't be read: No such file"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "", "", "authorities"),
        ("", ONE.chain, "", "a certificate goes with its key"),
        ("", ONE.chain, OTHER.key, "does not belong"),
    ],
)
def test_client_says_what_it_can_not_use(ca: str, chain: str, key: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        pem.client_context(ca, chain, key)


def test_authorities_are_certificates_in_pem() -> None:
    pem.check_authorities(f"Bag attributes\n{ONE.chain}{OTHER.chain}")
    for text in ("", "rubbish", "-----BEGIN CERTIFICATE-----\nrubbish", ONE.key):
        with pytest.raises(ConfigurationError, match="no certificate that can be read"):
            pem.check_authorities(text)
