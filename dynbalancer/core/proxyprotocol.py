"""The PROXY protocol, versions 1 and 2 (HAProxy's specification of 2020): who a connection really comes from.

A balancer in front of us says it in a header before anything else. Whether the peer may say so is the caller's to know.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from dynbalancer.errors import RequestError

#: With what the headers of the two versions begin.
V1 = b"PROXY "
V2 = b"\r\n\r\n\x00\r\nQUIT\n"

#: The longest header of version 1 with its line end, and the part of one of version 2 that says how long it is.
LONGEST_V1 = 107
_FIXED = 16

#: An address and a port.
Endpoint = tuple[str, int]

_line = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|TCP([46]) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+)"
    rb" (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))\r\n"
).fullmatch
#: Families of version 2 and the size of their addresses (section 2.2); others must be refused.
_SIZES = {0x00: 0, 0x11: 12, 0x12: 12, 0x21: 36, 0x22: 36, 0x31: 216, 0x32: 216}
_CRC32C = 0x03


@dataclass(frozen=True, slots=True)
class Origin:
    """Who connected to whom, as a header says."""

    client: Endpoint
    server: Endpoint


class ProxyHeaderReader:
    """Reads the header of a connection, however its octets are split.

    :meth:`feed` until it says True; then ``origin`` is what the header said (None: there was none, or it says that the
    connection is the peer's own) and ``rest`` what came after it. A peer that is not ``trusted`` may have no header.
    """

    __slots__ = ("_held", "_trusted", "origin", "rest")

    def __init__(self, *, trusted: bool) -> None:
        self.origin: Origin | None = None
        self.rest = b""
        self._held = bytearray()
        self._trusted = trusted

    @property
    def held(self) -> bytes:
        """What is undecided so far."""
        return bytes(self._held)

    def feed(self, data: bytes) -> bool:
        """Whether it is known by now what the connection begins with. Raises RequestError for what is wrong."""
        held = self._held
        held += data
        if held.startswith((V1, V2)):
            if not self._trusted:
                raise RequestError(400, "proxy-untrusted", "a PROXY header from a peer that is not trusted")
            size = self._v1() if held[0] == V1[0] else self._v2()
            if not size:
                return False
        elif V1.startswith(held) or V2.startswith(held):
            return False
        else:
            size = 0
        self.rest = bytes(held[size:])
        return True

    def _v1(self) -> int:
        """The size of a header of version 1, 0 while it is not all there."""
        end = self._held.find(b"\r\n", 0, LONGEST_V1) + 2
        if end == 1:
            if len(self._held) >= LONGEST_V1:
                raise _malformed(f"longer than {LONGEST_V1} octets")
            return 0
        found = _line(bytes(self._held[:end]))
        if found is None:
            raise _malformed("it is no line of version 1")
        if found[1] is not None:
            ports = int(found[4]), int(found[5])
            kind = IPv4Address if found[1] == b"4" else IPv6Address
            try:
                hosts = [_text(kind(text.decode())) for text in found.group(2, 3)]
            except ValueError:
                raise _malformed("its addresses are none of its family") from None
            if max(ports) > 65535:
                raise _malformed("its ports are none")
            self.origin = Origin((hosts[0], ports[0]), (hosts[1], ports[1]))
        return end

    def _v2(self) -> int:
        """The size of a header of version 2, 0 while it is not all there."""
        held = self._held
        if len(held) < _FIXED:
            return 0
        size: int
        version, family, size = struct.unpack_from("!BBH", held, len(V2))
        if version not in (0x20, 0x21):
            raise _malformed(f"its version and command are {version:#04x}")
        # LOCAL: a health check of the balancer itself. What else it says is not for us (section 2.2).
        proxied = version == 0x21
        if proxied and size < _SIZES.get(family, 65536):
            raise _malformed(f"its family is {family:#04x} and its size {size}")
        end = _FIXED + size
        if len(held) < end:
            return 0
        if proxied:
            header = bytes(held[:end])
            _check_extras(header, _FIXED + _SIZES[family])
            self.origin = _origin(header, family)
        return end


def _origin(header: bytes, family: int) -> Origin | None:
    """What version 2 says; None for UNIX sockets and what is not specified."""
    if family >> 4 == 1:
        one, other, *ports = struct.unpack_from("!4s4sHH", header, _FIXED)
        hosts = _text(IPv4Address(one)), _text(IPv4Address(other))
    elif family >> 4 == 2:
        one, other, *ports = struct.unpack_from("!16s16sHH", header, _FIXED)
        hosts = _text(IPv6Address(one)), _text(IPv6Address(other))
    else:
        return None
    return Origin((hosts[0], ports[0]), (hosts[1], ports[1]))


def _text(address: IPv4Address | IPv6Address) -> str:
    """An address as it is written everywhere else: one of IPv4 inside IPv6 counts as IPv4."""
    return str(getattr(address, "ipv4_mapped", None) or address)


def _check_extras(header: bytes, at: int) -> None:
    """Are the further fields (type, size, value) whole, and does the checksum hold where there is one?"""
    while at < len(header):
        if at + 3 > len(header):
            raise _malformed("its last field is cut")
        kind, size = struct.unpack_from("!BH", header, at)
        at += 3
        if at + size > len(header):
            raise _malformed("a field is longer than the header")
        if kind == _CRC32C and header[at : at + size] != struct.pack(
            "!I", crc32c(header[:at] + bytes(size) + header[at + size :])
        ):
            raise _malformed("its checksum is another")
        at += size


def _malformed(why: str) -> RequestError:
    return RequestError(400, "proxy-header", f"a PROXY header that can't be read: {why}")


def crc32c(data: bytes) -> int:
    """The checksum of RFC 3720 appendix B.4 (Castagnoli's polynomial)."""
    found = 0xFFFFFFFF
    for octet in data:
        found = _TABLE[(found ^ octet) & 0xFF] ^ (found >> 8)
    return found ^ 0xFFFFFFFF


def _entry(index: int) -> int:
    for _ in range(8):
        index = (index >> 1) ^ (0x82F63B78 if index & 1 else 0)
    return index


_TABLE = tuple(map(_entry, range(256)))


def proxy_header(version: int, client: Endpoint, server: Endpoint) -> bytes:
    """A header that says who connected to whom. Addresses of two families are both written as IPv6."""
    one, other = ip_address(client[0].partition("%")[0]), ip_address(server[0].partition("%")[0])
    if one.version != other.version:
        one, other = _as_ipv6(one), _as_ipv6(other)
    if version == 1:
        family = 4 if one.version == 4 else 6
        return f"PROXY TCP{family} {one} {other} {client[1]} {server[1]}\r\n".encode("ascii")
    kind = 0x11 if one.version == 4 else 0x21
    ports = struct.pack("!HH", client[1], server[1])
    addresses = one.packed + other.packed + ports
    return V2 + struct.pack("!BBH", 0x21, kind, len(addresses)) + addresses


def _as_ipv6(address: IPv4Address | IPv6Address) -> IPv6Address:
    return address if isinstance(address, IPv6Address) else IPv6Address(f"::ffff:{address}")
