"""What a serversTransport comes to: whom it trusts, what it shows, how long it waits."""

from __future__ import annotations

import ssl
from datetime import timedelta
from typing import Any

import pytest

from dynbalancer import pem
from dynbalancer.core.model import ServersTransport
from dynbalancer.core.settings import Limits
from dynbalancer.errors import ConfigurationError
from dynbalancer.proxy.transports import NativeTransport
from dynbalancer.proxy.trust import client_context, limits_by, peer_uris

OWN = pem.self_signed("Own", ["a.example"], life=timedelta(hours=1))


def transport(**about: Any) -> ServersTransport:
    return ServersTransport("t@x", **about)


def handshake(client: ssl.SSLContext, name: str = "a.example") -> str | None:
    """The version that a handshake with a server of ours comes to. Raises ssl.SSLError."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pem.load(server, OWN)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname=name)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    for _ in range(8):
        for side in {one, other} - done:
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue
    assert done == {one, other}
    return one.version()


def test_by_default_nobody_unknown_is_trusted() -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(client_context(transport()))


def test_an_authority_of_its_own_is_trusted_for_the_right_name_only() -> None:
    context = client_context(transport(root_cas=(OWN.chain,)))
    assert handshake(context) == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(context, "b.example")


def test_insecure_trusts_everybody() -> None:
    assert handshake(client_context(transport(insecure=True)), "b.example") == "TLSv1.3"


def test_the_newest_version_can_be_limited() -> None:
    context = client_context(transport(insecure=True, max_version="VersionTLS12"))
    assert handshake(context) == "TLSv1.2"


def test_a_uri_stands_for_the_name_and_is_never_insecure() -> None:
    context = client_context(
        transport(peer_uri="spiffe://a.example/web", root_cas=(OWN.chain,), insecure=True)
    )
    assert handshake(context, "b.example") == "TLSv1.3"
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_ciphers_and_a_certificate_of_ours_are_taken() -> None:
    context = client_context(
        transport(
            cipher_suites=("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",), certificates=((OWN.chain, OWN.key),)
        )
    )
    old = [cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"]
    assert old == ["ECDHE-ECDSA-AES128-GCM-SHA256"]


@pytest.mark.parametrize(
    "about",
    [
        {"root_cas": ("-----BEGIN CERTIFICATE-----\nrubbish",)},
        {"certificates": (("rubbish", "rubbish"),)},
        {"cipher_suites": ("TLS_MADE_UP",)},
    ],
)
def test_what_can_not_be_obeyed_is_refused(about: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="serversTransport t@x"):
        client_context(transport(**about))


def test_limits_are_those_of_the_settings_but_for_its_own() -> None:
    limits = Limits()
    assert limits_by(transport(), limits) is limits
    own = limits_by(transport(max_idle=-1, dial_time=0.0, response_time=2.0, idle_time=5.0), limits)
    assert (own.upstream_idle_connections, own.connect_time) == (0, 86400.0)
    assert (own.response_time, own.upstream_idle_time) == (2.0, 5.0)
    assert own.head_time == limits.head_time


def test_uris_of_a_certificate() -> None:
    class Native:
        """A transport of the loop, with a peer that showed a certificate."""

        def get_extra_info(self, name: str) -> Any:
            names = (("DNS", "a.example"), ("URI", "spiffe://a.example/web"))
            return {"subjectAltName": names} if name == "peercert" else None

    found = NativeTransport.__new__(NativeTransport)
    found._native = Native()
    assert peer_uris(found) == ("spiffe://a.example/web",)
    assert peer_uris(object()) == ()
