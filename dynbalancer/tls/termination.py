"""Answers TLS handshakes: the certificate for the name that a client asks for, by the options for that name."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger
from zope.interface import implementer

from dynbalancer import pem
from dynbalancer.core.certificates import CertificateIndex
from dynbalancer.core.model import Certificate, TLSOptions
from dynbalancer.core.tlschoice import BUILT_IN
from dynbalancer.interfaces import ITermination
from dynbalancer.tls import tickets
from dynbalancer.tls.contexts import UnsupportedError, new_answer, objection, ticket_key

if TYPE_CHECKING:
    from dynbalancer.tls.pyopenssl import Creator

_log = Logger()

#: How many names that clients asked for are remembered, with what answers them.
_NAMES = 1024

_REFUSED = ssl.AlertDescription.ALERT_DESCRIPTION_HANDSHAKE_FAILURE
_NO_NAME = ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME


class _Answers:
    """The SSL contexts that answer by one set of options.

    A certificate's context is made when somebody first asks for it, and kept as long as the certificate is in force.
    """

    def __init__(self, options: TLSOptions, index: CertificateIndex, own: Certificate | None) -> None:
        self._options = options
        self._index = index
        self._own = own
        self._made: dict[Certificate, ssl.SSLContext] = {}
        self._failed: set[Certificate] = set()
        #: What was found before, by the name that was asked for.
        self._found: dict[str | None, ssl.SSLContext] = {}
        try:
            self.first = new_answer(options)
            self.first.sni_callback = self._asked
        except UnsupportedError as error:
            _log.error(
                "TLS options {name} can't be used: {why}; who asks is refused", name=options.name, why=error
            )
            self.first = new_answer()
            self.first.sni_callback = _refuse
        # As Go's: each is signed and sent before the first answer, and a resumed connection brings the next one.
        self.first.num_tickets = 1 if options.tickets else 0

    def use(self, index: CertificateIndex) -> None:
        """Answer with these certificates from now on."""
        self._index = index
        self._found.clear()
        used = index.chosen()
        self._made = {one: answer for one, answer in self._made.items() if one in used}
        self._failed &= used

    def _asked(
        self, connection: ssl.SSLObject, name: str | None, first: ssl.SSLContext
    ) -> ssl.AlertDescription | None:
        found = self._found.get(name)
        if found is not None:
            connection.context = found
            return None
        if self._options.sni_strict and not self._index.knows(name):
            return _NO_NAME
        for certificate in (self._index.choose(name), self._own):
            answer = None if certificate is None else self._answer(certificate)
            if answer is not None:
                if len(self._found) >= _NAMES:
                    self._found.clear()
                self._found[name] = connection.context = answer
                return None
        return _NO_NAME

    def _answer(self, certificate: Certificate) -> ssl.SSLContext | None:
        answer = self._made.get(certificate)
        if answer is None and certificate not in self._failed:
            answer = new_answer(self._options)
            try:
                pem.load(answer, certificate)
            except (ssl.SSLError, OSError) as error:
                # It was checked where it was read, but perhaps by another OpenSSL.
                why = error.strerror or str(error)
                _log.error(
                    "Certificate {name} can't be used: {why}; another answers", name=certificate.name, why=why
                )
                self._failed.add(certificate)
                return None
            self._made[certificate] = answer
        return answer


def _refuse(connection: ssl.SSLObject, name: str | None, first: ssl.SSLContext) -> ssl.AlertDescription:
    return _REFUSED


@implementer(ITermination)
class Termination:
    """The certificates in force, and the SSL contexts that answer with them, by each set of options.

    Connections keep the one they began with.
    """

    _log = _log

    def __init__(self, own: Certificate | None = None) -> None:
        """``own`` answers where no other certificate does."""
        self._own = own
        self._index = CertificateIndex((), own)
        self._answers: dict[TLSOptions, _Answers] = {}
        self._creators: dict[TLSOptions, Creator] = {}
        self._ticket_key = b""

    def use(self, certificates: Iterable[Certificate]) -> None:
        """Answer with these, from the next handshake on."""
        self._index = CertificateIndex(certificates, self._own)
        for answers in self._answers.values():
            answers.use(self._index)
        for creator in self._creators.values():
            creator.keep(self._index.chosen())

    def keep(self, options: Iterable[TLSOptions]) -> None:
        """Forget all options but these, and the built-in ones."""
        kept = {BUILT_IN, *options}
        self._answers = {one: answers for one, answers in self._answers.items() if one in kept}
        self._creators = {one: creator for one, creator in self._creators.items() if one in kept}

    def objection(self, options: TLSOptions) -> str:
        """Why these options can't be used here; empty where they can."""
        return objection(options)

    def share_tickets(self, key: bytes) -> None:
        """Issue and take session tickets under this key, as all workers do."""
        self._ticket_key = key
        for options, answers in self._answers.items():
            self._set_ticket_key(options, answers.first)

    def first_answer(self, options: TLSOptions | None = None) -> ssl.SSLContext:
        """The context that a handshake begins with; the name that the client asks for then leads to another."""
        options = options or BUILT_IN
        answers = self._answers.get(options)
        if answers is None:
            answers = self._answers[options] = _Answers(options, self._index, self._own)
            self._set_ticket_key(options, answers.first)
            _ignore_odd_names()
        return answers.first

    def wrapped(self, factory: Any, reactor: Any, options: TLSOptions | None = None) -> Any:
        """A factory whose connections speak TLS on Twisted's own transports, and ``factory``'s protocols inside."""
        from dynbalancer.tls.pyopenssl import Creator, TLSFactory

        options = options or BUILT_IN
        creator = self._creators.get(options)
        if creator is None:
            creator = self._creators[options] = Creator(partial(self._choose, options), options)
        return TLSFactory(creator, False, factory, reactor)

    def _choose(self, options: TLSOptions, name: str | None) -> Certificate | None:
        return None if options.sni_strict and not self._index.knows(name) else self._index.choose(name)

    def _set_ticket_key(self, options: TLSOptions, first: ssl.SSLContext) -> None:
        if self._ticket_key and not tickets.set_key(first, ticket_key(self._ticket_key, options)):
            self._log.info(
                "This Python can't share the keys of TLS tickets: a client that meets another worker makes a full"
                " handshake"
            )


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
