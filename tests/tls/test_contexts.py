"""Contexts by options, and handshakes with them in memory: who gets through, by what."""

from __future__ import annotations

import ssl
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dynbalancer import pem
from dynbalancer.core.model import TLSOptions
from dynbalancer.core.tlschoice import BUILT_IN
from dynbalancer.tls import contexts, native
from dynbalancer.tls.contexts import UnsupportedError, new_answer, objection, ticket_key
from dynbalancer.tls.termination import Termination

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e" / "support"))
from authority import Identity, signed

SERVER = pem.self_signed("a.example", ["a.example"], life=timedelta(days=9))
AUTHORITY, STRANGER = signed("Authority", authority=True), signed("Stranger", authority=True)
CLIENT, FORGED = signed("client", AUTHORITY), signed("client", STRANGER)
EXPIRED = signed("client", AUTHORITY, life=timedelta(days=-1))

MTLS = TLSOptions("mtls@file", client_auth="RequireAndVerifyClientCert", client_cas=(AUTHORITY.chain,))


class Shaking:
    """One handshake in memory."""

    def __init__(
        self,
        termination: Termination,
        options: TLSOptions,
        directory: Path,
        shows: Identity | None = None,
        **about: Any,
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers(about.get("ciphers", "ALL:@SECLEVEL=0"))
        for version in about.get("versions", ()):
            context.minimum_version = context.maximum_version = version
        if "curve" in about:
            context.set_ecdh_curve(about["curve"])
        if about.get("protocols"):
            context.set_alpn_protocols(about["protocols"])
        if shows is not None:
            shows.load(context, directory)
        context = about.get("context", context)
        self.context = context
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.near = context.wrap_bio(
            to_client, to_server, server_hostname=about.get("name", "a.example"), session=about.get("session")
        )
        self.far = termination.first_answer(options).wrap_bio(to_server, to_client, server_side=True)
        for side in (self.near, self.far, self.near, self.far):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
        self.far.write(b"x")
        # In TLS 1.3 a client hears only now that it was refused.
        self.near.read(1)


@pytest.fixture
def termination() -> Termination:
    """One with a certificate."""
    found = Termination()
    found.use([SERVER])
    return found


@pytest.mark.parametrize("wanted, shows, gets_in", [
    ("NoClientCert", None, True),
    ("NoClientCert", FORGED, True),
    ("RequestClientCert", None, True),
    ("RequestClientCert", FORGED, True),
    ("RequireAnyClientCert", None, False),
    ("RequireAnyClientCert", FORGED, True),
    ("RequireAnyClientCert", EXPIRED, True),
    ("VerifyClientCertIfGiven", None, True),
    ("VerifyClientCertIfGiven", CLIENT, True),
    ("VerifyClientCertIfGiven", FORGED, False),
    ("RequireAndVerifyClientCert", None, False),
    ("RequireAndVerifyClientCert", CLIENT, True),
    ("RequireAndVerifyClientCert", FORGED, False),
    ("RequireAndVerifyClientCert", EXPIRED, False),
])  # fmt: skip
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_gets_in(
    termination: Termination,
    tmp_path: Path,
    version: ssl.TLSVersion,
    wanted: str,
    shows: Identity | None,
    gets_in: bool,
) -> None:
    options = replace(MTLS, client_auth=wanted)
    if not gets_in:
        with pytest.raises(ssl.SSLError):
            Shaking(termination, options, tmp_path, shows, versions=[version])
        return
    far = Shaking(termination, options, tmp_path, shows, versions=[version]).far
    asked = shows is not None and wanted != "NoClientCert"
    assert far.getpeercert(binary_form=True) == (shows.der if asked and shows else None)


def test_who_is_in_the_file_is_trusted_whoever_signed_that(termination: Termination, tmp_path: Path) -> None:
    options = replace(MTLS, client_cas=(CLIENT.chain,))
    assert Shaking(termination, options, tmp_path, CLIENT).far.getpeercert(binary_form=True) == CLIENT.der


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("shared", [b"", bytes(80)])
def test_nobody_resumes_past_the_certificates_that_are_asked_for(
    termination: Termination, tmp_path: Path, version: ssl.TLSVersion, shared: bytes
) -> None:
    if shared:
        termination.share_tickets(shared)
    first = Shaking(termination, BUILT_IN, tmp_path, versions=[version])
    again = {"context": first.context, "session": first.near.session}
    assert Shaking(termination, BUILT_IN, tmp_path, **again).near.session_reused
    with pytest.raises(ssl.SSLError):
        Shaking(termination, MTLS, tmp_path, **again)
    let_in = Shaking(termination, MTLS, tmp_path, CLIENT, versions=[version])
    again = {"context": let_in.context, "session": let_in.near.session}
    resumed = Shaking(termination, MTLS, tmp_path, **again)
    assert resumed.near.session_reused
    assert resumed.far.getpeercert(binary_form=True) == CLIENT.der
    other = replace(MTLS, client_cas=(STRANGER.chain,))
    with pytest.raises(ssl.SSLError):
        Shaking(termination, other, tmp_path, **again)


def test_tickets_can_be_left_out(termination: Termination, tmp_path: Path) -> None:
    options = TLSOptions("no@file", tickets=False)
    first = Shaking(termination, options, tmp_path)
    again = {"context": first.context, "session": first.near.session}
    assert not Shaking(termination, options, tmp_path, **again).near.session_reused


@pytest.mark.parametrize("options, about, gets_in", [
    ({"min_version": "VersionTLS13"}, {"versions": [ssl.TLSVersion.TLSv1_2]}, False),
    ({"min_version": "VersionTLS13"}, {"versions": [ssl.TLSVersion.TLSv1_3]}, True),
    ({"max_version": "VersionTLS12"}, {"versions": [ssl.TLSVersion.TLSv1_3]}, False),
    ({"max_version": "VersionTLS12"}, {"versions": [ssl.TLSVersion.TLSv1_2]}, True),
    ({}, {"versions": [ssl.TLSVersion.TLSv1_1]}, False),
    ({"min_version": "VersionTLS11"}, {"versions": [ssl.TLSVersion.TLSv1_1]}, True),
    ({"min_version": "VersionTLS10"}, {"versions": [ssl.TLSVersion.TLSv1]}, True),
    ({"curves": ("P-384",)}, {"curve": "prime256v1"}, False),
    ({"curves": ("P-384", "P-256")}, {"curve": "prime256v1"}, True),
    ({"curves": ("X25519MLKEM768", "P-256")}, {"curve": "prime256v1"}, True),
    ({"sni_strict": True}, {}, True),
    ({"sni_strict": True}, {"name": "b.example"}, False),
    ({"sni_strict": True}, {"name": None}, False),
    ({"broken": "there are mistakes in it"}, {}, False),
    ({"cipher_suites": ("NONE-SUCH",)}, {}, False),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*TLSv1.*:DeprecationWarning")
def test_what_is_spoken(
    termination: Termination, tmp_path: Path, options: dict[str, Any], about: dict[str, Any], gets_in: bool
) -> None:
    own = pem.make_own()
    termination.use([SERVER, own])
    wanted = TLSOptions("x@file", **options)
    if gets_in:
        assert Shaking(termination, wanted, tmp_path, **about).near.version()
        return
    with pytest.raises(ssl.SSLError):
        Shaking(termination, wanted, tmp_path, **about)


def test_who_takes_any_cipher_suite_of_tls_1_2_gets_aes_128(termination: Termination, tmp_path: Path) -> None:
    shaking = Shaking(termination, BUILT_IN, tmp_path, versions=[ssl.TLSVersion.TLSv1_2])
    found = shaking.near.cipher()
    assert found is not None
    assert found[0] == "ECDHE-ECDSA-AES128-GCM-SHA256"


def test_cipher_suites_are_those_that_are_named(termination: Termination, tmp_path: Path) -> None:
    wanted = TLSOptions(
        "x@file", max_version="VersionTLS12", cipher_suites=("ECDHE-ECDSA-AES256-GCM-SHA384",)
    )
    found = Shaking(termination, wanted, tmp_path).near.cipher()
    assert found is not None
    assert found[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    with pytest.raises(ssl.SSLError):
        Shaking(
            termination,
            wanted,
            tmp_path,
            ciphers="ECDHE-ECDSA-AES128-GCM-SHA256",
            versions=[ssl.TLSVersion.TLSv1_2],
        )


@pytest.mark.parametrize(
    "protocols, offered, agreed",
    [
        (None, ["h2", "http/1.1"], "http/1.1"),
        (("h2", "http/1.1"), ["h2", "http/1.1"], "http/1.1"),
        (("h2",), ["h2", "http/1.1"], None),
        (("mqtt",), ["mqtt"], "mqtt"),
    ],
)
def test_what_is_not_spoken_is_not_agreed_on(
    termination: Termination,
    tmp_path: Path,
    protocols: tuple[str, ...] | None,
    offered: list[str],
    agreed: str | None,
) -> None:
    options = TLSOptions("x@file", protocols=protocols)
    found = Shaking(termination, options, tmp_path, protocols=offered).near
    assert found.selected_alpn_protocol() == agreed


def test_where_openssl_is_out_of_reach_what_needs_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "library", lambda: None)
    objection.cache_clear()
    for options in ({"client_auth": "RequireAnyClientCert"}, {"curves": ("P-384", "P-256")}):
        assert objection(TLSOptions("x@file", **options))  # type: ignore[arg-type]
    assert objection(TLSOptions("x@file", curves=("P-384",))) == ""
    assert objection(replace(MTLS, name="y@file")) == ""
    objection.cache_clear()


def test_options_that_openssl_refuses_say_so() -> None:
    with pytest.raises(UnsupportedError, match="OpenSSL refuses it"):
        new_answer(TLSOptions("x@file", cipher_suites=("NONE-SUCH",)))
    assert "mistakes" in objection(TLSOptions("x@file", broken="there are mistakes in it"))


def test_each_set_of_options_has_its_own_key_of_tickets() -> None:
    key = bytes(range(80))
    assert ticket_key(key, BUILT_IN) == key
    assert ticket_key(b"", MTLS) == b""
    others = [MTLS, replace(MTLS, client_cas=()), replace(MTLS, name="other@file")]
    found = {ticket_key(key, one) for one in others}
    assert len(found | {key}) == 4
    assert {len(one) for one in found} == {80}
    assert ticket_key(key, replace(MTLS)) in found


def test_protocols_that_are_not_spoken_are_those_the_proxy_lacks() -> None:
    assert set(contexts.PROTOCOLS).isdisjoint(contexts.NOT_SPOKEN)
