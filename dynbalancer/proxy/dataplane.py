"""The data plane of one process: entry points, the table in force, upstreams, logs. Workers have one each."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Generator, Iterable, Mapping
from functools import partial
from itertools import chain
from random import random
from secrets import token_bytes
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore, fail, succeed
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from dynbalancer import pem
from dynbalancer.core.exchange import RequestHead, Response
from dynbalancer.core.model import NOTHING, Configuration, EntryPoint, Middleware, ServersTransport, Service
from dynbalancer.core.references import found
from dynbalancer.core.schema import no_such_type
from dynbalancer.core.settings import Settings
from dynbalancer.core.statistics import Report, Totals
from dynbalancer.core.streamtable import compile_streams
from dynbalancer.core.table import RoutingTable, compiling_table, completed
from dynbalancer.core.tlschoice import with_objections
from dynbalancer.errors import ConfigurationError, NoServer, Problem, did_you_mean
from dynbalancer.middlewares.connections import connection_middleware
from dynbalancer.plugins import balancer_makers, middleware_makers
from dynbalancer.proxy.accesslog import AccessLog
from dynbalancer.proxy.admission import admission_of
from dynbalancer.proxy.datagrams import DatagramEntrance
from dynbalancer.proxy.dates import Dates
from dynbalancer.proxy.deadlines import Deadlines
from dynbalancer.proxy.descriptors import Descriptors, allowed
from dynbalancer.proxy.entrances import Entrance
from dynbalancer.proxy.flowing import Flowing
from dynbalancer.proxy.http1 import LINGER_TIME
from dynbalancer.proxy.inquiry import Inquiring
from dynbalancer.proxy.memory import Ebb, Memory, memory_measure
from dynbalancer.proxy.resource import ReverseProxyResource, Watchful
from dynbalancer.proxy.services import balanced, composed
from dynbalancer.proxy.site import Site
from dynbalancer.proxy.statistics import REPORTED, Counting
from dynbalancer.proxy.streamservers import MakingStreams
from dynbalancer.proxy.transports import Encryption, clock_of
from dynbalancer.proxy.upstream import Connecting, LiveService, Upstream

#: How many slow functions run beside the reactor at a time. They share its processors; more would take its turns.
THREADS = 2

#: Where more than so many routers and services changed at once, the old ones are let go little by little.
MANY = 500


class DataPlane:
    """Listens, routes by the table it was last given, forwards. Has a ``table``: it is the resource's router."""

    def __init__(self, settings: Settings, reactor: Any, counters: Any, termination: Any = None) -> None:
        """``counters.slot(name)`` gives the row of whole numbers that a service's balancer steps through;
        ``counters.regions`` is the memory that all workers share for their limits.

        ``termination`` (an ITermination) answers TLS handshakes; without one no TLS is spoken.
        """
        self._settings = settings
        self._termination = termination
        self._reactor = reactor
        self._counters = counters
        self._log = Logger()
        self._deadlines = Deadlines(reactor)
        self._connecting = self._ways(None)
        self._counting = Counting(self._connecting.used)
        silent = frozenset(point.name for point in settings.entry_points if not point.access_log)
        self._access_log = (
            AccessLog(settings.access_log, reactor, silent=silent)
            if settings.access_log is not None
            else None
        )
        self._middleware_makers = middleware_makers()
        self._balancer_makers = balancer_makers()
        self._transports: Mapping[str, ServersTransport] = NOTHING
        self._connectings: dict[str, tuple[ServersTransport, Connecting]] = {}
        self._threads = DeferredSemaphore(THREADS)
        self._inquiring = Inquiring(
            self._ways, clock=clock_of(reactor), later=reactor.callLater, retries=settings.retries
        )
        self._offers = self._offered(settings)
        self._entrances: list[Entrance | DatagramEntrance] = []
        self._making_streams = MakingStreams(counters, clock_of(reactor))
        self._refusals: dict[str, int] = {}
        self._flowing = Flowing()
        self._breakers: dict[str, Any] = {}
        self._loaded: set[str] = set()
        self.table: RoutingTable = completed(self._compiling(Configuration(), 0))
        self.resource = self._made_resource()
        self._memory = self._memory_watched(settings.limits.memory)
        self._ebb = Ebb(self._open_connections, reactor)

    def _made_resource(self) -> ReverseProxyResource:
        clock = clock_of(self._reactor)
        observers = [one for one in (self._counting, self._access_log) if one is not None]
        resource = ReverseProxyResource(
            self,
            observers,
            clock=clock,
            server_name=socket.gethostname(),
            retries=self._settings.retries,
            refusals=self._refusals,
            later=self._reactor.callLater,
        )
        resource.date = Dates().line
        resource.descriptors = Descriptors(allowed(), self._refusals, clock)
        return resource

    def _offered(self, settings: Settings) -> dict[str, Any]:
        """What middlewares may use; see IMiddlewareMaker."""
        return {
            "clock": clock_of(self._reactor),
            "fetch": self._inquiring.fetch,
            "ask": self._ask,
            "trusting": pem.client_context,
            "in_thread": self._in_thread,
            "secret": bytes.fromhex(settings.secret) or token_bytes(32),
            "entry_points": {point.name: point for point in settings.entry_points},
            "shared": self._counters.regions,
            "later": self._later,
            "say": self._say,
        }

    # Life.

    def start(self) -> None:
        """Begin to keep deadlines and to write logs."""
        self._deadlines.start()
        self._ebb.start()
        if self._access_log is not None:
            self._access_log.start()
        if self._memory is not None:
            self._memory.start()

    def listen(self, entry_point: EntryPoint, sock: socket.socket) -> None:
        """Serve an entry point on a bound, non-blocking socket, which listens where it isn't for datagrams."""
        if entry_point.udp:
            datagrams = DatagramEntrance(
                entry_point,
                sock,
                reactor=self._reactor,
                deadlines=self._deadlines,
                refuse=self.resource.note_refusal,
                flowing=self._flowing,
                table=lambda: self.table,
            )
            self._entrances.append(datagrams)
            datagrams.open()
            return
        # Accepted connections inherit it: one call in place of one for each.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        limits, termination = self._settings.limits.at(entry_point), self._termination
        entrance = Entrance(
            entry_point,
            sock,
            reactor=self._reactor,
            resource=self.resource,
            limits=limits,
            deadlines=self._deadlines,
            tls=None if termination is None else Encryption(termination, limits.handshake_time),
            flowing=self._flowing,
            table=lambda: self.table,
            admission=admission_of(
                entry_point,
                self._counters.regions,
                self._offers["secret"],
                self._refusals,
                self._offers["clock"],
            ),
        )
        self._entrances.append(entrance)
        entrance.open()

    def drain(self, grace: float) -> Deferred[None]:
        """Accept no more, finish what is in flight within ``grace`` seconds, cut the rest. Fires when all is quiet."""
        self._ebb.stop()
        if self._memory is not None:
            # Or it would let connections be kept again.
            self._memory.stop()
        for entrance in self._entrances:
            entrance.close()
            entrance.drain()
        if not self._open_connections() and not self._shaking():
            self._stop()
            return succeed(None)
        done: Deferred[None] = Deferred()
        now = self._reactor.seconds()
        end, patient = now + grace, now + min(grace, LINGER_TIME)

        def look() -> None:
            now = self._reactor.seconds()
            if self._open_connections() and now >= end:
                for entrance in self._entrances:
                    entrance.abort()
            if not self._open_connections() and (now >= patient or not self._shaking()):
                looking.stop()
                self._stop()
                done.callback(None)

        looking = LoopingCall(look)
        looking.clock = self._reactor
        looking.start(0.05, now=False)
        return done

    def _stop(self) -> None:
        self._deadlines.stop()
        self._inquiring.stop()
        for live in self.table.services.values():
            for upstream in live.upstreams:
                upstream.retire()
        if self._access_log is not None:
            self._access_log.stop()

    def watched_by(self, watchdog: Watchful) -> None:
        """Wake it, should it doze, when a request comes."""
        self.resource.watchdog = watchdog

    def reopen_logs(self) -> None:
        """Log files were moved away: go on in new ones."""
        if self._access_log is not None:
            self._access_log.reopen()

    def _memory_watched(self, limit: int) -> Memory | None:
        measure = memory_measure(limit)
        return None if measure is None else Memory(measure, self.resource, self._sites, self._reactor)

    def _sites(self) -> list[Site]:
        streaming = [entrance for entrance in self._entrances if isinstance(entrance, Entrance)]
        return [party for entrance in streaming for party in entrance.parties if isinstance(party, Site)]

    def _open_connections(self) -> int:
        return sum(entrance.open_connections for entrance in self._entrances)

    def _shaking(self) -> int:
        return sum(entrance.shaking for entrance in self._entrances)

    @property
    def statistics(self) -> Totals:
        """What this process served since its start. Slow where there are many routers."""
        return self._counting.totals(open_connections=self._open_connections(), refusals=self._all_refusals())

    def report(self, most: int = REPORTED) -> Report:
        """What changed since the last reports, for at most so many routers and servers; see :attr:`unreported`."""
        report = self._counting.report(
            most, open_connections=self._open_connections(), refusals=self._all_refusals()
        )
        report.flows = self._flowing.report(most)
        report.breakers = {
            (name, router): (state, left)
            for name, breaker in self._breakers.items()
            for router, state, left in breaker.standings()
        }
        report.lost_lines = self._access_log.lost if self._access_log is not None else 0
        return report

    @property
    def unreported(self) -> int:
        """How many names the next reports are still about. Those with news since then come after them."""
        return self._counting.due + self._flowing.due

    def _all_refusals(self) -> dict[str, int]:
        failed = sum(entrance.failed for entrance in self._entrances)
        return {**self._refusals, "tls-handshake": failed} if failed else self._refusals

    def share_tickets(self, key: bytes) -> None:
        """Issue and take TLS session tickets under this key, as all workers do."""
        if self._termination is not None:
            self._termination.share_tickets(key)

    # Tables.

    def take(self, configuration: Configuration, number: int) -> tuple[Problem, ...]:
        """Compile a merged configuration and route by it from the next request on. Gives the compiler's problems."""
        for _ in self.taking(configuration, number):
            pass
        return self.table.problems

    def taking(self, configuration: Configuration, number: int) -> Generator[None, None, None]:
        """What :meth:`take` does, in steps of some microseconds; another one must not begin before the end."""
        old = self.table
        table = yield from self._compiling(configuration, number, old)
        for name in table.replaced:
            live = table.services.get(name)
            if live is not None:
                self._counting.meet(name, live.upstreams)
                yield
        self.table = table
        running = table.middlewares
        self._breakers = {name: one for name, one in self._breakers.items() if running.get(name) is one}
        if table.streams is not old.streams or table.choices.points != old.choices.points:
            for entrance in self._entrances:
                entrance.follow(table)
        if self._termination is not None and table.configuration.tls_options != old.configuration.tls_options:
            self._termination.keep(table.configuration.tls_options.values())
        if self._termination is not None and configuration.certificates != old.configuration.certificates:
            self._termination.use(configuration.certificates.values())
        for name in table.replaced:
            self._follow(name, old.services.get(name), table.services.get(name))
            yield
        if table.changes > MANY:
            freeing = _freeing(old)
            del old
            yield from freeing

    def _follow(self, name: str, before: LiveService | None, now: LiveService | None) -> None:
        """A service came, went or has other servers: those that are left over retire."""
        upstreams = now.upstreams if now is not None else ()
        used = {id(upstream) for upstream in upstreams}
        for upstream in before.upstreams if before is not None else ():
            if id(upstream) not in used:
                upstream.retire()
        self._counting.follow(name, upstreams)

    def _compiling(
        self, configuration: Configuration, number: int, previous: RoutingTable | None = None
    ) -> Generator[None, None, RoutingTable]:
        self._transports = configuration.transports
        if self._termination is not None and configuration.tls_options:
            configuration = with_objections(configuration, self._termination.objection)
        return compiling_table(
            configuration,
            self._settings.entry_points,
            number=number,
            previous=previous,
            make_middleware=self._make_middleware,
            make_service=self._make_service,
            make_streams=partial(
                compile_streams,
                entry_points=self._settings.entry_points,
                make_middleware=self._make_connection_middleware,
                make_service=self._making_streams,
            ),
        )

    def loading(self, definitions: Iterable[Middleware]) -> Deferred[Any] | None:
        """Import what new types of middlewares need, beside the reactor; None where there is nothing to wait for.

        Without compiled files it may take a tenth of a second, for which requests would stand still.
        """
        types = {definition.type.lower() for definition in definitions} - self._loaded
        self._loaded |= types
        loads = [getattr(self._middleware_makers.get(name), "load", None) for name in types]
        wanted = [load for load in loads if load is not None]
        return self._in_thread(lambda: [load() for load in wanted]) if wanted else None

    def _make_middleware(self, definition: Middleware) -> Any:
        maker = self._middleware_makers.get(definition.type.lower())
        if maker is None:
            running = [maker.type for maker in self._middleware_makers.values()]
            raise no_such_type(definition.name, definition.type, running)
        self._loaded.add(definition.type.lower())
        made = maker.make_middleware(definition.name, definition.settings, self._offers)
        # What stands open or closed: a circuit breaker.
        if hasattr(made, "standings"):
            self._breakers[definition.name] = made
        return made

    def _make_connection_middleware(self, definition: Middleware) -> Any:
        offers = self._offers
        return connection_middleware(definition, shared=offers["shared"], secret=offers["secret"])

    def _ways(self, trust: ssl.SSLContext | None) -> Connecting:
        """How servers are connected to that are trusted so; None: as the settings say."""
        settings = self._settings
        return Connecting(
            self._reactor,
            settings.limits,
            self._deadlines,
            verify=settings.verify_upstream_tls,
            ca_file=settings.upstream_ca,
            tls=trust,
        )

    def _ask(self, name: str, owner: str, head: RequestHead, body: bytes = b"") -> Deferred[Response]:
        """The answer of a service of the table in force, by its name as ``owner`` refers to it."""
        services = self.table.compiled.services
        try:
            full = found("service", name, owner, self.table.configuration.services, services.by_plain)
        except ConfigurationError as error:
            return fail(NoServer(error.why))
        live = services.live.get(full)
        return (
            fail(NoServer(services.failed[full])) if live is None else self._inquiring.ask(live, head, body)
        )

    def _in_thread(self, function: Callable[..., Any], *arguments: object) -> Deferred[Any]:
        running = self._threads.run(
            deferToThreadPool, self._reactor, self._reactor.getThreadPool(), function, *arguments
        )
        # Who waits may leave, and the thread goes on: its place is taken until it has ended.
        waiting: Deferred[Any] = Deferred()
        running.chainDeferred(waiting)
        return waiting

    def _later(self, seconds: float) -> Deferred[None]:
        return deferLater(self._reactor, seconds, lambda: None)

    def _say(self, text: str) -> None:
        self._log.warn("{text}", text=text)

    def _make_service(
        self, service: Service, previous: LiveService | None, parts: tuple[LiveService, ...] = ()
    ) -> LiveService:
        counter: Callable[[], int] = self._counters.slot(service.name)
        if service.kind != "loadBalancer":
            return composed(service, parts, counter)
        maker = self._balancer_makers.get(service.strategy.lower())
        if maker is None:
            raise ConfigurationError(
                f"service {service.name}",
                f"there is no strategy {service.strategy}",
                did_you_mean(service.strategy, self._balancer_makers),
            )
        connecting = self._connecting_by(service.transport)
        before = {upstream.key: upstream for upstream in previous.upstreams} if previous is not None else {}
        upstreams = []
        for server in service.servers:
            upstream = before.get((server.url, server.instance))
            if upstream is None or upstream.connecting is not connecting:
                upstream = Upstream(server, connecting)
            else:
                upstream.update(server)
            upstreams.append(upstream)
        rotating = [upstream for upstream in upstreams if upstream.up]
        balancer = maker.make_balancer(rotating, {}, counter, random)
        return balanced(service, tuple(upstreams), balancer, self._counters.regions)

    def _connecting_by(self, transport: str) -> Connecting:
        """How the servers of services with this serversTransport are connected to; the same as long as it is equal."""
        if not transport:
            return self._connecting
        definition = self._transports[transport]
        known = self._connectings.get(transport)
        if known is None or known[0] != definition:
            known = self._connectings[transport] = definition, self._connecting.by(definition)
        return known[1]


def _freeing(table: RoutingTable) -> Generator[None, None, None]:
    """Let go of a table's parts one after the other: of all at once that would take a while."""
    whole = table.configuration.routers, table.configuration.services, table.compiled.routes, table.services
    del table
    parts: list[object] = []
    for part in chain.from_iterable(mapping.values() for mapping in whole):
        parts.append(part)
        yield
    part = whole = None  # type: ignore[assignment]
    while parts:
        parts.pop()
        yield
