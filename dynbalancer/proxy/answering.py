"""The answer of an exchange, on its way through the middlewares to the client: a server's, or one of our own.

:class:`Answering` is the half of an exchange that faces the client. How the client speaks is for a subclass to know: it
offers ``send_interim``, ``send_head``, ``send_body``, ``send_end``, ``cut`` and ``flush``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred

from dynbalancer.core.exchange import Exchange, Field, Response, ResponseHead
from dynbalancer.core.reasons import REASONS
from dynbalancer.errors import RequestError, UpstreamError
from dynbalancer.proxy.shaping import Shaping, Waiting, filtered

if TYPE_CHECKING:
    from dynbalancer.proxy.resource import ReverseProxyResource
    from dynbalancer.proxy.upstream_connection import UpstreamConnection


#: A 405 has to say what is allowed instead (RFC 9110 section 15.5.6): of ours, all but CONNECT and TRACE.
ALLOW = (b"Allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")


class Answering(Exchange):
    """An exchange while it is answered. ``pending`` holds octets that the next write to the client takes along."""

    # Defaults stand on the class: what a request doesn't need isn't set.
    resource: ReverseProxyResource
    pending: bytes = b""
    #: Whether all of the request has come.
    request_complete: bool = True
    over: bool = False
    connection: UpstreamConnection | None = None
    #: What the answer has to pass between the server and the client, where a middleware wants that.
    between: Shaping | Waiting | None = None
    #: How many of the route's middlewares saw the request and let it pass; None is all of them.
    reached: int | None = None
    #: The server's answer as it would go to a client, while it passes middlewares that promise to do the same again.
    learning: bytes = b""
    _broken: bool = False

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

    # What the server's side offers.

    def leave_server(self) -> None:
        """Whatever goes on with a server, stop it."""
        raise NotImplementedError

    def keep_connection(self) -> None:
        """Nothing more comes from the server: let others have the connection."""
        raise NotImplementedError

    def response_ended(self, trailers: Sequence[Field]) -> None:
        """The server's answer is complete."""
        raise NotImplementedError

    def upstream_failed(self, error: UpstreamError) -> None:
        """The server's answer won't be complete."""
        raise NotImplementedError

    def resume_response(self) -> None:
        """Take more of the server's answer."""
        raise NotImplementedError

    def finish(self) -> None:
        """The exchange is over: tell whom it concerns, once."""
        raise NotImplementedError

    # Answering ourselves.

    def body_received(self, data: bytes) -> None:
        """Some octets of the server's answer."""
        if self.between is not None:
            self.between.body(data)
        else:
            self.send_body(data)

    def answer(self, response: Response) -> None:
        """Give this answer instead of a server's."""
        if self.over:
            return
        self.leave()
        head = own_head(response)
        route = self.route
        if route is None or not route.middlewares or self._broken:
            self._send_own(head, response)
        else:
            seen = len(route.middlewares) if self.reached is None else self.reached
            self.pass_hooks(head, response, seen)

    def refuse(self, error: RequestError, sample: bytes = b"") -> None:
        """The rest of the request is no good (its body's framing, or its time)."""
        self.leave()
        if self.over:
            return
        self.outcome = "refused"
        self.resource.note_refusal(error, sample)
        if self.status:
            self.cut()
            self.finish()
        else:
            self.answer(plain_response(error.status))

    def fail(self, error: UpstreamError) -> None:
        """No server could answer."""
        self.outcome = error.reason
        self.resource.note_failure(self, error)
        if self.status:
            self.leave()
            self.cut()
            self.finish()
        else:
            self.answer(self.resource.failure_response(self, error))

    # Through the middlewares.

    def pass_hooks(self, head: ResponseHead, response: Response | None, position: int) -> None:
        """Show an answer to the middlewares before ``position``, the last of them first, then send it.

        ``response`` is the whole of an answer of ours, None where a server's body follows.
        """
        route = self.route
        assert route is not None
        while position:
            position -= 1
            middleware = route.middlewares[position]
            hook = middleware.on_response
            if hook is None:
                continue
            try:
                found = hook(self, head)
            except Exception:
                self.middleware_broke(middleware)
                return
            if found is None:
                continue
            if isinstance(found, Response):
                head, response = self._replaced(found)
                continue
            self._wait(found, head, response, position)
            return
        self._deliver(head, response)

    def _wait(
        self,
        found: Awaitable[Response | None],
        head: ResponseHead,
        response: Response | None,
        position: int,
    ) -> None:
        """Let nothing through until a middleware has made up its mind."""
        self.learning = b""
        verdict = awaited(found)
        waiting = self.between = Waiting(self, verdict)
        assert self.route is not None
        middleware = self.route.middlewares[position]

        def go_on(instead: Response | None) -> None:
            if self.between is not waiting:
                return
            self.between = None
            if instead is not None:
                self.pass_hooks(*self._replaced(instead), position)
            elif waiting.failure is not None:
                # Nothing of it is out yet, so the client can be told.
                self.upstream_failed(waiting.failure)
            else:
                self.pass_hooks(head, response, position)
                waiting.release()

        def broke(failure: Any) -> None:
            if waiting.dropped and failure.check(CancelledError) is not None:
                return
            if not waiting.dropped and (self.between is None or self.between is waiting):
                self.middleware_broke(middleware, failure)
            else:
                # There is another answer by now, which is none of its business.
                self.resource.note_defect(middleware, failure)

        verdict.addCallback(go_on).addErrback(broke)

    def _replaced(self, response: Response) -> tuple[ResponseHead, Response]:
        """A middleware gives this answer instead: what was to be done to the other one's body is off."""
        self.leave()
        if not self.outcome and self.origin is not None:
            # Whatever the status, it is not us who refused.
            self.outcome = "done"
        return own_head(response), response

    def middleware_broke(self, middleware: Any, failure: Any = None) -> None:
        """A defect: the answer is none of the middlewares' any more."""
        self.resource.note_defect(middleware, failure)
        if self.over:
            return
        self._broken = True
        self.outcome = "refused"
        if self.status:
            self.leave()
            self.cut()
            self.finish()
        else:
            self.answer(plain_response(500))

    def answer_too_large(self) -> None:
        """The server's answer has more than it may have, and nothing of it is out."""
        self.outcome = "refused"
        self.answer(plain_response(500))

    def _deliver(self, head: ResponseHead, response: Response | None) -> None:
        if response is not None:
            self._send_own(head, response)
            return
        if self.filters is not None or self.whole_answer is not None:
            if self._is_bodiless(head):
                head.length = None
            elif head.length:
                self.between = Shaping(self, head)
                return
        self.send_head(head)

    def _is_bodiless(self, head: ResponseHead) -> bool:
        status = head.status if self.origin is None else self.origin[0]
        return self.head.method == b"HEAD" or status in (204, 304)

    def _send_own(self, head: ResponseHead, response: Response) -> None:
        body = b"" if self.head.method == b"HEAD" or head.length is None else response.body
        if self.filters is not None and body:
            try:
                body = filtered(self.filters, body)
            except Exception:
                self._broken = True
                self.resource.note_defect(self.filters[0])
                response = plain_response(500)
                head, body = own_head(response), response.body
        if self.head.method != b"HEAD" and head.length is not None:
            head.length = len(body)
        if not self.outcome:
            self.outcome = "refused" if response.status >= 400 else "done"
        self.sent = head
        self.send_head(head)
        if body:
            self.send_body(body)
        self.finish()
        self.send_end(())

    def leave(self) -> None:
        """Nothing of what was on its way so far reaches the client."""
        between, self.between = self.between, None
        if between is not None:
            between.drop()
        if self.filters is not None:
            self.filters = None
        self.leave_server()


def awaited(found: Awaitable[Response | None]) -> Deferred[Response | None]:
    """What a hook gave, as a Deferred. Fails with TypeError where it can't be waited for."""
    return found if isinstance(found, Deferred) else Deferred.fromCoroutine(_as_coroutine(found))


async def _as_coroutine(found: Awaitable[Response | None]) -> Response | None:
    return await found


def own_head(response: Response) -> ResponseHead:
    """The head of an answer of ours. Its framing is ours to say, whatever a middleware copied from elsewhere."""
    head = ResponseHead(response.status, headers=response.headers.copy(), length=len(response.body))
    # Trailers are not among what is kept of an answer, so none may be announced (RFC 9110 section 6.6.2).
    head.headers.remove(b"content-length", b"transfer-encoding", b"connection", b"trailer")
    if response.status < 200 or response.status in (204, 304):
        head.length = None
    return head


def plain_response(status: int, text: bytes | None = None) -> Response:
    """A short text answer that carries nothing of the request."""
    body = REASONS.get(status, b"Error") if text is None else text
    fields = (b"Content-Type", b"text/plain; charset=utf-8"), (b"X-Content-Type-Options", b"nosniff")
    return Response(status, body, (*fields, ALLOW) if status == 405 else fields)
