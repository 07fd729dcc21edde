"""The choice of a certificate by the name a client asks for."""

from __future__ import annotations

import pytest

from dynbalancer.core.certificates import CertificateIndex, normal_name
from dynbalancer.core.model import Certificate

EXACT = Certificate("exact", names=("a.example.com", "b.example.com"), expires=10.0)
WILDCARD = Certificate("wildcard", names=("*.example.com",), expires=90.0)
DEFAULT = Certificate("default", names=("default.example.com",), default=True)
OWN = Certificate("own")
ALL = CertificateIndex([DEFAULT, WILDCARD, EXACT], OWN)


@pytest.mark.parametrize(
    "asked, chosen",
    [
        ("a.example.com", EXACT),
        ("A.EXAMPLE.Com", EXACT),
        ("b.example.com.", EXACT),
        ("c.example.com", WILDCARD),
        ("c.example.com.", WILDCARD),
        ("default.example.com", DEFAULT),
        ("example.com", DEFAULT),
        ("x.c.example.com", DEFAULT),
        ("*.example.com", WILDCARD),
        ("a.example.org", DEFAULT),
        ("localhost", DEFAULT),
        (".example.com", WILDCARD),
        (".", DEFAULT),
        ("a.example.com..", DEFAULT),
        ("x" * 255, DEFAULT),
        ("192.0.2.1", DEFAULT),
        ("", DEFAULT),
        (None, DEFAULT),
    ],
)
def test_exact_name_then_wildcard_for_one_label_then_default(asked: str | None, chosen: Certificate) -> None:
    assert ALL.choose(asked) is chosen


def test_without_a_default_the_fallback_answers() -> None:
    index = CertificateIndex([EXACT], OWN)
    assert index.choose("x.example.org") is OWN
    assert index.choose(None) is OWN


def test_without_any_certificate_there_is_none() -> None:
    index = CertificateIndex([])
    assert (index.choose("a.example.com"), index.choose(None), index.chosen()) == (None, None, frozenset())


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_for_one_name_the_one_that_expires_last_is_chosen(turned: bool) -> None:
    renewed = Certificate("renewed", names=("a.example.com",), expires=20.0)
    index = CertificateIndex([renewed, EXACT] if turned else [EXACT, renewed])
    assert index.choose("a.example.com") is renewed
    assert index.choose("b.example.com") is EXACT


def test_names_of_certificates_are_compared_in_small_letters_too() -> None:
    odd = Certificate("odd", names=("*.Example.NET",))
    assert CertificateIndex([odd]).choose("a.example.net") is odd


def test_what_is_replaced_by_a_newer_one_is_not_among_the_chosen() -> None:
    renewed = Certificate("renewed", names=("a.example.com", "b.example.com"), expires=20.0)
    assert CertificateIndex([EXACT, renewed], OWN).chosen() == {renewed, OWN}


def test_normal_name_drops_one_dot_and_the_letter_case() -> None:
    assert normal_name("WWW.Example.COM.") == "www.example.com"


def test_key_is_never_shown() -> None:
    assert "s3cret" not in repr(Certificate("a.example", chain="s3cret", key="s3cret"))
