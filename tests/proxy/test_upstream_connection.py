"""One connection to a server: when it may serve again, and what it does with an answer like the last one."""

from __future__ import annotations

import sys
from pathlib import Path

from dynbalancer.core.settings import Limits

sys.path.insert(0, str(Path(__file__).parent))
from wires import OK, ProxyCase


class Keeping(ProxyCase):
    """Connections between requests."""

    limits = Limits(upstream_idle_time=10.0, upstream_idle_connections=2)

    def test_bytes_nobody_asked_for_close_a_kept_connection(self) -> None:
        _, server = self.asking()
        server.send(OK)
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL")
        assert server.state == "aborted"
        client, other = self.asking()
        assert other is not server
        other.send(OK)
        assert client.read() == OK
        self.assert_quiet()

    def test_connection_the_server_closed_is_not_used(self) -> None:
        _, server = self.asking()
        server.send(OK)
        server.finish()
        assert server.state == "aborted"
        self.assert_quiet()
        self.asking()
        assert len(self.servers.attempts) == 2

    def test_connection_the_server_broke_off_is_not_used(self) -> None:
        _, server = self.asking()
        server.send(OK)
        server.reset()
        self.asking()
        assert len(self.servers.attempts) == 2

    def test_answers_that_close_or_are_old_are_not_followed_by_another(self) -> None:
        for answer in (
            OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
            OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ):
            client, server = self.asking()
            server.send(answer)
            assert b"ok" in client.read()
            assert (client.state, server.state) == ("open", "aborted")
