"""The Router service: what providers publish comes in force whole, soon, and explained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dynbalancer.control.router import RouterService, joined
from dynbalancer.core.model import Configuration, Item, Router, Server, Service
from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer.interfaces import IConfigurationSink, IRouter


@dataclass
class FakeTable:
    """As much of a routing table as the Router service looks at."""

    number: int
    configuration: Configuration
    previous: FakeTable | None
    problems: tuple[Problem, ...] = ()
    changes: int = 0


def web(*hosts: str, state: str = "ready") -> Configuration:
    """One router and one service with a server for each of ``hosts``."""
    servers = tuple(Server(f"http://{host}:80", state=state) for host in hosts)
    return Configuration({"web": Router("web", "Host(`a.example`)", "web")}, {"web": Service("web", servers)})


class RouterCase(SynchronousTestCase):
    """A Router service on a clock, with a compiler that can be told to fail or to find problems."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.error: Exception | None = None
        self.found: tuple[Problem, ...] = ()
        self.cost = 0.0
        self.router = RouterService(
            self.compile, self.clock, throttle=0.1, wall_time=lambda: 1e9 + self.clock.seconds()
        )
        self.router.startService()
        self.sink = self.router.sink_for("docker")
        self.told: list[tuple[int, int]] = []
        self.unsubscribe = self.router.subscribe(lambda old, new: self.told.append((old.number, new.number)))

    def compile(self, configuration: Configuration, number: int, previous: Any) -> Any:
        self.clock.advance(self.cost)
        if self.error:
            raise self.error
        return FakeTable(number, configuration, previous, self.found)

    def urls(self) -> list[str]:
        """The servers in force."""
        return [
            s.url for service in self.router.table.configuration.services.values() for s in service.servers
        ]


class OwnTests(RouterCase):
    """What entry points ask for is there before any provider speaks."""

    def test_what_is_ours_is_in_force_from_the_beginning_and_stays(self) -> None:
        router = RouterService(self.compile, self.clock, own=web("192.0.2.9"))
        self.assertEqual(list(router.table.configuration.routers), ["web@internal"])
        self.assertEqual(
            [(status.name, status.state) for status in router.providers], [("internal", "fresh")]
        )
        router.startService()
        router.sink_for("docker").publish(web("192.0.2.1"))
        self.assertEqual(list(router.table.configuration.routers), ["web@internal", "web@docker"])

    def test_what_providers_say_is_completed_before_anything_else(self) -> None:
        def complete(configuration: Configuration) -> Configuration:
            return replace(configuration, services=web("192.0.2.7").services)

        router = RouterService(self.compile, self.clock, own=web(), complete=complete)
        router.sink_for("docker").publish(web("192.0.2.1"))
        urls = [s.url for service in router.configuration.services.values() for s in service.servers]
        self.assertEqual(urls, ["http://192.0.2.7:80"] * 2)

    def test_nothing_of_ours_is_no_provider(self) -> None:
        router = RouterService(self.compile, self.clock, own=Configuration())
        self.assertEqual(router.providers, ())


class PublishingTests(RouterCase):
    """From publish to a table."""

    def test_provides_the_interfaces(self) -> None:
        assert verifyObject(IRouter, self.router)
        assert verifyObject(IConfigurationSink, self.sink)

    def test_starts_with_an_empty_table(self) -> None:
        assert self.router.table.number == 0
        assert self.router.configuration == Configuration()
        assert list(self.router.history) == []

    def test_first_change_is_in_force_at_once(self) -> None:
        self.sink.publish(web("10.0.0.1"))
        assert list(self.router.table.configuration.routers) == ["web@docker"]
        assert self.router.configuration == self.router.table.configuration
        assert self.told == [(0, 1)]

    def test_compiler_is_given_the_table_before(self) -> None:
        before = self.router.table
        self.sink.publish(web("10.0.0.1"))
        made: Any = self.router.table
        assert made.previous is before

    def test_storm_is_one_rebuild_and_the_newest_wins(self) -> None:
        for last in range(1, 6):
            self.sink.publish(web(f"10.0.0.{last}"))
        assert self.urls() == ["http://10.0.0.1:80"]
        self.clock.advance(0.1)
        assert self.urls() == ["http://10.0.0.5:80"]
        assert self.router.table.number == 2
        assert self.clock.getDelayedCalls() == []

    def test_change_after_a_quiet_time_does_not_wait(self) -> None:
        self.sink.publish(web("10.0.0.1"))
        self.clock.advance(0.2)
        self.sink.publish(web("10.0.0.2"))
        assert self.urls() == ["http://10.0.0.2:80"]

    def test_removed_server_does_not_wait(self) -> None:
        self.sink.publish(web("10.0.0.1", "10.0.0.2"))
        self.sink.publish(web("10.0.0.2"))
        assert self.urls() == ["http://10.0.0.2:80"]

    def test_draining_takes_along_what_waits(self) -> None:
        other = self.router.sink_for("file")
        self.sink.publish(web("10.0.0.1"))
        other.publish(web("10.0.0.9"))
        assert self.urls() == ["http://10.0.0.1:80"]
        self.sink.publish(web("10.0.0.1", state="draining"))
        assert self.urls() == ["http://10.0.0.1:80", "http://10.0.0.9:80"]
        assert self.clock.getDelayedCalls() == []

    def test_change_taken_back_while_it_waited_makes_no_table(self) -> None:
        self.sink.publish(web("10.0.0.1"))
        self.sink.publish(web("10.0.0.2"))
        self.sink.publish(web("10.0.0.1"))
        self.clock.advance(0.1)
        assert self.router.table.number == 1

    def test_clock_set_back_delays_no_longer_than_the_throttle(self) -> None:
        self.sink.publish(web("10.0.0.1"))
        self.clock.rightNow -= 500
        self.sink.publish(web("10.0.0.2"))
        self.clock.advance(0.1)
        assert self.urls() == ["http://10.0.0.2:80"]

    def test_empty_configuration_is_a_statement(self) -> None:
        self.sink.publish(web("10.0.0.1"))
        self.clock.advance(1)
        self.sink.publish(Configuration())
        assert self.router.configuration == Configuration()
        assert self.router.table.number == 2

    def test_equal_routing_changes_no_table(self) -> None:
        self.sink.publish(web("10.0.0.1"))
        self.told.clear()
        self.sink.publish(web("10.0.0.1"))
        assert self.told == []
        item = Item("1", "web-1", verdict="ignored")
        self.sink.publish(replace(web("10.0.0.1"), items=(item,)))
        assert self.told == [(1, 1)]
        assert self.router.configuration.items == (item,)

    def test_problem_seen_while_a_change_waits_does_not_bring_it_forward(self) -> None:
        other = self.router.sink_for("file")
        self.sink.publish(web("10.0.0.1"))
        self.sink.publish(web("10.0.0.2"))
        other.publish(Configuration(problems=(Problem("file a.yml", "half written"),)))
        assert [s.url for s in self.router.configuration.services["web@docker"].servers] == [
            "http://10.0.0.1:80"
        ]
        assert [problem.where for problem in self.router.problems] == ["file a.yml"]

    def test_unsubscribed_listener_hears_no_more(self) -> None:
        self.unsubscribe()
        self.unsubscribe()
        self.sink.publish(web("10.0.0.1"))
        assert self.told == []

    def test_failing_listener_does_not_keep_others_from_hearing(self) -> None:
        self.unsubscribe()
        self.router.subscribe(lambda old, new: 1 / 0)
        self.router.subscribe(lambda old, new: self.told.append((old.number, new.number)))
        self.sink.publish(web("10.0.0.1"))
        assert self.told == [(0, 1)]
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1

    def test_stopped_router_leaves_nothing_behind_and_keeps_its_table(self) -> None:
        self.sink.publish(web("10.0.0.1"))
        self.sink.publish(web("10.0.0.2"))
        self.router.stopService()
        self.sink.publish(web("10.0.0.3"))
        self.sink.lost("gone")
        assert self.clock.getDelayedCalls() == []
        assert self.urls() == ["http://10.0.0.1:80"]

    def test_names_of_providers_are_checked(self) -> None:
        for name in ("docker", "a@b", ""):
            self.assertRaises(ConfigurationError, self.router.sink_for, name)


class StatusTests(RouterCase):
    """How providers are doing, and what is wrong."""

    def test_provider_waits_until_it_said_something(self) -> None:
        (status,) = self.router.providers
        assert (status.name, status.state, status.published) == ("docker", "waiting", 0.0)

    def test_empty_first_publish_makes_it_fresh_without_a_table(self) -> None:
        self.sink.publish(Configuration())
        (status,) = self.router.providers
        assert (status.state, status.published) == ("fresh", 1e9 + 1000)
        assert self.told == [(0, 0)]

    def test_lost_source_is_stale_and_stays_in_force(self) -> None:
        self.sink.publish(web("10.0.0.1"))
        self.clock.advance(5)
        self.sink.lost("no such socket")
        (status,) = self.router.providers
        assert (status.state, status.reason, status.since) == ("stale", "no such socket", 1e9 + 1005)
        assert self.urls() == ["http://10.0.0.1:80"]
        assert [str(problem) for problem in self.router.problems] == [
            "provider docker: no such socket; what it said last stays in force"
        ]

    def test_source_lost_before_it_said_anything_claims_nothing_in_force(self) -> None:
        self.sink.lost("no such socket")
        assert [problem.hint for problem in self.router.problems] == [
            "it has said nothing yet, and is asked again and again"
        ]

    def test_lost_again_for_the_same_reason_is_said_once(self) -> None:
        with capturedLogs() as logs:
            self.sink.lost("no such socket")
            self.clock.advance(5)
            self.sink.lost("no such socket")
        assert self.told == [(0, 0)]
        assert len(logs) == 1
        assert self.router.providers[0].since == 1e9 + 1000

    def test_source_that_is_back_is_fresh_again(self) -> None:
        self.sink.publish(web("10.0.0.1"))
        self.sink.lost("no such socket")
        self.clock.advance(5)
        self.sink.publish(web("10.0.0.1"))
        (status,) = self.router.providers
        assert (status.state, status.reason, status.since) == ("fresh", "", 1e9 + 1005)
        assert self.router.problems == ()

    def test_problems_of_providers_merge_and_compiler_are_listed_once(self) -> None:
        mine, compiled = Problem("container web-1", "no port"), Problem("router web@docker", "bad rule")
        self.found = (mine, compiled)
        services = {"x@y": Service("x@y")}
        self.sink.publish(replace(web("10.0.0.1"), problems=(mine,), services=services))
        assert [p.where for p in self.router.problems] == [
            "container web-1",
            "service x@y of provider docker",
            "router web@docker",
        ]

    def test_what_the_settings_lack_is_a_problem_from_the_start_and_logged_by_whoever_starts_us(self) -> None:
        note = Problem("--metrics", "passed over", "", "warning")
        own = replace(web("192.0.2.9"), problems=(note,))
        router = RouterService(self.compile, self.clock, own=own)
        assert router.problems == (note,)
        with capturedLogs() as logs:
            router.sink_for("late").publish(web("192.0.2.1"))
        assert router.problems == (note,)
        assert [log for log in logs if "problem" in log] == []

    def test_what_the_first_table_lacks_is_logged_once_it_is_sure(self) -> None:
        self.found = (Problem("router r@internal", "there is no middleware auth@late"),)
        router = RouterService(self.compile, self.clock)
        with capturedLogs() as logs:
            router.sink_for("late").publish(web("192.0.2.1"))
        assert [log["problem"] for log in logs if "problem" in log] == list(self.found)

    def test_problem_is_logged_once_with_its_severity(self) -> None:
        found = [Problem(severity, "why", "", severity) for severity in ("error", "warning", "info")]
        with capturedLogs() as logs:
            self.sink.publish(Configuration(problems=tuple(found[:2])))
            self.sink.publish(Configuration(problems=tuple(found)))
        assert [(log["log_level"], str(log["problem"])) for log in logs] == [
            (LogLevel.error, "error: why"),
            (LogLevel.warn, "warning: why"),
            (LogLevel.info, "info: why"),
        ]

    def test_table_that_cannot_be_built_leaves_the_old_one(self) -> None:
        self.sink.publish(web("10.0.0.1"))
        self.clock.advance(1)
        self.error = RuntimeError("oops")
        self.sink.publish(web("10.0.0.2"))
        assert len(self.flushLoggedErrors(RuntimeError)) == 1
        assert self.urls() == ["http://10.0.0.1:80"]
        assert self.router.configuration.services == self.router.table.configuration.services
        (problem,) = self.router.problems
        assert problem.where == "routing table 2"
        assert "oops" in problem.why

    def test_good_table_after_a_failed_one_clears_the_problem(self) -> None:
        self.error = ConfigurationError("router web@docker", "can't be compiled")
        self.sink.publish(web("10.0.0.1"))
        assert [p.where for p in self.router.problems] == ["router web@docker"]
        self.error = None
        self.clock.advance(1)
        self.sink.publish(web("10.0.0.2"))
        assert self.router.problems == ()
        assert self.router.table.number == 1

    def test_failed_table_taken_back_clears_the_problem(self) -> None:
        self.error = ConfigurationError("router web@docker", "can't be compiled")
        self.sink.publish(web("10.0.0.1"))
        self.clock.advance(1)
        self.sink.publish(Configuration())
        assert self.router.problems == ()


class HistoryTests(RouterCase):
    """What happened, and why."""

    def test_change_says_number_time_cause_names_and_cost(self) -> None:
        self.cost = 0.25
        self.sink.publish(web("10.0.0.1"), "container web-1 started")
        (change,) = self.router.history
        assert (change.number, change.time, change.cause) == (1, 1e9 + 1000.25, "container web-1 started")
        assert change.added == ("router web@docker", "service web@docker")
        assert change.seconds == 0.25

    def test_change_is_one_line_in_the_log(self) -> None:
        with capturedLogs() as logs:
            self.sink.publish(web("10.0.0.1"), "container web-1 started")
        (log,) = logs
        assert log["log_format"].format(**log) == (
            "Table 1: 2 added, 0 removed, 0 changed; container web-1 started"
        )

    def test_causes_of_what_waited_are_joined(self) -> None:
        self.sink.publish(web("10.0.0.1"))
        self.sink.publish(web("10.0.0.2"), "container web-2 started")
        self.sink.publish(web("10.0.0.3"), "container web-3 started")
        self.clock.advance(0.1)
        assert [change.cause for change in self.router.history] == [
            "provider docker changed",
            "container web-2 started, container web-3 started",
        ]

    def test_history_is_bounded(self) -> None:
        for count in range(120):
            self.sink.publish(web(f"10.0.0.{count}"))
            self.clock.advance(1)
        assert [self.router.history[0].number, self.router.history[-1].number] == [21, 120]
        assert len(self.router.history) == 100


class JoinedTests(SynchronousTestCase):
    """Several causes in one line."""

    def test_each_once_and_the_first_few_spelled_out(self) -> None:
        for causes, line in [
            ([], ""),
            (["a"], "a"),
            (["a", "b", "a"], "a, b"),
            (["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
        ]:
            assert joined(causes) == line


class JudgingTests(RouterCase):
    """What health checks have found out."""

    FIRST = ("web@docker", "http://10.0.0.1:80", "")
    OUTAGE = (Problem("healthCheck web@docker", "none of its servers is up"),)

    def states(self) -> list[str]:
        return [server.state for server in self.router.configuration.services["web@docker"].servers]

    def test_a_server_that_fails_is_down_at_once_even_after_another_change(self) -> None:
        self.sink.publish(web("10.0.0.1", "10.0.0.2"))
        self.router.judge(frozenset({self.FIRST}), (), ["it fails"])
        assert self.states() == ["down", "ready"]
        assert self.router.history[-1].cause == "it fails"
        assert self.told == [(0, 1), (1, 2)]

    def test_one_that_passes_again_waits_its_turn_like_any_change(self) -> None:
        self.sink.publish(web("10.0.0.1", "10.0.0.2"))
        self.router.judge(frozenset({self.FIRST}), (), ["it fails"])
        self.router.judge(frozenset(), (), ["it passes"])
        assert self.states() == ["down", "ready"]
        self.clock.advance(0.1)
        assert self.states() == ["ready", "ready"]

    def test_what_providers_say_is_kept_beside_what_is_in_force(self) -> None:
        self.sink.publish(web("10.0.0.1"))
        self.router.judge(frozenset({self.FIRST}), (), ["it fails"])
        assert [server.state for server in self.router.said.services["web@docker"].servers] == ["ready"]
        assert self.states() == ["down"]

    def test_a_provider_that_speaks_again_changes_no_verdict(self) -> None:
        self.sink.publish(web("10.0.0.1", "10.0.0.2"))
        self.router.judge(frozenset({self.FIRST}), (), ["it fails"])
        self.clock.advance(1)
        self.sink.publish(web("10.0.0.1", "10.0.0.2", "10.0.0.3"))
        assert self.states() == ["down", "ready", "ready"]

    def test_the_same_verdict_again_is_no_change(self) -> None:
        self.sink.publish(web("10.0.0.1"))
        self.router.judge(frozenset({self.FIRST}), self.OUTAGE, ["it fails"])
        told = list(self.told)
        self.router.judge(frozenset({self.FIRST}), self.OUTAGE, ["it fails"])
        assert self.told == told
        assert len(self.router.history) == 2

    def test_an_outage_is_a_problem_and_makes_no_table_of_its_own(self) -> None:
        self.sink.publish(web("10.0.0.1"))
        self.router.judge(frozenset({self.FIRST}), (), ["it fails"])
        self.router.judge(frozenset({self.FIRST}), self.OUTAGE, [])
        assert self.router.problems == self.OUTAGE
        assert self.told[-1] == (2, 2)
        self.router.judge(frozenset({self.FIRST}), (), [])
        assert self.router.problems == ()

    def test_a_verdict_on_nobody_known_makes_no_table(self) -> None:
        self.sink.publish(web("10.0.0.1"))
        self.router.judge(frozenset({("gone@docker", "http://10.0.0.1:80", "")}), (), ["it fails"])
        assert self.router.table.number == 1

    def test_after_the_end_no_verdict_is_heard(self) -> None:
        self.sink.publish(web("10.0.0.1"))
        self.router.stopService()
        self.router.judge(frozenset({self.FIRST}), (), ["it fails"])
        assert self.states() == ["ready"]
