"""Counts of connections and datagrams that are not HTTP: kept in a worker by router and server, summed in the parent.

Other than exchanges, such connections last: what moves in them is counted while it moves. A worker tells what was added
since it told last, and how many are open, of those with news; so it may forget what has no open connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynbalancer.core.model import Configuration

#: ``tcp`` or ``udp``, a router, the service and the address of a server. Without server: what the router refused.
FlowKey = tuple[str, str, str, str]

FAMILIES = ("tcp", "udp")


class Flow:
    """What went between clients and servers: of a router, a service or a server, or of a router and a server.

    ``count`` connections so far, of which so many are ``open``; for UDP these are clients with their server. Sizes in
    bytes, ``bytes_in`` those of clients. ``refused`` are a router's connections that were not served, and a server's
    that it did not take.
    """

    __slots__ = ("bytes_in", "bytes_out", "count", "open", "refused", "told")

    def __init__(self) -> None:
        self.count = 0
        self.open = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.refused = 0
        #: How many were open when that was told last.
        self.told = 0

    @property
    def moved(self) -> bool:
        """Whether there is something to tell."""
        return bool(self.count or self.bytes_in or self.bytes_out or self.refused or self.open != self.told)

    def taken(self) -> Flow:
        """What was added since this was called last; it begins anew. ``open`` is now."""
        found = Flow()
        found.add(self)
        self.count = self.bytes_in = self.bytes_out = self.refused = 0
        found.told = self.told = self.open
        return found

    def add(self, other: Flow) -> None:
        """Take the other's counts on top, also how many are open."""
        self.count += other.count
        self.open += other.open
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out
        self.refused += other.refused

    def as_dict(self) -> dict[str, int]:
        """JSON-able."""
        return {
            "connections": self.count,
            "open": self.open,
            "bytesIn": self.bytes_in,
            "bytesOut": self.bytes_out,
            "refused": self.refused,
        }


def flows_written(flows: Mapping[FlowKey, Flow]) -> list[list[Any]]:
    """JSON-able, and short: what a worker sends."""
    return [
        [*key, flow.count, flow.open, flow.bytes_in, flow.bytes_out, flow.refused]
        for key, flow in flows.items()
    ]


def flows_read(found: Any) -> dict[FlowKey, Flow]:
    """What :func:`flows_written` gave. Raises TypeError or ValueError on anything else."""
    flows: dict[FlowKey, Flow] = {}
    for family, router, service, address, *counts in found:
        if family not in FAMILIES:
            raise ValueError(f"{family!r} is neither tcp nor udp")
        flow = flows[family, str(router), str(service), str(address)] = Flow()
        flow.count, flow.open, flow.bytes_in, flow.bytes_out, flow.refused = map(int, counts)
    return flows


class Flows:
    """Sums over all processes, by ``tcp`` or ``udp`` and name. A server's name is ``service address``."""

    def __init__(self) -> None:
        self.routers: dict[tuple[str, str], Flow] = {}
        self.services: dict[tuple[str, str], Flow] = {}
        self.servers: dict[tuple[str, str], Flow] = {}

    def take(self, seen: dict[FlowKey, Flow], told: Mapping[FlowKey, Flow]) -> None:
        """Count what a process told. ``seen`` has what it has open, and is brought up to date."""
        for key, flow in told.items():
            before = seen.pop(key, None)
            now_open = flow.open
            if before is not None:
                flow.open -= before.open
            self._count(key, flow)
            if now_open:
                left = seen[key] = Flow()
                left.open = now_open

    def end(self, seen: Mapping[FlowKey, Flow]) -> None:
        """A process has ended, and with it what it had open."""
        for key, flow in seen.items():
            flow.open = -flow.open
            self._count(key, flow)

    def _count(self, key: FlowKey, flow: Flow) -> None:
        family, router, service, address = key
        of_router = _of(self.routers, (family, router))
        refused = of_router.refused
        of_router.add(flow)
        if address:
            # The next server may have taken the connection: the router did not refuse it.
            of_router.refused = refused
            _of(self.services, (family, service)).add(flow)
            _of(self.servers, (family, f"{service} {address}")).add(flow)

    def forget(self, wanted: Configuration) -> None:
        """Drop what a configuration doesn't have and nobody is connected to: counts must not grow for ever."""
        for family, routers, services in (
            ("tcp", wanted.tcp_routers, wanted.tcp_services),
            ("udp", wanted.udp_routers, wanted.udp_services),
        ):
            if not any(key[0] == family for key in self.routers):
                continue
            servers = {f"{name} {server.address}" for name in services for server in services[name].servers}
            kept = ((self.routers, routers), (self.services, services), (self.servers, servers))
            for flows, names in kept:
                for key in [key for key in flows if key[0] == family and key[1] not in names]:
                    if not flows[key].open:
                        del flows[key]

    def as_dict(self) -> dict[str, dict[str, dict[str, dict[str, int]]]]:
        """JSON-able: by family, then ``routers``, ``services`` or ``servers``, then by name."""
        return {
            family: {
                kind: {name: flow.as_dict() for (of, name), flow in flows.items() if of == family}
                for kind, flows in (
                    ("routers", self.routers),
                    ("services", self.services),
                    ("servers", self.servers),
                )
            }
            for family in FAMILIES
        }


def _of(flows: dict[tuple[str, str], Flow], key: tuple[str, str]) -> Flow:
    found = flows.get(key)
    if found is None:
        found = flows[key] = Flow()
    return found
