"""A router, statistics and workers with values that a test can read at a glance, and a client without a port."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from treq.testing import StubTreq
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from dynbalancer.admin.service import AdminService
from dynbalancer.admin.state import Sources
from dynbalancer.core.health import Standing
from dynbalancer.core.merge import merge
from dynbalancer.core.model import (
    Change,
    Configuration,
    EntryPoint,
    Item,
    Middleware,
    ProviderStatus,
    Router,
    Server,
    Service,
    WorkerStatus,
)
from dynbalancer.core.settings import ApiSettings
from dynbalancer.core.statistics import Tally, Totals
from dynbalancer.core.table import RoutingTable, compile_table
from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer.interfaces import IHealth, IRouter, IStatistics, IWorkforce

POINTS = (EntryPoint("web", 80, as_default=True), EntryPoint("internal", 8000, host="127.0.0.1"))

LABEL_PROBLEM = Problem("container shop-1, label traefik.prot", "there is no such key", "did you mean port?")

CANARY = "<img src=x onerror=alert(1)>"


def docker_configuration() -> Configuration:
    """What a provider says: one v1 router, v3 ones of which one is broken, servers in every state."""
    return Configuration(
        routers={
            "web": Router("web", "Host:web.example", "web", dialect="v1", origin="container web-1"),
            "shop": Router(
                "shop",
                "Host(`shop.example`) && PathPrefix(`/cart`)",
                "shop",
                entry_points=("web", "nowhere"),
                middlewares=("strip",),
                priority=90,
            ),
            "broken": Router("broken", "Hots(`x.example`)", "web"),
        },
        services={
            "web": Service(
                "web",
                (
                    Server("http://10.0.0.1:80", name="web-1", instance="a" * 64),
                    Server("http://10.0.0.2:80", 2, "draining", "web_2"),
                ),
                dialect="v1",
            ),
            "shop": Service("shop", (Server("http://10.0.0.3:80", name="shop-1"),), pass_host_header=False),
            "empty": Service("empty"),
        },
        middlewares={
            "strip": Middleware("strip", "stripPrefix", {"prefixes": ["/cart"]}),
            "login": Middleware("login", "basicAuth", {"users": ["ann:$apr1$secret"]}),
        },
        problems=(LABEL_PROBLEM,),
        items=(
            Item("0123456789ab", "web-1", why="port 80", gave=("web",), labels={"traefik.port": CANARY}),
            Item("0123456789ac", "db-1", verdict="ignored", why="not enabled"),
        ),
    )


def file_configuration() -> Configuration:
    """A second provider that uses a service of the first."""
    return Configuration(routers={"status": Router("status", "Path(`/status`)", "shop@docker")})


def refuse_login(definition: Middleware) -> object:
    """Makes any middleware but ``login``."""
    if definition.name.startswith("login"):
        raise ConfigurationError("middleware login@docker", "no such user file")
    return object()


def table(configuration: Configuration, number: int = 7) -> RoutingTable:
    """The configuration, compiled, with objects that do nothing."""
    return compile_table(
        configuration,
        POINTS,
        number=number,
        make_middleware=refuse_login,
        make_service=lambda service, previous: object(),
    )


@implementer(IRouter)
class FakeRouter:
    """Holds two providers' configurations. ``change`` tells the subscribers."""

    def __init__(self) -> None:
        docker, file = docker_configuration(), file_configuration()
        self.providers = (
            ProviderStatus("docker", "fresh", 900.0, 990.0, "", docker),
            ProviderStatus("file", "stale", 900.0, 950.0, "routes.yml:3: not YAML", file),
        )
        self.configuration = self.said = merge([("docker", docker), ("file", file)])
        self.table = table(self.configuration)
        self.problems = (*docker.problems, *self.table.problems)
        self.history = [
            Change(6, 940.0, "first"),
            Change(7, 990.0, "container web-1 started", ("router web",)),
        ]
        self.listeners: list[Callable[[object, object], None]] = []

    def sink_for(self, name: str) -> object:
        raise AssertionError("the admin listener publishes nothing")

    def subscribe(self, listener: Callable[[object, object], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def change(self, *, swap: bool) -> None:
        """Tell the subscribers of a new table, or of something else that changed."""
        old = self.table
        if swap:
            self.table = table(self.configuration, old.number + 1)
            self.history.append(Change(self.table.number, 999.0, "file routes.yml changed"))
        for listener in list(self.listeners):
            listener(old, self.table)


@implementer(IStatistics)
class FakeStatistics:
    """Counts that a test may add to."""

    def __init__(self) -> None:
        self.found = Totals()
        self.found.count, self.found.seconds = 4, 2.0
        self.found.bytes_in, self.found.bytes_out = 40, 1000
        self.found.statuses = {200: 3, 404: 1}
        self.found.open_connections = 2
        tally = Tally()
        tally.count = 3
        self.found.routers["web@docker"] = tally
        self.found.recent_errors.append(
            {
                "status_code": 404,
                "status": "",
                "method": "GET",
                "host": "x.example",
                "path": "/",
                "time": 1000.5,
            }
        )

    def totals(self) -> Totals:
        return self.found

    def per_second(self) -> list[int]:
        return [0] * 59 + [4]


@implementer(IHealth)
class FakeHealth:
    """One server fails, one passes, one was not asked yet."""

    def standing(self, service: str, url: str, instance: str) -> Standing | None:
        known = {
            "http://10.0.0.1:80": Standing(940.0, False, f"status 500 from /{CANARY}", 3, 990.0),
            "http://10.0.0.2:80": Standing(900.0, checked=990.0, proven=True),
            "http://10.0.0.3:80": Standing(900.0),
        }
        return known.get(url)


@implementer(IWorkforce)
class FakeWorkforce:
    """One worker."""

    workers = (WorkerStatus(1, 4711, "serving", 7, 0, 900.0),)


class AdminCase(SynchronousTestCase):
    """A test of what the listener answers, through Twisted's own HTTP server but without a port."""

    settings = ApiSettings()

    def setUp(self) -> None:
        self.router, self.statistics = FakeRouter(), FakeStatistics()
        sources = Sources(self.router, self.statistics, FakeWorkforce(), POINTS, 900.0)
        self.reactor = MemoryReactorClock()
        self.service = AdminService(self.settings, sources, self.reactor, clock=lambda: 1000.0)
        self.treq = StubTreq(self.service.resource())

    def ask(self, path: str, method: str = "GET", **options: Any) -> tuple[Any, bytes]:
        """Response and body."""
        url = f"http://{options.pop('host', 'localhost:8080')}{path}"
        response = self.successResultOf(self.treq.request(method, url, allow_redirects=False, **options))
        return response, self.successResultOf(response.content())

    def json(self, path: str) -> Any:
        """The JSON of a good answer."""
        response, body = self.ask(path)
        self.assertEqual(response.code, 200, body)
        return json.loads(body)
