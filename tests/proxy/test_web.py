"""The door for twisted.web: the resource in a Site of twisted.web, without a socket."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.server import Site

from dynbalancer.core.exchange import Exchange, Response, ResponseHead
from dynbalancer.middlewares.base import BodyFilter, Middleware, add_filter

sys.path.insert(0, str(Path(__file__).parent))
from wires import GET, GOT, OK, ProxyCase, Wire, post


class Door(ProxyCase):
    """A client of twisted.web's Site, whose root is the resource."""

    def setUp(self) -> None:
        super().setUp()
        site = Site(self.resource, reactor=self.clock)  # type: ignore[arg-type, no-untyped-call]
        self.channel: Any = site.buildProtocol(IPv4Address("TCP", "192.0.2.1", 40000))
        self.transport = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.1", 40000))
        self.channel.makeConnection(self.transport)

    def asked(self, request: bytes = GET) -> Wire:
        """The server that got this request."""
        self.channel.dataReceived(request)
        self.clock.advance(0)
        return self.server

    def read(self) -> bytes:
        found = self.transport.value()
        self.transport.clear()
        return found

    def test_get_is_forwarded_and_answered(self) -> None:
        server = self.asked()
        assert server.read() == GOT
        server.send(b"HTTP/1.1 203 Fine\r\nServer: x\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok")
        assert self.read() == b"HTTP/1.1 203 Fine\r\nServer: x\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok"
        assert self.ended.outcomes == [(203, "done")]
        self.assert_quiet()

    def test_body_is_forwarded_when_it_is_complete(self) -> None:
        self.channel.dataReceived(post(b"he", length=5))
        assert self.servers.attempts == []
        server = self.asked(b"llo")
        assert server.read().endswith(b"Content-Length: 5\r\n\r\nhello")
        server.send(OK)
        assert self.read().endswith(b"\r\n\r\nok")
        assert self.ended.exchanges[0].bytes_in == 5

    def test_body_without_a_length_is_chunked_by_twisted_web(self) -> None:
        server = self.asked()
        server.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
        assert self.read() == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"

    def test_head_keeps_the_length_it_announces(self) -> None:
        self.asked(GET.replace(b"GET", b"HEAD")).send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        assert self.read() == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"

    def test_fields_of_the_connection_and_the_peer_stay_outside(self) -> None:
        lines = (
            b"\r\nConnection: close\r\nX-Forwarded-For: 9.9.9.9\r\nTE: trailers\r\nX-A: 1\r\nX-A: 2\r\n\r\n"
        )
        server = self.asked(GET.replace(b"\r\n\r\n", lines))
        assert server.read() == GOT.replace(b"X-Forwarded-For", b"X-A: 1\r\nX-A: 2\r\nX-Forwarded-For", 1)

    def test_answers_of_our_own(self) -> None:
        self.channel.dataReceived(post(b"unread").replace(b"a.example", b"b.example"))
        assert self.read().endswith(b"\r\n\r\n404 page not found\n")
        self.servers.broken["one"] = Refused()
        self.channel.dataReceived(GET)
        self.clock.advance(0)
        assert self.read().startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
        assert self.ended.outcomes == [(404, "refused"), (502, "connect")]

    def test_request_that_twisted_web_takes_and_we_do_not(self) -> None:
        for bad in (GET.replace(b"Host: a.example\r\n", b""), GET.replace(b"GET /", b"GET /%00")):
            self.channel.dataReceived(bad)
            assert self.read().startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert self.ended.exchanges == []

    def test_client_that_leaves_is_nobodys_failure(self) -> None:
        server = self.asked()
        self.channel.connectionLost(Failure(ConnectionLost()))
        assert server.state == "aborted"
        assert self.ended.outcomes == [(499, "client-gone")]
        self.assert_quiet()

    def test_short_body_cuts_the_client(self) -> None:
        server = self.asked()
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        server.reset()
        assert self.transport.disconnected
        assert self.ended.outcomes == [(200, "bad-response")]

    def test_slow_client_pauses_the_server(self) -> None:
        server = self.asked()
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        self.transport.producer.pauseProducing()  # type: ignore[union-attr]
        assert server.paused
        self.transport.producer.resumeProducing()  # type: ignore[union-attr]
        assert not server.paused

    def test_upgrade_is_not_asked_for(self) -> None:
        lines = b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        assert self.asked(GET.replace(b"\r\n\r\n", lines)).read() == GOT

    def test_middlewares_replace_filter_and_wait_here_too(self) -> None:
        decision: Deferred[Response | None] = Deferred()

        class Later(Middleware):
            def on_response(self, exchange: Exchange, head: ResponseHead) -> Deferred[Response | None]:  # type: ignore[override]
                return decision

        class Upper(BodyFilter):
            def feed(self, data: bytes) -> bytes:
                return data.upper()

        class Filtering(Middleware):
            def on_response(self, exchange: Exchange, head: ResponseHead) -> None:  # type: ignore[override]
                add_filter(exchange, head, Upper())

        class Holding(Middleware):
            def on_request(self, exchange: Exchange) -> Any:  # type: ignore[override]
                return self.hold(exchange)

            async def hold(self, exchange: Exchange) -> None:
                await exchange.whole_body(None, 10)

        self.use({"holding": Holding(), "filtering": Filtering(), "later": Later()})
        server = self.asked(post(b"hello"))
        assert server.read().endswith(b"\r\n\r\nhello")
        server.send(OK)
        assert self.read() == b""
        decision.callback(None)
        assert self.read() == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
        server = self.asked()
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        assert self.read().endswith(b"2\r\nAB\r\n")
        server.reset()
        assert self.transport.disconnected or self.transport.aborting
        self.assert_quiet()
