"""Connections before it is known whose they are: what they say first is read, and then they go on elsewhere.

Entry points whose connections are known from the start have nothing of this in their way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from dynbalancer.core.forwarded import TrustedPeers
from dynbalancer.core.proxyprotocol import ProxyHeaderReader
from dynbalancer.core.settings import Limits
from dynbalancer.errors import RequestError
from dynbalancer.proxy.deadlines import NEVER, Deadlines
from dynbalancer.proxy.transports import NativeTransport

#: Once no more connections are accepted, those that have not said anything yet have this long, in seconds.
LAST_MOMENT = 2.0

#: What goes on with a connection: the protocol it had, its transport, and what was read of it and is not used yet.
GoOn = Callable[[Protocol, Any, bytes], None]
#: Counts and logs what was refused, with its first octets.
Refuse = Callable[[RequestError, bytes], None]


class Waiting(Protocol):
    """A connection that must say something, within the time for a head, before it goes on."""

    #: Whether it was cut, and nothing it says counts any more.
    aborted = False

    def __init__(self, arrivals: Arrivals) -> None:
        self.arrivals = arrivals
        self.deadline = NEVER
        self.watched = NEVER
        self.transport: Any = None

    def connectionMade(self) -> None:
        arrivals = self.arrivals
        arrivals.connections.add(self)
        if self.aborted:
            return
        arrivals.deadlines.set(self, LAST_MOMENT if arrivals.draining else arrivals.limits.head_time)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.leave()

    def deadline_passed(self) -> None:
        """It said nothing, or not enough."""
        self.refuse(RequestError(408, "arrival-timeout", "it did not say in time what it wants"), self.held)

    @property
    def held(self) -> bytes:
        """What came so far."""
        return b""

    def refuse(self, error: RequestError, sample: bytes) -> None:
        """Close it without a word: who speaks what is not known."""
        self.leave()
        self.arrivals.refuse(error, sample)
        self.transport.abortConnection()

    def go_on(self, rest: bytes) -> None:
        """It is known now."""
        self.leave()
        self.arrivals.go_on(self, self.transport, rest)

    def abort(self) -> None:
        """Close it now."""
        self.aborted = True
        self.leave()
        self.transport.abortConnection()

    def leave(self) -> None:
        """It is nobody that is waited for any more."""
        self.arrivals.connections.discard(self)
        self.arrivals.deadlines.forget(self)


class Arrivals(Factory):
    """All connections of one entry point that have to say something first; ``go_on`` gets those that did."""

    noisy = False

    def __init__(self, limits: Limits, deadlines: Deadlines, refuse: Refuse, go_on: GoOn) -> None:
        self.limits = limits
        self.deadlines = deadlines
        self.refuse = refuse
        self.go_on = go_on
        self.connections: set[Waiting] = set()
        self.draining = False

    def buildProtocol(self, addr: Any) -> Waiting:
        raise NotImplementedError

    def drain(self) -> None:
        """No more come. Those that are here get a moment to say what they want."""
        self.draining = True
        for connection in self.connections:
            self.deadlines.set(connection, LAST_MOMENT)

    def abort(self) -> None:
        """Cut whoever is left."""
        for connection in list(self.connections):
            connection.abort()


class ProxiedConnection(Waiting):
    """A connection that may begin with a PROXY header."""

    arrivals: ProxiedArrivals
    _reader: ProxyHeaderReader

    def connectionMade(self) -> None:
        peer = getattr(self.transport.getPeer(), "host", "")
        self._reader = ProxyHeaderReader(trusted=peer in self.arrivals.trusted)
        super().connectionMade()

    @property
    def held(self) -> bytes:
        return self._reader.held

    def dataReceived(self, data: bytes) -> None:
        if self.aborted:
            return
        try:
            done = self._reader.feed(data)
        except RequestError as error:
            self.refuse(error, self.held)
            return
        if done:
            origin = self._reader.origin
            if origin is not None:
                set_peer(self.transport, *origin.client)
            self.go_on(self._reader.rest)


class ProxiedArrivals(Arrivals):
    """All connections of one entry point until their PROXY header is read; ``trusted`` are the peers that may have one.

    A trusted peer without a header is served as itself, as Traefik does; the header of any other closes its connection.
    """

    def __init__(
        self, limits: Limits, deadlines: Deadlines, refuse: Refuse, go_on: GoOn, trusted: TrustedPeers
    ) -> None:
        super().__init__(limits, deadlines, refuse, go_on)
        self.trusted = trusted

    def buildProtocol(self, addr: Any) -> ProxiedConnection:
        return ProxiedConnection(self)


def hand_over(transport: Any, protocol: Protocol, data: bytes) -> None:
    """Let a connection on either kind of transport go on with another protocol, which gets ``data`` first."""
    native = isinstance(transport, NativeTransport)
    if native:
        transport.go_on_with(protocol)
    else:
        transport.protocol = protocol
        protocol.makeConnection(transport)
    if data:
        # It may have handed the connection over in turn.
        (transport.data_received if native else transport.protocol.dataReceived)(data)


def set_peer(transport: Any, host: str, port: int) -> None:
    """From now on a connection on either kind of transport comes from there."""
    kind = IPv6Address if ":" in host else IPv4Address
    transport.peer = peer = kind("TCP", host, port)
    if not isinstance(transport, NativeTransport):
        transport.getPeer = lambda: peer
