"""The reverse-proxy resource: consults the router for each request and forwards it.

Two doors lead to one path. :meth:`ReverseProxyResource.handle` takes a streaming exchange of our server protocols;
:meth:`ReverseProxyResource.render` makes it an ``IResource``, so that it can be mounted in any twisted.web Site (there,
twisted.web holds each request's body until it is complete).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from zope.interface import classImplements, providedBy

from dynbalancer.core.exchange import RequestHead, Response
from dynbalancer.core.forwarded import merge_forwarded
from dynbalancer.core.http1 import write_request_head
from dynbalancer.core.repeats import Repeats
from dynbalancer.errors import NoServer, RequestError, UpstreamError
from dynbalancer.proxy.answering import Answering, awaited, plain_response
from dynbalancer.proxy.descriptors import Descriptors
from dynbalancer.proxy.forwarding import Forwarding
from dynbalancer.proxy.upstream import Upstream

NOT_FOUND = b"404 page not found\n"
NO_SERVER = b"no available server\n"
NO_MEMORY = b"no memory left\n"


class Watchful(Protocol):
    """Who watches the event loop, and wants to be woken when there is something to do."""

    dozing: bool

    def wake(self) -> None:
        """A request came."""


class Nobody:
    """Nobody watches."""

    dozing = False

    def wake(self) -> None:
        """Never called."""


NOBODY = Nobody()


class _ResourceByNeed:
    """Declares IResource when somebody first asks for it: most processes have nobody who would, and no twisted.web."""

    def __get__(self, resource: Any, owner: type) -> Any:
        from twisted.web.resource import IResource

        del ReverseProxyResource.__providedBy__
        classImplements(ReverseProxyResource, IResource)
        return providedBy(owner if resource is None else resource)


class ReverseProxyResource:
    """Answers every request with what the router's table says, through the servers it names. It is an IResource."""

    isLeaf = True
    #: Whether there is room for one more client, where somebody minds.
    descriptors: Descriptors | None = None
    #: The Date line of answers that have none, where somebody has a clock for it.
    date: Callable[[], bytes] | None = None
    __providedBy__ = _ResourceByNeed()

    def __init__(
        self,
        router: Any,
        observers: Iterable[Any] = (),
        *,
        clock: Callable[[], float],
        server_name: str,
        retries: int = 2,
        refusals: dict[str, int] | None = None,
        later: Callable[..., Any] | None = None,
    ) -> None:
        """``router`` has a ``table``; ``server_name`` goes into X-Forwarded-Server; ``retries`` are extra tries.

        ``later(seconds, function)`` is callLater of the reactor, which it is unless another is given.
        """
        self.router = router
        self._observers = tuple(observer.exchange_ended for observer in observers)
        self.clock = clock
        self.watchdog: Watchful = NOBODY
        self.retries = retries
        self.refusals = {} if refusals is None else refusals
        self.later = _later if later is None else later
        self._server_name = server_name.encode("ascii", "replace")
        self._log = Logger()
        # A dead server must not fill the disk.
        self._repeats = Repeats()

    # The streaming door.

    def handle(self, exchange: Forwarding) -> None:
        """Carry the exchange out: route, middlewares, server. It ends by itself."""
        if self.watchdog.dozing:
            self.watchdog.wake()
        head = exchange.head
        table = exchange.table = self.router.table
        if head.final:
            # TRACE would repeat what proxies added, credentials too: nobody needs that of us.
            exchange.answer(Response(204) if head.method == b"OPTIONS" else plain_response(405))
            return
        route = exchange.route = table.route(exchange)
        if route is None:
            if table.misdirects(exchange):
                self._misdirected(exchange)
            else:
                exchange.answer(plain_response(404, NOT_FOUND))
            return
        self.say_where_from(exchange, head)
        if route.middlewares:
            self.run(exchange, route.middlewares)
        else:
            exchange.forward(route.service)

    def _misdirected(self, exchange: Forwarding) -> None:
        """Its connection was begun for a host with other TLS options (RFC 9110 section 15.5.20)."""
        why = "the connection was begun by other TLS options than those of the host"
        exchange.refuse(RequestError(421, "misdirected", why), exchange.head.authority)

    def refuse_all(self, on: bool) -> None:
        """Answer every request 503, as long as this is ``on``: there is no memory for more of them."""
        if on:
            # So it costs nothing to ask whether there is.
            self.handle = self._refuse  # type: ignore[method-assign]
        else:
            self.__dict__.pop("handle", None)

    def _refuse(self, exchange: Forwarding) -> None:
        self.refusals["memory"] = self.refusals.get("memory", 0) + 1
        response = plain_response(503, NO_MEMORY)
        response.headers.add(b"Retry-After", b"1")
        exchange.answer(response)

    def say_where_from(self, exchange: Forwarding, head: RequestHead) -> None:
        """Put the X-Forwarded-* fields of an exchange into its ``head``."""
        fields = exchange.forwarded_fields(head, self._server_name)
        if exchange.trusted:
            merge_forwarded(head.headers, fields)
        else:
            head.headers.fields += fields

    def run(self, exchange: Forwarding, middlewares: tuple[Any, ...]) -> None:
        """Let a request pass its middlewares, and go to a server then."""
        exchange.asked = (exchange.head.path, exchange.head.query)
        self._run(exchange, middlewares, 0)

    def _run(self, exchange: Forwarding, middlewares: tuple[Any, ...], position: int) -> None:
        """Run the request hooks from ``position`` on; go on later where one has to wait."""
        for index in range(position, len(middlewares)):
            hook = middlewares[index].on_request
            if hook is None:
                continue
            try:
                found = hook(exchange)
            except Exception:
                self.broke_at(exchange, middlewares, index)
                return
            if found is not None:
                self.stopped_at(exchange, middlewares, index, found)
                return
        route = exchange.route
        assert route is not None
        exchange.forward(route.service)

    def stopped_at(
        self,
        exchange: Forwarding,
        middlewares: tuple[Any, ...],
        index: int,
        found: Response | Awaitable[Response | None],
    ) -> None:
        """A request hook gave an answer, or something to wait for."""
        # Until it lets the request pass: whoever stands behind it never saw it, and has no say in the answer.
        exchange.reached = index
        if isinstance(found, Response):
            exchange.answer(found)
        else:
            self._wait(exchange, middlewares, index, found)

    def broke_at(self, exchange: Forwarding, middlewares: tuple[Any, ...], index: int) -> None:
        """A request hook raised the exception at hand."""
        exchange.reached = index
        self._middleware_broke(exchange, middlewares[index])

    def _wait(
        self,
        exchange: Forwarding,
        middlewares: tuple[Any, ...],
        index: int,
        found: Awaitable[Response | None],
    ) -> None:
        waiting = awaited(found)
        cancel = exchange.cancel = waiting.cancel

        def go_on(response: Response | None) -> None:
            # It may have been refused meanwhile, in the middle of its body.
            if exchange.over or exchange.between is not None:
                return
            exchange.cancel = None
            if response is not None:
                exchange.answer(response)
            else:
                exchange.reached = None
                self._run(exchange, middlewares, index + 1)

        def broke(failure: Any) -> None:
            if failure.check(CancelledError) is None or exchange.cancel is cancel:
                self._middleware_broke(exchange, middlewares[index], failure)

        waiting.addCallback(go_on)
        waiting.addErrback(broke)

    def _middleware_broke(self, exchange: Forwarding, middleware: Any, failure: Any = None) -> None:
        """A defect in a middleware must not open what it guards: the answer is 500."""
        self.note_defect(middleware, failure)
        exchange.answer(plain_response(500))

    # What an exchange asks on its way.

    def request_head(self, exchange: Forwarding, upstream: Upstream) -> bytes:
        """The head to send to this server, written afresh for each try."""
        head = exchange.head
        extra = b""
        if head.upgrade is not None:
            extra = b"Connection: Upgrade\r\nUpgrade: %b\r\n" % head.upgrade
        if head.expect_continue:
            extra += b"Expect: 100-continue\r\n"
        return write_request_head(upstream.seen(head), extra)

    def failure_response(self, exchange: Answering, error: UpstreamError) -> Response:
        """What the client is told where no server could answer."""
        if isinstance(error, NoServer):
            route = exchange.route
            v1 = route is not None and route.router.dialect == "v1"
            response = plain_response(503, None if v1 else NO_SERVER)
            response.headers.add(b"Retry-After", b"1")
            return response
        return plain_response(error.status)

    def note_failure(self, exchange: Answering, error: UpstreamError) -> None:
        """Keep the reason where people look for it; a few of the same are enough."""
        unsaid = self._repeats.passes((error.reason, error.why), self.clock())
        if unsaid is None:
            return
        route = exchange.route
        self._log.warn(
            "{reason}: {why} (router {router}, {method} {host}{path}){more}",
            reason=error.reason,
            why=error.why,
            router=route.name if route is not None else "",
            method=exchange.head.method.decode("ascii", "replace"),
            host=exchange.head.host.decode("ascii", "replace"),
            path=exchange.head.path.decode("ascii", "replace")[:200],
            more=_more(unsaid),
        )

    def note_defect(self, middleware: Any, failure: Any = None) -> None:
        """A middleware raised what it should not: this ``failure``, or the exception at hand."""
        self._log.failure("Middleware {middleware} failed", failure, middleware=type(middleware).__name__)

    def refused_early(self, error: RequestError, sample: bytes) -> Response:
        """What came was no request: what to answer."""
        self.note_refusal(error, sample)
        return plain_response(error.status)

    def note_refusal(self, error: RequestError, sample: bytes = b"") -> None:
        """One more request was refused: count the reason, log it with the first octets of what was wrong."""
        self.refusals[error.reason] = self.refusals.get(error.reason, 0) + 1
        self._log.info(
            "Refused with {status} {reason}: {why} {sample}",
            status=error.status,
            reason=error.reason,
            why=error.why,
            sample=repr(sample[:128]),
        )

    def exchange_over(self, exchange: Forwarding) -> None:
        """Tell the middlewares and whoever keeps books, exactly once."""
        exchange.finished = self.clock()
        route = exchange.route
        if route is not None and route.middlewares:
            for middleware in route.finishing:
                try:
                    middleware.on_finish(exchange, exchange.outcome)
                except Exception:
                    self.note_defect(middleware)
            if exchange.kept is not None:
                exchange.kept.close()
        for ended in self._observers:
            ended(exchange)

    # The twisted.web door.

    def render(self, request: Any) -> Any:
        """See IResource: answers a twisted.web request."""
        from twisted.web.server import NOT_DONE_YET

        from dynbalancer.proxy.web import WebExchange

        WebExchange.begin(self, request)
        return NOT_DONE_YET

    def getChildWithDefault(self, name: bytes, request: Any) -> ReverseProxyResource:
        """See IResource: there is nothing below; this one answers for every path."""
        return self

    def putChild(self, path: bytes, child: Any) -> None:
        """See IResource. Raises TypeError: what is where is for the router to say."""
        raise TypeError("a ReverseProxyResource has no children")


def _more(unsaid: int) -> str:
    return f"; {unsaid} more like it since the last line" if unsaid else ""


def _later(seconds: float, function: Callable[[], None]) -> Any:
    from twisted.internet import reactor

    return reactor.callLater(seconds, function)
