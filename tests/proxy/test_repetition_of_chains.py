"""Nothing depends on what came before, through any chain of middlewares: those that promise to do the same again
(IRepeatable), those that have to be asked each time, and those that promise nothing.

As in ``test_repetition``: two proxies get the same octets, and one of them remembers nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from dynbalancer.core.accesslines import line_of
from dynbalancer.core.exchange import Exchange, RequestHead, Response, ResponseHead
from dynbalancer.core.model import EntryPoint, Service
from dynbalancer.core.regions import LocalRegions
from dynbalancer.core.settings import AccessLogSettings
from dynbalancer.errors import ConnectError
from dynbalancer.middlewares.allowlists import IpAllowList
from dynbalancer.middlewares.base import Middleware
from dynbalancer.middlewares.breakers import CircuitBreaker
from dynbalancer.middlewares.buffers import Buffering
from dynbalancer.middlewares.compression import Compress
from dynbalancer.middlewares.encodings import EncodedCharacters
from dynbalancer.middlewares.errorpages import Errors
from dynbalancer.middlewares.headers import Headers
from dynbalancer.middlewares.limits import InFlightReq, RateLimit
from dynbalancer.middlewares.paths import AddPrefix, ReplacePathRegex, StripPrefix
from dynbalancer.middlewares.redirects import RedirectRegex
from dynbalancer.middlewares.retries import Retry
from dynbalancer.proxy.attending import ATTENDED, Attendant
from dynbalancer.proxy.client_exchange import ClientExchange
from dynbalancer.proxy.upstream import LiveService

sys.path.insert(0, str(Path(__file__).parent))
from test_repetition import AGAIN, ANSWERS, PUBLIC, REQUESTS, World, forgetful, known, with_lines
from wires import GET, OK, post

APP = GET.replace(b"/ ", b"/app/x?y=1 ")
LONG = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nVary: Accept\r\nContent-Length: 40\r\n\r\n" + b"x" * 40
BAD = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno"

COOKIES = with_lines(APP, b"Cookie: a=b; c=d", b"User-Agent: cat", b"Referer: http://a.example/?token=t")

ASKED = (
    *(GET, GET, GET, PUBLIC, APP, APP, APP),
    COOKIES,
    with_lines(GET, b"Accept-Encoding: gzip"),
    with_lines(APP, b"Accept-Encoding: gzip"),
    with_lines(GET, b"Origin: https://b.example"),
    with_lines(APP, b"Authorization: Basic YTpi"),
    with_lines(APP, b"X-Forwarded-Prefix: /evil", b"X_Forwarded_Prefix: /worse", b"X-Set: theirs"),
    with_lines(APP, b"X-Forwarded-For: 203.0.113.7", b"X-Forwarded-Proto: https"),
    with_lines(GET, b"X-Source: one"),
    with_lines(GET, b"X-Source: two"),
    GET.replace(b"GET", b"HEAD"),
    GET.replace(b"GET", b"OPTIONS"),
    GET.replace(b"1.1", b"1.0"),
    with_lines(GET, b"Connection: close"),
    GET + APP,
    post(b"hello"),
    *REQUESTS[:12],
)
ANSWERED = (
    *(OK, OK, OK, LONG, LONG, BAD),
    OK.replace(b"\r\n\r\n", b"\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\nX-Frame: theirs\r\n\r\n"),
    OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\nLocation: http://a.example/x\r\n\r\n"),
    *ANSWERS,
)


class Numbering(Headers):
    """Inherits a promise that it does not keep."""

    numbers: ClassVar[Any] = count()

    def on_request(self, exchange: Exchange) -> None:
        exchange.head.headers.set(b"X-Length", b"%d" % len(exchange.head.headers))
        exchange.head.headers.set(b"X-Client", b"%d" % id_of(exchange))

    def on_response(self, exchange: Exchange, response: ResponseHead) -> None:
        response.headers.set(b"X-Client", b"%d" % id_of(exchange))


def id_of(exchange: Exchange) -> int:
    """How often this client's world was asked before."""
    clock: Any = exchange.resource  # type: ignore[attr-defined]
    clock.asked_before = getattr(clock, "asked_before", 0) + 1
    return int(clock.asked_before)


class Asking(Middleware):
    """Asks somebody else about each request, in the manner of forwardAuth."""

    def __init__(self, world: ChainWorld) -> None:
        self.world = world

    def on_request(self, exchange: Exchange) -> Awaitable[Response | None]:
        self.world.trace.append(("asked about", exchange.head.target, exchange.head.headers.fields[:]))
        if exchange.head.headers.get(b"authorization"):
            exchange.head.headers.set(b"X-User", b"a")
            exchange.user = b"a"
            return deferLater(self.world.clock, 0.25, lambda: None)  # type: ignore[arg-type]
        return deferLater(self.world.clock, 0, Response, 401, b"who?")  # type: ignore[arg-type]


class Late(Middleware):
    """Lets answers wait."""

    def __init__(self, world: ChainWorld) -> None:
        self.world = world

    def on_response(self, exchange: Exchange, head: ResponseHead) -> Awaitable[None]:
        head.headers.add(b"X-Late", b"1")
        return deferLater(self.world.clock, 0.25, lambda: None)  # type: ignore[arg-type]


class Failing(Middleware):
    """Promises, and breaks down now and then."""

    same_again: ClassVar[bool] = True

    def __init__(self) -> None:
        self.asked = 0

    def once_more(self, exchange: Exchange) -> Callable[[Exchange], None]:
        return self.on_request

    def on_request(self, exchange: Exchange) -> None:
        self.asked += 1
        if self.asked % 5 == 4:
            raise ValueError(self.asked)


class Naming(Middleware):
    """Promises, and says of every other request whose it is."""

    same_again: ClassVar[bool] = True

    def __init__(self) -> None:
        self.asked = 0

    def once_more(self, exchange: Exchange) -> Callable[[Exchange], None]:
        return self.on_request

    def on_request(self, exchange: Exchange) -> None:
        self.asked += 1
        if self.asked % 2:
            exchange.user = b"user %d" % self.asked


class Policy(Middleware):
    """Promises; its policy takes every answer, but wants to be asked."""

    same_again: ClassVar[bool] = True

    def __init__(self, world: ChainWorld) -> None:
        self.world = world

    def on_request(self, exchange: Exchange) -> None:
        exchange.retry = self

    def another_try(self, exchange: Exchange, status: int, error: Any, now: float) -> None:
        self.world.trace.append(("again?", status, exchange.tries))


class Instead(Middleware):
    """Promises, and has answers of its own."""

    same_again: ClassVar[bool] = True

    def on_request(self, exchange: Exchange) -> Response | None:
        return Response(403, b"no") if exchange.head.path == b"/public" else None

    def on_response(self, exchange: Exchange, head: ResponseHead) -> Response | None:
        if head.status != 500 or b"cookie" not in exchange.head.headers:
            return None
        return Response(200, b"instead", [(b"X-Instead", b"1")])


class Renaming(Middleware):
    """Promises, and changes of an exchange what nobody may who does."""

    same_again: ClassVar[bool] = True

    def on_request(self, exchange: Exchange) -> None:
        exchange.client = "192.0.2.99"


class Listening(Middleware):
    """Is told of the end, and of nothing else."""

    same_again: ClassVar[bool] = True

    def __init__(self, world: ChainWorld) -> None:
        self.world = world

    def on_finish(self, exchange: Exchange, outcome: str) -> None:
        self.world.trace.append(("over", outcome, known(exchange)))


def _headers(**options: Any) -> Callable[[ChainWorld], Any]:
    return lambda world: Headers.from_settings("headers", options)


def _limit(**options: Any) -> Callable[[ChainWorld], Any]:
    return lambda world: RateLimit.from_settings(
        f"limit {options}",
        options,
        clock=world.clock.seconds,
        later=world.later,
        secret=b"s",
        shared=world.shared,
    )


def _breaker(world: ChainWorld) -> Any:
    return CircuitBreaker.from_settings(
        "breaker",
        {"expression": "ResponseCodeRatio(500, 600, 0, 600) > 0.3"},
        clock=world.clock.seconds,
        say=world.trace.append,
        secret=b"s",
        shared=world.shared,
    )


def _errors(world: ChainWorld) -> Any:
    settings = {"status": "500-599", "service": "pages", "query": "/{status}"}
    return Errors.from_settings("errors", settings, ask=world.page, say=world.trace.append)


def _errors_without_pages(world: ChainWorld) -> Any:
    settings = {"status": "200-599", "service": "none", "query": "/{status}"}
    return Errors.from_settings("errors", settings, ask=world.page, say=world.trace.append)


MAKERS: dict[str, Callable[[ChainWorld], Any]] = {
    "set": _headers(
        customRequestHeaders={"X-Set": "1", "Cookie": ""}, customResponseHeaders={"X-Frame": "DENY"}
    ),
    "host": _headers(customRequestHeaders={"Host": "inside.example"}),
    "cors": _headers(accessControlAllowOriginList="https://b.example", addVaryHeader=True),
    "secure": _headers(frameDeny=True, sslProxyHeaders={"X-Forwarded-Proto": "https"}, stsSeconds=9),
    "strip": lambda world: StripPrefix.from_settings("strip", {"prefixes": "/app,/x"}),
    "add": lambda world: AddPrefix.from_settings("add", {"prefix": "/below"}),
    "replace": lambda world: ReplacePathRegex.from_settings(
        "replace", {"regex": "^/app/(.*)", "replacement": "/to/$1"}
    ),
    "redirect": lambda world: RedirectRegex.from_settings(
        "redirect", {"regex": "/public", "replacement": "/private"}
    ),
    "few": _limit(average=1, period="10s", burst=4),
    "slow": _limit(average=2, burst=1),
    "by source": _limit(average=1, burst=3, sourceCriterion={"requestHeaderName": "X-Source"}),
    "in flight": lambda world: InFlightReq.from_settings(
        "in flight",
        {"amount": 1, "sourceCriterion": {"requestHost": True}},
        secret=b"s",
        shared=world.shared,
    ),
    "breaker": _breaker,
    "retry": lambda world: Retry.from_settings("retry", {"attempts": 2}),
    "retry 500": lambda world: Retry.from_settings(
        "retry", {"attempts": 3, "status": "500", "initialInterval": "500ms"}
    ),
    "retry 500 once": lambda world: Retry.from_settings("retry", {"attempts": 2, "status": "500"}),
    "policy": Policy,
    "compress": lambda world: Compress.from_settings("compress", {}),
    "compress all": lambda world: Compress.from_settings("compress", {"minResponseBodyBytes": 1}),
    "errors": _errors,
    "errors without pages": _errors_without_pages,
    "instead": lambda world: Instead(),
    "allow": lambda world: IpAllowList.from_settings("allow", {"sourceRange": "192.0.2.1/32"}),
    "allow by": lambda world: IpAllowList.from_settings(
        "allow by", {"sourceRange": "203.0.113.0/24,192.0.2.1", "ipStrategy": {"depth": 1}}
    ),
    "characters": lambda world: EncodedCharacters.from_settings("characters", {}),
    "buffer": lambda world: Buffering.from_settings("buffer", {"maxResponseBodyBytes": 30}),
    "numbering": lambda world: Numbering.from_settings("numbering", {}),
    "asking": Asking,
    "renaming": lambda world: Renaming(),
    "late": Late,
    "failing": lambda world: Failing(),
    "listening": Listening,
    "naming": lambda world: Naming(),
}
FIVE = ("set", "strip", "few", "retry", "compress")


class ChainWorld(World):
    """A proxy whose chains of middlewares change."""

    live: LiveService | None = None

    def begin(self) -> None:
        self.shared = LocalRegions()
        super().begin()
        self.resource.note_defect = self._defect  # type: ignore[method-assign]

    def _defect(self, middleware: Any, failure: Any = None) -> None:
        self.trace.append(("defect", type(middleware).__name__))

    def _make_service(self, service: Service, before: object) -> LiveService:
        # As in a worker: a service that did not change goes on, with its connections and what they remember.
        if self.live is None:
            self.live = self._new_service(service)
        return self.live

    def _new_service(self, service: Service) -> LiveService:
        return super()._make_service(service, None)

    def later(self, seconds: float) -> Deferred[None]:
        """What middlewares wait by."""
        return deferLater(self.clock, seconds, lambda: None)  # type: ignore[arg-type]

    async def page(self, service: str, owner: str, head: RequestHead, body: bytes = b"") -> Response:
        """What another service says."""
        self.trace.append(("page", head.target, head.headers.fields[:]))
        if service == "none":
            raise ConnectError("nobody there")
        return Response(200, b"a page")

    def _again(self, number: int, both: tuple[bytes, bytes]) -> None:
        """As often, and servers that are asked on the way answer the same."""
        for _ in range(AGAIN):
            seen = {wire: wire.writes for wire in self.servers.wires}
            self._send(self.clients[number], both[0])
            for wire in [*self.servers.wires, *self.servers.wires, *self.servers.wires]:
                if wire.writes > seen.get(wire, 0):
                    seen[wire] = wire.writes
                    self._send(wire, both[1])
            self._note()

    def _chain(self, _: int, names: tuple[str, ...]) -> None:
        self.use({f"{number} {name}": MAKERS[name](self) for number, name in enumerate(names)})

    def play(self, script: list[Any]) -> list[Any]:
        super().play(script)
        line = line_of(AccessLogSettings("log"))
        for exchange in self.ended.exchanges:
            self.trace.append(line(exchange, exchange.finished, 0))
            self.trace.append((exchange.notes, exchange.replayed, exchange.user, exchange.reached))  # type: ignore[attr-defined]
        return self.trace


class Turns(Attendant):
    """Counts the answers, and says so in each."""

    def __init__(self, world: AttendedChains) -> None:
        self.world = world

    def answered(self, exchange: Any, head: ResponseHead) -> bool:
        self.world.answers += 1
        head.headers.set(b"X-Answer", b"%d" % self.world.answers)
        return False


class AttendedChains(ChainWorld):
    """The same with a service that has a say in each answer, as one with sticky cookies."""

    answers = 0

    def _new_service(self, service: Service) -> LiveService:
        live = super()._new_service(service)
        choices, turns = live.choices, Turns(self)

        def attended(exchange: Any) -> Any:
            exchange.attendants = (*exchange.attendants, turns)
            return choices(exchange)

        live.choices = attended
        live.hooks = (ATTENDED,)
        return live


class TrustingChains(ChainWorld):
    """The same where clients may say where they come from."""

    entry_point = EntryPoint("web", 80, trust_all=True)


again = st.tuples(
    st.just("again"), st.integers(0, 1), st.tuples(st.sampled_from(ASKED), st.sampled_from(ANSWERED))
)
asking = st.tuples(st.just("ask"), st.integers(0, 1), st.sampled_from(ASKED))
answering = st.tuples(st.just("answer"), st.integers(0, 3), st.sampled_from(ANSWERED))
chain = st.tuples(
    st.just("chain"), st.just(0), st.lists(st.sampled_from(sorted(MAKERS)), max_size=5).map(tuple)
)
waiting = st.tuples(st.just("wait"), st.just(0), st.sampled_from((0.25, 0.5, 2.0, 11.0)))
ending = st.tuples(st.sampled_from(("finish", "reset")), st.integers(0, 5), st.none())
scripts = st.tuples(
    chain,
    st.lists(
        st.one_of(again, again, again, asking, answering, waiting, ending, chain), min_size=2, max_size=10
    ),
).map(lambda both: [both[0], *both[1]])


def played(world: type[ChainWorld], script: list[Any]) -> list[Any]:
    """What comes out of a new proxy."""
    one = world()
    one.begin()
    try:
        return one.play(script)
    finally:
        one.end()


@pytest.mark.parametrize("world", [ChainWorld, TrustingChains, AttendedChains])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(script=scripts)
def test_no_chain_makes_of_a_request_what_it_would_not_have_made_of_the_first(
    world: type[ChainWorld], script: list[Any]
) -> None:
    remembering = played(world, script)
    with forgetful():
        assert remembering == played(world, script)


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_each_middleware_before_and_behind_the_others(name: str) -> None:
    """In pairs that a search may miss."""
    for other in sorted(MAKERS):
        script: list[Any] = [("again", 0, (APP, BAD)), ("chain", 0, (name, other))]
        script += [("again", 0, (request, answer)) for request in (APP, GET) for answer in (BAD, OK, LONG)]
        script += [("wait", 0, 11.0), ("again", 1, (COOKIES, OK)), ("again", 0, (ASKED[8], LONG))]
        script += [("again", 0, (COOKIES, BAD))]
        remembering = played(ChainWorld, script)
        with forgetful():
            assert remembering == played(ChainWorld, script), other


def relayed(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], request: bytes, answer: bytes) -> int:
    """How many of twelve equal requests had their answer the short way."""
    found: list[bool] = []
    relay = ClientExchange.relay

    def watched(self: ClientExchange, head: ResponseHead, body: bytes) -> bool:
        found.append(relay(self, head, body))
        return found[-1]

    monkeypatch.setattr(ClientExchange, "relay", watched)
    played(
        ChainWorld, [("chain", 0, names), ("again", 0, (request, answer)), ("again", 0, (request, answer))]
    )
    return sum(found)


@pytest.mark.parametrize(
    ("names", "answer", "short"),
    [
        (FIVE[:2] + FIVE[3:], OK, 7),
        (("set", "strip", "in flight", "breaker", "errors", "allow", "listening"), OK, 7),
        (("compress all",), LONG, 7),
        # What could be asked for again, held, or answered otherwise goes the long way.
        (("retry 500",), BAD, 0),
        (("retry 500 once",), BAD, 0),
        (("retry 500",), OK, 7),
        (("policy",), OK, 0),
        (("errors",), BAD, 0),
        (("errors without pages",), BAD, 0),
        (("instead",), BAD, 7),
        (("buffer",), OK, 0),
        (("set", "asking"), OK, 0),
        (("numbering",), OK, 0),
        (("renaming", "set"), OK, 0),
        (("late", "set"), OK, 0),
    ],
)
def test_the_short_way_is_taken_where_all_promise(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], answer: bytes, short: int
) -> None:
    assert relayed(monkeypatch, names, APP, answer) == short


def test_a_body_that_is_made_smaller_takes_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = with_lines(GET, b"Accept-Encoding: gzip")
    assert relayed(monkeypatch, ("compress all",), asked, LONG) == 0
