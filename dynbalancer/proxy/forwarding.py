"""One request on its way to a server and back: choosing, sending, retrying, relaying.

:class:`Forwarding` is an Exchange that can be carried out. It knows nothing of how the client speaks: a subclass offers
``send_interim``, ``send_head``, ``send_body``, ``send_end``, ``cut``, ``flush``, ``pause_request``, ``resume_request``
and ``start_tunnel``, and calls ``request_body``, ``request_ended`` and ``client_gone``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from dynbalancer.core.chunks import LAST_CHUNK, chunk
from dynbalancer.core.exchange import CHUNKED, Exchange, Field, RequestHead, Response, ResponseHead
from dynbalancer.core.forwarded import forwarded_fields
from dynbalancer.core.http1 import REASONS, allowed_trailers, write_trailers
from dynbalancer.errors import (
    ConnectError,
    ConnectTimeout,
    NoServer,
    RequestError,
    UpstreamClosed,
    UpstreamError,
)

if TYPE_CHECKING:
    from dynbalancer.core.model import EntryPoint
    from dynbalancer.proxy.resource import ReverseProxyResource
    from dynbalancer.proxy.upstream import LiveService, Upstream
    from dynbalancer.proxy.upstream_connection import UpstreamConnection

#: Of a body, what may be held to send it again to another server, in bytes.
REPLAYED = 65536

#: RFC 9110 section 9.2.2: doing it twice is as good as doing it once.
IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"))


class Forwarding(Exchange):
    """An exchange while it is carried out. ``pending`` holds octets that the next write to the client takes along."""

    # Defaults stand on the class: what a request doesn't need isn't set.
    pending: bytes = b""
    #: The head as it goes to whichever server, where that is known already.
    wire: bytes = b""
    connection: UpstreamConnection | None = None
    over: bool = False
    tunnelling: bool = False
    request_complete: bool = True
    #: How many of the route's middlewares saw the request and let it pass; None is all of them.
    reached: int | None = None
    _upstream: Upstream | None = None
    _candidates: Iterator[Upstream] | None = None
    _avoided: Sequence[Upstream] = ()
    _cancel: Callable[[], None] | None = None
    #: The pieces of the body so far, while they may have to be sent (again); None once they are gone.
    _body: list[bytes] | None = None
    _body_size: int = 0
    _trailers: Sequence[Field] = ()
    _paused: bool = False
    _half_closed: bool = False
    _broken: bool = False

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

    def forwarded_fields(self, server: bytes) -> list[Field]:
        """The X-Forwarded-* fields of this request; ``server`` is our name."""
        return forwarded_fields(self.head, self.client.encode("ascii", "replace"), server)

    # What the client's side offers.

    def send_interim(self, head: ResponseHead) -> None:
        """Pass a 1xx on."""
        raise NotImplementedError

    def send_head(self, head: ResponseHead) -> None:
        """Begin the answer. What is written may wait in ``pending`` for the first octets of the body."""
        raise NotImplementedError

    def send_body(self, data: bytes) -> None:
        """Some octets of the answer's body."""
        raise NotImplementedError

    def send_end(self, trailers: Sequence[Field]) -> None:
        """The answer is complete."""
        raise NotImplementedError

    def cut(self) -> None:
        """The answer can't be completed: make the client see that."""
        raise NotImplementedError

    def flush(self) -> None:
        """Write ``pending``."""
        raise NotImplementedError

    def pause_request(self) -> None:
        """Take no more of the request's body for now."""
        raise NotImplementedError

    def resume_request(self) -> None:
        """Go on."""
        raise NotImplementedError

    def start_tunnel(self, head: ResponseHead) -> bytes:
        """Send this 101; from now on octets go both ways. Returns those that came ahead."""
        raise NotImplementedError

    def end_tunnel(self, *, half: bool) -> None:
        """The server's side has ended: close ours after what was written, wholly or only our ``half``."""
        raise NotImplementedError

    # Answering ourselves.

    def answer(self, response: Response) -> None:
        """Give this answer instead of a server's."""
        if self.over:
            return
        head = _own_head(response)
        if not self._run_response_hooks(head):
            response = plain_response(500)
            head = _own_head(response)
        if not self.outcome:
            self.outcome = "refused" if response.status >= 400 else "done"
        self._leave_upstream()
        self.sent = head
        self.send_head(head)
        if response.body and head.length is not None and self.head.method != b"HEAD":
            self.send_body(response.body)
        self._finish()
        self.send_end(())

    def refuse(self, error: RequestError, sample: bytes = b"") -> None:
        """The rest of the request is no good (its body's framing, or its time)."""
        self._leave_upstream()
        if self.over:
            return
        self.outcome = "refused"
        self.resource.note_refusal(error, sample)
        if self.status:
            self.cut()
            self._finish()
        else:
            self.answer(plain_response(error.status))

    def fail(self, error: UpstreamError) -> None:
        """No server could answer."""
        self.outcome = error.reason
        self.resource.note_failure(self, error)
        if self.status:
            self.cut()
            self._finish()
        else:
            self.answer(self.resource.failure_response(self, error))

    # Towards a server.

    def forward(self, service: LiveService) -> None:
        """Begin: ask the best server of ``service``."""
        candidates = self._candidates = service.balancer.choices(self.head)
        # Without middlewares it is the same moment, and a clock costs something.
        self.forwarded = self.started if self.asked is None else self.resource.clock()
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
            self._cancel = upstream.connect(self._connected, self.upstream_failed)

    def _may_try(self, error: UpstreamError | None) -> bool:
        """As often as the settings say. Being refused costs next to nothing and is not counted."""
        retries = self.resource.retries
        refused = isinstance(error, ConnectError) and not isinstance(error, ConnectTimeout)
        return self.tries <= retries or (refused and retries > 0)

    def _same_server(self, upstream: Upstream) -> None:
        """Ask the same one once more, over a fresh connection."""
        self._upstream = upstream
        upstream.in_flight += 1
        self._cancel = upstream.connect(self._connected, self.upstream_failed)

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
        self._cancel = None
        self.connection = connection
        head = self.head
        connection.begin(self, head)
        connection.transport.write(self.wire or self.resource.request_head(self, connection.upstream))
        if not self.request_complete:
            # Before the body is written: this server may well pause the client again.
            self._paused = False
            self.resume_request()
        if self._body:
            self._write_body(b"".join(self._body))
        if self.request_complete:
            if head.length == CHUNKED:
                self._end_request(connection)
            else:
                connection.await_response()

    def request_body(self, data: bytes) -> None:
        """Octets of the request's body, or of the tunnel, came from the client."""
        self.bytes_in += len(data)
        if self.tunnelling:
            if self.connection is not None:
                self.connection.transport.write(data)
            return
        if self._body is not None:
            self._body_size += len(data)
            if self._body_size <= REPLAYED or self.connection is None:
                self._body.append(data)
                if self._body_size > REPLAYED and not self._paused:
                    self._paused = True
                    self.pause_request()
            else:
                self._body = None
        if self.connection is not None:
            self._write_body(data)

    def request_ended(self, trailers: list[Field]) -> None:
        """The request's body is complete."""
        self.request_complete = True
        self._trailers = trailers
        if self.connection is not None:
            self._end_request(self.connection)

    def _write_body(self, data: bytes) -> None:
        assert self.connection is not None
        if data:
            self.connection.transport.write(chunk(data) if self.head.length == CHUNKED else data)

    def _end_request(self, connection: UpstreamConnection) -> None:
        if self.head.length == CHUNKED:
            announced = self.head.headers.get(b"trailer", b"") or b""
            names = {name.strip().lower() for name in announced.split(b",")}
            fields = [field for field in allowed_trailers(self._trailers) if field[0] in names]
            connection.transport.write(write_trailers(fields) if fields else LAST_CHUNK)
        connection.await_response()

    # From a server.

    def relay(self, head: ResponseHead, body: bytes) -> bool:
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
        self._body = None
        self.response = head
        if head.status == 101:
            self._begin_tunnel(head)
            return
        route = self.route
        if route is not None and route.middlewares:
            self.origin = (head.status, tuple(head.headers.fields))
            if not self._run_response_hooks(head):
                self.answer(plain_response(500))
                return
        self.send_head(head)

    def response_ended(self, trailers: Sequence[Field]) -> None:
        """The answer is complete."""
        connection, self.connection = self.connection, None
        self.outcome = "done"
        if self._upstream is not None:
            self._upstream.in_flight -= 1
            self._upstream = None
        # First the books, then the end: the client's side may begin its next exchange inside send_end.
        self._finish()
        if connection is not None:
            connection.release(self.finished)
        self.send_end(allowed_trailers(trailers) if trailers else trailers)

    def upstream_failed(self, error: UpstreamError) -> None:
        """This server did not do: try another where that is safe (RFC 9110 section 9.2.2), else say so."""
        upstream = self._upstream
        self._leave_upstream()
        if self.over:
            return
        repeatable = not self.status and (
            self._body is not None or (self.request_complete and not self.head.length)
        )
        again = isinstance(error, ConnectError) or (
            isinstance(error, UpstreamClosed) and self.head.method in IDEMPOTENT
        )
        if not (repeatable and again):
            self.fail(error)
        elif isinstance(error, UpstreamClosed) and error.retryable and upstream is not None and upstream.up:
            # RFC 9112 section 9.3.1: only the kept connection was dead, which says nothing of the server.
            self._same_server(upstream)
        else:
            self.next_server(error)

    def client_gone(self) -> None:
        """The client left: nobody's failure; the server is told at once."""
        if self.over:
            return
        self._leave_upstream()
        if not self.tunnelling:
            self.outcome = "client-gone"
            self.status = self.status or 499
        else:
            self.outcome = "done"
        self._finish()

    def pause_response(self) -> None:
        """The client takes no more: read no more from the server."""
        if self.connection is not None:
            self.connection.pause()

    def resume_response(self) -> None:
        """Go on."""
        if self.connection is not None:
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
        self._finish()

    # Ends.

    def _run_response_hooks(self, head: ResponseHead) -> bool:
        """False where one of them broke, now or before: the answer is then none of theirs."""
        if self._broken:
            return True
        for middleware in reversed(self.route.middlewares[: self.reached] if self.route is not None else ()):
            if middleware.on_response is None:
                continue
            try:
                middleware.on_response(self, head)
            except Exception:
                self._broken = True
                self.resource.note_defect(middleware)
                return False
        return True

    def _leave_upstream(self) -> None:
        """Whatever goes on with a server, stop it."""
        if self._cancel is not None:
            self._cancel()
            self._cancel = None
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()
        if self._upstream is not None:
            self._upstream.in_flight -= 1
            self._upstream = None

    def _finish(self) -> None:
        if not self.over:
            self.over = True
            self._body = None
            self._candidates = None
            if self._upstream is not None:
                self._leave_upstream()
            self.resource.exchange_over(self)


def _own_head(response: Response) -> ResponseHead:
    """The head of an answer of ours. Its framing is ours to say, whatever a middleware copied from elsewhere."""
    head = ResponseHead(response.status, headers=response.headers.copy(), length=len(response.body))
    head.headers.remove(b"content-length", b"transfer-encoding", b"connection")
    if response.status < 200 or response.status in (204, 304):
        head.length = None
    return head


def plain_response(status: int, text: bytes | None = None) -> Response:
    """A short text answer that carries nothing of the request."""
    body = REASONS.get(status, b"Error") if text is None else text
    return Response(
        status,
        body,
        ((b"Content-Type", b"text/plain; charset=utf-8"), (b"X-Content-Type-Options", b"nosniff")),
    )
