"""How the parts are joined, in which order they start and end, and what a wrong start says."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.application.service import Application, IService, Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dynbalancer import tap
from dynbalancer.control.privileges import Plan
from dynbalancer.control.router import RouterService
from dynbalancer.control.supervisor import Supervisor
from dynbalancer.core.model import Configuration, EntryPoint, HealthCheck, Router, Server
from dynbalancer.core.model import Service as Definition
from dynbalancer.core.settings import ApiSettings, Settings
from dynbalancer.core.table import compile_table
from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer.interfaces import IWorkforce
from dynbalancer.start import logs
from dynbalancer.start.options import Options
from dynbalancer.start.sockets import PortError

WEB = EntryPoint("web", 0, "127.0.0.1")


class Sock:
    """A bound socket."""

    def __init__(self) -> None:
        self.closed = False

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 4711

    def close(self) -> None:
        self.closed = True


class Opener:
    """Opens sockets, and refuses the port of one flag."""

    def __init__(self, refused: str = "") -> None:
        self.refused = refused
        self.opened: list[tuple[str, int, str]] = []
        self.sockets: list[Sock] = []

    def __call__(self, host: str, port: int, flag: str) -> Any:
        if flag == self.refused:
            raise PortError(f"port {port} is taken; choose another with {flag}")
        self.opened.append((host, port, flag))
        self.sockets.append(Sock())
        return self.sockets[-1]


def router_on(reactor: Any) -> RouterService:
    """A router whose tables have no middlewares to make."""

    def compiled(configuration: Configuration, number: int, previous: Any) -> Any:
        made = {"make_middleware": lambda d: d, "make_service": lambda s, p: s}
        return compile_table(configuration, [WEB], number=number, previous=previous, **made)

    return RouterService(compiled, reactor, throttle=0)


class Diary(Service):
    """A service that notes when it starts and stops; ``end`` lets its end be waited for."""

    def __init__(self, name: str, diary: list[str], end: Deferred[None] | None = None) -> None:
        self.name = name
        self.diary = diary
        self.end = end
        self.stopping = False
        self.refreshed: Deferred[None] = succeed(None)

    def startService(self) -> None:
        super().startService()
        self.diary.append(f"start {self.name}")

    def stopService(self) -> Any:
        super().stopService()
        self.diary.append(f"stop {self.name}")
        return self.end

    def refresh(self) -> Deferred[None]:
        self.diary.append(f"refresh {self.name}")
        return self.refreshed

    def reopen_logs(self) -> None:
        self.diary.append("reopen logs")


class Dog:
    """A watchdog that notes when it watches."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.stalls = 3

    def start(self) -> None:
        self.told.append("start")

    def stop(self) -> None:
        self.told.append("stop")


class NoSignals:
    """Notes that signals were taken over and given back."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def install(self) -> None:
        self.told.append("install")

    def remove(self) -> None:
        self.told.append("remove")


class BalancerTests(SynchronousTestCase):
    """Services that keep a diary in the places of the real ones."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.router = router_on(self.reactor)
        self.sinks = [self.router.sink_for("a"), self.router.sink_for("b")]
        self.diary: list[str] = []
        self.providers = [Diary("a", self.diary), Diary("b", self.diary)]
        self.signals: Any = NoSignals()
        self.became: list[Plan] = []
        self.balancer = self.make()

    def make(self, **more: Any) -> tap.Balancer:
        settings = Settings(entry_points=(WEB,), providers={"a": {}, "b": {}})
        notes = (Problem("--x", "odd", "", "warning"),)
        made = tap.Balancer(
            settings,
            notes,
            self.router,
            self.providers,
            self.reactor,
            signals=self.signals,
            become=self.became.append,
            **more,
        )
        made.statistics = Diary("statistics", self.diary)
        made.forwarding = Diary("forwarding", self.diary)
        made.admin = Diary("admin", self.diary)
        return made

    def test_a_log_file_is_opened_anew_with_the_others(self) -> None:
        path = Path(self.mktemp())
        observer = logs.LogFile("info", str(path))
        self.addCleanup(observer.close)
        balancer = self.make(observer=observer)
        path.unlink()
        balancer.reopen_logs()
        assert path.exists()

    def test_nothing_starts_when_it_is_made(self) -> None:
        assert self.diary == []
        assert self.reactor.getDelayedCalls() == []
        assert self.signals.told == []

    def test_root_is_given_up_before_anything_starts(self) -> None:
        plan = Plan(1, 2, 3, 4)
        balancer = self.make(plan=plan)
        balancer.privilegedStartService()
        assert self.became == [plan]
        assert self.diary == []

    def test_without_a_plan_nothing_is_given_up(self) -> None:
        self.balancer.privilegedStartService()
        assert self.became == []

    def test_forwarding_begins_when_every_provider_has_spoken(self) -> None:
        self.balancer.startService()
        assert self.diary == ["start statistics", "start admin", "start a", "start b"]
        self.sinks[0].publish(Configuration())
        assert "start forwarding" not in self.diary
        self.sinks[1].lost("no engine")
        assert self.diary[-1] == "start forwarding"
        self.balancer.stopService()
        assert self.reactor.getDelayedCalls() == []

    def test_a_provider_that_says_nothing_is_not_waited_for_for_ever(self) -> None:
        self.balancer.startService()
        self.reactor.advance(tap.PATIENCE)
        assert self.diary[-1] == "start forwarding"

    def test_the_end_drains_first_while_the_rest_still_runs(self) -> None:
        end: Deferred[None] = Deferred()
        self.balancer.forwarding.end = end
        self.balancer.startService()
        self.reactor.advance(tap.PATIENCE)
        self.diary.clear()
        done = self.balancer.stopService()
        assert self.diary == ["stop forwarding"]
        assert self.balancer.admin.stopping
        self.assertNoResult(done)
        end.callback(None)
        self.successResultOf(done)
        assert self.diary[1:] == ["stop b", "stop a", "stop admin", "stop statistics"]
        assert self.signals.told == ["install", "remove"]

    def test_requests_are_still_accepted_for_a_while_where_the_settings_say_so(self) -> None:
        balancer = self.make()
        balancer.settings = replace(balancer.settings, accept_grace=5.0)
        balancer.startService()
        self.reactor.advance(tap.PATIENCE)
        self.diary.clear()
        done = balancer.stopService()
        assert balancer.admin is not None and balancer.admin.stopping
        self.reactor.advance(4.9)
        assert self.diary == []
        self.assertNoResult(done)
        self.reactor.advance(0.2)
        self.successResultOf(done)
        assert self.diary[0] == "stop forwarding"

    def test_the_loop_is_watched_while_something_is_forwarded(self) -> None:
        dog: Any = Dog()
        balancer = self.make(watchdog=dog)
        assert balancer.stalls() == 3
        self.reactor.running = True
        balancer.startService()
        assert dog.told == []
        self.reactor.advance(tap.PATIENCE)
        assert dog.told == ["start"]
        balancer.stopService()
        assert dog.told == ["start", "stop"]
        assert self.balancer.stalls() == 0

    def test_the_end_comes_even_where_draining_fails(self) -> None:
        self.balancer.forwarding.end = fail(ValueError("a bug"))
        self.balancer.startService()
        self.reactor.advance(tap.PATIENCE)
        self.successResultOf(self.balancer.stopService())
        assert self.diary[-1] == "stop statistics"
        assert len(self.flushLoggedErrors(ValueError)) == 1

    def test_an_end_before_anything_was_forwarded(self) -> None:
        self.balancer.startService()
        self.successResultOf(self.balancer.stopService())
        assert "stop forwarding" not in self.diary
        assert self.reactor.getDelayedCalls() == []

    def test_a_reload_asks_every_provider_even_if_one_fails(self) -> None:
        self.providers[0].refreshed = fail(ValueError("a bug"))
        self.balancer.reload()
        assert self.diary == ["refresh a", "refresh b", "reopen logs"]
        assert len(self.flushLoggedErrors(ValueError)) == 1

    def test_under_twistd_our_lines_are_its_log(self) -> None:
        application = Application("dynbalancer")
        observer: Any = object()
        balancer = self.make(observer=observer)
        balancer.setServiceParent(application)
        assert application.getComponent(ILogObserver) is observer
        assert list(IService(application)) == [balancer]


class InProcessTests(SynchronousTestCase):
    """Forwarding without workers."""

    def setUp(self) -> None:
        self.told: list[Any] = []
        self.router = router_on(MemoryReactorClock())
        self.sink = self.router.sink_for("a")
        told, drained = self.told, succeed(None)

        class DataPlane:
            """Keeps what it is told."""

            def start(self) -> None:
                told.append("start")

            def take(self, configuration: Configuration, number: int) -> None:
                told.append(("take", number))

            def listen(self, point: EntryPoint, sock: object) -> None:
                told.append(("listen", point.name, sock))

            def drain(self, grace: float) -> Deferred[None]:
                told.append(("drain", grace))
                return drained

            def reopen_logs(self) -> None:
                told.append("reopen")

        settings = Settings(entry_points=(WEB,), grace=7.0)
        sockets: Any = {"web": "the socket"}
        self.forwarding = tap.InProcess(settings, self.router, sockets, DataPlane())

    def test_it_is_a_workforce_without_workers(self) -> None:
        assert verifyObject(IWorkforce, self.forwarding)
        assert self.forwarding.workers == ()

    def test_it_takes_the_table_before_it_listens_and_follows_it(self) -> None:
        self.forwarding.startService()
        assert self.told == ["start", ("take", 0), ("listen", "web", "the socket")]
        self.sink.publish(Configuration(problems=(Problem("x", "y"),)))
        assert len(self.told) == 3, "the same table again is no news"
        web = Router("w", "Host(`a.example`)", "w")
        self.sink.publish(Configuration({"w": web}, {"w": Definition("w", (Server("http://192.0.2.1"),))}))
        assert self.told[-1] == ("take", 1)

    def test_it_drains_when_it_stops_and_hears_no_more_tables(self) -> None:
        self.forwarding.startService()
        self.successResultOf(self.forwarding.stopService())
        assert self.told[-1] == ("drain", 7.0)

    def test_logs_are_reopened(self) -> None:
        self.forwarding.reopen_logs()
        assert self.told == ["reopen"]


class AssembleTests(SynchronousTestCase):
    """The real parts, not started."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.opener = Opener()

    def assemble(self, **settings: Any) -> tap.Balancer:
        wanted = Settings(**{"entry_points": (WEB,), "workers": 1, **settings})
        return tap.assemble(wanted, (), self.reactor, open_listening=self.opener, environ={})

    def test_every_port_is_bound_and_one_that_the_system_chose_is_known(self) -> None:
        balancer = self.assemble(api=ApiSettings("", 8080))
        assert self.opener.opened == [
            ("127.0.0.1", 0, "--entrypoints.web.address"),
            ("", 8080, "--api.address"),
        ]
        assert balancer.settings.entry_points[0].port == 4711
        assert balancer.router.table.entry_points[0].port == 4711
        assert len(bytes.fromhex(balancer.settings.secret)) == 32
        assert balancer.admin is not None

    def test_entry_points_for_datagrams_have_sockets_of_their_own_kind(self) -> None:
        datagrams = Opener()
        points = (WEB, EntryPoint("dns", 53, udp=True))
        bound = tap.Bound.open(Settings(entry_points=points), self.opener, datagrams)
        assert list(bound.sockets) == ["web", "dns"]
        assert datagrams.opened == [("", 53, "--entrypoints.dns.address")]
        assert len(self.opener.opened) == 1

    def test_nothing_has_started(self) -> None:
        balancer = self.assemble(providers={"demo": {"period": 4.0}}, api=ApiSettings())
        assert list(balancer) == []
        assert self.reactor.getDelayedCalls() == []
        assert self.reactor.tcpServers == []
        assert [provider.name for provider in balancer.providers] == ["demo"]
        assert [status.state for status in balancer.router.providers] == ["fresh", "waiting"]

    def test_routers_may_lead_to_the_listener_of_the_api_where_there_is_one(self) -> None:
        services = self.assemble(api=ApiSettings()).router.configuration.services
        assert [server.url for server in services["api@internal"].servers] == ["http://127.0.0.1:4711"]
        assert list(self.assemble().router.configuration.services) == ["noop@internal"]

    def test_workers_or_this_process_forward(self) -> None:
        assert isinstance(self.assemble(workers=2).forwarding, Supervisor)
        assert len(self.assemble(workers=2).forwarding.workers) == 2
        alone = self.assemble(workers=0)
        assert isinstance(alone.forwarding, tap.InProcess)
        assert alone.statistics.totals().count == 0
        assert alone.forwarding._data_plane.resource.watchdog is alone.watchdog

    def test_servers_with_a_health_check_are_asked_by_this_process(self) -> None:
        balancer = self.assemble(workers=2)
        service = Definition("web", (Server("http://10.0.0.1:80"),), health_check=HealthCheck("/health"))
        balancer.router.startService()
        balancer.health.startService()
        balancer.router.sink_for("file").publish(Configuration(services={"web": service}))
        self.reactor.pump([0.6] * 2)
        assert self.reactor.tcpClients[0][:2] == ("10.0.0.1", 80)
        standing = balancer.health.standing("web@file", "http://10.0.0.1:80", "")
        assert standing is not None and standing.up
        balancer.health.stopService()
        balancer.router.stopService()

    def test_a_port_that_is_taken_gives_the_others_back(self) -> None:
        self.opener.refused = "--api.address"
        with self.assertRaises(PortError):
            self.assemble(api=ApiSettings())
        assert [sock.closed for sock in self.opener.sockets] == [True]

    def test_a_provider_that_can_not_work_gives_all_ports_back(self) -> None:
        with self.assertRaises(ConfigurationError):
            self.assemble(providers={"demo": {"period": 0.1}}, api=ApiSettings())
        assert [sock.closed for sock in self.opener.sockets] == [True, True]


class MakeServiceTests(SynchronousTestCase):
    """What the terminal and the exit code say of a wrong start."""

    def end_of(self, *argv: str) -> tuple[object, str]:
        """Exit code and words of a start with these flags."""
        options = Options()
        options.parseOptions(argv)
        said = io.StringIO()
        self.patch(sys, "stderr", said)
        with self.assertRaises(SystemExit) as caught:
            tap.makeService(options)
        return caught.exception.code, said.getvalue()

    def test_a_taken_port_is_one_sentence_and_exit_code_1(self) -> None:
        self.patch(tap.sockets, "open_listening", Opener("--entrypoints.web.address"))
        code, said = self.end_of("--entrypoints.web.address=:80")
        assert code == 1
        assert said == "dynbalancer: port 80 is taken; choose another with --entrypoints.web.address\n"

    def test_a_provider_that_can_not_work_is_one_sentence_and_exit_code_2(self) -> None:
        self.patch(tap.sockets, "open_listening", Opener())
        code, said = self.end_of("--demo.period=0.1s")
        assert code == 2
        assert said.startswith("dynbalancer: --demo.period: 0.1s is too short")

    def test_our_lines_go_where_twistd_was_told_to_write(self) -> None:
        options: Any = Options()
        assert tap.chosen_observer(options) is None
        options.parent = {"nodaemon": True}
        assert tap.chosen_observer(options) is not None
        options.parent = {"nodaemon": True, "syslog": True}
        assert tap.chosen_observer(options) is None

    def test_our_lines_go_to_the_file_that_the_settings_name(self) -> None:
        options: Any = Options()
        options.settings = Settings(log_file=f"{self.mktemp()}/logs/a.log")
        found = tap.chosen_observer(options)
        assert isinstance(found, logs.LogFile)
        found.close()
        assert Path(options.settings.log_file).exists()
        # Whoever starts twistd with a file means that one.
        options.parent = {"nodaemon": True, "logfile": self.mktemp()}
        other = tap.chosen_observer(options)
        assert isinstance(other, logs.LogFile)
        other.close()
        assert Path(options.parent["logfile"]).exists()
