"""Forwarding: what a server gets, what a client gets, who is asked next, and that it ends exactly once."""

from __future__ import annotations

import sys
from pathlib import Path

from twisted.internet.error import ConnectionRefusedError as Refused

from dynbalancer.core.exchange import REPLAYED
from dynbalancer.core.model import Service
from dynbalancer.core.settings import Limits
from dynbalancer.proxy.answering import plain_response

sys.path.insert(0, str(Path(__file__).parent))
from wires import FORWARDED, GET, GOT, HIGH_WATER, OK, ProxyCase, Wire, own, post

POSTED = b"POST / HTTP/1.1\r\nHost: a.example\r\n" + FORWARDED
PUT = b"PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nhi"
PUT_SENT = b"PUT / HTTP/1.1\r\nHost: a.example\r\n" + FORWARDED + b"Content-Length: 2\r\n\r\nhi"
CHUNKED_POST = b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"
BAD_GATEWAY = own(b"502 Bad Gateway", b"Bad Gateway")
TIMED_OUT = own(b"504 Gateway Timeout", b"Gateway Timeout")
UPGRADE = b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"


class Relaying(ProxyCase):
    """One server, which answers."""

    def test_get_reaches_the_server_and_its_answer_the_client(self) -> None:
        client, server = self.asking()
        assert server.read() == GOT
        assert self.upstream.in_flight == 1
        server.send(b"HTTP/1.1 200 Fine\r\nServer: x\r\nContent-Length: 2\r\n\r\nok")
        assert client.read() == b"HTTP/1.1 200 Fine\r\nServer: x\r\nContent-Length: 2\r\n\r\nok"
        assert self.ended.outcomes == [(200, "done")]
        assert (self.ended.exchanges[0].tries, self.ended.exchanges[0].bytes_out) == (1, 2)
        assert (client.state, server.state) == ("open", "open")
        self.assert_quiet()

    def test_second_request_goes_on_the_same_connection(self) -> None:
        client, server = self.asking()
        server.send(OK)
        client.send(GET)
        server.send(OK)
        assert server.read() == GOT + GOT
        assert client.read() == OK + OK
        assert self.servers.hosts == ["one"]
        self.assert_quiet()

    def test_body_with_a_length_goes_through_as_it_comes(self) -> None:
        client, server = self.asking(post(b"he", length=5))
        assert server.read() == POSTED + b"Content-Length: 5\r\n\r\nhe"
        client.send(b"llo")
        assert server.read() == b"llo"
        server.send(OK)
        assert client.read() == OK
        assert self.ended.exchanges[0].bytes_in == 5
        self.assert_quiet()

    def test_chunked_body_is_framed_afresh(self) -> None:
        client, server = self.asking(CHUNKED_POST + b"2;a=b\r\nhe\r\n3\r\nllo")
        assert server.read() == POSTED + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        client.send(b"\r\n0\r\n\r\n")
        assert server.read() == b"0\r\n\r\n"
        server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n003\r\nabc\r\n")
        server.send(b"1;x\r\nd\r\n0\r\n\r\n")
        expected = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"
        assert client.read() == expected
        assert (client.state, server.state) == ("open", "open")
        self.assert_quiet()

    def test_announced_trailers_reach_the_server_and_no_others(self) -> None:
        start = CHUNKED_POST.replace(b"Transfer", b"Trailer: X-Sum, Host\r\nTransfer")
        _, server = self.asking(start + b"1\r\na\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\nHost: evil\r\n\r\n")
        assert server.read().endswith(b"\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n")
        _, server = self.asking(CHUNKED_POST + b"1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n")
        assert server.read().endswith(b"\r\n\r\n1\r\na\r\n0\r\n\r\n")

    def test_trailers_reach_a_client_that_asked_for_them(self) -> None:
        answer = (
            b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\na\r\n0\r\nX-Sum: 1\r\nSet-Cookie: no\r\n\r\n"
        )
        client, server = self.asking(GET.replace(b"\r\n\r\n", b"\r\nTE: trailers\r\n\r\n"))
        server.send(answer)
        assert client.read().endswith(b"1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n")
        client.send(GET)
        server.send(answer)
        assert client.read().endswith(b"1\r\na\r\n0\r\n\r\n")

    def test_answers_without_a_body_end_at_once_and_keep_their_length(self) -> None:
        client = self.client()
        for request, answer in (
            (GET.replace(b"GET", b"HEAD"), b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            (GET, b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n"),
            (GET, b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"),
        ):
            client.send(request)
            self.server.send(answer)
            assert client.read() == answer
        assert self.servers.hosts == ["one"]
        assert client.state == "open"

    def test_body_that_ends_with_its_connection_is_chunked_for_the_client(self) -> None:
        client, server = self.asking()
        server.send(b"HTTP/1.0 200 OK\r\n\r\nab")
        server.finish()
        assert client.read() == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
        assert (client.state, server.state) == ("open", "aborted")
        self.assert_quiet()

    def test_interim_answers_are_passed_on(self) -> None:
        client, server = self.asking()
        early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        server.send(early)
        assert client.read() == early
        server.send(OK)
        assert client.read() == OK

    def test_client_waits_for_the_servers_continue(self) -> None:
        client, server = self.asking(post(b"", length=2, lines=b"Expect: 100-continue\r\n"))
        assert server.read() == POSTED + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        server.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert client.read() == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hi")
        assert server.read() == b"hi"
        server.send(OK)
        assert client.read() == OK
        assert client.state == "open"
        self.assert_quiet()

    def test_final_answer_instead_of_continue_closes_both(self) -> None:
        client, server = self.asking(post(b"", length=2, lines=b"Expect: 100-continue\r\n"))
        server.send(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
        expected = b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        assert client.read() == expected
        assert (client.state, server.state) == ("half", "aborted")
        self.wait(3)
        assert client.state == "aborted"
        self.assert_quiet()

    def test_answer_before_the_body_had_come_leaves_the_connection_usable(self) -> None:
        client, server = self.asking(post(b"h", length=3))
        server.send(OK)
        assert client.read() == OK
        assert server.state == "aborted"
        client.send(b"ey" + GET)
        self.server.send(OK)
        assert client.read() == OK
        assert self.ended.outcomes == [(200, "done")] * 2
        self.assert_quiet()

    def test_answer_before_a_long_body_had_come_says_that_it_closes(self) -> None:
        client, server = self.asking(post(b"h", length=1_000_000))
        server.send(OK)
        assert b"Connection: close\r\n" in client.read()
        client.send(b"e" * 60000)
        assert client.state == "half"
        client.send(b"e" * 6000)
        assert (client.state, client.paused) == ("half", True)
        self.wait(3)
        assert client.state == "aborted"
        self.assert_quiet()

    def test_bytes_after_the_answer_reach_nobody_and_end_the_connection(self) -> None:
        client, server = self.asking()
        server.send(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL")
        assert client.read() == OK
        assert server.state == "aborted"
        client.send(GET)
        assert len(self.servers.attempts) == 2
        assert client.read() == b""


class NotPassingTheHost(ProxyCase):
    """A service whose servers want their own names."""

    service = Service("web", pass_host_header=False)

    def test_server_gets_its_own_name(self) -> None:
        _, server = self.asking()
        assert server.read() == GOT.replace(b"Host: a.example\r\n", b"Host: one:8080\r\n", 1)


class Failing(ProxyCase):
    """Three servers, some of which fail."""

    hosts = ("one", "two", "three")
    limits = Limits(response_time=5.0)

    def test_refused_connection_goes_to_the_next_server(self) -> None:
        self.servers.broken["one"] = Refused()
        client, server = self.asking(post(b"hi"))
        assert self.servers.hosts == ["one", "two"]
        assert server.read() == POSTED + b"Content-Length: 2\r\n\r\nhi"
        server.send(OK)
        assert client.read() == OK
        assert [upstream.in_flight for upstream in self.upstreams] == [0, 0, 0]
        assert self.ended.exchanges[0].tries == 2
        assert self.ended.exchanges[0].server is self.upstreams[1]

    def test_502_when_no_server_can_be_reached(self) -> None:
        self.servers.broken = dict.fromkeys(self.hosts, Refused())
        client = self.client()
        client.send(GET)
        assert client.read() == BAD_GATEWAY
        assert self.servers.hosts == ["one", "two", "three"]
        assert self.ended.outcomes == [(502, "connect")]
        assert client.state == "open"
        self.assert_quiet()

    def test_no_more_than_the_allowed_tries(self) -> None:
        self.resource.retries = 1
        self.servers.broken = dict.fromkeys(self.hosts, TimeoutError())
        self.client().send(GET)
        assert self.servers.hosts == ["one", "two"]

    def test_being_refused_is_no_try_unless_none_is_allowed(self) -> None:
        self.servers.broken = dict.fromkeys(self.hosts, Refused())
        self.resource.retries = 1
        self.client().send(GET)
        assert self.servers.hosts == ["one", "two", "three"]
        self.resource.retries = 0
        self.client().send(GET)
        assert len(self.servers.hosts) == 4

    def test_servers_that_went_together_are_not_all_tried_again_by_one_request(self) -> None:
        self.servers.broken = {"one": TimeoutError(), "two": TimeoutError()}
        self.asking()
        self.resource.retries = 1
        self.wait(5)
        begun = len(self.servers.hosts)
        for _ in range(3):
            client, server = self.asking()
            server.send(OK)
            assert client.read() == OK
        assert self.servers.hosts[begun:].count("one") <= 1
        assert self.servers.hosts[begun:].count("two") <= 1

    def test_504_when_the_last_connection_took_too_long(self) -> None:
        self.servers.broken = dict.fromkeys(self.hosts, TimeoutError())
        client = self.client()
        client.send(GET)
        assert client.read() == TIMED_OUT
        assert self.ended.outcomes == [(504, "connect-timeout")]
        assert self.servers.attempts[0].about["timeout"] == 3.0

    def test_504_when_no_answer_comes_in_time_and_nobody_else_is_asked(self) -> None:
        client, server = self.asking()
        self.wait(4)
        assert client.read() == b""
        self.wait(2)
        assert client.read() == TIMED_OUT
        assert server.state == "aborted"
        assert self.servers.hosts == ["one"]
        assert self.ended.outcomes == [(504, "response-timeout")]
        self.assert_quiet()

    def test_504_when_no_answer_comes_after_a_continue(self) -> None:
        client, server = self.asking(post(b"", length=2, lines=b"Expect: 100-continue\r\n"))
        server.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send(b"hi")
        client.read()
        self.wait(6)
        assert client.read() == TIMED_OUT

    def test_get_is_tried_elsewhere_when_a_server_closes_without_an_answer(self) -> None:
        client, server = self.asking()
        server.finish()
        assert self.servers.hosts == ["one", "two"]
        assert self.server.read() == GOT
        self.server.send(OK)
        assert client.read() == OK
        assert [upstream.in_flight for upstream in self.upstreams] == [0, 0, 0]

    def test_post_is_not_tried_again_when_a_server_closes_without_an_answer(self) -> None:
        client, server = self.asking(post(b"hi"))
        server.reset()
        assert client.read() == BAD_GATEWAY
        assert self.servers.hosts == ["one"]
        assert self.ended.outcomes == [(502, "closed")]
        self.assert_quiet()

    def test_put_is_tried_again_with_its_body(self) -> None:
        _, server = self.asking(PUT)
        assert server.read() == PUT_SENT
        server.finish()
        assert self.server.read() == PUT_SENT

    def test_long_body_is_not_held_to_be_tried_again(self) -> None:
        client, server = self.asking(PUT.replace(b"2\r\n\r\nhi", b"200000\r\n\r\n"))
        client.send(b"x" * REPLAYED)
        client.send(b"x" * 10)
        server.finish()
        assert b" 502 " in client.read()
        assert self.servers.hosts == ["one"]
        self.assert_quiet()

    def test_malformed_answer_is_a_502_and_nobody_else_is_asked(self) -> None:
        for answer in (b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"):
            client, server = self.asking()
            server.send(answer)
            assert client.read() == BAD_GATEWAY
            assert server.state == "aborted"
        assert self.ended.outcomes == [(502, "bad-response")] * 2
        self.assert_quiet()

    def test_short_body_is_visibly_cut(self) -> None:
        client, server = self.asking()
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        server.finish()
        assert client.read() == b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"
        assert client.state == "aborted"
        assert self.ended.outcomes == [(200, "bad-response")]
        self.assert_quiet()

    def test_short_chunked_body_ends_without_a_last_chunk(self) -> None:
        client, server = self.asking()
        server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        server.reset()
        assert client.read() == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
        assert client.state == "closed"
        self.assert_quiet()

    def test_servers_that_could_not_be_reached_are_asked_last_for_a_while(self) -> None:
        self.servers.broken["one"] = Refused()
        for _ in range(4):
            _, server = self.asking()
            server.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert self.servers.hosts == ["one", "two", "two", "three", "two"]
        del self.servers.broken["one"]
        self.wait(1.5)
        for _ in range(3):
            self.asking()
        assert "one" in self.servers.hosts[5:]


class Reusing(ProxyCase):
    """One server whose kept connections may be dead."""

    def kept(self) -> None:
        """Leave one connection in the pool, for some time."""
        client, server = self.asking()
        server.send(OK)
        client.reset()
        self.wait(1)

    def test_get_on_a_dead_kept_connection_goes_on_a_fresh_one(self) -> None:
        self.kept()
        client, stale = self.asking()
        stale.finish()
        assert self.servers.hosts == ["one", "one"]
        assert self.server.read() == GOT
        self.server.send(OK)
        assert client.read() == OK
        assert self.ended.outcomes == [(200, "done")] * 2
        self.assert_quiet()

    def test_get_that_meets_the_rest_of_another_answer_goes_on_a_fresh_connection(self) -> None:
        self.kept()
        client, stale = self.asking()
        stale.send(b"EXTRA" + OK)
        assert stale.state == "aborted"
        assert self.server.read() == GOT
        self.server.send(OK)
        assert client.read() == OK
        assert self.ended.outcomes == [(200, "done")] * 2
        self.assert_quiet()

    def test_post_that_meets_the_rest_of_another_answer_is_not_sent_twice(self) -> None:
        client, server = self.asking()
        server.send(OK)
        client.send(post(b"hi"))
        server.send(b"EXTRA" + OK)
        assert client.read() == OK + BAD_GATEWAY
        assert len(self.servers.attempts) == 1
        self.assert_quiet()

    def test_bad_answer_on_a_fresh_connection_is_the_end_of_it(self) -> None:
        self.kept()
        client, stale = self.asking()
        stale.send(b"EXTRA")
        self.server.send(b"EXTRA")
        assert client.read() == BAD_GATEWAY
        assert len(self.servers.attempts) == 2
        self.assert_quiet()

    def test_fresh_connection_that_fails_as_well_is_the_end_of_it(self) -> None:
        self.kept()
        client, stale = self.asking()
        stale.reset()
        self.server.finish()
        assert client.read() == BAD_GATEWAY
        assert len(self.servers.attempts) == 2
        self.assert_quiet()

    def test_post_goes_on_a_fresh_connection_from_the_start(self) -> None:
        self.kept()
        self.asking(post(b"hi"))
        assert len(self.servers.attempts) == 2

    def test_post_right_after_an_answer_reuses_the_connection(self) -> None:
        client, server = self.asking()
        server.send(OK)
        client.send(post(b"hi"))
        assert server.read() == GOT + POSTED + b"Content-Length: 2\r\n\r\nhi"
        server.finish()
        assert client.read() == OK + BAD_GATEWAY
        assert len(self.servers.attempts) == 1
        self.assert_quiet()

    def test_retired_server_is_not_asked_again(self) -> None:
        self.kept()
        client, stale = self.asking()
        self.upstream.retire()
        stale.finish()
        assert client.read() == BAD_GATEWAY
        assert len(self.servers.attempts) == 1


class Leaving(ProxyCase):
    """The client leaves."""

    def test_server_is_told_at_once(self) -> None:
        client, server = self.asking()
        client.reset()
        assert server.state == "aborted"
        assert self.ended.outcomes == [(499, "client-gone")]
        self.assert_quiet()

    def test_status_stays_when_the_answer_had_begun(self) -> None:
        client, server = self.asking()
        server.send(OK[:-1])
        client.reset()
        assert self.ended.outcomes == [(200, "client-gone")]
        self.assert_quiet()

    def test_connection_under_way_is_given_up(self) -> None:
        self.servers.manual = True
        client = self.client()
        client.send(GET)
        client.reset()
        assert self.servers.attempts[0].cancelled
        assert self.ended.outcomes == [(499, "client-gone")]
        self.assert_quiet()

    def test_client_that_ends_in_the_middle_of_its_body_is_gone(self) -> None:
        client, server = self.asking(post(b"h", length=3))
        client.finish()
        assert (client.state, server.state) == ("aborted", "aborted")
        assert self.ended.outcomes == [(499, "client-gone")]
        self.assert_quiet()


class Pressure(ProxyCase):
    """Somebody is slower than the other."""

    hosts = ("one", "two")
    limits = Limits(write_time=4.0)

    def test_slow_server_pauses_the_client(self) -> None:
        client, server = self.asking(post(b"", length=500_000))
        server.stalled = True
        client.send(b"x" * 70000)
        assert client.paused
        server.take(70000)
        assert not client.paused

    def test_server_that_takes_nothing_of_a_body_is_given_up(self) -> None:
        client, server = self.asking(post(b"", length=500_000))
        server.stalled = True
        client.send(b"x" * 70000)
        self.wait(3)
        server.take(10)
        self.wait(3)
        assert server.state == "open"
        self.wait(6)
        assert server.state == "aborted"
        assert b" 504 " in client.read()
        self.assert_quiet()

    def test_client_waits_while_no_server_is_connected_yet(self) -> None:
        self.servers.manual = True
        client = self.client()
        client.send(post(b"", length=500_000))
        client.send(b"x" * (REPLAYED + 1))
        assert client.paused
        server = self.servers.attempts[0].succeed()
        assert not client.paused
        assert server.read().endswith(b"x" * (REPLAYED + 1))

    def test_client_stays_paused_where_the_new_server_does_not_take_what_was_held(self) -> None:
        self.servers.manual = True
        client = self.client()
        client.send(post(b"", length=500_000))
        client.send(b"x" * (REPLAYED + 1))
        attempt = self.servers.attempts[0]
        connected = attempt.protocol.makeConnection

        def stalling(wire: object) -> None:
            wire.stalled = True  # type: ignore[attr-defined]
            connected(wire)

        attempt.protocol.makeConnection = stalling
        server = attempt.succeed()
        assert len(server.dataBuffer) > HIGH_WATER
        assert client.paused

    def test_pause_by_a_server_that_left_does_not_stay(self) -> None:
        client, server = self.asking(CHUNKED_POST.replace(b"POST", b"PUT"))
        server.stalled = True
        # Single octets: what is written is six times what may have to be sent again.
        for _ in range(12000):
            client.send(b"1\r\nx\r\n")
        assert client.paused
        server.finish()
        assert not client.paused
        client.send(b"0\r\n\r\n")
        body = self.server.read().partition(b"\r\n\r\n")[2]
        assert body.count(b"x") == 12000
        assert body.endswith(b"x\r\n0\r\n\r\n")

    def test_slow_client_pauses_the_server(self) -> None:
        client, server = self.asking()
        client.stalled = True
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100_000)
        assert server.paused
        client.take(200_000)
        assert not server.paused
        server.send(b"x" * 100_000)
        client.take(100_000)
        assert client.read().endswith(b"x" * 200_000)
        self.assert_quiet()

    def test_connection_paused_at_the_end_of_an_answer_is_read_again(self) -> None:
        client, server = self.asking()
        client.stalled = True
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)
        assert not server.paused
        server.finish()
        assert server.state == "aborted"


class Tunnels(ProxyCase):
    """Upgraded connections."""

    limits = Limits(tunnel_time=20.0)

    def tunnel(self) -> tuple[Wire, Wire]:
        """A client and a server that have agreed on another protocol."""
        client, server = self.asking(UPGRADE)
        assert server.read().endswith(b"X-Real-Ip: 192.0.2.1\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        server.send(SWITCHED)
        assert client.read() == SWITCHED
        return client, server

    def test_octets_go_both_ways_untouched(self) -> None:
        client, server = self.tunnel()
        client.send(b"GET / HTTP/9\n\x00")
        server.send(b"\xff\r\n\r\n")
        assert (server.read(), client.read()) == (b"GET / HTTP/9\n\x00", b"\xff\r\n\r\n")
        assert self.upstream.in_flight == 1
        server.reset()
        assert client.state == "closed"
        assert self.ended.outcomes == [(101, "done")]
        assert (self.ended.exchanges[0].bytes_in, self.ended.exchanges[0].bytes_out) == (14, 5)
        self.assert_quiet()

    def test_octets_sent_ahead_are_not_lost(self) -> None:
        client, server = self.asking(UPGRADE + b"ahead")
        server.send(SWITCHED + b"first")
        assert client.read() == SWITCHED + b"first"
        assert server.read().endswith(b"\r\n\r\nahead")

    def test_reading_goes_on_however_much_was_sent_ahead(self) -> None:
        client, server = self.asking(UPGRADE + b"a" * 20000)
        assert client.paused
        server.send(SWITCHED)
        assert not client.paused
        client.send(b"more")
        assert server.read().endswith(b"a" * 20000 + b"more")

    def test_each_half_closes_by_itself_and_both_together_are_the_end(self) -> None:
        client, server = self.tunnel()
        client.finish()
        assert (client.state, server.state) == ("open", "half")
        server.send(b"last")
        assert client.read() == b"last"
        server.finish()
        assert (client.state, server.state) == ("closed", "closed")
        assert self.ended.outcomes == [(101, "done")]
        self.assert_quiet()

    def test_server_that_ends_first_still_gets_what_comes(self) -> None:
        client, server = self.tunnel()
        server.finish()
        assert (client.state, server.state) == ("half", "open")
        client.send(b"last")
        client.finish()
        assert server.read() == b"last"
        assert (client.state, server.state) == ("closed", "closed")
        self.assert_quiet()

    def test_client_that_had_ended_before_the_tunnel_began(self) -> None:
        client, server = self.asking(UPGRADE + b"all")
        client.finish()
        server.send(SWITCHED)
        assert server.read().endswith(b"all")
        assert server.state == "half"

    def test_client_that_breaks_off_ends_it(self) -> None:
        client, server = self.tunnel()
        client.reset()
        assert server.state == "aborted"
        assert self.ended.outcomes == [(101, "done")]
        self.assert_quiet()

    def test_silence_ends_it_and_octets_do_not(self) -> None:
        client, server = self.tunnel()
        self.wait(15)
        client.send(b"x")
        self.wait(15)
        server.send(b"y")
        self.wait(15)
        assert (client.state, server.state) == ("open", "open")
        self.wait(30)
        assert (client.state, server.state) == ("aborted", "aborted")
        self.assert_quiet()

    def test_slow_sides_pause_each_other(self) -> None:
        client, server = self.tunnel()
        server.stalled = client.stalled = True
        client.send(b"x" * 70000)
        server.send(b"y" * 70000)
        assert (client.paused, server.paused) == (True, True)
        server.take(70000)
        client.take(70000)
        assert (client.paused, server.paused) == (False, False)
        self.wait(15)
        assert (client.state, server.state) == ("open", "open")

    def test_refused_upgrade_goes_on_as_http(self) -> None:
        client, server = self.asking(UPGRADE)
        server.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        client.read()
        client.send(GET)
        server.send(OK)
        assert client.read() == OK
        assert server.read().endswith(GOT)

    def test_switch_nobody_asked_for_is_a_502(self) -> None:
        client, server = self.asking()
        server.send(SWITCHED)
        assert client.read() == BAD_GATEWAY
        assert server.state == "aborted"


def test_plain_response_carries_nothing_of_the_request() -> None:
    answer = plain_response(404)
    assert (answer.status, answer.body) == (404, b"Not Found")
    assert answer.headers.get(b"x-content-type-options") == b"nosniff"
    assert plain_response(599).body == b"Error"
