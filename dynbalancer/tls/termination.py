"""Answers TLS handshakes: the certificate for the name that a client asks for, the same rules for all of them."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger
from zope.interface import implementer

from dynbalancer import pem
from dynbalancer.core.certificates import CertificateIndex
from dynbalancer.core.model import Certificate
from dynbalancer.interfaces import ITermination
from dynbalancer.tls import tickets

if TYPE_CHECKING:
    from dynbalancer.tls.pyopenssl import Creator

#: What may be spoken inside, the best first.
PROTOCOLS = ("http/1.1",)

#: For TLS 1.2: what encrypts and signs at once, with keys that are gone afterwards. TLS 1.3 has nothing else.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


@implementer(ITermination)
class Termination:
    """The certificates in force, and the SSL contexts that answer with them.

    A certificate's context is made when somebody first asks for it, and kept as long as the certificate is in force.
    Connections keep the one they began with.
    """

    _log = Logger()

    def __init__(self, own: Certificate | None = None) -> None:
        """``own`` answers where no other certificate does."""
        self._own = own
        self._index = CertificateIndex((), own)
        self._answers: dict[Certificate, ssl.SSLContext] = {}
        self._failed: set[Certificate] = set()
        self._first: ssl.SSLContext | None = None
        self._creator: Creator | None = None
        self._ticket_key = b""

    def use(self, certificates: Iterable[Certificate]) -> None:
        """Answer with these, from the next handshake on."""
        self._index = CertificateIndex(certificates, self._own)
        used = self._index.chosen()
        self._answers = {one: answer for one, answer in self._answers.items() if one in used}
        self._failed &= used
        if self._creator is not None:
            self._creator.keep(used)

    def share_tickets(self, key: bytes) -> None:
        """Issue and take session tickets under this key, as all workers do."""
        self._ticket_key = key
        if self._first is not None:
            self._set_ticket_key(self._first)

    def first_answer(self) -> ssl.SSLContext:
        """The context that a handshake begins with; the name that the client asks for then leads to another."""
        if self._first is None:
            self._first = first = new_answer()
            first.sni_callback = self._asked
            # As Go's: each is signed and sent before the first answer, and a resumed connection brings the next one.
            first.num_tickets = 1
            self._set_ticket_key(first)
            _ignore_odd_names()
        return self._first

    def wrapped(self, factory: Any, reactor: Any) -> Any:
        """A factory whose connections speak TLS on Twisted's own transports, and ``factory``'s protocols inside."""
        from dynbalancer.tls.pyopenssl import Creator, TLSFactory

        if self._creator is None:
            self._creator = Creator(lambda name: self._index.choose(name))
        return TLSFactory(self._creator, False, factory, reactor)

    def _set_ticket_key(self, first: ssl.SSLContext) -> None:
        if self._ticket_key and not tickets.set_key(first, self._ticket_key):
            self._log.info(
                "This Python can't share the keys of TLS tickets: a client that meets another worker makes a full"
                " handshake"
            )

    def _asked(
        self, connection: ssl.SSLObject, name: str | None, first: ssl.SSLContext
    ) -> ssl.AlertDescription | None:
        for certificate in (self._index.choose(name), self._own):
            answer = None if certificate is None else self._answer(certificate)
            if answer is not None:
                connection.context = answer
                return None
        return ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    def _answer(self, certificate: Certificate) -> ssl.SSLContext | None:
        answer = self._answers.get(certificate)
        if answer is None and certificate not in self._failed:
            answer = new_answer()
            try:
                pem.load(answer, certificate)
            except (ssl.SSLError, OSError) as error:
                # It was checked where it was read, but perhaps by another OpenSSL.
                why = error.strerror or str(error)
                self._log.error(
                    "Certificate {name} can't be used: {why}; another answers", name=certificate.name, why=why
                )
                self._failed.add(certificate)
                return None
            self._answers[certificate] = answer
        return answer


def new_answer() -> ssl.SSLContext:
    """A server's context without a certificate, with the rules that hold for all."""
    answer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    answer.minimum_version = ssl.TLSVersion.TLSv1_2
    # Renegotiation is a way to make a server work for nothing.
    answer.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    answer.set_ciphers(CIPHERS)
    answer.set_alpn_protocols(list(PROTOCOLS))
    return answer


def _ignore_odd_names() -> None:
    """Keep quiet about clients that ask for a name that is not ASCII: ssl refuses them, and tells the terminal."""
    before = sys.unraisablehook
    if getattr(before, "ignores_odd_names", False):
        return

    def tell(unraisable: sys.UnraisableHookArgs) -> None:
        if not (
            isinstance(unraisable.exc_value, UnicodeDecodeError) and isinstance(unraisable.object, bytes)
        ):
            before(unraisable)

    tell.ignores_odd_names = True  # type: ignore[attr-defined]
    sys.unraisablehook = tell
