"""The balancer of the wire tests, and hosts of it with servers of their own for each test."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from balancer import Balancer
from eventually import LONG
from rawclient import Client
from rawserver import Behaviour, RawServer, echo

#: Hosts with one server, and hosts with four.
SINGLE, FOURFOLD = 170, 17

LIMITS = ("head", "body", "idle", "write", "response", "tunnel")

#: What happens without waiting for a limit does so in any time: none is met here.
PATIENT = (*(f"--limits.{name}time=15m" for name in LIMITS), "--limits.connecttime=1m")

#: For those who wait for limits.
HURRIED = (
    "--limits.headtime=1s",
    "--limits.bodytime=2s",
    "--limits.idletime=4s",
    "--limits.writetime=2s",
    "--limits.responsetime=2s",
    "--limits.tunneltime=2s",
    "--limits.connecttime=500ms",
)

_SERVICE = """\
    {name}: {{loadBalancer: {{servers: [{servers}]}}}}
"""


def bound() -> socket.socket:
    """A socket bound to a port of loopback, on which nobody listens yet: connections are refused."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def routes(hosts: dict[str, list[int]]) -> str:
    """A dynamic file that sends each host to its ports."""
    routers = "".join(
        f'    {name.split(".")[0]}: {{rule: "Host(`{name}`)", service: {name.split(".")[0]}}}\n'
        for name in hosts
    )
    services = "".join(
        _SERVICE.format(
            name=name.split(".")[0],
            servers=", ".join(f'{{url: "http://127.0.0.1:{port}"}}' for port in ports),
        )
        for name, ports in hosts.items()
    )
    return f"http:\n  routers:\n{routers}  services:\n{services}"


@dataclass
class Wire:
    """A host of the balancer with its servers. The first one is the one of a host that has only one."""

    balancer: Balancer
    host: str
    sockets: list[socket.socket]
    servers: list[RawServer] = field(default_factory=list)

    def serve(self, behaviour: Behaviour = echo) -> RawServer:
        """Start the next of its servers."""
        server = RawServer(self.sockets[len(self.servers)], behaviour).start()
        self.servers.append(server)
        return server

    def client(self, timeout: float = LONG, receive_buffer: int = 0) -> Client:
        """A fresh connection to the balancer."""
        return Client(self.balancer.port, timeout, receive_buffer)

    @property
    def worker(self) -> int:
        """The process id of the worker."""
        [pid] = self.balancer.worker_pids()
        return pid

    def stop(self) -> None:
        """End its servers; whatever went wrong in one of them is raised here."""
        for server in self.servers:
            server.stop()
        for sock in self.sockets:
            sock.close()
        for server in self.servers:
            for problem in server.problems:
                raise problem


class Hosts:
    """The hosts that the balancer knows and no test has taken yet."""

    def __init__(self, directory: Path, limits: tuple[str, ...]) -> None:
        self._sockets = {"a.test": [bound()]}
        self._sockets |= {f"s{number}.test": [bound()] for number in range(SINGLE)}
        self._sockets |= {f"m{number}.test": [bound() for _ in range(4)] for number in range(FOURFOLD)}
        path = directory / "routes.yml"
        path.write_text(
            routes({name: [s.getsockname()[1] for s in socks] for name, socks in self._sockets.items()})
        )
        self.balancer = Balancer(directory, f"--file.filename={path}", "--workers=1", *limits)

    def take(self, servers: int = 1, name: str = "") -> Wire:
        """One with so many servers, or the one of this name."""
        name = name or next(
            name for name, sockets in self._sockets.items() if len(sockets) == servers and name != "a.test"
        )
        return Wire(self.balancer, name, self._sockets.pop(name))

    def close(self) -> None:
        """Close the sockets that nobody took."""
        for sockets in self._sockets.values():
            for sock in sockets:
                sock.close()


NewWire = Callable[..., Wire]
