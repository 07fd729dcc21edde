"""Upstreams: which connections are kept, for whom and how long; servers that can't be reached."""

from __future__ import annotations

import os
import ssl
import sys
from pathlib import Path

import pytest
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.task import Clock

from dynbalancer.core.model import Server
from dynbalancer.core.settings import Limits
from dynbalancer.errors import ConfigurationError, ConnectError, ConnectTimeout, Untrusted, UpstreamError
from dynbalancer.proxy import transports
from dynbalancer.proxy.deadlines import Deadlines
from dynbalancer.proxy.upstream import (
    FIRST_TRUST,
    LONGEST_AVOIDANCE,
    PATIENCE,
    Connecting,
    Upstream,
)
from dynbalancer.proxy.upstream_connection import UpstreamConnection

sys.path.insert(0, str(Path(__file__).parent))
from wires import GET, GOT, OK, ProxyCase, Servers, Wire, post


class Keeping(ProxyCase):
    """Connections between requests."""

    limits = Limits(upstream_idle_time=10.0, upstream_idle_connections=2)

    def test_unused_connection_is_closed_after_a_while(self) -> None:
        _, server = self.asking()
        server.send(OK)
        self.wait(9)
        assert server.state == "open"
        self.wait(2)
        assert server.state == "aborted"
        self.assert_quiet()

    def test_no_more_than_so_many_are_kept_and_the_oldest_goes(self) -> None:
        asked = [self.asking() for _ in range(3)]
        for _, server in asked:
            server.send(OK)
        assert [server.state for _, server in asked] == ["aborted", "open", "open"]

    def test_newest_connection_is_used_first(self) -> None:
        (_, first), (_, second) = self.asking(), self.asking()
        first.send(OK)
        second.send(OK)
        assert (first.read(), second.read()) == (GOT, GOT)
        self.asking()
        assert (first.read(), second.read()) == (b"", GOT)

    def test_connection_in_use_outlives_the_idle_time(self) -> None:
        client, server = self.asking()
        server.send(OK)
        client.send(GET)
        self.wait(20)
        server.send(OK)
        assert client.read() == OK + OK

    def test_draining_server_keeps_no_connection_but_finishes_what_it_has(self) -> None:
        _, idle = self.asking()
        client, busy = self.asking()
        idle.send(OK)
        self.upstream.update(Server("http://one:8080", state="draining"))
        self.clock.advance(0)
        assert (idle.state, busy.state) == ("aborted", "open")
        busy.send(OK)
        assert client.read() == OK
        assert busy.state == "aborted"
        self.assert_quiet()

    def test_server_that_left_keeps_no_connection(self) -> None:
        _, idle = self.asking()
        client, busy = self.asking()
        idle.send(OK)
        self.upstream.retire()
        busy.send(OK)
        assert (idle.state, busy.state) == ("aborted", "aborted")
        assert client.read() == OK

    def test_one_url_with_two_instances_is_two_servers(self) -> None:
        keys = {Upstream(Server("http://one:80", instance=what), self.connecting).key for what in ("a", "b")}
        assert keys == {("http://one:80", "a"), ("http://one:80", "b")}


class KeepingNone(ProxyCase):
    """Connections between requests, where none are kept."""

    limits = Limits(upstream_idle_connections=0)

    def test_connection_is_closed_after_its_answer(self) -> None:
        client, server = self.asking()
        server.send(OK)
        assert (client.read(), server.state) == (OK, "aborted")
        self.assert_quiet()


class Trusting(ProxyCase):
    """Kept connections, and requests that may not be sent twice (RFC 9112 section 9.3.1)."""

    #: Seconds after which this server closes an idle connection, and that its word is on its way.
    closes_after, on_its_way = 0.02, 0.001

    def posting(self, gap: float) -> bytes:
        """What a client gets for a POST, so long after the answer to the last one."""
        last = self.servers.wires[-1] if self.servers.wires else None
        told = self.closes_after + self.on_its_way
        self.clock.advance(min(gap, told))
        if last is not None and last.state == "open" and gap >= told:
            last.finish()
        self.clock.advance(max(0.0, gap - told))
        client, server = self.asking(post(b"hi"))
        if server is last and gap > self.closes_after:
            server.reset()
        else:
            server.send(OK)
        return client.read()

    def test_post_soon_after_an_answer_goes_on_the_kept_connection(self) -> None:
        _, server = self.asking()
        server.send(OK)
        self.clock.advance(FIRST_TRUST - 0.01)
        assert self.asking(post(b"hi"))[1] is server

    def test_post_long_after_an_answer_goes_on_a_fresh_one_and_the_kept_one_stays(self) -> None:
        _, server = self.asking()
        server.send(OK)
        self.clock.advance(FIRST_TRUST + 0.01)
        assert self.asking(post(b"hi"))[1] is not server
        server.read()
        self.asking(GET)
        assert server.read() == GOT

    def test_post_goes_on_no_connection_with_an_end_that_nobody_read_yet(self) -> None:
        """We were behind: the server's word was there, and the client's request was read first."""
        for said, kept in ((b"", True), (b"x", False)):
            _, server = self.asking()
            server.send(OK)
            theirs, ours = os.pipe()
            os.write(ours, said)
            self.upstream._idle[-1].transport.fileno = lambda number=theirs: number
            assert (self.asking(post(b"hi"))[1] is server) == kept
            self.server.send(OK)
            os.close(theirs)
            os.close(ours)
            self.upstream.close_idle()

    def test_server_that_closes_idle_connections_is_trusted_half_as_long(self) -> None:
        for idle, trust in ((0.2, 0.1), (0.6, 0.1), (0.1, 0.05)):
            _, server = self.asking()
            server.send(OK)
            self.clock.advance(idle)
            server.finish()
            assert self.upstream.trust == pytest.approx(trust)

    def test_post_that_met_a_close_teaches_as_well(self) -> None:
        _, server = self.asking()
        server.send(OK)
        self.clock.advance(0.3)
        client, same = self.asking(post(b"hi"))
        same.reset()
        assert client.read().startswith(b"HTTP/1.1 502 ")
        assert self.upstream.trust == pytest.approx(0.15)

    def test_server_that_fails_at_a_request_at_once_teaches_nothing(self) -> None:
        """It was in use a moment ago: that is not a server which closes what is idle."""
        _, server = self.asking()
        server.send(OK)
        self.clock.advance(0.001)
        client, same = self.asking(post(b"hi"))
        assert same is server
        same.reset()
        assert client.read().startswith(b"HTTP/1.1 502 ")
        assert self.upstream.trust == FIRST_TRUST

    def test_connections_that_posts_do_not_take_do_not_heap_up(self) -> None:
        for _ in range(20):
            self.asking(post(b"hi"))
            self.server.send(OK)
            self.clock.advance(FIRST_TRUST + 0.01)
        assert len(self.upstream._idle) == 2
        assert sum(wire.state == "open" for wire in self.servers.wires) == 2

    def test_what_we_close_or_what_breaks_in_use_teaches_nothing(self) -> None:
        _, server = self.asking()
        server.send(OK)
        self.upstream.close_idle()
        self.clock.advance(0)
        _, fresh = self.asking()
        fresh.reset()
        for wire in self.servers.wires[2:]:
            wire.reset()
        assert self.upstream.trust == FIRST_TRUST

    def test_server_that_was_away_is_trusted_anew(self) -> None:
        _, server = self.asking()
        server.send(OK)
        self.clock.advance(0.1)
        server.finish()
        self.servers.broken["one"] = Refused()
        client = self.client()
        client.send(GET)
        assert self.upstream.trust == pytest.approx(0.05)
        del self.servers.broken["one"]
        self.asking()
        assert self.upstream.trust == FIRST_TRUST

    def test_no_post_fails_once_it_is_known_how_long_the_server_waits(self) -> None:
        gaps = [0.005, 0.0205, 0.03, 0.009, 0.015, 0.0202, 0.021, 0.5, 0.0209, 0.011] * 20
        failed = [number for number, gap in enumerate(gaps) if not self.posting(gap).startswith(OK[:15])]
        assert failed == [1]
        # Those within half of that time still go on the kept connection.
        assert self.upstream.trust == pytest.approx(0.01025, abs=0.001)
        assert len(self.servers.attempts) < len(gaps)


class Reaching(ProxyCase):
    """Making connections."""

    def connect(self) -> tuple[list[UpstreamConnection], list[UpstreamError]]:
        """Ask the upstream for a connection; what it gives goes into the one list or the other."""
        ready: list[UpstreamConnection] = []
        failed: list[UpstreamError] = []
        self.cancel = self.upstream.connect(ready.append, failed.append)
        self.clock.advance(0)
        return ready, failed

    def test_connection_is_handed_over(self) -> None:
        ready, failed = self.connect()
        assert [connection.upstream for connection in ready] == [self.upstream]
        assert failed == []
        attempt = self.servers.attempts[0]
        assert (attempt.host, attempt.port, attempt.about) == (
            "one",
            8080,
            {"timeout": 3.0, "tls": None, "server_name": None},
        )
        assert self.server.no_delay

    def test_connection_that_is_gone_or_spoke_before_it_was_handed_over_is_none(self) -> None:
        self.servers.manual = True
        for spoke in (False, True):
            ready, failed = self.connect()
            attempt = self.servers.attempts[-1]
            wire = Wire(self.clock, attempt.protocol)
            attempt.protocol.makeConnection(wire)
            if spoke:
                wire.send(b"220 mail.example ready\r\n")
            else:
                wire.reset()
            attempt.done.callback(attempt.protocol)
            assert ready == []
            assert [type(error) for error in failed] == [ConnectError]
            self.clock.advance(60)

    def test_failures_say_where_and_why(self) -> None:
        self.servers.broken["one"] = Refused()
        (error,) = self.connect()[1]
        assert isinstance(error, ConnectError)
        assert error.why.startswith("one:8080: Connection was refused")
        self.servers.broken["one"] = TimeoutError()
        (error,) = self.connect()[1]
        assert isinstance(error, ConnectTimeout)
        assert error.why == "one:8080: TimeoutError"

    def test_each_failure_in_a_row_makes_it_wait_longer_up_to_a_limit(self) -> None:
        self.servers.broken["one"] = Refused()
        pauses = []
        for _ in range(12):
            self.connect()
            self.connect()
            pauses.append(self.upstream.avoid_until - self.clock.seconds())
            self.clock.advance(pauses[-1])
        assert pauses[:6] == [1, 2, 4, 8, 16, 30]
        assert pauses[-1] == LONGEST_AVOIDANCE
        del self.servers.broken["one"]
        self.connect()
        assert self.upstream.avoid_until == 0
        self.servers.broken["one"] = Refused()
        self.connect()
        assert self.upstream.avoid_until - self.clock.seconds() == 1

    def test_an_attempt_of_its_own_finds_out_whether_it_is_back(self) -> None:
        assert self.upstream.is_worth_a_try(self.clock.seconds())
        self.servers.broken["one"] = Refused()
        self.connect()
        del self.servers.broken["one"]
        self.servers.manual = True
        assert not self.upstream.is_worth_a_try(self.clock.seconds())
        assert len(self.servers.attempts) == 1
        self.clock.advance(1)
        worth = [self.upstream.is_worth_a_try(self.clock.seconds()) for _ in range(3)]
        assert worth == [False, False, False]
        _, attempt = self.servers.attempts
        assert self.upstream.avoid_until - self.clock.seconds() == 2
        assert attempt.succeed().state == "aborted"
        assert self.upstream.is_worth_a_try(self.clock.seconds())

    def test_still_away_it_is_asked_again_after_twice_the_time(self) -> None:
        self.servers.broken["one"] = Refused()
        self.connect()
        self.clock.advance(1)
        found = []
        for _ in range(4):
            self.upstream.is_worth_a_try(self.clock.seconds())
            self.clock.advance(0)
            found.append((len(self.servers.attempts), self.upstream.avoid_until - self.clock.seconds()))
            self.clock.advance(1)
        assert found == [(2, 2), (2, 1), (3, 4), (3, 3)]

    def test_while_it_does_not_answer_an_attempt_others_are_asked_first(self) -> None:
        self.servers.manual = True
        self.connect()
        self.clock.advance(PATIENCE)
        self.connect()
        assert self.upstream.is_worth_a_try(self.clock.seconds())
        self.clock.advance(0.1)
        self.connect()
        assert not self.upstream.is_worth_a_try(self.clock.seconds())
        self.servers.attempts[0].succeed()
        assert self.upstream.is_worth_a_try(self.clock.seconds())
        # It answers: those that wait still began before that.
        self.connect()
        assert self.upstream.is_worth_a_try(self.clock.seconds())

    def test_attempts_one_after_the_other_may_take_long(self) -> None:
        self.servers.manual = True
        for _ in range(3):
            self.connect()
            self.clock.advance(PATIENCE + 1)
            self.servers.attempts[-1].succeed()
            self.connect()
            self.cancel()
            assert self.upstream.is_worth_a_try(self.clock.seconds())

    def test_cancelled_attempt_calls_nobody(self) -> None:
        self.servers.manual = True
        ready, failed = self.connect()
        self.cancel()
        assert (ready, failed, self.upstream.avoid_until) == ([], [], 0)

    def test_attempt_that_succeeds_although_cancelled_is_closed(self) -> None:
        self.servers.manual = True
        ready, failed = self.connect()
        attempt = self.servers.attempts[0]
        # It was too late: the attempt does not hear of it.
        self.patch(attempt.done, "cancel", lambda: None)
        self.cancel()
        wire = attempt.succeed()
        assert (ready, failed, wire.state) == ([], [], "aborted")

    def test_defect_in_what_is_called_is_logged(self) -> None:
        self.upstream.connect(lambda _: 1 // 0, lambda _: None)  # type: ignore[arg-type, return-value]
        self.clock.advance(0)
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1


@pytest.fixture
def connecting() -> Connecting:
    clock = Clock()
    return Connecting(clock, Limits(), Deadlines(clock))


@pytest.mark.parametrize(
    "url, host, port, authority",
    [
        ("http://10.0.0.2:8080", "10.0.0.2", 8080, b"10.0.0.2:8080"),
        ("http://web", "web", 80, b"web"),
        ("http://[2001:db8::1]:81", "2001:db8::1", 81, b"[2001:db8::1]:81"),
        ("https://web", "web", 443, b"web"),
        ("http://name:secret@web:82/", "web", 82, b"web:82"),
    ],
)
def test_url_says_where_to_connect(
    connecting: Connecting, url: str, host: str, port: int, authority: bytes
) -> None:
    upstream = Upstream(Server(url), connecting)
    assert (upstream.host, upstream.port, upstream.authority) == (host, port, authority)
    assert (upstream.tls is not None) == url.startswith("https:")


@pytest.mark.parametrize(
    "url, why",
    [
        ("ftp://web", "the scheme ftp isn't supported"),
        ("web:80", "the scheme web isn't supported"),
        ("//web", "the scheme (none) isn't supported"),
        ("http://web:99999", "the port is not a number below 65536"),
        ("http://web:http", "the port is not a number below 65536"),
        ("http://:80", "names no host"),
    ],
)
def test_url_that_names_nothing_is_refused(connecting: Connecting, url: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Upstream(Server(url), connecting)
    assert (caught.value.where, caught.value.why) == (f"server {url}", why)


def test_certificates_are_checked_unless_switched_off(connecting: Connecting) -> None:
    assert connecting.tls.verify_mode == ssl.CERT_REQUIRED
    assert connecting.tls.check_hostname
    assert connecting.tls is connecting.tls
    trusting = Connecting(connecting.reactor, Limits(), connecting.deadlines, verify=False)
    assert (trusting.tls.verify_mode, trusting.tls.check_hostname) == (ssl.CERT_NONE, False)


def test_https_server_without_a_readable_authority_is_refused_at_once(connecting: Connecting) -> None:
    broken = Connecting(connecting.reactor, Limits(), connecting.deadlines, ca_file="/nonexistent/ca.pem")
    with pytest.raises(ConfigurationError) as caught:
        Upstream(Server("https://web"), broken)
    assert caught.value.where == "serversTransport.rootCAs"
    assert "/nonexistent/ca.pem" in caught.value.why
    assert Upstream(Server("http://web"), broken).tls is None


def test_https_server_is_connected_with_tls(connecting: Connecting, monkeypatch: pytest.MonkeyPatch) -> None:
    servers = Servers(connecting.reactor)
    monkeypatch.setattr(transports, "connect", servers.connect)
    upstream = Upstream(Server("https://web"), connecting)
    upstream.connect(lambda _: None, lambda _: None)
    assert servers.attempts[0].about["tls"] is connecting.tls


def test_server_with_a_certificate_that_is_not_trusted_is_said_to_be_there(
    connecting: Connecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = Servers(connecting.reactor)
    servers.manual = True
    monkeypatch.setattr(transports, "connect", servers.connect)
    failed: list[UpstreamError] = []
    Upstream(Server("https://web"), connecting).connect(lambda _: None, failed.append)
    servers.attempts[0].done.errback(ssl.SSLCertVerificationError(1, "certificate verify failed"))
    assert [(type(error), error.status, error.retryable) for error in failed] == [(Untrusted, 500, True)]
