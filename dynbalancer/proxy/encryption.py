"""Entry points and TLS: those where nothing else is spoken, and those where a client may begin with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from dynbalancer.core.model import EntryPoint, TLSOptions
from dynbalancer.core.settings import Limits
from dynbalancer.core.tlschoice import BUILT_IN
from dynbalancer.errors import RequestError
from dynbalancer.proxy.deadlines import Deadlines
from dynbalancer.proxy.http1 import LINGER_TIME, ServerConnection
from dynbalancer.proxy.resource import ReverseProxyResource
from dynbalancer.proxy.site import Site

#: The first octet of a TLS connection, a record of type handshake (RFC 8446 section 5.1). No request begins with it.
HELLO = b"\x16"

#: What takes a connection over: its transport, what was read of it, and the site where it goes on.
Encrypt = Callable[[Any, bytes, Site], "Deferred[None]"]


class EncryptedConnection(ServerConnection):
    """One client's connection inside TLS."""

    scheme = b"https"
    site: EncryptedSite
    tls_options: TLSOptions | None = BUILT_IN

    def connectionMade(self) -> None:
        self.site.handshake_over(self)
        super().connectionMade()

    def close(self) -> None:
        super().close()
        if not self._unsent:
            # The client has everything and should close as well; many never do.
            self.site.deadlines.set(self, LINGER_TIME)


class EncryptedSite(Site):
    """All connections of one entry point that speak TLS."""

    _log = Logger()

    def __init__(
        self, resource: ReverseProxyResource, entry_point: EntryPoint, limits: Limits, deadlines: Deadlines
    ) -> None:
        super().__init__(resource, entry_point, limits, deadlines)
        # The loop says nothing of a handshake that fails: what it was for is just gone.
        # Not a WeakSet: adding to it and taking from it are functions of Python, for each connection.
        self._shaking: set[ref[Protocol]] = set()
        self._begun = 0
        self._done = 0

    def buildProtocol(self, addr: Any) -> ServerConnection:
        connection = EncryptedConnection(self)
        self._begun += 1
        self._shaking.add(ref(connection, self._shaking.discard))
        return connection

    def handshake_over(self, connection: ServerConnection) -> None:
        """TLS is spoken on this connection from now on."""
        self._done += 1
        self._shaking.discard(ref(connection))

    @property
    def shaking(self) -> int:
        """Handshakes that go on now."""
        return len(self._shaking)

    @property
    def failed(self) -> int:
        """Handshakes that came to nothing."""
        return self._begun - self._done - len(self._shaking)

    def follow(self, connection: Protocol, encrypting: Deferred[None]) -> None:
        """Count a handshake that began on a connection which began without TLS."""
        self._begun += 1
        self._shaking.add(ref(connection, self._shaking.discard))

        def over(result: Any) -> None:
            self._shaking.discard(ref(connection))
            if isinstance(result, Failure):
                # Nobody waits for what a client could not agree on; anything else is a bug.
                result.trap(OSError)
            else:
                self._done += 1

        encrypting.addBoth(over)
        encrypting.addErrback(lambda failure: self._log.failure("A handshake failed", failure))


class BegunBy(Factory):
    """The connections of a site that are encrypted by certain options."""

    noisy = False

    def __init__(self, site: EncryptedSite, options: TLSOptions) -> None:
        self._site = site
        self._options = options

    def buildProtocol(self, addr: Any) -> ServerConnection:
        connection = self._site.buildProtocol(addr)
        connection.tls_options = self._options
        return connection


class PlainConnection(ServerConnection):
    """One client's connection, until it turns out to be TLS."""

    site: PlainSite

    def _refuse(self, error: RequestError, data: bytes) -> bytes:
        # Here, where no good request ever comes by.
        if data[:1] == HELLO and not self._served and self.site.hand_over(self, data):
            return b""
        return super()._refuse(error, data)


class PlainSite(Site):
    """All connections of one entry point where TLS may be spoken, but need not be.

    What begins with TLS goes on in ``encrypted``, by way of ``encrypt``, as long as ``wanted`` says so: some router has
    to answer there.
    """

    def __init__(
        self,
        resource: ReverseProxyResource,
        entry_point: EntryPoint,
        limits: Limits,
        deadlines: Deadlines,
        *,
        encrypted: EncryptedSite,
        encrypt: Encrypt,
        wanted: Callable[[], bool],
    ) -> None:
        super().__init__(resource, entry_point, limits, deadlines)
        self._encrypted = encrypted
        self._encrypt = encrypt
        self._wanted = wanted

    def buildProtocol(self, addr: Any) -> ServerConnection:
        return PlainConnection(self)

    def hand_over(self, connection: ServerConnection, data: bytes) -> bool:
        """Let a connection go on with TLS. False where nobody would answer."""
        if not self._wanted():
            return False
        self.connections.discard(connection)
        self.deadlines.forget(connection)
        connection.stop()
        self._encrypted.follow(connection, self._encrypt(connection.transport, data, self._encrypted))
        return True
