"""Health checks on a clock: who is asked when, what is told to the router, and what a change leaves alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dynbalancer.control import healthchecks
from dynbalancer.control.healthchecks import HealthChecks
from dynbalancer.control.router import RouterService
from dynbalancer.core.health import Question
from dynbalancer.core.model import Configuration, HealthCheck, Router, Server, Service
from dynbalancer.core.streams import StreamServer, StreamService
from dynbalancer.core.table import compile_table
from dynbalancer.errors import ConnectError
from dynbalancer.interfaces import IHealth

CHECK = HealthCheck("/health", interval=10.0, timeout=2.0)
ONE, TWO = Server("http://10.0.0.1:80"), Server("http://10.0.0.2:80")


def web(*servers: Server, check: HealthCheck | None = CHECK) -> Configuration:
    """A router and its service with these servers."""
    router = Router("web", "Host(`a.example`)", "web")
    return Configuration({"web": router}, {"web": Service("web", servers, health_check=check)})


class Servers:
    """Answers questions as told: a status, a reason to fail, or None to keep silent."""

    def __init__(self) -> None:
        self.says: dict[str, int | str | None] = {}
        self.asked: list[str] = []
        self.open: list[tuple[Question, Deferred[int]]] = []
        self.cancelled: list[str] = []

    def ask(self, question: Question) -> Deferred[int]:
        self.asked.append(question.host)
        answer: Deferred[int] = Deferred(lambda _: self.cancelled.append(question.host))
        said = self.says.get(question.host, 200)
        if said is None:
            self.open.append((question, answer))
        elif isinstance(said, int):
            answer.callback(said)
        else:
            answer.errback(ConnectError(said))
        return answer


class HealthCase(SynchronousTestCase):
    """Health checks beside a real Router service; jitter is off."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.compiled: list[int] = []
        self.router = RouterService(self.compile, self.clock, throttle=0.1, wall_time=self.clock.seconds)
        self.router.startService()
        self.sink = self.router.sink_for("file")
        self.servers = Servers()
        self.health = HealthChecks(
            self.router, self.servers.ask, self.clock, chance=lambda: 0.0, wall_time=self.clock.seconds
        )
        self.health.startService()
        self.addCleanup(self.stop)

    def stop(self) -> None:
        if self.health.running:
            self.health.stopService()
        self.router.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def compile(self, configuration: Configuration, number: int, previous: Any) -> Any:
        self.compiled.append(number)
        return compile_table(
            configuration,
            (),
            number=number,
            previous=previous,
            make_middleware=lambda middleware: middleware,
            make_service=lambda service, before: service,
        )

    def run_for(self, seconds: float) -> None:
        """Let time go by in small steps."""
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)

    def states(self, name: str = "web@file") -> list[str]:
        """The states of its servers in the table in force."""
        return [server.state for server in self.router.table.configuration.services[name].servers]

    def causes(self) -> list[str]:
        return [change.cause for change in self.router.history]


class AskingTests(HealthCase):
    """Who is asked, and when."""

    def test_provides_the_interface(self) -> None:
        assert verifyObject(IHealth, self.health)

    def test_a_new_server_is_asked_at_once_and_then_once_in_an_interval(self) -> None:
        self.sink.publish(web(ONE))
        self.run_for(0.05)
        assert self.servers.asked == ["10.0.0.1"]
        self.run_for(9.8)
        assert self.servers.asked == ["10.0.0.1"]
        self.run_for(0.4)
        assert self.servers.asked == ["10.0.0.1"] * 2

    def test_a_service_without_a_check_is_left_alone(self) -> None:
        self.sink.publish(web(ONE, check=None))
        self.run_for(60)
        assert self.servers.asked == []
        assert self.health.standing("web@file", ONE.url, "") is None

    def test_servers_that_leave_or_start_are_left_alone(self) -> None:
        states = ("draining", "starting", "maintenance")
        self.sink.publish(web(*(replace(ONE, state=state, instance=state) for state in states)))
        self.run_for(60)
        assert self.servers.asked == []

    def test_what_was_published_before_the_start_is_asked_too(self) -> None:
        self.health.stopService()
        self.sink.publish(web(ONE))
        self.run_for(1)
        assert self.servers.asked == []
        self.health.startService()
        self.run_for(0.05)
        assert self.servers.asked == ["10.0.0.1"]

    def test_many_new_servers_are_not_asked_at_the_same_moment(self) -> None:
        many = [Server(f"http://10.0.0.{n}:80") for n in range(100)]
        self.health._chance = lambda: 0.99
        self.sink.publish(web(*many))
        self.clock.advance(0)
        assert len(self.servers.asked) == 1
        self.clock.advance(0.1)
        assert 15 <= len(self.servers.asked) <= 25
        self.clock.advance(0.5)
        assert len(self.servers.asked) == 100

    def test_only_so_many_are_asked_at_a_time_and_the_others_wait(self) -> None:
        many = [Server(f"http://10.0.0.{n}:80") for n in range(healthchecks.MOST + 10)]
        self.servers.says = {f"10.0.0.{n}": None for n in range(len(many))}
        self.sink.publish(web(*many))
        self.run_for(1)
        assert len(self.servers.asked) == healthchecks.MOST
        self.servers.open[0][1].callback(200)
        assert len(self.servers.asked) == healthchecks.MOST + 1

    def test_no_server_is_asked_again_before_it_answered(self) -> None:
        self.servers.says["10.0.0.1"] = None
        self.sink.publish(web(ONE))
        self.run_for(60)
        assert self.servers.asked == ["10.0.0.1"]

    def test_a_server_that_is_down_is_asked_in_its_own_interval(self) -> None:
        self.sink.publish(web(ONE, check=replace(CHECK, unhealthy_interval=2.0)))
        self.run_for(0.1)
        self.servers.says["10.0.0.1"] = 500
        self.run_for(10)
        assert len(self.servers.asked) == 2
        self.run_for(6.4)
        assert len(self.servers.asked) == 5

    def test_after_the_end_nobody_is_asked_and_open_questions_are_dropped(self) -> None:
        many = [Server(f"http://10.0.0.{n}:80") for n in range(healthchecks.MOST + 5)]
        self.servers.says = {f"10.0.0.{n}": None for n in range(len(many))}
        self.sink.publish(web(*many))
        self.run_for(1)
        self.health.stopService()
        assert len(self.servers.cancelled) == healthchecks.MOST
        assert len(self.servers.asked) == healthchecks.MOST
        assert self.clock.getDelayedCalls() == []


class TellingTests(HealthCase):
    """What comes of it."""

    def test_a_server_is_up_until_it_fails(self) -> None:
        self.servers.says["10.0.0.1"] = None
        self.sink.publish(web(ONE, TWO))
        self.run_for(1)
        assert self.states() == ["ready", "ready"]

    def test_a_server_that_fails_is_out_at_once_and_back_when_it_passes(self) -> None:
        self.sink.publish(web(ONE, TWO))
        self.run_for(0.1)
        self.servers.says["10.0.0.1"] = 500
        self.run_for(10)
        assert self.states() == ["down", "ready"]
        self.servers.says["10.0.0.1"] = 200
        self.run_for(10.2)
        assert self.states() == ["ready", "ready"]
        assert self.causes()[1:] == [
            "server http://10.0.0.1:80 fails its health check (status 500 from /health)",
            "server http://10.0.0.1:80 passes its health check again",
        ]
        assert self.router.history[1].changed == ("server http://10.0.0.1:80 of web@file",)

    def test_a_server_that_can_not_be_reached_is_out(self) -> None:
        self.servers.says["10.0.0.1"] = "10.0.0.1:80: Connection was refused"
        self.sink.publish(web(ONE, TWO))
        self.run_for(0.1)
        assert self.states() == ["down", "ready"]
        standing = self.health.standing("web@file", ONE.url, "")
        assert standing is not None
        assert (standing.up, standing.why, standing.failures) == (
            False,
            "10.0.0.1:80: Connection was refused",
            1,
        )

    def test_a_new_server_that_fails_at_first_is_back_soon(self) -> None:
        self.servers.says["10.0.0.1"] = "refused"
        self.sink.publish(web(ONE, TWO))
        self.run_for(0.5)
        self.servers.says["10.0.0.1"] = 200
        self.run_for(0.8)
        assert self.states() == ["ready", "ready"]

    def test_a_server_of_tcp_that_fails_is_out_and_one_of_http_of_the_same_name_is_not(self) -> None:
        addresses = StreamServer("10.0.0.8:80"), StreamServer("10.0.0.9:80")
        streams = StreamService("web", addresses, health_check=HealthCheck(mode="tcp"))
        self.servers.says = {"10.0.0.8": "refused", "10.0.0.9": 0}
        self.sink.publish(replace(web(ONE), tcp_services={"web": streams}))
        self.run_for(0.3)
        assert self.states() == ["ready"]
        now = self.router.table.configuration.tcp_services["web@file"]
        assert [server.state for server in now.servers] == ["down", "ready"]
        self.servers.says["10.0.0.9"] = "refused"
        self.run_for(30)
        assert [problem.why for problem in self.router.problems if "closed" in problem.why] == [
            "none of its servers is up, connections are closed (10.0.0.8:80: refused; 10.0.0.9:80: refused)"
        ]

    def test_many_results_together_are_few_tables(self) -> None:
        many = [Server(f"http://10.0.0.{n}:80") for n in range(50)]
        self.servers.says = {f"10.0.0.{n}": 500 for n in range(50)}
        self.sink.publish(web(*many))
        before = len(self.compiled)
        self.run_for(0.5)
        assert self.states() == ["down"] * 50
        assert len(self.compiled) - before <= 6

    def test_results_that_change_nothing_make_no_table(self) -> None:
        self.sink.publish(web(ONE, TWO))
        self.run_for(0.1)
        before = len(self.compiled)
        self.run_for(60)
        assert len(self.compiled) == before

    def test_changes_of_state_are_logged_once_each(self) -> None:
        self.sink.publish(web(ONE, TWO))
        self.run_for(0.1)
        with capturedLogs() as logs:
            self.servers.says["10.0.0.1"] = 500
            self.run_for(25)
            self.servers.says["10.0.0.1"] = 200
            self.run_for(10)
        said = [event for event in logs if "health check" in event["log_format"]]
        assert [(event["log_level"], event["url"]) for event in said] == [
            (LogLevel.warn, ONE.url),
            (LogLevel.info, ONE.url),
        ]
        assert said[0]["why"] == "status 500 from /health"
        assert round(said[1]["seconds"]) == 20

    def test_an_outage_is_a_problem_until_it_is_over(self) -> None:
        self.servers.says = {"10.0.0.1": 500, "10.0.0.2": "refused"}
        self.sink.publish(web(ONE, TWO))
        self.run_for(0.2)
        (problem,) = self.router.problems
        assert problem.where == "healthCheck web@file"
        assert "status 500 from /health; http://10.0.0.2:80: refused" in problem.why
        self.servers.says["10.0.0.1"] = 200
        self.run_for(1.2)
        assert self.router.problems == ()
        assert self.states() == ["ready", "down"]

    def test_an_outage_tells_its_newest_reason(self) -> None:
        self.servers.says["10.0.0.1"] = "refused"
        self.sink.publish(web(ONE))
        self.run_for(0.2)
        self.servers.says["10.0.0.1"] = 503
        before = len(self.compiled)
        self.run_for(2)
        assert "status 503 from /health" in self.router.problems[0].why
        assert len(self.compiled) == before

    def test_the_last_server_up_that_leaves_makes_an_outage(self) -> None:
        self.servers.says["10.0.0.1"] = 500
        self.sink.publish(web(ONE, TWO))
        self.run_for(0.2)
        assert self.router.problems == ()
        self.sink.publish(web(ONE))
        self.run_for(0.3)
        assert [problem.where for problem in self.router.problems] == ["healthCheck web@file"]

    def test_a_container_that_its_engine_calls_unhealthy_is_down_whatever_it_answers(self) -> None:
        self.sink.publish(web(replace(ONE, state="down"), TWO))
        self.run_for(1)
        assert self.states() == ["down", "ready"]
        standing = self.health.standing("web@file", ONE.url, "")
        assert standing is not None and standing.up

    def test_a_container_that_its_engine_calls_healthy_again_stays_out_while_it_fails(self) -> None:
        self.servers.says["10.0.0.1"] = 500
        self.sink.publish(web(replace(ONE, state="down"), TWO))
        self.run_for(1)
        self.sink.publish(web(ONE, TWO))
        self.run_for(0.2)
        assert self.states() == ["down", "ready"]

    def test_a_defect_of_whoever_asks_is_a_failure_and_logged(self) -> None:
        self.sink.publish(web(ONE, TWO))
        self.health._ask = self.broken
        self.run_for(0.1)
        assert self.states() == ["down", "down"]
        assert [str(failure.value) for failure in self.flushLoggedErrors(KeyError)] == ["'oops'"] * 2

    def broken(self, question: Question) -> Deferred[int]:
        answer: Deferred[int] = Deferred()
        answer.errback(KeyError("oops"))
        return answer


class FollowingTests(HealthCase):
    """Changes of the routing, and what they leave alone."""

    def down(self) -> None:
        """The first of two servers fails."""
        self.servers.says["10.0.0.1"] = 500
        self.sink.publish(web(ONE, TWO))
        self.run_for(0.2)
        assert self.states() == ["down", "ready"]
        self.servers.asked.clear()

    def publish(self, configuration: Configuration) -> None:
        self.clock.advance(0.2)
        self.sink.publish(configuration)
        self.clock.advance(0)

    def other(self, configuration: Configuration) -> Configuration:
        """The same with one more service."""
        return replace(configuration, services={**configuration.services, "other": Service("other", (ONE,))})

    def test_a_change_of_something_else_leaves_states_and_turns_as_they_are(self) -> None:
        self.down()
        self.publish(self.other(web(ONE, TWO)))
        assert self.states() == ["down", "ready"]
        assert self.servers.asked == []
        assert self.states("other@file") == ["ready"]

    def test_a_new_server_is_asked_and_the_others_keep_their_state(self) -> None:
        self.down()
        self.publish(web(ONE, TWO, Server("http://10.0.0.3:80")))
        assert self.states() == ["down", "ready", "ready"]
        assert self.servers.asked == ["10.0.0.3"]

    def test_another_weight_is_no_reason_to_ask(self) -> None:
        self.down()
        self.publish(web(replace(ONE, weight=3), TWO))
        assert self.states() == ["down", "ready"]
        assert self.servers.asked == []

    def test_another_check_is_asked_at_once_and_the_state_holds_until_then(self) -> None:
        self.down()
        self.servers.says["10.0.0.1"] = None
        self.publish(web(ONE, TWO, check=replace(CHECK, path="/ready")))
        self.run_for(0.1)
        assert self.states() == ["down", "ready"]
        assert sorted(self.servers.asked) == ["10.0.0.1", "10.0.0.2"]
        self.servers.open[0][1].callback(200)
        self.run_for(0.2)
        assert self.states() == ["ready", "ready"]

    def test_a_server_that_left_is_asked_no_more(self) -> None:
        self.servers.says["10.0.0.1"] = None
        self.sink.publish(web(ONE, TWO))
        self.run_for(0.2)
        self.publish(web(TWO))
        assert self.servers.cancelled == ["10.0.0.1"]
        self.servers.asked.clear()
        self.run_for(30)
        assert set(self.servers.asked) == {"10.0.0.2"}

    def test_another_container_at_the_same_address_begins_anew(self) -> None:
        self.down()
        self.publish(web(replace(ONE, instance="new"), TWO))
        assert self.states() == ["ready", "ready"]

    def test_a_service_that_left_is_asked_no_more_and_comes_back_up(self) -> None:
        self.down()
        self.publish(Configuration())
        self.run_for(30)
        assert self.servers.asked == []
        self.servers.says["10.0.0.1"] = None
        self.publish(web(ONE, TWO))
        self.run_for(0.2)
        assert self.states() == ["ready", "ready"]

    def test_without_its_check_a_server_that_failed_gets_requests_again(self) -> None:
        self.down()
        self.publish(web(ONE, TWO, check=None))
        self.run_for(0.3)
        assert self.states() == ["ready", "ready"]
        assert self.health.standing("web@file", ONE.url, "") is None

    def test_a_server_that_begins_to_leave_is_draining_and_asked_no_more(self) -> None:
        self.down()
        self.publish(web(replace(ONE, state="draining"), TWO))
        assert self.states() == ["draining", "ready"]
        self.run_for(20)
        assert set(self.servers.asked) == {"10.0.0.2"}

    def test_two_services_with_one_server_are_judged_apart(self) -> None:
        self.servers.says["10.0.0.1"] = 404
        strict = Service("web", (ONE,), health_check=replace(CHECK, status=200))
        easy = Service("easy", (ONE,), health_check=replace(CHECK, status=404))
        self.sink.publish(Configuration(services={"web": strict, "easy": easy}))
        self.run_for(0.3)
        assert (self.states(), self.states("easy@file")) == (["down"], ["ready"])

    def test_a_server_that_changes_its_mind_often_recompiles_its_own_router_alone(self) -> None:
        routers = {f"r{n}": Router(f"r{n}", f"Host(`h{n}.example`)", "other") for n in range(200)}
        base = self.other(web(ONE, TWO))
        self.sink.publish(replace(base, routers={**base.routers, **routers}))
        self.run_for(0.1)
        before = self.router.table
        self.servers.says["10.0.0.1"] = 500
        self.run_for(10)
        after = self.router.table
        assert self.states() == ["down", "ready"]
        assert after.number > before.number
        assert after.changes <= 3

    def test_a_question_that_nobody_has_any_more_is_dropped(self) -> None:
        self.servers.says["10.0.0.1"] = None
        self.sink.publish(web(ONE))
        self.run_for(0.1)
        self.publish(Configuration())
        assert self.servers.cancelled == ["10.0.0.1"]
        self.run_for(30)
        assert self.servers.asked == ["10.0.0.1"]
