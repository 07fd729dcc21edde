"""Hashes of passwords: what htpasswd and openssl write is read, and nothing else fits."""

from __future__ import annotations

import pytest

from dynbalancer.core.schema import WrongValueError
from dynbalancer.middlewares.passwords import Stored, md5_crypt

BCRYPT = "$2b$04$SOamswDPZK4fTUDb3j0rKOGRNzePMMrZHyTkZHCC.bs24gHSjP7uK"
#: Of 72 times x.
LONG = "$2b$04$8kWQZ9xIdn2naE.//vGk.uH1fhEui9HyFc5fnwrWOhVj4UmEk/Ib2"


# Written by openssl passwd, by htpasswd, and by the examples in Traefik's documentation.
@pytest.mark.parametrize(
    ("written", "password"),
    [
        ("$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/", b"test"),
        ("$apr1$d9hr9HBB$4HxwgUir3HP4EsggP/QNo0", b"test2"),
        ("$apr1$ab$jiiV6N7hIIuIoJbc1hxOE/", b"secret"),
        (
            "$apr1$12345678$PwqfPTITJGheJIWZQ7x9u.",
            b"a very long password of more than sixteen octets, indeed",
        ),
        ("$apr1$H6uskkkW$wftmWAmJ8e3bKnCtqs0pa/", b"sixteenoctets!!!"),
        ("$1$xyz$kjXWClpYD0.j9bPLUk/Ii.", b""),
        ("$1$xyzxyzxy$OYeRVlrdqWUvLLJR1d2Vr1", "k\u00e4se".encode()),
        ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", b"secret"),
        (BCRYPT, b"secret"),
        (BCRYPT.replace("$2b$", "$2y$"), b"secret"),
        (BCRYPT.replace("$2b$", "$2a$"), b"secret"),
        (BCRYPT.replace("$2b$", "$2x$"), b"secret"),
        ("$2b$04$GffvqTtFG.DJxZmHR/6ejuiLNzgz1tRzlAvOK2LBsoVeZ5KDDvfSq", "p\u00e4ss".encode()),
    ],
)
def test_password_fits_its_hash_and_no_other_does(written: str, password: bytes) -> None:
    stored = Stored.of(written)
    assert stored.fits(password)
    for other in (
        password + b"x",
        password[:-1] + b"\0",
        password.upper() + b"\0",
        written.encode(),
        b"\xff",
    ):
        assert not stored.fits(other)


@pytest.mark.parametrize(
    ("password", "fits"), [(b"x" * 72, True), (b"x" * 73, True), (b"x" * 71, False), (b"x" * 1025, False)]
)
def test_bcrypt_looks_at_72_bytes_as_it_always_has(password: bytes, fits: bool) -> None:
    assert Stored.of(LONG).fits(password) is fits


@pytest.mark.parametrize(
    "written", ["$apr1$ab$jiiV6N7hIIuIoJbc1hxOE/", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", BCRYPT]
)
def test_nobody_has_a_password_without_end(written: str) -> None:
    assert not Stored.of(written).fits(b"x" * 100_000)


def test_effort_orders_the_kinds_by_what_they_cost() -> None:
    written = ["{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "$apr1$ab$jiiV6N7hIIuIoJbc1hxOE/", BCRYPT]
    written.append(BCRYPT.replace("$04$", "$05$"))
    efforts = [Stored.of(text).effort for text in written]
    assert efforts == sorted(set(efforts))


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("secret", "make one with htpasswd"),
        ("", "make one with htpasswd"),
        ("ab0XxZc3PWg6c", "make one with htpasswd"),
        ("{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "make one with htpasswd"),
        ("{SHA}5en6G6MezRroT3XKqkdPOmY/Bf", "make one with htpasswd"),
        ("$6$ab$cd", "write each $ as $$"),
        ("$2y$12$short", "write each $ as $$"),
        ("$apr1$ab", "write each $ as $$"),
        ("$$apr1$$ab$$jiiV6N7hIIuIoJbc1hxOE/", "write each $ once"),
        (BCRYPT.replace("$04$", "$31$"), ""),
        (BCRYPT.replace("$04$", "$03$"), ""),
        (BCRYPT + "\n", "write each $ as $$"),
    ],
)
def test_what_is_no_hash_is_refused_without_showing_it(written: str, hint: str) -> None:
    with pytest.raises(WrongValueError) as caught:
        Stored.of(written)
    assert hint in caught.value.hint
    assert not written or written not in str(caught.value)


def test_md5_crypt_is_apache_s_unless_said_otherwise() -> None:
    assert md5_crypt(b"secret", b"ab") == b"$apr1$ab$jiiV6N7hIIuIoJbc1hxOE/"
    assert md5_crypt(b"secret", b"ab", b"$1$") != b"$1$ab$jiiV6N7hIIuIoJbc1hxOE/"
