"""Nothing depends on what came before: two proxies get the same octets, and one of them remembers nothing.

What comes again is not worked out again (``docs/inside/decisions/same-again.md``). Here clients and servers say a few
things in any order, so that most of it comes again; whatever leaves the proxy, and whatever is known of each exchange
afterwards, must be the same as in a proxy that works everything out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynbalancer.core.exchange import Exchange, Response, ResponseHead
from dynbalancer.core.http1 import parse_request_head
from dynbalancer.core.model import EntryPoint, Router
from dynbalancer.core.request_reader import RequestReader
from dynbalancer.core.response_reader import ResponseReader
from dynbalancer.middlewares.base import Middleware
from dynbalancer.proxy import transports
from dynbalancer.proxy.client_exchange import ClientExchange
from dynbalancer.proxy.forwarding import Forwarding
from dynbalancer.proxy.http1 import ServerConnection

sys.path.insert(0, str(Path(__file__).parent))
from wires import GET, OK, ProxyCase, Wire, post

PUBLIC = GET.replace(b"/ ", b"/public ")
REST = b"GET /private HTTP/1.1\r\nX: "


def with_lines(request: bytes, *lines: bytes) -> bytes:
    """A request with further field lines."""
    return request.replace(b"\r\n\r\n", b"".join([b"\r\n" + line for line in lines]) + b"\r\n\r\n", 1)


#: What clients say. Those that most say come several times.
REQUESTS = (
    GET,
    GET,
    GET,
    PUBLIC,
    GET + PUBLIC,
    GET.replace(b"GET", b"HEAD"),
    GET.replace(b"1.1", b"1.0"),
    with_lines(GET.replace(b"1.1", b"1.0"), b"Connection: keep-alive"),
    with_lines(GET, b"Connection: close"),
    with_lines(GET, b"Connection: upgrade", b"Upgrade: websocket"),
    with_lines(GET, b"X-Forwarded-For: 203.0.113.7", b"X-Forwarded-Proto: https"),
    GET.replace(b"a.example", b"a.example:81"),
    GET.replace(b"a.example", b"b.example"),
    post(b"hello"),
    post(b"hello"),
    post(b""),
    post(b"he", length=5),
    post(b"", length=5),
    post(b"x" * 70_000),
    b"llo",
    b"llo" + GET,
    post(b"", length=len(REST)).replace(b"a.example", b"b.example"),
    REST + PUBLIC,
    REST + PUBLIC,
    with_lines(post(b"hello"), b"Expect: 100-continue"),
    b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"\r\n",
    b"\r\n" + GET,
    GET[:20],
    GET[20:],
    b"GET  / HTTP/1.1\r\n\r\n",
)

#: An answer that is dear to copy.
LONG = OK.replace(b" 2\r", b" 20000\r").replace(b"ok", b"ok" * 10_000)

#: What servers say.
ANSWERS = (
    OK,
    OK,
    OK,
    OK.replace(b"ok", b"no"),
    LONG,
    LONG,
    OK.replace(b"OK", b"Fine"),
    OK + OK,
    OK[:-1],
    OK[-1:],
    OK[:12],
    OK[12:],
    OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
    OK.replace(b"1.1", b"1.0"),
    OK.removesuffix(b"ok"),
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nok",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
)


class Marking(Middleware):
    """Changes whatever it may change."""

    def on_request(self, exchange: Exchange) -> None:
        exchange.head.path += b"x"
        exchange.head.authority = b"inside.example"
        exchange.head.headers.add(b"X-Seen", b"1")

    def on_response(self, exchange: Exchange, head: ResponseHead) -> None:
        head.headers.add(b"X-Mark", exchange.head.method)


class Picky(Middleware):
    """Answers some itself, and puts its own answer in the place of a failure."""

    def on_request(self, exchange: Exchange) -> Response | None:
        return Response(403, b"no") if exchange.head.path == b"/public" else None

    def on_response(self, exchange: Exchange, head: ResponseHead) -> Response | None:
        return Response(200, b"instead") if head.status == 500 else None


TABLES: tuple[dict[str, Any], ...] = ({}, {"open": Middleware()}, {"mark": Marking()}, {"picky": Picky()})
RULES = ("Host(`a.example`)", "Path(`/public`)", "Method(`GET`)")

#: Two servers take turns: so that a connection to each meets the third answer of a kind.
AGAIN = 6

#: Where the two clients come from.
ADDRESSES = ("192.0.2.1", "192.0.2.2")

Move = tuple[str, int, Any]

asking = st.tuples(st.just("ask"), st.integers(0, 1), st.sampled_from(REQUESTS))
#: A request that comes several times, each of them answered in the same way.
again = st.tuples(
    st.just("again"), st.integers(0, 1), st.tuples(st.sampled_from(REQUESTS), st.sampled_from(ANSWERS))
)
#: The same, each over a new connection.
visiting = st.tuples(
    st.just("visits"), st.integers(0, 1), st.tuples(st.sampled_from(REQUESTS), st.sampled_from(ANSWERS))
)
answering = st.tuples(st.just("answer"), st.integers(0, 3), st.sampled_from(ANSWERS))
ending = st.tuples(st.sampled_from(("finish", "reset", "stall", "take")), st.integers(0, 5), st.none())
changing = st.one_of(
    st.tuples(st.just("middlewares"), st.just(0), st.sampled_from(TABLES)),
    st.tuples(st.just("rule"), st.just(0), st.sampled_from(RULES)),
    st.tuples(st.just("wait"), st.just(0), st.sampled_from((0.5, 6.0, 31.0))),
    st.tuples(st.just("drain"), st.just(0), st.none()),
)
scripts = st.lists(
    st.one_of(again, again, visiting, asking, answering, answering, ending, changing), min_size=2, max_size=14
)


class World(ProxyCase):
    """One proxy with two servers and two clients, and all that came out of it."""

    hosts = ("one", "two")
    # pytest would run it, and what was patched then stayed so for all other tests.
    __test__ = False

    def begin(self) -> None:
        self._connect = transports.connect
        self.setUp()
        self.clients = [self.client(address) for address in ADDRESSES]
        self.trace: list[Any] = []

    def end(self) -> None:
        self.tearDown()
        transports.connect = self._connect

    def patch(self, *_: Any) -> Any:  # type: ignore[override]
        transports.connect = self.servers.connect  # type: ignore[assignment]

    def runTest(self) -> None:
        """Not a test by itself."""

    @property
    def wires(self) -> list[Wire]:
        return [*self.clients, *self.servers.wires]

    def play(self, script: list[Move]) -> list[Any]:
        """Everything that the script brings about."""
        for kind, number, what in script:
            getattr(self, f"_{kind}")(number, what)
            self._note()
        for client in self.clients:
            if client.state in ("open", "half"):
                client.reset()
        self.clock.advance(0)
        self._note()
        self.trace += [known(exchange) for exchange in self.ended.exchanges]
        self.trace.append(dict(self.resource.refusals))
        self.trace.append([(one.in_flight, len(one._idle), one.up) for one in self.upstreams])
        return self.trace

    def _note(self) -> None:
        self.trace.append([(wire.read(), wire.state, wire.paused) for wire in self.wires])

    def _ask(self, number: int, octets: bytes) -> None:
        self._send(self.clients[number], octets)

    def _answer(self, number: int, octets: bytes) -> None:
        wires = self.servers.wires
        if wires:
            self._send(wires[-1 - number % len(wires)], octets)

    def _again(self, number: int, both: tuple[bytes, bytes], times: int = AGAIN) -> None:
        for _ in range(times):
            before = [wire.writes for wire in self.servers.wires]
            self._send(self.clients[number], both[0])
            for wire, count in zip(self.servers.wires, [*before, *[0] * 9], strict=False):
                if wire.writes > count:
                    self._send(wire, both[1])
            self._note()

    def _send(self, wire: Wire, octets: bytes) -> None:
        if wire.state in ("open", "half"):
            wire.send(octets)

    def _visits(self, number: int, both: tuple[bytes, bytes]) -> None:
        for _ in range(AGAIN):
            if self.clients[number].state in ("open", "half"):
                self.clients[number].reset()
            self.clients[number] = self.client(ADDRESSES[number])
            self._again(number, both, 1)

    def _finish(self, number: int, _: None) -> None:
        wire = self.wires[number % len(self.wires)]
        if wire.state in ("open", "half"):
            wire.finish()

    def _reset(self, number: int, _: None) -> None:
        wire = self.wires[number % len(self.wires)]
        if wire.state in ("open", "half"):
            wire.reset()

    def _stall(self, number: int, _: None) -> None:
        self.wires[number % len(self.wires)].stalled = True

    def _take(self, number: int, _: None) -> None:
        wire = self.wires[number % len(self.wires)]
        wire.stalled = False
        if wire.state not in ("closed", "aborted"):
            wire.take(len(wire.dataBuffer))

    def _middlewares(self, _: int, wanted: dict[str, Any]) -> None:
        self.use(wanted)

    def _rule(self, _: int, rule: str) -> None:
        self.router = Router("web", rule, "web")
        self.table = self.make_table()

    def _wait(self, _: int, seconds: float) -> None:
        self.wait(seconds)

    def _drain(self, *_: Any) -> None:
        self.site.drain()


class TrustingWorld(World):
    """The same where clients may say where they come from."""

    entry_point = EntryPoint("web", 80, trust_all=True)


def known(exchange: Exchange) -> tuple[Any, ...]:
    """What an access log could say of it."""
    head, response = exchange.head, exchange.response
    return (
        (exchange.status, exchange.outcome, exchange.tries, exchange.bytes_in, exchange.bytes_out),
        (exchange.client, exchange.client_port, exchange.trusted, exchange.asked, exchange.origin),
        (exchange.started, exchange.forwarded, exchange.finished),
        (head.method, head.target, head.host, head.authority, head.version, list(head.headers.fields)),
        None if response is None else (response.status, list(response.headers.fields), response.length),
        None if exchange.route is None else exchange.route.name,
        None if exchange.server is None else exchange.server.name,
        None if exchange.sent is None else exchange.sent.status,
    )


@contextmanager
def forgetful() -> Iterator[None]:
    """Nothing is remembered, and so everything is worked out."""

    def parsed(self: RequestReader, data: bytes, end: int) -> Any:
        return parse_request_head(data[:end], self.limits, trusted=self.trusted, scheme=self.scheme)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RequestReader, "_parsed", parsed)
        patch.setattr(ResponseReader, "_remember", lambda *_: None)
        patch.setattr(ServerConnection, "_remember", lambda *_: None)
        patch.setattr(ClientExchange, "forwarded_fields", Forwarding.forwarded_fields)
        patch.setattr(ClientExchange, "body_at_hand", Forwarding.body_at_hand)
        yield


def played(world: type[World], script: list[Move]) -> list[Any]:
    """What comes out of a new proxy."""
    one = world()
    one.begin()
    try:
        return one.play(script)
    finally:
        one.end()


def test_the_short_ways_are_taken_here(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []

    def watched(kind: type, name: str) -> None:
        before = getattr(kind, name)

        def watch(*given: Any) -> Any:
            found = before(*given)
            taken.append(name if found else f"not {name}")
            return found

        monkeypatch.setattr(kind, name, watch)

    watched(ClientExchange, "relay")
    watched(ServerConnection, "_repeat")
    played(World, [("again", 0, (GET, OK)), ("again", 1, (GET, OK)), ("middlewares", 0, {}), ("ask", 0, GET)])
    assert (taken.count("relay"), taken.count("_repeat"), taken.count("not _repeat")) == (8, 8, 1)
    for whole in (post(b"hello"), post(b"")):
        del taken[:]
        played(World, [("again", 0, (whole, OK)), ("again", 1, (whole, OK))])
        assert taken.count("_repeat") == 8
    del taken[:]
    played(World, [("again", 0, (GET, LONG))])
    assert taken.count("relay") == 2
    with forgetful():
        del taken[:]
        played(World, [("again", 0, (GET, OK))])
        assert taken == []


@pytest.mark.parametrize("world", [World, TrustingWorld])
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(script=scripts)
def test_what_came_before_changes_nothing_that_leaves_the_proxy(
    world: type[World], script: list[Move]
) -> None:
    remembering = played(world, script)
    with forgetful():
        assert remembering == played(world, script)


@pytest.mark.parametrize("request_", sorted(set(REQUESTS)))
def test_each_request_comes_to_the_same_again_with_each_answer(request_: bytes) -> None:
    """In pairs that a search may miss."""
    for answer in ANSWERS:
        for middlewares in TABLES[::2]:
            script: list[Move] = [
                ("middlewares", 0, middlewares),
                ("again", 0, (request_, OK)),
                ("again", 0, (request_, answer)),
                ("again", 1, (request_, answer)),
                ("again", 0, (GET, OK)),
                ("visits", 0, (request_, answer)),
                ("visits", 1, (request_, OK)),
            ]
            remembering = played(World, script)
            with forgetful():
                assert remembering == played(World, script)
