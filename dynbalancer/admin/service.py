"""The admin listener as a Twisted service: API, dashboard and event stream on a port of their own."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web import http
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from dynbalancer.admin import state
from dynbalancer.admin.api import Api, Recent
from dynbalancer.admin.dashboard import read_pages
from dynbalancer.admin.events import EventStream
from dynbalancer.admin.guard import Guard
from dynbalancer.core.model import EntryPoint
from dynbalancer.core.settings import ApiSettings
from dynbalancer.interfaces import IHealth, IRouter, IStatistics, IWorkforce

#: Seconds that a connection may stay silent between two requests.
SILENCE = 60

#: Seconds for all of a request, from its first octet (of the first one: from the connection) to its last.
REQUEST_TIME = 10


def make_admin(
    settings: ApiSettings,
    router: IRouter,
    statistics: IStatistics,
    workforce: IWorkforce,
    entry_points: Sequence[EntryPoint],
    reactor: Any,
    *,
    sock: socket.socket | None = None,
    access_log: bool = False,
    health: IHealth | None = None,
) -> IService:
    """The listener, not started. ``sock``, a bound and listening socket, is adopted and closed by it."""
    sources = state.Sources(
        router, statistics, workforce, tuple(entry_points), time.time(), access_log, health
    )
    return AdminService(settings, sources, reactor, sock=sock)


class BodilessRequest(Request):
    """A request whose body is not kept: nothing here takes one, and twisted.web would store it whole."""

    def gotLength(self, length: int | None) -> None:
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Forget it."""


class AdminChannel(http.HTTPChannel):
    """One connection, with a deadline for each request: twisted.web's own would begin anew with each octet."""

    _begun = True

    def connectionMade(self) -> None:
        super().connectionMade()
        self.setTimeout(REQUEST_TIME)

    def resetTimeout(self) -> None:
        """Something came: the first of it sets the deadline, the rest does not move it."""
        if not self._begun:
            self._begun = True
            self.setTimeout(REQUEST_TIME)

    def requestDone(self, request: http.Request) -> None:
        self._begun = False
        self._savedTimeOut = SILENCE
        super().requestDone(request)


class QuietSite(Site):
    """Writes no line per request."""

    protocol = AdminChannel  # type: ignore[assignment]

    noisy = False
    displayTracebacks = False

    def log(self, request: http.Request) -> None:
        """The access log is for what is proxied."""


class AdminService(Service):
    """Listens while it runs. Set ``stopping`` when the end begins: ``/ping`` then answers 503."""

    name = "admin"
    _log = Logger()

    def __init__(
        self,
        settings: ApiSettings,
        sources: state.Sources,
        reactor: Any,
        *,
        sock: socket.socket | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.stopping = False
        self._settings = settings
        self._sources = sources
        self._reactor = reactor
        self._sock = sock
        self._clock = clock
        self._recent = Recent()
        self._stream = EventStream(self._greeting)
        self._port: IListeningPort | None = None
        self._seconds = LoopingCall(self._second)
        self._seconds.clock = reactor
        self._unsubscribe: Callable[[], object] = lambda: None
        self._statuses: dict[int, int] = {}
        self._marks: dict[str, int] = {}
        self._problems: object = None

    def resource(self) -> IResource:
        """What the listener serves, to be mounted or tested without one."""
        pages = read_pages() if self._settings.dashboard else {}
        api = Api(
            self._sources,
            self._stream,
            self._recent,
            pages,
            clock=self._clock,
            stopping=lambda: self.stopping,
        )
        return Guard(api.app.resource(), self._settings)

    def startService(self) -> None:
        super().startService()
        site = QuietSite(
            self.resource(),
            requestFactory=BodilessRequest,
            timeout=SILENCE,
            parsePOSTFormSubmission=False,
            reactor=self._reactor,
        )
        self._port = self._listen(site)
        self._problems = self._sources.router.problems
        self._unsubscribe = self._sources.router.subscribe(self._changed)
        self._seconds.start(1.0, now=True)
        host: Any = self._port.getHost()
        self._log.debug("API and dashboard on {host}:{port}", host=host.host, port=host.port)

    def _listen(self, site: Site) -> IListeningPort:
        if self._sock is None:
            port: IListeningPort = self._reactor.listenTCP(
                self._settings.port, site, interface=self._settings.host
            )
            return port
        sock, self._sock = self._sock, None
        sock.setblocking(False)
        # The reactor keeps a duplicate of the descriptor.
        with sock:
            adopted: IListeningPort = self._reactor.adoptStreamPort(sock.fileno(), sock.family, site)
        return adopted

    def stopService(self) -> Deferred[None]:
        self.stopping = True
        super().stopService()
        self._unsubscribe()
        if self._seconds.running:
            self._seconds.stop()
        self._stream.close()
        port, self._port = self._port, None
        if port is None:
            return succeed(None)
        # Its answer may be None, where it stopped at once.
        stop: Any = port.stopListening
        return maybeDeferred(stop)

    def _changed(self, old: object, new: object) -> None:
        if old is not new:
            self._stream.tell("table", state.in_force(self._sources.router))
        # With the same table twice it is problems or the state of a provider that changed.
        if old is new or self._problems != self._sources.router.problems:
            self._problems = self._sources.router.problems
            if len(self._stream):
                self._stream.tell("problems", state.severities(self._sources.router))

    def _greeting(self) -> list[tuple[str, Any]]:
        totals = self._sources.statistics.totals()
        everything, _ = state.news(totals, self._sources.statistics.per_second(), {})
        return [
            ("table", state.in_force(self._sources.router)),
            ("problems", state.severities(self._sources.router)),
            ("statistics", everything),
        ]

    def _second(self) -> None:
        totals = self._sources.statistics.totals()
        before, self._statuses = self._statuses, dict(totals.statuses)
        self._recent.statuses = {
            status: count - before.get(status, 0)
            for status, count in totals.statuses.items()
            if count > before.get(status, 0)
        }
        if len(self._stream):
            told, self._marks = state.news(totals, self._sources.statistics.per_second(), self._marks)
            self._stream.tell("statistics", told)
        self._stream.tick()
