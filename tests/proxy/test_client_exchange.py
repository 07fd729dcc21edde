"""How an answer is written to a client that speaks HTTP/1."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from dynbalancer.core.exchange import Exchange, Response, ResponseHead
from dynbalancer.core.model import Router, Service
from dynbalancer.middlewares.base import Middleware
from dynbalancer.proxy.client_exchange import USUAL

sys.path.insert(0, str(Path(__file__).parent))
from wires import GET, GOT, OK, ProxyCase, own, post

ELSEWHERE = GET.replace(b"a.example", b"b.example")
NOT_FOUND = own(b"404 Not Found", b"404 page not found\n")
BAD_REQUEST = own(b"400 Bad Request", b"Bad Request", close=True)
TIMEOUT = own(b"408 Request Timeout", b"Request Timeout", close=True)
BIG = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
OK_AND_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def to(number: int) -> bytes:
    """A GET that can be told from others."""
    return GET.replace(b"GET /", b"GET /%d" % number)


def saying(text: bytes) -> bytes:
    """An answer that can be told from others."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)


class Answers(ProxyCase):
    """Framing and the end of the connection."""

    def test_head_of_what_is_not_there_has_no_body(self) -> None:
        client = self.client()
        client.send(ELSEWHERE.replace(b"GET", b"HEAD"))
        assert client.read() == NOT_FOUND.removesuffix(b"404 page not found\n")

    def test_client_that_asks_to_close_is_closed(self) -> None:
        client, server = self.asking(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert server.read() == GOT
        server.send(OK)
        assert client.read() == OK_AND_CLOSE
        assert (client.state, server.state) == ("closed", "open")
        self.assert_quiet()

    def test_old_client_gets_its_body_until_the_connection_closes(self) -> None:
        client, server = self.asking(b"GET / HTTP/1.0\r\nHost: a.example\r\n\r\n")
        assert server.read() == GOT
        server.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
        assert client.read() == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab"
        assert client.state == "closed"

    def test_old_client_whose_answer_is_cut_gets_no_ordinary_end(self) -> None:
        client, server = self.asking(b"GET / HTTP/1.0\r\nHost: a.example\r\n\r\n")
        server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        server.finish()
        assert client.state == "aborted"

    def test_reset_completes_no_answer_without_a_length(self) -> None:
        client, server = self.asking(GET)
        server.send(b"HTTP/1.1 200 OK\r\n\r\nab")
        server.reset()
        assert client.read() == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"
        assert client.state == "closed"

    def test_old_client_may_keep_its_connection(self) -> None:
        request = b"GET / HTTP/1.0\r\nHost: a.example\r\nConnection: keep-alive\r\n\r\n"
        client, server = self.asking(request)
        server.send(OK)
        assert client.read() == OK.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n")
        client.send(request)
        server.send(OK.replace(b"Content-Length: 2\r\n", b"Content-Length: 3\r\n") + b"!")
        assert client.read().endswith(b"ok!")
        assert client.state == "open"


class Marking(Middleware):
    """Marks the request and its answer."""

    def on_request(self, exchange: Exchange) -> None:
        exchange.head.headers.add(b"X-Seen", b"1")

    def on_response(self, exchange: Exchange, head: ResponseHead) -> None:
        head.headers.add(b"X-Mark", b"1")


class Closing(Middleware):
    """Lets nobody in."""

    def on_request(self, exchange: Exchange) -> Response:
        return Response(403)


OTHER = saying(b"other")


class Repeating(ProxyCase):
    """A client that asks the same again, and a server that says the same again."""

    def ask_and_answer(self, times: int = 3) -> None:
        for _ in range(times):
            self.ask(GET, GOT, OK, OK)

    def ask(self, request: bytes, asked: bytes, answer: bytes, answered: bytes) -> None:
        """One request through the proxy, as it is at both ends."""
        self.one.send(request)
        assert self.server.read() == asked
        self.server.send(answer)
        assert self.one.read() == answered

    def setUp(self) -> None:
        super().setUp()
        self.one = self.client()

    def test_usual_attributes_are_the_ones_that_are_found_quickest(self) -> None:
        self.ask_and_answer()
        assert vars(self.ended.exchanges[-1]).keys() <= set(USUAL)
        assert len(USUAL) <= 30, "more than CPython keeps in place"

    def test_every_time_is_like_the_first(self) -> None:
        self.ask_and_answer(5)
        assert self.ended.outcomes == [(200, "done")] * 5
        assert [(e.bytes_out, e.tries, e.route is not None) for e in self.ended.exchanges] == [
            (2, 1, True)
        ] * 5
        assert len({id(exchange) for exchange in self.ended.exchanges}) == 5
        assert len(self.servers.wires) == 1
        self.assert_quiet()

    def test_requests_and_answers_that_differ_in_between_are_told_apart(self) -> None:
        self.ask_and_answer()
        self.ask(to(1), GOT.replace(b"GET /", b"GET /1"), OTHER, OTHER)
        self.ask(GET, GOT, OTHER, OTHER)
        self.ask_and_answer()

    def test_request_ahead_of_its_turn_waits(self) -> None:
        self.ask_and_answer()
        self.one.send(GET)
        self.one.send(GET)
        assert self.server.read() == GOT
        self.server.send(OK)
        assert (self.one.read(), self.server.read()) == (OK, GOT)
        self.server.send(OK)
        assert self.one.read() == OK

    def test_two_requests_at_once_are_two(self) -> None:
        for _ in range(3):
            self.one.send(GET + GET)
            for _ in range(2):
                assert self.server.read() == GOT
                self.server.send(OK)
            assert self.one.read() == OK + OK

    def test_new_table_decides_anew(self) -> None:
        self.ask_and_answer()
        self.use({"mark": Marking()})
        marked = OK.replace(b"Content", b"X-Mark: 1\r\nContent")
        for _ in range(3):
            self.ask(GET, GOT.replace(b"\r\n\r\n", b"\r\nX-Seen: 1\r\n\r\n"), OK, marked)
        self.use({"close": Closing()})
        self.one.send(GET)
        assert self.one.read().startswith(b"HTTP/1.1 403 ")
        self.use({})
        self.ask_and_answer()

    def test_route_that_is_gone_is_not_found(self) -> None:
        self.ask_and_answer()
        self.router = Router("web", "Host(`b.example`)", "web")
        self.table = self.make_table()
        self.one.send(GET)
        assert self.one.read() == NOT_FOUND

    def test_client_that_wants_to_be_closed_is_closed(self) -> None:
        self.ask_and_answer()
        last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        self.ask(last, GOT, OK, OK_AND_CLOSE)
        assert self.one.state == "closed"

    def test_connection_that_drains_is_closed(self) -> None:
        self.ask_and_answer()
        self.one.send(GET)
        self.site.drain()
        self.server.send(OK)
        assert self.one.read() == OK_AND_CLOSE
        assert self.one.state == "closed"

    def test_old_client_is_told_that_its_connection_stays(self) -> None:
        old = b"GET / HTTP/1.0\r\nHost: a.example\r\nConnection: keep-alive\r\n\r\n"
        for _ in range(4):
            kept = OK.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n")
            self.ask(old, GOT, OK, kept)

    def test_answer_before_the_end_of_the_request_is_passed_on(self) -> None:
        self.ask_and_answer()
        self.one.send(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nab")
        self.server.read()
        self.server.send(OK)
        assert self.one.read() == OK
        self.one.send(b"cde")
        self.ask_and_answer()

    def test_server_that_fails_is_left_for_another_time(self) -> None:
        self.ask_and_answer()
        self.server.reset()
        self.ask_and_answer()
        assert len(self.servers.wires) == 2

    def test_client_that_leaves_ends_it(self) -> None:
        self.ask_and_answer()
        self.one.send(GET)
        self.one.reset()
        assert self.ended.outcomes[-1] == (499, "client-gone")
        assert self.server.state == "aborted"
        self.assert_quiet()

    def test_request_with_a_body_is_like_the_first_as_well(self) -> None:
        asked = GOT.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\nhello")
        for _ in range(4):
            self.ask(post(b"hello"), asked, OK, OK)
        nothing = asked.replace(b"5\r\n\r\nhello", b"0\r\n\r\n")
        for _ in range(4):
            self.ask(post(b""), nothing, OK, OK)

    def test_whole_body_goes_out_with_its_head_the_first_time_and_again(self) -> None:
        asked = GOT.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\nhello")
        self.ask(post(b"hello"), asked, OK, OK)
        for _ in range(4):
            before = self.server.writes
            self.ask(post(b"hello"), asked, OK, OK)
            assert self.server.writes == before + 1
        assert [exchange.bytes_in for exchange in self.ended.exchanges] == [5] * 5

    def test_request_behind_a_body_is_served_after_it_each_time(self) -> None:
        asked = GOT.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\nhello")
        for _ in range(4):
            self.ask(post(b"hello"), asked, OK, OK)
            self.ask(post(b"hello") + GET, asked, OK, OK)
            assert self.server.read() == GOT
            self.server.send(OK)
            assert self.one.read() == OK

    def test_head_behind_the_rest_of_a_body_is_not_taken_for_the_whole(self) -> None:
        """Or the octets of the body would choose what is asked for, and those behind them who may."""
        self.router = Router("web", "Path(`/public`)", "web")
        self.table = self.make_table()
        rest = b"GET /private HTTP/1.1\r\nX: "
        begun = post(b"", length=len(rest)).replace(b"POST /", b"POST /nowhere")
        public = GET.replace(b"/ ", b"/public ")
        for _ in range(4):
            self.one.send(begun)
            assert self.one.read() == NOT_FOUND
            self.ask(rest + public, GOT.replace(b"/ ", b"/public "), OK, OK)
        self.one.send(rest + public)
        assert self.one.read() == NOT_FOUND
        assert self.server.read() == b""

    def test_empty_line_before_a_request_is_forgiven_once_every_time(self) -> None:
        for _ in range(4):
            self.ask(b"\r\n" + GET, GOT, OK, OK)
        self.one.send(b"\r\n")
        self.one.send(b"\r\n" + GET)
        assert self.one.read() == BAD_REQUEST

    def test_head_in_the_same_two_pieces_is_one_request_every_time(self) -> None:
        for _ in range(4):
            self.one.send(GET[:20])
            self.ask(GET[20:], GOT, OK, OK)
        self.one.send(GET[20:])
        assert self.one.read() == BAD_REQUEST

    def test_body_that_stalls_has_no_time_of_the_request_before(self) -> None:
        """That one's answer had moved while its body was looked after."""
        self.one.send(post(b"ab", length=4))
        self.server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok")
        self.wait(11)
        self.one.send(b"cd")
        self.server.send(b"ok")
        assert self.one.read().endswith(b"okok")
        self.one.send(post(b"ab", length=4))
        self.wait(31)
        assert self.one.read() == TIMEOUT


class Elsewhere(Middleware):
    """Asks another host than the client does."""

    def on_request(self, exchange: Exchange) -> None:
        exchange.head.authority = b"inside.example"


class RepeatingThroughMiddlewares(Repeating):
    """The same where a middleware is among those who may change it."""

    def setUp(self) -> None:
        super().setUp()
        self.use({"open": Middleware()})


class RepeatingToAnotherHost(ProxyCase):
    """What a middleware makes of a request is not what the client asked."""

    def test_server_is_told_which_host_the_client_asked_for(self) -> None:
        self.use({"elsewhere": Elsewhere()})
        client = self.client()
        for _ in range(5):
            client.send(GET)
            assert self.server.read() == GOT.replace(b"Host: a.", b"Host: inside.", 1)
            self.server.send(OK)
            assert client.read() == OK


class RepeatingElsewhere(ProxyCase):
    """The same where each server is asked by its own name."""

    hosts = ("one", "two")
    service = Service("web", pass_host_header=False)

    def test_each_server_gets_its_own_host(self) -> None:
        client = self.client()
        for number in range(6):
            client.send(GET)
            server = self.servers.wires[number % 2]
            assert server.read().startswith(
                b"GET / HTTP/1.1\r\nHost: %b:8080\r\n" % (b"one", b"two")[number % 2]
            )
            server.send(OK)


class SeveralHosts(ProxyCase):
    """A client that asks for one host after the other over its connection."""

    router = Router("web", "PathPrefix(`/`)", "web")

    def test_each_request_says_its_own_host_and_port(self) -> None:
        client = self.client()
        for authority, port in (
            (b"a.example", b"80"),
            (b"b.example", b"80"),
            (b"b.example:81", b"81"),
            (b"a.example", b"80"),
        ):
            client.send(GET.replace(b"a.example", authority))
            asked = self.server.read()
            assert b"\r\nX-Forwarded-Host: %b\r\nX-Forwarded-Port: %b\r\n" % (authority, port) in asked
            self.server.send(OK)

    def test_upgrade_in_between_says_its_own_scheme(self) -> None:
        client = self.client()
        upgrading = GET.replace(b"\r\n\r\n", b"\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        for request, scheme in ((GET, b"http"), (upgrading, b"ws"), (GET, b"http")):
            client.send(request)
            assert b"\r\nX-Forwarded-Proto: %b\r\n" % scheme in self.server.read()
            self.server.send(OK)


class Certificates(ProxyCase):
    """What a client has shown."""

    def shown(self, tls: Any) -> Any:
        """What the exchange says, where the transport has such an end of TLS."""
        client, _ = self.asking()
        connection = self.connection(client)
        assert connection.exchange is not None
        if tls is not None:
            connection.transport.about = {"ssl_object": tls}.get
        return connection.exchange.client_certificates()

    def test_nothing_is_shown_without_tls_or_without_being_asked(self) -> None:
        class Unasked:
            def getpeercert(self, binary_form: bool = False) -> None:
                return None

        assert self.shown(None) == ()
        assert self.shown(Unasked()) == ()

    def test_certificate_is_that_of_the_client(self) -> None:
        class Older:
            def getpeercert(self, binary_form: bool = False) -> bytes | None:
                return b"der" if binary_form else None

        class Newer(Older):
            def get_unverified_chain(self) -> list[bytes]:
                return [b"der", b"authority"]

        assert self.shown(Older()) == (b"der",)
        assert self.shown(Newer()) == (b"der", b"authority")
