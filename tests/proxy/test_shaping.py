"""Answers whose body goes through filters, or is kept until it is complete."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from twisted.internet.error import ConnectionRefusedError as Refused

from dynbalancer.core.exchange import Exchange, Field, Response, ResponseHead, field_of
from dynbalancer.middlewares.base import BodyFilter, Middleware, add_filter
from dynbalancer.proxy.shaping import PATIENCE

sys.path.insert(0, str(Path(__file__).parent))
from wires import GET, HIGH_WATER, OK, ProxyCase, own

START = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BROKEN = own(b"500 Internal Server Error", b"Internal Server Error")
TOLD = GET.replace(b"\r\n\r\n", b"\r\nTE: trailers\r\n\r\n")


class Doubling(BodyFilter):
    """Writes every octet twice, and its mark at the end."""

    def __init__(self, mark: bytes = b"") -> None:
        self.mark = mark

    def feed(self, data: bytes) -> bytes:
        assert data, "nothing was fed"
        return bytes(octet for octet in data for _ in range(2))

    def finish(self) -> bytes:
        return self.mark


class Undecided(BodyFilter):
    """Holds the first four octets, then says in the head what it did."""

    undecided = True

    def __init__(self, head: ResponseHead) -> None:
        self.head = head
        self.held = b""

    def feed(self, data: bytes) -> bytes:
        if not self.undecided:
            return data
        self.held += data
        return self.flush() if len(self.held) >= 4 else b""

    def flush(self) -> bytes:
        if not self.undecided:
            return b""
        self.undecided = False
        self.head.headers.add(b"X-Decided", b"1")
        held, self.held = self.held, b""
        return held

    def finish(self) -> bytes:
        return self.held


class Trailing(BodyFilter):
    """Adds a trailer."""

    def trailers(self, fields: Sequence[Field]) -> Sequence[Field]:
        return [*fields, field_of(b"X-Sum", b"1")]


class Failing(BodyFilter):
    """Is defective from its second piece on."""

    fed = 0

    def feed(self, data: bytes) -> bytes:
        self.fed += 1
        return data[: 1 // (2 - self.fed)]


class Filtering(Middleware):
    """Adds what ``make(head)`` gives to the filters of each answer."""

    def __init__(self, make: object) -> None:
        self.make = make

    def on_response(self, exchange: Exchange, head: ResponseHead) -> None:  # type: ignore[override]
        add_filter(exchange, head, self.make(head))  # type: ignore[operator]


class Keeping(Middleware):
    """Wants the whole of each answer."""

    def __init__(self, most: int | None = None, memory: int = 100) -> None:
        self.limits = most, memory

    def on_response(self, exchange: Exchange, head: ResponseHead) -> None:  # type: ignore[override]
        exchange.whole_answer = self.limits


def doubling(mark: bytes = b"") -> Filtering:
    return Filtering(lambda _: Doubling(mark))


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


class Filters(ProxyCase):
    """Every octet of a body passes them."""

    def test_body_that_came_at_once_gets_its_new_length(self) -> None:
        self.use({"m": doubling(b"!")})
        client, server = self.asking()
        server.send(OK)
        assert client.read() == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nookk!"
        assert self.ended.exchanges[0].bytes_out == 5
        assert (client.state, server.state) == ("open", "open")
        self.assert_quiet()

    def test_body_that_comes_in_pieces_is_chunked(self) -> None:
        self.use({"m": doubling(b"!")})
        client, server = self.asking()
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        assert client.read() == START + chunked(b"oo")
        server.send(b"k")
        assert client.read() == chunked(b"kk!") + b"0\r\n\r\n"
        self.assert_quiet()

    def test_inner_filters_come_first(self) -> None:
        self.use({"outer": doubling(b"2"), "inner": doubling(b"1")})
        client, server = self.asking()
        server.send(OK)
        assert client.read().endswith(b"\r\n\r\nooookkkk112")

    def test_answers_without_a_body_pass_none(self) -> None:
        self.use({"m": doubling(b"!")})
        client = self.client()
        for request, answer in (
            (GET.replace(b"GET", b"HEAD"), b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            (GET, b"HTTP/1.1 204 No Content\r\n\r\n"),
            (GET, b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"),
        ):
            client.send(request)
            self.server.send(answer)
            assert client.read() == answer
        assert client.state == "open"

    def test_empty_body_may_be_filled(self) -> None:
        self.use({"m": doubling(b"!")})
        client, server = self.asking()
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert client.read() == b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!"
        self.assert_quiet()

    def test_answer_of_ours_passes_too(self) -> None:
        self.use({"m": doubling(b"!")})
        self.servers.broken["one"] = Refused()
        client = self.client()
        client.send(GET)
        assert client.read().endswith(b"Content-Length: 23\r\n\r\nBBaadd  GGaatteewwaayy!")
        client.send(GET.replace(b"GET", b"HEAD"))
        assert client.read().endswith(b"\r\n\r\n")

    def test_replaced_answer_has_only_the_filters_further_out(self) -> None:
        class Replacing(Middleware):
            def on_response(self, exchange: Exchange, head: ResponseHead) -> Response:  # type: ignore[override]
                return Response(200, b"page")

        self.use({"outer": doubling(b"!"), "m": Replacing(), "inner": doubling(b"?")})
        client, server = self.asking()
        server.send(OK)
        assert client.read().endswith(b"\r\n\r\nppaaggee!")

    def test_old_client_sees_the_end_by_its_connection(self) -> None:
        self.use({"m": doubling(b"!")})
        client, server = self.asking(GET.replace(b"1.1", b"1.0"))
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        server.send(b"k")
        assert client.read() == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nookk!"
        assert client.state == "closed"

    def test_body_that_breaks_off_is_visibly_cut(self) -> None:
        self.use({"m": doubling(b"!")})
        client, server = self.asking()
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        server.reset()
        assert client.read() == START + chunked(b"oo")
        assert client.state == "closed"
        assert self.ended.outcomes == [(200, "bad-response")]
        self.assert_quiet()

    def test_body_that_breaks_off_is_cut_for_an_old_client(self) -> None:
        self.use({"m": doubling(b"!")})
        client, server = self.asking(GET.replace(b"1.1", b"1.0"))
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        server.reset()
        assert client.state == "aborted"

    def test_trailers_can_be_changed(self) -> None:
        self.use({"m": Filtering(lambda _: Trailing())})
        client, server = self.asking(TOLD)
        server.send(START + chunked(b"ab") + b"0\r\nX-A: b\r\n\r\n")
        assert client.read() == START + chunked(b"ab") + b"0\r\nX-A: b\r\nX-Sum: 1\r\n\r\n"

    def test_stalled_client_keeps_the_server_waiting(self) -> None:
        self.use({"m": doubling()})
        client, server = self.asking()
        client.stalled = True
        size = 3 * HIGH_WATER
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * HIGH_WATER)
        assert server.paused
        client.take(1 << 30)
        assert not server.paused
        server.send(b"x" * (size - HIGH_WATER))
        client.take(1 << 30)
        assert client.read().count(b"x") == 2 * size
        self.assert_quiet()

    def test_client_that_leaves_is_noticed(self) -> None:
        self.use({"m": doubling()})
        client, server = self.asking()
        server.send(START + chunked(b"ab"))
        client.reset()
        assert server.state == "aborted"
        assert self.ended.outcomes == [(200, "client-gone")]
        self.assert_quiet()

    def test_tunnel_passes_none(self) -> None:
        self.use({"m": doubling()})
        client, server = self.asking(
            GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        )
        server.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello")
        assert client.read().endswith(b"\r\n\r\nhello")

    def test_defect_before_the_head_is_out_answers_500(self) -> None:
        self.use({"m": Filtering(lambda _: Doubling(None))})  # type: ignore[arg-type]
        client, server = self.asking()
        server.send(OK)
        assert client.read() == BROKEN
        assert self.ended.outcomes == [(500, "refused")]
        assert len(self.flushLoggedErrors(TypeError)) == 1
        self.assert_quiet()

    def test_defect_after_it_cuts_the_answer(self) -> None:
        self.use({"m": Filtering(lambda _: Failing())})
        client, server = self.asking()
        server.send(START + chunked(b"ab"))
        server.send(chunked(b"cd"))
        assert client.read() == START + chunked(b"a")
        assert (client.state, server.state) == ("closed", "aborted")
        assert self.ended.outcomes == [(200, "refused")]
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        self.assert_quiet()

    def test_defect_over_an_answer_of_ours_answers_500(self) -> None:
        self.use({"m": Filtering(lambda _: Doubling(None))})  # type: ignore[arg-type]
        self.servers.broken["one"] = Refused()
        client = self.client()
        client.send(GET)
        assert client.read() == BROKEN
        assert len(self.flushLoggedErrors(TypeError)) == 1


class Deciding(ProxyCase):
    """A filter that holds the beginning."""

    def setUp(self) -> None:
        super().setUp()
        self.use({"m": Filtering(Undecided)})

    def test_head_waits_for_it(self) -> None:
        client, server = self.asking()
        server.send(START + chunked(b"ab"))
        assert client.read() == b""
        server.send(chunked(b"cd"))
        head = START.replace(b"Transfer", b"X-Decided: 1\r\nTransfer")
        assert client.read() == head + chunked(b"abcd")
        server.send(b"0\r\n\r\n")
        assert client.read() == b"0\r\n\r\n"
        self.assert_quiet()

    def test_stream_is_not_held_for_long(self) -> None:
        client, server = self.asking()
        server.send(START + chunked(b"ab"))
        assert client.read() == b""
        self.clock.advance(PATIENCE)
        head = START.replace(b"Transfer", b"X-Decided: 1\r\nTransfer")
        assert client.read() == head + chunked(b"ab")
        server.send(chunked(b"c"))
        assert client.read() == chunked(b"c")

    def test_short_body_ends_undecided(self) -> None:
        client, server = self.asking()
        server.send(START + chunked(b"ab"))
        server.send(b"0\r\n\r\n")
        assert client.read() == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
        assert not [call for call in self.clock.getDelayedCalls() if call.getTime() - PATIENCE < 0.01]
        self.assert_quiet()

    def test_server_that_breaks_off_meanwhile_is_a_bad_gateway(self) -> None:
        client, server = self.asking()
        server.send(START + chunked(b"ab"))
        server.reset()
        assert client.read().startswith(b"HTTP/1.1 502 ")
        self.clock.advance(PATIENCE)
        assert self.ended.outcomes == [(502, "bad-response")]
        self.assert_quiet()

    def test_client_that_leaves_meanwhile_leaves_nothing_behind(self) -> None:
        client, server = self.asking()
        server.send(START + chunked(b"ab"))
        client.reset()
        self.clock.advance(PATIENCE)
        assert self.ended.outcomes == [(499, "client-gone")]
        self.assert_quiet()


class Whole(ProxyCase):
    """The answer is complete before the client gets anything of it."""

    def test_it_gets_its_length(self) -> None:
        self.use({"m": Keeping()})
        client, server = self.asking()
        server.send(START + chunked(b"ab"))
        assert client.read() == b""
        server.send(chunked(b"c") + b"0\r\n\r\n")
        assert client.read() == b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
        assert server.state == "open"
        assert self.ended.outcomes == [(200, "done")]
        self.assert_quiet()

    def test_trailers_are_kept(self) -> None:
        self.use({"m": Keeping()})
        client, server = self.asking(TOLD)
        server.send(START + chunked(b"ab") + b"0\r\nX-A: b\r\n\r\n")
        assert client.read() == START + chunked(b"ab") + b"0\r\nX-A: b\r\n\r\n"

    def test_too_large_one_is_500(self) -> None:
        self.use({"m": Keeping(3)})
        client, server = self.asking()
        server.send(START + chunked(b"abc"))
        assert client.read() == b""
        server.send(chunked(b"d"))
        assert client.read() == BROKEN
        assert server.state == "aborted"
        assert self.ended.outcomes == [(500, "refused")]
        self.assert_quiet()

    def test_one_that_breaks_off_is_a_bad_gateway(self) -> None:
        self.use({"m": Keeping()})
        client, server = self.asking()
        server.send(START + chunked(b"abc"))
        server.reset()
        assert client.read() == own(b"502 Bad Gateway", b"Bad Gateway")
        self.assert_quiet()

    def test_slow_client_does_not_keep_the_server(self) -> None:
        self.use({"m": Keeping()})
        client, server = self.asking()
        client.stalled = True
        size = 20 * HIGH_WATER
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        assert (self.upstream.in_flight, server.paused) == (0, False)
        assert len(client.dataBuffer) < 2 * HIGH_WATER + 65536
        while client.dataBuffer:
            client.take(1 << 20)
        assert client.read().endswith(b"\r\n\r\n" + b"x" * size)
        assert self.ended.outcomes == [(200, "done")]
        self.assert_quiet()

    def test_client_that_leaves_meanwhile_leaves_nothing_behind(self) -> None:
        self.use({"m": Keeping()})
        client, server = self.asking()
        client.stalled = True
        size = 20 * HIGH_WATER
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        client.reset()
        assert self.ended.outcomes == [(200, "client-gone")]
        self.assert_quiet()

    def test_filters_get_it_when_it_is_complete(self) -> None:
        self.use({"outer": doubling(b"!"), "m": Keeping()})
        client, server = self.asking()
        server.send(START + chunked(b"ab"))
        server.send(chunked(b"c") + b"0\r\n\r\n")
        assert client.read() == START + chunked(b"aabbcc", b"!") + b"0\r\n\r\n"

    def test_answers_without_a_body_do_not_wait(self) -> None:
        self.use({"m": Keeping()})
        client, server = self.asking()
        server.send(b"HTTP/1.1 304 Not Modified\r\n\r\n")
        assert client.read() == b"HTTP/1.1 304 Not Modified\r\n\r\n"
