"""Ranges of IP addresses, and whether an address is in one."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

#: Answers that are remembered, and the longest text that may be an address (with a zone).
_REMEMBERED, _LONGEST = 4096, 64


class AddressRanges:
    """Says of the text of an address whether it is ``in`` one of them. What is no address is in none.

    IPv4-mapped IPv6 addresses count as IPv4, and a zone (``fe80::1%eth0``) does not count: it says on which link
    somebody is, not who.
    """

    __slots__ = ("_networks", "_remembered")

    def __init__(self, ranges: Iterable[str]) -> None:
        """Raises ValueError for what is neither an address nor a network."""
        self._networks = tuple(ip_network(text.strip(), strict=False) for text in ranges)
        self._remembered: dict[str, bool] = {}

    def __contains__(self, address: object) -> bool:
        text = str(address)
        found = self._remembered.get(text)
        if found is None:
            if len(text) > _LONGEST:
                return False
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            found = self._remembered[text] = self._look_up(text)
        return found

    def __bool__(self) -> bool:
        return bool(self._networks)

    def _look_up(self, text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network or address in network for network in self._networks)


def grouped(text: str, bits: int) -> str:
    """The first address of the IPv6 network of so many bits that an address is in; an IPv4 address as it is."""
    try:
        address: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        return text
    if not isinstance(address, IPv6Address) or address.ipv4_mapped:
        return text
    return str(IPv6Network((int(address), bits), strict=False).network_address)
