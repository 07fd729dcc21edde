"""PROXY headers: what they say, which are refused, and that no split of their octets changes that."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.proxyprotocol import (
    V2,
    Endpoint,
    Origin,
    ProxyHeaderReader,
    crc32c,
    proxy_header,
)
from dynbalancer.errors import RequestError

REQUEST = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
ADDRESSES4 = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack("!HH", 40000, 443)
ADDRESSES6 = (
    IPv6Address("2001:db8::7").packed + IPv6Address("2001:db8::1").packed + struct.pack("!HH", 40000, 443)
)
FROM4 = Origin(("192.0.2.7", 40000), ("198.51.100.1", 443))
FROM6 = Origin(("2001:db8::7", 40000), ("2001:db8::1", 443))


def v2(family: int, payload: bytes, command: int = 0x21, size: int | None = None) -> bytes:
    """A header of version 2."""
    return V2 + struct.pack("!BBH", command, family, len(payload) if size is None else size) + payload


def field(kind: int, value: bytes) -> bytes:
    """One of the further fields."""
    return struct.pack("!BH", kind, len(value)) + value


def checked(family: int, payload: bytes) -> bytes:
    """A header with a checksum that holds."""
    header = v2(family, payload + field(3, bytes(4)))
    return header[:-4] + struct.pack("!I", crc32c(header))


GOOD = [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n", FROM4),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 443\r\n", FROM6),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN whatever it says is passed over\r\n", None),
    (b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n", None),
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 0 65535\r\n", Origin(("192.0.2.7", 0), ("198.51.100.1", 65535))),
    (v2(0x11, ADDRESSES4), FROM4),
    (v2(0x12, ADDRESSES4), FROM4),
    (v2(0x21, ADDRESSES6), FROM6),
    (v2(0x22, ADDRESSES6), FROM6),
    (
        b"PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 40000 443\r\n",
        Origin(("192.0.2.7", 40000), ("2001:db8::1", 443)),
    ),
    (v2(0x31, bytes(216)), None),
    (v2(0x32, bytes(216)), None),
    (v2(0x00, b""), None),
    (v2(0x00, field(4, b"noop")), None),
    (v2(0x11, ADDRESSES4, 0x20), None),
    (v2(0xFF, b"not looked at", 0x20), None),
    (v2(0x11, ADDRESSES4 + field(1, b"h2") + field(2, b"a.example")), FROM4),
    (v2(0x21, ADDRESSES6 + field(0xEA, bytes(4000))), FROM6),
    (checked(0x11, ADDRESSES4), FROM4),
    (b"", None),
]

BAD = [
    b"PROXY \r\n",
    b"PROXY TCP4\r\n",
    b"PROXY TCP5 192.0.2.7 198.51.100.1 40000 443\r\n",
    b"PROXY tcp4 192.0.2.7 198.51.100.1 40000 443\r\n",
    b"PROXY TCP4  192.0.2.7 198.51.100.1 40000 443\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443 \r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 040 443\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 65536\r\n",
    b"PROXY TCP4 192.0.2.256 198.51.100.1 40000 443\r\n",
    b"PROXY TCP4 192.0.2.07 198.51.100.1 40000 443\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 40000 443\r\n",
    b"PROXY TCP6 192.0.2.7 198.51.100.1 40000 443\r\n",
    b"PROXY TCP6 fe80::1%eth0 2001:db8::1 40000 443\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\nGET / HTTP/1.1\r\n",
    b"PROXY UNKNOWNX\r\n",
    b"PROXY UNKNOWN " + b"f" * 92 + b"\r\n",
    b"PROXY UNKNOWN " + b"f" * 500,
    v2(0x11, ADDRESSES4, 0x22),
    v2(0x11, ADDRESSES4, 0x11),
    v2(0x11, ADDRESSES4[:-1]),
    v2(0x21, ADDRESSES4),
    v2(0x31, bytes(215)),
    v2(0x10, ADDRESSES4),
    v2(0x13, ADDRESSES4),
    v2(0x41, bytes(300)),
    v2(0x11, ADDRESSES4 + b"\x01\x00"),
    v2(0x11, ADDRESSES4 + b"\x01\x00\x05four"),
    v2(0x11, ADDRESSES4 + field(1, b"h2") + b"\xea\xff\xff"),
    v2(0x11, ADDRESSES4 + field(3, bytes(4))),
    v2(0x11, ADDRESSES4 + field(3, bytes(3))),
    checked(0x11, ADDRESSES4)[:-1] + b"\x00",
]


def verdict(pieces: list[bytes], *, trusted: bool = True) -> tuple[Origin | None, bytes] | str:
    """What a reader makes of octets that come in these pieces: origin and rest, or why it refuses."""
    reader = ProxyHeaderReader(trusted=trusted)
    for number, piece in enumerate(pieces, 1):
        try:
            if reader.feed(piece):
                return reader.origin, reader.rest + b"".join(pieces[number:])
        except RequestError as error:
            return error.reason
    return "undecided"


def splits(data: bytes) -> list[list[bytes]]:
    """Octet by octet, and in two pieces at every place."""
    return [[bytes([octet]) for octet in data], *([data[:at], data[at:]] for at in range(1, len(data)))]


@pytest.mark.parametrize("header, origin", GOOD)
def test_good_header_gives_its_origin_and_the_rest_however_it_is_split(
    header: bytes, origin: Origin | None
) -> None:
    data = header + REQUEST
    assert verdict([data]) == (origin, REQUEST)
    assert all(verdict(pieces) == (origin, REQUEST) for pieces in splits(data))


@pytest.mark.parametrize("header", BAD)
def test_bad_header_is_refused_however_it_is_split(header: bytes) -> None:
    data = header + REQUEST
    assert verdict([data]) == "proxy-header"
    assert all(verdict(pieces) == "proxy-header" for pieces in splits(data))


@pytest.mark.parametrize("header", [header for header, _ in GOOD if header] + BAD)
def test_any_header_of_an_untrusted_peer_is_refused_however_it_is_split(header: bytes) -> None:
    assert verdict([header + REQUEST], trusted=False) == "proxy-untrusted"
    assert all(verdict(pieces, trusted=False) == "proxy-untrusted" for pieces in splits(header + REQUEST))


@pytest.mark.parametrize(
    "data", [REQUEST, b"PROPFIND / HTTP/1.1\r\n", b"\r\n\r\nGET / HTTP/1.1\r\n", b"\x16\x03\x01", b"PUT /"]
)
@pytest.mark.parametrize("trusted", [True, False])
def test_connection_without_a_header_goes_on_untouched(data: bytes, *, trusted: bool) -> None:
    assert verdict([data], trusted=trusted) == (None, data)
    assert all(verdict(pieces, trusted=trusted) == (None, data) for pieces in splits(data))


@pytest.mark.parametrize("data", [b"P", b"PROXY", V2[:5], V2, b"PROXY TCP4 192.0.2.7", GOOD[6][0][:-1]])
def test_part_of_a_header_is_undecided_and_held(data: bytes) -> None:
    reader = ProxyHeaderReader(trusted=True)
    assert not reader.feed(data)
    assert reader.held == data


def test_checksum_is_that_of_the_rfc() -> None:
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"123456789") == 0xE3069283


_PORTS = st.integers(0, 65535)
_HOSTS = st.one_of(
    st.integers(0, 2**32 - 1).map(lambda number: str(IPv4Address(number))),
    st.integers(0, 2**128 - 1).map(lambda number: str(IPv6Address(number))),
)


@given(st.sampled_from([1, 2]), st.tuples(_HOSTS, _PORTS), st.tuples(_HOSTS, _PORTS))
def test_written_header_is_read_back(version: int, client: Endpoint, server: Endpoint) -> None:
    found = verdict([proxy_header(version, client, server) + REQUEST])
    assert isinstance(found, tuple)
    assert found[1] == REQUEST
    assert found[0] is not None

    def plain(endpoint: Endpoint) -> tuple[str, int]:
        address = IPv6Address(endpoint[0]) if ":" in endpoint[0] else IPv4Address(endpoint[0])
        return str(getattr(address, "ipv4_mapped", None) or address), endpoint[1]

    assert plain(found[0].client) == plain(client)
    assert plain(found[0].server) == plain(server)


def test_headers_are_written_as_specified() -> None:
    assert proxy_header(1, *_ends(FROM4)) == GOOD[0][0]
    assert proxy_header(1, *_ends(FROM6)) == GOOD[1][0]
    assert proxy_header(2, *_ends(FROM4)) == v2(0x11, ADDRESSES4)
    assert proxy_header(2, *_ends(FROM6)) == v2(0x21, ADDRESSES6)
    assert proxy_header(
        1, ("192.0.2.7", 1), ("::1", 2)
    ) == b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n".replace(
        b"::ffff:192.0.2.7", str(IPv6Address("::ffff:192.0.2.7")).encode()
    )


def _ends(origin: Origin) -> tuple[Endpoint, Endpoint]:
    return origin.client, origin.server
