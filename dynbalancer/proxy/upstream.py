"""The servers while they run: connections to them, kept and reused, and how they have been doing."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from dynbalancer.core.exchange import RequestHead
from dynbalancer.core.model import Server, ServersTransport, Service
from dynbalancer.core.request_reader import DEAD, HELD
from dynbalancer.core.settings import Limits
from dynbalancer.core.statistics import Pending, Tally
from dynbalancer.errors import (
    ConfigurationError,
    ConnectError,
    ConnectTimeout,
    Untrusted,
    UpstreamError,
)
from dynbalancer.proxy import transports
from dynbalancer.proxy.deadlines import NEVER, Deadlines
from dynbalancer.proxy.trust import client_context, limits_by, peer_uris
from dynbalancer.proxy.upstream_connection import UpstreamConnection

#: A server that could not be reached is asked last for this many seconds, doubled with each failure in a row.
FIRST_AVOIDANCE, LONGEST_AVOIDANCE = 1.0, 30.0

#: Who wants to connect to a server that has not answered an attempt for so many seconds is the last one for a while.
PATIENCE = 0.5

#: A request that may not be repeated goes on a kept connection only if that was in use this short a time ago, in
#: seconds, until the server has shown that it closes idle ones sooner (RFC 9112 section 9.3.1).
FIRST_TRUST = 0.5

#: A server that ends a connection in use a shorter time ago than this failed at a request, and closes nothing idle.
#: Seconds.
AT_ONCE = 0.01

#: Errors that say nothing of the server: there is no descriptor, no port or no memory left here.
OURS = frozenset((errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM))


class Connecting:
    """How connections to servers are made: shared by all upstreams of a process."""

    def __init__(
        self,
        reactor: Any,
        limits: Limits,
        deadlines: Deadlines,
        *,
        verify: bool = True,
        ca_file: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``tls`` is for https servers, in place of ``verify`` and ``ca_file``."""
        self.reactor = reactor
        self.clock = transports.clock_of(reactor)
        self.limits = limits
        self.deadlines = deadlines
        #: The upstreams that were asked, for whoever counts: he takes out those he has seen.
        self.used: set[Upstream] = set()
        #: Asked for by SNI, and looked for in certificates, where it is not the host itself.
        self.server_name: str | None = None
        #: A URI that must be in the certificate of a server; empty: none.
        self.peer_uri = ""
        self._verify = verify
        self._ca_file = ca_file
        self._tls = tls

    @property
    def tls(self) -> ssl.SSLContext:
        """The context for https servers. Raises ConfigurationError where the CA file can't be read."""
        if self._tls is None:
            try:
                context = ssl.create_default_context(cafile=self._ca_file or None)
            except OSError as error:
                raise ConfigurationError("serversTransport.rootCAs", f"{self._ca_file}: {error}") from None
            if not self._verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            context.set_alpn_protocols(["http/1.1"])
            self._tls = context
        return self._tls

    def by(self, transport: ServersTransport) -> Connecting:
        """How a serversTransport says that connections are made. Raises ConfigurationError where that can't be."""
        if transport.peer_uri and transports.loop_of(self.reactor) is None:
            why = "peerCertURI needs the workers' reactor"
            raise ConfigurationError(f"serversTransport {transport.name}", why)
        limits = limits_by(transport, self.limits)
        other = Connecting(self.reactor, limits, self.deadlines, tls=client_context(transport))
        other.used = self.used
        other.server_name = transport.server_name or None
        other.peer_uri = transport.peer_uri
        return other


class Upstream:
    """One server of a service while it runs: its kept connections, what is in flight, and its count."""

    __slots__ = (
        "_attempts",
        "_attempts_since",
        "_failures",
        "_idle",
        "authority",
        "avoid_until",
        "connecting",
        "gone",
        "host",
        "in_flight",
        "key",
        "learned",
        "name",
        "outage",
        "pass_host",
        "pending",
        "port",
        "prefix",
        "scheme",
        "server",
        "tally",
        "tls",
        "trust",
        "up",
        "weight",
    )

    def __init__(self, server: Server, connecting: Connecting) -> None:
        """Raises ConfigurationError where the URL names nothing that can be asked, or for what https needs."""
        self.connecting = connecting
        self.key = (server.url, server.instance)
        self.name = server.url
        #: Whether it gets the client's Host, and what is put in front of the path for it.
        self.pass_host = True
        self.prefix = b""
        #: What its balancer learned of it, and how it failed lately, where somebody wants to know.
        self.learned: Any = None
        self.outage: Any = None
        #: What it did, and what of that nobody has looked at yet, by router: see Counting.
        self.tally = Tally()
        self.pending: dict[str, Pending] = {}
        self.in_flight = 0
        self.avoid_until = 0.0
        self.gone = False
        self.trust = FIRST_TRUST
        self._failures = 0
        #: How many attempts to connect go on, and since when it has answered none.
        self._attempts = 0
        self._attempts_since = 0.0
        self._idle: list[UpstreamConnection] = []
        parts = urlsplit(server.url)
        if parts.scheme not in ("http", "https"):
            raise ConfigurationError(
                f"server {server.url}",
                f"the scheme {parts.scheme or '(none)'} isn't supported",
                "use http or https",
            )
        try:
            port = parts.port
        except ValueError:
            raise ConfigurationError(f"server {server.url}", "the port is not a number below 65536") from None
        if not parts.hostname:
            raise ConfigurationError(f"server {server.url}", "names no host")
        self.scheme = parts.scheme
        self.tls = connecting.tls if parts.scheme == "https" else None
        self.host = parts.hostname
        self.port = port or (443 if parts.scheme == "https" else 80)
        self.authority = parts.netloc.rpartition("@")[2].encode("ascii", "replace")
        self.update(server)

    def update(self, server: Server) -> None:
        """Take over weight and state from the newest definition."""
        self.server = server
        self.weight = server.weight
        self.prefix = (
            urlsplit(server.url).path.rstrip("/").encode("ascii", "replace") if server.preserve_path else b""
        )
        self.up = server.state == "ready"
        if not self.up:
            self.close_idle()

    def seen(self, head: RequestHead) -> RequestHead:
        """A request's head as this server is to see it: whose Host it has, and below which path it is."""
        if head.authority and self.pass_host and not self.prefix:
            return head
        head = head.copy()
        head.path = self.prefix + head.path
        if not head.authority or not self.pass_host:
            head.authority = self.authority
        return head

    def take(self, repeatable: bool) -> UpstreamConnection | None:
        """A kept connection that the next request may go on, or None."""
        self.connecting.used.add(self)
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.reading == HELD and not connection.lost:
                # The server may have closed it, and where we are behind with reading, we don't know yet.
                if repeatable or (
                    self.connecting.clock() - connection.idle_since < self.trust and not connection.has_news()
                ):
                    connection.deadline = NEVER
                    return connection
                idle.append(connection)
                if len(idle) > 1:
                    # A fresh one takes its place. Or each such request would leave one more here.
                    idle.pop(0).close()
                return None
        return None

    def keep(self, connection: UpstreamConnection) -> None:
        """Take back a connection whose exchange ended cleanly."""
        limits = self.connecting.limits
        if not self.up or self.gone or not limits.upstream_idle_connections:
            connection.close()
            return
        if len(self._idle) >= limits.upstream_idle_connections:
            # The newest is the one that the next request may go on, whatever it is.
            self._idle.pop(0).close()
        self.connecting.deadlines.set(connection, limits.upstream_idle_time)
        self._idle.append(connection)

    def drop(self, connection: UpstreamConnection) -> bool:
        """A kept connection is not good any more. Whether it was kept."""
        if connection not in self._idle:
            return False
        self._idle.remove(connection)
        return True

    def server_closed(self, connection: UpstreamConnection, *, asked: bool = False) -> None:
        """The server closed a connection since its last answer: it waits no longer than this, perhaps less.

        ``asked``: the next request was sent already.
        """
        since = self.connecting.clock() - connection.idle_since
        if not asked or since >= AT_ONCE:
            self.trust = min(self.trust, since / 2)

    def close_idle(self) -> None:
        """Close what is kept. What is in use goes on to its end."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def retire(self) -> None:
        """This server is no longer part of its service."""
        self.gone = True
        self.up = False
        self.close_idle()

    def connect(
        self, ready: Callable[[UpstreamConnection], None], failed: Callable[[UpstreamError], None]
    ) -> Callable[[], None]:
        """Make a connection; exactly one of the two is called, later. Returns what cancels it: then neither is."""
        connecting = self.connecting
        connecting.used.add(self)
        self._attempt_begins(connecting.clock())
        connection = UpstreamConnection(self, connecting)
        attempt = transports.connect(
            connecting.reactor,
            self.host,
            self.port,
            connection,
            timeout=connecting.limits.connect_time,
            tls=self.tls,
            server_name=connecting.server_name,
        )
        cancelled = False

        def connected(_: object) -> None:
            self._attempt_succeeded(connecting.clock())
            if cancelled:
                connection.close()
            else:
                ready(connection)

        def refused(failure: Failure) -> None:
            self._attempts -= 1
            if cancelled:
                return
            if getattr(failure.value, "errno", None) not in OURS:
                self.failed()
            why = f"{self.host}:{self.port}: {failure.getErrorMessage() or type(failure.value).__name__}"
            failed(_refusal(failure)(why))

        attempt.addCallback(_still_there)
        if connecting.peer_uri and self.tls is not None:
            attempt.addCallback(_with_uri, connecting.peer_uri)
        attempt.addCallbacks(connected, refused)
        attempt.addErrback(_unexpected)

        def cancel() -> None:
            nonlocal cancelled
            cancelled = True
            attempt.cancel()

        return cancel

    def _attempt_begins(self, now: float) -> None:
        if not self._attempts:
            self._attempts_since = now
        elif now - self._attempts_since > PATIENCE:
            self.failed()
        self._attempts += 1

    def _attempt_succeeded(self, now: float) -> None:
        self._attempts -= 1
        self._attempts_since = now
        if self._failures:
            # It was away. What runs there now may be another, with other habits.
            self.trust = FIRST_TRUST
        self._failures = 0
        self.avoid_until = 0.0

    def failed(self) -> None:
        """It could not be reached: ask others first for a while. Several failures at once are one."""
        now = self.connecting.clock()
        if self.avoid_until <= now:
            self._avoid(now)

    def is_worth_a_try(self, now: float) -> bool:
        """False since it could not be reached, until it can be again.

        No request has to find that out: after a while an attempt of its own does.
        """
        if not self.avoid_until:
            return True
        if self.avoid_until <= now:
            self._avoid(now)
            self.connect(UpstreamConnection.close, _still_away)
        return False

    def _avoid(self, now: float) -> None:
        self.avoid_until = now + min(FIRST_AVOIDANCE * 2**self._failures, LONGEST_AVOIDANCE)
        self._failures = min(self._failures + 1, 10)


def _refusal(failure: Failure) -> type[ConnectError]:
    """What kind of error it is that there is no connection."""
    if isinstance(failure.value, Untrusted | ssl.SSLCertVerificationError):
        return Untrusted
    return ConnectTimeout if failure.check(TimeoutError) else ConnectError


def _still_away(error: UpstreamError) -> None:
    """Nobody waited for it."""


def _still_there(connection: Protocol) -> Protocol:
    """Raises ConnectError where it was reset at once, or spoke unasked: nothing was sent, so it never was."""
    if isinstance(connection, UpstreamConnection) and (connection.lost or connection.reading == DEAD):
        raise ConnectError("closed as soon as it was open")
    return connection


def _with_uri(connection: Protocol, uri: str) -> Protocol:
    """Raises Untrusted where the certificate of the server does not name this URI."""
    if uri not in peer_uris(connection.transport):
        if isinstance(connection, UpstreamConnection):
            connection.close()
        raise Untrusted(f"its certificate does not name {uri}")
    return connection


def _unexpected(failure: Failure) -> None:
    # A defect of ours must not vanish in a Deferred nobody looks at.
    from twisted.logger import Logger

    Logger().failure("A connection's callback failed", failure)


class LiveService:
    """A service while it runs: its upstreams and the balancer over them.

    ``choices(exchange)`` gives upstreams, the best first. ``hooks`` are put among the middlewares of its routes: a
    service that wants to hear how exchanges go has one. ``same_head``: every server gets the same head of a request.
    """

    __slots__ = ("balancer", "choices", "hooks", "same_head", "service", "upstreams")

    def __init__(self, service: Service, upstreams: tuple[Upstream, ...], balancer: Any) -> None:
        self.service = service
        self.upstreams = upstreams
        self.balancer = balancer
        self.choices: Callable[[Any], Iterator[Upstream]] = balancer.choices
        self.hooks: tuple[Any, ...] = ()
        for upstream in upstreams:
            upstream.pass_host = service.pass_host_header
        self.same_head = service.pass_host_header and not any(upstream.prefix for upstream in upstreams)

    @property
    def reach(self) -> tuple[Upstream, ...]:
        """Every upstream that its choices may give."""
        return self.upstreams
