"""Requests that no client waits for: whatever comes of them, they end, once, and their connections with them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from dynbalancer.core.exchange import RequestHead, Response
from dynbalancer.core.model import EntryPoint
from dynbalancer.proxy.unattended import Unattended

sys.path.insert(0, str(Path(__file__).parent))
from wires import OK, ProxyCase


class Silent:
    """What it has in place of a resource."""

    retries = 2

    def __init__(self, clock: Any, request_head: Any) -> None:
        self.clock = clock
        self.request_head = request_head
        self.ended: list[str] = []

    def exchange_over(self, exchange: Any) -> None:
        exchange.finished = self.clock()
        self.ended.append(exchange.outcome)


class UnattendedCase(ProxyCase):
    """Asks the servers of the table."""

    hosts = ("one",)

    def setUp(self) -> None:
        super().setUp()
        self.silent = Silent(self.clock.seconds, self.resource.request_head)

    def sent(self, body: bytes = b"") -> Unattended:
        head = RequestHead(b"POST" if body else b"GET", b"/")
        head.length = len(body) or None
        exchange: Any = Unattended(self.silent, head, EntryPoint("web", 80), "", 0, trusted=False)  # type: ignore[arg-type]
        exchange.have(body)
        exchange.forward(self.table.services["web"])
        self.clock.advance(0)
        return exchange  # type: ignore[no-any-return]

    def test_answer_is_thrown_away_and_its_connection_kept(self) -> None:
        exchange = self.sent(b"hello")
        assert self.server.read().endswith(b"\r\n\r\nhello")
        self.server.send(OK)
        assert (exchange.status, exchange.outcome, self.silent.ended) == (200, "done", ["done"])
        assert self.server.state == "open"
        assert self.upstream.in_flight == 0

    def test_answer_that_breaks_off_ends_it_once(self) -> None:
        exchange = self.sent()
        self.server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\no")
        self.server.reset()
        assert exchange.over
        assert len(self.silent.ended) == 1
        assert self.upstream.in_flight == 0

    def test_middlewares_or_the_framework_may_answer_it_too(self) -> None:
        exchange = self.sent()
        exchange.answer(Response(500))
        assert exchange.over
        assert self.server.state == "aborted"
        assert self.upstream.in_flight == 0


@pytest.mark.parametrize(("body", "held"), [(b"", None), (b"a", [b"a"])])
def test_body_is_there_whole(body: bytes, held: list[bytes] | None) -> None:
    silent: Any = Silent(lambda: 0.0, None)
    exchange = Unattended(silent, RequestHead(length=1), EntryPoint("web", 80), "", 0, trusted=False)
    exchange.have(body)
    assert exchange.request_complete
    assert exchange._body == held
