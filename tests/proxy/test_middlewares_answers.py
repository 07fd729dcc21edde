"""The middlewares that have a say in answers, on the way of real requests: what servers and clients see of them."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as Refused

from dynbalancer import pem
from dynbalancer.core.exchange import RequestHead, Response
from dynbalancer.plugins import middleware_makers
from dynbalancer.proxy.inquiry import Inquiring
from dynbalancer.proxy.shaping import PATIENCE

sys.path.insert(0, str(Path(__file__).parent))
from wires import GET, OK, ProxyCase, Wire, own, post

BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
ZIPPED = GET.replace(b"\r\n\r\n", b"\r\nAccept-Encoding: gzip\r\n\r\n")
UPGRADE = GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


class AnswerCase(ProxyCase):
    """A proxy whose one router has the middlewares of a test."""

    def setUp(self) -> None:
        super().setUp()
        self.said: list[str] = []
        inquiring = Inquiring(
            lambda _: self.connecting, clock=self.clock.seconds, later=self.clock.callLater, retries=2
        )
        self.addCleanup(inquiring.stop)

        def ask(service: str, owner: str, head: RequestHead) -> Deferred[Response]:
            return inquiring.ask(self.table.services[service], head)

        self.offers = {
            "ask": ask,
            "fetch": inquiring.fetch,
            "say": self.said.append,
            "trusting": pem.client_context,
        }

    def configure(self, *middlewares: tuple[str, dict[str, Any]]) -> None:
        """From now on requests pass middlewares of these types and settings."""
        makers = middleware_makers()
        self.use(
            {
                f"{kind}{number}": makers[kind.lower()].make_middleware(f"{kind}@test", settings, self.offers)
                for number, (kind, settings) in enumerate(middlewares)
            }
        )

    def wire(self, number: int) -> Wire:
        """The server's end of a connection, in the order in which they were made."""
        self.clock.advance(0)
        return self.servers.wires[number]


class Retrying(AnswerCase):
    """retry."""

    hosts = ("one", "two")

    def test_bad_answer_is_asked_for_elsewhere(self) -> None:
        self.configure(("retry", {"attempts": 3, "status": "500-599"}))
        client, first = self.asking()
        first.send(BUSY)
        assert client.read() == b""
        self.wire(1).send(OK)
        assert client.read() == OK
        assert self.servers.hosts == ["one", "two"]
        assert (self.ended.outcomes, self.ended.exchanges[0].tries) == ([(200, "done")], 2)
        self.assert_quiet()

    def test_last_answer_is_the_clients(self) -> None:
        self.configure(("retry", {"attempts": 2, "status": ["503"]}))
        client, first = self.asking()
        first.send(BUSY)
        self.wire(1).send(BUSY)
        assert client.read() == BUSY
        assert len(self.servers.hosts) == 2
        self.assert_quiet()

    def test_servers_are_asked_again_when_each_was_asked(self) -> None:
        self.configure(("retry", {"attempts": 4, "status": ["503"]}))
        client, _ = self.asking()
        for number in range(3):
            self.wire(number).send(BUSY)
        self.wire(3).send(OK)
        assert client.read() == OK
        assert len(self.servers.hosts) == 4

    def test_servers_that_can_not_be_reached_are_asked_so_often_and_no_more(self) -> None:
        self.configure(("retry", {"attempts": 4}))
        self.servers.broken = {"one": Refused(), "two": Refused()}
        client = self.client()
        client.send(GET)
        self.clock.advance(0)
        assert client.read() == own(b"502 Bad Gateway", b"Bad Gateway")
        assert len(self.servers.hosts) == 4
        self.assert_quiet()

    def test_one_attempt_is_one(self) -> None:
        self.configure(("retry", {"attempts": 1}))
        self.servers.broken = {"one": Refused()}
        client = self.client()
        client.send(GET)
        assert client.read() == own(b"502 Bad Gateway", b"Bad Gateway")
        assert self.servers.hosts == ["one"]

    def test_it_waits_in_between(self) -> None:
        self.configure(("retry", {"attempts": 2, "status": ["503"], "initialInterval": "1s"}))
        client, first = self.asking()
        first.send(BUSY)
        self.clock.advance(0.9)
        assert len(self.servers.hosts) == 1
        self.clock.advance(0.2)
        self.wire(1).send(OK)
        assert client.read() == OK

    def test_client_that_leaves_while_it_waits_is_let_go(self) -> None:
        self.configure(("retry", {"attempts": 2, "status": ["503"], "initialInterval": "1s"}))
        client, first = self.asking()
        first.send(BUSY)
        client.reset()
        self.wait(2)
        assert len(self.servers.hosts) == 1
        assert self.ended.outcomes == [(499, "client-gone")]
        self.assert_quiet()

    def test_body_is_sent_again_as_far_as_it_is_held(self) -> None:
        settings = {"attempts": 2, "status": ["503"], "retryNonIdempotentMethod": True}
        self.configure(("retry", {**settings, "maxRequestBodyBytes": 200_000}))
        body = b"x" * 150_000
        client, first = self.asking(post(body))
        assert first.read().endswith(body)
        first.send(BUSY)
        second = self.wire(1)
        assert second.read().endswith(b"\r\n\r\n" + body)
        second.send(OK)
        assert client.read() == OK
        client.send(post(b"x" * 250_000))
        self.servers.wires[0 if self.servers.wires[0].state == "open" else -1].read()
        assert len(self.servers.hosts) >= 2

    def test_body_that_is_not_held_is_not_sent_again(self) -> None:
        settings = {"attempts": 2, "status": ["503"], "retryNonIdempotentMethod": True}
        self.configure(("retry", {**settings, "maxRequestBodyBytes": 10}))
        client, first = self.asking(post(b"x" * 70_000, length=80_000))
        client.send(b"x" * 10_000)
        first.send(BUSY)
        assert client.read() == BUSY
        assert len(self.servers.hosts) == 1

    def test_websocket_is_opened_by_another_server(self) -> None:
        self.configure(("retry", {"attempts": 2}))
        self.servers.broken = {"one": Refused()}
        client = self.client()
        client.send(UPGRADE)
        self.server.send(SWITCHED + b"hello")
        assert client.read() == SWITCHED + b"hello"


class Pages(AnswerCase):
    """errors."""

    def test_page_takes_the_place_of_an_error(self) -> None:
        self.configure(("errors", {"status": "500-599", "service": "web", "query": "/{status}.html"}))
        client, first = self.asking()
        first.read()
        first.send(BUSY)
        page = self.server
        assert page.read().startswith(b"GET /503.html HTTP/1.1\r\nHost: a.example\r\n")
        page.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nsorry")
        assert client.read() == (
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nsorry"
        )
        assert self.ended.outcomes == [(503, "done")]
        assert self.ended.exchanges[0].origin == (503, ())
        self.assert_quiet()

    def test_connection_of_an_error_that_came_whole_is_kept(self) -> None:
        self.configure(("errors", {"status": "500-599", "service": "web"}))
        client, server = self.asking()
        server.send(BUSY)
        self.clock.advance(0)
        for wire in self.servers.wires:
            if wire.state == "open" and wire is not server:
                wire.send(OK)
        assert client.read().endswith(b"ok")
        assert server.state == "open"
        self.assert_quiet()

    def test_page_keeps_nothing_that_holds_at_its_own_address_only(self) -> None:
        self.configure(("errors", {"status": "404,500-599", "service": "web"}))
        client, first = self.asking()
        first.send(BUSY)
        self.server.send(
            b'HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/9\r\nAccept-Ranges: bytes\r\nETag: "a"\r\n'
            b"Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Encoding: x-rot13\r\nContent-Language: en\r\n"
            b"Content-Length: 5\r\n\r\nfbeel"
        )
        assert client.read() == (
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Encoding: x-rot13\r\nContent-Language: en\r\n"
            b"Content-Length: 5\r\n\r\nfbeel"
        )

    def test_page_is_asked_for_no_longer_when_the_client_is_gone(self) -> None:
        self.configure(("errors", {"status": "500-599", "service": "web"}))
        client, first = self.asking()
        first.send(BUSY)
        page = self.server
        assert page.read().startswith(b"GET / HTTP/1.1\r\n")
        client.reset()
        self.clock.advance(0)
        assert page.state == "aborted"
        assert self.ended.outcomes == [(499, "client-gone")]
        assert self.upstream.in_flight == 0
        self.assert_quiet()
        assert not self.flushLoggedErrors()

    def test_page_announces_no_trailers_since_it_has_none(self) -> None:
        self.configure(("errors", {"status": "500-599", "service": "web"}))
        client, first = self.asking()
        first.send(BUSY)
        self.server.send(
            b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"
        )
        assert client.read() == b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nhi"
        self.assert_quiet()

    def test_good_answer_goes_its_way(self) -> None:
        self.configure(("errors", {"status": "500-599", "service": "web"}))
        client, server = self.asking()
        server.send(OK)
        assert client.read() == OK

    def test_error_stays_where_there_is_no_page(self) -> None:
        self.configure(("errors", {"status": "500-599", "service": "web"}))
        self.servers.broken = {"one": Refused()}
        client = self.client()
        client.send(GET)
        self.clock.advance(0)
        assert client.read() == own(b"502 Bad Gateway", b"Bad Gateway")
        assert len(self.said) == 1
        self.assert_quiet()

    def test_error_is_held_back_and_not_lost_where_the_page_is_late(self) -> None:
        self.configure(("errors", {"status": "500-599", "service": "web"}))
        client, first = self.asking()
        first.send(b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbu\r\n")
        first.send(b"2\r\nsy\r\n0\r\n\r\n")
        self.wait(31)
        first_line, _, rest = client.read().partition(b"\r\n")
        assert first_line == b"HTTP/1.1 503 Busy"
        assert rest.endswith(b"2\r\nbu\r\n2\r\nsy\r\n0\r\n\r\n")
        self.assert_quiet()

    def test_what_another_middleware_refuses_has_a_page_too(self) -> None:
        self.configure(
            ("errors", {"status": "403", "service": "web", "statusRewrites": {"403": 404}}),
            ("ipAllowList", {"sourceRange": "10.0.0.0/8"}),
        )
        client = self.client()
        client.send(GET)
        self.clock.advance(0)
        self.server.send(OK)
        assert client.read() == b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nok"


class Holding(AnswerCase):
    """buffering."""

    def test_too_large_request_never_reaches_a_server(self) -> None:
        self.configure(("buffering", {"maxRequestBodyBytes": 4}))
        client = self.client()
        client.send(post(b"hello"))
        assert client.read().startswith(b"HTTP/1.1 413 ")
        assert self.servers.attempts == []

    def test_too_large_answer_is_500(self) -> None:
        self.configure(("buffering", {"maxResponseBodyBytes": 1}))
        client, server = self.asking()
        server.send(OK)
        assert client.read() == own(b"500 Internal Server Error", b"Internal Server Error")

    def test_both_go_on_when_they_are_complete(self) -> None:
        self.configure(("buffering", {"memRequestBodyBytes": 2, "memResponseBodyBytes": 1}))
        client = self.client()
        client.send(post(b"he", length=5))
        assert self.servers.attempts == []
        client.send(b"llo")
        self.clock.advance(0)
        assert self.server.read().endswith(b"\r\n\r\nhello")
        self.server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        assert client.read() == b""
        self.server.send(b"k")
        assert client.read() == OK
        self.assert_quiet()

    def test_request_is_sent_again_where_the_expression_says_so(self) -> None:
        self.configure(("buffering", {"retryExpression": "ResponseCode() == 503 && Attempts() <= 2"}))
        client = self.client()
        client.send(post(b"hello"))
        for number in range(3):
            wire = self.wire(number)
            assert wire.read().endswith(b"\r\n\r\nhello")
            wire.send(BUSY)
        assert client.read() == BUSY
        assert len(self.servers.hosts) == 3
        self.assert_quiet()


class Compressed(AnswerCase):
    """compress."""

    def test_answer_is_smaller_and_the_same(self) -> None:
        self.configure(("compress", {}))
        client, server = self.asking(ZIPPED)
        body = b"hello " * 1000
        server.send(b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
        head, _, coded = client.read().partition(b"\r\n\r\n")
        assert gzip.decompress(coded) == body
        assert head == (
            b"HTTP/1.1 200 OK\r\nVary: Accept-Encoding\r\nContent-Encoding: gzip\r\n"
            b'ETag: W/"x"\r\nContent-Length: %d' % len(coded)
        )
        self.assert_quiet()

    def test_head_is_answered_as_the_server_does(self) -> None:
        self.configure(("compress", {}))
        client, server = self.asking(ZIPPED.replace(b"GET", b"HEAD"))
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6000\r\n\r\n")
        assert client.read() == b"HTTP/1.1 200 OK\r\nContent-Length: 6000\r\n\r\n"

    def test_slow_stream_arrives_as_it_comes(self) -> None:
        self.configure(("compress", {}))
        client, server = self.asking(ZIPPED)
        server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        self.clock.advance(PATIENCE)
        first = client.read()
        assert b"Content-Encoding: gzip" in first
        server.send(b"6\r\nsecond\r\n")
        assert client.read() != b""
        server.send(b"0\r\n\r\n")
        assert client.read().endswith(b"0\r\n\r\n")

    def test_body_that_breaks_off_is_never_a_whole_one(self) -> None:
        self.configure(("compress", {}))
        client, server = self.asking(ZIPPED)
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b"hello " * 1000)
        server.reset()
        assert not client.read().endswith(b"0\r\n\r\n")
        assert client.state == "closed"

    def test_page_of_an_error_is_compressed_too(self) -> None:
        self.configure(("compress", {}), ("errors", {"status": "503", "service": "web"}))
        client, first = self.asking(ZIPPED)
        first.send(BUSY)
        self.wire(1).send(b"HTTP/1.1 200 OK\r\nContent-Length: 6000\r\n\r\n" + b"sorry " * 1000)
        head, _, coded = client.read().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert gzip.decompress(coded) == b"sorry " * 1000


class Admitted(AnswerCase):
    """forwardAuth."""

    settings = {"address": "http://auth.example/check", "authResponseHeaders": "X-User"}

    def test_authority_lets_a_request_in(self) -> None:
        self.configure(("forwardAuth", self.settings))
        client = self.client()
        client.send(GET)
        self.clock.advance(0)
        authority = self.server
        seen = authority.read()
        assert seen.startswith(b"GET /check HTTP/1.1\r\nHost: auth.example\r\n")
        assert b"\r\nX-Forwarded-Uri: /\r\n" in seen
        authority.send(b"HTTP/1.1 204 No Content\r\nX-User: ann\r\n\r\n")
        self.clock.advance(0)
        assert b"\r\nX-User: ann\r\n" in self.server.read()
        self.server.send(OK)
        assert client.read() == OK
        assert self.upstream.in_flight == 0

    def test_authority_keeps_a_request_out(self) -> None:
        self.configure(("forwardAuth", self.settings))
        client = self.client()
        client.send(GET)
        self.clock.advance(0)
        self.server.send(b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 3\r\n\r\nno!")
        expected = (
            b"HTTP/1.1 302 Found\r\nLocation: http://auth.example/login\r\nContent-Length: 3\r\n\r\nno!"
        )
        assert client.read() == expected
        assert self.servers.hosts == ["auth.example"]

    def test_nobody_is_let_in_where_it_can_not_be_asked(self) -> None:
        self.configure(("forwardAuth", self.settings))
        self.servers.broken = {"auth.example": Refused()}
        client = self.client()
        client.send(GET)
        self.clock.advance(0)
        assert client.read().startswith(b"HTTP/1.1 500 ")
        assert self.servers.hosts == ["auth.example"]

    def test_authority_is_asked_no_longer_when_the_client_is_gone(self) -> None:
        self.configure(("forwardAuth", self.settings))
        client = self.client()
        client.send(GET)
        self.clock.advance(0)
        authority = self.server
        assert authority.read().startswith(b"GET /check ")
        client.reset()
        self.clock.advance(0)
        assert authority.state == "aborted"
        assert self.ended.outcomes == [(499, "client-gone")]
        self.assert_quiet()
        assert not self.flushLoggedErrors()

    def test_body_reaches_both(self) -> None:
        self.configure(("forwardAuth", {**self.settings, "forwardBody": True, "preserveRequestMethod": True}))
        client = self.client()
        client.send(post(b"hello"))
        self.clock.advance(0)
        assert self.server.read().endswith(b"\r\n\r\nhello")
        self.server.send(OK)
        self.clock.advance(0)
        assert self.server.read().endswith(b"\r\n\r\nhello")
        self.server.send(OK)
        assert client.read() == OK
        assert self.upstream.in_flight == 0
