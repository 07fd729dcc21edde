"""Other origins: preflights are answered, responses say who may read them, and nobody else is let in."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.exchange import Headers, ResponseHead
from dynbalancer.errors import ConfigurationError
from dynbalancer.middlewares.base import SettingsReader
from dynbalancer.middlewares.cors import CORS_OPTIONS, Cors, notices
from dynbalancer.testing import exchange

ORIGIN = b"https://b.example"


def reader(settings: dict[str, Any]) -> SettingsReader:
    return SettingsReader("h@file", settings, CORS_OPTIONS)


def cors(**settings: Any) -> Cors:
    made = Cors.read(reader(settings))
    assert made is not None
    return made


def marked(made: Cors, origin: bytes | None = ORIGIN, *fields: tuple[bytes, bytes]) -> dict[bytes, bytes]:
    """The fields of a response with these to a request from there."""
    response = ResponseHead(headers=Headers.of(*fields))
    made.mark(exchange(headers={} if origin is None else {b"Origin": origin}), response.headers)
    found = list(response.headers)
    assert len(found) == len(dict(found)), "a field came twice"
    return dict(found)


@pytest.mark.parametrize(
    "settings",
    [{}, {"addVaryHeader": False}, {"accessControlMaxAge": 0}, {"accessControlAllowOriginList": []}],
)
def test_nothing_is_on_unless_said(settings: dict[str, Any]) -> None:
    assert Cors.read(reader(settings)) is None


@pytest.mark.parametrize(
    ("settings", "fields"),
    [
        (
            {
                "accessControlAllowMethods": "GET, OPTIONS,PUT",
                "accessControlAllowOriginList": ["https://b.example"],
                "accessControlMaxAge": "100",
                "addVaryHeader": "true",
            },
            {
                b"Access-Control-Allow-Methods": b"GET,OPTIONS,PUT",
                b"Access-Control-Max-Age": b"100",
                b"Access-Control-Allow-Origin": b"https://b.example",
                b"Vary": b"Origin",
            },
        ),
        (
            {
                "accessControlAllowCredentials": True,
                "accessControlAllowHeaders": ["X-A", "X-B"],
                "accessControlExposeHeaders": "X-C",
                "accessControlAllowOriginList": "*",
            },
            {
                b"Access-Control-Allow-Credentials": b"true",
                b"Access-Control-Allow-Headers": b"X-A,X-B",
                b"Access-Control-Max-Age": b"0",
                b"Access-Control-Allow-Origin": b"*",
            },
        ),
        (
            {"accessControlAllowOriginList": "https://c.example", "accessControlMaxAge": -1},
            {b"Access-Control-Max-Age": b"-1"},
        ),
    ],
)
def test_preflight_is_answered(settings: dict[str, Any], fields: dict[bytes, bytes]) -> None:
    asked = {b"Origin": ORIGIN, b"Access-Control-Request-Method": b"PUT"}
    found = cors(**settings).preflight(exchange(b"OPTIONS", headers=asked))
    assert found is not None
    assert (found.status, found.body, dict(found.headers)) == (200, b"", fields)


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        (b"GET", {b"Origin": ORIGIN, b"Access-Control-Request-Method": b"PUT"}),
        (b"OPTIONS", {b"Origin": ORIGIN}),
        (b"OPTIONS", {b"Access-Control-Request-Method": b"PUT"}),
        (b"OPTIONS", {b"Origin": b"", b"Access-Control-Request-Method": b"PUT"}),
        (b"OPTIONS", {}),
        (b"options", {b"Origin": ORIGIN, b"Access-Control-Request-Method": b"PUT"}),
    ],
)
def test_what_is_no_preflight_is_for_the_server(method: bytes, headers: dict[bytes, bytes]) -> None:
    assert cors(accessControlAllowOriginList="*").preflight(exchange(method, headers=headers)) is None


@pytest.mark.parametrize(
    ("settings", "origin", "allowed"),
    [
        ({"accessControlAllowOriginList": "https://a.example,https://b.example"}, ORIGIN, ORIGIN),
        ({"accessControlAllowOriginList": "https://b.example"}, b"https://B.example", None),
        ({"accessControlAllowOriginList": "https://b.example"}, b"http://b.example", None),
        ({"accessControlAllowOriginList": "https://b.example"}, b"https://b.example.evil.example", None),
        ({"accessControlAllowOriginList": "https://b.example"}, b"null", None),
        ({"accessControlAllowOriginList": "https://b.example"}, None, None),
        ({"accessControlAllowOriginList": "*"}, ORIGIN, b"*"),
        ({"accessControlAllowOriginList": "*"}, None, b"*"),
        ({"accessControlAllowOriginList": ["*", "https://b.example"]}, ORIGIN, ORIGIN),
        (
            {"accessControlAllowOriginListRegex": r"^https://.*\.b\.example$"},
            b"https://x.b.example",
            b"https://x.b.example",
        ),
        (
            {"accessControlAllowOriginListRegex": r"^https://.*\.b\.example$"},
            b"https://x.b.example.evil",
            None,
        ),
        ({"accessControlAllowOriginListRegex": ".*"}, None, None),
        ({"accessControlAllowMethods": "GET"}, ORIGIN, None),
    ],
)
def test_response_names_the_origin_if_it_may_read_it(
    settings: dict[str, Any], origin: bytes | None, allowed: bytes | None
) -> None:
    assert marked(cors(**settings), origin).get(b"Access-Control-Allow-Origin") == allowed


def test_response_says_what_else_is_allowed_in_place_of_what_the_server_said() -> None:
    made = cors(
        accessControlAllowCredentials="true",
        accessControlExposeHeaders=["X-A", "X-B"],
        accessControlAllowOriginList="https://b.example",
        accessControlMaxAge=5,
    )
    assert marked(made, ORIGIN, (b"access-control-allow-origin", b"*")) == {
        b"Access-Control-Allow-Origin": ORIGIN,
        b"Access-Control-Allow-Credentials": b"true",
        b"Access-Control-Expose-Headers": b"X-A,X-B",
    }


@pytest.mark.parametrize(
    ("said", "vary"),
    [
        ([], b"Origin"),
        ([b"Origin"], b"Origin"),
        ([b"Accept-Encoding"], b"Accept-Encoding,Origin"),
        ([b"Accept-Encoding", b"Cookie"], b"Accept-Encoding,Cookie,Origin"),
        ([b"accept, origin"], b"accept, origin"),
        ([b"*"], b"*"),
        ([b""], b"Origin"),
    ],
)
def test_caches_are_told_once_that_the_origin_counts(said: list[bytes], vary: bytes) -> None:
    response = ResponseHead(headers=Headers.of(*((b"Vary", value) for value in said)))
    cors(addVaryHeader=True).mark(exchange(), response.headers)
    assert response.headers.all(b"vary") == [vary]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"accessControlAllowOriginListRegex": "("},
            "accessControlAllowOriginListRegex: bad regular expression",
        ),
        (
            {"accessControlAllowMethods": "GET\r\nX-A: b"},
            "accessControlAllowMethods: a value must not hold CR",
        ),
        ({"accessControlAllowHeaders": ["X\x00"]}, "accessControlAllowHeaders: a value must not hold CR"),
        ({"accessControlAllowOriginList": "a\nb"}, "accessControlAllowOriginList: a value must not hold CR"),
        ({"accessControlMaxAge": "soon"}, "accessControlMaxAge: expected a whole number"),
        ({"accessControlMaxAge": -2}, "accessControlMaxAge: expected a number from -1"),
        ({"accessControlAllowCredentials": "maybe"}, "accessControlAllowCredentials: expected true or false"),
    ],
)
def test_what_can_not_be_sent_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Cors.read(reader(settings))


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"accessControlAllowOriginList": "*"}, 0),
        ({"accessControlAllowOriginList": "*", "accessControlAllowCredentials": True}, 1),
        ({"accessControlAllowOriginListRegex": ["^https://a.example$", r"https://.*\.b\.example"]}, 1),
    ],
)
def test_what_is_probably_not_meant_is_told(settings: dict[str, Any], count: int) -> None:
    assert len(notices(reader(settings))) == count
