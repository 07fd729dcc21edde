"""Highest random weight: clients stay, and few of them move when a server comes or goes."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.balancers import hrw
from dynbalancer.core.balancers.hrw import HighestRandomWeight
from dynbalancer.testing import exchange

CLIENTS = [
    f"192.0.2.{low}" if high == 0 else f"2001:db8::{high}:{low}" for high in range(8) for low in range(250)
]


def balancer(weights: dict[str, int]) -> HighestRandomWeight:
    servers: list[Any] = [SimpleNamespace(name=name, weight=weight) for name, weight in weights.items()]
    return HighestRandomWeight(servers, {}, lambda: 0, lambda: 0.0)


def chosen(weights: dict[str, int]) -> dict[str, str]:
    """The server of each client."""
    one = balancer(weights)
    return {client: next(one.choices(exchange(client=client))).name for client in CLIENTS}


@given(st.integers(2, 6), st.integers(0, 5))
def test_only_the_clients_of_a_server_that_left_move(count: int, gone: int) -> None:
    weights = {f"http://10.0.0.{n}:80": 1 for n in range(count)}
    before = chosen(weights)
    left = list(weights)[gone % count]
    del weights[left]
    after = chosen(weights)
    moved = {client for client in CLIENTS if before[client] != after[client]}
    assert moved == {client for client in CLIENTS if before[client] == left}


@given(st.integers(2, 6))
def test_a_new_server_takes_its_share_from_all_and_nobody_moves_elsewhere(count: int) -> None:
    weights = {f"http://10.0.0.{n}:80": 1 for n in range(count)}
    before = chosen(weights)
    after = chosen({**weights, "http://10.0.1.1:80": 1})
    moved = [client for client in CLIENTS if before[client] != after[client]]
    assert {after[client] for client in moved} == {"http://10.0.1.1:80"}
    assert len(moved) == pytest.approx(len(CLIENTS) / (count + 1), rel=0.2)


def test_shares_are_those_of_the_weights() -> None:
    shares = Counter(chosen({"http://a:80": 3, "http://b:80": 1, "http://c:80": 0}).values())
    assert shares["http://c:80"] == 0
    assert shares["http://a:80"] == pytest.approx(0.75 * len(CLIENTS), rel=0.06)


def test_a_client_has_one_order_with_each_server_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hrw, "REMEMBERED", 2)
    one = balancer({"http://a:80": 1, "http://b:80": 1, "http://c:80": 1})
    for client in CLIENTS[:5]:
        orders = [[server.name for server in one.choices(exchange(client=client))] for _ in range(2)]
        assert orders[0] == orders[1]
        assert sorted(orders[0]) == ["http://a:80", "http://b:80", "http://c:80"]


def test_nobody_to_choose_from() -> None:
    assert list(balancer({}).choices(exchange())) == []
