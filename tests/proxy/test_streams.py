"""Tunnels: octets to and fro, back-pressure, how they end, and who is asked when a server can't be connected to."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from dynbalancer.core.settings import Limits
from dynbalancer.core.streams import StreamRouter, StreamServer, StreamService
from dynbalancer.proxy import transports
from dynbalancer.proxy.streams import plain_address

sys.path.insert(0, str(Path(__file__).parent))
from test_openings import StreamCase, StreamWire
from wires import HIGH_WATER


class TunnelTests(StreamCase):
    """A plain route for whoever comes."""

    routers = (StreamRouter("any@x", "HostSNI(`*`)", "db"),)
    limits = Limits(tunnel_time=5.0, write_time=3.0)

    def joined(self) -> tuple[StreamWire, StreamWire]:
        client = self.client()
        return client, self.server

    def test_octets_go_both_ways(self) -> None:
        client, server = self.joined()
        for at in range(3):
            client.send(b"there %d" % at)
            server.send(b"back %d" % at)
        assert (server.read(), client.read()) == (b"there 0there 1there 2", b"back 0back 1back 2")
        assert server.keep_alive

    def flows(self) -> dict[tuple[str, ...], dict[str, int]]:
        return {key[1:]: flow.as_dict() for key, flow in self.flowing.report(10).items()}

    def test_connections_and_octets_are_counted_while_they_go_on(self) -> None:
        client, server = self.joined()
        client.send(b"there")
        server.send(b"and back")
        counts = {"connections": 1, "open": 1, "bytesIn": 5, "bytesOut": 8, "refused": 0}
        assert self.flows() == {("any@x", "db@x", "one:1"): counts}
        client.send(b"!")
        client.finish()
        server.finish()
        counts = {"connections": 0, "open": 0, "bytesIn": 1, "bytesOut": 0, "refused": 0}
        assert self.flows() == {("any@x", "db@x", "one:1"): counts}

    def test_connection_that_nobody_takes_is_counted_for_its_router_and_each_server(self) -> None:
        self.servers.broken.update(one=TimeoutError("slow"), two=ConnectionRefusedError("no"))
        self.client()
        refused = {key: flow["refused"] for key, flow in self.flows().items()}
        assert refused == {("any@x", "", ""): 1, ("any@x", "db@x", "one:1"): 1, ("any@x", "db@x", "two:2"): 1}

    def test_servers_take_turns(self) -> None:
        for _ in range(3):
            self.client()
        assert self.servers.hosts == ["one", "two", "one"]

    def test_next_server_is_asked_where_one_cannot_be_connected_to(self) -> None:
        self.servers.broken["one"] = ConnectionRefusedError("refused")
        client, server = self.joined()
        client.send(b"hello")
        assert (self.servers.hosts, server.read()) == (["one", "two"], b"hello")
        self.client()
        assert self.servers.hosts[2:] == ["two"]

    def test_without_a_server_the_client_is_closed(self) -> None:
        self.servers.broken.update(one=TimeoutError("slow"), two=ConnectionRefusedError("no"))
        client = self.client()
        assert (client.state, self.refused, self.streams.connections) == ("aborted", ["tcp-no-server"], set())
        self.service = StreamService("db@x")
        self.use(*self.routers)
        assert (self.client().state, self.refused) == ("aborted", ["tcp-no-server"] * 2)

    def test_octets_that_come_early_wait_for_the_server(self) -> None:
        self.servers.manual = True
        client = self.client()
        assert client.paused
        client.send(b"early")
        self.servers._settle(self.servers.attempts[0])
        self.clock.advance(0)
        assert self.server.read() == b"early"

    def test_server_may_speak_before_anybody_hears_that_it_is_there(self) -> None:
        self.servers.greeting = b"greeting"
        client, _ = self.joined()
        assert client.read() == b"greeting"
        assert self.flows()["any@x", "db@x", "one:1"]["bytesOut"] == 8

    def test_slow_server_holds_its_client_back_and_the_other_way_round(self) -> None:
        client, server = self.joined()
        for near, far in ((client, server), (server, client)):
            far.stalled = True
            near.send(b"x" * (HIGH_WATER + 1))
            assert near.paused
            near.send(b"later")
            far.take(HIGH_WATER + 1)
            assert not near.paused
            far.stalled = False
            far.take(100)
            assert far.read().endswith(b"later")

    def test_end_of_the_clients_half_is_passed_on_and_the_answer_arrives(self) -> None:
        client, server = self.joined()
        client.send(b"question")
        client.finish()
        assert (server.read(), server.state, client.state) == (b"question", "half", "open")
        server.send(b"answer")
        server.finish()
        assert (client.read(), client.state, server.state) == (b"answer", "closed", "closed")
        assert self.streams.connections == set()

    def test_end_of_the_servers_half_is_passed_on(self) -> None:
        client, server = self.joined()
        server.finish()
        assert (client.state, server.state) == ("half", "open")
        client.send(b"last words")
        assert server.read() == b"last words"

    def test_half_closed_connection_ends_when_nothing_moves(self) -> None:
        client, server = self.joined()
        client.finish()
        for _ in range(3):
            self.clock.advance(0.09)
            server.send(b"still here")
            self.clock.advance(0)
        assert client.state == "open"
        self.clock.advance(0.09)
        self.clock.advance(0.09)
        assert client.state == "open"
        self.clock.advance(0.03)
        self.wait(1)
        assert (client.state, server.state, self.streams.connections) == ("closed", "closed", set())

    def test_half_closed_connection_may_last_for_ever(self) -> None:
        self.service = replace(self.service, termination_delay=-1.0)
        self.use(*self.routers)
        client, server = self.joined()
        client.finish()
        self.wait(4)
        server.send(b"late")
        assert client.read() == b"late"

    def test_connection_that_breaks_off_breaks_off_the_other(self) -> None:
        resets: list[object] = []
        reset = transports.reset

        def note(transport: object) -> None:
            resets.append(transport)
            reset(transport)

        self.patch(transports, "reset", note)
        for which in (0, 1):
            ends = self.joined()
            ends[which].reset()
            assert ends[1 - which].state == "aborted"
            assert resets.pop() is ends[1 - which]
            assert self.streams.connections == set()

    def test_idle_tunnel_is_closed_and_a_used_one_is_not(self) -> None:
        idle, _ = self.joined()
        used, server = self.joined()
        for _ in range(4):
            self.wait(2)
            server.send(b"x")
        assert (idle.state, used.state) == ("closed", "open")
        self.wait(12)
        assert (used.state, self.streams.connections) == ("closed", set())

    def test_who_does_not_take_the_rest_is_cut(self) -> None:
        client, server = self.joined()
        client.stalled = True
        server.send(b"x" * 100)
        server.finish()
        client.finish()
        assert client.state == "closing"
        self.wait(5)
        assert (client.state, self.streams.connections) == ("aborted", set())

    def test_client_that_leaves_while_connecting_leaves_nothing(self) -> None:
        self.servers.manual = True
        client = self.client()
        client.reset()
        assert self.servers.attempts[0].cancelled
        assert self.streams.connections == set()

    def test_draining_lets_tunnels_go_on_until_they_are_cut(self) -> None:
        client, server = self.joined()
        self.streams.drain()
        client.send(b"hello")
        assert server.read() == b"hello"
        self.streams.abort()
        assert (client.state, server.state, self.streams.connections) == ("aborted", "aborted", set())

    def test_use_of_servers_is_counted(self) -> None:
        client, _ = self.joined()
        (tunnel,) = self.streams.connections
        upstream = tunnel._upstream
        assert upstream is not None
        assert upstream.in_flight == 1
        client.reset()
        assert upstream.in_flight == 0


class HeaderTests(StreamCase):
    """Servers that want a PROXY header."""

    service = StreamService("db@x", (StreamServer("one:1"),), proxy_protocol=1)
    routers = (StreamRouter("any@x", "HostSNI(`*`)", "db"),)

    def test_header_comes_before_everything_else(self) -> None:
        client = self.client(host="::ffff:192.0.2.9")
        client.send(b"hello")
        assert self.server.read() == b"PROXY TCP4 192.0.2.9 198.51.100.1 40000 443\r\nhello"

    def test_version_2(self) -> None:
        self.service = replace(self.service, proxy_protocol=2)
        self.use(*self.routers)
        self.client().send(b"hello")
        assert self.server.read() == (
            b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x01\x9c\x40\x01\xbbhello"
        )


def test_addresses_are_plain() -> None:
    assert [plain_address(host) for host in ("::ffff:192.0.2.1", "192.0.2.1", "::1")] == [
        "192.0.2.1",
        "192.0.2.1",
        "::1",
    ]
