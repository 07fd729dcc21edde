"""One request on its way to a server and back: choosing, sending, retrying, relaying.

:class:`Forwarding` is an Exchange that can be carried out. It knows nothing of how the client speaks: a subclass offers
what :class:`~dynbalancer.proxy.answering.Answering` wants, ``pause_request``, ``resume_request`` and ``start_tunnel``,
and calls ``request_body``, ``request_ended`` and ``client_gone``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from dynbalancer.core.exchange import CHUNKED, Field, RequestHead, ResponseHead
from dynbalancer.core.forwarded import forwarded_fields
from dynbalancer.core.http1 import allowed_trailers
from dynbalancer.core.repeating import IDEMPOTENT, is_safe_again
from dynbalancer.errors import ConnectError, ConnectTimeout, NoServer, UpstreamClosed, UpstreamError
from dynbalancer.proxy.attending import Attendant
from dynbalancer.proxy.receiving import Receiving

if TYPE_CHECKING:
    from dynbalancer.core.model import EntryPoint
    from dynbalancer.proxy.resource import ReverseProxyResource
    from dynbalancer.proxy.upstream import LiveService, Upstream
    from dynbalancer.proxy.upstream_connection import UpstreamConnection


class Forwarding(Receiving):
    """An exchange while it is carried out."""

    # Defaults stand on the class: what a request doesn't need isn't set.
    #: The head as it goes to whichever server, where that is known already.
    wire: bytes = b""
    _upstream: Upstream | None = None
    _candidates: Iterator[Upstream] | None = None
    _avoided: Sequence[Upstream] = ()
    #: Ends what it waits for: a connection, a pause, or a middleware.
    cancel: Callable[[], None] | None = None
    _half_closed: bool = False
    #: Those who want to hear how it goes with servers, see :mod:`dynbalancer.proxy.attending`.
    attendants: tuple[Attendant, ...] = ()

    def __init__(
        self,
        resource: ReverseProxyResource,
        head: RequestHead,
        entry_point: EntryPoint,
        client: str,
        client_port: int,
        trusted: bool,
    ) -> None:
        self.head = head
        self.entry_point = entry_point
        self.client = client
        self.client_port = client_port
        self.trusted = trusted
        self.started = resource.clock()
        self.resource = resource
        if head.length:
            self.request_complete = False
            self._body = []

    def forwarded_fields(self, head: RequestHead, server: bytes) -> list[Field]:
        """The X-Forwarded-* fields of this request, whose head came as this one; ``server`` is our name."""
        return forwarded_fields(head, self.client.encode("ascii", "replace"), server)

    # What the client's side offers.

    def start_tunnel(self, head: ResponseHead) -> bytes:
        """Send this 101; from now on octets go both ways. Returns those that came ahead."""
        raise NotImplementedError

    def end_tunnel(self, *, half: bool) -> None:
        """The server's side has ended: close ours after what was written, wholly or only our ``half``."""
        raise NotImplementedError

    # Towards a server.

    def forward(self, service: LiveService) -> None:
        """Begin: ask the best server of ``service``."""
        candidates = self._candidates = service.choices(self)
        # Without middlewares that do something it is the same moment, and a clock costs something.
        self.forwarded = self.started if self.asked is None or self.wire else self.resource.clock()
        for upstream in candidates:
            if upstream.up and not upstream.avoid_until:
                self._ask(upstream)
            else:
                self._candidates = chain((upstream,), candidates)
                self.next_server()
            return
        self.next_server()

    def next_server(self, error: UpstreamError | None = None) -> None:
        """Ask the next best one; fail with ``error`` where there is none or enough were asked."""
        if self.over:
            return
        upstream = self._next_candidate() if self._may_try(error) else None
        if upstream is None:
            self.fail(error or NoServer("no server is up"))
            return
        self._ask(upstream)

    def _ask(self, upstream: Upstream) -> None:
        self.tries += 1
        self._upstream = self.server = upstream
        upstream.in_flight += 1
        connection = upstream.take(self.head.method in IDEMPOTENT)
        if connection is not None:
            self._connected(connection)
        else:
            self.cancel = upstream.connect(self._connected, self.upstream_failed)

    def _may_try(self, error: UpstreamError | None) -> bool:
        """As often as the settings say. Being refused costs next to nothing and is not counted."""
        retries = self.resource.retries
        refused = isinstance(error, ConnectError) and not isinstance(error, ConnectTimeout)
        return self.tries <= retries or (refused and retries > 0)

    def _same_server(self, upstream: Upstream) -> None:
        """Ask the same one once more, over a fresh connection."""
        self._upstream = upstream
        upstream.in_flight += 1
        self.cancel = upstream.connect(self._connected, self.upstream_failed)

    def _next_candidate(self) -> Upstream | None:
        """The next one of the balancer's choices that is up; those that could not be reached lately come last."""
        for upstream in self._candidates or ():
            if not upstream.up:
                continue
            # Whoever has met one that can't be reached is not sent to find out about a second.
            if upstream.avoid_until and (self.tries or not upstream.is_worth_a_try(self.resource.clock())):
                self._avoided = [*self._avoided, upstream]
                continue
            return upstream
        if self._avoided:
            upstream, *self._avoided = self._avoided
            return upstream
        return None

    def _connected(self, connection: UpstreamConnection) -> None:
        self.cancel = None
        self.connection = connection
        head = self.head
        connection.begin(self, head)
        wire = self.wire or self.resource.request_head(self, connection.upstream)
        length = head.length
        if length is None and self.request_complete:
            # Most have no body.
            connection.transport.write(wire)
            connection.await_response()
            return
        body = self._body
        if body and self.request_complete and length != CHUNKED:
            # The whole of it is here: out with it, by one call.
            connection.transport.write(b"".join((wire, *body)))
            connection.await_response()
            return
        if length is not None and length > 0 and (body or self.body_at_hand()):
            self._unsent = wire
        else:
            connection.transport.write(wire)
        if self.kept is not None:
            self._send_kept(connection, self.kept)
            return
        if not self.request_complete:
            # Before the body is written: this server may well pause the client again.
            self._paused = False
            self.resume_request()
        if self._body:
            self._write_body(b"".join(self._body))
        if self.request_complete:
            if length == CHUNKED:
                self._end_request(connection)
            else:
                connection.await_response()

    # From a server.

    def relay(self, head: ResponseHead, body: bytes | memoryview) -> bool:
        """Pass a whole answer on as it is, where nobody has a say in it. False: take it piece by piece.

        ``head.wire`` is what an HTTP/1.1 client gets whose connection stays open.
        """
        return False

    def interim_received(self, head: ResponseHead) -> None:
        """A 1xx came: passed on, but HTTP/1.0 has none."""
        if self.head.version >= 11:
            self.send_interim(head)

    def response_received(self, head: ResponseHead) -> None:
        """The answer begins."""
        # Those of the server itself first: who comes before them may turn to another server.
        if self.attendants and any(one.answered(self, head) for one in reversed(self.attendants)):
            return
        route = self.route
        if route is not None and route.middlewares and head.status != 101:
            if self.retry is not None and self._asks_again(head.status, None):
                return
            self._body = None
            self.response = head
            self.origin = (head.status, tuple(head.headers.fields))
            self.pass_hooks(head, None, len(route.middlewares))
            return
        self._body = None
        self.response = head
        if head.status == 101:
            self._begin_tunnel(head)
        else:
            self.send_head(head)

    def response_ended(self, trailers: Sequence[Field]) -> None:
        """The answer is complete."""
        if self.between is not None and self.between.ended(trailers):
            return
        connection, self.connection = self.connection, None
        self.outcome = "done"
        if self._upstream is not None:
            self._upstream.in_flight -= 1
            self._upstream = None
        # First the books, then the end: the client's side may begin its next exchange inside send_end.
        self.finish()
        if connection is not None:
            connection.release(self.finished)
        self.send_end(allowed_trailers(trailers) if trailers else trailers)

    def upstream_failed(self, error: UpstreamError) -> None:
        """This server did not do: try another where that is safe (RFC 9110 section 9.2.2), else say so."""
        if self.between is not None and self.between.failed(error):
            return
        upstream = self._upstream
        self.leave_server()
        if self.over:
            return
        if upstream is not None:
            for attendant in self.attendants:
                attendant.failed(self, upstream)
        if self.status or not self._is_repeatable():
            self.fail(error)
            return
        safe = is_safe_again(error, self.head.method)
        if (
            safe
            and isinstance(error, UpstreamClosed)
            and error.retryable
            and upstream is not None
            and upstream.up
        ):
            # RFC 9112 section 9.3.1: only the kept connection was dead, which says nothing of the server.
            self._same_server(upstream)
        elif self.retry is not None:
            if not self._asks_again(error.status, error):
                self.fail(error)
        elif safe:
            self.next_server(error)
        else:
            self.fail(error)

    def keep_connection(self) -> None:
        """The answer is complete on the server's side; the client has yet to take it."""
        connection, self.connection = self.connection, None
        if self._upstream is not None:
            self._upstream.in_flight -= 1
            self._upstream = None
        if connection is not None:
            connection.release(self.resource.clock())

    # Another try, where a middleware or the service says so.

    def ask_instead(self, choices: Callable[[Forwarding], Iterator[Upstream]]) -> bool:
        """Throw the answer away that begins, and ask these. False where the request can't be sent once more."""
        if not self._is_repeatable():
            return False
        self.leave()
        self._candidates, self._avoided = choices(self), ()
        upstream = self._next_candidate()
        if upstream is None:
            self.fail(NoServer("no server is up"))
        else:
            self._ask(upstream)
        return True

    def _is_repeatable(self) -> bool:
        """Whether all there is of the request so far can be sent once more."""
        return (
            self._body is not None
            or self.kept is not None
            or (self.request_complete and not self.head.length)
        )

    def _asks_again(self, status: int, error: UpstreamError | None) -> bool:
        """Whether another try is made, now or in a while, instead of taking this answer or failure."""
        if self.status or not self._is_repeatable():
            return False
        pause = self.retry.another_try(self, status, error, self.resource.clock())
        if pause is None:
            return False
        self.leave()
        if pause > 0:
            self.cancel = self.resource.later(pause, self._ask_again).cancel
        else:
            self._ask_again()
        return True

    def _ask_again(self) -> None:
        self.cancel = None
        upstream = self._next_candidate()
        if upstream is None and self.route is not None:
            # Each was asked once: they may be asked once more.
            self.attendants, self.copies = (), ()
            self._candidates = self.route.service.choices(self)
            upstream = self._next_candidate()
        if upstream is None:
            self.fail(NoServer("no server is up"))
        else:
            self._ask(upstream)

    def client_gone(self) -> None:
        """The client left: nobody's failure; the server is told at once."""
        if self.over:
            return
        self.leave()
        if not self.tunnelling:
            self.outcome = "client-gone"
            self.status = self.status or 499
        else:
            self.outcome = "done"
        self.finish()

    def pause_response(self) -> None:
        """The client takes no more: read no more from the server."""
        if self.between is not None:
            self.between.pause()
        elif self.connection is not None:
            self.connection.pause()

    def resume_response(self) -> None:
        """Go on."""
        if self.between is not None:
            self.between.resume()
        elif self.connection is not None:
            self.connection.resume()

    # Tunnels.

    def _begin_tunnel(self, head: ResponseHead) -> None:
        self.tunnelling = True
        self.status = 101
        ahead = self.start_tunnel(head)
        if ahead and self.connection is not None:
            self.connection.transport.write(ahead)
        if self._half_closed:
            self.client_half_closed()

    def client_half_closed(self) -> None:
        """The client sends no more, now or in the tunnel that may begin."""
        self._half_closed = True
        if not self.tunnelling or self.connection is None:
            return
        if self.connection.half_closed:
            self.connection.transport.loseConnection()
        else:
            self.connection.transport.loseWriteConnection()

    def server_half_closed(self) -> None:
        """The server sends no more through the tunnel."""
        if self._half_closed and self.connection is not None:
            # Both have said all they had: nobody would close it but the idle time.
            self.connection.transport.loseConnection()
        else:
            self.end_tunnel(half=True)

    def tunnel_ended(self) -> None:
        """The server's connection is gone."""
        self.connection = None
        self.end_tunnel(half=False)
        self.outcome = "done"
        self.finish()

    # Ends.

    def leave_server(self) -> None:
        """Whatever goes on with a server, stop it."""
        if self.cancel is not None:
            # Whoever is cancelled sees that he was.
            cancel, self.cancel = self.cancel, None
            cancel()
        self._unsent = b""
        if self._pump is not None:
            self._pump.stop()
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()
        if self._upstream is not None:
            self._upstream.in_flight -= 1
            self._upstream = None

    def finish(self) -> None:
        if not self.over:
            self.over = True
            self._body = None
            self._candidates = None
            if self._upstream is not None:
                self.leave_server()
            self.resource.exchange_over(self)
