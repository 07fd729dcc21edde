"""An entry point that is closing: what becomes of its connections."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from wires import GET, OK, ProxyCase

OK_AND_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Draining(ProxyCase):
    """The entry point is closing."""

    def test_idle_connection_is_closed_at_once(self) -> None:
        client, server = self.asking()
        server.send(OK)
        self.site.drain()
        self.clock.advance(0)
        assert client.state == "closed"
        assert self.site.connections == set()

    def test_active_connection_ends_with_its_answer(self) -> None:
        client, server = self.asking(GET + GET)
        self.site.drain()
        assert client.state == "open"
        server.send(OK)
        assert client.read() == OK_AND_CLOSE
        assert client.state == "closed"
        self.assert_quiet()

    def test_answer_that_had_begun_is_finished(self) -> None:
        client, server = self.asking()
        server.send(OK[:-1])
        self.site.drain()
        server.send(OK[-1:])
        assert client.read() == OK
        assert client.state == "closed"

    def test_request_that_is_on_its_way_is_still_answered(self) -> None:
        fresh, begun = self.client(), self.client()
        begun.send(GET[:9])
        self.site.drain()
        late = self.client()
        for client, request in ((fresh, GET), (begun, GET[9:]), (late, GET)):
            client.send(request)
            self.server.send(OK)
            assert client.read() == OK_AND_CLOSE
            assert client.state == "closed"

    def test_connection_without_a_request_does_not_hold_it_up(self) -> None:
        client = self.client()
        self.site.drain()
        self.wait(3)
        assert client.state == "closed"
        assert self.site.connections == set()

    def test_what_is_left_is_cut(self) -> None:
        client, server = self.asking()
        self.site.abort()
        self.clock.advance(0)
        assert (client.state, server.state) == ("aborted", "aborted")
        assert self.ended.outcomes == [(499, "client-gone")]
        self.assert_quiet()
