"""Rates and shares: of what moved lately, and nothing of what rests."""

from __future__ import annotations

from dynbalancer.core.rates import Rates, Shares
from dynbalancer.core.statistics import Report, Tally, Totals


def tally(count: int) -> Tally:
    """So many exchanges."""
    made = Tally()
    made.count = count
    return made


class Process:
    """One process that reports to totals whose rates are kept."""

    def __init__(self) -> None:
        self.totals, self.seen = Totals(), Report()
        self.rates, self.shares = Rates(self.totals), Shares(self.totals)

    def report(self, count: int, *, router: str = "web@x", server: str = "web@x http://1") -> None:
        """It did so many exchanges in all, by this router and server."""
        report = Report()
        report.statuses = {200: count}
        report.routers, report.servers = {router: tally(count)}, {server: tally(count)}
        self.rates.expect(report)
        self.shares.expect(report)
        self.totals.take(self.seen, report)

    def all_rates(self) -> list[float]:
        """Those of the router, the service, the server and the whole."""
        totals = self.totals
        parts = (totals.routers["web@x"], totals.services["web@x"], totals.servers["web@x http://1"])
        return [one.rate for one in (*parts, totals)]


def test_rate_is_what_was_done_since_the_last_look() -> None:
    process = Process()
    process.report(10)
    process.report(30)
    assert process.all_rates() == [0, 0, 0, 0]
    process.rates.look(10)
    assert process.all_rates() == [3, 3, 3, 3]
    process.report(35)
    process.rates.look(10)
    assert process.all_rates() == [0.5, 0.5, 0.5, 0.5]


def test_what_comes_to_rest_has_no_rate_any_more() -> None:
    process = Process()
    process.report(10)
    process.rates.look(10)
    process.rates.look(10)
    assert process.all_rates() == [0, 0, 0, 0]


def test_two_servers_are_one_service() -> None:
    process = Process()
    process.report(10)
    process.report(20, server="web@x http://2")
    process.rates.look(10)
    assert process.totals.services["web@x"].rate == 3
    assert [one.rate for one in process.totals.servers.values()] == [1, 2]


def test_what_was_forgotten_meanwhile_is_passed_over() -> None:
    process = Process()
    process.report(10)
    process.rates.look(10)
    process.totals.forget({}, {})
    process.rates.look(10)
    process.report(20)
    process.totals.forget({}, {})
    process.rates.look(10)
    assert (process.totals.routers, process.totals.rate) == ({}, 1)


def lately(process: Process) -> dict[str, int]:
    """Exchanges of each server in this span and the last whole one."""
    return {key.partition("http://")[2]: one.lately for key, one in process.totals.servers.items()}


def test_server_that_came_later_has_its_share_after_two_spans() -> None:
    process = Process()
    process.report(1000)
    process.shares.look()
    process.report(1010)
    process.report(10, server="web@x http://2")
    assert lately(process) == {"1": 1010, "2": 10}
    process.shares.look()
    assert lately(process) == {"1": 10, "2": 10}
    process.report(1015)
    process.report(15, server="web@x http://2")
    assert lately(process) == {"1": 15, "2": 15}
    process.shares.look()
    assert lately(process) == {"1": 5, "2": 5}


def test_server_at_rest_has_done_nothing_lately() -> None:
    process = Process()
    process.report(10)
    process.shares.look()
    process.shares.look()
    assert lately(process) == {"1": 0}
    process.report(11)
    assert lately(process) == {"1": 1}


def test_server_that_was_forgotten_and_came_back_has_no_less_than_nothing() -> None:
    process = Process()
    process.report(10)
    process.shares.look()
    process.report(11)
    process.totals.forget({}, {})
    process.seen = Report()
    process.report(2)
    process.shares.look()
    assert lately(process) == {"1": 0}
