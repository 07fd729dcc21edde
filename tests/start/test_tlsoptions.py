"""Entry points of Traefik 1 that ask for certificates, versions and ciphers in themselves."""

from __future__ import annotations

import pytest

from dynbalancer import pem
from dynbalancer.core.model import TLSOptions
from dynbalancer.core.settings import Settings
from dynbalancer.errors import ConfigurationError
from dynbalancer.start.options import read

AUTHORITY = pem.make_own().chain
FILES = {"ca.crt": AUTHORITY, "other.crt": AUTHORITY, "none.crt": "no certificate"}


def read_file(path: str) -> str:
    """What is in these files."""
    if path not in FILES:
        raise FileNotFoundError(2, "No such file or directory")
    return FILES[path]


def settings(*argv: str, **files: str) -> Settings:
    """What a command line comes to."""
    return read(argv, {}, lambda path: files.get(path) or read_file(path)).settings


def options(*argv: str, **files: str) -> TLSOptions:
    """The options of its one entry point."""
    found = settings(*argv, **files)
    (point,) = found.entry_points
    assert point.tls
    name = point.tls_options.removesuffix("@internal")
    return found.routing.tls_options[name]


@pytest.mark.parametrize("fields, wanted, authorities", [
    ("TLS CA:ca.crt", "RequireAndVerifyClientCert", 1),
    ("TLS CA:ca.crt,other.crt", "RequireAndVerifyClientCert", 2),
    ("TLS CA:ca.crt CA.Optional:false", "RequireAndVerifyClientCert", 1),
    ("TLS CA:ca.crt CA.Optional:true", "VerifyClientCertIfGiven", 1),
    ("CA:ca.crt", "RequireAndVerifyClientCert", 1),
    ("TLS TLS.SniStrict:true", "NoClientCert", 0),
])  # fmt: skip
def test_traefik_1_asks_for_certificates(fields: str, wanted: str, authorities: int) -> None:
    found = options(f"--entryPoints=Name:https Address::443 {fields}")
    assert (found.client_auth, found.client_cas) == (wanted, (AUTHORITY,) * authorities)


def test_versions_and_ciphers_are_chosen() -> None:
    suite = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
    found = options(
        f"--entryPoints=Name:https Address::443 TLS TLS.MinVersion:VersionTLS12 TLS.CipherSuites:{suite}"
    )
    assert (found.min_version, found.cipher_suites) == ("VersionTLS12", ("ECDHE-RSA-AES256-GCM-SHA384",))


def test_file_of_traefik_1_says_the_same() -> None:
    text = """\
[entryPoints.https]
address = ":443"
  [entryPoints.https.tls]
  minVersion = "VersionTLS13"
    [entryPoints.https.tls.clientCA]
    files = ["ca.crt"]
    optional = true
"""
    found = options("--configfile=t.toml", **{"t.toml": text})
    assert (found.min_version, found.client_auth) == ("VersionTLS13", "VerifyClientCertIfGiven")


@pytest.mark.parametrize("fields, why", [
    ("CA:missing.crt", "missing.crt can't be read: No such file or directory"),
    ("CA:none.crt", "there is no certificate"),
    ("CA.Optional:true", "there are no authorities"),
    ("TLS.MinVersion:VersionTLS14", "expected VersionTLS12 or VersionTLS13"),
    ("TLS.CipherSuites:TLS_NONE_SUCH", "there is no cipher suite TLS_NONE_SUCH"),
])  # fmt: skip
def test_what_cannot_be_obeyed_is_refused(fields: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        settings(f"--entryPoints=Name:https Address::443 TLS {fields}")
    assert why in raised.value.why


def test_without_any_of_it_nothing_changes() -> None:
    found = settings("--entryPoints=Name:https Address::443 TLS")
    assert (found.entry_points[0].tls_options, dict(found.routing.tls_options)) == ("", {})
