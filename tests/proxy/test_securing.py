"""TLS as a client: the handshake, whom it trusts, what is said where it fails. The server is real, in memory."""

from __future__ import annotations

import ssl
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dynbalancer import pem
from dynbalancer.core.model import Certificate
from dynbalancer.errors import ConnectError
from dynbalancer.proxy.securing import SecureClient, Trust

URI = "spiffe://example.org/web"


def certificate() -> Certificate:
    """One for 10.0.0.2 and b.example, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "b.example")])
    own = pem.make_own()
    valid = x509.load_pem_x509_certificate(own.chain.encode())
    names = [
        x509.IPAddress(ip_address("10.0.0.2")),
        x509.DNSName("b.example"),
        x509.UniformResourceIdentifier(URI),
    ]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(valid.not_valid_before_utc)
        .not_valid_after(valid.not_valid_after_utc)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Certificate("b", made.public_bytes(serialization.Encoding.PEM).decode(), private.decode())


OWN = certificate()


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cadata=OWN.chain)


class Wire(StringTransport):
    """Remembers that it was aborted."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class Inner(Protocol):
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = reason


class SecuringCase(SynchronousTestCase):
    """A client and a server whose octets a test carries between them."""

    def begin(self, trust: Trust, host: str = "10.0.0.2") -> None:
        self.inner = Inner()
        self.client = SecureClient(self.inner, host, trust)
        self.wire = Wire()
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pem.load(context, OWN)
        self.asked_for: list[str | None] = []
        context.sni_callback = lambda tls, name, context: self.asked_for.append(name)
        self.server = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.shaken = False
        self.client.makeConnection(self.wire)
        self.carry()

    def carry(self) -> bytes:
        """Carry octets until nobody has any left; gives what the server read."""
        read = b""
        while octets := self.wire.value():
            self.wire.clear()
            self.incoming.write(octets)
            try:
                if not self.shaken:
                    self.server.do_handshake()
                    self.shaken = True
                read += self.server.read(65536)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                return read
            self.deliver()
        return read

    def deliver(self) -> None:
        answer = self.outgoing.read()
        if answer:
            self.client.dataReceived(answer)

    def why(self) -> str:
        """What the inner protocol is told of its end."""
        assert self.inner.lost is not None
        error = self.inner.lost.value
        assert isinstance(error, ConnectError)
        return error.why


class SecuringTests(SecuringCase):
    """Both ends."""

    def test_after_the_handshake_words_go_both_ways(self) -> None:
        self.begin(Trust(trusting()))
        assert self.inner.transport is self.client
        self.inner.transport.write(b"ask")
        assert self.carry() == b"ask"
        self.server.write(b"answer")
        self.deliver()
        assert self.inner.heard == b"answer"

    def test_words_that_come_in_pieces_are_put_together(self) -> None:
        self.begin(Trust(trusting()))
        self.server.write(b"answer")
        for octet in self.outgoing.read():
            self.client.dataReceived(bytes((octet,)))
        assert self.inner.heard == b"answer"

    def test_the_name_of_the_transport_is_asked_for_and_checked(self) -> None:
        self.begin(Trust(trusting(), "b.example"))
        assert self.asked_for == ["b.example"]
        assert self.inner.transport is self.client

    def test_another_name_is_not_trusted(self) -> None:
        self.begin(Trust(trusting(), "c.example"))
        assert "Hostname mismatch" in self.why()
        assert self.inner.transport is None
        assert self.wire.disconnecting

    def test_a_certificate_of_an_unknown_authority_is_not_trusted(self) -> None:
        self.begin(Trust(ssl.create_default_context()))
        assert self.why() == "TLS: the certificate can't be trusted: self-signed certificate"

    def test_anybody_is_trusted_where_nobody_is_verified(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.begin(Trust(context))
        assert self.inner.transport is self.client

    def test_a_uri_has_to_be_in_the_certificate(self) -> None:
        self.begin(Trust(trusting(), peer_uri=URI))
        assert self.inner.transport is self.client
        self.begin(Trust(trusting(), peer_uri=f"{URI}/other"))
        assert self.why() == f"its certificate does not name {URI}/other"
        assert self.inner.transport is None

    def test_what_is_no_tls_is_said_in_words(self) -> None:
        self.begin(Trust(trusting()))
        other = SecureClient(inner := Inner(), "10.0.0.2", Trust(trusting()))
        other.makeConnection(Wire())
        other.dataReceived(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        assert inner.lost is not None
        assert str(inner.lost.value.why).startswith("TLS: wrong version number")

    def test_a_server_that_closes_ends_the_connection(self) -> None:
        self.begin(Trust(trusting()))
        try:
            self.server.unwrap()
        except ssl.SSLWantReadError:
            self.deliver()
        assert self.wire.disconnecting
        self.client.connectionLost(Failure(ConnectionDone()))
        assert self.inner.lost is not None and self.inner.lost.check(ConnectionDone)

    def test_a_connection_that_is_lost_early_is_handed_on_once(self) -> None:
        inner = Inner()
        client = SecureClient(inner, "10.0.0.2", Trust(trusting()))
        client.makeConnection(Wire())
        client.connectionLost(Failure(ConnectionDone()))
        assert inner.lost is not None
        inner.lost = None
        client.connectionLost(Failure(ConnectionDone()))
        assert inner.lost is None

    def test_once_ended_nothing_is_sent_or_heard(self) -> None:
        self.begin(Trust(trusting()))
        self.client.end()
        assert self.wire.aborted
        self.inner.transport.write(b"late")
        assert self.wire.value() == b""
        self.server.write(b"late")
        self.deliver()
        self.client.connectionLost(Failure(ConnectionDone()))
        assert (self.inner.heard, self.inner.lost) == (b"", None)

    def test_ended_before_it_is_connected_it_closes_at_once(self) -> None:
        client = SecureClient(Inner(), "10.0.0.2", Trust(trusting()))
        client.end()
        client.makeConnection(wire := Wire())
        assert wire.aborted
        assert wire.value() == b""
