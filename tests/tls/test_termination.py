"""Handshakes in memory: which certificate answers, what is refused, what outlives a change."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from zope.interface.verify import verifyObject

from dynbalancer import pem
from dynbalancer.core.certificates import TICKET_KEY_SIZE
from dynbalancer.core.model import Certificate
from dynbalancer.core.tlschoice import BUILT_IN
from dynbalancer.interfaces import ITermination
from dynbalancer.tls import termination as module
from dynbalancer.tls import tickets
from dynbalancer.tls.pyopenssl import TLSFactory
from dynbalancer.tls.termination import Termination


def made(name: str, **about: Any) -> Certificate:
    """A certificate for this name."""
    return pem.self_signed(name, [name], life=timedelta(days=9), **about)


OWN = pem.make_own()
A, B, WILD = made("a.example"), made("b.example"), made("*.example")


class Client:
    """One client's side of a handshake, in memory."""

    def __init__(self, termination: Termination, name: str | None = "a.example", **about: Any) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers(about.get("ciphers", "ALL:@SECLEVEL=0"))
        if "version" in about:
            context.minimum_version = context.maximum_version = about["version"]
        if protocols := about.get("protocols", ()):
            context.set_alpn_protocols(protocols)
        self.to_client, self.to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.near = context.wrap_bio(self.to_client, self.to_server, server_hostname=name)
        self.far = termination.first_answer().wrap_bio(self.to_server, self.to_client, server_side=True)
        self.damage: Iterable[tuple[bytes, bytes]] = about.get("damage", ())

    def shake(self) -> Client:
        """Go through with it. Raises ssl.SSLError where one side refuses."""
        for side in (self.near, self.far, self.near, self.far):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                self._harm()
        return self

    def _harm(self) -> None:
        for old, new in self.damage:
            self.to_server.write(self.to_server.read().replace(old, new))

    @property
    def certificate(self) -> str:
        """What the server showed, as PEM."""
        shown = self.near.getpeercert(binary_form=True)
        assert shown is not None
        return ssl.DER_cert_to_PEM_cert(shown).replace("\n", "")


def shown(termination: Termination, name: str | None) -> str:
    """The PEM text that a client sees which asks for this name."""
    return Client(termination, name).shake().certificate


def text(certificate: Certificate) -> str:
    """The same of a certificate."""
    return certificate.chain.replace("\n", "")


@pytest.fixture
def termination() -> Termination:
    """One with two certificates and its own."""
    found = Termination(OWN)
    found.use([A, WILD])
    return found


def test_provides_the_interface(termination: Termination) -> None:
    assert verifyObject(ITermination, termination)


@pytest.mark.parametrize(
    "name, certificate",
    [("a.example", A), ("A.Example", A), ("b.example", WILD), ("x.y.example", OWN), (None, OWN)],
)
def test_answers_with_the_certificate_for_the_name(
    termination: Termination, name: str | None, certificate: Certificate
) -> None:
    assert shown(termination, name) == text(certificate)


def test_new_certificates_answer_from_the_next_handshake_on(termination: Termination) -> None:
    old = Client(termination).shake()
    renewed = made("a.example")
    termination.use([renewed])
    assert shown(termination, "a.example") == text(renewed)
    assert shown(termination, "b.example") == text(OWN)
    old.far.write(b"still there")
    assert old.near.read(20) == b"still there"


def test_certificate_that_is_gone_no_longer_answers_for_a_name_that_was_asked_for(
    termination: Termination,
) -> None:
    assert [shown(termination, name) for name in ("a.example", "b.example", "a.example")] == [
        text(A),
        text(WILD),
        text(A),
    ]
    termination.use([B])
    assert [shown(termination, name) for name in ("a.example", "b.example", None)] == [
        text(OWN),
        text(B),
        text(OWN),
    ]


def test_only_so_many_names_are_remembered(termination: Termination, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_NAMES", 3)
    for number in range(8):
        assert shown(termination, f"n{number}.example") == text(WILD)
    found = termination._answers[BUILT_IN]._found
    assert 0 < len(found) <= 3
    assert shown(termination, "a.example") == text(A)


def test_equal_certificates_are_loaded_once(
    termination: Termination, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    load = pem.load

    def noted(answer: ssl.SSLContext, certificate: Certificate) -> None:
        loaded.append(certificate.name)
        load(answer, certificate)

    monkeypatch.setattr(pem, "load", noted)
    for _ in range(3):
        shown(termination, "a.example")
        termination.use([Certificate(A.name, A.chain, A.key, A.names, A.default, A.expires), B])
    assert loaded == ["a.example"]
    termination.use([B])
    termination.use([A])
    shown(termination, "a.example")
    assert loaded == ["a.example", "a.example"]


def test_certificate_that_cannot_be_loaded_is_told_once_and_another_answers(
    termination: Termination,
) -> None:
    termination.use([Certificate("bad", A.chain, B.key, ("a.example",))])
    with capturedLogs() as events:
        assert shown(termination, "a.example") == shown(termination, "a.example") == text(OWN)
    assert [event["name"] for event in events if "name" in event] == ["bad"]


def test_without_any_certificate_the_handshake_is_refused() -> None:
    with pytest.raises(ssl.SSLError):
        Client(Termination(), "a.example").shake()


@pytest.mark.parametrize(
    "about",
    [
        {"version": ssl.TLSVersion.TLSv1_1},
        {"version": ssl.TLSVersion.TLSv1},
        {"version": ssl.TLSVersion.TLSv1_2, "ciphers": "ECDHE-ECDSA-AES128-SHA256"},
        {"version": ssl.TLSVersion.TLSv1_2, "ciphers": "ECDHE-ECDSA-AES128-SHA"},
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_what_is_old_is_refused(termination: Termination, about: dict[str, Any]) -> None:
    with pytest.raises(ssl.SSLError):
        Client(termination, **about).shake()


@pytest.mark.parametrize(
    "offered, agreed",
    [(["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), (["h2"], None), (["x"], None), ([], None)],
)
def test_http_1_is_agreed_on_whatever_the_certificate(
    termination: Termination, offered: list[str], agreed: str | None
) -> None:
    for name in ("a.example", "b.example", None):
        client = Client(termination, name, protocols=offered).shake()
        assert client.near.selected_alpn_protocol() == agreed


@pytest.mark.parametrize("odd", [b"\xff\xfe.xample", b"a.ex\0mple"])
def test_odd_names_are_refused_in_silence(
    termination: Termination, odd: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    termination.first_answer()
    with pytest.raises(ssl.SSLError):
        Client(termination, damage=[(b"a.example", odd)]).shake()
    assert told == []
    other: Any = SimpleNamespace(exc_value=ZeroDivisionError(), object=None)
    sys.unraisablehook(other)
    assert told == [other]


def test_a_client_gets_one_ticket(termination: Termination) -> None:
    client = Client(termination, version=ssl.TLSVersion.TLSv1_3).shake()
    # After the handshake there is nothing else on its way, each in a record of its own: type, version, length.
    octets, records = client.to_client.read(), 0
    while octets:
        records += 1
        octets = octets[5 + int.from_bytes(octets[3:5], "big") :]
    assert records == 1


@pytest.mark.parametrize("early", [True, False])
def test_key_of_tickets_is_set_before_and_after_the_first_handshake(
    early: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[bytes] = []

    def noted(answer: ssl.SSLContext, key: bytes) -> bool:
        keys.append(key)
        return True

    monkeypatch.setattr(tickets, "set_key", noted)
    termination, key = Termination(OWN), os.urandom(TICKET_KEY_SIZE)
    if not early:
        termination.first_answer()
    termination.share_tickets(key)
    termination.first_answer()
    assert keys == [key]


def test_python_that_cannot_share_tickets_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "set_key", lambda context, key: False)
    termination = Termination(OWN)
    termination.share_tickets(bytes(TICKET_KEY_SIZE))
    with capturedLogs() as events:
        termination.first_answer()
    assert "full" in events[0]["log_format"]


def test_other_reactors_get_twisteds_tls_around_the_factory(termination: Termination) -> None:
    factory = Factory()
    wrapped = termination.wrapped(factory, Clock())
    assert isinstance(wrapped, TLSFactory)
    assert wrapped.wrappedFactory is factory
