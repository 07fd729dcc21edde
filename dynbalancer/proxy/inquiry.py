"""Requests of our own, for middlewares: over kept connections, read as strictly as any, the answer collected."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlsplit

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger

from dynbalancer.core.exchange import Field, Headers, RequestHead, Response, ResponseHead
from dynbalancer.core.http1 import write_request_head
from dynbalancer.core.model import EntryPoint, Server, Service
from dynbalancer.core.repeats import Repeats
from dynbalancer.errors import (
    AnswerTooLarge,
    BadResponse,
    DynbalancerError,
    ResponseTimeout,
    UpstreamError,
)
from dynbalancer.proxy.forwarding import Forwarding
from dynbalancer.proxy.unattended import Unattended
from dynbalancer.proxy.upstream import Connecting, LiveService, Upstream

#: Of an answer, so many octets are taken, and so many seconds it may take, unless somebody says otherwise.
LARGEST, LONGEST = 10 * 1024 * 1024, 30.0
#: Servers that are asked by URL, and remembered with their connections.
REMEMBERED = 256

#: Such requests come in nowhere.
NOWHERE = EntryPoint("", 0)

_ALLOWED = "/:@!$&'()*+,;=%-._~"


class Inquiry(Unattended):
    """One request of our own. ``answered`` fires with the Response, or fails with an UpstreamError.

    Whoever cancels it leaves as a client would: the server is told at once.
    """

    def __init__(
        self, resource: Any, service: LiveService, head: RequestHead, body: bytes, most: int | None
    ) -> None:
        head.length = len(body) or None
        super().__init__(resource, head, NOWHERE, "", 0, trusted=False)
        self.have(body)
        self.service = service
        self.answered: Deferred[Response] = Deferred(lambda _: self.client_gone())
        self._most = most
        self._pieces: list[bytes] = []
        self._answer: ResponseHead | None = None
        self._late: Any = None

    def begin(self, seconds: float) -> Deferred[Response]:
        """Ask; it may take so long."""
        self._late = self.resource.later(seconds, self._too_late)
        self.forward(self.service)
        return self.answered

    def send_head(self, head: ResponseHead) -> None:
        super().send_head(head)
        self._answer = head

    def send_body(self, data: bytes) -> None:
        self.bytes_out += len(data)
        if self._most is not None and self.bytes_out > self._most:
            self.fail(AnswerTooLarge(f"the answer has more than {self._most} octets"))
            return
        self._pieces.append(data)

    def send_end(self, trailers: Sequence[Field]) -> None:
        assert self._answer is not None
        found = Response(self._answer.status, b"".join(self._pieces))
        found.headers = self._answer.headers.copy()
        self.answered.callback(found)

    def start_tunnel(self, head: ResponseHead) -> bytes:
        self.fail(BadResponse("an upgrade that nobody asked for"))
        return b""

    def fail(self, error: UpstreamError) -> None:
        if not self.over:
            super().fail(error)
            self.answered.errback(error)

    def finish(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
        super().finish()

    def _too_late(self) -> None:
        self._late = None
        self.fail(ResponseTimeout("no answer in time"))


class _Only:
    """The balancer of one server."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def choices(self, exchange: Forwarding) -> Iterator[Upstream]:
        return iter((self._upstream,))


class Inquiring:
    """Asks on behalf of middlewares. To its inquiries it is what the resource is to other exchanges."""

    def __init__(
        self,
        connecting: Callable[[Any], Connecting],
        *,
        clock: Callable[[], float],
        later: Callable[..., Any],
        retries: int,
    ) -> None:
        """``connecting(trust)`` gives how to connect to servers that are trusted so (None: as the settings say)."""
        self.clock = clock
        self.later = later
        self.retries = retries
        self._connecting = connecting
        self._ways: dict[Any, Connecting] = {}
        self._services: dict[tuple[Any, str, str], LiveService] = {}
        self._log = Logger()
        self._repeats = Repeats()

    def fetch(
        self,
        method: str,
        url: str,
        headers: Iterable[Field] = (),
        body: bytes = b"",
        *,
        trust: Any = None,
        most: int | None = LARGEST,
        seconds: float = LONGEST,
    ) -> Deferred[Response]:
        """The answer of a URL, of at most ``most`` octets, within so many seconds; redirects are not followed.

        ``headers`` are fields as in an exchange, without framing. Fails with an UpstreamError.
        """
        try:
            parts = urlsplit(url)
            service = self._service(parts.scheme.lower(), parts.netloc.rpartition("@")[2], trust)
        except (ValueError, DynbalancerError) as error:
            return fail(error if isinstance(error, UpstreamError) else UpstreamError(str(error)))
        head = RequestHead(
            method.encode("ascii"),
            quote(parts.path or "/", _ALLOWED).encode("ascii"),
            quote(parts.query, f"{_ALLOWED}?").encode("ascii") if "?" in url.partition("#")[0] else None,
            headers=Headers(headers),
        )
        head.authority = service.upstreams[0].authority
        if "@" in parts.netloc and b"authorization" not in head.headers:
            user = unquote_to_bytes(parts.netloc.rpartition("@")[0])
            head.headers.add(b"Authorization", b"Basic " + base64.b64encode(user))
        return self.ask(service, head, body, most=most, seconds=seconds)

    def ask(
        self,
        service: LiveService,
        head: RequestHead,
        body: bytes = b"",
        *,
        most: int | None = LARGEST,
        seconds: float = LONGEST,
    ) -> Deferred[Response]:
        """The answer of a service that runs. Fails with an UpstreamError."""
        return Inquiry(self, service, head, body, most).begin(seconds)

    def stop(self) -> None:
        """Keep no connection."""
        for service in self._services.values():
            service.upstreams[0].retire()
        self._services.clear()

    def _service(self, scheme: str, place: str, trust: Any) -> LiveService:
        key = (trust, scheme, place)
        found = self._services.pop(key, None)
        if found is None:
            while len(self._services) >= REMEMBERED:
                self._services.pop(next(iter(self._services))).upstreams[0].retire()
            server = Server(f"{scheme}://{place}")
            way = self._ways.get(trust)
            if way is None:
                if len(self._ways) >= REMEMBERED:
                    self._ways.clear()
                way = self._ways[trust] = self._connecting(trust)
            # Nobody counts these.
            way.used.clear()
            upstream = Upstream(server, way)
            found = LiveService(Service(place, (server,)), (upstream,), _Only(upstream))
        # The one that was asked last is the last to be forgotten.
        self._services[key] = found
        return found

    # What an inquiry asks on its way.

    def request_head(self, exchange: Inquiry, upstream: Upstream) -> bytes:
        """The head to send to this server."""
        return write_request_head(upstream.seen(exchange.head))

    def exchange_over(self, exchange: Inquiry) -> None:
        """It is nobody else's business."""
        exchange.finished = self.clock()
