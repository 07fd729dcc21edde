"""Answers on their way through the middlewares: replaced, waited for, and what happens meanwhile."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as Refused

from dynbalancer.core.exchange import Exchange, Response, ResponseHead
from dynbalancer.middlewares.base import Middleware

sys.path.insert(0, str(Path(__file__).parent))
from wires import GET, HIGH_WATER, OK, ProxyCase, Wire, own, post

BROKEN = own(b"500 Internal Server Error", b"Internal Server Error")
PAGE = b"HTTP/1.1 404 Not Found\r\nX-Page: 1\r\nContent-Length: 4\r\n\r\npage"
START = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"


class Giving(Middleware):
    """Gives the same for every answer, and remembers the statuses it saw."""

    def __init__(self, found: Any = None) -> None:
        self.found = found
        self.seen: list[int] = []

    def on_response(self, exchange: Exchange, head: ResponseHead) -> Any:  # type: ignore[override]
        self.seen.append(head.status)
        return self.found


def page() -> Response:
    return Response(404, b"page", [(b"X-Page", b"1"), (b"Content-Length", b"99")])


def raising(*_: object) -> None:
    raise ZeroDivisionError("a defect")


class Replacing(ProxyCase):
    """A middleware gives another answer at once."""

    def test_answer_takes_the_place_of_the_servers(self) -> None:
        outer, inner = Giving(), Giving()
        self.use({"outer": outer, "m": Giving(page()), "inner": inner})
        client, server = self.asking()
        server.send(OK)
        assert client.read() == PAGE
        assert (inner.seen, outer.seen) == ([200], [404])
        assert self.ended.outcomes == [(404, "done")]
        assert server.state == "aborted"
        assert client.state == "open"
        self.assert_quiet()

    def test_rest_of_the_servers_body_is_thrown_away(self) -> None:
        self.use({"m": Giving(page())})
        client, server = self.asking()
        server.send(START)
        assert client.read() == PAGE
        assert server.state == "aborted"

    def test_answer_of_ours_can_be_replaced(self) -> None:
        self.use({"m": Giving(page())})
        self.servers.broken["one"] = Refused()
        client = self.client()
        client.send(GET)
        assert client.read() == PAGE
        assert self.ended.outcomes == [(404, "connect")]

    def test_answer_to_head_has_no_body(self) -> None:
        self.use({"m": Giving(page())})
        client, server = self.asking(GET.replace(b"GET", b"HEAD"))
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        assert client.read() == PAGE[:-4]
        client.send(GET)
        assert client.state == "open"

    def test_status_without_a_body_gets_none(self) -> None:
        self.use({"m": Giving(Response(204, b"ignored"))})
        client, server = self.asking()
        server.send(OK)
        assert client.read() == b"HTTP/1.1 204 No Content\r\n\r\n"

    def test_two_replace_one_after_the_other(self) -> None:
        self.use({"outer": Giving(Response(200, b"ok")), "inner": Giving(page())})
        client, server = self.asking()
        server.send(START)
        assert client.read() == OK

    def test_defect_further_out_answers_500(self) -> None:
        outer = Giving()
        outer.on_response = raising  # type: ignore[method-assign]
        self.use({"outer": outer, "inner": Giving(page())})
        client, server = self.asking()
        server.send(OK)
        assert client.read() == BROKEN
        assert self.ended.outcomes == [(500, "refused")]
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1

    def test_whoever_did_not_see_the_request_has_no_say(self) -> None:
        class Closed(Middleware):
            def on_request(self, exchange: Exchange) -> Response:  # type: ignore[override]
                return Response(403, b"no")

        later = Giving(page())
        self.use({"closed": Closed(), "later": later})
        client = self.client()
        client.send(GET)
        assert client.read().startswith(b"HTTP/1.1 403 ")
        assert later.seen == []


class Awaiting(ProxyCase):
    """A middleware makes up its mind later."""

    def setUp(self) -> None:
        super().setUp()
        self.decision: Deferred[Response | None] = Deferred()
        self.outer = Giving()
        self.use({"outer": self.outer, "m": Giving(self.decision)})

    def held(self, answer: bytes = OK, request: bytes = GET) -> tuple[Wire, Wire]:
        client, server = self.asking(request)
        server.send(answer)
        assert (client.read(), self.outer.seen) == (b"", [])
        return client, server

    def test_answer_goes_its_way_after_all(self) -> None:
        client, server = self.held()
        self.decision.callback(None)
        assert client.read() == OK
        assert self.outer.seen == [200]
        assert self.ended.outcomes == [(200, "done")]
        assert server.state == "open"
        self.assert_quiet()

    def test_answer_without_a_body_too(self) -> None:
        client, _ = self.held(b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n")
        self.decision.callback(None)
        assert client.read() == b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"
        self.assert_quiet()

    def test_servers_body_is_held_back_where_it_is(self) -> None:
        client, server = self.held(START)
        assert server.paused
        server.send(b"1\r\nc\r\n0\r\n\r\n")
        assert client.read() == b""
        self.decision.callback(None)
        self.clock.advance(0)
        assert client.read() == START + b"1\r\nc\r\n0\r\n\r\n"
        assert not server.paused
        self.assert_quiet()

    def test_replacement_is_seen_further_out(self) -> None:
        client, server = self.held(START)
        self.decision.callback(page())
        assert client.read() == PAGE
        assert self.outer.seen == [404]
        assert server.state == "aborted"
        assert self.ended.outcomes == [(404, "done")]
        self.assert_quiet()

    def test_client_that_left_gets_nothing(self) -> None:
        client, server = self.held(START)
        client.reset()
        assert server.state == "aborted"
        self.decision.callback(page())
        assert self.outer.seen == []
        assert self.ended.outcomes == [(499, "client-gone")]
        self.assert_quiet()

    def test_server_that_breaks_off_meanwhile_is_a_bad_gateway(self) -> None:
        client, server = self.held(START)
        server.reset()
        assert client.read() == b""
        self.decision.callback(None)
        assert client.read() == own(b"502 Bad Gateway", b"Bad Gateway")
        assert self.ended.outcomes == [(502, "bad-response")]
        self.assert_quiet()

    def test_server_that_breaks_off_meanwhile_does_not_matter_to_a_page(self) -> None:
        client, server = self.held(START)
        server.reset()
        self.decision.callback(page())
        assert client.read() == PAGE
        self.assert_quiet()

    def test_server_that_closes_after_its_answer_is_not_asked_again(self) -> None:
        client, server = self.held()
        server.finish()
        self.decision.callback(None)
        assert client.read() == OK
        self.clock.advance(0)
        assert server.state == "aborted"
        self.assert_quiet()

    def test_failed_decision_answers_500(self) -> None:
        client, _ = self.held()
        self.decision.errback(ZeroDivisionError())
        assert client.read() == BROKEN
        assert self.outer.seen == []
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        self.assert_quiet()

    def test_what_can_not_be_waited_for_answers_500(self) -> None:
        self.use({"m": Giving(17)})
        client, server = self.asking()
        server.send(OK)
        assert client.read() == BROKEN
        assert len(self.flushLoggedErrors(TypeError)) == 1

    def test_answer_of_ours_waits_too(self) -> None:
        self.servers.broken["one"] = Refused()
        client = self.client()
        client.send(GET)
        assert client.read() == b""
        self.decision.callback(page())
        assert client.read() == PAGE
        assert self.ended.outcomes == [(404, "connect")]
        self.assert_quiet()

    def test_request_that_is_refused_meanwhile_gets_one_answer(self) -> None:
        start = b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n"
        client, _ = self.held(request=start)
        first, second = self.decision, Deferred[None]()
        self.middlewares["m"].found = None
        client.send(b"x\r\n")
        assert client.read() == own(b"400 Bad Request", b"Bad Request", close=True)
        first.callback(page())
        second.callback(None)
        assert client.read() == b""
        assert self.ended.outcomes == [(400, "refused")]
        self.assert_quiet()

    def test_request_goes_on_coming(self) -> None:
        client, server = self.held(request=post(b"h", length=3))
        client.send(b"ey")
        self.decision.callback(None)
        assert client.read() == OK
        assert server.read().endswith(b"\r\n\r\nhey")
        self.assert_quiet()

    def test_two_wait_one_after_the_other(self) -> None:
        second: Deferred[None] = Deferred()
        self.use({"outer": Giving(second), "inner": Giving(self.decision)})
        client, server = self.asking()
        server.send(START + b"0\r\n\r\n")
        self.decision.callback(None)
        assert client.read() == b""
        second.callback(None)
        assert client.read() == START + b"0\r\n\r\n"
        self.assert_quiet()

    def test_client_that_stalls_keeps_the_server_waiting(self) -> None:
        client, server = self.held(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (3 * HIGH_WATER))
        client.stalled = True
        self.decision.callback(None)
        self.clock.advance(0)
        assert not server.paused
        server.send(b"x" * 2 * HIGH_WATER)
        assert server.paused
        client.take(1 << 30)
        server.send(b"x" * HIGH_WATER)
        client.take(1 << 30)
        assert len(client.read()) > 3 * HIGH_WATER
        self.assert_quiet()
