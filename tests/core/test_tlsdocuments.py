"""tls.options of a document: what each key comes to, and what is broken by which mistake."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.codec import from_snapshot, snapshot
from dynbalancer.core.documents import from_document
from dynbalancer.core.model import Configuration, TLSOptions
from dynbalancer.errors import ConfigurationError

HERE = "file dyn.yml"


def pem(given: str) -> str:
    """What is in a file of authorities."""
    if given == "missing.crt":
        raise ConfigurationError("", "missing.crt can't be read: no such file")
    return f"PEM of {given}"


def read(options: Any) -> Configuration:
    """A document with these options."""
    return from_document({"tls": {"options": {"x": options}}}, HERE, read_pem=pem)


@pytest.mark.parametrize("written, attributes", [
    ({}, {}),
    (None, {}),
    ({"minVersion": "VersionTLS13"}, {"min_version": "VersionTLS13"}),
    ({"maxversion": "VersionTLS12"}, {"max_version": "VersionTLS12"}),
    (
        {"cipherSuites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"]},
        {"cipher_suites": ("ECDHE-RSA-AES128-GCM-SHA256",)},
    ),
    ({"cipherSuites": "TLS_AES_128_GCM_SHA256"}, {"min_version": "VersionTLS13"}),
    ({"curvePreferences": ["CurveP521", "secp384r1", "x25519"]}, {"curves": ("P-521", "P-384", "X25519")}),
    ({"sniStrict": True}, {"sni_strict": True}),
    ({"sniStrict": "true"}, {"sni_strict": True}),
    ({"alpnProtocols": ["h2", "http/1.1"]}, {"protocols": ("h2", "http/1.1")}),
    ({"alpnProtocols": []}, {"protocols": ()}),
    ({"disableSessionTickets": True}, {"tickets": False}),
    ({"preferServerCipherSuites": True}, {}),
    ({"clientAuth": {}}, {}),
    ({"clientAuth": {"clientAuthType": "RequestClientCert"}}, {"client_auth": "RequestClientCert"}),
    (
        {"clientAuth": {"caFiles": ["ca.crt"]}},
        {"client_auth": "RequireAndVerifyClientCert", "client_cas": ("PEM of ca.crt",)},
    ),
    (
        {"clientAuth": {"caFiles": ["a", "b"], "clientAuthType": "VerifyClientCertIfGiven"}},
        {"client_auth": "VerifyClientCertIfGiven", "client_cas": ("PEM of a", "PEM of b")},
    ),
])  # fmt: skip
def test_keys_are_read(written: Any, attributes: dict[str, Any]) -> None:
    found = read(written)
    assert found.problems == ()
    assert found.tls_options == {"x": TLSOptions("x", origin=HERE, **attributes)}
    assert from_snapshot(snapshot(found)).tls_options == found.tls_options


@pytest.mark.parametrize("written, place, why", [
    ({"minVersion": "VersionTLS14"}, "x.minVersion", "expected VersionTLS12"),
    ({"minVersoin": "VersionTLS13"}, "x.minVersoin", "meant to restrict"),
    ({"minVersion": "VersionTLS13", "maxVersion": "VersionTLS12"}, "options.x", "no version is left"),
    ({"maxVersion": "VersionTLS11"}, "options.x", "no version is left"),
    ({"cipherSuites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA25"]}, "x.cipherSuites", "there is no cipher suite"),
    ({"curvePreferences": ["CurveP255"]}, "x.curvePreferences", "there is no curve CurveP255"),
    ({"clientAuht": {"caFiles": ["ca.crt"]}}, "x.clientAuht", "meant to restrict"),
    ({"clientAuth": "ca.crt"}, "x.clientAuth", "expected a section"),
    ({"clientAuth": {"caFile": ["ca.crt"]}}, "clientAuth.caFile", "meant to restrict"),
    ({"clientAuth": {"caFiles": ["missing.crt"]}}, "clientAuth.caFiles", "can't be read"),
    ({"clientAuth": {"clientAuthType": "RequireClientCert"}}, "clientAuthType", "unknown client auth type"),
    ({"clientAuth": {"clientAuthType": "VerifyClientCertIfGiven"}}, "clientAuthType", "CAFiles is required"),
])  # fmt: skip
def test_mistakes_break_the_options_and_are_told(written: Any, place: str, why: str) -> None:
    found = read(written)
    assert any(one.where.endswith(place) and why in one.why for one in found.problems), found.problems
    assert found.tls_options["x"].broken
    assert found.tls_options["x"].demands


def test_suites_that_nobody_should_use_are_left_out() -> None:
    suites = ["TLS_RSA_WITH_3DES_EDE_CBC_SHA", "TLS_RSA_WITH_AES_128_GCM_SHA256"]
    found = read({"cipherSuites": suites})
    assert found.tls_options["x"].cipher_suites == ("AES128-GCM-SHA256",)
    (problem,) = found.problems
    assert (problem.severity, "not safe" in problem.why) == ("warning", True)


@pytest.mark.parametrize(
    "wrong, hint",
    [
        ({"curvePreferences": ["CurveP25"]}, "did you mean CurveP256?"),
        ({"clientAuth": {"clientAuthType": "RequireAnyClientCerts"}}, "did you mean RequireAnyClientCert?"),
    ],
)
def test_what_was_meant_is_guessed(wrong: Any, hint: str) -> None:
    (problem,) = read(wrong).problems
    assert problem.hint == hint


def test_files_that_nobody_reads_let_nobody_in() -> None:
    found = from_document({"tls": {"options": {"x": {"clientAuth": {"caFiles": ["ca.crt"]}}}}}, HERE)
    assert found.tls_options["x"].broken


def test_names_with_a_provider_are_refused() -> None:
    found = from_document({"tls": {"options": {"x@file": {}}}}, HERE)
    assert found.tls_options == {}
    assert "must not be empty or contain '@'" in found.problems[0].why
