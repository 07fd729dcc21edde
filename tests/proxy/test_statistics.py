"""Counting: every exchange once for its router and once for its server, whoever comes and goes."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from dynbalancer.core.exchange import Exchange
from dynbalancer.core.latency import bucket
from dynbalancer.core.model import Server
from dynbalancer.core.settings import Limits
from dynbalancer.core.statistics import RECENT, Report, Totals
from dynbalancer.interfaces import IExchangeObserver
from dynbalancer.proxy.deadlines import Deadlines
from dynbalancer.proxy.statistics import Counting
from dynbalancer.proxy.upstream import Connecting, Upstream
from dynbalancer.testing import exchange


class Route:
    """As much of a route as is counted by."""

    def __init__(self, name: str, service_name: str) -> None:
        self.name, self.service_name = name, service_name


def upstream(host: str) -> Upstream:
    clock = Clock()
    return Upstream(Server(f"http://{host}"), Connecting(clock, Limits(), Deadlines(clock)))


def ended(
    server: Upstream | None = None, *, router: str = "web@x", status: int = 200, tries: int = 1, **about: Any
) -> Exchange:
    """An exchange of half a second, 3 octets in and 7 out."""
    made = exchange(path=about.pop("path", b"/"))
    route: Any = Route(router, "web@x") if router else None
    made.route, made.server, made.status, made.tries = route, server, status, tries
    made.bytes_in, made.bytes_out, made.started, made.finished = 3, 7, 1.0, 1.5
    made.outcome = about.pop("outcome", "done")
    return made


def test_exchange_counts_for_its_router_its_service_and_its_server() -> None:
    one = upstream("one")
    counting = Counting({one})
    counting.follow("web@x", (one,))
    counting.exchange_ended(ended(one, tries=3))
    counting.exchange_ended(ended(one, status=500))
    one.in_flight = 2
    totals = counting.totals(open_connections=4, refusals={"bad-host": 1})
    for tally in (totals, totals.routers["web@x"], totals.servers["web@x http://one"]):
        assert (tally.count, tally.seconds, tally.bytes_in, tally.bytes_out) == (2, 1.0, 6, 14)
        assert (tally.statuses, tally.retries) == ({200: 1, 500: 1}, 2)
        assert tally.latency == {bucket(0.5): 2}
    assert totals.services["web@x"].count == 2
    assert (totals.servers["web@x http://one"].in_flight, totals.in_flight) == (2, 2)
    assert (totals.open_connections, totals.refusals) == (4, {"bad-host": 1})
    assert verifyObject(IExchangeObserver, counting)


def test_time_of_an_upgraded_connection_says_nothing_of_latency() -> None:
    counting, one = Counting(set()), upstream("one")
    counting.follow("web@x", (one,))
    counting.exchange_ended(ended(one, status=101))
    totals = counting.totals()
    for tally in (totals, totals.routers["web@x"], totals.servers["web@x http://one"]):
        assert (tally.count, tally.latency, tally.quantile(0.5)) == (1, {}, None)


def test_asking_twice_gives_the_same() -> None:
    counting, one, two = Counting(set()), upstream("one"), upstream("two")
    counting.follow("web@x", (one, two))
    counting.exchange_ended(ended(one))
    counting.exchange_ended(ended(two, status=404))
    counting.follow("web@x", (two,))
    assert counting.totals().as_dict() == counting.totals().as_dict()


def test_exchange_without_a_router_counts_for_the_whole_only() -> None:
    counting = Counting(set())
    counting.exchange_ended(ended(router="", status=404))
    totals = counting.totals()
    assert (totals.count, totals.routers, totals.servers) == (1, {}, {})


def test_counts_of_servers_that_left_are_kept() -> None:
    counting, one = Counting(set()), upstream("one")
    counting.follow("web@x", (one,))
    counting.exchange_ended(ended(one))
    counting.follow("web@x", ())
    assert counting.totals().servers["web@x http://one"].count == 1
    again = upstream("one")
    counting.follow("web@x", (again,))
    counting.exchange_ended(ended(again))
    assert counting.totals().servers["web@x http://one"].count == 2


def test_what_a_leaving_server_still_finishes_is_counted() -> None:
    counting, one = Counting(set()), upstream("one")
    counting.follow("web@x", (one,))
    one.in_flight = 1
    counting.follow("web@x", ())
    assert counting.totals().in_flight == 1
    one.in_flight = 0
    counting.exchange_ended(ended(one))
    for _ in range(2):
        totals = counting.totals()
        assert (totals.in_flight, totals.servers["web@x http://one"].count) == (0, 1)


def test_one_server_in_two_places_of_a_service_is_one() -> None:
    counting, one = Counting(set()), upstream("one")
    counting.follow("web@x", (one, one))
    counting.exchange_ended(ended(one))
    counting.follow("web@x", ())
    assert counting.report(10).servers["web@x http://one"].count == 1
    assert counting.totals().servers["web@x http://one"].count == 1


def test_report_has_what_changed_since_the_last() -> None:
    counting, one, two = Counting(set()), upstream("one"), upstream("two")
    counting.follow("web@x", (one, two))
    counting.exchange_ended(ended(one, router="a@x"))
    counting.exchange_ended(ended(router="", status=404))
    first = counting.report(10, open_connections=3, refusals={"bad-host": 1})
    assert (set(first.routers), set(first.servers)) == ({"a@x", ""}, {"web@x http://one"})
    assert (first.statuses, first.open_connections, first.refusals) == ({200: 1, 404: 1}, 3, {"bad-host": 1})
    counting.exchange_ended(ended(two, router="b@x"))
    second = counting.report(10)
    assert (set(second.routers), set(second.servers)) == ({"b@x"}, {"web@x http://two"})
    assert second.statuses == {200: 2, 404: 1}
    third = counting.report(10)
    assert (third.routers, third.servers, third.statuses) == ({}, {}, second.statuses)


def test_server_in_use_has_news_until_it_is_at_rest() -> None:
    one = upstream("one")
    counting = Counting(one.connecting.used)
    counting.follow("web@x", (one,))
    one.take(repeatable=True)
    one.in_flight = 1
    for _ in range(2):
        busy = counting.report(10)
        assert (busy.in_flight, busy.servers["web@x http://one"].in_flight) == (1, 1)
    one.in_flight = 0
    assert counting.report(10).servers["web@x http://one"].in_flight == 0
    assert counting.report(10).servers == {}


def test_much_news_comes_in_parts_and_what_comes_meanwhile_after_them() -> None:
    counting = Counting(set())
    for number in range(7):
        counting.exchange_ended(ended(router=f"r{number}@x"))
    told: list[str] = []
    for left in (4, 1, 0):
        told += counting.report(3).routers
        assert counting.due == left
        counting.exchange_ended(ended(router="r0@x"))
    assert sorted(told) == [f"r{number}@x" for number in range(7)]
    last = counting.report(3)
    assert list(last.routers) == ["r0@x"]
    assert last.routers["r0@x"].count == 4


def test_one_report_takes_over_no_more_than_its_part() -> None:
    """All of ten thousand routers at once held up the requests of a worker for 33 to 47 ms."""
    counting, one = Counting(set()), upstream("one")
    counting.meet("web@x", (one,))
    for number in range(7):
        counting.exchange_ended(ended(one, router=f"r{number}@x"))
    for part in (3, 6, 7):
        report = counting.report(3)
        assert report.statuses == {200: part}
        assert report.servers["web@x http://one"].count == part


def test_asking_for_the_whole_between_parts_loses_nothing() -> None:
    counting, servers = Counting(set()), [upstream(f"s{number}") for number in range(5)]
    counting.follow("web@x", tuple(servers))
    for server in servers:
        counting.exchange_ended(ended(server, router="a@x"))
    counting.follow("web@x", ())
    whole, seen = Totals(), Report()
    whole.take(seen, counting.report(2))
    assert counting.totals().count == 5
    assert [tally.count for tally in counting.totals().servers.values()] == [1] * 5
    while counting.due:
        whole.take(seen, counting.report(2))
    assert whole.as_dict() == counting.totals().as_dict()


def test_parts_together_are_the_whole() -> None:
    counting, servers = Counting(set()), [upstream(f"s{number}") for number in range(9)]
    counting.follow("web@x", tuple(servers))
    whole, seen = Totals(), Report()
    for number in range(40):
        counting.exchange_ended(
            ended(servers[number % 9], router=f"r{number % 7}@x", status=200 + number % 3)
        )
        if number == 20:
            counting.follow("web@x", tuple(servers[:5]))
        whole.take(seen, counting.report(2))
    while counting.due:
        whole.take(seen, counting.report(2))
    whole.take(seen, counting.report(100))
    assert whole.as_dict() == counting.totals().as_dict()
    assert whole.count == 40


def test_newest_errors_are_remembered_with_what_was_asked() -> None:
    counting = Counting(set(), wall=lambda: 99.0)
    for status in range(400, 420):
        counting.exchange_ended(ended(status=status, outcome="refused", path=b"/" + b"a" * 300))
    counting.exchange_ended(ended(status=399))
    errors = counting.totals().recent_errors
    assert len(errors) == RECENT
    assert counting.report(1).recent_errors == errors
    assert errors[0] == {
        "status_code": 419,
        "status": "refused",
        "method": "GET",
        "host": "a.example",
        "path": "/" + "a" * 255,
        "time": 99.0,
    }
