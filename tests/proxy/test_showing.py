"""What a client has shown, on each kind of transport."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path
from typing import Any

from dynbalancer.proxy.showing import certificates_of

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e" / "support"))
from authority import signed

ABOVE = signed("Authority", authority=True)
OWN = signed("client", ABOVE)


class Native:
    """A native transport, as far as it is asked."""

    def __init__(self, tls: Any) -> None:
        self._tls = tls

    def about(self, name: str) -> Any:
        return self._tls if name == "ssl_object" else None


class Unasked:
    """TLS without a client's certificate."""

    shown: bytes | None = None

    def getpeercert(self, binary_form: bool = False) -> bytes | None:
        return self.shown if binary_form else None


class Old(Unasked):
    """Python before 3.13."""

    shown = OWN.der

    class Below:
        """What Python's object hides."""

        @staticmethod
        def get_unverified_chain() -> Any:
            class Shown:
                def __init__(self, text: str) -> None:
                    self.public_bytes = lambda: text

            return [Shown(OWN.chain), Shown(ABOVE.chain)]

    _sslobj = Below()


class New(Unasked):
    """Python 3.13."""

    shown = OWN.der

    def get_unverified_chain(self) -> list[bytes]:
        return [OWN.der, ABOVE.der]


def test_nothing_is_shown_without_tls_or_without_being_asked() -> None:
    for transport in (object(), Native(None), Native(Unasked())):
        assert certificates_of(transport) == ()


def test_all_that_was_shown_is_there_its_own_first() -> None:
    for tls in (Old(), New()):
        assert certificates_of(Native(tls)) == (OWN.der, ABOVE.der)


def test_real_handshake_shows_both(tmp_path: Path) -> None:
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs.check_hostname, theirs.verify_mode = False, ssl.CERT_NONE
    OWN.load(ours, tmp_path)
    (tmp_path / "chain.pem").write_text(OWN.chain + ABOVE.chain + OWN.key)
    theirs.load_cert_chain(tmp_path / "chain.pem")
    ours.verify_mode = ssl.CERT_REQUIRED
    ours.load_verify_locations(cadata=ABOVE.chain)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = theirs.wrap_bio(to_client, to_server)
    far = ours.wrap_bio(to_server, to_client, server_side=True)
    for side in (near, far, near, far):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert certificates_of(Native(far)) == (OWN.der, ABOVE.der)


def test_twisted_s_own_tls_is_asked_as_well() -> None:
    class Connection:
        def get_peer_certificate(self, as_cryptography: bool) -> Any:
            return OWN.certificate

        def get_peer_cert_chain(self, as_cryptography: bool) -> Any:
            return [OWN.certificate, ABOVE.certificate]

    class Transport:
        _tlsConnection = Connection()

    assert certificates_of(Transport()) == (OWN.der, ABOVE.der)
