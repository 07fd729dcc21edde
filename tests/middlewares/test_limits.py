"""rateLimit and inFlightReq, in the manner of Traefik 3 and in that of 1."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
from twisted.internet.task import Clock

from dynbalancer.core.exchange import Exchange, Response
from dynbalancer.core.regions import LocalRegions
from dynbalancer.errors import ConfigurationError
from dynbalancer.middlewares.limits import InFlightReq, RateLimit, Unlimited
from dynbalancer.testing import MiddlewareContract, exchange

V1_RATE = {"period": "10s", "average": "2", "burst": "3"}
V1 = {"dialect": "v1", "extractorFunc": "client.ip", "rateSet": {"a": V1_RATE}}


class Waiting:
    """What ``later`` gives: says for how long."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Given:
    """What limits are given, with a clock to move."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.shared = LocalRegions()

    def rate(self, settings: Mapping[str, Any], name: str = "limit@test") -> Any:
        later: Any = Waiting
        return RateLimit.from_settings(
            name, settings, clock=self.clock.seconds, later=later, secret=b"s", shared=self.shared
        )

    def in_flight(self, settings: Mapping[str, Any], name: str = "limit@test") -> InFlightReq:
        return InFlightReq.from_settings(name, settings, secret=b"s", shared=self.shared)


@pytest.fixture
def given() -> Given:
    """A clock at 1000 seconds, and memory."""
    return Given()


def status(found: object) -> int:
    """200 for a request that passes."""
    return found.status if isinstance(found, Response) else 200


class TestRateLimitContract(MiddlewareContract):
    good = {"average": 1}
    bad = (
        {"average": -1},
        {"average": "many"},
        {"average": 1, "period": "-1s"},
        {"average": 1, "period": "soon"},
        {"average": 1, "burst": -1},
        {"averge": 1},
        {"average": 1, "redis": {"endpoints": ["127.0.0.1:6379"]}},
        {"average": 1, "sourceCriterion": {"requestHost": True, "requestHeaderName": "X-A"}},
        {"average": 1, "sourceCriterion": {"host": True}},
        {"average": 1, "rateSet": {"a": V1_RATE}},
        {"dialect": "v1", "extractorFunc": "client.ip"},
        {"dialect": "v1", "extractorFunc": "client.ip", "rateSet": {}},
        {"dialect": "v1", "extractorFunc": "client.ip", "rateSet": {"a": {**V1_RATE, "period": "0s"}}},
        {"dialect": "v1", "extractorFunc": "client.ip", "rateSet": {"a": {**V1_RATE, "average": 0}}},
        {"dialect": "v1", "extractorFunc": "client.ip", "rateSet": {"a": {**V1_RATE, "burst": 0}}},
        {"dialect": "v1", "extractorFunc": "client.ip", "rateSet": {"a": {"period": "1s", "average": 1}}},
        {"dialect": "v1", "extractorFunc": "client.ip", "rateSet": {"a": 5}},
        {"dialect": "v1", "extractorFunc": "client.host", "rateSet": {"a": V1_RATE}},
        {"dialect": "v1", "extractorFunc": "request.header.", "rateSet": {"a": V1_RATE}},
        {"dialect": "v1", "extractorFunc": "request.header.A B", "rateSet": {"a": V1_RATE}},
        {"dialect": "v1", "rateSet": {"a": V1_RATE}},
    )

    def make(self, name: str, settings: Mapping[str, Any]) -> Any:
        return Given().rate(settings, name)


class TestInFlightContract(MiddlewareContract):
    good = {"amount": "2"}
    bad = (
        {},
        {"amount": -1},
        {"amount": "some"},
        {"amount": 1, "sourceCriterion": {"requestHost": True, "ipStrategy": {"depth": 1}}},
        {"amount": 1, "extractorFunc": "client.ip"},
        {"dialect": "v1", "amount": 1, "extractorFunc": "request.path"},
    )

    def make(self, name: str, settings: Mapping[str, Any]) -> Any:
        return Given().in_flight(settings, name)


def test_a_request_too_many_is_told_when_to_come_again(given: Given) -> None:
    limit = given.rate({"average": "1", "period": "10s", "burst": "2"})
    assert [limit.on_request(exchange()) for _ in range(2)] == [None, None]
    given.clock.advance(0.5)
    refused = limit.on_request(exchange())
    assert (refused.status, refused.body) == (429, b"Too Many Requests")
    assert refused.headers.get(b"retry-after") == b"10"
    assert refused.headers.get(b"x-retry-in") == b"9.5s"
    assert refused.headers.get(b"content-type") == b"text/plain; charset=utf-8"


def test_time_to_come_again_is_in_whole_seconds_and_in_ascii(given: Given) -> None:
    limit = given.rate({"average": 1200})
    limit.on_request(exchange())
    refused = limit.on_request(exchange())
    assert refused.headers.get(b"retry-after") == b"1"
    assert refused.headers.get(b"x-retry-in", b"").startswith(b"833.33")
    assert refused.headers.get(b"x-retry-in", b"").endswith(b"us")


@pytest.mark.parametrize(
    "average, period, patience",
    [
        (100, "1s", 0.005),
        (1, "1s", 0.5),
        (1, "1m", 0.5),
        (3, "2s", 0.5),
        (5, "2s", 0.25),
        (1000, "1s", 0.0005),
    ],
)
def test_who_is_a_little_early_waits_half_the_time_of_a_request_at_most(
    given: Given, average: int, period: str, patience: float
) -> None:
    limit = given.rate({"average": average, "period": period})
    assert limit.buckets.patience == pytest.approx(patience)
    interval = limit.buckets.rates[0].interval
    limit.on_request(exchange())
    given.clock.advance(interval - patience * 0.9)
    waiting = limit.on_request(exchange())
    assert waiting.seconds == pytest.approx(patience * 0.9)
    given.clock.advance(interval - patience * 1.1 + waiting.seconds - patience * 0.9)
    assert limit.on_request(exchange()).status == 429


def test_defaults_are_one_at_once_in_a_second(given: Given) -> None:
    limit = given.rate({"average": 1})
    assert [status(limit.on_request(exchange())) for _ in range(2)] == [200, 429]
    given.clock.advance(1)
    assert limit.on_request(exchange()) is None


@pytest.mark.parametrize("settings", [{"average": 1, "burst": 0}, {"average": 1, "period": "0s"}])
def test_no_burst_is_one_and_no_period_a_second(given: Given, settings: dict[str, Any]) -> None:
    (rate,) = given.rate(settings).buckets.rates
    assert (rate.period, rate.burst) == (1.0, 1)


@pytest.mark.parametrize("settings", [{}, {"average": 0}, {"average": "0", "burst": "5"}])
def test_average_of_0_limits_nothing_and_says_so(given: Given, settings: dict[str, Any]) -> None:
    limit = given.rate(settings)
    assert isinstance(limit, Unlimited)
    assert limit.on_request is None
    assert "nothing is limited" in limit.notices[0]


def test_redis_is_refused_with_a_reason(given: Given) -> None:
    with pytest.raises(ConfigurationError) as caught:
        given.rate({"average": 1, "redis": {"endpoints": "127.0.0.1:6379"}})
    assert "option redis is understood, but not supported" in caught.value.why
    assert "all workers" in caught.value.hint


ADDRESSES = ({"client": "192.0.2.1"}, {"client": "192.0.2.2"})
HOSTS = ({"host": b"a.example"}, {"host": b"b.example"})
FIELDS = ({"headers": {b"X-Who": b"ann"}}, {"headers": {b"X-Who": b"bob"}})
NEIGHBOURS = ({"client": "2001:db8::1"}, {"client": "2001:db8::2"})


@pytest.mark.parametrize(
    "criterion, two, apart",
    [
        ({}, ADDRESSES, True),
        ({}, HOSTS, False),
        ({"requestHost": True}, HOSTS, True),
        ({"requestHost": "true"}, ADDRESSES, False),
        ({"requestHeaderName": "x-who"}, FIELDS, True),
        ({"requestHeaderName": "X-Who"}, ADDRESSES, False),
        ({"ipStrategy": {"ipv6Subnet": 64}}, NEIGHBOURS, False),
        ({"ipStrategy": {}}, NEIGHBOURS, True),
    ],
)
def test_sources_are_told_apart_by_the_criterion(
    given: Given, criterion: dict[str, Any], two: tuple[dict[str, Any], ...], apart: bool
) -> None:
    limit = given.rate({"average": 1, "sourceCriterion": criterion} if criterion else {"average": 1})
    found = [status(limit.on_request(exchange(**about))) for about in two]
    assert found == ([200, 200] if apart else [200, 429])


def test_depth_counts_what_a_trusted_peer_said(given: Given) -> None:
    limit = given.rate({"average": 1, "sourceCriterion": {"ipStrategy": {"depth": 1}}})
    one, other = (
        exchange(headers={b"X-Forwarded-For": b"%b, 192.0.2.1" % client}, trusted=True)
        for client in (b"198.51.100.1", b"198.51.100.2")
    )
    assert [status(limit.on_request(found)) for found in (one, other, one)] == [200, 200, 429]


@pytest.mark.parametrize("kind", ["rate", "in_flight"])
def test_request_without_a_source_is_refused_with_500(given: Given, kind: str) -> None:
    criterion = {"sourceCriterion": {"ipStrategy": {"depth": 3}}}
    limit = (
        given.rate({"average": 1, **criterion})
        if kind == "rate"
        else given.in_flight({"amount": 1, **criterion})
    )
    refused = limit.on_request(exchange())
    assert (refused.status, refused.body) == (500, b"could not extract source of request")


def test_two_limits_count_apart_and_two_of_one_name_together(given: Given) -> None:
    one, same, other = (given.rate({"average": 1}, name) for name in ("a@test", "a@test", "b@test"))
    assert [status(limit.on_request(exchange())) for limit in (one, same, other)] == [200, 429, 200]


def test_changed_average_keeps_the_buckets(given: Given) -> None:
    before = given.rate({"average": 1, "burst": 2})
    for _ in range(2):
        before.on_request(exchange())
    after = given.rate({"average": 2, "burst": 2})
    assert status(after.on_request(exchange())) == 429
    given.clock.advance(3)
    assert status(after.on_request(exchange())) == 200


class Little(LocalRegions):
    """Memory that is nearly full."""

    def region(self, name: str, size: int, rows: int = 0) -> Any:
        if size > 1 << 16:
            raise ConfigurationError(name, "there is no room for more limits")
        return super().region(name, size, rows)


def test_where_there_is_little_memory_left_there_is_room_for_fewer_sources(given: Given) -> None:
    given.shared = Little()
    assert given.rate({"average": 1}).buckets.room == 4096


# In the manner of Traefik 1.


def test_v1_refuses_at_once_and_says_it_in_its_own_words(given: Given) -> None:
    limit = given.rate(V1)
    assert [status(limit.on_request(exchange())) for _ in range(4)] == [200, 200, 200, 429]
    given.clock.advance(3.75)
    refused = limit.on_request(exchange())
    assert refused.body == b"max rate reached: retry-in 1.25s"
    assert refused.headers.get(b"retry-after") == b"2"
    assert refused.headers.get(b"x-retry-in") == b"1.25s"
    given.clock.advance(1.25)
    assert limit.on_request(exchange()) is None


def test_v1_all_rates_of_a_set_hold(given: Given) -> None:
    rates = {
        "short": {"period": "3s", "average": 5, "burst": 10},
        "long": {"period": "60s", "average": 12, "burst": 12},
    }
    limit = given.rate({**V1, "rateSet": rates})
    assert [status(limit.on_request(exchange())) for _ in range(11)] == [*[200] * 10, 429]
    given.clock.advance(3)
    # The short one has five again, but the long one only two and a bit.
    assert [status(limit.on_request(exchange())) for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    "extractor, two, apart",
    [
        ("client.ip", ADDRESSES, True),
        ("client.ip", HOSTS, False),
        ("request.host", HOSTS, True),
        ("request.host", ADDRESSES, False),
        ("request.header.X-Who", FIELDS, True),
        ("request.header.X-Who", ADDRESSES, False),
    ],
)
def test_v1_extractors(given: Given, extractor: str, two: tuple[dict[str, Any], ...], apart: bool) -> None:
    settings = {**V1, "rateSet": {"a": {**V1_RATE, "burst": 1}}, "extractorFunc": extractor}
    limit = given.rate(settings)
    found = [status(limit.on_request(exchange(**about))) for about in two]
    assert found == ([200, 200] if apart else [200, 429])
    connections = given.in_flight({"dialect": "v1", "amount": 1, "extractorFunc": extractor})
    assert [status(connections.on_request(exchange(**about))) for about in two] == found


def test_v1_wrong_extractor_is_told_what_there_is(given: Given) -> None:
    with pytest.raises(ConfigurationError) as caught:
        given.rate({**V1, "extractorFunc": "client.port"})
    assert "expected client.ip, request.host or request.header.NAME" in caught.value.why
    assert caught.value.hint == "did you mean client.ip?"


# In flight.


def entered(limit: InFlightReq, **about: Any) -> tuple[Exchange, int]:
    """One more request, and what it is answered."""
    found = exchange(**about)
    return found, status(limit.on_request(found))


def test_as_many_as_the_amount_may_be_in_flight(given: Given) -> None:
    limit = given.in_flight({"amount": 2})
    (first, _), (_, second), (third, refused) = (entered(limit) for _ in range(3))
    assert (second, refused) == (200, 429)
    limit.on_finish(third, "refused")
    assert entered(limit)[1] == 429
    limit.on_finish(first, "done")
    assert entered(limit)[1] == 200


def test_refusal_says_how_many_there_may_be(given: Given) -> None:
    refused = given.in_flight({"amount": 0}).on_request(exchange())
    assert isinstance(refused, Response)
    assert (refused.status, refused.body) == (429, b"max connections reached: 0")


@pytest.mark.parametrize("settings", [{}, {"dialect": "v1"}])
def test_hosts_count_apart_by_default(given: Given, settings: dict[str, Any]) -> None:
    limit = given.in_flight({"amount": 1, **settings})
    assert [entered(limit, **about)[1] for about in (*HOSTS, *ADDRESSES)] == [200, 200, 429, 429]


def test_exchange_that_never_came_to_it_takes_nothing_away(given: Given) -> None:
    limit = given.in_flight({"amount": 1})
    entered(limit)
    limit.on_finish(exchange(), "refused")
    assert entered(limit)[1] == 429


def test_finishing_twice_or_passing_twice_counts_once(given: Given) -> None:
    limit = given.in_flight({"amount": 2})
    first, _ = entered(limit)
    assert limit.on_request(first) is None
    limit.on_finish(first, "done")
    limit.on_finish(first, "done")
    assert [entered(limit)[1] for _ in range(3)] == [200, 200, 429]


def test_changed_amount_keeps_the_count(given: Given) -> None:
    before = given.in_flight({"amount": 5})
    found = [entered(before)[0] for _ in range(3)]
    after = given.in_flight({"amount": 3})
    assert entered(after)[1] == 429
    before.on_finish(found[0], "done")
    assert entered(after)[1] == 200


def test_no_time_to_come_again_is_nonsense(given: Given) -> None:
    limit = given.rate({"average": 3, "period": "7s"})
    limit.on_request(exchange())
    wait = limit.on_request(exchange())
    assert float(wait.headers.get(b"retry-after") or b"nan") == math.ceil(7 / 3)


def test_a_request_that_comes_again_counts_as_before(given: Given) -> None:
    limit = given.rate({"average": 1, "period": "10s", "burst": 3})
    asked = exchange()
    assert limit.on_request(asked) is None
    again = limit.once_more(asked)
    assert [status(again(asked)) for _ in range(3)] == [200, 200, 429]
    assert status(limit.on_request(asked)) == 429


def test_a_request_in_flight_that_comes_again_counts_as_before(given: Given) -> None:
    limit = given.in_flight({"amount": 1})
    first, second = exchange(host=b"a.example"), exchange(host=b"a.example")
    again: Any = limit.once_more(first)
    assert status(again(first)) == 200
    assert status(again(second)) == 429
    limit.on_finish(first, "done")
    assert status(again(second)) == 200


def test_without_a_source_nothing_is_known_of_a_request(given: Given) -> None:
    by_depth = {"sourceCriterion": {"ipStrategy": {"depth": 1}}}
    asked = exchange()
    assert given.rate({"average": 1, **by_depth}).once_more(asked) is None
    assert given.in_flight({"amount": 1, **by_depth}).once_more(asked) is None
