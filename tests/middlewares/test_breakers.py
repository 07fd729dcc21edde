"""circuitBreaker: what counts as an error, what is answered while it is open, and that it says so."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.task import Clock

from dynbalancer.core.exchange import Exchange, Response, ResponseHead
from dynbalancer.core.regions import LocalRegions
from dynbalancer.errors import ConfigurationError
from dynbalancer.middlewares.breakers import CircuitBreaker
from dynbalancer.testing import MiddlewareContract, exchange

HALF = "NetworkErrorRatio() > 0.5"


class Case:
    """A breaker, a clock, what it said, and memory that others may have too."""

    def __init__(self, shared: LocalRegions | None = None, **settings: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.said: list[str] = []
        self.shared = shared or LocalRegions()
        self.breaker = CircuitBreaker.from_settings(
            "b@test",
            {"expression": HALF, **settings},
            clock=self.clock.seconds,
            say=self.said.append,
            secret=b"s",
            shared=self.shared,
        )

    def ask(self, router: str = "web@test") -> Exchange | Response:
        """One more request: itself where it passes, otherwise what is answered."""
        found = exchange()
        found.route = SimpleNamespace(name=router)  # type: ignore[assignment]
        refused = self.breaker.on_request(found)
        return found if refused is None else refused

    def passes(self, router: str = "web@test") -> bool:
        """Whether one more request passes."""
        return isinstance(self.ask(router), Exchange)

    def lose(self, outcome: str = "connect", router: str = "web@test") -> None:
        """One more that no server answers."""
        found = self.ask(router)
        assert isinstance(found, Exchange)
        found.status = 502
        self.breaker.on_finish(found, outcome)

    def serve(self, status: int = 200, seconds: float = 0.01, origin: int = 0) -> None:
        """One more that a server answers."""
        found = self.ask()
        assert isinstance(found, Exchange)
        found.response = ResponseHead(status)
        found.status = status
        if origin:
            found.origin = origin, ()
        self.clock.advance(seconds)
        self.breaker.on_finish(found, "done")


class TestContract(MiddlewareContract):
    good = {"expression": HALF}
    bad = (
        {},
        {"expression": ""},
        {"expression": "NetworkErrorRatio() > 1"},
        {"expression": HALF, "checkPeriod": "soon"},
        {"expression": HALF, "fallbackDuration": "-1s"},
        {"expression": HALF, "responseCode": 100},
        {"expression": HALF, "responseCode": 600},
        {"expression": HALF, "fallback": "10s"},
    )

    def make(self, name: str, settings: Mapping[str, Any]) -> Any:
        return CircuitBreaker.from_settings(
            name, settings, clock=Clock().seconds, say=print, secret=b"", shared=LocalRegions()
        )


def test_wrong_expression_says_where_and_what_was_meant() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Case(expression="NetworkErrorRatios() > 0.5")
    assert caught.value.where == "middleware b@test"
    assert caught.value.why == "option expression: there is no function NetworkErrorRatios"
    assert caught.value.hint == "did you mean NetworkErrorRatio?"


@pytest.mark.parametrize(
    "settings, status, body",
    [
        ({}, 503, b"Service Unavailable"),
        ({"responseCode": "418"}, 418, b"I'm a Teapot"),
        ({"responseCode": 299}, 299, b""),
        ({"dialect": "v1"}, 503, b"Service Unavailable"),
    ],
)
def test_answer_while_it_is_open(settings: dict[str, Any], status: int, body: bytes) -> None:
    case = Case(**settings)
    case.lose()
    found = case.ask()
    assert isinstance(found, Response)
    assert (found.status, found.body) == (status, body)


def test_it_opens_recovers_closes_and_says_so() -> None:
    case = Case(fallbackDuration="5s", recoveryDuration="10s")
    case.lose()
    for seconds, passes in ((4.9, False), (0.2, False), (9.9, False), (0.2, True)):
        case.clock.advance(seconds)
        assert case.passes() is passes
    assert case.said == [
        f"Circuit breaker b@test of router web@test {what}: {HALF}"
        for what in ("opens", "lets some requests pass again", "closes")
    ]


@pytest.mark.parametrize(
    "outcome", ["connect", "connect-timeout", "closed", "response-timeout", "bad-response", "upstream"]
)
def test_what_no_server_answers_is_a_network_error(outcome: str) -> None:
    case = Case()
    case.lose(outcome)
    assert not case.passes()


@pytest.mark.parametrize("outcome", ["no-server", "client-gone", "refused", "done"])
def test_what_is_not_the_network_s_fault_is_none(outcome: str) -> None:
    case = Case()
    case.lose(outcome)
    assert case.passes()


def test_502_of_a_server_is_no_network_error_nor_is_an_answer_cut_short() -> None:
    case = Case()
    case.serve(502)
    found = case.ask()
    assert isinstance(found, Exchange)
    found.response = ResponseHead(200)
    case.breaker.on_finish(found, "closed")
    assert case.passes()


def test_code_of_the_server_counts_whatever_was_made_of_it() -> None:
    case = Case(expression="ResponseCodeRatio(500, 600, 0, 600) > 0.5")
    case.serve(200, origin=500)
    assert not case.passes()


def test_late_answers_count() -> None:
    case = Case(expression="LatencyAtQuantileMS(50.0) > 100")
    case.serve(seconds=0.1)
    assert case.passes()
    for _ in range(2):
        case.serve(seconds=0.2)
    assert not case.passes()


def test_tunnel_is_not_late() -> None:
    case = Case(expression="LatencyAtQuantileMS(50.0) > 100")
    case.serve(101, seconds=3600)
    assert case.passes()


def test_request_that_was_refused_before_it_does_not_count() -> None:
    case = Case()
    case.breaker.on_finish(exchange(), "connect")
    assert case.passes()


def test_each_router_has_a_breaker_of_its_own() -> None:
    case = Case()
    case.lose(router="one@test")
    assert [case.passes(router) for router in ("one@test", "two@test")] == [False, True]


def test_open_breaker_is_open_in_every_worker_and_after_a_change_of_its_times() -> None:
    case = Case()
    other = Case(case.shared)
    changed = Case(case.shared, responseCode=500)
    case.lose()
    assert [one.passes() for one in (other, changed)] == [False, False]


def test_another_expression_begins_anew() -> None:
    case = Case()
    case.lose()
    assert Case(case.shared, expression="NetworkErrorRatio() > 0.9").passes()


def test_conditions_are_looked_at_as_often_as_the_period_says() -> None:
    case = Case(checkPeriod="1s")
    case.serve(seconds=0)
    for _ in range(5):
        case.lose()
    assert case.passes()
    case.clock.advance(1)
    case.lose()
    assert not case.passes()


def test_routers_that_come_and_go_do_not_add_up() -> None:
    case = Case()
    for number in range(1100):
        assert case.passes(f"r{number}@test")
    assert len(case.breaker.known) <= 1024


def test_breakers_that_are_not_closed_are_told_by_router() -> None:
    case = Case()
    case.serve()
    assert case.breaker.standings() == []
    for _ in range(5):
        if case.passes("shop@test"):
            case.lose(router="shop@test")
        case.clock.advance(0.2)
    [(router, state, left)] = case.breaker.standings()
    assert (router, state) == ("shop@test", "open")
    assert 0 < left <= 10
