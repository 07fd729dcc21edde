"""retry: when, how often, and how long it waits."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.exchange import REPLAYED, Exchange
from dynbalancer.errors import BadResponse, ConnectError, UpstreamClosed, UpstreamError
from dynbalancer.middlewares.retries import Either, Retry, obey
from dynbalancer.testing import MiddlewareContract, exchange


class TestRetry(MiddlewareContract):
    make = Retry.from_settings
    good = {"attempts": 3}
    bad = (
        {},
        {"attempts": 0},
        {"attempts": "many"},
        {"attempts": 2, "status": "5xx"},
        {"attempts": 2, "initialInterval": "soon"},
        {"atempts": 2},
    )


def retry(**settings: Any) -> Retry:
    return Retry.from_settings("again@test", {"attempts": 4, **settings})


def tried(tries: int = 1, method: bytes = b"GET") -> Exchange:
    made = exchange(method)
    made.tries = tries
    return made


@pytest.mark.parametrize(
    ("settings", "method", "status", "error", "again"),
    [
        ({}, b"POST", 502, ConnectError(), True),
        ({}, b"GET", 502, UpstreamClosed(), True),
        ({}, b"POST", 502, UpstreamClosed(), False),
        ({}, b"GET", 502, BadResponse(), False),
        ({}, b"GET", 503, None, False),
        ({"status": "500-599"}, b"GET", 503, None, True),
        ({"status": [503]}, b"PUT", 503, None, True),
        ({"status": "500-599"}, b"GET", 404, None, False),
        ({"status": "500-599"}, b"POST", 503, None, False),
        ({"status": "500-599", "retryNonIdempotentMethod": "true"}, b"POST", 503, None, True),
        ({"status": "502"}, b"GET", 502, BadResponse(), True),
        ({"status": "502", "disableRetryOnNetworkError": True}, b"GET", 502, BadResponse(), False),
        ({"disableRetryOnNetworkError": True}, b"GET", 502, ConnectError(), False),
        ({"disableRetryOnNetworkError": True, "status": "503"}, b"GET", 503, None, True),
    ],
)
def test_what_is_not_good_enough_is_tried_again(
    settings: dict[str, Any], method: bytes, status: int, error: UpstreamError | None, again: bool
) -> None:
    found = retry(**settings).another_try(tried(method=method), status, error, 0.0)
    assert found == (0.0 if again else None)


def test_first_try_is_among_the_attempts() -> None:
    found = [retry().another_try(tried(tries), 502, ConnectError(), 0.0) for tries in (1, 3, 4)]
    assert found == [0.0, 0.0, None]
    assert retry(attempts=1).another_try(tried(), 502, ConnectError(), 0.0) is None


def test_waits_grow_to_twice_the_first() -> None:
    policy = retry(initialInterval="100ms", attempts=3)
    waits = [policy.another_try(tried(tries), 502, ConnectError(), 0.0) for tries in (1, 2)]
    assert waits == pytest.approx([0.1, 0.1 * 2**0.5])
    assert retry(initialInterval="100ms", attempts=1)._pause(1) == 0


def test_no_try_begins_after_the_time() -> None:
    policy = retry(timeout="1s", initialInterval="400ms")
    now = [policy.another_try(tried(), 502, ConnectError(), now) for now in (0.0, 0.5, 0.7, 2.0)]
    assert now == [0.4, 0.4, None, None]


def test_bodies_are_held_as_far_as_it_says() -> None:
    made = exchange()
    retry(maxRequestBodyBytes=100_000).on_request(made)
    assert made.replayed == 100_000
    small = exchange()
    retry(maxRequestBodyBytes=10).on_request(small)
    assert small.replayed == REPLAYED


def test_two_policies_both_have_a_say() -> None:
    made = tried()
    one, other = retry(attempts=1), retry(attempts=2)
    obey(made, one)
    assert made.retry is one
    obey(made, other)
    assert made.retry == Either(one, other)
    assert made.retry.another_try(made, 502, ConnectError(), 0.0) == 0.0
    assert Either(other, one).another_try(made, 502, ConnectError(), 0.0) == 0.0
    assert Either(one, one).another_try(made, 502, ConnectError(), 0.0) is None


@pytest.mark.parametrize(
    ("settings", "method", "status", "taken"),
    [
        ({}, b"GET", 503, True),
        ({"status": "500-599"}, b"GET", 503, False),
        ({"status": "500-599"}, b"GET", 200, True),
        ({"status": "500-599"}, b"POST", 503, True),
        ({"status": "500-599", "retryNonIdempotentMethod": True}, b"POST", 503, False),
    ],
)
def test_an_answer_is_taken_for_good_where_no_count_and_no_time_could_change_that(
    settings: dict[str, Any], method: bytes, status: int, taken: bool
) -> None:
    one, asked = retry(**settings), tried(method=method)
    assert one.takes(asked, status) is taken
    assert Either(retry(), one).takes(asked, status) is taken
    # Who can't say so may want another try.
    assert not Either(one, object()).takes(asked, status)
