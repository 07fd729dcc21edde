"""The same answers for Twisted's own TLS, which is pyOpenSSL's: for reactors without an event loop of asyncio's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from zope.interface import implementer

from dynbalancer.core.model import VERIFYING, Certificate, TLSOptions
from dynbalancer.core.tlschoice import BUILT_IN
from dynbalancer.tls.contexts import CIPHERS, NOT_SPOKEN, OLD_CIPHERS, OLD_LEVEL, PROTOCOLS, objection

#: Versions as Go and as OpenSSL call them.
_VERSIONS = {
    "VersionTLS10": SSL.TLS1_VERSION,
    "VersionTLS11": SSL.TLS1_1_VERSION,
    "VersionTLS12": SSL.TLS1_2_VERSION,
    "VersionTLS13": SSL.TLS1_3_VERSION,
}


@implementer(IOpenSSLServerConnectionCreator)
class Creator:
    """Begins handshakes by ``options``; ``choose`` gives the certificate for a server name."""

    def __init__(
        self, choose: Callable[[str | None], Certificate | None], options: TLSOptions = BUILT_IN
    ) -> None:
        self._choose = choose
        self._options = options
        # What can't be obeyed there can't be here either, and the same clients are kept out.
        self._refuses = bool(objection(options)) or bool(options.curves)
        self._answers: dict[Certificate, SSL.Context] = {}
        self._first = new_answer(options=BUILT_IN if self._refuses else options)
        self._first.set_tlsext_servername_callback(self._asked)

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """See IOpenSSLServerConnectionCreator."""
        return SSL.Connection(self._first, None)

    def keep(self, used: Collection[Certificate]) -> None:
        """Forget what was made for other certificates than these."""
        self._answers = {one: answer for one, answer in self._answers.items() if one in used}

    def _asked(self, connection: SSL.Connection) -> None:
        if self._refuses:
            return
        name = connection.get_servername()
        wanted = None if name is None else name.decode("latin-1")
        certificate = self._choose(wanted)
        if certificate is None:
            # The first context has no certificate: the handshake ends with an alert.
            return
        answer = self._answers.get(certificate)
        if answer is None:
            answer = self._answers[certificate] = new_answer(certificate, self._options)
        connection.set_context(answer)


def new_answer(certificate: Certificate | None = None, options: TLSOptions = BUILT_IN) -> SSL.Context:
    """A context by these options. It can't be changed once it has made a connection."""
    answer = SSL.Context(SSL.TLS_SERVER_METHOD)
    oldest = options.min_version or "VersionTLS12"
    answer.set_min_proto_version(_VERSIONS[oldest])
    if options.max_version:
        answer.set_max_proto_version(_VERSIONS[options.max_version])
    answer.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    ciphers = [*options.cipher_suites] or [CIPHERS]
    if oldest < "VersionTLS12":
        ciphers += [OLD_CIPHERS, OLD_LEVEL]
    answer.set_cipher_list(":".join(ciphers).encode("ascii"))
    # Nobody resumes by other options.
    answer.set_session_id(hashlib.sha256(repr((options, options.client_cas)).encode()).digest())
    if not options.tickets:
        answer.set_options(SSL.OP_NO_TICKET)
    protocols = PROTOCOLS if options.protocols is None else options.protocols
    spoken = [one.encode("utf-8") for one in protocols if one not in NOT_SPOKEN]
    answer.set_alpn_select_callback(lambda connection, offered: _agreed(spoken, offered))
    _ask_for_certificates(answer, options)
    if certificate is not None:
        first, *above = x509.load_pem_x509_certificates(certificate.chain.encode())
        answer.use_certificate(first)
        for link in above:
            answer.add_extra_chain_cert(link)
        answer.use_privatekey(load_pem_private_key(certificate.key.encode(), None))  # type: ignore[arg-type]
    return answer


def _ask_for_certificates(answer: SSL.Context, options: TLSOptions) -> None:
    wanted = options.client_auth
    if wanted == "NoClientCert":
        return
    store = answer.get_cert_store()
    assert store is not None
    for text in options.client_cas:
        for authority in x509.load_pem_x509_certificates(text.encode()):
            store.add_cert(crypto.X509.from_cryptography(authority))
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    mode = SSL.VERIFY_PEER
    if wanted.startswith("Require"):
        mode |= SSL.VERIFY_FAIL_IF_NO_PEER_CERT
    verifies = wanted in VERIFYING
    answer.set_verify(mode, lambda connection, shown, error, depth, good: bool(good) or not verifies)


def _agreed(spoken: list[bytes], offered: list[bytes]) -> Any:
    return next((protocol for protocol in spoken if protocol in offered), SSL.NO_OVERLAPPING_PROTOCOLS)


class TLSConnection(BufferingTLSTransport):
    """Twisted's TLS transport, whose write side can't be closed alone: then all of it is, once everything is sent."""

    def loseConnection(self) -> None:
        """See ITransport."""
        # Twisted would wait until the producer has ended, and ours only wants to hear when to pause.
        self.unregisterProducer()
        super().loseConnection()

    def loseWriteConnection(self) -> None:
        """See ITCPTransport."""
        self.loseConnection()


class TLSFactory(TLSMemoryBIOFactory):
    """Wraps the connections of a factory."""

    noisy = False
    protocol = TLSConnection
