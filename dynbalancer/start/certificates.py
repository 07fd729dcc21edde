"""Certificates that the settings themselves name, as Traefik 1's entry points do: a source like any provider."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from dynbalancer.core.model import SHOWING_CERTIFICATES, Certificate, Configuration, ServersTransport
from dynbalancer.core.references import plain
from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer.interfaces import IProvider
from dynbalancer_file.certificates import CertificateFiles

SHOWING = plain(SHOWING_CERTIFICATES)

#: Seconds between looks at the files.
POLL = 5.0


@implementer(IProvider)
class GivenCertificates(Service):
    """Publishes the certificates of pairs of files, now and when they change. The first is the default one."""

    name = "settings"

    def __init__(
        self, pairs: Sequence[tuple[str, str]], sink: Any, reactor: Any, authorities: Iterable[str] = ()
    ) -> None:
        """``authorities`` (PEM texts) are those that the entry points verify clients by.

        Raises ConfigurationError where a certificate can't be used.
        """
        self._pairs = tuple(pairs)
        self._authorities = tuple(authorities)
        self._sink = sink
        # twistd may change to another directory later.
        self._files = CertificateFiles(os.getcwd())
        self._found = self._read()
        for problem in self._found.problems:
            if problem.severity == "error":
                raise ConfigurationError(problem.where, problem.why, problem.hint)
        self._poll = LoopingCall(self._look)
        self._poll.clock = reactor

    def startService(self) -> None:
        super().startService()
        self._sink.publish(self._found, "certificates read")
        self._poll.start(POLL, now=False)

    def stopService(self) -> None:
        self._poll.stop()
        super().stopService()

    def refresh(self) -> Deferred[None]:
        """Read them again, as on SIGHUP."""
        self._found = self._read()
        self._sink.publish(self._found, "certificates read again")
        return succeed(None)

    def _look(self) -> None:
        if self._files.signature() != self._files.signature_when_read():
            self.refresh()

    def _read(self) -> Configuration:
        self._files.begin()
        certificates: dict[str, Certificate] = {}
        problems: list[Problem] = []
        for number, (chain, key) in enumerate(self._pairs, 1):
            found, said = self._files.read(chain, key)
            problems += [replace(problem, where=f"certificate {number} of the settings") for problem in said]
            if found is not None:
                name = found.name if found.name not in certificates else f"{found.name}-{number}"
                certificates[name] = replace(
                    found, name=name, default=not certificates, origin="the settings"
                )
        return Configuration(
            certificates=certificates,
            transports={SHOWING: self._showing(certificates)} if certificates else {},
            problems=tuple(problems),
        )

    def _showing(self, certificates: Mapping[str, Certificate]) -> ServersTransport:
        """Shows them to servers, as v1's passTLSCert asks for; these are verified by the entry points' authorities."""
        # Of several with one kind of key OpenSSL shows the last that it was given.
        pairs = tuple((one.chain, one.key) for one in reversed(list(certificates.values())))
        return ServersTransport(
            SHOWING, root_cas=self._authorities, certificates=pairs, origin="the settings"
        )
