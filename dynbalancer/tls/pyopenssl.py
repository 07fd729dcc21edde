"""The same answers for Twisted's own TLS, which is pyOpenSSL's: for reactors without an event loop of asyncio's."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from zope.interface import implementer

from dynbalancer.core.model import Certificate

PROTOCOLS = (b"http/1.1",)
CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"


@implementer(IOpenSSLServerConnectionCreator)
class Creator:
    """Begins handshakes; ``choose`` gives the certificate for a server name."""

    def __init__(self, choose: Callable[[str | None], Certificate | None]) -> None:
        self._choose = choose
        self._answers: dict[Certificate, SSL.Context] = {}
        self._first = new_answer()
        self._first.set_tlsext_servername_callback(self._asked)

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """See IOpenSSLServerConnectionCreator."""
        return SSL.Connection(self._first, None)

    def keep(self, used: Collection[Certificate]) -> None:
        """Forget what was made for other certificates than these."""
        self._answers = {one: answer for one, answer in self._answers.items() if one in used}

    def _asked(self, connection: SSL.Connection) -> None:
        name = connection.get_servername()
        certificate = self._choose(None if name is None else name.decode("latin-1"))
        if certificate is None:
            # The first context has no certificate: the handshake ends with an alert.
            return
        answer = self._answers.get(certificate)
        if answer is None:
            answer = self._answers[certificate] = new_answer(certificate)
        connection.set_context(answer)


def new_answer(certificate: Certificate | None = None) -> SSL.Context:
    """A context with the rules that hold for all. It can't be changed once it has made a connection."""
    answer = SSL.Context(SSL.TLS_SERVER_METHOD)
    answer.set_min_proto_version(SSL.TLS1_2_VERSION)
    answer.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    answer.set_cipher_list(CIPHERS)
    answer.set_session_id(b"dynbalancer")
    answer.set_alpn_select_callback(_agreed)
    if certificate is not None:
        first, *above = x509.load_pem_x509_certificates(certificate.chain.encode())
        answer.use_certificate(first)
        for link in above:
            answer.add_extra_chain_cert(link)
        answer.use_privatekey(load_pem_private_key(certificate.key.encode(), None))  # type: ignore[arg-type]
    return answer


def _agreed(connection: SSL.Connection, offered: list[bytes]) -> Any:
    return next((protocol for protocol in PROTOCOLS if protocol in offered), SSL.NO_OVERLAPPING_PROTOCOLS)


class TLSConnection(BufferingTLSTransport):
    """Twisted's TLS transport, whose write side can't be closed alone: then all of it is, once everything is sent."""

    def loseWriteConnection(self) -> None:
        """See ITCPTransport."""
        self.loseConnection()


class TLSFactory(TLSMemoryBIOFactory):
    """Wraps the connections of a factory."""

    noisy = False
    protocol = TLSConnection
