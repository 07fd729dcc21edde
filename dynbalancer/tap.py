"""Wires everything together: what ``twistd dynbalancer`` and ``dynbalancer run`` start.

:func:`makeService` binds the ports, so that a taken one is said on the terminal; nothing else begins before
``startService``, because twistd forks in between.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python.components import Componentized
from zope.interface import implementer

from dynbalancer import pem, plugins
from dynbalancer.control import privileges
from dynbalancer.control.steady import keep_steady
from dynbalancer.core.model import Configuration, EntryPoint
from dynbalancer.core.settings import ApiSettings, Settings
from dynbalancer.errors import ConfigurationError, DynbalancerError, Problem
from dynbalancer.interfaces import IWorkforce
from dynbalancer.start import banner, logs, sockets
from dynbalancer.start.certificates import GivenCertificates
from dynbalancer.start.compiling import compiler
from dynbalancer.start.internals import with_internals
from dynbalancer.start.options import Options
from dynbalancer.start.signals import Signals
from dynbalancer.start.sockets import open_datagrams
from dynbalancer.start.userfiles import reading, with_users

if TYPE_CHECKING:
    import socket

    from dynbalancer.control.router import RouterService
    from dynbalancer.core.table import RoutingTable
    from dynbalancer.proxy.watchdog import Watchdog

__all__ = ["Options", "makeService"]

#: How long the first requests may wait for the providers' first words, in seconds.
PATIENCE = 3.0

Open = Callable[[str, int, str], "socket.socket"]


def makeService(options: Options) -> Balancer:
    """Everything, not started. A wrong setting ends in one sentence and exit code 2, a taken port in 1."""
    from twisted.internet import reactor

    keep_steady(reactor)
    try:
        observer = chosen_observer(options)
        opener = sockets.open_listening
        return assemble(options.settings, options.notes, reactor, open_listening=opener, observer=observer)
    except ConfigurationError as error:
        _give_up(error, 2)
    except sockets.PortError as error:
        _give_up(error, 1)
    raise AssertionError("not reached")


def _give_up(error: DynbalancerError, code: int) -> None:
    sys.stderr.write(f"dynbalancer: {error}\n")
    raise SystemExit(code)


def chosen_observer(options: Options) -> ILogObserver | None:
    """Our own lines, where we or twistd were told to write; None where it writes itself, or is not there.

    Raises ConfigurationError where a file can't be written.
    """
    told, settings = getattr(options, "parent", None), options.settings
    if settings.log_file and not (told or {}).get("logfile"):
        return logs.with_directory(settings.log_level, settings.log_file, "--log.filepath")
    return None if told is None else logs.under_twistd(told, options.settings.log_level)


def assemble(
    settings: Settings,
    notes: tuple[Problem, ...],
    reactor: Any,
    *,
    open_listening: Open = sockets.open_listening,
    environ: Mapping[str, str] = os.environ,
    observer: ILogObserver | None = None,
) -> Balancer:
    """All parts, joined. Raises ConfigurationError or PortError; then no port stays bound."""
    from dynbalancer.control.router import RouterService
    from dynbalancer.proxy.watchdog import Watchdog

    plan = _plan(settings, environ)
    bound = Bound.open(settings, open_listening)
    try:
        settings = replace(
            settings,
            entry_points=bound.entry_points(settings.entry_points),
            api=bound.admin(settings.api),
            default_certificate=pem.make_own(),
            secret=token_hex(32),
        )
        compile_table = compiler(settings.entry_points, reactor.seconds)
        # twistd may change to another directory later.
        users = partial(with_users, read_text=reading(os.getcwd()))
        router = RouterService(
            compile_table,
            reactor,
            throttle=settings.throttle,
            own=replace(bound.with_internals(settings), problems=notes),
            complete=users,
        )
        providers = [_provider(name, settings, router, reactor) for name in settings.providers]
        if settings.certificates:
            # First: services may show them to servers.
            providers.insert(0, _certificates(settings, router, reactor))
        watchdog = Watchdog(settings.stall, reactor)
        balancer = Balancer(
            settings, notes, router, providers, reactor, plan=plan, observer=observer, watchdog=watchdog
        )
        _add_forwarding(balancer, bound, plan)
        _add_health(balancer)
        _add_admin(balancer, bound)
    except BaseException:
        bound.close()
        raise
    return balancer


def _plan(settings: Settings, environ: Mapping[str, str]) -> privileges.Plan | None:
    socket_gid = privileges.group_of_socket(privileges.engine_socket(settings.providers, environ))
    accounts = privileges.SystemAccounts()
    is_root = os.geteuid() == 0
    return privileges.plan(settings.user, settings.worker_user, socket_gid, accounts, is_root=is_root)


def _certificates(settings: Settings, router: RouterService, reactor: Any) -> GivenCertificates:
    options = settings.routing.tls_options.values()
    authorities = [text for one in options for text in one.client_cas]
    sink = router.sink_for(GivenCertificates.name)
    return GivenCertificates(settings.certificates, sink, reactor, authorities)


def _provider(name: str, settings: Settings, router: RouterService, reactor: Any) -> Any:
    maker = plugins.provider_makers()[name]
    return maker.make_provider(settings.providers[name], router.sink_for(maker.name), reactor)


@dataclass(frozen=True, slots=True)
class Bound:
    """The sockets of the entry points by name, and that of the API."""

    sockets: Mapping[str, socket.socket]
    api: socket.socket | None

    @classmethod
    def open(cls, settings: Settings, open_listening: Open, open_datagrams: Open = open_datagrams) -> Bound:
        """All that the settings ask for. Raises PortError; then none is left open."""
        opened: dict[str, socket.socket] = {}
        try:
            for point in settings.entry_points:
                flag = f"--entrypoints.{point.name}.address"
                opening = open_datagrams if point.udp else open_listening
                opened[point.name] = opening(point.host, point.port, flag)
            api = None
            if settings.api is not None:
                api = open_listening(settings.api.host, settings.api.port, "--api.address")
        except sockets.PortError:
            for sock in opened.values():
                sock.close()
            raise
        return cls(opened, api)

    def entry_points(self, wanted: tuple[EntryPoint, ...]) -> tuple[EntryPoint, ...]:
        """The same with the ports that the system chose where port 0 was asked for."""
        return tuple(
            point if point.port else replace(point, port=self.sockets[point.name].getsockname()[1])
            for point in wanted
        )

    def admin(self, wanted: ApiSettings | None) -> ApiSettings | None:
        """The same with the port that the system chose where port 0 was asked for."""
        if wanted is None or wanted.port or self.api is None:
            return wanted
        return replace(wanted, port=self.api.getsockname()[1])

    def with_internals(self, settings: Settings) -> Configuration:
        """What entry points ask for, and the services that a router may name for the API and the dashboard."""
        place = self.api.getsockname()[:2] if self.api else None
        ping_only = settings.api is not None and settings.api.ping_only
        return with_internals(settings.routing, place, ping_only=ping_only)

    def close(self) -> None:
        """Give all ports back."""
        for sock in (*self.sockets.values(), *([self.api] if self.api else [])):
            sock.close()


def _add_forwarding(balancer: Balancer, bound: Bound, plan: privileges.Plan | None) -> None:
    from dynbalancer.control.statistics import Statistics

    settings, reactor = balancer.settings, balancer.reactor
    if settings.workers == 0:
        from dynbalancer.control.counters import LocalCounters
        from dynbalancer.proxy.dataplane import DataPlane
        from dynbalancer.tls.termination import Termination

        termination = Termination(settings.default_certificate)
        data_plane = DataPlane(settings, reactor, LocalCounters(), termination)
        if balancer.watchdog is not None:
            data_plane.watched_by(balancer.watchdog)
        balancer.statistics = Statistics(reactor, data_plane.report, stalls=balancer.stalls)
        balancer.forwarding = InProcess(settings, balancer.router, bound.sockets, data_plane)
        return
    from dynbalancer.control.counters import Counters
    from dynbalancer.control.supervisor import Supervisor

    balancer.statistics = Statistics(reactor, stalls=balancer.stalls)
    balancer.forwarding = Supervisor(
        settings,
        balancer.router,
        bound.sockets,
        Counters.create(workers=settings.workers),
        balancer.statistics,
        reactor,
        privileges=None if plan is None else plan.worker(),
    )


def _add_health(balancer: Balancer) -> None:
    from dynbalancer.control.healthchecks import HealthChecks
    from dynbalancer.proxy.deadlines import Deadlines
    from dynbalancer.proxy.probing import Prober
    from dynbalancer.proxy.trusting import Trusting
    from dynbalancer.proxy.upstream import Connecting

    settings, reactor = balancer.settings, balancer.reactor
    connecting = Connecting(
        reactor,
        settings.limits,
        Deadlines(reactor),
        verify=settings.verify_upstream_tls,
        ca_file=settings.upstream_ca,
    )
    prober = Prober(reactor, settings.limits, Trusting(balancer.router, connecting))
    balancer.health = HealthChecks(balancer.router, prober.ask, reactor)


def _add_admin(balancer: Balancer, bound: Bound) -> None:
    settings = balancer.settings
    if settings.api is None:
        return
    # Not before here: Klein installs a reactor when it is imported.
    from dynbalancer.admin.service import make_admin

    balancer.admin = make_admin(
        settings.api,
        balancer.router,
        balancer.statistics,
        balancer.forwarding,
        settings.entry_points,
        balancer.reactor,
        sock=bound.api,
        access_log=settings.access_log is not None,
        health=balancer.health,
    )


@implementer(IWorkforce)
class InProcess(Service):
    """Forwards in this process: for development, for tests, and inside other programs."""

    name = "forwarding"
    workers = ()

    def __init__(
        self,
        settings: Settings,
        router: RouterService,
        listening: Mapping[str, socket.socket],
        data_plane: Any,
    ) -> None:
        self._settings = settings
        self._router = router
        self._sockets = listening
        self._data_plane = data_plane
        self._unsubscribe: Callable[[], None] = lambda: None

    def startService(self) -> None:
        """Take the table in force, follow it, and accept."""
        super().startService()
        self._data_plane.start()
        self._take(self._router.table)
        self._unsubscribe = self._router.subscribe(self._changed)
        for point in self._settings.entry_points:
            self._data_plane.listen(point, self._sockets[point.name])

    def stopService(self) -> Deferred[None]:
        """Accept no more; fires when the requests in flight are done or the grace time is over."""
        super().stopService()
        self._unsubscribe()
        drained: Deferred[None] = self._data_plane.drain(self._settings.grace)
        return drained

    def reopen_logs(self) -> None:
        """Log files were moved away: go on in new ones."""
        self._data_plane.reopen_logs()

    def _changed(self, old: RoutingTable, new: RoutingTable) -> None:
        if old is not new:
            self._take(new)

    def _take(self, table: RoutingTable) -> None:
        self._data_plane.take(table.configuration, table.number)


class Balancer(MultiService):
    """All services. Forwarding begins when every provider has said something, and ends before anything else."""

    _log = Logger()
    forwarding: Any
    statistics: Any
    health: Any = None

    def __init__(
        self,
        settings: Settings,
        notes: tuple[Problem, ...],
        router: RouterService,
        providers: list[Any],
        reactor: Any,
        *,
        plan: privileges.Plan | None = None,
        observer: ILogObserver | None = None,
        become: Callable[[privileges.Plan], None] = privileges.become_parent,
        signals: Signals | None = None,
        watchdog: Watchdog | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.router = router
        self.providers = providers
        self.reactor = reactor
        self.admin: Any = None
        self._notes = notes
        self._plan = plan
        self.observer = observer
        self._become = become
        self.watchdog = watchdog
        self._signals = Signals(reactor, self.reload, self.reopen_logs) if signals is None else signals
        self._unsubscribe: Callable[[], None] = lambda: None
        self._impatient: Any = None

    def setServiceParent(self, parent: Any) -> None:
        """Under twistd this is the application, which also says how lines are logged."""
        if self.observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self.observer)
        super().setServiceParent(parent)

    def privilegedStartService(self) -> None:
        """Give up root, now that the ports are bound."""
        super().privilegedStartService()
        if self._plan is not None:
            self._become(self._plan)

    def startService(self) -> None:
        """Say what runs, start the providers, and forward as soon as they have spoken."""
        for text in banner.lines(self.settings):
            self._log.info("{text}", text=text)
        for note in (*self._notes, *banner.notes(self.settings, gave_up_root=self._plan is not None)):
            self._log.emit(LogLevel.levelWithName(_LEVELS[note.severity]), "{note}", note=note)
        self._signals.install()
        super().startService()
        self._unsubscribe = self.router.subscribe(lambda old, new: self._forward_when_ready())
        self._impatient = self.reactor.callLater(PATIENCE, self._forward)
        for service in (self.router, self.statistics, self.health, self.admin, *self.providers):
            if service is not None:
                IService(service).setServiceParent(self)
        self._forward_when_ready()

    def stopService(self) -> Deferred[Any]:
        """Drain, while everything else still runs; then end the rest."""
        self._signals.remove()
        self._stop_waiting()
        if self.watchdog is not None:
            self.watchdog.stop()
        if self.admin is not None:
            self.admin.stopping = True
        if self.forwarding.parent is None:
            return self._stop_rest()
        seconds = self.settings.accept_grace
        if not seconds:
            return self._drain()
        # Whoever asks /ping stops sending requests meanwhile (Traefik's requestAcceptGraceTimeout).
        self._log.info("Ending; requests are accepted for another {seconds:g} seconds", seconds=seconds)
        return deferLater(self.reactor, seconds).addCallback(lambda ignored: self._drain())

    def _drain(self) -> Deferred[Any]:
        self._log.info("Ending; requests in flight have {grace:g} seconds", grace=self.settings.grace)
        drained = maybeDeferred(self.forwarding.disownServiceParent)
        drained.addErrback(lambda failure: self._log.failure("Draining failed", failure))
        return drained.addCallback(lambda ignored: self._stop_rest())

    def _stop_rest(self) -> Deferred[Any]:
        stopped = maybeDeferred(partial(super().stopService))
        return stopped.addCallback(lambda ignored: self._log.info("Ended"))

    def reload(self) -> None:
        """Read every source again, and go on in new log files (SIGHUP)."""
        self._log.info("Reading everything again")
        for provider in self.providers:
            refreshed = maybeDeferred(provider.refresh)
            refreshed.addErrback(lambda failure: self._log.failure("A provider could not refresh", failure))
        self.reopen_logs()

    def reopen_logs(self) -> None:
        """Log files were moved away: go on in new ones (SIGUSR1)."""
        self.forwarding.reopen_logs()
        if isinstance(self.observer, logs.LogFile):
            self.observer.reopen()

    def stalls(self) -> int:
        """How often the event loop of this process stood still too long."""
        return self.watchdog.stalls if self.watchdog is not None else 0

    def _forward_when_ready(self) -> None:
        if all(status.state != "waiting" for status in self.router.providers):
            self._forward()

    def _forward(self) -> None:
        # Until now connections wait in the sockets' queues: a restart answers nobody with 404 for want of a table.
        if self.forwarding.parent is None:
            self._stop_waiting()
            self.forwarding.setServiceParent(self)
            if self.watchdog is not None:
                self.reactor.callWhenRunning(self.watchdog.start)

    def _stop_waiting(self) -> None:
        self._unsubscribe()
        if self._impatient is not None and self._impatient.active():
            self._impatient.cancel()


_LEVELS = {"error": "error", "warning": "warn", "info": "info"}
