"""The Docker provider against an engine made of dictionaries: no thread, no socket, time by hand."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dynbalancer.core import codec
from dynbalancer.core.labels.containers import Defaults
from dynbalancer.core.model import Configuration
from dynbalancer.errors import ConfigurationError
from dynbalancer.testing import MemorySink, ProviderContract
from dynbalancer_docker.provider import DockerProvider, make_provider
from dynbalancer_docker.reasons import EngineError
from tests.providers.docker.fake_engine import FakeWorld, SilentFollower, container_id, event


def states(configuration: Configuration) -> dict[str, str]:
    """Every server's container and state."""
    return {
        server.instance: server.state for one in configuration.services.values() for server in one.servers
    }


def rules(configuration: Configuration) -> list[str]:
    """Every router's rule, sorted."""
    return sorted(router.rule for router in configuration.routers.values())


class SlowSink(MemorySink):
    """A sink that takes its time, as a big table does."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__()
        self._clock, self._seconds = clock, seconds

    def publish(self, configuration: Configuration, cause: str = "") -> None:
        super().publish(configuration, cause)
        self._clock.rightNow += self._seconds


class TestContract(ProviderContract, SynchronousTestCase):
    """It is a provider as any other."""

    def make(self, sink: MemorySink, reactor: Any) -> Any:
        return make_provider({"endpoint": "unix:///run/nowhere.sock"}, sink, reactor)


class TestOptions(SynchronousTestCase):
    """Options that can't work are refused before anything starts."""

    def assert_refused(self, word: str, **settings: Any) -> None:
        error = self.assertRaises(ConfigurationError, make_provider, settings, MemorySink(), None)
        self.assertIn(word, str(error))

    def test_swarm_mode_is_refused_in_words(self) -> None:
        self.assert_refused("Swarm", swarmmode=True)

    def test_unknown_kind_of_endpoint_is_refused(self) -> None:
        self.assert_refused("docker.endpoint", endpoint="ftp://engine.example.com")

    def test_constraints_that_can_not_be_read_are_refused(self) -> None:
        self.assert_refused("option docker.constraints: there is nothing but tags", constraints="tier==web")

    def test_refresh_time_of_nothing_is_refused(self) -> None:
        self.assert_refused("refreshseconds", refreshseconds=0.0)


class ProviderCase(SynchronousTestCase):
    """A provider that is not started yet, with a world around it."""

    def setUp(self) -> None:
        self.world = FakeWorld()
        self.engine = self.world.engine
        self.clock = Clock()
        self.clock.advance(1000)
        self.sink: MemorySink = MemorySink()

    def start(self, **more: Any) -> DockerProvider:
        self.provider = DockerProvider(Defaults(), self.sink, self.clock, self.world.means(), **more)
        self.provider.startService()
        return self.provider


class TestFirstRead(ProviderCase):
    """From start to the first configuration."""

    def test_containers_are_published_once_the_first_list_is_complete(self) -> None:
        self.engine.run("web-1")
        self.start()
        self.assertEqual(rules(self.sink.last), ["Host:web-1.example.com"])
        self.assertEqual(self.sink.causes, ["read 1 containers"])

    def test_events_are_opened_before_the_list_is_read(self) -> None:
        self.engine.run("web-1")
        self.start()
        self.assertEqual([call for call, _ in self.engine.calls], ["events", "list", "inspect"])

    def test_engine_without_containers_publishes_an_empty_configuration(self) -> None:
        self.start()
        self.assertEqual(self.sink.configurations, [Configuration()])

    def test_engine_that_is_not_there_is_lost_once_and_tried_again(self) -> None:
        self.world.refuses = "there is no /run/docker.sock"
        self.start()
        self.clock.pump([0.1] * 10)
        self.assertEqual(self.sink.losses, ["there is no /run/docker.sock"])
        self.assertGreater(self.world.connects, 2)
        self.world.refuses = ""
        self.engine.run("web-1")
        self.clock.advance(10)
        self.assertEqual(rules(self.sink.last), ["Host:web-1.example.com"])

    def test_without_watch_it_reads_once_and_lets_go(self) -> None:
        self.engine.run("web-1")
        self.start(watch=False)
        self.assertEqual(len(self.sink.configurations), 1)
        self.assertEqual(self.world.followers, [])
        self.assertEqual(self.engine.closes, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_without_watch_a_refresh_reads_again(self) -> None:
        self.start(watch=False)
        self.engine.run("web-1")
        self.successResultOf(self.provider.refresh())
        self.assertEqual(rules(self.sink.last), ["Host:web-1.example.com"])

    def test_environment_of_containers_is_nowhere_in_what_is_published(self) -> None:
        self.engine.run("web-1", health="healthy")
        self.start()
        self.assertNotIn("SECRET", repr(self.sink.last) + json.dumps(codec.snapshot(self.sink.last)))
        self.assertNotIn("SECRET", repr(vars(self.provider._inventory)))


class TestEvents(ProviderCase):
    """What happens on the engine is published; an event only says where to look."""

    def setUp(self) -> None:
        super().setUp()
        self.engine.run("web-1")
        self.start()
        self.engine.calls.clear()

    def test_started_container_is_inspected_and_published_within_20_ms(self) -> None:
        self.engine.run("web-2", ip="172.18.0.3")
        self.world.tell(event("web-2", "start"))
        self.clock.advance(0.02)
        self.assertEqual(self.engine.calls, [("inspect", (container_id("web-2"),))])
        self.assertEqual(self.sink.causes[-1], "container web-2 started")
        self.assertEqual(len(self.sink.last.routers), 2)

    def test_dead_container_is_taken_out_at_once(self) -> None:
        self.engine.remove("web-1")
        self.world.tell(event("web-1", "die"))
        self.assertEqual(self.sink.causes[-1], "container web-1 died")
        self.assertEqual(self.sink.last.routers, {})

    def test_end_of_an_earlier_life_does_not_take_out_a_restarted_container(self) -> None:
        self.world.tell(event("web-1", "die", at=1.0))
        self.clock.advance(0.02)
        self.assertEqual(len(self.sink.configurations), 1)

    def test_container_that_dies_while_it_is_inspected_does_not_come_back(self) -> None:
        self.world.caller.holding = True
        self.world.tell(event("web-1", "update"))
        self.clock.advance(0.02)
        self.world.tell(event("web-1", "die"))
        self.world.caller.go_on()
        self.assertEqual(len(self.sink.configurations), 2)
        self.assertEqual(self.sink.last.routers, {})

    def test_event_that_changed_nothing_publishes_nothing(self) -> None:
        self.world.tell(event("web-1", "update"))
        self.clock.advance(1)
        self.assertEqual(len(self.sink.configurations), 1)

    def test_rename_health_and_network_are_followed(self) -> None:
        for change, cause in (
            ({"health": "unhealthy"}, "container web-1 is unhealthy"),
            ({"health": "healthy"}, "container web-1 is healthy"),
            (
                {"health": "healthy", "networks": {"other": {"IPAddress": "172.19.0.2"}}},
                "changed its networks",
            ),
        ):
            self.engine.run("web-1", **change)
            self.world.tell(event("web-1", "health_status: x"))
            self.clock.advance(0.02)
            self.assertIn(cause, self.sink.causes[-1])

    def test_storm_of_events_is_few_looks_at_only_what_was_touched(self) -> None:
        for number in range(100):
            self.engine.run(f"web-{number}", ip=f"172.18.1.{number}")
        for moment in range(10):
            names = [f"web-{(moment * 100 + n) % 50}" for n in range(100)]
            self.world.tell(*(event(name, "update") for name in names))
            self.clock.advance(0.005)
        self.clock.advance(1)
        self.assertLessEqual(len(self.engine.calls), 4)
        self.assertEqual(set(self.engine.inspected()), {container_id(f"web-{n}") for n in range(50)})

    def test_storm_of_stops_is_published_in_few_pieces(self) -> None:
        self.sink = SlowSink(self.clock, 0.05)
        for number in range(200):
            self.engine.run(f"web-{number}", ip=f"172.18.1.{number}")
        self.start()
        self.world.tell(*(event(f"web-{n}", "kill", signal="15") for n in range(200)))
        self.clock.pump([0.2, 0.2])
        self.assertEqual(set(states(self.sink.last).values()), {"draining"})
        self.assertLessEqual(len(self.sink.configurations), 4)
        self.assertIn("and 197 more", self.sink.causes[-1])


class TestDraining(ProviderCase):
    """A container that was told to stop gets no new requests, from the moment it was told."""

    def setUp(self) -> None:
        super().setUp()
        self.engine.run("web-1")
        self.start()
        self.engine.calls.clear()

    def stop_web(self, signal: str = "15") -> None:
        self.world.tell(event("web-1", "kill", signal=signal))

    def test_stop_signal_drains_at_once_without_a_look(self) -> None:
        self.stop_web()
        self.assertEqual(list(states(self.sink.last).values()), ["draining"])
        self.assertEqual(self.sink.causes[-1], "container web-1 is stopping")
        self.assertEqual(self.engine.calls, [])

    def test_kill_signal_drains_too(self) -> None:
        self.stop_web("9")
        self.assertEqual(list(states(self.sink.last).values()), ["draining"])

    def test_hangup_signal_changes_nothing(self) -> None:
        self.stop_web("1")
        self.assertEqual(len(self.sink.configurations), 1)

    def test_own_stop_signal_of_a_container_drains_and_term_does_not(self) -> None:
        self.engine.run("web-1", stop_signal="SIGQUIT")
        self.successResultOf(self.provider.refresh())
        self.world.tell(event("web-1", "update"))
        self.clock.advance(0.02)
        self.stop_web("15")
        self.assertEqual(list(states(self.sink.last).values()), ["ready"])
        self.stop_web("3")
        self.assertEqual(list(states(self.sink.last).values()), ["draining"])

    def test_draining_container_that_dies_is_taken_out(self) -> None:
        self.stop_web()
        self.engine.remove("web-1")
        self.world.tell(event("web-1", "die", at=3e9))
        self.assertEqual(self.sink.last.services, {})

    def test_draining_outlives_a_full_list(self) -> None:
        self.stop_web()
        self.successResultOf(self.provider.refresh())
        self.assertEqual(list(states(self.sink.last).values()), ["draining"])

    def test_container_that_does_not_stop_serves_again_after_its_time(self) -> None:
        self.engine.run("web-1", stop_timeout=3)
        self.world.tell(event("web-1", "update"))
        self.clock.advance(0.02)
        self.stop_web()
        self.clock.advance(7.9)
        self.assertEqual(list(states(self.sink.last).values()), ["draining"])
        self.clock.advance(0.2)
        self.assertEqual(list(states(self.sink.last).values()), ["ready"])
        self.assertEqual(self.sink.causes[-1], "container web-1 did not stop, and serves again")

    def test_restarted_container_serves_again_at_once(self) -> None:
        self.stop_web()
        self.world.tell(event("web-1", "die", at=3e9))
        self.engine.run("web-1", started="2080-01-01T00:00:00Z")
        self.world.tell(event("web-1", "start", at=4e9))
        self.clock.advance(0.02)
        self.assertEqual(list(states(self.sink.last).values()), ["ready"])

    def test_stop_while_the_first_list_is_read_is_not_forgotten(self) -> None:
        self.world.caller.holding = True
        self.start()
        self.world.caller.go_on()
        self.world.caller.holding = True
        self.stop_web()
        self.world.caller.go_on()
        self.assertEqual(list(states(self.sink.last).values()), ["draining"])


class TestLosing(ProviderCase):
    """The engine goes away, and comes back."""

    def setUp(self) -> None:
        super().setUp()
        self.engine.run("web-1")
        self.start()

    def test_end_of_the_stream_alone_is_no_loss(self) -> None:
        self.world.followers[-1].end()
        self.clock.advance(0.1)
        self.assertEqual(self.sink.losses, [])
        self.assertEqual(len(self.world.followers), 2)

    def test_stream_that_breaks_is_lost_until_it_is_back(self) -> None:
        self.world.followers[-1].end(EngineError("it sends rubbish"))
        self.assertEqual(self.sink.losses, ["it sends rubbish"])
        self.clock.advance(0.1)
        self.assertEqual(len(self.sink.configurations), 2)

    def test_changes_made_meanwhile_are_found_by_a_full_list(self) -> None:
        self.world.refuses = "gone"
        self.world.followers[-1].end()
        self.clock.pump([1] * 5)
        self.engine.remove("web-1")
        self.engine.run("web-2", ip="172.18.0.3")
        self.world.refuses = ""
        self.clock.advance(10)
        self.assertEqual(rules(self.sink.last), ["Host:web-2.example.com"])

    def test_what_was_published_stays_while_it_is_away(self) -> None:
        self.world.refuses = "gone"
        self.world.followers[-1].end()
        self.clock.pump([1] * 60)
        self.assertEqual(self.sink.losses, ["gone"])
        self.assertEqual(len(self.sink.configurations), 1)

    def test_thirty_days_away_cost_one_try_in_ten_seconds_and_then_it_recovers(self) -> None:
        self.world.refuses = "gone"
        self.world.followers[-1].end()
        before = self.world.connects
        self.clock.pump([10] * 1000)
        self.assertLess(self.world.connects - before, 1010)
        self.assertGreater(self.world.connects - before, 900)
        self.world.refuses = ""
        self.clock.advance(10)
        self.assertEqual(len(self.sink.configurations), 2)

    def test_stream_that_ends_at_once_again_and_again_is_not_a_busy_loop(self) -> None:
        before = self.world.connects
        for _ in range(600):
            self.world.followers[-1].end()
            self.clock.advance(0.1)
        self.assertLess(self.world.connects - before, 15)

    def test_list_that_fails_is_lost_and_read_again(self) -> None:
        self.engine.fails = EngineError("answers 500", 500)
        self.clock.advance(15)
        self.assertEqual(self.sink.losses, ["answers 500"])
        self.engine.fails = None
        self.clock.advance(1)
        self.assertEqual(len(self.sink.configurations), 2)

    def test_fault_of_our_own_is_reported_and_survived(self) -> None:
        self.engine.fails = ZeroDivisionError("oops")
        self.clock.advance(15)
        self.assertIn("oops", self.sink.losses[0])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_event_of_a_stream_that_was_given_up_is_not_heard(self) -> None:
        old = self.world.followers[-1]
        self.world.followers[-1].end()
        self.clock.advance(0.1)
        self.assertTrue(old.stopped)


class TestRepair(ProviderCase):
    """The periodic list finds what no event said."""

    def setUp(self) -> None:
        super().setUp()
        self.engine.run("web-1")
        self.start()
        self.engine.calls.clear()

    def test_unchanged_list_inspects_and_publishes_nothing(self) -> None:
        self.clock.advance(15)
        self.assertEqual(self.engine.calls, [("list", ())])
        self.assertEqual(len(self.sink.configurations), 1)

    def test_missed_start_is_found_and_only_that_container_inspected(self) -> None:
        self.engine.run("web-2", ip="172.18.0.3")
        self.clock.advance(15)
        self.assertEqual(self.engine.inspected(), [container_id("web-2")])
        self.assertEqual(len(self.sink.last.routers), 2)

    def test_silent_stream_is_replaced_when_a_list_shows_what_it_did_not_say(self) -> None:
        self.engine.run("web-2", ip="172.18.0.3")
        self.clock.pump([15, 2, 0.1])
        self.assertEqual(len(self.world.followers), 2)
        self.assertTrue(self.world.followers[0].stopped)
        self.assertEqual(self.sink.losses, [])

    def test_stream_that_is_only_late_is_kept(self) -> None:
        self.engine.run("web-2", ip="172.18.0.3")
        self.clock.advance(15)
        self.world.tell(event("web-2", "start"))
        self.clock.pump([2, 0.1])
        self.assertEqual(len(self.world.followers), 1)

    def test_empty_list_that_nobody_announced_is_asked_for_again(self) -> None:
        kept = dict(self.engine.containers)
        self.engine.containers.clear()
        self.clock.advance(15)
        self.assertEqual(len(self.sink.configurations), 1)
        self.engine.containers.update(kept)
        self.clock.advance(2)
        self.assertEqual(len(self.sink.configurations), 1)

    def test_list_that_stays_empty_is_believed(self) -> None:
        self.engine.containers.clear()
        self.clock.pump([15, 2])
        self.assertEqual(self.sink.last.routers, {})

    def test_container_that_turns_to_rubbish_keeps_its_route_and_gets_a_problem(self) -> None:
        self.engine.containers[container_id("web-1")]["Config"]["Labels"] = {"traefik.frontend.rule": 7}
        self.world.tell(event("web-1", "update"))
        self.clock.advance(0.02)
        self.assertIn("label traefik.frontend.rule", " ".join(map(str, self.sink.last.problems)))


class TestRefresh(ProviderCase):
    """Somebody asks for it."""

    def test_refresh_fires_after_publishing(self) -> None:
        self.start()
        self.engine.run("web-1")
        self.world.caller.holding = True
        asked = self.provider.refresh()
        self.assertNoResult(asked)
        self.world.caller.go_on()
        self.successResultOf(asked)
        self.assertEqual(len(self.sink.last.routers), 1)

    def test_refresh_while_the_engine_is_away_tries_at_once_and_fires(self) -> None:
        self.world.refuses = "gone"
        self.start()
        before = self.world.connects
        self.successResultOf(self.provider.refresh())
        self.assertEqual(self.world.connects, before + 1)

    def test_refresh_of_a_stopped_provider_fires_at_once(self) -> None:
        self.start()
        self.successResultOf(self.provider.stopService())
        self.successResultOf(self.provider.refresh())
        self.assertEqual(self.world.connects, 1)


class TestStopping(ProviderCase):
    """Nothing is left behind."""

    def test_stop_closes_everything_and_leaves_no_timer(self) -> None:
        self.engine.run("web-1")
        self.start()
        self.world.tell(event("web-1", "kill", signal="15"))
        self.successResultOf(self.provider.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertTrue(self.world.followers[-1].stopped)
        self.assertFalse(self.world.caller.running)

    def test_stop_while_connecting_closes_the_engine_that_comes_late(self) -> None:
        self.world.caller.holding = True
        self.start()
        self.successResultOf(self.provider.stopService())
        self.world.caller.go_on()
        self.assertEqual(self.engine.closes, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_provider_can_be_started_again(self) -> None:
        self.start()
        self.successResultOf(self.provider.stopService())
        self.engine.run("web-1")
        self.provider.startService()
        self.assertEqual(len(self.sink.last.routers), 1)

    def test_stream_that_never_opens_is_given_up(self) -> None:
        self.world._follow = lambda open_stream, listener: SilentFollower()  # type: ignore[method-assign,assignment]
        self.start()
        self.clock.advance(15)
        self.assertIn("does not send events", self.sink.losses[0])


class TestPlace(ProviderCase):
    """Where we run decides which address a container is reached at."""

    def test_network_shared_with_our_own_container_is_chosen(self) -> None:
        networks = {"a": {"IPAddress": "172.20.0.9"}, "shared": {"IPAddress": "172.21.0.9"}}
        self.engine.run("web-1", networks=networks)
        self.engine.run("proxy", labels={}, networks={"shared": {"IPAddress": "172.21.0.2"}})
        self.world.own_ids = (container_id("proxy")[:12],)
        self.start()
        urls = [server.url for one in self.sink.last.services.values() for server in one.servers]
        self.assertIn("http://172.21.0.9:80", urls)
