"""The demo's servers come, say farewell, and go."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dynbalancer.core.model import Server
from dynbalancer.errors import ConfigurationError
from dynbalancer.testing import MemorySink, ProviderContract
from dynbalancer_demo.provider import FAREWELL, SCENES, DemoProvider, make_provider


class Port:
    """A listening port with a number of its own."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.closed = False
        self.end: Deferred[None] | None = None

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", self.number)

    def stopListening(self) -> Deferred[None] | None:
        self.closed = True
        return self.end


class Reactor(MemoryReactorClock):
    """Gives each listener the next port."""

    def __init__(self) -> None:
        super().__init__()
        self.ports: list[Port] = []

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        assert (port, interface) == (0, "127.0.0.1")
        self.ports.append(Port(40000 + len(self.ports)))
        return self.ports[-1]


class DemoTests(ProviderContract, SynchronousTestCase):
    """Changes every four seconds."""

    def make(self, sink: MemorySink, reactor: Any) -> DemoProvider:
        return make_provider({"period": 4.0}, sink, reactor)

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.sink = MemorySink()
        self.provider = self.make(self.sink, self.reactor)

    def servers(self) -> tuple[Server, ...]:
        return self.sink.last.services["whoami"].servers

    def states(self) -> list[str]:
        return [server.state for server in self.servers()]

    def test_it_begins_with_several_servers_so_that_the_first_curls_take_turns(self) -> None:
        self.provider.startService()
        assert [server.url for server in self.servers()] == [
            "http://127.0.0.1:40000",
            "http://127.0.0.1:40001",
            "http://127.0.0.1:40002",
        ]
        assert {router.rule for router in self.sink.last.routers.values()} == {
            "Host(`whoami.docker.localhost`)",
            "PathPrefix(`/`)",
        }
        assert self.sink.causes == ["demo: 3 servers"]
        assert [item.name for item in self.sink.last.items] == ["demo-1", "demo-2", "demo-3"]

    def test_it_scales_up_and_says_farewell_before_it_scales_down(self) -> None:
        self.provider.startService()
        self.reactor.advance(4)
        assert self.states() == ["ready"] * 5
        self.reactor.advance(4)
        assert self.states() == ["draining"] * 3 + ["ready"] * 2
        assert not any(port.closed for port in self.reactor.ports)
        self.reactor.advance(FAREWELL)
        assert self.states() == ["ready", "ready"]
        assert [port.closed for port in self.reactor.ports] == [True, True, True, False, False]
        assert self.sink.causes[-1] == "demo: demo-1, demo-2, demo-3 left"

    def test_it_goes_round(self) -> None:
        self.provider.startService()
        counts = []
        for _ in range(2 * len(SCENES)):
            counts.append(self.states().count("ready"))
            self.reactor.pump([2, 2])
        assert counts == [*SCENES, *SCENES]

    def test_every_server_is_told_apart_from_the_ones_before(self) -> None:
        self.provider.startService()
        for _ in range(40):
            self.reactor.advance(1)
        names = {
            server.instance
            for found in self.sink.configurations
            for server in found.services["whoami"].servers
        }
        assert len(names) == len(self.reactor.ports) > 4

    def test_it_closes_everything_when_it_stops(self) -> None:
        self.provider.startService()
        self.reactor.advance(9)
        self.successResultOf(self.provider.stopService())
        assert all(port.closed for port in self.reactor.ports)
        assert self.reactor.getDelayedCalls() == []

    def test_refresh_says_the_same_again(self) -> None:
        self.provider.startService()
        before = self.sink.last
        self.successResultOf(self.provider.refresh())
        assert self.sink.last == before
        assert len(self.sink.configurations) == 2

    def test_a_server_that_can_not_be_closed_is_a_line_in_the_log(self) -> None:
        self.provider.startService()
        self.reactor.ports[0].end = fail(ValueError("a bug"))
        self.reactor.pump([4, 4, 2])
        assert len(self.flushLoggedErrors(ValueError)) == 1
        assert self.states() == ["ready", "ready"]


def test_a_period_without_time_for_a_farewell_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="too short"):
        make_provider({"period": 0.5}, MemorySink(), None)
