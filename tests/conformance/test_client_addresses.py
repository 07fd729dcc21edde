"""Whose request it is: what a trusted peer says counts, and the right-most hop that nobody vouches for is the client.

Peers, ranges, IPv4 inside IPv6, zones, the edges of networks, several lines, junk.
"""

from __future__ import annotations

import pytest

from dynbalancer.core.addresses import AddressRanges
from dynbalancer.core.exchange import Exchange
from dynbalancer.core.forwarded import TrustedPeers, forwarded_fields, merge_forwarded
from dynbalancer.core.http1 import parse_request_head
from dynbalancer.core.model import EntryPoint
from dynbalancer.core.settings import Limits
from dynbalancer.middlewares.sources import IpStrategy

NETS = ("10.0.0.0/8", "192.0.2.128/25", "2001:db8::/32", "fe80::/10")
SAID = ("203.0.113.9, 10.1.1.1",)

#: Peer, lines of X-Forwarded-For, and: is the peer trusted, what the server is told, who the client is.
CASES = [
    ("198.51.100.1", (), False, "198.51.100.1", ""),
    ("198.51.100.1", SAID, False, "198.51.100.1", ""),
    ("198.51.100.1", ("10.1.1.1",), False, "198.51.100.1", ""),
    ("10.0.0.1", (), True, "10.0.0.1", ""),
    ("10.0.0.1", SAID, True, "203.0.113.9, 10.1.1.1, 10.0.0.1", "203.0.113.9"),
    ("10.0.0.1", ("10.2.2.2",), True, "10.2.2.2, 10.0.0.1", ""),
    ("10.0.0.1", ("203.0.113.9, 198.51.100.7",), True, "203.0.113.9, 198.51.100.7, 10.0.0.1", "198.51.100.7"),
    ("10.0.0.1", ("203.0.113.9,10.1.1.1",), True, "203.0.113.9,10.1.1.1, 10.0.0.1", "203.0.113.9"),
    ("10.0.0.0", SAID, True, "203.0.113.9, 10.1.1.1, 10.0.0.0", "203.0.113.9"),
    ("10.255.255.255", SAID, True, "203.0.113.9, 10.1.1.1, 10.255.255.255", "203.0.113.9"),
    ("11.0.0.0", SAID, False, "11.0.0.0", ""),
    ("9.255.255.255", SAID, False, "9.255.255.255", ""),
    ("192.0.2.128", SAID, True, "203.0.113.9, 10.1.1.1, 192.0.2.128", "203.0.113.9"),
    ("192.0.2.127", SAID, False, "192.0.2.127", ""),
    ("2001:db8::1", SAID, True, "203.0.113.9, 10.1.1.1, 2001:db8::1", "203.0.113.9"),
    ("2001:db8:ffff:ffff::1", SAID, True, "203.0.113.9, 10.1.1.1, 2001:db8:ffff:ffff::1", "203.0.113.9"),
    ("2001:db9::1", SAID, False, "2001:db9::1", ""),
    ("::1", SAID, False, "::1", ""),
    ("fe80::1%eth0", SAID, True, "203.0.113.9, 10.1.1.1, fe80::1%eth0", "203.0.113.9"),
    ("fec0::1%eth0", SAID, False, "fec0::1%eth0", ""),
    (
        "10.0.0.1",
        ("203.0.113.9, ::ffff:10.1.1.1",),
        True,
        "203.0.113.9, ::ffff:10.1.1.1, 10.0.0.1",
        "203.0.113.9",
    ),
    ("10.0.0.1", ("::ffff:203.0.113.9",), True, "::ffff:203.0.113.9, 10.0.0.1", "::ffff:203.0.113.9"),
    ("10.0.0.1", ("203.0.113.9, fe80::2%eth1",), True, "203.0.113.9, fe80::2%eth1, 10.0.0.1", "203.0.113.9"),
    ("10.0.0.1", ("203.0.113.9", "10.1.1.1"), True, "203.0.113.9, 10.1.1.1, 10.0.0.1", "203.0.113.9"),
    (
        "10.0.0.1",
        ("203.0.113.9", "198.51.100.7"),
        True,
        "203.0.113.9, 198.51.100.7, 10.0.0.1",
        "198.51.100.7",
    ),
    ("10.0.0.1", ("203.0.113.9, junk",), True, "203.0.113.9, junk, 10.0.0.1", "junk"),
    ("10.0.0.1", ("203.0.113.9, 10.1.1",), True, "203.0.113.9, 10.1.1, 10.0.0.1", "10.1.1"),
    ("10.0.0.1", ("203.0.113.9, 010.1.1.1",), True, "203.0.113.9, 010.1.1.1, 10.0.0.1", "010.1.1.1"),
    ("10.0.0.1", ("203.0.113.9, , 10.1.1.1,",), True, "203.0.113.9, , 10.1.1.1,, 10.0.0.1", "203.0.113.9"),
    ("10.0.0.1", ("unknown, 10.1.1.1",), True, "unknown, 10.1.1.1, 10.0.0.1", "unknown"),
    (
        "10.0.0.1",
        ("2001:db8::9, 2001:db9::9, 2001:db8::8",),
        True,
        "2001:db8::9, 2001:db9::9, 2001:db8::8, 10.0.0.1",
        "2001:db9::9",
    ),
]


@pytest.mark.parametrize("peer, lines, trusted, told, client", CASES)
def test_whose_request_it_is(
    peer: str, lines: tuple[str, ...], *, trusted: bool, told: str, client: str
) -> None:
    assert (peer in TrustedPeers(NETS)) is trusted
    fields = "".join(f"X-Forwarded-For: {line}\r\n" for line in lines)
    block = f"GET / HTTP/1.1\r\nHost: a.example\r\n{fields}".encode().removesuffix(b"\r\n")
    head = parse_request_head(block, Limits(), trusted=trusted)
    exchange = Exchange(head, EntryPoint("web", 80), peer, 40000, trusted=trusted)
    merge_forwarded(head.headers, forwarded_fields(head, peer.encode(), b"proxy"))
    assert head.headers.all(b"x-forwarded-for") == [told.encode()]
    assert IpStrategy(excluded=AddressRanges(NETS)).address(exchange) == client
