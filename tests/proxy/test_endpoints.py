"""Connecting on reactors without a loop, by Twisted's endpoints and with its TLS."""

from __future__ import annotations

import contextlib
import datetime
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from dynbalancer.proxy.endpoints import pyopenssl_options
from dynbalancer.proxy.transports import connect


class Made(Protocol):
    """Keeps whether it was connected."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def connectionMade(self) -> None:
        self.told.append("made")


def connecting(reactor: Any, **about: Any) -> tuple[Made, list[Any]]:
    """A protocol, and what its connecting gave so far."""
    protocol, results = Made(), []
    connect(reactor, "web.example", 8080, protocol, **{"timeout": 3.0, **about}).addBoth(results.append)
    return protocol, results


def test_connecting() -> None:
    reactor = MemoryReactorClock()
    protocol, results = connecting(reactor)
    reactor.advance(0)
    host, port, factory, *_ = reactor.tcpClients[0]
    assert port == 8080
    factory.buildProtocol(None).makeConnection(StringTransport())
    assert results == [protocol]
    assert protocol.told == ["made"]
    assert host


@pytest.mark.parametrize(
    "why, found",
    [
        (error.TimeoutError(), TimeoutError),
        (error.TCPTimedOutError(), TimeoutError),
        (error.ConnectionRefusedError(), error.ConnectionRefusedError),
    ],
)
def test_errors_are_those_of_one(why: Exception, found: type[Exception]) -> None:
    reactor = MemoryReactorClock()
    _, results = connecting(reactor)
    reactor.advance(0)
    reactor.tcpClients[0][2].clientConnectionFailed(None, Failure(why))
    reactor.advance(1)
    assert results[0].check(found)


def test_failing_at_once_still_comes_later() -> None:
    reactor = MemoryReactorClock()
    results: list[Any] = []
    connect(reactor, "a..b", 80, Made(), timeout=3.0).addErrback(results.append)
    assert results == []
    reactor.advance(0)
    assert results[0].check(ValueError)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the key and the certificate of web.example, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "web.example")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("web.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path: Path = tmp_path_factory.mktemp("tls") / "web.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


def shake_hands(creator: Any, certificate: Path) -> tuple[bytes, bytes, list[Failure]]:
    """A handshake with a server of this certificate: the name it heard, the protocol agreed on, what failed."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_privatekey_file(str(certificate))
    context.use_certificate_file(str(certificate))
    context.set_alpn_select_callback(lambda _, offered: offered[0])
    server = SSL.Connection(context, None)
    server.set_accept_state()
    failures: list[Failure] = []
    factory = SimpleNamespace(wrappedFactory=object())
    client = creator.clientConnectionForTLS(
        SimpleNamespace(factory=factory, failVerification=failures.append)
    )
    client.set_connect_state()
    for _ in range(6):
        for side, other in ((client, server), (server, client)):
            try:
                side.do_handshake()
            except SSL.WantReadError:
                pass
            except SSL.Error as problem:
                failures.append(Failure(problem))
                return b"", b"", failures
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(side.bio_read(65536))
    return server.get_servername() or b"", client.get_alpn_proto_negotiated(), failures


def options(name: str, certificate: Path | None, *, verify: bool = True) -> Any:
    context = ssl.create_default_context(cafile=certificate)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return pyopenssl_options(name, context)


def test_tls_trusts_the_given_authority(certificate: Path) -> None:
    creator = options("web.example", certificate)
    assert shake_hands(creator, certificate) == (b"web.example", b"http/1.1", [])


def test_tls_refuses_another_name_and_an_unknown_authority(certificate: Path) -> None:
    assert shake_hands(options("other.example", certificate), certificate)[2] != []
    assert shake_hands(options("web.example", None), certificate)[2] != []


@pytest.mark.parametrize(
    "name, heard", [("other.example", b"other.example"), ("192.0.2.1", b""), ("2001:db8::1", b"")]
)
def test_tls_takes_anybody_where_verification_is_off(certificate: Path, name: str, heard: bytes) -> None:
    creator = options(name, None, verify=False)
    assert verifyObject(IOpenSSLClientConnectionCreator, creator)
    assert shake_hands(creator, certificate) == (heard, b"http/1.1", [])


def test_tls_wraps_the_connection(certificate: Path) -> None:
    reactor = MemoryReactorClock()
    context = ssl.create_default_context(cafile=certificate)
    protocol, results = connecting(reactor, tls=context)
    reactor.advance(0)
    wire = StringTransport()
    reactor.tcpClients[0][2].buildProtocol(None).makeConnection(wire)
    assert wire.value().startswith(b"\x16\x03")
    assert protocol.told == ["made"]
    assert results == [protocol]
