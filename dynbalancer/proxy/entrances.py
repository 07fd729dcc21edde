"""An entry point while it is served: its listening socket, and who its connections go to.

Where a table has nothing but HTTP for an entry point, its connections go straight to HTTP. Where it has other routes,
the first octets of each are looked at; and the listening socket goes from the one to the other without being closed.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol

from dynbalancer.core.forwarded import TrustedPeers
from dynbalancer.core.model import EntryPoint, TLSOptions
from dynbalancer.core.settings import Limits
from dynbalancer.core.streamtable import StreamRoute
from dynbalancer.core.table import RoutingTable
from dynbalancer.core.tlschoice import BUILT_IN
from dynbalancer.errors import RequestError
from dynbalancer.proxy import starttls, transports
from dynbalancer.proxy.admission import Admission
from dynbalancer.proxy.arrivals import Arrivals, ProxiedArrivals, hand_over
from dynbalancer.proxy.deadlines import Deadlines
from dynbalancer.proxy.encryption import HELLO, BegunBy, EncryptedSite, PlainSite
from dynbalancer.proxy.flowing import Flowing
from dynbalancer.proxy.openings import OpeningConnection, Openings
from dynbalancer.proxy.resource import ReverseProxyResource
from dynbalancer.proxy.site import Site
from dynbalancer.proxy.streams import Streams, Tunnel, plain_address
from dynbalancer.proxy.transports import Encryption

AnySite = TypeVar("AnySite", bound=Site)

#: Whoever has connections of an entry point.
Party = Site | Arrivals | Streams


class Entrance:
    """One entry point. ``table`` gives the routing table in force; ``tls`` is None where no TLS is spoken."""

    def __init__(
        self,
        entry_point: EntryPoint,
        sock: socket.socket,
        *,
        reactor: Any,
        resource: ReverseProxyResource,
        limits: Limits,
        deadlines: Deadlines,
        tls: Encryption | None,
        flowing: Flowing,
        table: Callable[[], RoutingTable],
        admission: Admission | None = None,
    ) -> None:
        self.parties: list[Party] = []
        self._admission = admission
        self._entry_point = entry_point
        self._sock = sock
        self._reactor = reactor
        self._resource = resource
        self._limits = limits
        self._deadlines = deadlines
        self._tls = tls
        self._table = table
        self._flowing = flowing
        self._encrypted = None if tls is None else self._site(EncryptedSite)
        self._http: Site = self._http_site()
        self._openings: Openings | None = None
        self._looking = False
        #: By what TLS begins where no name is looked at, and what the listening socket has it begun by.
        self._options = self._listening_by = BUILT_IN
        self._proxied = self._proxied_arrivals() if entry_point.takes_proxy_header else None
        self._listener: Any = None

    def open(self) -> None:
        """Accept connections, as the table in force wants it."""
        self._choose(self._table())
        self._listen()

    def follow(self, table: RoutingTable) -> None:
        """Another table is in force."""
        for party in self.parties:
            if isinstance(party, Site):
                party.peers.forget()
        looked = self._looking
        self._choose(table)
        other = looked != self._looking or (self._entry_point.tls and self._options != self._listening_by)
        if self._proxied is None and other and self._listener is not None:
            before = self._listener
            self._listen()
            before.stopListening()

    def close(self) -> None:
        """Accept no more. Connections go on."""
        if self._listener is not None:
            self._listener.stopListening()
            self._listener = None
            self._sock.close()

    def drain(self) -> None:
        """Let everybody come to an end."""
        for party in self.parties:
            party.drain()

    def abort(self) -> None:
        """Cut whoever is left."""
        for party in self.parties:
            party.abort()

    @property
    def open_connections(self) -> int:
        """How many there are."""
        return sum(len(party.connections) for party in self.parties)

    @property
    def shaking(self) -> int:
        """TLS handshakes that go on now."""
        return 0 if self._encrypted is None else self._encrypted.shaking

    @property
    def failed(self) -> int:
        """TLS handshakes that came to nothing."""
        return 0 if self._encrypted is None else self._encrypted.failed

    def _choose(self, table: RoutingTable) -> None:
        name = self._entry_point.name
        plain, encrypted = (table.streams.of(name, encrypted=on) for on in (False, True))
        choice = table.choices.at(name)
        self._options = choice.default
        self._looking = bool(plain or encrypted or (choice.by_host and self._tls is not None))
        if self._looking and self._openings is None:
            self._openings = self._new_openings()
        if self._openings is not None:
            self._openings.plain, self._openings.encrypted = plain, encrypted

    def _listen(self) -> None:
        factory: Factory = self._http
        tls = self._by(self._options) if self._entry_point.tls else None
        self._listening_by = self._options
        if self._encrypted is not None and factory is self._encrypted:
            factory = self._begun_by(self._options)
        if self._proxied is not None:
            factory, tls = self._proxied, None
        elif self._looking and self._openings is not None:
            factory, tls = self._openings, None
        # The listener closes what it is given; the next one goes on with the same queue of connections.
        self._listener = transports.listen(self._reactor, self._sock.dup(), factory, tls)

    # Who connections go to.

    def _site(self, kind: Callable[..., AnySite], **more: Any) -> AnySite:
        site = kind(self._resource, self._entry_point, self._limits, self._deadlines, **more)
        if self._admission is not None:
            site.connections = self._admission.connections(_peer)
        self.parties.append(site)
        return site

    def _http_site(self) -> Site:
        encrypted, tls = self._encrypted, self._tls
        if encrypted is None or tls is None:
            return self._site(Site)
        if self._entry_point.tls:
            return encrypted

        def go_on(transport: Any, data: bytes, site: Site) -> Deferred[None]:
            by = self._options
            return starttls.encrypt(self._reactor, transport, data, self._begun_by(by), tls.by(by))

        return self._site(PlainSite, encrypted=encrypted, encrypt=go_on, wanted=self._encrypts)

    def _proxied_arrivals(self) -> ProxiedArrivals:
        trusted = TrustedPeers(self._entry_point.proxy_trusted, everybody=self._entry_point.proxy_trust_all)
        refuse = self._resource.note_refusal
        arrivals = ProxiedArrivals(self._limits, self._deadlines, refuse, self._arrived, trusted)
        if self._admission is not None:
            # Where it comes from is said by its header.
            arrivals.connections = self._admission.connections(_unknown)
        self.parties.append(arrivals)
        return arrivals

    def _new_openings(self) -> Openings:
        refuse = self._resource.note_refusal
        streams = Streams(self._reactor, self._limits, self._deadlines, refuse, self._flowing)
        openings = Openings(
            self._limits,
            self._deadlines,
            refuse,
            self._go_on_with_http,
            streams=streams,
            encrypt=None if self._tls is None else self._encrypt_stream,
            encrypts=self._encrypts,
            answers=lambda name: self._table().answers(self._entry_point.name, name),
        )
        if self._admission is not None:
            openings.connections = self._admission.connections(_peer)
            # It was admitted when it came.
            streams.connections = self._admission.connections(_client, refuses=False)
        self.parties += [streams, openings]
        return openings

    def _arrived(self, arrived: Protocol, transport: Any, data: bytes) -> None:
        """Its PROXY header is read."""
        if self._looking and self._openings is not None:
            hand_over(transport, self._openings.buildProtocol(None), data)
        elif isinstance(self._http, EncryptedSite):
            self._encrypt(arrived, transport, data, self._options)
        else:
            hand_over(transport, self._http.buildProtocol(None), data)

    def _go_on_with_http(self, arrived: Protocol, transport: Any, data: bytes) -> None:
        """No other route takes it."""
        assert isinstance(arrived, OpeningConnection)
        if self._encrypted is not None and data.startswith(HELLO) and self._encrypts():
            choice = self._table().choices.at(self._entry_point.name)
            self._encrypt(arrived, transport, data, choice.of(arrived.server_name.encode("ascii")))
        elif not isinstance(self._http, EncryptedSite):
            hand_over(transport, self._http.buildProtocol(None), data)
        else:
            why = "only TLS is spoken here, and no TCP router takes this connection"
            self._resource.note_refusal(RequestError(400, "tcp-no-route", why), data)
            transport.abortConnection()

    def _encrypt(self, arrived: Protocol, transport: Any, data: bytes, by: TLSOptions) -> None:
        """Let it go on with HTTP in TLS."""
        self._encrypt_by(arrived, transport, data, self._begun_by(by), by)

    def _encrypt_stream(
        self, arrived: Protocol, transport: Any, data: bytes, factory: Factory, route: StreamRoute
    ) -> Deferred[None]:
        return self._encrypt_by(arrived, transport, data, factory, route.options or BUILT_IN)

    def _encrypt_by(
        self, arrived: Protocol, transport: Any, data: bytes, factory: Factory, by: TLSOptions
    ) -> Deferred[None]:
        assert self._encrypted is not None
        tls = self._by(by)
        assert tls is not None
        encrypting = starttls.encrypt(self._reactor, transport, data, factory, tls)
        self._encrypted.follow(arrived, encrypting)
        return encrypting

    def _by(self, options: TLSOptions) -> Encryption | None:
        return None if self._tls is None else self._tls.by(options)

    def _begun_by(self, options: TLSOptions) -> Factory:
        """Makes connections of HTTP in TLS that was begun by these options."""
        assert self._encrypted is not None
        return self._encrypted if options == BUILT_IN else BegunBy(self._encrypted, options)

    def _encrypts(self) -> bool:
        return self._entry_point.tls or self._table().encrypts(self._entry_point.name)


def _peer(connection: Any) -> str:
    return plain_address(getattr(connection.transport.getPeer(), "host", "") or "")


def _unknown(connection: Any) -> str:
    return ""


def _client(tunnel: Tunnel) -> str:
    return tunnel.address
