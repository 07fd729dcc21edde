"""Streams: what is sent, who is dropped, and that nothing is left behind."""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

from dynbalancer.admin.events import HEARTBEAT, PATIENCE, EventStream, Listener, framed
from tests.admin.fakes import AdminCase


class ListenerTests(SynchronousTestCase):
    """One stream against a connection that may be full."""

    def setUp(self) -> None:
        self.written: list[bytes] = []
        self.cuts: list[bool] = []
        self.listener = Listener(self.written.append, lambda: self.cuts.append(True))

    def test_while_full_only_the_newest_of_each_kind_is_kept(self) -> None:
        self.listener.pauseProducing()
        for event, frame in (("table", b"1"), ("statistics", b"a"), ("table", b"2")):
            self.listener.send(event, frame)
        self.assertEqual(self.written, [])
        self.listener.resumeProducing()
        self.assertEqual(sorted(self.written), [b"2", b"a"])
        self.listener.send("table", b"3")
        self.assertEqual(self.written[-1], b"3")

    def test_who_does_not_read_for_long_is_dropped(self) -> None:
        self.listener.pauseProducing()
        for _ in range(PATIENCE - 1):
            self.listener.tick()
            self.listener.pauseProducing()
        self.assertEqual(self.cuts, [])
        self.listener.tick()
        self.assertEqual(self.cuts, [True])

    def test_who_reads_is_not_dropped(self) -> None:
        for _ in range(3 * PATIENCE):
            self.listener.tick()
        self.listener.pauseProducing()
        self.listener.resumeProducing()
        for _ in range(3 * PATIENCE):
            self.listener.tick()
        self.assertEqual(self.cuts, [])

    def test_a_stopped_one_forgets_what_waited(self) -> None:
        self.listener.pauseProducing()
        self.listener.send("table", b"1")
        self.listener.stopProducing()
        self.listener.resumeProducing()
        self.assertEqual(self.written, [])


class Connection:
    """A client on a string transport that asks for the stream."""

    def __init__(self, site: Site, method: bytes = b"GET") -> None:
        self.transport = StringTransport()
        self.protocol = site.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        self.protocol.dataReceived(method + b" /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")

    def heard(self) -> bytes:
        """What came since the last look."""
        found = self.transport.value()
        self.transport.clear()
        return found

    def leave(self, reason: Exception) -> None:
        """Close the connection from the client's side."""
        self.protocol.connectionLost(Failure(reason))


class StreamTests(AdminCase):
    """The stream over Twisted's HTTP server."""

    def setUp(self) -> None:
        super().setUp()
        self.service.startService()
        self.addCleanup(self.service.stopService)
        self.site: Any = self.reactor.tcpServers[0][1]
        self.stream = self.service._stream

    def test_a_new_listener_hears_what_is_and_then_what_happens(self) -> None:
        client = Connection(self.site)
        first = client.heard()
        self.assertIn(b"text/event-stream", first)
        self.assertIn(b"Cache-Control: no-store", first)
        for event in (b"table", b"problems", b"statistics"):
            self.assertIn(b"event: " + event, first)
        self.router.change(swap=True)
        self.assertIn(
            framed("table", {"number": 8, "cause": "file routes.yml changed", "time": 999.0}), client.heard()
        )

    def test_a_change_without_a_new_table_is_one_of_problems(self) -> None:
        client = Connection(self.site)
        client.heard()
        self.router.change(swap=False)
        heard = client.heard()
        self.assertIn(b"event: problems", heard)
        self.assertNotIn(b"event: table", heard)

    def test_statistics_come_every_second_and_a_comment_now_and_then(self) -> None:
        client = Connection(self.site)
        client.heard()
        self.reactor.advance(1)
        self.assertEqual(client.heard().count(b"event: statistics"), 1)
        self.reactor.pump([1.0] * HEARTBEAT)
        self.assertIn(b": still here", client.heard())

    def test_who_leaves_is_forgotten(self) -> None:
        clients = [Connection(self.site) for _ in range(3)]
        self.assertEqual(len(self.stream), 3)
        clients[1].leave(ConnectionError())
        self.assertEqual(len(self.stream), 2)
        clients[1].heard()
        self.router.change(swap=True)
        self.assertEqual(clients[1].heard(), b"")

    def test_more_than_the_most_are_turned_away(self) -> None:
        self.service._stream._most = 2
        answers = [Connection(self.site).heard() for _ in range(3)]
        self.assertIn(b"200 OK", answers[1])
        self.assertIn(b"503 ", answers[2])
        self.assertEqual(len(self.stream), 2)

    def test_asking_for_the_head_alone_holds_no_place(self) -> None:
        answer = Connection(self.site, b"HEAD").heard()
        self.assertIn(b"text/event-stream", answer)
        self.assertEqual(len(self.stream), 0)

    def test_a_client_that_never_reads_is_cut_off(self) -> None:
        client = Connection(self.site)
        self.protocol_pauses(client)
        self.reactor.pump([1.0] * PATIENCE)
        self.assertTrue(client.transport.disconnecting or client.transport.disconnected)

    def protocol_pauses(self, client: Connection) -> None:
        """As a transport does whose buffer is full."""
        client.protocol.pauseProducing()

    def test_closing_ends_every_stream_properly(self) -> None:
        client = Connection(self.site)
        client.heard()
        self.stream.close()
        self.assertIn(b"0\r\n\r\n", client.heard())
        self.assertEqual(len(self.stream), 0)


def test_telling_nobody_costs_no_encoding() -> None:
    stream = EventStream(list)
    stream.tell("table", object())
    stream.tick()
    assert len(stream) == 0
