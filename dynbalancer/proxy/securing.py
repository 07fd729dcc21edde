"""TLS as a client by an ``ssl.SSLContext``, on any transport of Twisted's.

Twisted's own TLS is pyOpenSSL's, which knows other settings than the contexts that requests to servers go by. This one
is for short questions: it has no flow control.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from dynbalancer.errors import ConnectError


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to talk to: the context, the name to ask for and to check (None: the host), a URI that has to be in the
    certificate (empty: none)."""

    context: ssl.SSLContext
    server_name: str | None = None
    peer_uri: str = ""


class SecureClient(Protocol):
    """The outer protocol; ``inner`` is connected when the handshake is over, and has this for its transport.

    Where the handshake fails, ``inner`` is told that its connection is lost, with a ConnectError in words.
    """

    def __init__(self, inner: Protocol, host: str, trust: Trust) -> None:
        self._inner = inner
        self._trust = trust
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = trust.context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=trust.server_name or host
        )
        self._shaken = False
        self._over = False
        self.transport: Any = None

    # What the transport calls.

    def connectionMade(self) -> None:
        """Begin the handshake."""
        if self._over:
            self.transport.abortConnection()
        else:
            self._step()

    def dataReceived(self, data: bytes) -> None:
        """Go on with the handshake, or hand on what was said."""
        self._incoming.write(data)
        self._step()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Hand it on."""
        if not self._over:
            self._over = True
            self._inner.connectionLost(reason)

    # What the inner protocol calls.

    def write(self, data: bytes) -> None:
        """Send octets."""
        if not self._over:
            self._tls.write(data)
            self._flush()

    def end(self) -> None:
        """End the connection, or what is to be one, at once; nobody is told."""
        self.abortConnection()

    def abortConnection(self) -> None:
        """See :meth:`end`."""
        self._over = True
        if self.transport is not None:
            self.transport.abortConnection()

    # How it goes on.

    def _step(self) -> None:
        try:
            self._shake_hands()
            while not self._over:
                data = self._tls.read(65536)
                if not data:
                    # The server says that it has no more to say.
                    self.transport.loseConnection()
                    return
                self._inner.dataReceived(data)
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLError, ConnectError) as error:
            self._flush()
            self._give_up(error)
            return
        self._flush()

    def _shake_hands(self) -> None:
        if self._shaken or self._over:
            return
        self._tls.do_handshake()
        self._shaken = True
        self._check_uri()
        self._flush()
        self._inner.makeConnection(self)

    def _check_uri(self) -> None:
        uri = self._trust.peer_uri
        if not uri:
            return
        names: Any = (self._tls.getpeercert() or {}).get("subjectAltName", ())
        if ("URI", uri) not in names:
            raise ConnectError(f"its certificate does not name {uri}")

    def _give_up(self, error: ssl.SSLError | ConnectError) -> None:
        if self._over:
            return
        self._over = True
        self.transport.loseConnection()
        said = error if isinstance(error, ConnectError) else ConnectError(f"TLS: {_words(error)}")
        self._inner.connectionLost(Failure(said))

    def _flush(self) -> None:
        octets = self._outgoing.read()
        if octets and not self._over:
            self.transport.write(octets)


def _words(error: ssl.SSLError) -> str:
    """What OpenSSL says, without the place in its source."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate can't be trusted: {error.verify_message}"
    return (error.reason or str(error)).lower().replace("_", " ")
