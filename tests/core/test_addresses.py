"""Ranges of addresses: what is in them, however it is written, and what never is."""

from __future__ import annotations

import pytest

from dynbalancer.core.addresses import AddressRanges, grouped


@pytest.mark.parametrize(
    ("ranges", "address", "inside"),
    [
        ((), "192.0.2.1", False),
        (("192.0.2.0/24",), "192.0.2.255", True),
        (("192.0.2.0/24",), "192.0.3.0", False),
        (("192.0.2.77/24",), "192.0.2.1", True),
        ((" 192.0.2.1 ", "198.51.100.0/24"), "192.0.2.1", True),
        (("192.0.2.1",), "::ffff:192.0.2.1", True),
        (("::ffff:192.0.2.0/120",), "::ffff:192.0.2.1", True),
        (("0.0.0.0/0",), "2001:db8::1", False),
        (("::/0",), "192.0.2.1", False),
        (("fe80::/10",), "fe80::1%eth0", True),
        (("fe80::/10",), "fe80::1%", False),
        (("192.0.2.0/24",), "192.0.2.1%eth0", False),
        (("2001:db8::/32",), "2001:DB8:0:0::1", True),
        (("2001:db8::/32",), "2001:db9::1", False),
        (("0.0.0.0/0", "::/0"), "", False),
        (("0.0.0.0/0", "::/0"), "rubbish", False),
        (("0.0.0.0/0", "::/0"), "192.0.2.1, 192.0.2.2", False),
        (("0.0.0.0/0",), "0192.0.2.1", False),
        (("0.0.0.0/0",), "3221225985", False),
        (("0.0.0.0/0",), "192.0.2", False),
    ],
)
def test_an_address_is_in_a_range_or_not(ranges: tuple[str, ...], address: str, inside: bool) -> None:
    made = AddressRanges(ranges)
    # The second time it is remembered.
    assert [address in made, address in made] == [inside, inside]
    assert bool(made) is bool(ranges)


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "10.0.0", "a.example", "::/129", "10.0.0.0/8/8", "1"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        AddressRanges((text,))


def test_many_and_long_texts_are_not_all_remembered() -> None:
    made = AddressRanges(("10.0.0.0/8",))
    for number in range(5000):
        assert f"10.0.{number >> 8}.{number & 255}" in made
        assert f"{number}" + "x" * 64 not in made
    assert len(made._remembered) <= 4096
    assert all(len(text) <= 64 for text in made._remembered)


@pytest.mark.parametrize(
    ("address", "bits", "group"),
    [
        ("2001:db8:1:2:3::4", 64, "2001:db8:1:2::"),
        ("2001:db8:1:2:3::4%eth0", 48, "2001:db8:1::"),
        ("2001:db8::1", 128, "2001:db8::1"),
        ("192.0.2.1", 64, "192.0.2.1"),
        ("::ffff:192.0.2.1", 64, "::ffff:192.0.2.1"),
        ("rubbish", 64, "rubbish"),
        ("", 64, ""),
    ],
)
def test_ipv6_addresses_are_grouped_by_their_network(address: str, bits: int, group: str) -> None:
    assert grouped(address, bits) == group
