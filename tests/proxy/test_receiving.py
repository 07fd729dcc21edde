"""Requests whose body a middleware wants as a whole."""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from twisted.internet.error import ConnectionRefusedError as Refused

from dynbalancer.core.exchange import Exchange, Response
from dynbalancer.middlewares.base import Middleware

sys.path.insert(0, str(Path(__file__).parent))
from wires import FORWARDED, GET, GOT, HIGH_WATER, OK, ProxyCase, own, post

CHUNKED_POST = b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"


class Whole(Middleware):
    """Wants the whole of a body."""

    def __init__(self, most: int | None = None, *, careless: bool = False) -> None:
        self.most = most
        self.careless = careless
        self.seen: list[bytes] = []

    def on_request(self, exchange: Exchange) -> Awaitable[Response | None]:  # type: ignore[override]
        return self._hold(exchange)

    async def _hold(self, exchange: Exchange) -> Response | None:
        body = await exchange.whole_body(self.most, 100)
        if body is None:
            return None if self.careless else Response(413, b"no")
        self.seen.append(body.octets())
        return None


class Wholly(ProxyCase):
    """A body is complete before a server is asked."""

    def use_whole(self, *arguments: Any, **more: Any) -> Whole:
        whole = Whole(*arguments, **more)
        self.use({"m": whole})
        return whole

    def test_server_gets_it_with_its_length_once_it_is_complete(self) -> None:
        whole = self.use_whole()
        client = self.client()
        client.send(CHUNKED_POST + b"2\r\nhe\r\n")
        assert self.servers.attempts == []
        client.send(b"3\r\nllo\r\n0\r\n\r\n")
        assert whole.seen == [b"hello"]
        assert self.server.read().endswith(b"Content-Length: 5\r\n\r\nhello")
        self.server.send(OK)
        assert client.read() == OK
        assert self.ended.exchanges[0].bytes_in == 5
        self.assert_quiet()

    def test_request_without_a_body_does_not_wait(self) -> None:
        whole = self.use_whole()
        _, server = self.asking()
        assert (server.read(), whole.seen) == (GOT, [b""])

    def test_trailers_are_kept(self) -> None:
        self.use_whole()
        start = CHUNKED_POST.replace(b"Transfer", b"Trailer: X-Sum\r\nTransfer")
        _, server = self.asking(start + b"1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n")
        assert server.read().endswith(b"\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n")

    def test_two_may_want_it(self) -> None:
        one, other, small = Whole(), Whole(), Whole(4)
        self.use({"one": one, "other": other, "small": small})
        client = self.client()
        client.send(post(b"hello"))
        assert (one.seen, other.seen, small.seen) == ([b"hello"], [b"hello"], [])
        assert client.read().startswith(b"HTTP/1.1 413 ")

    def test_announced_size_is_refused_before_it_comes(self) -> None:
        self.use_whole(4)
        client = self.client()
        client.send(post(b"", length=5, lines=b"Expect: 100-continue\r\n"))
        assert client.read().startswith(b"HTTP/1.1 413 Content Too Large\r\n")
        assert self.servers.attempts == []

    def test_size_is_refused_as_soon_as_it_is_exceeded(self) -> None:
        self.use_whole(4)
        client = self.client()
        client.send(CHUNKED_POST + b"4\r\nabcd\r\n")
        assert client.read() == b""
        client.send(b"1\r\ne\r\n")
        assert client.read().startswith(b"HTTP/1.1 413 ")
        assert self.servers.attempts == []
        self.assert_quiet()

    def test_client_that_waits_is_told_to_go_on_by_us(self) -> None:
        self.use_whole()
        client = self.client()
        client.send(post(b"", length=2, lines=b"Expect: 100-continue\r\n"))
        assert client.read() == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hi")
        head = b"POST / HTTP/1.1\r\nHost: a.example\r\n" + FORWARDED
        assert self.server.read() == head + b"Content-Length: 2\r\n\r\nhi"

    def test_large_one_goes_on_as_the_server_takes_it(self) -> None:
        self.use_whole()
        size = 20 * HIGH_WATER
        client, server = self.asking(post(b"x" * size))
        assert len(server.read()) > size
        server.stalled = True
        server.send(OK)
        client.send(post(b"x" * size))
        assert len(server.dataBuffer) < 4 * HIGH_WATER + 65536
        server.stalled = False
        while server.dataBuffer:
            server.take(1 << 20)
        server.send(OK)
        assert client.read() == OK + OK
        self.assert_quiet()

    def test_client_that_leaves_meanwhile_reaches_no_server(self) -> None:
        self.use_whole()
        client = self.client()
        client.send(post(b"he", length=5))
        client.reset()
        assert self.servers.attempts == []
        assert self.ended.outcomes == [(499, "client-gone")]
        self.assert_quiet()

    def test_bad_framing_meanwhile_is_refused(self) -> None:
        self.use_whole()
        client = self.client()
        client.send(CHUNKED_POST + b"2\r\nhe\r\nx\r\n")
        assert client.read() == own(b"400 Bad Request", b"Bad Request", close=True)
        assert self.servers.attempts == []
        self.assert_quiet()

    def test_slow_body_is_refused_in_time(self) -> None:
        self.use_whole()
        client = self.client()
        client.send(post(b"he", length=5))
        self.wait(31)
        assert client.read().startswith(b"HTTP/1.1 408 ")
        assert self.servers.attempts == []

    def test_part_of_a_body_is_never_sent_as_if_it_were_all(self) -> None:
        self.use_whole(4, careless=True)
        client = self.client()
        client.send(CHUNKED_POST + b"5\r\nabcde\r\n0\r\n\r\n")
        assert client.read().startswith(b"HTTP/1.1 413 ")
        assert b"abcd" not in self.server.read()

    def test_next_request_is_as_ever(self) -> None:
        self.use_whole()
        client, server = self.asking(post(b"hello"))
        server.send(OK)
        client.send(GET)
        assert server.read().endswith(GOT)


class Elsewhere(ProxyCase):
    """Two servers, the first of which can't be reached."""

    hosts = ("one", "two")

    def test_it_goes_to_another_server_from_its_beginning(self) -> None:
        self.use({"m": Whole()})
        self.servers.broken["one"] = Refused()
        client = self.client()
        client.send(post(b"x" * 300_000))
        assert self.server.read().endswith(b"\r\n\r\n" + b"x" * 300_000)
        assert self.servers.hosts == ["one", "two"]
        self.server.send(OK)
        assert client.read() == OK


class Joined(ProxyCase):
    """A body that comes with its head leaves with it, too."""

    def kept(self) -> None:
        """From now on there is a connection to the server."""
        _, server = self.asking()
        server.send(OK)
        server.read()
        server.writes = 0

    def test_head_and_body_that_came_together_are_written_together(self) -> None:
        self.kept()
        _, server = self.asking(post(b"hello"))
        assert server.read().endswith(b"Content-Length: 5\r\n\r\nhello")
        assert server.writes == 1

    def test_they_are_so_on_a_fresh_connection_too(self) -> None:
        _, server = self.asking(post(b"hello"))
        assert server.read().endswith(b"Content-Length: 5\r\n\r\nhello")
        assert server.writes == 1

    def test_what_came_of_a_body_goes_at_once_and_the_rest_when_it_comes(self) -> None:
        self.kept()
        client, server = self.asking(post(b"he", length=5))
        assert server.read().endswith(b"Content-Length: 5\r\n\r\nhe")
        client.send(b"llo")
        assert server.read() == b"llo"
        assert server.writes == 2

    def test_head_without_a_body_yet_goes_at_once(self) -> None:
        self.kept()
        client, server = self.asking(post(b"", length=5))
        assert server.read().endswith(b"Content-Length: 5\r\n\r\n")
        client.send(b"hello")
        assert server.read() == b"hello"

    def test_chunks_wait_for_nothing(self) -> None:
        self.kept()
        _, server = self.asking(CHUNKED_POST + b"2\r\nh")
        assert server.read().endswith(b"Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n")

    def test_next_server_gets_it_once(self) -> None:
        self.hosts = ("one", "two")
        self.table = self.make_table()
        self.servers.broken["one"] = Refused()
        _, server = self.asking(post(b"hello"))
        asked = server.read()
        assert asked.endswith(b"Content-Length: 5\r\n\r\nhello")
        assert asked.count(b"POST ") == asked.count(b"hello") == 1
