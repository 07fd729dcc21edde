"""Connections of an entry point that has routes for other things than HTTP, until it is known which one they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from dynbalancer.core.clienthello import POSTGRES, POSTGRES_YES, TLS, OpeningReader
from dynbalancer.core.settings import Limits
from dynbalancer.core.streamrules import Caller
from dynbalancer.core.streamtable import StreamRoute
from dynbalancer.errors import RequestError
from dynbalancer.proxy.arrivals import Arrivals, GoOn, Refuse, Waiting, hand_over
from dynbalancer.proxy.deadlines import Deadlines
from dynbalancer.proxy.streams import Streams, Tunnel, plain_address

#: Encrypts a connection: the protocol it had, its transport, what was read of it, and the factory it goes on with.
#: It ends here for a route.
Encrypt = Callable[[Protocol, Any, bytes, Factory, StreamRoute], Any]


class OpeningConnection(Waiting):
    """A connection whose first octets are looked at. ``client`` is its address."""

    arrivals: Openings
    client = ""
    #: Whether PostgreSQL's wish for TLS was answered.
    starttls = False

    def connectionMade(self) -> None:
        super().connectionMade()
        self._reader = OpeningReader()
        self.client = plain_address(getattr(self.transport.getPeer(), "host", "") or "")
        if not self.aborted:
            self.arrivals.met(self)

    def dataReceived(self, data: bytes) -> None:
        if self.aborted:
            return
        reader = self._reader
        try:
            known = reader.feed(data)
        except RequestError as error:
            self.refuse(error, self.held)
            return
        if known and reader.kind == POSTGRES and not self.starttls:
            self.starttls = True
            self.transport.write(POSTGRES_YES)
            self._reader = OpeningReader()
            rest = bytes(reader.held[8:])
            if rest:
                # Nobody sends more before the answer: whoever does tries to slip something in before TLS.
                self.refuse(RequestError(400, "client-hello", "octets between a wish for TLS and TLS"), rest)
        elif known:
            self.leave()
            self.arrivals.opened(self, reader)

    @property
    def held(self) -> bytes:
        return bytes(self._reader.held)

    @property
    def server_name(self) -> str:
        """The name that is asked for with TLS, in small letters; empty where none is."""
        return self._reader.hello.server_name


class Openings(Arrivals):
    """All connections of one entry point until it is known whose they are.

    ``go_on`` takes those that are HTTP, encrypted or not. ``encrypts``: whether some HTTP router asks for TLS here;
    ``answers``: whether one may answer for a name over TLS.
    """

    def __init__(
        self,
        limits: Limits,
        deadlines: Deadlines,
        refuse: Refuse,
        go_on: GoOn,
        *,
        streams: Streams,
        encrypt: Encrypt | None,
        encrypts: Callable[[], bool],
        answers: Callable[[str], bool],
    ) -> None:
        super().__init__(limits, deadlines, refuse, go_on)
        self.plain: tuple[StreamRoute, ...] = ()
        self.encrypted: tuple[StreamRoute, ...] = ()
        self._streams = streams
        self._encrypt = encrypt
        self._encrypts = encrypts
        self._answers = answers

    def buildProtocol(self, addr: Any) -> OpeningConnection:
        return OpeningConnection(self)

    def met(self, connection: OpeningConnection) -> None:
        """Somebody is there. Where nothing is for TLS he need not speak first: in some protocols the server does."""
        if self.plain and not self.encrypted and not self._encrypts():
            route = _first(self.plain, Caller(connection.client))
            if route is not None:
                connection.leave()
                self._tunnel(route, connection, b"")

    def opened(self, connection: OpeningConnection, reader: OpeningReader) -> None:
        """It is known with what a connection begins."""
        caller = Caller(connection.client, reader.hello)
        data = bytes(reader.held)
        if reader.kind == TLS:
            route = _first(self.encrypted, caller)
            # What nobody else takes is HTTP's before it is such a route's (Traefik 2.6 and later).
            if route is not None and route.catch_all and not connection.starttls:
                route = None if self._answers(caller.hello.server_name) else route
        else:
            # Who was promised TLS begins it, or goes.
            route = None if connection.starttls else _first(self.plain, caller)
        if route is not None or connection.starttls:
            self._tunnel(route, connection, data)
        else:
            self.go_on(connection, connection.transport, data)

    def _tunnel(self, route: StreamRoute | None, connection: OpeningConnection, data: bytes) -> None:
        transport = connection.transport
        if route is None:
            self.refuse(RequestError(404, "tcp-no-route", "no TCP router takes this connection"), data)
            transport.abortConnection()
            return
        tunnel = self._streams.admit(route, connection.client)
        if tunnel is None:
            transport.abortConnection()
        elif route.router.tls and not route.router.passthrough:
            self._terminate(tunnel, connection, data, route)
        else:
            tunnel.starttls = connection.starttls
            hand_over(transport, tunnel.client, data)

    def _terminate(
        self, tunnel: Tunnel, connection: OpeningConnection, data: bytes, route: StreamRoute
    ) -> None:
        if self._encrypt is None:
            self.refuse(RequestError(503, "tcp-no-tls", "no TLS is spoken here"), data)
            tunnel.abort()
            connection.transport.abortConnection()
            return

        def over(result: Any) -> Any:
            if isinstance(result, Failure) or tunnel.client.transport is None:
                tunnel.abort()
            return result

        encrypting = self._encrypt(connection, connection.transport, data, _Only(tunnel.client), route)
        encrypting.addBoth(over)


class _Only(Factory):
    """Gives the one protocol there is."""

    noisy = False

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: Any) -> Protocol:
        return self._protocol


def _first(routes: tuple[StreamRoute, ...], caller: Caller) -> StreamRoute | None:
    return next((route for route in routes if route.takes(caller)), None)
