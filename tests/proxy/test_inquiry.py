"""Requests of our own: what a server gets, and what comes of its answer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dynbalancer.core.exchange import RequestHead, Response, field_of
from dynbalancer.core.settings import Limits
from dynbalancer.errors import (
    AnswerTooLarge,
    BadResponse,
    ConnectError,
    NoServer,
    ResponseTimeout,
    UpstreamClosed,
    UpstreamError,
)
from dynbalancer.proxy import inquiry, transports
from dynbalancer.proxy.deadlines import Deadlines
from dynbalancer.proxy.inquiry import Inquiring
from dynbalancer.proxy.upstream import Connecting

sys.path.insert(0, str(Path(__file__).parent))
from wires import OK, ProxyCase, Servers, Wire

URL = "http://auth.example/check?a=b"


class InquiryCase(SynchronousTestCase):
    """Asks servers of which none is real."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.servers = Servers(self.clock)
        self.patch(transports, "connect", self.servers.connect)
        self.deadlines = Deadlines(self.clock)
        self.deadlines.start()
        self.trusted: list[Any] = []
        self.inquiring = Inquiring(
            self._ways, clock=self.clock.seconds, later=self.clock.callLater, retries=2
        )

    def tearDown(self) -> None:
        self.inquiring.stop()
        self.deadlines.stop()

    def _ways(self, trust: Any) -> Connecting:
        self.trusted.append(trust)
        return Connecting(self.clock, Limits(), self.deadlines)

    def asked(
        self, method: str = "GET", url: str = URL, *about: Any, **more: Any
    ) -> tuple[Deferred[Response], Wire]:
        found = self.inquiring.fetch(method, url, *about, **more)
        self.clock.advance(0)
        return found, self.servers.wires[-1]

    def assert_quiet(self) -> None:
        """No timer of an inquiry is left."""
        assert not [
            call for call in self.clock.getDelayedCalls() if call.getTime() - self.clock.seconds() > 2
        ]


class Fetching(InquiryCase):
    """By URL."""

    def test_request_is_written_as_it_should_be(self) -> None:
        _, server = self.asked("GET", URL, [field_of(b"X-A", b"1")])
        assert server.read() == b"GET /check?a=b HTTP/1.1\r\nHost: auth.example\r\nX-A: 1\r\n\r\n"

    def test_body_has_its_length(self) -> None:
        _, server = self.asked("POST", URL, (), b"hello")
        assert server.read().endswith(b"\r\nContent-Length: 5\r\n\r\nhello")

    def test_url_is_made_fit_for_the_wire(self) -> None:
        _, server = self.asked("GET", "http://ann:a%3Ab@auth.example:81/ä b/?q=ü#part")
        seen = server.read()
        assert seen.startswith(b"GET /%C3%A4%20b/?q=%C3%BC HTTP/1.1\r\nHost: auth.example:81\r\n")
        assert b"\r\nAuthorization: Basic YW5uOmE6Yg==\r\n" in seen

    def test_path_is_a_slash_where_there_is_none(self) -> None:
        _, server = self.asked("GET", "http://auth.example")
        assert server.read().startswith(b"GET / HTTP/1.1\r\n")

    def test_answer_comes_whole(self) -> None:
        found, server = self.asked()
        server.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 203 Fine\r\nX-A: 1\r\nX-A: 2\r\n")
        server.send(b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        self.assertNoResult(found)
        server.send(b"1\r\nc\r\n0\r\n\r\n")
        answer = self.successResultOf(found)
        assert (answer.status, answer.body, answer.headers.all(b"x-a")) == (203, b"abc", [b"1", b"2"])
        self.assert_quiet()

    def test_connection_is_kept_for_the_next(self) -> None:
        for _ in range(2):
            found, server = self.asked()
            server.send(OK)
            assert self.successResultOf(found).body == b"ok"
        assert self.servers.hosts == ["auth.example"]

    def test_kept_connection_that_was_dead_is_nobodys_failure(self) -> None:
        found, server = self.asked()
        server.send(OK)
        self.successResultOf(found)
        found = self.inquiring.fetch("GET", URL)
        server.reset()
        self.clock.advance(0)
        self.servers.wires[-1].send(OK)
        assert self.successResultOf(found).body == b"ok"

    def test_each_trust_has_connections_of_its_own(self) -> None:
        for trust, number in ((None, 0), ("a", 1), ("a", 1), (None, 0)):
            found, _ = self.asked(trust=trust)
            self.servers.wires[number].send(OK)
            assert self.successResultOf(found).body == b"ok"
        assert self.trusted == [None, "a"]
        assert len(self.servers.hosts) == 2

    def test_servers_not_asked_for_long_are_forgotten(self) -> None:
        self.patch(inquiry, "REMEMBERED", 1)
        first, server = self.asked()
        server.send(OK)
        self.successResultOf(first)
        other, _ = self.asked("GET", "http://b.example/")
        self.clock.advance(0)
        assert server.state == "aborted"
        other.addErrback(lambda _: None)

    def test_too_large_answer_is_refused(self) -> None:
        found, server = self.asked(most=1)
        server.send(OK)
        self.failureResultOf(found, AnswerTooLarge)
        assert server.state == "aborted"
        self.assert_quiet()

    def test_answer_of_just_that_size_is_not(self) -> None:
        found, server = self.asked(most=2)
        server.send(OK)
        assert self.successResultOf(found).body == b"ok"

    def test_late_answer_is_none(self) -> None:
        found, server = self.asked(seconds=3)
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        self.clock.pump([0.5] * 6)
        self.failureResultOf(found, ResponseTimeout)
        assert server.state == "aborted"

    def test_who_cancels_leaves_the_server_at_once(self) -> None:
        found, server = self.asked()
        found.cancel()
        self.failureResultOf(found, CancelledError)
        assert server.state == "aborted"
        self.assert_quiet()

    def test_upgrade_nobody_asked_for_fails(self) -> None:
        found, server = self.asked()
        server.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n")
        self.failureResultOf(found, BadResponse)
        self.assert_quiet()

    def test_server_that_can_not_be_reached_is_a_connect_error(self) -> None:
        self.servers.broken["auth.example"] = Refused()
        found = self.inquiring.fetch("GET", URL)
        self.clock.advance(0)
        self.failureResultOf(found, ConnectError)
        self.assert_quiet()

    def test_server_that_says_nothing_has_closed(self) -> None:
        found, server = self.asked("POST")
        server.reset()
        self.failureResultOf(found, UpstreamClosed)

    def test_answer_that_breaks_off_is_bad(self) -> None:
        found, server = self.asked()
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\no")
        server.reset()
        self.failureResultOf(found, BadResponse)

    def test_answer_that_is_no_http_is_bad(self) -> None:
        found, server = self.asked()
        server.send(b"SSH-2.0-x\r\n")
        self.failureResultOf(found, BadResponse)

    def test_url_of_no_use_fails(self) -> None:
        for url in ("ftp://a.example/", "/only/a/path", "http://a.example:99999/", "http://[::1/"):
            self.failureResultOf(self.inquiring.fetch("GET", url), UpstreamError)


class ServiceCase(ProxyCase):
    """Through a service that runs."""

    hosts = ("one", "two")

    def test_next_server_is_asked_where_one_can_not_be_reached(self) -> None:
        self.servers.broken["one"] = Refused()
        inquiring = Inquiring(
            lambda _: self.connecting, clock=self.clock.seconds, later=self.clock.callLater, retries=2
        )
        found = inquiring.ask(self.table.services["web"], RequestHead(path=b"/500"))
        self.clock.advance(0)
        assert self.server.read() == b"GET /500 HTTP/1.1\r\nHost: two:8080\r\n\r\n"
        self.server.send(OK)
        assert self.successResultOf(found).body == b"ok"
        self.assert_quiet()

    def test_service_without_a_server_that_is_up_fails_at_once(self) -> None:
        inquiring = Inquiring(
            lambda _: self.connecting, clock=self.clock.seconds, later=self.clock.callLater, retries=2
        )
        for upstream in self.upstreams:
            upstream.up = False
        found = inquiring.ask(self.table.services["web"], RequestHead())
        self.failureResultOf(found, NoServer)
        self.assert_quiet()


def test_there_is_a_bound_for_answers_nobody_gave_one_for() -> None:
    assert inquiry.LARGEST == 10 * 1024 * 1024
    assert pytest.approx(30.0) == inquiry.LONGEST
