"""The data plane in this process: the reactor in a thread of its own, one plane for each set of flags."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from servers import Servers

from dynbalancer import pem
from dynbalancer.control.counters import LocalCounters
from dynbalancer.core.model import Configuration
from dynbalancer.core.regions import LocalRegions, Region
from dynbalancer.core.settings import Settings
from dynbalancer.worker import install_reactor, new_loop


class Forgetful(LocalRegions):
    """Memory for limits; each time some is asked for, it is new."""

    def region(self, name: str, size: int, rows: int = 0) -> Region:
        """So many octets, all of them zero."""
        return LocalRegions().region(name, size, rows)


class Turns(LocalCounters):
    """Counters of balancers; each time one is asked for, it begins anew."""

    def __init__(self) -> None:
        super().__init__()
        self.regions = Forgetful()

    def slot(self, name: str) -> Callable[[], int]:
        """A row of whole numbers."""
        return itertools.count().__next__


class Planes:
    """All of them, and the servers behind."""

    def __init__(self) -> None:
        self.servers = Servers()
        self.reactor = install_reactor(new_loop())
        self._planes: dict[tuple[str, ...], tuple[Any, dict[str, int]]] = {}
        self._numbers = itertools.count(1)
        self._certificate = pem.make_own()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.reactor.run(installSignalHandlers=False)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function gives that has to run in the reactor's thread."""
        from twisted.internet.threads import blockingCallFromThread

        return blockingCallFromThread(self.reactor, function, *arguments)

    def route(
        self, flags: tuple[str, ...], settings: Settings, configuration: Configuration
    ) -> dict[str, int]:
        """Route by this from now on; the port of each entry point. Whatever was remembered is forgotten."""
        if flags not in self._planes:
            self._planes[flags] = self.call(self._open, settings)
        plane, ports = self._planes[flags]
        self.call(plane.take, Configuration(), next(self._numbers))
        self.call(plane.take, self._placed(configuration), next(self._numbers))
        return ports

    def _placed(self, configuration: Configuration) -> Configuration:
        found: Configuration = placed(configuration, self.servers.placed)
        return replace(found, udp_services=placed(configuration.udp_services, self._datagrams))

    def _datagrams(self, text: str) -> str:
        host, _, port = text.removeprefix("//").rpartition(":")
        ours = text.startswith("//") and port.isdecimal()
        return f"//127.0.0.1:{self.servers.datagrams(host, int(port))}" if ours else text

    def _open(self, settings: Settings) -> tuple[Any, dict[str, int]]:
        from dynbalancer.proxy.dataplane import DataPlane
        from dynbalancer.tls.termination import Termination

        plane = DataPlane(settings, self.reactor, Turns(), Termination(self._certificate))
        plane.start()
        ports = {}
        for point in settings.entry_points:
            sock = socket.socket(type=socket.SOCK_DGRAM if point.udp else socket.SOCK_STREAM)
            sock.bind(("127.0.0.1", 0))
            if not point.udp:
                sock.listen(128)
            sock.setblocking(False)
            plane.listen(point, sock)
            ports[point.name] = sock.getsockname()[1]
        return plane, ports

    def close(self) -> None:
        """End the planes, the servers and the reactor."""
        for plane, _ in self._planes.values():
            self.call(plane.drain, 0.0)
        self.servers.close()
        self.reactor.callFromThread(self.reactor.stop)
        self._thread.join(10)


def placed(value: Any, place: Callable[[str], str]) -> Any:
    """A configuration whose servers are where the sockets are; names and rules stay."""
    if isinstance(value, str):
        return place(value)
    if isinstance(value, Mapping):
        return {key: placed(member, place) for key, member in value.items()}
    if isinstance(value, tuple):
        return tuple(placed(member, place) for member in value)
    if is_dataclass(value) and not isinstance(value, type):
        kept = ("name", "rule", "origin", "labels", "problems", "items")
        changed = {
            one.name: placed(getattr(value, one.name), place) for one in fields(value) if one.name not in kept
        }
        if "address" in changed:
            # Of a server that is no URL.
            changed["address"] = place(f"//{changed['address']}").removeprefix("//")
        return replace(value, **changed)
    return value
