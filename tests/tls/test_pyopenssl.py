"""Twisted's own TLS: the same choice and the same rules, over transports in memory."""

from __future__ import annotations

import ssl
from datetime import timedelta
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection

from dynbalancer import pem
from dynbalancer.core.certificates import CertificateIndex
from dynbalancer.core.model import Certificate, TLSOptions
from dynbalancer.core.tlschoice import BUILT_IN
from dynbalancer.tls import pyopenssl
from dynbalancer.tls.pyopenssl import Creator, TLSFactory

OWN = pem.make_own()
A, B = (pem.self_signed(name, [name], life=timedelta(days=9)) for name in ("a.example", "b.example"))
CHAIN = Certificate("a.example", A.chain + B.chain, A.key, ("a.example",))


class Plain(Protocol):
    """Answers what it is asked."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(b"re: " + data)  # type: ignore[union-attr]


class Producer:
    """Goes on whatever it is told."""

    def pauseProducing(self) -> None:
        """Don't."""

    def resumeProducing(self) -> None:
        """Nothing was paused."""

    def stopProducing(self) -> None:
        """Don't."""


class Client:
    """A client whose octets go to a server's transport in memory, and back."""

    def __init__(self, creator: Creator, name: str | None, **about: Any) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.set_alpn_protocols(about.get("protocols", ["h2", "http/1.1"]))
        if "version" in about:
            context.minimum_version = context.maximum_version = about["version"]
        self.coming, self.going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.coming, self.going, server_hostname=name)
        self.clock = Clock()
        self.pipe = StringTransportWithDisconnection()
        factory = TLSFactory(creator, False, Factory.forProtocol(Plain), self.clock)
        self.server: Any = factory.buildProtocol(None)
        self.pipe.protocol = self.server
        self.server.makeConnection(self.pipe)

    def exchange(self) -> None:
        """What either side has to say reaches the other."""
        for _ in range(4):
            if self.going.pending:
                self.server.dataReceived(self.going.read())
            self.clock.advance(1)
            self.coming.write(self.pipe.value())
            self.pipe.clear()

    def shake(self) -> Client:
        """The handshake. Raises ssl.SSLError where one side refuses."""
        for _ in range(4):
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.exchange()
        return self

    @property
    def certificate(self) -> str:
        shown = self.tls.getpeercert(binary_form=True)
        return "" if shown is None else ssl.DER_cert_to_PEM_cert(shown).replace("\n", "")


def creator(*certificates: Certificate) -> Creator:
    """One with these certificates and its own."""
    return Creator(CertificateIndex(certificates, OWN).choose)


@pytest.mark.parametrize(
    "name, certificate", [("a.example", A), ("B.Example", B), ("c.example", OWN), (None, OWN)]
)
def test_answers_with_the_certificate_for_the_name(name: str | None, certificate: Certificate) -> None:
    client = Client(creator(CHAIN, B), name).shake()
    assert client.certificate == certificate.chain.replace("\n", "")
    assert client.tls.selected_alpn_protocol() == "http/1.1"


def test_bytes_go_both_ways_and_closing_the_write_side_closes_it_all() -> None:
    client = Client(creator(), "a.example").shake()
    client.tls.write(b"hello")
    client.exchange()
    assert client.tls.read(20) == b"re: hello"
    client.server.loseWriteConnection()
    client.exchange()
    assert client.tls.read(1) == b""


def test_connection_that_is_to_end_does_not_wait_for_its_producer() -> None:
    client = Client(creator(), "a.example").shake()
    client.exchange()
    client.server.registerProducer(Producer(), True)
    client.server.write(b"bye")
    client.server.loseConnection()
    client.exchange()
    assert (client.tls.read(20), client.tls.read(1)) == (b"bye", b"")


def test_nobody_else_speaks_its_protocol() -> None:
    assert Client(creator(), None, protocols=["h2"]).shake().tls.selected_alpn_protocol() is None


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_are_refused() -> None:
    with pytest.raises(ssl.SSLError):
        Client(creator(), "a.example", version=ssl.TLSVersion.TLSv1_1).shake()


def test_without_any_certificate_the_handshake_is_refused() -> None:
    with pytest.raises(ssl.SSLError):
        Client(Creator(CertificateIndex(()).choose), "a.example").shake()


def test_a_certificate_is_loaded_once_and_forgotten_with_its_last_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: list[str] = []
    new_answer = pyopenssl.new_answer

    def noted(certificate: Certificate | None = None, options: TLSOptions = BUILT_IN) -> SSL.Context:
        loaded.append("" if certificate is None else certificate.name)
        return new_answer(certificate, options)

    monkeypatch.setattr(pyopenssl, "new_answer", noted)
    made = creator(A)
    for _ in range(2):
        Client(made, "a.example").shake()
    made.keep([A])
    Client(made, "a.example").shake()
    assert loaded == ["", "a.example"]
    made.keep([])
    Client(made, "a.example").shake()
    assert loaded == ["", "a.example", "a.example"]
