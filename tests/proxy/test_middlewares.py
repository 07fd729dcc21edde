"""The built-in middlewares on the way of real requests: what servers and clients see of them."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from dynbalancer.core.regions import LocalRegions
from dynbalancer.plugins import middleware_makers

sys.path.insert(0, str(Path(__file__).parent))
from wires import GET, OK, ProxyCase, Wire, own

USER = "ann:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/"  # test


def get(path: bytes = b"/", *lines: bytes, method: bytes = b"GET") -> bytes:
    """A request for a.example with these field lines."""
    return b"%b %b HTTP/1.1\r\nHost: a.example\r\n%b\r\n" % (
        method,
        path,
        b"".join(x + b"\r\n" for x in lines),
    )


def basic(user: bytes, password: bytes) -> bytes:
    """A field line with credentials."""
    return b"Authorization: Basic " + base64.b64encode(user + b":" + password)


class MiddlewareCase(ProxyCase):
    """A proxy whose one router has the middlewares of a test."""

    def setUp(self) -> None:
        super().setUp()
        self.threads: list[tuple[Deferred[Any], Any, tuple[Any, ...]]] = []
        self.said: list[str] = []
        self.offers = {
            "clock": self.clock.seconds,
            "in_thread": self._in_thread,
            "secret": b"s",
            "fetch": None,
            "shared": LocalRegions(),
            "later": lambda seconds: deferLater(self.clock, seconds, lambda: None),
            "say": self.said.append,
        }

    def _in_thread(self, function: Any, *arguments: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.threads.append((done, function, arguments))
        return done

    def run_threads(self) -> None:
        """Let what is in threads come to its end."""
        while self.threads:
            done, function, arguments = self.threads.pop(0)
            done.callback(function(*arguments))

    def configure(self, *middlewares: tuple[str, dict[str, Any]]) -> None:
        """From now on requests pass middlewares of these types and settings."""
        makers = middleware_makers()
        made = {
            f"{kind}{number}": makers[kind.lower()].make_middleware(kind, settings, self.offers)
            for number, (kind, settings) in enumerate(middlewares)
        }
        self.use(made)

    def answer_to(self, request: bytes) -> bytes:
        """What a client gets that no server is asked for."""
        before = len(self.servers.attempts)
        client = self.client()
        client.send(request)
        assert len(self.servers.attempts) == before, "a server was asked"
        return client.read()


class Changing(MiddlewareCase):
    """Requests and responses on their way through."""

    def test_path_is_rewritten_and_told(self) -> None:
        self.configure(
            ("stripPrefixRegex", {"regex": "^/[a-z]+/[0-9]+"}),
            ("replacePathRegex", {"regex": "^/v1/(.*)", "replacement": "/api/$1"}),
        )
        _, server = self.asking(get(b"/shop/17/v1/x?q=1"))
        seen = server.read()
        assert seen.startswith(b"GET /api/x?q=1 HTTP/1.1\r\n")
        assert b"\r\nX-Forwarded-Prefix: /shop/17\r\nX-Replaced-Path: /v1/x\r\n" in seen

    def test_path_that_could_be_read_in_two_ways_reaches_no_server(self) -> None:
        self.configure(("replacePathRegex", {"regex": "^/a(.*)", "replacement": "/x/$1"}))
        assert self.answer_to(get(b"/a../secret")).startswith(b"HTTP/1.1 400 ")

    def test_two_header_middlewares_add_up(self) -> None:
        self.configure(
            ("headers", {"frameDeny": True, "customRequestHeaders": {"X-A": "1"}}),
            (
                "headers",
                {"permissionsPolicy": "microphone=()", "customRequestHeaders": {"X-Forwarded-For": ""}},
            ),
        )
        client, server = self.asking()
        seen = server.read()
        assert b"\r\nX-A: 1\r\n" in seen
        assert b"X-Forwarded-For" not in seen
        server.send(OK)
        got = client.read()
        assert b"\r\nX-Frame-Options: DENY\r\n" in got
        assert b"\r\nPermissions-Policy: microphone=()\r\n" in got

    def test_origin_that_may_read_a_response_is_named(self) -> None:
        self.configure(
            ("headers", {"accessControlAllowOriginList": "https://b.example", "addVaryHeader": True})
        )
        client, server = self.asking(get(b"/", b"Origin: https://b.example"))
        server.send(OK)
        got = client.read()
        assert b"\r\nAccess-Control-Allow-Origin: https://b.example\r\n" in got
        assert b"\r\nVary: Origin\r\n" in got


class Answering(MiddlewareCase):
    """Requests that no server gets."""

    def test_preflight(self) -> None:
        self.configure(
            ("headers", {"accessControlAllowMethods": "GET,PUT", "accessControlMaxAge": 100}),
            ("basicAuth", {"users": USER}),
        )
        asked = (b"Origin: https://b.example", b"Access-Control-Request-Method: PUT")
        assert self.answer_to(get(b"/", *asked, method=b"OPTIONS")) == (
            b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Methods: GET,PUT\r\nAccess-Control-Max-Age: 100\r\n"
            b"Content-Length: 0\r\n\r\n"
        )

    def test_redirect_has_no_octet_of_a_second_header(self) -> None:
        self.configure(
            ("redirectRegex", {"regex": "^http://a.example/(.*)", "replacement": "https://b.example/$1"})
        )
        got = self.answer_to(get(b"/%0d%0aX-Evil:%20y?u=https://evil.example"))
        assert b"\r\nLocation: https://b.example/%0d%0aX-Evil:%20y?u=https://evil.example\r\n" in got
        assert self.ended.outcomes == [(302, "done")]

    def test_address_that_is_not_let_in(self) -> None:
        self.configure(("ipAllowList", {"sourceRange": "10.0.0.0/8"}))
        got = self.answer_to(get(b"/", b"X-Forwarded-For: 10.0.0.1", b"X-Real-Ip: 10.0.0.1"))
        assert got.startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert got.endswith(b"\r\n\r\nForbidden")

    def test_other_host(self) -> None:
        self.configure(("headers", {"allowedHosts": "b.example"}))
        assert self.answer_to(GET).startswith(b"HTTP/1.1 500 ")


class LoggingIn(MiddlewareCase):
    """Passwords, checked in threads."""

    def asking_for(self, line: bytes) -> Wire:
        client = self.client()
        client.send(get(b"/", line))
        return client

    def test_right_password_waits_for_its_thread_and_comes_in(self) -> None:
        self.configure(("basicAuth", {"users": USER, "removeHeader": True, "headerField": "X-User"}))
        client = self.asking_for(basic(b"ann", b"test"))
        assert self.servers.attempts == []
        self.run_threads()
        self.clock.advance(0)
        seen = self.server.read()
        assert b"\r\nX-User: ann\r\n" in seen
        assert b"authorization" not in seen.lower()
        self.server.send(OK)
        assert client.read() == OK
        # From now on without a thread.
        client.send(get(b"/", basic(b"ann", b"test")))
        assert self.threads == []
        assert b"\r\nX-User: ann\r\n" in self.server.read()

    def test_wrong_password_is_in_the_books_under_its_name(self) -> None:
        self.configure(("basicAuth", {"users": USER}))
        client = self.asking_for(basic(b"ann", b"guess"))
        self.run_threads()
        got = client.read()
        assert got.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
        assert b'\r\nWWW-Authenticate: Basic realm="traefik"\r\n' in got
        assert got.endswith(b"\r\n\r\n401 Unauthorized\n")
        assert self.ended.exchanges[0].user == b"ann"
        assert self.servers.attempts == []

    def test_client_that_left_meanwhile_asks_no_server(self) -> None:
        self.configure(("basicAuth", {"users": USER}))
        self.asking_for(basic(b"ann", b"test")).reset()
        self.run_threads()
        assert self.servers.attempts == []
        assert self.ended.outcomes == [(499, "client-gone")]

    def test_check_that_breaks_lets_nobody_in(self) -> None:
        self.configure(("basicAuth", {"users": USER}))
        client = self.asking_for(basic(b"ann", b"test"))
        self.threads[0][0].errback(RuntimeError("no more threads"))
        assert client.read() == own(b"500 Internal Server Error", b"Internal Server Error")
        assert self.servers.attempts == []
        assert len(self.flushLoggedErrors(RuntimeError)) == 1

    def test_digest_is_asked_for(self) -> None:
        self.configure(("digestAuth", {"users": "ann:traefik:" + "0" * 32}))
        got = self.answer_to(GET)
        assert b'\r\nWWW-Authenticate: Digest realm="traefik", qop="auth", algorithm=MD5, nonce="' in got


class Limiting(MiddlewareCase):
    """Who does too much, waits or is refused; whoever is done makes room."""

    def test_request_a_little_early_is_sent_on_at_its_turn(self) -> None:
        self.configure(("rateLimit", {"average": 1, "period": "1s"}))
        client, server = self.asking(GET)
        server.read()
        server.send(OK)
        client.read()
        self.wait(0.6)
        client.send(GET)
        assert self.server.read() == b""
        self.wait(0.3)
        assert self.server.read() == b""
        self.wait(0.2)
        assert self.server.read().startswith(b"GET / HTTP/1.1")
        self.server.send(OK)
        assert client.read() == OK

    def test_request_too_early_is_answered_at_once_and_the_connection_goes_on(self) -> None:
        self.configure(("rateLimit", {"average": 1, "period": "10s"}))
        client, server = self.asking(GET)
        server.send(OK)
        client.read()
        client.send(GET)
        lines = b"Retry-After: 10\r\nX-Retry-In: 10s\r\n"
        got = client.read()
        assert got.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
        assert lines in got
        assert got.endswith(b"\r\n\r\nToo Many Requests")
        self.wait(10)
        client.send(GET)
        assert self.server.read().startswith(b"GET / HTTP/1.1")

    def test_client_that_left_before_its_turn_asks_no_server(self) -> None:
        self.configure(("rateLimit", {"average": 1}))
        _, server = self.asking(GET)
        server.send(OK)
        self.wait(0.7)
        impatient = self.client()
        impatient.send(GET)
        impatient.reset()
        self.wait(1)
        assert server.read().count(b"GET ") == 1
        assert self.ended.outcomes == [(200, "done"), (499, "client-gone")]

    def test_place_in_flight_is_free_when_the_answer_is_complete(self) -> None:
        self.configure(("inFlightReq", {"amount": 1}))
        first, server = self.asking(GET)
        second = self.client()
        second.send(GET)
        assert second.read().endswith(b"\r\n\r\nmax connections reached: 1")
        server.send(OK)
        assert first.read() == OK
        second.send(GET)
        assert self.server.read().startswith(b"GET ")

    def test_place_in_flight_is_free_when_the_client_is_gone(self) -> None:
        self.configure(("inFlightReq", {"amount": 1}))
        first, _ = self.asking(GET)
        first.reset()
        self.asking(GET)
        assert len(self.servers.attempts) == 2

    def test_place_in_flight_is_free_when_a_later_middleware_refuses(self) -> None:
        self.configure(("inFlightReq", {"amount": 1}), ("ipAllowList", {"sourceRange": "10.0.0.0/8"}))
        for _ in range(3):
            assert self.answer_to(GET).startswith(b"HTTP/1.1 403 ")

    def test_breaker_opens_when_the_server_can_not_be_reached(self) -> None:
        self.configure(("circuitBreaker", {"expression": "NetworkErrorRatio() > 0.5"}))
        self.servers.broken = dict.fromkeys(self.hosts, ConnectionRefusedError("refused"))
        client = self.client()
        client.send(GET)
        self.wait(1)
        assert client.read().startswith(b"HTTP/1.1 502 ")
        got = self.answer_to(GET)
        assert got.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert got.endswith(b"\r\n\r\nService Unavailable")
        assert len(self.said) == 1

    def test_breaker_opens_when_answers_are_bad(self) -> None:
        self.configure(("circuitBreaker", {"expression": "ResponseCodeRatio(500, 600, 0, 600) > 0.5"}))
        client, server = self.asking(GET)
        server.send(OK.replace(b"200 OK", b"500 Bad"))
        assert client.read().startswith(b"HTTP/1.1 500 ")
        assert self.answer_to(GET).startswith(b"HTTP/1.1 503 ")
