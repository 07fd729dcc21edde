"""The twisted.web door: an exchange whose client's side is a twisted.web request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dynbalancer.core.exchange import (
    CHUNKED,
    UNTIL_CLOSE,
    Field,
    Headers,
    RequestHead,
    ResponseHead,
    field_of,
)
from dynbalancer.core.fields import Kind, learn
from dynbalancer.core.model import EntryPoint, TLSOptions
from dynbalancer.core.targets import read_authority, split_target
from dynbalancer.core.tlschoice import UNNAMED
from dynbalancer.errors import RequestError
from dynbalancer.proxy.answering import plain_response
from dynbalancer.proxy.forwarding import Forwarding
from dynbalancer.proxy.resource import ReverseProxyResource

#: Requests through this door are routed as if they came in here.
WEB = EntryPoint("web", 80)

#: twisted.web writes framing by itself; the date and the server field are the answer's own.
_LEFT_OUT = frozenset((b"content-length", b"transfer-encoding", b"connection"))


class WebExchange(Forwarding):
    """Answers through ``request.write``. No upgrades, no interim responses: twisted.web has none."""

    def __init__(self, resource: ReverseProxyResource, head: RequestHead, request: Any) -> None:
        peer = request.getClientAddress()
        Forwarding.__init__(
            self,
            resource,
            head,
            WEB,
            getattr(peer, "host", "") or "",
            getattr(peer, "port", 0) or 0,
            trusted=False,
        )
        self._request = request

    @classmethod
    def begin(cls, resource: ReverseProxyResource, request: Any) -> None:
        """Carry out a twisted.web request, whose body is complete."""
        body = request.content.read()
        try:
            head = _head_of(request, len(body))
        except RequestError as error:
            request.setResponseCode(error.status)
            request.write(plain_response(error.status).body)
            request.finish()
            return
        exchange = cls(resource, head, request)
        request.notifyFinish().addErrback(lambda _: exchange.client_gone())
        request.registerProducer(_Writing(exchange), True)
        resource.handle(exchange)
        if body and not exchange.over:
            exchange.request_body(body)
            exchange.request_ended([])

    @property
    def tls_options(self) -> TLSOptions:
        # Whoever speaks TLS there asks nobody for a certificate that we would know of.
        return UNNAMED

    def send_interim(self, head: ResponseHead) -> None:
        """twisted.web can't."""

    def send_head(self, head: ResponseHead) -> None:
        request = self._request
        self.status = head.status
        request.setResponseCode(head.status, head.reason or None)
        for name in (b"server", b"date", b"content-type"):
            request.responseHeaders.removeHeader(name)
        request.defaultContentType = None
        for name, value in head.headers:
            # The length that an answer to HEAD announces is no framing.
            if name.lower() not in _LEFT_OUT or (name.lower() == b"content-length" and head.length is None):
                request.responseHeaders.addRawHeader(name, value)
        if head.length not in (None, CHUNKED, UNTIL_CLOSE):
            request.responseHeaders.setRawHeaders(b"content-length", [b"%d" % head.length])

    def send_body(self, data: bytes) -> None:
        self.bytes_out += len(data)
        self._request.write(data)

    def send_end(self, trailers: Sequence[Field]) -> None:
        self._request.unregisterProducer()
        self._request.finish()

    def cut(self) -> None:
        self._request.transport.abortConnection()

    def flush(self) -> None:
        """Nothing waits here."""

    def pause_request(self) -> None:
        """The body is here already."""

    def resume_request(self) -> None:
        """The body is here already."""

    def start_tunnel(self, head: ResponseHead) -> bytes:
        self.cut()
        return b""

    def end_tunnel(self, *, half: bool) -> None:
        """There never is one."""


class _Writing:
    """Pauses the server while twisted.web's client takes no more."""

    def __init__(self, exchange: WebExchange) -> None:
        self._exchange = exchange

    def pauseProducing(self) -> None:
        self._exchange.pause_response()

    def resumeProducing(self) -> None:
        self._exchange.resume_response()

    def stopProducing(self) -> None:
        """notifyFinish says so."""


def _head_of(request: Any, size: int) -> RequestHead:
    path, query = split_target(request.uri)
    values = request.requestHeaders.getRawHeaders(b"host") or []
    if len(values) != 1:
        raise RequestError(400, "bad-host", "no or several Host fields")
    head = RequestHead(
        request.method,
        path,
        query,
        scheme=b"https" if request.isSecure() else b"http",
        headers=Headers(),
        length=size or None,
    )
    head.host, head.port, head.authority = read_authority(values[0])
    for name, values in request.requestHeaders.getAllRawHeaders():
        _, kind = learn(name)
        if kind == Kind.ORDINARY:
            head.headers.fields += [field_of(name, value) for value in values]
    return head
