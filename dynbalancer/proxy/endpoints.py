"""Connections to servers by Twisted's own endpoints and TLS, on reactors that have no event loop of asyncio's.

Nothing of this is loaded where there is a loop: pyOpenSSL and all that it imports is 13 MiB.
"""

from __future__ import annotations

import ssl
from typing import Any

from OpenSSL.crypto import FILETYPE_ASN1, load_certificate
from twisted.internet import defer, endpoints, error, task
from twisted.internet import ssl as tls_of_twisted
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer


def connect_by_endpoint(
    reactor: Any,
    host: str,
    port: int,
    protocol: Protocol,
    timeout: float,
    tls: ssl.SSLContext | None,
    server_name: str | None,
) -> defer.Deferred[Protocol]:
    """See :func:`dynbalancer.proxy.transports.connect`."""
    # An address needs no resolver, which would look it up in a thread.
    kind: Any = endpoints.HostnameEndpoint
    if isIPAddress(host):
        kind = endpoints.TCP4ClientEndpoint
    elif isIPv6Address(host):
        kind = endpoints.TCP6ClientEndpoint
    endpoint = kind(reactor, host, port, timeout=timeout)
    if tls is not None:
        endpoint = endpoints.wrapClientTLS(pyopenssl_options(server_name or host, tls), endpoint)
    # Later, as on the loop: an endpoint may also fail at once, before the caller knows how to cancel.
    connecting: defer.Deferred[Protocol] = task.deferLater(
        reactor, 0, endpoint.connect, Factory.forProtocol(lambda: protocol)
    )
    connecting.addErrback(_plain_error)
    return connecting


def _plain_error(failure: Failure) -> Failure:
    """Twisted's errors in the terms of the native ones."""
    if failure.check(error.TimeoutError, error.TCPTimedOutError, defer.CancelledError):
        return Failure(TimeoutError(str(failure.value)))
    return failure


def pyopenssl_options(name: str, tls: ssl.SSLContext) -> Any:
    """What the same wish is for Twisted's TLS: check the certificate, and against which authorities, or don't."""
    if tls.verify_mode == ssl.CERT_NONE:
        return _Unverified(name)
    # Those of a file; a system's directory of them is read by need, and shows none here.
    known = [
        tls_of_twisted.Certificate(load_certificate(FILETYPE_ASN1, der)) for der in tls.get_ca_certs(True)
    ]
    trust = tls_of_twisted.trustRootFromCertificates(known) if known else tls_of_twisted.platformTrust()
    return tls_of_twisted.optionsForClientTLS(name, trustRoot=trust, acceptableProtocols=[b"http/1.1"])


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """TLS to whoever answers: the user switched verification off."""

    def __init__(self, name: str) -> None:
        # Without a trust root no certificate is asked for.
        self._options = tls_of_twisted.CertificateOptions(acceptableProtocols=[b"http/1.1"])
        # RFC 6066 section 3: addresses are not sent as names.
        self._name = b"" if isIPAddress(name) or isIPv6Address(name) else name.encode("idna")

    def clientConnectionForTLS(self, tlsProtocol: Any) -> Any:
        connection = self._options.clientConnectionForTLS(tlsProtocol)
        if self._name:
            connection.set_tlsext_host_name(self._name)
        return connection
