"""Starts local servers, scales them up and down every few seconds, and publishes which there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.logger import Logger
from zope.interface import implementer

from dynbalancer.core import model
from dynbalancer.errors import ConfigurationError
from dynbalancer.interfaces import IConfigurationSink, IProvider
from dynbalancer_demo.whoami import make_site

HOST = "whoami.docker.localhost"
#: How many servers there are, one number for each period.
SCENES = (3, 5, 2, 4)
#: A server that leaves gets no new requests for this long before it closes, in seconds.
FAREWELL = 1.5

ROUTERS = (
    model.Router("whoami", f"Host(`{HOST}`)", "whoami", origin="the demo"),
    model.Router("anything", "PathPrefix(`/`)", "whoami", priority=1, origin="the demo"),
)


@dataclass(slots=True, eq=False)
class Running:
    """One server that listens."""

    hostname: str
    url: str
    port: IListeningPort
    state: str = "ready"


def make_provider(settings: Mapping[str, Any], sink: IConfigurationSink, reactor: Any) -> DemoProvider:
    """The demo, not started. Raises ConfigurationError where the period leaves no time to say farewell."""
    period = float(settings.get("period", 4.0))
    if period < 1:
        raise ConfigurationError("--demo.period", f"{period:g}s is too short", "use 1s or more")
    return DemoProvider(sink, reactor, period)


def configuration_of(servers: list[Running]) -> model.Configuration:
    """What is published while these servers run."""
    service = model.Service(
        "whoami",
        tuple(
            model.Server(server.url, state=server.state, name=server.hostname, instance=server.hostname)
            for server in servers
        ),
        origin="the demo",
    )
    items = tuple(
        model.Item(
            server.hostname,
            server.hostname,
            "server",
            why="leaves soon" if server.state == "draining" else "",
            gave=("whoami",),
            details={"url": server.url, "state": server.state},
        )
        for server in servers
    )
    return model.Configuration(
        routers={router.name: router for router in ROUTERS}, services={service.name: service}, items=items
    )


@implementer(IProvider)
class DemoProvider(Service):
    """Servers on ports of 127.0.0.1 that the system chooses; the number changes every ``period`` seconds."""

    name = "demo"
    _log = Logger()

    def __init__(
        self,
        sink: IConfigurationSink,
        reactor: Any,
        period: float,
        make_factory: Callable[[str, Any], Any] = make_site,
    ) -> None:
        self._sink = sink
        self._reactor = reactor
        self._period = period
        self._make_factory = make_factory
        self._farewell = min(FAREWELL, period / 2)
        self._scenes = cycle(SCENES)
        self._started = 0
        self._servers: list[Running] = []
        self._calls: set[IDelayedCall] = set()

    def startService(self) -> None:
        """Open the first servers and publish them."""
        super().startService()
        self._scenes = cycle(SCENES)
        self._next_scene()

    def stopService(self) -> Deferred[None]:
        """Close every server; fires when all are closed."""
        super().stopService()
        for call in self._calls:
            call.cancel()
        self._calls.clear()
        closing = [maybeDeferred(server.port.stopListening) for server in self._servers]
        self._servers.clear()
        return DeferredList(closing).addCallback(lambda results: None)

    def refresh(self) -> Deferred[None]:
        """Publish the same again."""
        self._publish("asked again")
        return succeed(None)

    def _next_scene(self) -> None:
        wanted = next(self._scenes)
        ready = [server for server in self._servers if server.state == "ready"]
        for _ in range(wanted - len(ready)):
            self._open()
        leaving = ready[: max(0, len(ready) - wanted)]
        for server in leaving:
            server.state = "draining"
        if leaving:
            self._later(self._farewell, lambda: self._close(leaving))
        self._publish(f"demo: {wanted} servers")
        self._later(self._period, self._next_scene)

    def _open(self) -> None:
        self._started += 1
        hostname = f"demo-{self._started}"
        port = self._reactor.listenTCP(0, self._make_factory(hostname, self._reactor), interface="127.0.0.1")
        self._servers.append(Running(hostname, f"http://127.0.0.1:{port.getHost().port}", port))

    def _close(self, leaving: list[Running]) -> None:
        self._servers = [server for server in self._servers if server not in leaving]
        self._publish("demo: " + ", ".join(server.hostname for server in leaving) + " left")
        for server in leaving:
            closed: Deferred[Any] = maybeDeferred(server.port.stopListening)
            closed.addErrback(lambda failure: self._log.failure("A demo server did not close", failure))

    def _publish(self, cause: str) -> None:
        self._sink.publish(configuration_of(self._servers), cause)

    def _later(self, seconds: float, act: Callable[[], object]) -> None:
        def run() -> None:
            self._calls.discard(call)
            act()

        call = self._reactor.callLater(seconds, run)
        self._calls.add(call)
