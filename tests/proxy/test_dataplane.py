"""The data plane: tables come in force without losing what goes on, and it ends when all is answered."""

from __future__ import annotations

import gc
import socket
import sys
import weakref
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from dynbalancer.control.counters import LocalCounters
from dynbalancer.core.exchange import RequestHead
from dynbalancer.core.model import Certificate, Configuration, EntryPoint, Middleware, Router, Server, Service
from dynbalancer.core.settings import AccessLogSettings, Limits, Settings
from dynbalancer.errors import NoServer
from dynbalancer.proxy import services, starttls, transports
from dynbalancer.proxy.arrivals import ProxiedArrivals
from dynbalancer.proxy.dataplane import DataPlane
from dynbalancer.proxy.encryption import EncryptedSite
from dynbalancer.proxy.transports import Encryption
from dynbalancer.proxy.upstream import LiveService, Upstream

sys.path.insert(0, str(Path(__file__).parent))
from wires import GET, OK, Servers, Wire

WEB = EntryPoint("web", 80)


class Listener:
    """Stands for a listening socket."""

    def __init__(self, reactor: object, sock: object, site: Any, tls: object = None) -> None:
        self.site = site
        self.tls = tls
        self.stopped = False

    def stopListening(self) -> None:
        self.stopped = True


def configuration(*hosts: str, **about: Any) -> Configuration:
    """A router for a.example and a service of these servers; ``about``: of the service."""
    servers = about.pop("servers", tuple(Server(f"http://{host}:80") for host in hosts))
    service = Service("web@x", servers, **about)
    return Configuration({"web@x": Router("web@x", "Host(`a.example`)", "web@x")}, {"web@x": service})


class Referenced(LiveService):
    """One that can be followed to its end."""

    __slots__ = ("__weakref__",)


class Bound:
    """A bound socket, and what was set on it."""

    closed = False

    def dup(self) -> Bound:
        return Bound()

    def close(self) -> None:
        self.closed = True

    def __init__(self) -> None:
        self.options: list[tuple[int, int, int]] = []

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self.options.append((level, option, value))


class PlaneCase(SynchronousTestCase):
    """A data plane with one entry point, whose servers all answer."""

    settings = Settings(entry_points=(WEB,))

    def setUp(self) -> None:
        self.clock = Clock()
        self.servers = Servers(self.clock)
        self.patch(transports, "connect", self.servers.connect)
        self.patch(transports, "listen", self._listen)
        self.plane = DataPlane(self.settings, self.clock, LocalCounters())
        self.plane.resource.date = None
        self.plane.start()
        self.plane.listen(WEB, Bound())  # type: ignore[arg-type]

    def _listen(self, reactor: object, sock: object, site: Any, tls: object) -> Listener:
        self.listener = Listener(reactor, sock, site, tls)
        return self.listener

    def client(self, request: bytes = b"") -> Wire:
        """A client that has connected, and has sent this."""
        protocol = self.listener.site.buildProtocol(None)
        wire = Wire(self.clock, protocol)
        protocol.makeConnection(wire)
        if request:
            wire.send(request)
        return wire

    def answered(self) -> str:
        """The host that answers the next request."""
        before = {id(wire): len(wire._arrived) for wire in self.servers.wires}
        client = self.client(GET)
        asked = [
            attempt
            for attempt in self.servers.attempts
            if attempt.wire is not None and len(attempt.wire._arrived) != before.get(id(attempt.wire), 0)
        ]
        assert asked[0].wire is not None
        asked[0].wire.send(OK)
        assert client.read() == OK
        return asked[0].host

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        found: tuple[Upstream, ...] = self.plane.table.services["web@x"].upstreams
        return found


class Tables(PlaneCase):
    """Tables that follow each other."""

    def test_nothing_is_found_before_the_first_table(self) -> None:
        assert b"404 page not found\n" in self.client(GET).read()

    def test_requests_go_round_the_servers(self) -> None:
        assert self.plane.take(configuration("one", "two", "three"), 1) == ()
        assert self.plane.table.number == 1
        assert [self.answered() for _ in range(6)] == ["one", "two", "three"] * 2

    def test_weight_and_state_count(self) -> None:
        servers = (
            Server("http://one:80", weight=2),
            Server("http://two:80"),
            Server("http://three:80", state="draining"),
        )
        self.plane.take(configuration(servers=servers), 1)
        assert sorted(self.answered() for _ in range(6)) == ["one"] * 4 + ["two"] * 2

    def test_equal_servers_keep_their_connections_and_their_turn(self) -> None:
        self.plane.take(configuration("one", "two"), 1)
        assert self.answered() == "one"
        before = self.upstreams
        self.plane.take(configuration("one", "two"), 2)
        assert self.upstreams == before
        assert self.answered() == "two"
        self.plane.take(configuration("one", "three", "two"), 3)
        assert (self.upstreams[0], self.upstreams[2]) == before
        assert self.answered() == "two"
        assert self.servers.hosts == ["one", "two"]

    def test_server_that_left_is_closed_and_what_it_has_finished(self) -> None:
        self.plane.take(configuration("one"), 1)
        self.answered()
        busy = self.client(GET)
        (gone,) = self.upstreams
        self.plane.take(configuration("two"), 2)
        assert (gone.gone, gone.up, gone.in_flight) == (True, False, 1)
        self.servers.wires[0].send(OK)
        assert busy.read() == OK
        assert (self.servers.wires[0].state, gone.in_flight) == ("aborted", 0)
        assert self.answered() == "two"

    def test_service_that_left_takes_its_connections_along(self) -> None:
        self.plane.take(configuration("one"), 1)
        self.answered()
        self.plane.take(Configuration(), 2)
        assert self.servers.wires[0].state == "aborted"

    def test_same_address_with_another_instance_gets_no_old_connection(self) -> None:
        self.plane.take(configuration(servers=(Server("http://one:80", instance="a"),)), 1)
        self.answered()
        self.plane.take(configuration(servers=(Server("http://one:80", instance="b"),)), 2)
        assert self.servers.wires[0].state == "aborted"
        assert self.answered() == "one"
        assert len(self.servers.wires) == 2

    def test_table_is_taken_in_steps_and_the_old_one_serves_until_it_is_swapped(self) -> None:
        self.plane.take(configuration("one"), 1)
        assert self.answered() == "one"
        answers, numbers = [], []
        for _ in self.plane.taking(configuration("two"), 2):
            numbers.append(self.plane.table.number)
            answers.append(self.answered())
        assert len(answers) > 5
        assert answers == [{1: "one", 2: "two"}[number] for number in numbers]
        assert numbers == sorted(numbers)
        assert set(numbers) == {1, 2}
        report = self.plane.report()
        served = {key: tally.count for key, tally in report.servers.items()}
        assert served == {
            "web@x http://one:80": 1 + answers.count("one"),
            "web@x http://two:80": answers.count("two"),
        }

    def test_large_table_is_let_go_in_steps(self) -> None:
        def many(word: str) -> Configuration:
            names = [f"r{number}@x" for number in range(600)]
            return Configuration(
                {name: Router(name, f"Host(`{name[:-2]}.{word}`)", name) for name in names},
                {name: Service(name, (Server(f"http://{word}"),)) for name in names},
            )

        self.patch(services, "LiveService", Referenced)
        self.plane.take(many("one"), 1)
        live = weakref.WeakSet(self.plane.table.services.values())
        left = []
        gc.disable()
        try:
            for _ in self.plane.taking(many("two"), 2):
                left.append(len(live))
        finally:
            gc.enable()
        assert (left[0], left[-1]) == (600, 0)
        assert max(before - after for before, after in pairwise(left)) <= 1
        assert self.plane.table.number == 2

    def test_middlewares_are_made_and_kept(self) -> None:
        wanted = configuration("one")
        prefix = Middleware("add@x", "addPrefix", {"prefix": "/p"})
        wanted = replace(
            wanted,
            middlewares={"add@x": prefix},
            routers={"web@x": replace(wanted.routers["web@x"], middlewares=("add@x",))},
        )
        assert self.plane.take(wanted, 1) == ()
        made = self.plane.table.middlewares["add@x"]
        self.client(GET)
        assert self.servers.wires[0].read().startswith(b"GET /p/ HTTP/1.1\r\n")
        self.plane.take(wanted, 2)
        assert self.plane.table.middlewares["add@x"] is made

    def test_what_cannot_be_used_is_a_problem_and_the_rest_works(self) -> None:
        wanted = configuration("one")
        wanted = replace(
            wanted,
            services={
                **wanted.services,
                "bad@x": Service("bad@x", (Server("ftp://one"),)),
                "odd@x": Service("odd@x", (Server("http://one"),), strategy="wr"),
            },
            middlewares={"no@x": Middleware("no@x", "adPrefix")},
        )
        problems = {problem.where: problem for problem in self.plane.take(wanted, 1)}
        assert problems["service bad@x"].why == "the scheme ftp isn't supported"
        assert problems["service odd@x"].why == "there is no strategy wr"
        assert problems["service odd@x"].hint == "did you mean wrr?"
        assert "adPrefix" in str(problems["middleware no@x"])
        assert self.answered() == "one"


class FakeTermination:
    """Answers no handshake, but keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def use(self, certificates: Iterable[Certificate]) -> None:
        self.told.append([certificate.name for certificate in certificates])

    def share_tickets(self, key: bytes) -> None:
        self.told.append(key)


class Encrypted(PlaneCase):
    """A data plane that speaks TLS on one entry point, and where a router asks for it on another."""

    secure = EntryPoint("websecure", 443, tls=True)
    settings = Settings(entry_points=(WEB, secure), limits=Limits(handshake_time=7.0))

    def setUp(self) -> None:
        super().setUp()
        self.termination = FakeTermination()
        self.plane = DataPlane(self.settings, self.clock, LocalCounters(), self.termination)
        self.plane.resource.date = None
        self.plane.start()

    def listen(self, entry_point: EntryPoint) -> Listener:
        self.plane.listen(entry_point, Bound())  # type: ignore[arg-type]
        return self.listener

    def test_entry_point_with_tls_speaks_nothing_else(self) -> None:
        listener = self.listen(self.secure)
        assert isinstance(listener.site, EncryptedSite)
        assert listener.tls == Encryption(self.termination, 7.0)

    def test_other_entry_points_hand_tls_over_once_a_router_asks_for_it(self) -> None:
        handed: list[Any] = []

        def encrypt(reactor: object, transport: object, data: bytes, *to: object) -> Deferred[None]:
            handed.append((data, *to))
            return Deferred()

        self.patch(starttls, "encrypt", encrypt)
        assert self.listen(WEB).tls is None
        wanted = configuration("one")
        self.plane.take(wanted, 1)
        assert b" 400 " in self.client(b"\x16\x03").read()
        router = replace(wanted.routers["web@x"], tls=True)
        self.plane.take(replace(wanted, routers={"web@x": router}), 2)
        assert self.client(b"\x16\x03").read() == b""
        ((data, site, tls),) = handed
        assert (data, tls) == (b"\x16\x03", Encryption(self.termination, 7.0))
        assert isinstance(site, EncryptedSite)

    def test_entry_point_that_takes_proxy_headers_reads_them_before_anything_else(self) -> None:
        handed: list[Any] = []

        def encrypt(reactor: object, transport: object, data: bytes, *to: object) -> Deferred[None]:
            handed.append((data, *to))
            return Deferred()

        self.patch(starttls, "encrypt", encrypt)
        for entry_point in (self.secure, WEB):
            listener = self.listen(replace(entry_point, proxy_trusted=("192.0.2.1",)))
            assert isinstance(listener.site, ProxiedArrivals)
            assert listener.tls is None
        self.plane.take(configuration("one"), 1)
        plain = self.client(b"PROXY TCP4 203.0.113.9 198.51.100.1 5555 443\r\n" + GET)
        assert b"X-Real-Ip: 203.0.113.9\r\n" in self.servers.wires[0].read()
        assert plain.state == "open"
        self.listener = self.listen(replace(self.secure, proxy_trust_all=True))
        self.client(b"PROXY UNKNOWN\r\n\x16\x03")
        ((data, site, tls),) = handed
        assert (data, tls) == (b"\x16\x03", Encryption(self.termination, 7.0))
        assert site.shaking == 1

    def test_certificates_are_told_when_they_change(self) -> None:
        wanted = replace(configuration("one"), certificates={"a": Certificate("a")})
        self.plane.take(wanted, 1)
        self.plane.take(replace(wanted, services={}), 2)
        self.plane.take(configuration("one"), 3)
        self.plane.share_tickets(b"key")
        assert self.termination.told == [["a"], [], b"key"]

    def test_handshakes_that_failed_are_counted_as_refusals(self) -> None:
        self.listen(self.secure).site.buildProtocol(None)
        assert self.plane.statistics.refusals == {"tls-handshake": 1}

    def test_handshake_that_goes_on_is_waited_for_but_not_long(self) -> None:
        shaking = self.listen(self.secure).site.buildProtocol(None)
        over: list[object] = []
        self.plane.drain(60).addCallback(over.append)
        self.clock.pump([0.1] * 15)
        assert over == []
        self.clock.pump([0.1] * 10)
        assert (over, shaking.site.shaking) == ([None], 1)


class Listening(PlaneCase):
    """What is set on a listening socket."""

    def test_connections_inherit_that_nagle_is_off(self) -> None:
        bound = Bound()
        self.plane.listen(WEB, bound)  # type: ignore[arg-type]
        assert bound.options == [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]


class Ending(PlaneCase):
    """The end of a data plane."""

    def drain(self, grace: float) -> list[object]:
        """Begin to; what is returned is filled when it is over."""
        over: list[object] = []
        self.plane.drain(grace).addCallback(over.append)
        return over

    def test_quiet_plane_ends_at_once_and_leaves_nothing(self) -> None:
        self.plane.take(configuration("one"), 1)
        self.answered()
        self.listener.site.drain()
        self.clock.advance(0)
        assert self.drain(10) == [None]
        assert self.listener.stopped
        assert self.servers.wires[0].state == "aborted"
        self.clock.advance(0)
        assert self.clock.getDelayedCalls() == []

    def test_request_in_flight_is_answered_first(self) -> None:
        self.plane.take(configuration("one"), 1)
        client = self.client(GET)
        over = self.drain(10)
        self.clock.pump([0.1] * 20)
        assert over == []
        self.servers.wires[0].send(OK)
        assert b"Connection: close\r\n" in client.read()
        self.clock.pump([0.1] * 2)
        assert over == [None]
        assert self.clock.getDelayedCalls() == []

    def test_request_that_takes_too_long_is_cut(self) -> None:
        self.plane.take(configuration("one"), 1)
        client = self.client(GET)
        over = self.drain(2)
        self.clock.pump([0.1] * 25)
        assert over == [None]
        assert (client.state, self.servers.wires[0].state) == ("aborted", "aborted")
        assert self.plane.statistics.statuses == {499: 1}


class Books(PlaneCase):
    """What a data plane counts and writes."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.settings = Settings(entry_points=(WEB,), access_log=AccessLogSettings(str(self.path)))
        super().setUp()

    def test_every_exchange_is_counted_and_written(self) -> None:
        self.plane.take(configuration("one"), 1)
        self.answered()
        self.client(GET.replace(b"a.example", b"b.example"))
        self.client(b"\x00\r\n\r\n")
        waiting = self.client(GET)
        found = self.plane.statistics
        assert (found.count, found.statuses) == (2, {200: 1, 404: 1})
        assert found.servers["web@x http://one:80"].count == 1
        assert (found.in_flight, found.open_connections) == (1, 4)
        assert found.refusals == {"control-character": 1}
        waiting.reset()
        self.clock.advance(1)
        assert [line.split('" ')[1][:3] for line in self.path.read_text().splitlines()] == [
            "200",
            "404",
            "499",
        ]

    def test_reports_have_what_changed(self) -> None:
        self.plane.take(configuration("one"), 1)
        self.answered()
        waiting = self.client(GET)
        first = self.plane.report()
        assert first.routers["web@x"].count == 1
        assert first.servers["web@x http://one:80"].in_flight == first.in_flight == 1
        waiting.reset()
        assert self.plane.report().servers["web@x http://one:80"].in_flight == 0
        last = self.plane.report()
        assert (last.routers, last.servers, last.in_flight) == ({}, {}, 0)
        assert (last.statuses, self.plane.unreported) == ({200: 1, 499: 1}, 0)

    def test_reports_say_which_breakers_are_open_as_long_as_they_are_in_force(self) -> None:
        wanted = configuration("one")
        breaker = Middleware("cb@x", "circuitBreaker", {"expression": "NetworkErrorRatio() > 0.1"})
        router = replace(wanted.routers["web@x"], middlewares=("cb@x",))
        self.plane.take(replace(wanted, middlewares={"cb@x": breaker}, routers={"web@x": router}), 1)
        assert self.plane.report().breakers == {}
        self.servers.broken["one"] = Refused()
        self.client(GET)
        self.clock.advance(0)
        [((middleware, by), (state, left))] = self.plane.report().breakers.items()
        assert (middleware, by, state, round(left)) == ("cb@x", "web@x", "open", 10)
        self.plane.take(wanted, 2)
        assert self.plane.report().breakers == {}

    def test_lines_that_could_not_be_written_are_reported(self) -> None:
        assert self.plane.report().lost_lines == 0
        assert self.plane._access_log is not None
        self.plane._access_log.lost = 2
        assert self.plane.report().lost_lines == 2

    def test_counts_outlive_a_server(self) -> None:
        self.plane.take(configuration("one"), 1)
        self.answered()
        self.plane.take(configuration("two"), 2)
        assert self.plane.statistics.servers["web@x http://one:80"].count == 1
        assert self.plane.statistics.services["web@x"].count == 1

    def test_logs_are_opened_again(self) -> None:
        self.path.rename(self.path.with_suffix(".1"))
        self.plane.reopen_logs()
        assert self.path.exists()
        self.plane.drain(0)
        assert self.clock.getDelayedCalls() == []


class NoBooks(PlaneCase):
    """A data plane that writes no access log."""

    def test_nothing_is_opened(self) -> None:
        self.plane.reopen_logs()
        assert self.plane.statistics.count == 0


class Pool:
    """Stands for the reactor's thread pool: a test lets each function run."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def callInThreadWithCallback(self, done: Any, function: Any, *arguments: Any) -> None:
        self.waiting.append(lambda: done(True, function(*arguments)))


class Threads(PlaneCase):
    """What middlewares may run beside the reactor."""

    def setUp(self) -> None:
        super().setUp()
        self.pool = Pool()
        reactor: Any = self.clock
        reactor.getThreadPool = lambda: self.pool
        reactor.callFromThread = lambda function, *arguments: function(*arguments)

    def test_two_functions_run_at_a_time_and_the_rest_wait_their_turn(self) -> None:
        in_thread: Any = self.plane._offers["in_thread"]
        results: list[int] = []
        for number in range(3):
            in_thread(divmod, number * 10, 3).addCallback(lambda pair: results.append(pair[0]))
        assert len(self.pool.waiting) == 2
        for number in range(3):
            self.pool.waiting[number]()
        assert results == [0, 3, 6]

    def test_thread_that_nobody_waits_for_any_more_keeps_its_place(self) -> None:
        in_thread: Any = self.plane._offers["in_thread"]
        for found in [in_thread(divmod, 1, 1) for _ in range(2)]:
            found.addErrback(lambda _: None)
            found.cancel()
        last = in_thread(divmod, 7, 2)
        assert len(self.pool.waiting) == 2
        for number in range(3):
            self.pool.waiting[number]()
        assert self.successResultOf(last) == (3, 1)

    def test_what_new_types_of_middlewares_need_is_imported_in_a_thread_once(self) -> None:
        wanted = [Middleware("a@x", "Compress"), Middleware("b@x", "nothingLikeIt")]
        loading = self.plane.loading(wanted)
        assert loading is not None
        assert len(self.pool.waiting) == 1
        self.pool.waiting[0]()
        self.successResultOf(loading)
        assert self.plane.loading(wanted) is None

    def test_what_a_table_has_made_needs_no_thread(self) -> None:
        prefix = Middleware("add@x", "addPrefix", {"prefix": "/p"})
        self.plane.take(replace(configuration("one"), middlewares={"add@x": prefix}), 1)
        assert self.plane.loading([prefix]) is None

    def test_answers_without_a_date_get_that_of_the_clock_on_the_wall(self) -> None:
        date = DataPlane(self.settings, self.clock, LocalCounters()).resource.date
        assert date is not None
        assert date().startswith(b"Date: ") and date().endswith(b" GMT\r\n")

    def test_secret_is_that_of_the_settings_or_drawn(self) -> None:
        told = Settings(entry_points=(WEB,), secret="c0ffee")
        assert DataPlane(told, self.clock, LocalCounters())._offers["secret"] == b"\xc0\xff\xee"
        drawn = self.plane._offers["secret"]
        assert isinstance(drawn, bytes) and len(drawn) == 32


class Asking(PlaneCase):
    """What middlewares may ask of servers."""

    def test_server_elsewhere_is_asked(self) -> None:
        found = self.plane._offers["fetch"]("GET", "http://auth.example:81/x")
        self.clock.advance(0)
        assert self.servers.attempts[-1].port == 81
        wire = self.servers.wires[-1]
        assert wire.read() == b"GET /x HTTP/1.1\r\nHost: auth.example:81\r\n\r\n"
        wire.send(OK)
        assert self.successResultOf(found).body == b"ok"

    def test_servers_of_a_service_are_asked_by_its_name(self) -> None:
        self.plane.take(configuration("one", "two"), 1)
        ask = self.plane._offers["ask"]
        for name, host in (("web", "one"), ("web@x", "two")):
            found = ask(name, "m@x", RequestHead(path=b"/500.html"))
            self.clock.advance(0)
            assert self.servers.hosts[-1] == host
            wire = self.servers.wires[-1]
            assert wire.read().startswith(b"GET /500.html HTTP/1.1\r\nHost: %b" % host.encode())
            wire.send(OK)
            assert self.successResultOf(found).status == 200

    def test_service_that_is_not_there_is_said(self) -> None:
        found = self.plane._offers["ask"]("gone", "m@x", RequestHead())
        assert 'service "gone@x"' in self.failureResultOf(found, NoServer).value.why

    def test_trust_is_obeyed(self) -> None:
        trust = self.plane._offers["trusting"](insecure=True)
        self.plane._offers["fetch"]("GET", "https://auth.example/", trust=trust).addErrback(lambda _: None)
        assert self.servers.attempts[-1].about["tls"] is trust

    def test_connections_are_closed_at_the_end(self) -> None:
        found = self.plane._offers["fetch"]("GET", "http://auth.example/")
        self.clock.advance(0)
        self.servers.wires[-1].send(OK)
        self.successResultOf(found)
        self.plane.drain(1)
        self.clock.advance(0)
        assert self.servers.wires[-1].state == "aborted"


class Offers(PlaneCase):
    """What else middlewares are given."""

    def test_memory_is_that_of_the_counters(self) -> None:
        counters = LocalCounters()
        assert DataPlane(self.settings, self.clock, counters)._offers["shared"] is counters.regions

    def test_later_fires_then(self) -> None:
        fired: list[object] = []
        self.plane._offers["later"](2.0).addCallback(fired.append)
        self.clock.advance(1.9)
        assert fired == []
        self.clock.advance(0.2)
        assert fired == [None]

    def test_what_is_said_is_logged(self) -> None:
        with capturedLogs() as logs:
            self.plane._offers["say"]("A breaker {opens}")
        assert [formatEvent(log) for log in logs] == ["A breaker {opens}"]
