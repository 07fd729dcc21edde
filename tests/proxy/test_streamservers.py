"""Services of streams while they run: whose turn it is, who is left out, how servers are connected to."""

from __future__ import annotations

import ssl
from collections import Counter
from datetime import timedelta

import pytest

from dynbalancer import pem
from dynbalancer.control.counters import LocalCounters
from dynbalancer.core.streams import StreamServer, StreamService, StreamTransport
from dynbalancer.errors import ConfigurationError
from dynbalancer.proxy.streamservers import LiveStreams, MakingStreams, checking_streams, manner_of

OWN = pem.self_signed("a.example", ["a.example"], life=timedelta(days=9))


class Making:
    """Makes services at a time that stands still."""

    def __init__(self) -> None:
        self.now = 0.0
        self.make = MakingStreams(LocalCounters(), lambda: self.now)

    def service(
        self,
        name: str,
        *addresses: str,
        before: LiveStreams | None = None,
        members: tuple[tuple[LiveStreams, int], ...] = (),
        **states: str,
    ) -> LiveStreams:
        servers = tuple(
            StreamServer(address, state=states.get(f"s{at}", "ready")) for at, address in enumerate(addresses)
        )
        return self.make("tcp", StreamService(name, servers), None, members, before)


def asked(service: LiveStreams, times: int = 1) -> list[str]:
    """Where so many connections go first."""
    return [next(service.choices()).server.address for _ in range(times)]


def test_servers_take_turns() -> None:
    service = Making().service("db", "a:1", "b:1", "c:1")
    assert asked(service, 4) == ["a:1", "b:1", "c:1", "a:1"]
    assert sorted(upstream.server.address for upstream in service.choices()) == ["a:1", "b:1", "c:1"]


def test_servers_that_are_not_ready_are_left_out() -> None:
    service = Making().service("db", "a:1", "b:1", "c:1", s0="draining", s2="down")
    assert asked(service, 2) == ["b:1", "b:1"]
    assert list(Making().service("none").choices()) == []


def test_server_that_failed_comes_last_for_a_while() -> None:
    making = Making()
    service = making.service("db", "a:1", "b:1")
    service.upstreams[0].avoid_until = 2.0
    assert asked(service, 3) == ["b:1"] * 3
    assert [upstream.server.address for upstream in service.choices()] == ["b:1", "a:1"]
    again = making.service("db", "a:1", "b:1", before=service)
    assert asked(again, 2) == ["b:1"] * 2
    making.now = 2.0
    assert set(asked(again, 2)) == {"a:1", "b:1"}


def test_members_have_their_share() -> None:
    making = Making()
    three, one, none = (
        making.service("three", "a:1"),
        making.service("one", "b:1", "c:1"),
        making.service("none", "d:1"),
    )
    service = making.service("all", members=((three, 3), (one, 1), (none, 0)))
    assert Counter(asked(service, 8)) == {"a:1": 6, "b:1": 1, "c:1": 1}
    assert {upstream.server.address for upstream in service.choices()} == {"a:1", "b:1", "c:1"}


def test_a_member_of_which_no_server_is_well_is_passed_over() -> None:
    making = Making()
    down, well = making.service("down", "a:1", s0="down"), making.service("well", "b:1")
    service = making.service("all", members=((down, 3), (well, 1)))
    assert asked(service, 4) == ["b:1"] * 4


@pytest.mark.parametrize("address", ["a", "a:", ":1", "a:0", "a:65536", "a:x"])
def test_address_that_is_none(address: str) -> None:
    with pytest.raises(ConfigurationError, match="address with a port"):
        checking_streams("tcp", StreamService("db", (StreamServer(address),)), None, (), None)


def test_address_of_ipv6_loses_its_brackets() -> None:
    (upstream,) = Making().service("db", "[2001:db8::1]:53").upstreams
    assert (upstream.host, upstream.port) == ("2001:db8::1", 53)


def test_manner_is_the_services_before_the_transports() -> None:
    transport = StreamTransport("t", 5.0, 0.0, 1.0, 2, "db.example")
    manner = manner_of(StreamService("db"), transport)
    assert (manner.dial_time, manner.keep_alive, manner.termination_delay) == (5.0, False, 1.0)
    assert (manner.proxy_protocol, manner.server_name, manner.tls) == (2, "db.example", None)
    manner = manner_of(StreamService("db", proxy_protocol=1, termination_delay=-1.0), transport)
    assert (manner.proxy_protocol, manner.termination_delay) == (1, -1.0)
    manner = manner_of(StreamService("db"), None)
    assert (manner.dial_time, manner.keep_alive, manner.termination_delay, manner.proxy_protocol) == (
        None,
        True,
        0.1,
        0,
    )


def test_servers_with_tls_are_checked_unless_switched_off() -> None:
    service = StreamService("db", (StreamServer("a:1", tls=True),))
    found = manner_of(service, StreamTransport("t", root_cas=(OWN.chain,))).tls
    assert found is not None
    assert (found.check_hostname, found.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert found.cert_store_stats()["x509"] == 1
    found = manner_of(service, StreamTransport("t", insecure=True)).tls
    assert found is not None
    assert (found.check_hostname, found.verify_mode) == (False, ssl.CERT_NONE)
    with pytest.raises(ConfigurationError):
        manner_of(service, StreamTransport("t", certificates=(("rubbish", "rubbish"),)))
    assert manner_of(service, StreamTransport("t", certificates=((OWN.chain, OWN.key),))).tls is not None
    with pytest.raises(ConfigurationError, match="OpenSSL refuses it"):
        manner_of(service, StreamTransport("t", root_cas=("no certificate",)))
