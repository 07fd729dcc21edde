"""Asking a server how it is: one short question over a connection of its own, and nothing read that isn't needed."""

from __future__ import annotations

import ssl
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dynbalancer.core.health import Question
from dynbalancer.core.settings import Limits
from dynbalancer.errors import (
    BadResponse,
    ConfigurationError,
    ConnectError,
    ResponseTimeout,
    UpstreamClosed,
)
from dynbalancer.proxy import transports
from dynbalancer.proxy.probing import Prober
from dynbalancer.proxy.securing import Trust

HTTP = Question(
    "web@file", "10.0.0.2", 8080, authority="10.0.0.2:8080", target="/health", follows=True, timeout=5.0
)
TCP = replace(HTTP, mode="tcp", port=6379)


class Transport(StringTransport):
    """Remembers that it was aborted."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class Attempt:
    """A connection that was asked for."""

    def __init__(self, host: str, port: int, protocol: Protocol, more: dict[str, Any]) -> None:
        self.where = (host, port)
        self.protocol = protocol
        self.more = more
        self.cancelled = False
        self.transport = Transport()
        self.made: Deferred[Protocol] = Deferred(self._cancel)

    def _cancel(self, _: object) -> None:
        self.cancelled = True

    def succeed(self) -> bytes:
        """It is connected; gives what is sent at once."""
        self.protocol.makeConnection(self.transport)
        self.made.callback(self.protocol)
        return self.transport.value()

    def say(self, octets: bytes) -> None:
        """The server says this."""
        self.protocol.dataReceived(octets)


class ProbingCase(SynchronousTestCase):
    """A prober whose connections a test makes or breaks."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.attempts: list[Attempt] = []
        self.context = ssl.create_default_context()
        self.prober = Prober(self.clock, Limits(), self.secure)
        patching = patch.object(transports, "connect", self.connect)
        patching.start()
        self.addCleanup(patching.stop)

    def connect(self, reactor: Any, host: str, port: int, protocol: Protocol, **more: Any) -> Deferred[Any]:
        self.attempts.append(Attempt(host, port, protocol, more))
        return self.attempts[-1].made

    def secure(self, question: Question) -> Trust:
        if question.transport == "broken":
            raise ConfigurationError("serversTransport broken", "no such file")
        return Trust(self.context, "b.example")

    def ask(self, question: Question = HTTP) -> Deferred[int]:
        asked = self.prober.ask(question)
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))
        return asked


class AskingTests(ProbingCase):
    """Requests and their answers."""

    def test_the_status_of_the_answer_is_what_comes_of_it(self) -> None:
        asked = self.ask()
        sent = self.attempts[0].succeed()
        self.assertEqual(self.attempts[0].where, ("10.0.0.2", 8080))
        self.assertEqual(sent, HTTP.request())
        self.attempts[0].say(b"HTTP/1.1 204 No Content\r\n")
        self.assertNoResult(asked)
        self.attempts[0].say(b"\r\n")
        self.assertEqual(self.successResultOf(asked), 204)

    def test_a_body_is_not_waited_for(self) -> None:
        asked = self.ask()
        self.attempts[0].succeed()
        self.attempts[0].say(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\nfirst")
        self.assertEqual(self.successResultOf(asked), 200)
        self.assertTrue(self.attempts[0].transport.aborted)
        self.attempts[0].say(b"more")

    def test_an_interim_answer_is_none(self) -> None:
        asked = self.ask()
        self.attempts[0].succeed()
        self.attempts[0].say(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        self.assertNoResult(asked)
        self.attempts[0].say(b"HTTP/1.1 500 No\r\n\r\n")
        self.assertEqual(self.successResultOf(asked), 500)

    def test_a_server_that_refuses_fails_with_the_reason(self) -> None:
        asked = self.ask()
        self.attempts[0].made.errback(ConnectionRefusedError())
        error = self.failureResultOf(asked, ConnectError).value
        self.assertIn("10.0.0.2:8080: Connection was refused", error.why)

    def test_a_server_that_can_not_be_connected_to_in_time_fails(self) -> None:
        asked = self.ask()
        self.attempts[0].made.errback(TimeoutError())
        self.assertEqual(self.failureResultOf(asked, ResponseTimeout).value.why, "no answer within 5s")

    def test_a_server_that_never_answers_fails_when_its_time_is_over(self) -> None:
        asked = self.ask()
        self.attempts[0].succeed()
        self.attempts[0].say(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        self.clock.advance(4.9)
        self.assertNoResult(asked)
        self.clock.advance(0.1)
        self.failureResultOf(asked, ResponseTimeout)
        self.assertTrue(self.attempts[0].transport.aborted)

    def test_a_connection_that_hangs_is_given_up_when_its_time_is_over(self) -> None:
        asked = self.ask()
        self.clock.advance(5)
        self.failureResultOf(asked, ResponseTimeout)
        self.assertTrue(self.attempts[0].cancelled)

    def test_an_answer_that_is_no_http_fails(self) -> None:
        asked = self.ask()
        self.attempts[0].succeed()
        self.attempts[0].say(b"SSH-2.0-OpenSSH_9.2\r\n")
        self.failureResultOf(asked, BadResponse)

    def test_a_head_without_end_fails_early(self) -> None:
        asked = self.ask()
        self.attempts[0].succeed()
        self.attempts[0].say(b"HTTP/1.1 200 OK\r\nX: " + b"x" * (Limits().response_head + 4))
        self.failureResultOf(asked, BadResponse)

    def test_a_server_that_closes_without_an_answer_fails(self) -> None:
        asked = self.ask()
        self.attempts[0].succeed()
        self.attempts[0].protocol.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(asked, UpstreamClosed)

    def test_nobody_asked_any_more_leaves_nothing_behind(self) -> None:
        waiting, talking = self.ask(), self.ask()
        self.attempts[1].succeed()
        for asked in (waiting, talking):
            asked.cancel()
            self.failureResultOf(asked, CancelledError)
        self.assertTrue(self.attempts[0].cancelled)
        self.assertTrue(self.attempts[1].transport.aborted)

    def test_a_connection_that_is_made_too_late_is_closed(self) -> None:
        asked = self.ask()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.attempts[0].protocol.makeConnection(self.attempts[0].transport)
        self.assertTrue(self.attempts[0].transport.aborted)
        self.assertEqual(self.attempts[0].transport.value(), b"")


class TlsTests(ProbingCase):
    """What is https is verified as requests are."""

    def test_a_handshake_comes_first(self) -> None:
        asked = self.ask(replace(HTTP, tls=True))
        self.assertEqual(self.attempts[0].succeed()[:3], b"\x16\x03\x01")
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertTrue(self.attempts[0].transport.aborted)

    def test_a_handshake_that_never_ends_is_given_up_when_its_time_is_over(self) -> None:
        asked = self.ask(replace(HTTP, tls=True))
        self.attempts[0].succeed()
        self.clock.advance(5)
        self.failureResultOf(asked, ResponseTimeout)
        self.assertTrue(self.attempts[0].transport.aborted)

    def test_a_server_that_speaks_no_tls_is_the_reason(self) -> None:
        asked = self.ask(replace(HTTP, tls=True))
        self.attempts[0].succeed()
        self.attempts[0].say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        error = self.failureResultOf(asked, ConnectError).value
        self.assertIn("10.0.0.2:8080: TLS: ", error.why)

    def test_a_connection_that_is_made_too_late_is_closed(self) -> None:
        asked = self.ask(replace(HTTP, tls=True))
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.attempts[0].protocol.makeConnection(self.attempts[0].transport)
        self.assertTrue(self.attempts[0].transport.aborted)
        self.assertEqual(self.attempts[0].transport.value(), b"")

    def test_plain_http_asks_for_no_trust(self) -> None:
        asked = self.ask(replace(HTTP, transport="broken"))
        self.assertEqual(self.attempts[0].succeed()[:4], b"GET ")
        asked.cancel()
        self.failureResultOf(asked)

    def test_a_transport_that_can_not_be_used_fails_with_its_reason(self) -> None:
        error = self.failureResultOf(
            self.ask(replace(HTTP, tls=True, transport="broken")), ConnectError
        ).value
        self.assertIn("no such file", error.why)
        self.assertEqual(self.attempts, [])


class RedirectTests(ProbingCase):
    """Where a server sends us on."""

    def redirect(self, location: bytes, status: int = 302) -> None:
        self.attempts[-1].succeed()
        self.attempts[-1].say(b"HTTP/1.1 %d Found\r\nLocation: %b\r\n\r\n" % (status, location))

    def test_a_redirect_at_the_server_is_asked_over_a_fresh_connection(self) -> None:
        asked = self.ask()
        self.redirect(b"/login")
        self.assertTrue(self.attempts[0].transport.aborted)
        self.assertIn(b"GET /login HTTP/1.1\r\n", self.attempts[1].succeed())
        self.attempts[1].say(b"HTTP/1.1 200 OK\r\n\r\n")
        self.assertEqual(self.successResultOf(asked), 200)

    def test_a_redirect_to_somebody_else_counts_as_it_is(self) -> None:
        asked = self.ask()
        self.redirect(b"http://169.254.169.254/latest")
        self.assertEqual(self.successResultOf(asked), 302)
        self.assertEqual(len(self.attempts), 1)

    def test_a_redirect_counts_as_it_is_where_none_is_followed(self) -> None:
        asked = self.ask(replace(HTTP, follows=False))
        self.redirect(b"/login")
        self.assertEqual(self.successResultOf(asked), 302)

    def test_a_circle_of_redirects_fails_after_ten(self) -> None:
        asked = self.ask()
        for _ in range(11):
            self.redirect(b"/health")
        self.assertEqual(self.failureResultOf(asked, BadResponse).value.why, "stopped after 10 redirects")
        self.assertEqual(len(self.attempts), 11)

    def test_redirects_have_the_time_of_one_question_together(self) -> None:
        asked = self.ask()
        self.clock.advance(4)
        self.redirect(b"/login")
        self.clock.advance(1)
        self.failureResultOf(asked, ResponseTimeout)


class TcpTests(ProbingCase):
    """Connections that count by themselves, and short words."""

    def test_to_be_connected_is_enough(self) -> None:
        asked = self.ask(TCP)
        self.assertEqual(self.attempts[0].succeed(), b"")
        self.assertEqual(self.successResultOf(asked), 0)
        self.assertTrue(self.attempts[0].transport.aborted)

    def test_what_comes_back_has_to_begin_as_expected(self) -> None:
        asked = self.ask(replace(TCP, send=b"PING\r\n", expect=b"+PONG"))
        self.assertEqual(self.attempts[0].succeed(), b"PING\r\n")
        self.attempts[0].say(b"+PO")
        self.assertNoResult(asked)
        self.attempts[0].say(b"NG\r\n")
        self.assertEqual(self.successResultOf(asked), 0)

    def test_anything_else_fails(self) -> None:
        asked = self.ask(replace(TCP, expect=b"+PONG"))
        self.attempts[0].succeed()
        self.attempts[0].say(b"-ERR no")
        self.assertEqual(self.failureResultOf(asked, BadResponse).value.why, "it said b'-ERR ', not b'+PONG'")

    def test_a_server_that_closes_before_it_said_it_fails(self) -> None:
        asked = self.ask(replace(TCP, expect=b"+PONG"))
        self.attempts[0].succeed()
        self.attempts[0].protocol.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(asked, UpstreamClosed)
