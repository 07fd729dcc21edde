"""buffering: what is held, what is too large, what is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from dynbalancer.core.exchange import CHUNKED, Exchange, Response
from dynbalancer.core.model import EntryPoint
from dynbalancer.errors import ConnectError, NoServer
from dynbalancer.middlewares.buffers import Buffering
from dynbalancer.testing import MiddlewareContract, exchange


class Held:
    """A body that is complete."""

    size = 5

    def octets(self) -> bytes:
        return b"hello"

    def replace(self, data: bytes) -> None:
        raise AssertionError(data)


class Posting(Exchange):
    """An exchange whose body has five octets."""

    limits: tuple[int | None, int] | None = None

    def whole_body(self, most: int | None, memory: int) -> Awaitable[Held | None]:
        self.limits = most, memory

        async def found() -> Held | None:
            return Held() if most is None or most >= 5 else None

        return found()


def posting(length: int | None = CHUNKED) -> Posting:
    head = exchange(b"POST").head
    head.length = length
    return Posting(head, EntryPoint("web", 80), "192.0.2.1")


class TestBuffering(MiddlewareContract):
    make = Buffering.from_settings
    good = {"maxRequestBodyBytes": 10}
    bad = ({"maxRequestBodyBytes": "ten"}, {"retryExpression": "Attempt() < 2"}, {"max": 1})


def made(**settings: Any) -> Buffering:
    return Buffering.from_settings("hold@test", settings)


def answer(middleware: Buffering, asked: Posting) -> Response | None:
    found = middleware.on_request(asked)
    assert found is not None

    async def waiting() -> Response | None:
        return await found

    return asyncio.run(waiting())


def test_defaults_are_those_of_traefik() -> None:
    asked = posting()
    assert answer(made(), asked) is None
    assert asked.limits == (None, 1048576)
    assert asked.whole_answer == (None, 1048576)
    assert asked.retry is None


def test_limits_are_passed_on_and_none_is_below_one() -> None:
    asked = posting()
    sizes = {"maxRequestBodyBytes": "9", "memRequestBodyBytes": 3, "maxResponseBodyBytes": 7}
    assert answer(made(**sizes, memResponseBodyBytes=2), asked) is None
    assert (asked.limits, asked.whole_answer) == ((9, 3), (7, 2))
    unlimited = made(maxRequestBodyBytes=-1, maxResponseBodyBytes=0)
    assert (unlimited.most, unlimited.answer[0]) == (None, None)


def test_too_large_request_is_413() -> None:
    found = answer(made(maxRequestBodyBytes=4), posting())
    assert found is not None
    assert (found.status, found.body) == (413, b"Request Entity Too Large")


@pytest.mark.parametrize("length", [None, 0])
def test_request_without_a_body_does_not_wait(length: int | None) -> None:
    assert made(maxRequestBodyBytes=4).on_request(posting(length)) is None


@pytest.mark.parametrize(
    ("tries", "status", "error", "again"),
    [
        (1, 502, ConnectError(), True),
        (2, 504, None, True),
        (3, 502, ConnectError(), False),
        (1, 500, None, False),
        (1, 503, NoServer(), False),
    ],
)
def test_expression_says_when_it_is_sent_again(tries: int, status: int, error: Any, again: bool) -> None:
    middleware = made(retryExpression="IsNetworkError() && Attempts() <= 2")
    asked = exchange(b"POST")
    middleware.on_request(asked)
    asked.tries = tries
    assert asked.retry is middleware
    assert middleware.another_try(asked, status, error, 0.0) == (0.0 if again else None)


def test_there_are_ten_times_at_most_whatever_it_says() -> None:
    middleware = made(retryExpression="Attempts() > 0")
    asked = exchange()
    found = []
    for asked.tries in (1, 10, 11):
        found.append(middleware.another_try(asked, 200, None, 0.0))
    assert found == [0.0, 0.0, None]
    assert made().another_try(asked, 502, None, 0.0) is None
