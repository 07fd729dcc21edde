"""Who asks: the address behind other proxies, and nothing that a client made up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dynbalancer.core.exchange import Exchange
from dynbalancer.errors import ConfigurationError
from dynbalancer.middlewares.base import SettingsReader
from dynbalancer.middlewares.sources import (
    IP_STRATEGY,
    SOURCE_CRITERION,
    IpStrategy,
    SourceCriterion,
    forwarded_for,
)
from dynbalancer.testing import exchange

HOST = SourceCriterion(host=True)


def behind(said: bytes | None, client: str = "192.0.2.1") -> Exchange:
    """A request whose peer said this; the entry point has appended the peer, as it does."""
    value = client.encode() if said is None else said + b", " + client.encode()
    return exchange(headers={b"X-Forwarded-For": value}, client=client)


def strategy(settings: Mapping[str, Any]) -> IpStrategy:
    return IpStrategy.read(SettingsReader("m@file", settings, IP_STRATEGY, "ipStrategy."))


def criterion(settings: Mapping[str, Any] | None) -> SourceCriterion:
    reader = SettingsReader("m@file", {"sourceCriterion": settings}, ("sourceCriterion",))
    return SourceCriterion.read(reader.below("sourceCriterion", SOURCE_CRITERION), HOST)


@pytest.mark.parametrize(
    ("said", "entries"),
    [
        (None, []),
        (b"198.51.100.7", ["198.51.100.7"]),
        (b"198.51.100.7,10.0.0.1 ,, ::1", ["198.51.100.7", "10.0.0.1", "", "::1"]),
        (b"192.0.2.1", ["192.0.2.1"]),
        (b"\xff", ["\xff"]),
        (b"198.51.100.7\xa0, \x8510.0.0.1", ["198.51.100.7\xa0", "\x8510.0.0.1"]),
    ],
)
def test_what_the_peer_said_comes_without_the_peer(said: bytes | None, entries: list[str]) -> None:
    assert forwarded_for(behind(said)) == entries


def test_without_the_field_there_are_no_entries() -> None:
    assert forwarded_for(exchange()) == []


@pytest.mark.parametrize(
    ("settings", "said", "address"),
    [
        ({}, b"198.51.100.7", "192.0.2.1"),
        ({"depth": 1}, b"198.51.100.7, 10.0.0.1", "10.0.0.1"),
        ({"depth": "2"}, b"198.51.100.7, 10.0.0.1", "198.51.100.7"),
        ({"depth": 3}, b"198.51.100.7, 10.0.0.1", ""),
        ({"depth": 1}, None, ""),
        ({"depth": 1}, b"", ""),
        ({"excludedIPs": "10.0.0.1,10.0.0.2"}, b"10.0.0.3, 10.0.0.1, 10.0.0.2", "10.0.0.3"),
        ({"excludedIPs": ["10.0.0.0/8"]}, b"198.51.100.7, 10.0.0.1, ", "198.51.100.7"),
        ({"excludedIPs": ["10.0.0.0/8"]}, b"10.0.0.9", ""),
        ({"excludedIPs": ["10.0.0.0/8"]}, None, ""),
        ({"excludedIPs": ["10.0.0.0/8"]}, b"198.51.100.7, rubbish, 10.0.0.1", "rubbish"),
        ({"depth": 1, "excludedIPs": ["10.0.0.0/8"]}, b"198.51.100.7, 10.0.0.1", "10.0.0.1"),
        ({"depth": 1, "ipv6Subnet": 64}, b"2001:db8:0:1:2::3", "2001:db8:0:1::"),
        ({"ipv6Subnet": "64"}, b"2001:db8::1", "192.0.2.1"),
        ({"excludedIPs": ["10.0.0.1"], "ipv6Subnet": 64}, b"2001:db8:0:1:2::3", "2001:db8:0:1:2::3"),
    ],
)
def test_strategy_finds_the_address_or_none(
    settings: dict[str, Any], said: bytes | None, address: str
) -> None:
    assert strategy(settings).address(behind(said)) == address


def test_ipv6_peers_of_one_network_are_one() -> None:
    found = strategy({"ipv6Subnet": 64})
    assert {found.address(behind(None, f"2001:db8::{number}")) for number in range(1, 4)} == {"2001:db8::"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"depth": -1}, "option ipStrategy.depth: expected a number from 0 to 1000, got -1"),
        ({"depth": "x"}, "option ipStrategy.depth: expected a whole number"),
        ({"excludedIPs": ["10.0.0.0/33"]}, "option ipStrategy.excludedIPs: .*10.0.0.0/33"),
        ({"ipv6Subnet": 129}, "option ipStrategy.ipv6Subnet: expected a number from 1 to 128"),
        ({"dept": 1}, "unknown option ipStrategy.dept; .*did you mean depth?"),
    ],
)
def test_bad_strategies_are_refused_in_words(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        strategy(settings)


@pytest.mark.parametrize(
    ("settings", "source"),
    [
        (None, "a.example"),
        ({}, "a.example"),
        ({"requestHost": "true"}, "a.example"),
        ({"requestHost": False}, "a.example"),
        ({"requestHeaderName": "X-Who"}, "ann"),
        ({"requestHeaderName": "X-Other"}, ""),
        ({"ipStrategy": {"depth": 1}}, "198.51.100.7"),
        ({"ipStrategy": {"depth": 9}}, None),
        ({"ipStrategy": {}}, "192.0.2.1"),
        ({"ipStrategy": "true"}, "192.0.2.1"),
        ({"ipStrategy": "false"}, "a.example"),
    ],
)
def test_criterion_gives_what_clients_are_told_apart_by(
    settings: dict[str, Any] | None, source: str | None
) -> None:
    a = behind(b"198.51.100.7")
    a.head.headers.add(b"x-who", b"ann")
    assert criterion(settings).source(a) == source


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"requestHost": True, "requestHeaderName": "X-A"}, "requestHost excludes requestHeaderName"),
        ({"ipStrategy": {"depth": 1}, "requestHost": True}, "requestHost excludes ipStrategy"),
        ({"requestHeaderName": "X A"}, "'X A' is no name of a header field"),
        ({"requestHead": "X"}, "unknown option sourceCriterion.requestHead"),
    ],
)
def test_bad_criteria_are_refused_in_words(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        criterion(settings)
