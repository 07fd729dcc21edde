"""Sticky cookies: names, values, and how they are set."""

from __future__ import annotations

import pytest

from dynbalancer.core.exchange import Headers
from dynbalancer.core.model import Service, Sticky
from dynbalancer.core.stickiness import cookie_name, fnv, opaque, sent, set_cookie, understood


@pytest.mark.parametrize(
    ("service", "sticky", "name"),
    [
        (Service("web@docker"), Sticky(), b"_d1570"),
        (Service("web@docker", dialect="v1"), Sticky(), b"_40e28"),
        (Service("web@docker"), Sticky("pin"), b"pin"),
        (Service("web@docker"), Sticky("my pin;é"), b"my_pin__"),
    ],
)
def test_names(service: Service, sticky: Sticky, name: bytes) -> None:
    assert cookie_name(service, sticky) == name


def test_values_are_opaque_and_older_ones_are_understood() -> None:
    assert opaque("http://10.0.0.2:80") == b"e0c6f0ca44f87f06"
    assert list(understood("http://10.0.0.2:80")) == [
        b"e0c6f0ca44f87f06",
        b"http://10.0.0.2:80",
        b"http://10.0.0.2",
        fnv("http://10.0.0.2:80"),
    ]
    assert b"http://10.0.0.2" not in list(understood("http://10.0.0.2:8080"))
    assert list(understood("web@docker"))[1] == b"web@docker"


def test_fnv_is_that_of_its_inventors() -> None:
    assert fnv("") == b"cbf29ce484222325"
    assert fnv("a") == b"af63dc4c8601ec8c"
    assert fnv("foobar") == b"85944171f73967e8"


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ([], None),
        ([b"a=1; pin=x"], b"x"),
        ([b"a=1", b'pin="x"'], b"x"),
        ([b"pinned=y;pin=x;pin=z"], b"x"),
        ([b"pin"], None),
        ([b"pin="], b""),
    ],
)
def test_the_value_of_a_cookie_in_a_request(lines: list[bytes], value: bytes | None) -> None:
    assert sent(Headers.of(*((b"Cookie", line) for line in lines)), b"pin") == value


@pytest.mark.parametrize(
    ("sticky", "field"),
    [
        (Sticky(), b"pin=x; Path=/"),
        (Sticky(max_age=-1), b"pin=x; Path=/; Max-Age=0"),
        (
            Sticky("", True, True, "none", 60, "/a", "a.example"),
            b"pin=x; Path=/a; Domain=a.example; Max-Age=60; HttpOnly; Secure; SameSite=None",
        ),
    ],
)
def test_how_it_is_set(sticky: Sticky, field: bytes) -> None:
    assert set_cookie(sticky, b"pin", b"x") == field
