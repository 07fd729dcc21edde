"""The resource: routes, runs middlewares both ways, and tells observers of every end exactly once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.logger import capturedLogs, formatEvent
from twisted.web.resource import IResource
from zope.interface.verify import verifyObject

from dynbalancer.core.exchange import Exchange, Response, ResponseHead
from dynbalancer.core.model import Router, Service
from dynbalancer.errors import RequestError
from dynbalancer.middlewares.base import Middleware

sys.path.insert(0, str(Path(__file__).parent))
from wires import GET, GOT, OK, ProxyCase, calling, own, post

BROKEN = own(b"500 Internal Server Error", b"Internal Server Error")


class Hooks(Middleware):
    """A middleware of loose hooks."""

    def __init__(self, **hooks: Any) -> None:
        self.on_request = hooks.get("on_request")  # type: ignore[misc]
        self.on_response = hooks.get("on_response")  # type: ignore[misc]
        self.on_finish = hooks.get("on_finish")  # type: ignore[misc]


def returning(found: object) -> Hooks:
    return Hooks(on_request=lambda _: found)


def raising(*_: object) -> None:
    raise ZeroDivisionError("a defect")


class Dog:
    """A watchdog that dozes until it is woken."""

    dozing = True
    woken = 0

    def wake(self) -> None:
        self.dozing = False
        self.woken += 1


class Passing(ProxyCase):
    """Requests on their way through middlewares."""

    def test_request_wakes_a_watchdog_that_dozes(self) -> None:
        self.resource.watchdog = dog = Dog()
        self.client().send(GET + GET)
        assert dog.woken == 1
        dog.dozing = True
        self.client().send(GET)
        assert dog.woken == 2

    def test_hooks_run_in_order_and_back_in_reverse(self) -> None:
        order: list[str] = []

        def noting(name: str) -> Hooks:
            hooks = ("on_request", "on_response", "on_finish")
            return Hooks(**{hook: calling(order, f"{name}.{hook}") for hook in hooks})

        self.use({"a": noting("a"), "b": noting("b"), "c": Hooks()})
        _, server = self.asking()
        assert order == ["a.on_request", "b.on_request"]
        server.send(OK)
        assert order[2:] == ["b.on_response", "a.on_response", "a.on_finish", "b.on_finish"]

    def test_hooks_change_what_is_sent_both_ways(self) -> None:
        def on_request(exchange: Exchange) -> None:
            exchange.head.path = b"/other"

        def on_response(exchange: Exchange, head: ResponseHead) -> None:
            head.status = 203
            head.headers.add(b"X-Was", exchange.head.path)

        self.use({"m": Hooks(on_request=on_request, on_response=on_response)})
        client, server = self.asking()
        assert server.read() == GOT.replace(b"GET / ", b"GET /other ")
        server.send(OK)
        assert client.read() == b"HTTP/1.1 203 OK\r\nX-Was: /other\r\nContent-Length: 2\r\n\r\nok"
        assert self.ended.outcomes == [(203, "done")]

    def test_what_hooks_change_is_remembered_as_it_was(self) -> None:
        def on_request(exchange: Exchange) -> None:
            exchange.head.path, exchange.head.query = b"/other", b"x"

        def on_response(exchange: Exchange, head: ResponseHead) -> None:
            head.status = 203
            head.headers.add(b"X-Was", b"1")

        self.use({"m": Hooks(on_request=on_request, on_response=on_response)})
        _, server = self.asking()
        self.clock.advance(1)
        server.send(OK)
        (exchange,) = self.ended.exchanges
        assert (exchange.asked, exchange.origin) == ((b"/", None), (200, ()))
        assert (exchange.sent, exchange.finished - exchange.forwarded) == (None, 1)

    def test_head_of_an_answer_of_ours_is_remembered(self) -> None:
        self.use({"m": returning(Response(401, b"who?", [(b"X-A", b"b")]))})
        self.client().send(GET)
        (exchange,) = self.ended.exchanges
        assert exchange.sent is not None and exchange.sent.headers.get(b"x-a") == b"b"
        assert (exchange.origin, exchange.forwarded) == (None, 0)

    def test_middleware_that_answers_keeps_servers_and_later_ones_out(self) -> None:
        order: list[str] = []
        earlier = Hooks(on_response=calling(order, "earlier"))
        later = Hooks(on_request=calling(order, "later"), on_response=calling(order, "later"))
        answering = returning(Response(401, b"who?", [(b"X-A", b"b")]))
        self.use({"earlier": earlier, "m": answering, "later": later})
        client = self.client()
        client.send(GET)
        assert client.read() == b"HTTP/1.1 401 Unauthorized\r\nX-A: b\r\nContent-Length: 4\r\n\r\nwho?"
        assert order == ["earlier"]
        assert self.servers.attempts == []
        assert self.ended.outcomes == [(401, "refused")]

    def test_framing_of_an_answer_is_never_the_middlewares(self) -> None:
        fields = [(b"Content-Length", b"99"), (b"Transfer-Encoding", b"chunked"), (b"Connection", b"close")]
        self.use({"m": returning(Response(200, b"ok", fields))})
        client = self.client()
        client.send(GET)
        assert client.read() == OK
        self.use({"m": returning(Response(304, b"ignored", fields))})
        client.send(GET)
        assert client.read() == b"HTTP/1.1 304 Not Modified\r\n\r\n"

    def test_deferred_is_waited_for(self) -> None:
        waiting: Deferred[Response | None] = Deferred()
        self.use({"m": returning(waiting)})
        client = self.client()
        client.send(post(b"hi"))
        assert self.servers.attempts == []
        waiting.callback(None)
        self.clock.advance(0)
        assert self.server.read().endswith(b"\r\n\r\nhi")
        self.server.send(OK)
        assert client.read() == OK
        self.assert_quiet()

    def test_coroutine_may_answer(self) -> None:
        waiting: Deferred[None] = Deferred()

        async def on_request(_: Exchange) -> Response:
            await waiting
            return Response(200, b"ok")

        self.use({"m": Hooks(on_request=on_request)})
        client = self.client()
        client.send(GET)
        assert client.read() == b""
        waiting.callback(None)
        assert client.read() == OK

    def test_client_that_left_while_it_was_waited_for_is_not_served(self) -> None:
        waiting: Deferred[Response | None] = Deferred()
        self.use({"m": returning(waiting)})
        client = self.client()
        client.send(GET)
        client.reset()
        waiting.callback(None)
        assert self.servers.attempts == []
        assert self.ended.outcomes == [(499, "client-gone")]

    def test_broken_request_hook_answers_500_and_lets_nothing_through(self) -> None:
        self.use({"m": Hooks(on_request=raising)})
        client = self.client()
        client.send(GET)
        assert client.read() == BROKEN
        assert self.servers.attempts == []
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1

    def test_failed_deferred_and_rubbish_answer_500(self) -> None:
        failing: Deferred[None] = Deferred()
        self.use({"m": returning(failing)})
        client = self.client()
        client.send(GET)
        failing.errback(ZeroDivisionError())
        assert client.read() == BROKEN
        self.use({"m": returning(True)})
        client.send(GET)
        assert client.read() == BROKEN
        assert len(self.flushLoggedErrors(ZeroDivisionError, TypeError)) == 2

    def test_broken_response_hook_answers_500_and_lets_nothing_through(self) -> None:
        self.use({"m": Hooks(on_response=raising)})
        client, server = self.asking()
        server.send(OK)
        assert client.read() == BROKEN
        assert server.state == "aborted"
        assert self.ended.outcomes == [(500, "refused")]
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        self.assert_quiet()

    def test_broken_response_hook_over_an_answer_of_ours(self) -> None:
        self.use({"m": Hooks(on_response=raising)})
        self.servers.broken["one"] = Refused()
        client = self.client()
        client.send(GET)
        assert client.read() == BROKEN
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        self.assert_quiet()

    def test_broken_finish_hook_keeps_nobody_else_from_hearing(self) -> None:
        order: list[str] = []
        self.use({"m": Hooks(on_finish=raising), "n": Hooks(on_finish=calling(order, "n"))})
        client, server = self.asking()
        server.send(OK)
        assert client.read() == OK
        assert order == ["n"]
        assert self.ended.outcomes == [(200, "done")]
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1

    def test_finish_hook_learns_the_outcome_once_however_it_ends(self) -> None:
        outcomes: list[str] = []
        self.use({"m": Hooks(on_finish=lambda _, outcome: outcomes.append(outcome))})
        client, server = self.asking()
        client.reset()
        client, server = self.asking()
        server.send(b"rubbish\r\n\r\n")
        client, server = self.asking()
        server.send(OK)
        client.reset()
        assert outcomes == ["client-gone", "bad-response", "done"]


class NoServers(ProxyCase):
    """A service without a server, asked for by a router of Traefik 3."""

    hosts = ()

    def test_client_is_told_to_come_back(self) -> None:
        client = self.client()
        client.send(GET)
        assert client.read() == own(
            b"503 Service Unavailable", b"no available server\n", lines=b"Retry-After: 1\r\n"
        )
        assert self.ended.outcomes == [(503, "no-server")]
        assert client.state == "open"


class NoServersForVersionOne(ProxyCase):
    """The same, for a router of Traefik 1."""

    hosts = ()
    router = Router("web", "Host:a.example", "web", dialect="v1")
    service = Service("web", dialect="v1")

    def test_text_is_that_of_version_one(self) -> None:
        client = self.client()
        client.send(GET)
        assert client.read() == own(
            b"503 Service Unavailable", b"Service Unavailable", lines=b"Retry-After: 1\r\n"
        )


class DownServers(ProxyCase):
    """Servers that may not be asked."""

    hosts = ("one", "two")

    def test_only_servers_that_are_up_are_asked(self) -> None:
        self.upstreams[0].retire()
        for _ in range(3):
            self.asking()
        assert self.servers.hosts == ["two"] * 3
        self.upstreams[1].retire()
        client = self.client()
        client.send(GET)
        assert b" 503 " in client.read()


class Asked(ProxyCase):
    """What others ask of the resource."""

    def test_table_is_pinned_for_a_request(self) -> None:
        _client, server = self.asking()
        old, self.table = self.table, self.make_table()
        server.send(OK)
        assert self.ended.exchanges[0].table is old
        assert self.ended.exchanges[0].server is old.services["web"].upstreams[0]

    def test_old_request_without_a_host_gets_the_servers_name(self) -> None:
        self.router = Router("web", "PathPrefix(`/`)", "web")
        self.table = self.make_table()
        client = self.client()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert self.server.read().startswith(b"GET / HTTP/1.1\r\nHost: one:8080\r\n")

    def test_refusals_are_counted_by_reason(self) -> None:
        for _ in range(2):
            answer = self.resource.refused_early(RequestError(431, "head-too-long"), b"GET")
        assert self.resource.refusals == {"head-too-long": 2}
        assert (answer.status, answer.headers.get(b"content-type")) == (431, b"text/plain; charset=utf-8")

    def test_each_refusal_is_logged_and_counted(self) -> None:
        with capturedLogs() as logs:
            for seconds in (0,) * 50 + (11,):
                self.clock.advance(seconds)
                self.resource.refused_early(RequestError(431, "head-too-long"), b"GET")
        assert self.resource.refusals == {"head-too-long": 51}
        assert len(logs) == 51
        assert formatEvent(logs[-1]).endswith("b'GET'")

    def test_failures_of_a_server_are_logged_a_few_times(self) -> None:
        self.servers.broken["one"] = Refused()
        with capturedLogs() as logs:
            for _ in range(20):
                self.client().send(GET)
        assert self.ended.outcomes == [(502, "connect")] * 20
        assert len([event for event in logs if formatEvent(event).startswith("connect: ")]) == 5

    def test_it_is_a_leaf_of_twisted_web(self) -> None:
        assert verifyObject(IResource, self.resource)
        assert self.resource.isLeaf
        assert self.resource.getChildWithDefault(b"x", None) is self.resource
        with pytest.raises(TypeError):
            self.resource.putChild(b"x", None)
