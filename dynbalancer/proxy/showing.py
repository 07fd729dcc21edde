"""What clients show of themselves when TLS begins."""

from __future__ import annotations

import ssl
from typing import Any


def certificates_of(transport: Any) -> tuple[bytes, ...]:
    """What the peer of an encrypted connection has shown, its own first, in DER; on either kind of transport."""
    about = getattr(transport, "about", None)
    if about is None:
        connection = getattr(transport, "_tlsConnection", None)
        chain = None if connection is None else connection.get_peer_cert_chain(as_cryptography=True)
        own = None if connection is None else connection.get_peer_certificate(as_cryptography=True)
        if own is None:
            return ()
        from cryptography.hazmat.primitives.serialization import Encoding

        shown = (own, *(one for one in chain or () if one != own))
        return tuple(one.public_bytes(Encoding.DER) for one in shown)
    tls = about("ssl_object")
    first = None if tls is None else tls.getpeercert(binary_form=True)
    if not first:
        return ()
    if hasattr(tls, "get_unverified_chain"):
        return tuple(tls.get_unverified_chain() or (first,))
    # Before Python 3.13 only what is below says what else was shown.
    chain = getattr(tls, "_sslobj", None) and tls._sslobj.get_unverified_chain()
    return (first, *(_der(one) for one in (chain or ())[1:]))


def _der(certificate: Any) -> bytes:
    text: str = certificate.public_bytes()
    return ssl.PEM_cert_to_DER_cert(text)
