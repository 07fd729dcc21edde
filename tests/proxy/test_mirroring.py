"""Copies of requests: of the right number of them, and never in the way of the original."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.proxy import mirroring
from dynbalancer.proxy.mirroring import is_due

sys.path.insert(0, str(Path(__file__).parent))
from serving import ServingCase, balancer
from wires import GET, OK, Wire, post


@given(st.integers(0, 100), st.integers(0, 5))
def test_of_every_hundred_exactly_so_many(percent: int, hundreds: int) -> None:
    numbers = range(hundreds * 100, hundreds * 100 + 100)
    assert sum(is_due(number, percent) for number in numbers) == percent


@pytest.mark.parametrize(("percent", "copies"), [(10, 1), (50, 5), (100, 10), (0, 0)])
def test_of_ten(percent: int, copies: int) -> None:
    assert sum(is_due(number, percent) for number in range(10)) == copies


def mirrored(percent: int = 100, **keys: Any) -> dict[str, Any]:
    return {"mirroring": {"service": "main", "mirrors": [{"name": "copy", "percent": percent}], **keys}}


class Mirrored(ServingCase):
    """One service that answers, and one that gets copies."""

    def setUp(self) -> None:
        super().setUp()
        self.use()

    def use(self, **keys: Any) -> None:
        self.take(web=mirrored(**keys), main=balancer("m"), copy=balancer("c"))

    def original(self, request: bytes) -> tuple[bytes, bytes]:
        """What the service that answers got, and the client."""
        client = self.client(request)
        got = b""
        for server in self.asked():
            if self.name(server) == "m":
                got = server.read()
                server.send(OK)
        return got, client.read()

    def copies(self) -> list[Wire]:
        """The servers that got copies."""
        return [server for server in self.asked() if self.name(server) == "c"]

    def copy(self) -> bytes:
        """The copy that the other service got, which it answers."""
        [server] = self.copies()
        got = server.read()
        server.send(OK)
        return got

    def test_a_copy_is_the_same_and_its_answer_goes_nowhere(self) -> None:
        got, answer = self.original(GET)
        assert answer == OK
        assert self.copy() == got
        assert b"\r\nX-Forwarded-For: 192.0.2.1\r\n" in got

    def test_it_leaves_after_the_answer(self) -> None:
        client = self.client(GET)
        [server] = self.asked()
        assert self.name(server) == "m"
        server.read()
        assert self.copies() == []
        server.send(OK)
        assert client.read() == OK
        assert len(self.copies()) == 1

    def test_so_many_of_a_hundred(self) -> None:
        self.use(percent=10)
        for _ in range(10):
            self.original(GET)
        assert self.copy()
        assert self.servers.hosts == ["m", "c"]

    def test_bodies_are_copied_whole(self) -> None:
        for request in (
            post(b"hello"),
            b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        ):
            self.original(request)
            copy = self.copy()
            assert copy.endswith(b"\r\n\r\nhello")
            assert b"\r\nContent-Length: 5\r\n" in copy

    def test_bodies_that_come_in_pieces_are_copied_whole(self) -> None:
        client = self.client(post(b"he", length=5))
        [server] = self.asked()
        client.send(b"llo")
        server.read()
        server.send(OK)
        assert self.copy().endswith(b"\r\n\r\nhello")

    def test_without_their_body_where_that_is_not_wanted(self) -> None:
        self.use(mirrorBody=False, maxBodySize=1)
        self.original(post(b"hello"))
        copy = self.copy()
        assert copy.endswith(b"\r\n\r\n")
        assert b"Content-Length" not in copy

    def test_too_long_a_body_is_not_copied_and_goes_through(self) -> None:
        self.use(maxBodySize=4)
        assert self.original(post(b"hello"))[1] == OK
        chunked = (
            b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        )
        assert self.original(chunked)[1] == OK
        assert self.copies() == []
        self.original(post(b"hell"))
        assert self.copy().endswith(b"hell")

    def test_nothing_is_copied_for_a_client_that_left(self) -> None:
        client = self.client(GET)
        client.reset()
        self.clock.advance(0)
        assert self.copies() == []

    def test_a_mirror_that_is_down_or_slow_is_nobodys_business(self) -> None:
        self.servers.broken["c"] = ConnectionRefusedError("refused")
        assert self.original(GET)[1] == OK
        self.clock.advance(1)
        del self.servers.broken["c"]
        self.clock.advance(60)
        assert self.original(GET)[1] == OK
        [silent] = self.copies()
        silent.read()
        assert self.original(GET)[1] == OK
        self.clock.pump([0.25] * 300)
        report = self.plane.report()
        assert {name: tally.count for name, tally in report.routers.items()} == {"web@x": 3}
        assert report.in_flight == 0

    def test_there_is_an_end_to_copies_under_way(self) -> None:
        self.patch(mirroring, "MOST", 2)
        for _ in range(4):
            self.original(GET)
        self.clock.advance(0)
        assert len(self.copies()) == 2

    def test_an_upgrade_is_not_copied(self) -> None:
        client = self.client(GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"))
        [server] = self.asked()
        server.read()
        server.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        server.reset()
        client.read()
        assert self.copies() == []

    def test_a_client_that_is_told_to_wait_is_waited_for_once(self) -> None:
        request = post(b"hello", lines=b"Expect: 100-continue\r\n")
        got, _ = self.original(request)
        assert b"Expect: 100-continue\r\n" in got
        assert b"Expect" not in self.copy()

    def test_a_server_that_speaks_in_steps_is_heard_to_the_end(self) -> None:
        self.original(GET)
        [server] = self.copies()
        server.read()
        server.send(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        server.send(b"2\r\nok\r\n0\r\n\r\n")
        self.original(GET)
        assert self.copies() == [server]

    def test_weight_of_members_does_not_matter(self) -> None:
        self.take(web={"mirroring": {"service": "main"}}, main=balancer("m"))
        assert self.original(GET)[1] == OK
