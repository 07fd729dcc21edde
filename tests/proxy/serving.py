"""A whole data plane for services as a file describes them; the tests hold the far ends of all connections."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dynbalancer.control.counters import LocalCounters
from dynbalancer.core.documents import from_document
from dynbalancer.core.merge import merge
from dynbalancer.core.model import EntryPoint
from dynbalancer.core.settings import Settings
from dynbalancer.proxy import transports
from dynbalancer.proxy.dataplane import DataPlane

sys.path.insert(0, str(Path(__file__).parent))
from wires import GET, OK, Servers, Wire

WEB = EntryPoint("web", 80)
BAD = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\nbad"


def balancer(*hosts: str, **keys: Any) -> dict[str, Any]:
    """A service with these servers; ``keys`` of its loadBalancer, but for ``middlewares``, which stand beside it."""
    beside = {"middlewares": keys.pop("middlewares")} if "middlewares" in keys else {}
    return {"loadBalancer": {"servers": [{"url": f"http://{host}:80"} for host in hosts], **keys}, **beside}


def weighted(sticky: bool = False, **weights: int) -> dict[str, Any]:
    """A service that is made of others."""
    section: dict[str, Any] = {"services": [{"name": name, "weight": n} for name, n in weights.items()]}
    if sticky:
        section["sticky"] = {"cookie": {"name": "outer"}}
    return {"weighted": section}


def cookie(value: bytes, request: bytes = GET) -> bytes:
    """The request with this cookie."""
    return request.replace(b"\r\n\r\n", b"\r\nCookie: " + value + b"\r\n\r\n")


class Bound:
    """Stands for a bound socket, and for what listens on it."""

    def dup(self) -> Bound:
        return self

    def close(self) -> None:
        """There is nothing to close."""

    def setsockopt(self, *_: int) -> None:
        """Whatever it is."""

    def stopListening(self) -> None:
        """It never did."""


class ServingCase(SynchronousTestCase):
    """A router for a.example whose service is ``web``. Servers are known by their host."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.servers = Servers(self.clock)
        self.patch(transports, "connect", self.servers.connect)
        self.patch(transports, "listen", self._listen)
        self.plane = DataPlane(Settings(entry_points=(WEB,)), self.clock, LocalCounters())
        self.plane.resource.date = None
        self.plane.start()
        self.plane.listen(WEB, Bound())  # type: ignore[arg-type]
        self.number = 0

    def _listen(self, reactor: object, sock: object, site: Any, tls: object) -> Bound:
        self.site = site
        return Bound()

    def take(self, middlewares: dict[str, Any] | None = None, **services: Any) -> list[str]:
        """Route by these from now on; the problems that this has. ``transports`` are no service."""
        http: dict[str, Any] = {
            "routers": {"web": {"rule": "Host(`a.example`)", "service": "web"}},
            "serversTransports": services.pop("transports", {}),
            "services": services,
            "middlewares": middlewares or {},
        }
        self.number += 1
        found = merge([("x", from_document({"http": http}, "file dyn.yml"))])
        return [str(problem) for problem in (*found.problems, *self.plane.take(found, self.number))]

    def client(self, request: bytes = b"", host: str = "192.0.2.1") -> Wire:
        """A client that has connected, and has sent this."""
        protocol = self.site.buildProtocol(None)
        wire = Wire(self.clock, protocol, host)
        protocol.makeConnection(wire)
        if request:
            wire.send(request)
        return wire

    def asked(self) -> list[Wire]:
        """The servers that got something that was not read yet."""
        self.clock.advance(0)
        return [wire for wire in self.servers.wires if wire._arrived]

    def name(self, server: Wire) -> str:
        """The host of a server."""
        return str(server.getPeer().host)

    def answered(
        self, request: bytes = GET, answer: bytes = OK, host: str = "192.0.2.1"
    ) -> tuple[str, bytes]:
        """Who got a request from a new client and answered it so; and what the client got. Nobody: ``""``."""
        client = self.client(request, host)
        asked = self.asked()
        if not asked:
            return "", client.read()
        [server] = asked
        server.read()
        server.send(answer)
        return self.name(server), client.read()

    def hosts(self, count: int, request: bytes = GET) -> str:
        """Who answers so many requests, one letter or word each."""
        return " ".join(self.answered(request)[0] for _ in range(count))
