"""Statistics lose nothing when workers come and go, and believe no worker what can't be."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dynbalancer.control.statistics import Statistics, checked_report
from dynbalancer.core.statistics import Report, Tally
from dynbalancer.interfaces import IStatistics


def report(count: int, *, in_flight: int = 0, service: str = "web@docker", error_time: float = 0.0) -> Report:
    """What a worker did: ``count`` requests to one service."""
    made = Report()
    made.statuses = {200: count}
    made.in_flight, made.open_connections = in_flight, in_flight
    tally = made.servers[f"{service} http://10.0.0.1"] = Tally()
    tally.count, tally.in_flight = count, in_flight
    if error_time:
        made.recent_errors.append({"status_code": 502, "path": "/", "time": error_time})
    return made


class StatisticsTests(SynchronousTestCase):
    """Sums over workers and seconds."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.statistics = Statistics(self.clock)
        self.statistics.startService()
        self.addCleanup(self.statistics.stopService)

    def test_provides_the_interface(self) -> None:
        assert verifyObject(IStatistics, self.statistics)

    def test_workers_are_summed(self) -> None:
        self.statistics.update(1, report(3, error_time=1.0))
        self.statistics.update(2, report(4, error_time=2.0))
        self.statistics.update(2, report(5, error_time=2.0))
        found = self.statistics.totals()
        assert (found.count, found.services["web@docker"].count) == (8, 8)
        assert [error["time"] for error in found.recent_errors] == [2.0, 1.0]

    def test_what_a_report_leaves_out_stays_as_it_was(self) -> None:
        self.statistics.update(1, report(3))
        self.statistics.update(1, report(2, service="api@docker"))
        found = self.statistics.totals()
        assert {name: tally.count for name, tally in found.services.items()} == {
            "web@docker": 3,
            "api@docker": 2,
        }

    def test_asking_twice_counts_once(self) -> None:
        self.statistics.update(1, report(3))
        self.statistics.totals()
        assert self.statistics.totals().count == 3

    def test_worker_that_ended_stays_counted_and_the_next_starts_anew(self) -> None:
        self.statistics.update(1, report(3, in_flight=2))
        self.statistics.close(1)
        self.statistics.update(1, report(1, in_flight=1))
        found = self.statistics.totals()
        assert (found.count, found.in_flight, found.open_connections) == (4, 1, 1)
        assert found.services["web@docker"].in_flight == 1

    def test_worker_that_never_said_anything_can_end(self) -> None:
        self.statistics.close(7)
        assert self.statistics.totals().count == 0

    def test_services_that_are_gone_are_forgotten_but_stay_in_the_sum(self) -> None:
        self.statistics.update(1, report(3, service="old@docker"))
        self.statistics.forget({}, {"web@docker": None})
        assert set(self.statistics.totals().services) == {"old@docker"}
        self.statistics.close(1)
        self.statistics.forget({}, {"web@docker": None})
        found = self.statistics.totals()
        assert (found.count, found.services, found.servers) == (3, {}, {})

    def test_requests_of_each_of_the_last_sixty_seconds(self) -> None:
        assert self.statistics.per_second() == [0] * 60
        for count in (3, 3, 10):
            self.statistics.update(1, report(count))
            self.clock.advance(1)
        assert self.statistics.per_second() == [0] * 57 + [3, 0, 7]

    def test_worker_that_ends_makes_no_second_negative(self) -> None:
        self.statistics.update(1, report(5))
        self.clock.advance(1)
        self.statistics.close(1)
        self.statistics.update(1, report(1))
        self.clock.advance(1)
        assert self.statistics.per_second()[-2:] == [5, 1]

    def test_process_that_forwards_by_itself_is_counted(self) -> None:
        statistics = Statistics(self.clock, lambda: report(6))
        statistics.count_second()
        assert statistics.totals().count == 6
        assert statistics.per_second()[-1] == 6

    def test_rates_are_those_of_the_last_ten_seconds(self) -> None:
        self.statistics.update(1, report(20))
        self.clock.pump([1] * 10)
        assert self.statistics.totals().services["web@docker"].rate == 2
        assert self.statistics.totals().rate == 2
        self.clock.pump([1] * 10)
        assert self.statistics.totals().services["web@docker"].rate == 0

    def test_servers_have_what_they_did_in_the_last_thirty_to_sixty_seconds(self) -> None:
        key = "web@docker http://10.0.0.1"
        self.statistics.update(1, report(20))
        self.clock.pump([1] * 59)
        assert self.statistics.totals().servers[key].lately == 20
        self.statistics.update(1, report(21))
        self.clock.pump([1])
        assert self.statistics.totals().servers[key].lately == 1
        self.clock.pump([1] * 30)
        assert self.statistics.totals().servers[key].lately == 0

    def test_stalls_of_this_process_are_counted_with_those_of_the_workers(self) -> None:
        statistics = Statistics(self.clock, stalls=lambda: 3)
        told = report(1)
        told.stalls = 2
        statistics.update(1, told)
        assert (statistics.totals().stalls, statistics.totals().stalls) == (5, 5)

    def test_stopped_service_leaves_no_call_and_keeps_its_sums(self) -> None:
        self.statistics.update(1, report(5))
        self.statistics.stopService()
        assert self.clock.getDelayedCalls() == []
        assert self.statistics.totals().count == 5


class CheckedTests(SynchronousTestCase):
    """What a worker may say."""

    def test_what_a_worker_sends_is_understood(self) -> None:
        found = checked_report(report(3, error_time=1.5).as_dict())
        assert found.statuses == {200: 3}
        assert found.recent_errors == [{"status_code": 502, "path": "/", "time": 1.5}]

    def test_recent_errors_keep_known_fields_of_bounded_length(self) -> None:
        error = {"time": 1, "path": "/" * 5000, "method": ["GET"], "extra": "x"}
        (kept,) = checked_report({**report(1).as_dict(), "recentErrors": [error]}).recent_errors
        assert kept == {"method": "['GET']", "path": "/" * 2048, "time": 1}

    def test_rubbish_is_refused_in_words(self) -> None:
        good = report(1).as_dict()
        bad: list[Any] = [
            None,
            [],
            {},
            {**good, "inFlight": "many"},
            {**good, "inFlight": float("inf")},
            {**good, "routers": {"web": [1, float("inf"), 0, 0, 0, 0, {}, {}]}},
            {**good, "statuses": [1]},
            {**good, "servers": {"web": 3}},
            {**good, "recentErrors": [{"path": "/"}]},
            {**good, "recentErrors": [{"time": "now"}]},
            {**good, "recentErrors": [3]},
        ]
        for found in bad:
            with self.assertRaises(ValueError) as caught:
                checked_report(found)
            assert "statistics" in str(caught.exception)
