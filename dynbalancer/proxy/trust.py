"""What a serversTransport comes to: an SSL context for clients, and limits."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dynbalancer import pem
from dynbalancer.core.ciphers import openssl_names
from dynbalancer.core.model import Certificate, ServersTransport
from dynbalancer.core.settings import Limits
from dynbalancer.errors import ConfigurationError
from dynbalancer.proxy.transports import NativeTransport

#: As good as for ever, in seconds.
_FOR_EVER = 86400.0

_VERSIONS: Mapping[str, ssl.TLSVersion] = {
    "VersionTLS10": ssl.TLSVersion.TLSv1,
    "VersionTLS11": ssl.TLSVersion.TLSv1_1,
    "VersionTLS12": ssl.TLSVersion.TLSv1_2,
    "VersionTLS13": ssl.TLSVersion.TLSv1_3,
}


def client_context(transport: ServersTransport, protocols: Sequence[str] = ("http/1.1",)) -> ssl.SSLContext:
    """How TLS is spoken to servers, where ``protocols`` are offered (ALPN).

    Raises ConfigurationError where that can't be obeyed.
    """
    where = f"serversTransport {transport.name}"
    context = ssl.create_default_context()
    try:
        if transport.root_cas:
            context = ssl.create_default_context(cadata="\n".join(transport.root_cas))
        for chain, key in transport.certificates:
            pem.load(context, Certificate(transport.name, chain, key))
        if transport.cipher_suites:
            context.set_ciphers(":".join(openssl_names(transport.cipher_suites, where)))
        if transport.min_version:
            context.minimum_version = _VERSIONS[transport.min_version]
        if transport.max_version:
            context.maximum_version = _VERSIONS[transport.max_version]
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(where, f"OpenSSL refuses it: {error}") from None
    if transport.peer_uri:
        # As in Traefik the URI stands for the name; who signed the certificate counts all the more.
        context.check_hostname = False
    elif transport.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def limits_by(transport: ServersTransport, limits: Limits) -> Limits:
    """The limits of the settings, but for what the transport says itself."""
    own: dict[str, Any] = {}
    if transport.dial_time is not None:
        own["connect_time"] = transport.dial_time or _FOR_EVER
    if transport.response_time is not None:
        own["response_time"] = transport.response_time
    if transport.idle_time is not None:
        own["upstream_idle_time"] = transport.idle_time
    if transport.max_idle is not None:
        own["upstream_idle_connections"] = max(0, transport.max_idle)
    return replace(limits, **own) if own else limits


def peer_uris(transport: Any) -> tuple[str, ...]:
    """The URIs in the certificate of the peer of a native transport, once it was verified."""
    found = transport.about("peercert") if isinstance(transport, NativeTransport) else None
    return tuple(value for kind, value in (found or {}).get("subjectAltName", ()) if kind == "URI")
