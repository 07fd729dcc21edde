"""All connections of one entry point: what they share, and how they end together."""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory

from dynbalancer.core.forwarded import TrustedPeers
from dynbalancer.core.model import EntryPoint
from dynbalancer.core.settings import Limits
from dynbalancer.proxy.deadlines import Deadlines
from dynbalancer.proxy.http1 import ServerConnection
from dynbalancer.proxy.peers import Peers
from dynbalancer.proxy.resource import ReverseProxyResource


class Site(Factory):
    """All connections of one entry point. ``draining``: each is closed after the request it is at."""

    noisy = False

    def __init__(
        self, resource: ReverseProxyResource, entry_point: EntryPoint, limits: Limits, deadlines: Deadlines
    ) -> None:
        self.resource = resource
        self.entry_point = entry_point
        self.limits = limits
        self.deadlines = deadlines
        self.peers = Peers(TrustedPeers(entry_point.trusted, everybody=entry_point.trust_all))
        self.connections: set[ServerConnection] = set()
        self.draining = False

    def buildProtocol(self, addr: Any) -> ServerConnection:
        return ServerConnection(self)

    def drain(self) -> None:
        """Close what is idle now, the rest when its request is answered."""
        self.draining = True
        for connection in list(self.connections):
            connection.close_if_idle()

    def keep_none(self, on: bool) -> None:
        """Close connections that wait for a request, and others when theirs is answered, as long as this is ``on``."""
        if on:
            self.drain()
        else:
            self.draining = False

    def abort(self) -> None:
        """Cut whatever is left."""
        for connection in list(self.connections):
            connection.abort()
