"""Limits of connections: one too many is cut at once and counted, and nobody else notices."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from dynbalancer.core.model import EntryPoint
from dynbalancer.core.regions import LocalRegions
from dynbalancer.proxy.admission import Admission, Connections, admission_of

sys.path.insert(0, str(Path(__file__).parent))
import test_entrances
from test_entrances import TCP, WEB
from wires import Wire

LIMITED = replace(WEB, max_connections=3, max_connections_per_address=2)


class Connection:
    """A connection from an address, which may be cut."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.cut = False

    def abort(self) -> None:
        self.cut = True


class AdmissionTests(SynchronousTestCase):
    """The counting of an entry point."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.shared = LocalRegions()
        self.refusals: dict[str, int] = {}

    def admission(self, entry_point: EntryPoint = LIMITED) -> Admission:
        return Admission(entry_point, self.shared, b"s", self.refusals, self.clock.seconds)

    def connections(self, entry_point: EntryPoint = LIMITED, *, refuses: bool = True) -> Connections:
        return self.admission(entry_point).connections(lambda found: found.address, refuses=refuses)

    def connect(self, found: Connections, *addresses: str) -> list[Connection]:
        made = [Connection(address) for address in addresses]
        for connection in made:
            found.add(connection)
        return made

    def test_one_too_many_of_an_address_is_cut_and_others_come_in(self) -> None:
        found = self.connections()
        made = self.connect(found, "192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2")
        assert [connection.cut for connection in made] == [False, False, True, False]
        assert len(found) == 3
        assert self.refusals == {"connections-of-address": 1}

    def test_one_too_many_of_all_is_cut(self) -> None:
        found = self.connections()
        made = self.connect(found, "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4")
        assert [connection.cut for connection in made] == [False] * 3 + [True]
        assert self.refusals == {"connections": 1}

    def test_who_leaves_makes_room_once(self) -> None:
        found = self.connections()
        made = self.connect(found, "192.0.2.1", "192.0.2.1", "192.0.2.1")
        for connection in (made[2], made[0], made[0]):
            found.discard(connection)
        assert [one.cut for one in self.connect(found, "192.0.2.1", "192.0.2.1")] == [False, True]

    def test_refused_one_takes_no_room_from_the_others(self) -> None:
        found = self.connections()
        self.connect(found, *["192.0.2.1"] * 20)
        assert [one.cut for one in self.connect(found, "192.0.2.2", "192.0.2.3")] == [False, True]

    def test_all_workers_and_all_kinds_count_together(self) -> None:
        first, second = self.connections(), self.connections()
        self.connect(first, "192.0.2.1")
        assert [one.cut for one in self.connect(second, "192.0.2.1", "192.0.2.1")] == [False, True]

    def test_entry_points_count_apart(self) -> None:
        first, second = self.connections(), self.connections(replace(LIMITED, name="other"))
        self.connect(first, "192.0.2.1", "192.0.2.1")
        assert not self.connect(second, "192.0.2.1")[0].cut

    def test_addresses_of_one_ipv6_network_are_one(self) -> None:
        made = self.connect(
            self.connections(), "2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"
        )
        assert [connection.cut for connection in made] == [False, False, True, False]

    def test_another_proxy_has_no_limit_of_its_own_but_counts_with_all(self) -> None:
        found = self.connections(replace(LIMITED, trusted=("192.0.2.0/24",)))
        made = self.connect(found, *["192.0.2.1"] * 4)
        assert [connection.cut for connection in made] == [False] * 3 + [True]

    def test_everybody_trusted_is_not_everybody_without_a_limit(self) -> None:
        found = self.connections(replace(LIMITED, trust_all=True))
        assert self.connect(found, *["192.0.2.1"] * 3)[2].cut

    def test_address_that_is_not_known_counts_with_all_only(self) -> None:
        made = self.connect(self.connections(), "", "", "", "")
        assert [connection.cut for connection in made] == [False] * 3 + [True]

    def test_who_was_admitted_before_is_not_cut(self) -> None:
        found = self.connections(refuses=False)
        made = self.connect(found, *["192.0.2.1"] * 5)
        assert not any(connection.cut for connection in made)
        for connection in made:
            found.discard(connection)
        assert not self.connect(self.connections(), "192.0.2.1")[0].cut

    def test_either_limit_may_stand_alone(self) -> None:
        only_all = self.connections(replace(WEB, max_connections=1))
        assert [one.cut for one in self.connect(only_all, "192.0.2.1", "192.0.2.2")] == [False, True]
        each = self.connections(replace(WEB, name="each", max_connections_per_address=1))
        found = self.connect(each, *(f"192.0.2.{number}" for number in range(50)), "192.0.2.7")
        assert [one.cut for one in found] == [False] * 50 + [True]

    def test_no_limit_is_no_admission(self) -> None:
        made = [
            admission_of(point, self.shared, b"s", self.refusals, self.clock.seconds)
            for point in (WEB, LIMITED, replace(WEB, max_connections=1))
        ]
        assert [found is None for found in made] == [True, False, False]

    def test_flood_is_counted_and_said_a_few_times(self) -> None:
        found = self.connections()
        with capturedLogs() as logs:
            self.connect(found, *["192.0.2.1"] * 102)
            self.clock.advance(60)
            self.connect(found, "192.0.2.1")
        assert self.refusals == {"connections-of-address": 101}
        assert len(logs) == 6
        first, last = formatEvent(logs[0]), formatEvent(logs[-1])
        why = "Refused a connection from 192.0.2.1 to entry point web: connections-of-address"
        assert (first, last) == (why, f"{why}; 95 more since the last line")


class EntranceLimitTests(test_entrances.EntranceTests):
    """A data plane with one entry point that has limits. What it does without them it does with them."""

    def begin(self, entry_point: EntryPoint = WEB) -> None:
        super().begin(replace(entry_point, max_connections=50, max_connections_per_address=40))

    def limited(self, entry_point: EntryPoint = LIMITED) -> None:
        """The same with less room."""
        super().begin(entry_point)

    def refusals(self) -> dict[str, int]:
        return dict(self.plane.statistics.refusals)

    def come(self, host: str = "192.0.2.1") -> Wire:
        protocol: Any = self.listeners[-1].site.buildProtocol(None)
        wire = Wire(self.clock, protocol, host)
        protocol.makeConnection(wire)
        self.clock.advance(0)
        return wire

    def test_one_too_many_is_cut_at_once_and_the_others_are_served(self) -> None:
        self.limited()
        first, second, third = (self.come() for _ in range(3))
        assert third.state != "open"
        for wire in (first, second):
            wire.send(b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n")
            assert wire.read().startswith(b"HTTP/1.1 404 ")
        assert self.refusals() == {"connections-of-address": 1}
        first.reset()
        assert self.come().state == "open"

    def test_cut_connection_is_not_served_whatever_it_sent(self) -> None:
        self.limited()
        for _ in range(2):
            self.come()
        protocol: Any = self.listeners[-1].site.buildProtocol(None)
        wire = Wire(self.clock, protocol)
        protocol.makeConnection(wire)
        protocol.dataReceived(b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n")
        assert wire.read() == b""
        assert self.plane.statistics.count == 0

    def test_connection_whose_first_octets_are_looked_at_counts_once(self) -> None:
        self.limited()
        self.plane.take(TCP, 1)
        for _ in range(2):
            wire = self.come()
            wire.send(b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n")
            assert wire.read().startswith(b"HTTP/1.1 404 ")
        assert self.come().state != "open"
        assert self.refusals() == {"connections-of-address": 1}

    def test_address_is_that_of_the_proxy_header(self) -> None:
        self.limited(replace(LIMITED, max_connections=20, proxy_trusted=("192.0.2.0/24",)))
        wires = []
        for client in (b"1", b"1", b"1", b"2"):
            wire = self.come()
            wire.send(
                b"PROXY TCP4 198.51.100.%b 192.0.2.9 4000 80\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n" % client
            )
            wires.append(wire.read()[:12])
        assert wires == [b"HTTP/1.1 404", b"HTTP/1.1 404", b"", b"HTTP/1.1 404"]
        assert self.refusals() == {"connections-of-address": 1}
