"""Certificates named by the settings: read at start, followed, and a mistake at start is one sentence."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dynbalancer import pem
from dynbalancer.core.model import SHOWING_CERTIFICATES, Certificate
from dynbalancer.errors import ConfigurationError
from dynbalancer.interfaces import IProvider
from dynbalancer.start.certificates import POLL, SHOWING, GivenCertificates
from dynbalancer.testing import MemorySink

A, B = (pem.self_signed(name, [name], life=timedelta(days=9)) for name in ("a.example", "b.example"))


class GivenCertificatesTests(SynchronousTestCase):
    """Two pairs of files."""

    def setUp(self) -> None:
        self.top = os.path.abspath(self.mktemp())
        os.mkdir(self.top)
        self.sink = MemorySink()
        self.clock = Clock()
        self.write("a", A)
        self.write("b", B)

    def path(self, name: str) -> str:
        return os.path.join(self.top, name)

    def write(self, name: str, certificate: Certificate) -> None:
        for suffix, text in ((".pem", certificate.chain), (".key", certificate.key)):
            with open(self.path("new"), "w") as file:
                file.write(text)
            os.rename(self.path("new"), self.path(name + suffix))

    def make(self) -> GivenCertificates:
        pairs = [(self.path(f"{name}.pem"), self.path(f"{name}.key")) for name in ("a", "b")]
        return GivenCertificates(pairs, self.sink, self.clock)

    def start(self) -> GivenCertificates:
        made = self.make()
        made.startService()
        self.addCleanup(made.stopService)
        return made

    def test_first_is_the_default(self) -> None:
        assert verifyObject(IProvider, self.start())
        assert list(self.sink.last.certificates.values()) == [
            replace(A, default=True, origin="the settings"),
            replace(B, origin="the settings"),
        ]

    def test_all_can_be_shown_to_servers_the_first_before_others_of_its_kind(self) -> None:
        pairs = [(self.path(f"{name}.pem"), self.path(f"{name}.key")) for name in ("a", "b")]
        made = GivenCertificates(pairs, self.sink, self.clock, [A.chain])
        made.startService()
        self.addCleanup(made.stopService)
        assert f"{SHOWING}@{GivenCertificates.name}" == SHOWING_CERTIFICATES
        transport = self.sink.last.transports[SHOWING]
        assert transport.certificates == ((B.chain, B.key), (A.chain, A.key))
        assert transport.root_cas == (A.chain,)

    def test_renewed_certificate_is_published(self) -> None:
        self.start()
        self.clock.advance(POLL)
        assert len(self.sink.configurations) == 1
        renewed = pem.self_signed("a.example", ["a.example"], life=timedelta(days=99))
        self.write("a", renewed)
        self.clock.advance(POLL)
        assert self.sink.last.certificates["a.example"].chain == renewed.chain
        self.clock.advance(POLL)
        assert len(self.sink.configurations) == 2

    def test_certificate_that_breaks_while_it_runs_stays_as_it_was(self) -> None:
        made = self.start()
        self.write("a", replace(A, key="garbage"))
        self.successResultOf(made.refresh())
        assert self.sink.last.certificates["a.example"].key == A.key
        (problem,) = self.sink.last.problems
        assert problem.where == "certificate 1 of the settings"

    def test_certificate_that_is_wrong_at_start_is_one_sentence(self) -> None:
        self.write("b", replace(B, key=A.key))
        error = self.assertRaises(ConfigurationError, self.make)
        assert str(error).startswith("certificate 2 of the settings: the key does not belong")

    def test_two_for_one_name_are_told_apart_by_number(self) -> None:
        self.write("b", A)
        self.start()
        assert list(self.sink.last.certificates) == ["a.example", "a.example-2"]

    def test_nothing_is_left_behind(self) -> None:
        made = self.make()
        made.startService()
        made.stopService()
        assert self.clock.getDelayedCalls() == []
