"""Towards clients: one request after the other on a connection, refusals, patience, and how connections end."""

from __future__ import annotations

import sys
from pathlib import Path

from dynbalancer.core.model import EntryPoint
from dynbalancer.core.settings import Limits
from dynbalancer.proxy.client_exchange import LINGER_SIZE

sys.path.insert(0, str(Path(__file__).parent))
from wires import FORWARDED, GET, GOT, OK, ProxyCase, own, post

ELSEWHERE = GET.replace(b"a.example", b"b.example")
NOT_FOUND = own(b"404 Not Found", b"404 page not found\n")
BAD_REQUEST = own(b"400 Bad Request", b"Bad Request", close=True)
TIMEOUT = own(b"408 Request Timeout", b"Request Timeout", close=True)
BIG = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000


def to(number: int) -> bytes:
    """A GET that can be told from others."""
    return GET.replace(b"GET /", b"GET /%d" % number)


def saying(text: bytes) -> bytes:
    """An answer that can be told from others."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)


class Requests(ProxyCase):
    """What is asked, and in which order it is answered."""

    def test_request_without_a_router_is_not_found(self) -> None:
        client = self.client()
        client.send(ELSEWHERE)
        assert client.read() == NOT_FOUND
        client.send(ELSEWHERE)
        assert client.read() == NOT_FOUND
        assert client.state == "open"
        assert self.ended.outcomes == [(404, "refused")] * 2
        assert self.servers.attempts == []

    def test_asking_for_the_options_of_the_whole_is_answered_here(self) -> None:
        client = self.client()
        client.send(GET.replace(b"GET /", b"OPTIONS *"))
        assert client.read() == b"HTTP/1.1 204 No Content\r\n\r\n"
        assert self.servers.attempts == []

    def test_requests_sent_ahead_are_answered_in_order(self) -> None:
        client = self.client()
        client.send(b"".join(map(to, range(5))) + ELSEWHERE + to(5))
        for number in range(5):
            assert self.server.read() == GOT.replace(b"GET /", b"GET /%d" % number)
            self.server.send(saying(b"%d" % number))
        assert client.read() == b"".join(saying(b"%d" % number) for number in range(5)) + NOT_FOUND
        self.server.send(saying(b"5"))
        assert client.read() == saying(b"5")
        self.assert_quiet()

    def test_reading_pauses_when_too_much_is_sent_ahead(self) -> None:
        client = self.client()
        client.send(b"".join(map(to, range(1000))))
        assert client.paused
        for number in range(999):
            self.server.send(saying(b"%d" % number))
        assert not client.paused
        client.send(to(1000))
        self.server.send(saying(b"999"))
        self.server.send(saying(b"1000"))
        assert client.read() == b"".join(saying(b"%d" % number) for number in range(1001))

    def test_head_in_pieces_is_one_request(self) -> None:
        client = self.client()
        for octet in GET:
            client.send(bytes((octet,)))
        assert self.server.read() == GOT

    def test_body_nobody_wanted_is_thrown_away(self) -> None:
        client = self.client()
        client.send(post(b"", length=3).replace(b"a.example", b"b.example"))
        assert client.read() == NOT_FOUND
        client.send(b"abc" + GET)
        assert self.server.read() == GOT
        self.server.send(OK)
        assert client.read() == OK

    def test_answer_before_the_end_of_a_chunked_body_says_that_it_is_the_last(self) -> None:
        start = post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        for more in (b"zz\r\n", b"0\r\n\r\n"):
            client, server = self.asking(start)
            server.send(OK)
            assert client.read() == OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
            client.send(more + GET)
            assert (client.read(), client.state) == (b"", "half")
        assert self.resource.refusals == {}

    def test_unwanted_body_that_does_not_end_soon_is_cut(self) -> None:
        start = post(b"").replace(b"a.example", b"b.example")
        chunked = self.client()
        chunked.send(start.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
        assert b"\r\nConnection: close\r\n" in chunked.read()
        chunked.send(b"f000\r\n" + b"x" * 0xF000)
        assert chunked.state == "half"
        chunked.send(b"x" * 0xF000)
        assert (chunked.state, chunked.paused) == ("half", True)
        short = self.client()
        short.send(start.replace(b"Content-Length: 0", b"Content-Length: 9"))
        assert b"\r\nConnection:" not in short.read()
        self.wait(3)
        assert (chunked.state, short.state) == ("aborted", "aborted")
        self.assert_quiet()


class Dated(ProxyCase):
    """Answers have a Date: the server's, or ours where it has none."""

    line = b"Date: Sun, 22 Nov 2026 10:00:00 GMT\r\n"

    def setUp(self) -> None:
        super().setUp()
        self.resource.date = lambda: self.line

    def test_answer_without_a_date_gets_one_each_time(self) -> None:
        client = self.client()
        for second in (b"0", b"1", b"2", b"3"):
            self.line = b"Date: Sun, 22 Nov 2026 10:00:0%b GMT\r\n" % second
            client.send(GET)
            self.server.send(OK)
            assert client.read() == OK.replace(b"\r\n\r\n", b"\r\n" + self.line + b"\r\n")

    def test_date_of_a_server_stays(self) -> None:
        client = self.client()
        for name in (b"Date", b"date", b"DATE"):
            dated = OK.replace(b"Content", name + b": long ago\r\nContent")
            for _ in range(4):
                client.send(GET)
                self.server.send(dated)
                assert client.read() == dated

    def test_answers_of_ours_have_one(self) -> None:
        client = self.client()
        client.send(ELSEWHERE)
        assert client.read() == NOT_FOUND.replace(b"\r\n\r\n", b"\r\n" + self.line + b"\r\n")
        client.send(b"\x00")
        assert client.read().count(self.line) == 1

    def test_interim_answers_have_none(self) -> None:
        client = self.client()
        client.send(GET)
        self.server.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        assert client.read() == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


class Counted(ProxyCase):
    """Max-Forwards of OPTIONS and TRACE (RFC 9110 section 7.6.2)."""

    def asked(self, method: bytes, value: bytes) -> bytes:
        return GET.replace(b"GET", method).replace(b"\r\n\r\n", b"\r\nMax-Forwards: " + value + b"\r\n\r\n")

    def test_it_is_one_less_for_the_server(self) -> None:
        client = self.client()
        for method, value, left in (
            (b"OPTIONS", b"7", b"6"),
            (b"OPTIONS", b"8", b"7"),
            (b"OPTIONS", b"8", b"7"),
            (b"GET", b"8", b"8"),
            (b"TRACE", b"1", b"0"),
            (b"OPTIONS", b"1", b"0"),
            (b"OPTIONS", b"many", b"many"),
            (b"GET", b"0", b"0"),
            (b"OPTIONS", b"8", b"7"),
        ):
            client.send(self.asked(method, value))
            got = self.server.read()
            assert got.startswith(method + b" / ")
            assert b"\r\nMax-Forwards: " + left + b"\r\n" in got
            assert got.count(b"Max-Forwards") == 1
            self.server.send(OK)
            assert client.read() == OK

    def test_none_left_ends_here(self) -> None:
        client = self.client()
        client.send(self.asked(b"OPTIONS", b"0"))
        assert client.read() == b"HTTP/1.1 204 No Content\r\n\r\n"
        client.send(self.asked(b"TRACE", b"00"))
        refused = client.read()
        assert refused.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
        assert b"\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n" in refused
        assert self.servers.attempts == []


class Trusting(ProxyCase):
    """Peers that may say where a request came from, and others."""

    entry_point = EntryPoint("web", 80, trusted=("192.0.2.0/24",))
    said = GET.replace(
        b"\r\n\r\n", b"\r\nX-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https\r\nX_Real_Ip: 9\r\n\r\n"
    )

    def test_trusted_peer_is_added_to_what_it_said(self) -> None:
        client = self.client("::ffff:192.0.2.1")
        client.send(self.said)
        sent = self.server.read()
        assert b"X-Forwarded-For: 198.51.100.7, 192.0.2.1\r\n" in sent
        assert b"X-Forwarded-Proto: https\r\n" in sent
        assert sent.count(b"X-Forwarded-Host: a.example\r\n") == 1
        assert self.ended.exchanges == []

    def test_others_are_not_believed(self) -> None:
        client = self.client("203.0.113.5")
        client.send(self.said)
        expected = FORWARDED.replace(b"192.0.2.1", b"203.0.113.5")
        assert self.server.read() == GOT.replace(FORWARDED, expected)


class Escaping(ProxyCase):
    """Where a semicolon in a query is no separator."""

    limits = Limits().at(EntryPoint("web", 80, escape_semicolons=True))

    def test_semicolons_in_a_query_are_escaped(self) -> None:
        client = self.client()
        for query in (b"a;b", b"c;d"):
            client.send(GET.replace(b"GET /", b"GET /?" + query))
            assert self.server.read() == GOT.replace(b"GET /", b"GET /?" + query.replace(b";", b"%3B"))
            self.server.send(saying(b"x"))


class Refusing(ProxyCase):
    """What is no request, or no longer one."""

    def test_malformed_request_is_refused_and_lingers(self) -> None:
        client = self.client()
        client.send(b"GET  / HTTP/1.1\r\nHost: a.example\r\n\r\n" + GET)
        assert client.read() == BAD_REQUEST
        assert client.state == "half"
        assert self.resource.refusals == {"bad-request-line": 1}
        assert self.servers.attempts == []
        client.send(b"x" * LINGER_SIZE)
        assert (client.state, client.paused) == ("half", False)
        client.send(b"x")
        # A reset would take the answer from a client that is still busy with sending.
        assert (client.state, client.paused) == ("half", True)
        self.wait(3)
        assert client.state == "aborted"
        self.assert_quiet()

    def test_refused_method_is_told_which_are_allowed(self) -> None:
        client = self.client()
        client.send(b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n")
        refused = client.read()
        assert refused.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
        assert b"\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n" in refused

    def test_lingering_ends_by_itself(self) -> None:
        client = self.client()
        client.send(b"\x00\r\n\r\n")
        self.wait(1)
        assert client.state == "half"
        self.wait(2)
        assert client.state == "aborted"
        self.assert_quiet()

    def test_lingering_ends_with_the_client(self) -> None:
        client = self.client()
        client.send(b"\x00\r\n\r\n")
        client.finish()
        assert client.state == "closed"
        self.assert_quiet()

    def test_broken_body_is_refused_and_the_server_left(self) -> None:
        start = b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"
        client, server = self.asking(start)
        client.send(b"zz\r\n")
        assert client.read() == BAD_REQUEST
        assert (client.state, server.state) == ("half", "aborted")
        assert self.ended.outcomes == [(400, "refused")]
        assert self.resource.refusals == {"bad-chunk": 1}
        self.assert_quiet()

    def test_broken_body_under_an_answer_cuts_it(self) -> None:
        start = b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"
        client, server = self.asking(start)
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        client.send(b"zz\r\n")
        assert (client.state, server.state) == ("aborted", "aborted")
        assert self.ended.outcomes == [(200, "refused")]
        self.assert_quiet()

    def test_refusal_of_a_head_request_has_no_body(self) -> None:
        client = self.client()
        client.send(b"HEAD * HTTP/1.1\r\nHost: a.example\r\n\r\n")
        assert client.read() == BAD_REQUEST.removesuffix(b"Bad Request")
        assert client.state == "half"
        assert self.resource.refusals == {"bad-target": 1}

    def test_client_that_ends_in_the_middle_of_a_head_is_told(self) -> None:
        client = self.client()
        client.send(GET[:-2])
        client.finish()
        assert client.read() == BAD_REQUEST
        assert client.state == "closed"
        assert self.resource.refusals == {"incomplete-head": 1}
        self.assert_quiet()


class HalfClosing(ProxyCase):
    """Clients that send FIN when they have asked."""

    def test_answer_is_delivered_in_full(self) -> None:
        client, server = self.asking()
        client.finish()
        server.send(OK)
        assert client.read() == OK
        assert client.state == "closed"
        assert self.ended.outcomes == [(200, "done")]
        self.assert_quiet()

    def test_what_was_asked_ahead_is_answered_as_well(self) -> None:
        client, server = self.asking(to(1) + to(2) + ELSEWHERE)
        client.finish()
        server.send(OK)
        server.send(OK)
        assert client.read() == OK + OK + NOT_FOUND
        assert client.state == "closed"
        self.assert_quiet()

    def test_incomplete_request_after_complete_ones_is_refused(self) -> None:
        client, server = self.asking(to(1) + GET[:9])
        client.finish()
        server.send(OK)
        assert client.read() == OK + BAD_REQUEST
        assert client.state == "closed"

    def test_idle_client_that_ends_is_closed(self) -> None:
        client = self.client()
        client.finish()
        assert client.state == "closed"
        assert client.read() == b""


class WholeRequests(ProxyCase):
    """A request has so much time to come whole, whether it moves or not."""

    limits = Limits(request_time=20.0)

    def test_a_body_that_takes_too_long_is_refused_though_it_moves(self) -> None:
        client, _ = self.asking(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 99999999\r\n\r\n")
        for _ in range(19):
            self.wait(1)
            client.send(b"x" * 4000)
        assert client.state == "open"
        self.wait(3)
        assert client.read().startswith(b"HTTP/1.1 408 ")

    def test_the_next_request_has_its_own_time(self) -> None:
        client, server = self.asking(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\n")
        self.wait(15)
        client.send(b"abcde")
        server.send(OK)
        assert client.read() == OK
        client.send(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\n")
        self.wait(15)
        assert client.state == "open"


class Patience(ProxyCase):
    """How long is waited for clients."""

    limits = Limits(head_time=10.0, body_time=30.0, idle_time=60.0, write_time=20.0)

    def test_client_that_says_nothing_is_closed_without_a_word(self) -> None:
        client = self.client()
        self.wait(9)
        assert client.state == "open"
        self.wait(2)
        assert (client.state, client.read()) == ("closed", b"")
        self.assert_quiet()

    def test_idle_connection_is_closed_without_a_word(self) -> None:
        client, server = self.asking()
        self.wait(20)
        server.send(OK)
        self.wait(59)
        assert client.state == "open"
        self.wait(2)
        assert (client.state, client.read()) == ("closed", OK)
        self.assert_quiet()

    def test_head_octet_by_octet_takes_too_long(self) -> None:
        client, server = self.asking()
        server.send(OK)
        client.read()
        for octet in GET[:9]:
            client.send(bytes((octet,)))
            self.wait(1)
        assert client.state == "open"
        self.wait(2)
        assert client.read() == TIMEOUT
        assert client.state == "half"
        assert self.resource.refusals == {"head-timeout": 1}

    def test_head_begun_ahead_has_its_time_from_its_turn(self) -> None:
        client, server = self.asking(GET + GET[:9])
        self.wait(40)
        server.send(OK)
        self.wait(9)
        assert client.read() == OK
        self.wait(2)
        assert client.read() == TIMEOUT

    def test_body_that_stalls_under_an_answer_is_cut_unless_the_answer_moves(self) -> None:
        client, server = self.asking(post(b"", length=100_000))
        server.send(BIG[:1000])
        for _ in range(3):
            self.wait(20)
            assert client.state == "open"
            server.send(b"x" * 100)
        self.wait(61)
        assert (client.state, server.state) == ("aborted", "aborted")
        assert self.ended.outcomes == [(200, "refused")]

    def test_body_that_stalls_takes_too_long(self) -> None:
        client, server = self.asking(post(b"ab", length=9))
        self.wait(29)
        assert client.read() == b""
        self.wait(2)
        assert client.read() == TIMEOUT
        assert (client.state, server.state) == ("half", "aborted")
        assert self.ended.outcomes == [(408, "refused")]
        self.wait(3)
        assert client.state == "aborted"
        self.assert_quiet()

    def test_body_may_rest_for_less_than_its_time(self) -> None:
        client, server = self.asking(post(b"", length=100_000))
        for _ in range(5):
            client.send(b"x" * 15_000)
            self.wait(25)
        client.send(b"x" * 25_000)
        server.send(OK)
        assert client.read() == OK

    def test_body_that_trickles_takes_too_long(self) -> None:
        client, _ = self.asking(post(b"", length=1_000_000))
        for _ in range(18):
            client.send(b"x")
            self.wait(1)
        assert client.read() == b""
        for _ in range(5):
            if client.state == "open":
                client.send(b"x")
                self.wait(1)
        assert client.read() == TIMEOUT

    def test_time_in_which_the_server_did_not_read_does_not_count(self) -> None:
        client, server = self.asking(post(b"", length=1_000_000))
        server.stalled = True
        client.send(b"x" * 70_000)
        for _ in range(35):
            self.wait(10)
            server.take(100)
        assert client.read() == b""
        server.take(70_000)
        self.wait(15)
        assert client.read() == b""

    def test_slow_reader_that_makes_progress_is_waited_for(self) -> None:
        client, server = self.asking()
        client.stalled = True
        server.send(BIG)
        for _ in range(5):
            self.wait(15)
            client.take(1)
        assert client.state == "open"
        self.wait(45)
        assert client.state == "aborted"
        assert self.ended.outcomes == [(200, "done")]
        self.assert_quiet()

    def test_reader_that_takes_nothing_is_cut_and_the_server_told(self) -> None:
        client, server = self.asking()
        client.stalled = True
        server.send(BIG[:90_000])
        assert server.paused
        self.wait(25)
        assert (client.state, server.state) == ("aborted", "aborted")
        assert self.ended.outcomes == [(200, "client-gone")]
        self.assert_quiet()

    def test_client_that_never_reads_gets_no_second_answer_to_hold(self) -> None:
        client, server = self.asking(to(1) + to(2) + to(3))
        client.stalled = True
        server.read()
        server.send(BIG)
        assert server.read() == b""
        assert len(client.dataBuffer) == len(BIG)
        client.take(len(BIG))
        assert server.read() == GOT.replace(b"GET /", b"GET /2")
        client.stalled = False
        server.send(OK)
        server.send(OK)
        assert client.read() == BIG + OK + OK

    def test_closed_connection_whose_client_takes_nothing_is_cut(self) -> None:
        client, server = self.asking(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        client.stalled = True
        server.send(OK)
        assert client.state == "closing"
        self.wait(19)
        assert client.state == "closing"
        self.wait(3)
        assert client.state == "aborted"
        self.assert_quiet()

    def test_closed_connection_whose_client_takes_it_slowly_is_not_cut(self) -> None:
        client, server = self.asking(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        client.stalled = True
        server.send(BIG)
        for _ in range(5):
            self.wait(15)
            client.take(1000)
        assert client.state == "closing"
        client.take(200_000)
        assert client.state == "closed"
        assert client.read().endswith(b"x" * 100_000)

    def test_idle_client_that_never_took_its_answer_is_cut(self) -> None:
        client, server = self.asking()
        client.stalled = True
        server.send(OK)
        self.wait(62)
        assert client.state == "closing"
        self.wait(22)
        assert client.state == "aborted"
        self.assert_quiet()

    def test_slow_reader_of_an_early_answer_gets_all_of_it(self) -> None:
        client, server = self.asking(post(b"", length=1_000_000))
        client.stalled = True
        server.send(BIG)
        assert client.state == "half"
        self.wait(10)
        client.take(10)
        self.wait(15)
        assert client.state == "half"
        client.take(200_000)
        assert client.read().endswith(b"x" * 100_000)
        self.wait(3)
        assert client.state == "aborted"
        self.assert_quiet()


class Setup(ProxyCase):
    """What a new connection starts with."""

    def test_peer_is_known(self) -> None:
        client = self.client("::ffff:192.0.2.9")
        connection = self.connection(client)
        assert (connection.peer.client, connection.client_port) == ("192.0.2.9", 40000)
        assert self.site.connections == {connection}
