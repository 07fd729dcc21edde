"""Starting and stopping the listener."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from twisted.application.service import IService
from twisted.internet.testing import MemoryReactorClock, StringTransport
from zope.interface.verify import verifyObject

from dynbalancer.admin.service import REQUEST_TIME, SILENCE, AdminService, make_admin
from dynbalancer.core.settings import ApiSettings
from tests.admin.fakes import POINTS, AdminCase, FakeRouter, FakeStatistics, FakeWorkforce


class ServiceTests(AdminCase):
    """With a reactor that only remembers."""

    def test_it_is_a_service_and_opens_nothing_before_it_starts(self) -> None:
        made = make_admin(ApiSettings(), self.router, self.statistics, FakeWorkforce(), POINTS, self.reactor)
        self.assertTrue(verifyObject(IService, made))
        self.assertIsInstance(made, AdminService)
        self.assertEqual((self.reactor.tcpServers, self.router.listeners), ([], []))
        self.assertLessEqual(abs(made._sources.started - time.time()), 60)

    def test_it_listens_where_the_settings_say(self) -> None:
        self.service.startService()
        port, site, _, interface = self.reactor.tcpServers[0]
        self.assertEqual((port, interface), (8080, "127.0.0.1"))
        self.assertFalse(site._parsePOSTFormSubmission)
        self.service.stopService()

    def test_stopping_leaves_nothing_behind(self) -> None:
        self.service.startService()
        self.reactor.advance(3)
        self.successResultOf(self.service.stopService())
        self.assertTrue(self.service.stopping)
        self.assertEqual(self.router.listeners, [])
        self.assertEqual(
            [call for call in self.reactor.getDelayedCalls() if call.func is self.service._seconds], []
        )

    def test_stopping_what_never_started_is_harmless(self) -> None:
        self.assertIsNone(self.successResultOf(self.service.stopService()))

    def test_a_given_socket_is_adopted_and_closed(self) -> None:
        sock = socket.socket()
        self.addCleanup(sock.close)
        reactor = AdoptingReactor()
        made = make_admin(
            ApiSettings(), FakeRouter(), FakeStatistics(), FakeWorkforce(), POINTS, reactor, sock=sock
        )
        made.startService()
        self.assertEqual(reactor.adopted, [(socket.AF_INET, False)])
        self.assertEqual((sock.fileno(), reactor.tcpServers), (-1, []))
        made.stopService()

    def test_the_last_second_is_counted_apart(self) -> None:
        self.service.startService()
        self.addCleanup(self.service.stopService)
        self.reactor.advance(1)
        self.assertEqual(self.json("/health")["status_code_count"], {})
        self.statistics.found.statuses[200] += 5
        self.reactor.advance(1)
        self.assertEqual(self.json("/health")["status_code_count"], {"200": 5})

    def connected(self) -> tuple[Any, StringTransport]:
        """A connection to the listener."""
        site: Any = self.reactor.tcpServers[0][1]
        transport = StringTransport()
        protocol = site.buildProtocol(None)
        protocol.makeConnection(transport)
        return protocol, transport

    def test_a_request_octet_by_octet_takes_too_long(self) -> None:
        self.service.startService()
        self.addCleanup(self.service.stopService)
        for begin in (b"", b"POST /ping HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n"):
            protocol, transport = self.connected()
            protocol.dataReceived(begin)
            for octet in b"GET / HTTP/1.1\r\nX: yyy"[: REQUEST_TIME - 1]:
                protocol.dataReceived(bytes((octet,)))
                self.reactor.advance(1)
            self.assertFalse(transport.disconnecting)
            self.reactor.advance(1)
            self.assertTrue(transport.disconnecting)

    def test_each_request_has_its_own_deadline_and_silence_in_between_is_allowed(self) -> None:
        self.service.startService()
        self.addCleanup(self.service.stopService)
        protocol, transport = self.connected()
        for _ in range(3):
            transport.clear()
            protocol.dataReceived(b"GET /pi")
            self.reactor.advance(REQUEST_TIME - 1)
            protocol.dataReceived(b"ng HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertIn(b"200 OK", transport.value())
            self.reactor.advance(SILENCE - 1)
        self.assertFalse(transport.disconnecting)
        self.reactor.advance(1)
        self.assertTrue(transport.disconnecting)

    def test_a_body_is_taken_but_not_kept(self) -> None:
        self.service.startService()
        self.addCleanup(self.service.stopService)
        protocol, transport = self.connected()
        protocol.dataReceived(b"POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n")
        request = protocol.requests[0]
        protocol.dataReceived(b"x" * 199999)
        self.assertEqual(request.content.getvalue(), b"")
        protocol.dataReceived(b"x")
        self.assertIn(b"405 Method Not Allowed", transport.value())


class AdoptingReactor(MemoryReactorClock):
    """Remembers which sockets it was asked to adopt."""

    def __init__(self) -> None:
        super().__init__()
        self.adopted: list[tuple[int, bool]] = []

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:
        self.adopted.append((addressFamily, os.get_blocking(fileDescriptor)))
        port = self.listenTCP(0, factory)
        self.tcpServers.clear()
        return port
