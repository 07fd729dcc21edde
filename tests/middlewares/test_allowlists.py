"""ipAllowList and ipWhiteList: who is let in, and that whoever can't be told is not."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.exchange import Response
from dynbalancer.middlewares.allowlists import IpAllowList, IpWhiteList
from dynbalancer.testing import MiddlewareContract, exchange

LOCAL = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"]


def answer(
    made: IpAllowList | IpWhiteList, client: str = "192.0.2.9", said: str | None = None
) -> Response | None:
    """What is answered to a client whose peer said this of where it comes from."""
    value = client if said is None else f"{said}, {client}"
    return made.on_request(exchange(headers={b"X-Forwarded-For": value.encode()}, client=client))


class TestIpAllowList(MiddlewareContract):
    make = IpAllowList.from_settings
    good = {"sourceRange": "10.0.0.0/8, 192.0.2.1", "ipStrategy": {"depth": "1"}}
    bad = (
        {},
        {"sourceRange": []},
        {"sourceRange": ""},
        {"sourceRange": ["10.0.0.0/33"]},
        {"sourceRange": ["a.example"]},
        {"sourceRange": LOCAL, "ipStrategy": {"depth": -1}},
        {"sourceRange": LOCAL, "ipStrategy": "x"},
        {"sourceRange": LOCAL, "rejectStatusCode": 99},
        {"sourceRange": LOCAL, "rejectStatusCode": 299},
        {"sourceRange": LOCAL, "useXForwardedFor": True},
    )


class TestIpWhiteList(MiddlewareContract):
    make = IpWhiteList.from_settings
    good = {"sourceRange": LOCAL}
    bad = (
        {},
        {"sourceRange": LOCAL, "rejectStatusCode": 404},
        {"sourceRange": LOCAL, "useXForwardedFor": "perhaps"},
        {"sourceRange": LOCAL, "useXForwardedFor": True, "ipStrategy": {"depth": 1}},
    )


@pytest.mark.parametrize("made", [IpAllowList, IpWhiteList])
@pytest.mark.parametrize(
    ("client", "let_in"),
    [
        ("192.0.2.1", True),
        ("192.0.2.2", False),
        ("10.255.0.1", True),
        ("::ffff:10.1.2.3", True),
        ("2001:db8::7", True),
        ("2001:db9::7", False),
        ("fe80::1%eth0", False),
        ("", False),
    ],
)
def test_peer_decides_where_nothing_else_is_said(made: Any, client: str, let_in: bool) -> None:
    found = answer(made.from_settings("m@file", {"sourceRange": LOCAL}), client, "10.0.0.1")
    assert (found is None) is let_in
    if found is not None:
        assert (found.status, found.body) == (403, b"Forbidden")


# The cases of Traefik's own integration tests, whose peer is 127.0.0.1, and some that are meant to slip in.
@pytest.mark.parametrize(
    ("ranges", "ip_strategy", "said", "let_in"),
    [
        (["8.8.8.8"], {}, "8.8.8.8", False),
        (["8.8.8.8"], {"depth": 3}, "8.8.8.8,10.0.0.1,127.0.0.1", True),
        (["8.8.8.8"], {"depth": 3}, "10.0.0.1,8.8.8.8,127.0.0.1", False),
        (["10.0.0.1"], {"excludedIPs": ["10.0.0.1", "10.0.0.2"]}, "10.0.0.3,10.0.0.1,10.0.0.2", False),
        (["8.8.8.8"], {"excludedIPs": ["10.0.0.1", "10.0.0.2"]}, "8.8.8.8,10.0.0.1,10.0.0.2", True),
        (["8.8.8.8"], {"depth": 1}, "8.8.8.8,", False),
        (["8.8.8.8"], {"depth": 1}, "8.8.8.8, x", False),
        (["8.8.8.8"], {"depth": 2}, "8.8.8.8", False),
        (["8.8.8.8"], {"depth": 1}, "8.8.8.8:51000", True),
        (["2001:db8::/32"], {"depth": 1}, "[2001:db8::1]:51000", True),
        (["2001:db8::/32"], {"depth": 1}, "[2001:db8::1", True),
        (["2001:db8::/64"], {"depth": 1, "ipv6Subnet": 64}, "2001:db8::1:2:3:4", True),
        (["0.0.0.0/0", "::/0"], {"depth": 1}, "", False),
        (["0.0.0.0/0", "::/0"], {"depth": 1}, "unknown", False),
        (["0.0.0.0/0", "::/0"], {"depth": 1}, "9" * 9000, False),
    ],
)
def test_entry_of_the_strategy_decides(
    ranges: list[str], ip_strategy: dict[str, Any], said: str, let_in: bool
) -> None:
    settings = {"sourceRange": ranges, "ipStrategy": ip_strategy}
    for made in (IpAllowList, IpWhiteList):
        assert (answer(made.from_settings("m@file", settings), "127.0.0.1", said) is None) is let_in


def test_strategy_that_finds_nothing_lets_nobody_in() -> None:
    made = IpAllowList.from_settings("m@file", {"sourceRange": ["0.0.0.0/0"], "ipStrategy": {"depth": 1}})
    assert answer(made) is not None
    assert made.on_request(exchange()) is not None


@pytest.mark.parametrize(
    ("code", "status", "body"),
    [
        ("404", 404, b"Not Found"),
        (0, 403, b"Forbidden"),
        (None, 403, b"Forbidden"),
        (503, 503, b"Service Unavailable"),
    ],
)
def test_code_may_be_chosen(code: object, status: int, body: bytes) -> None:
    made = IpAllowList.from_settings("m@file", {"sourceRange": LOCAL, "rejectStatusCode": code})
    found = answer(made)
    assert found is not None
    assert (found.status, found.body) == (status, body)


@pytest.mark.parametrize(
    ("client", "said", "let_in"),
    [
        ("127.0.0.1", "10.0.0.1, 198.51.100.7", True),
        ("127.0.0.1", "198.51.100.7, 10.0.0.1", True),
        ("10.0.0.1", "198.51.100.7", True),
        ("10.0.0.1", None, True),
        ("127.0.0.1", "198.51.100.7", False),
        ("127.0.0.1", None, False),
    ],
)
def test_in_the_manner_of_traefik_1_any_entry_counts(client: str, said: str | None, let_in: bool) -> None:
    made = IpWhiteList.from_settings("m@docker", {"sourceRange": LOCAL, "useXForwardedFor": "true"})
    assert (answer(made, client, said) is None) is let_in
