"""Listening sockets, and the sentence for each port that can't be had."""

from __future__ import annotations

import errno
import socket
from typing import Any

import pytest

from dynbalancer.start.sockets import BACKLOG, PortError, open_datagrams, open_listening


class FakeSocket:
    """Notes what it is told; ``refusals`` maps an address to the error of binding it."""

    refusals: dict[str, int] = {}
    no_ipv6 = False

    def __init__(self, family: int, kind: int) -> None:
        if self.no_ipv6 and family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "no IPv6")
        self.family = family
        self.told: list[Any] = []
        self.closed = False

    def setsockopt(self, *option: int) -> None:
        self.told.append(option)

    def bind(self, address: tuple[Any, ...]) -> None:
        if address[0] in self.refusals:
            raise OSError(self.refusals[address[0]], "refused")
        self.told.append(("bind", address[:2]))

    def listen(self, backlog: int) -> None:
        self.told.append(("listen", backlog))

    def setblocking(self, blocking: bool) -> None:
        self.told.append(("blocking", blocking))

    def close(self) -> None:
        self.closed = True


def made_with(refusals: dict[str, int], no_ipv6: bool = False) -> Any:
    """A kind of socket that refuses these addresses."""
    return type("Refusing", (FakeSocket,), {"refusals": refusals, "no_ipv6": no_ipv6})


def test_every_address_is_one_socket_for_ipv6_and_ipv4() -> None:
    found: Any = open_listening("", 80, "--x", FakeSocket)  # type: ignore[arg-type]
    assert found.family == socket.AF_INET6
    assert (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0) in found.told
    assert (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1) in found.told
    assert found.told[-3:] == [("bind", ("::", 80)), ("listen", BACKLOG), ("blocking", False)]


@pytest.mark.parametrize("make", [made_with({}, no_ipv6=True), made_with({"::": errno.EADDRNOTAVAIL})])
def test_without_ipv6_it_is_ipv4_alone(make: Any) -> None:
    found: Any = open_listening("", 80, "--x", make)
    assert found.family == socket.AF_INET
    assert ("bind", ("0.0.0.0", 80)) in found.told


def test_one_address() -> None:
    assert ("bind", ("127.0.0.1", 81)) in open_listening("127.0.0.1", 81, "--x", FakeSocket).told  # type: ignore
    found: Any = open_listening("::1", 81, "--x", FakeSocket)  # type: ignore[arg-type]
    assert (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1) in found.told


@pytest.mark.parametrize(
    "host, port, error, sentence",
    [
        (
            "",
            80,
            errno.EADDRINUSE,
            "port 80 on every address is taken by another program; choose another with --x=:8000",
        ),
        (
            "127.0.0.1",
            8000,
            errno.EADDRINUSE,
            "port 8000 on 127.0.0.1 is taken by another program; choose another with --x=127.0.0.1:8001",
        ),
        (
            "",
            80,
            errno.EACCES,
            "port 80 on every address is for root only here; choose a higher one with --x=:8000",
        ),
        (
            "192.0.2.1",
            80,
            errno.EADDRNOTAVAIL,
            "192.0.2.1 is not an address of this machine; choose another with",
        ),
        ("::1", 9000, errno.EADDRINUSE, "choose another with --x=[::1]:9001"),
        ("", 80, errno.ENOBUFS, "port 80 on every address can't be listened on: refused"),
    ],
)
def test_a_port_that_can_not_be_had_is_one_sentence_with_the_flag(
    host: str, port: int, error: int, sentence: str
) -> None:
    with pytest.raises(PortError) as caught:
        open_listening(host, port, "--x", made_with({host or "::": error}))
    assert sentence in str(caught.value)


def test_a_host_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*arguments: object, **options: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(PortError, match="there is no host web"):
        open_listening("web.example", 80, "--x")


def test_other_failures_of_making_a_socket_are_not_taken_for_missing_ipv6() -> None:
    def no_more(family: int, kind: int) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    with pytest.raises(PortError, match="Too many open files"):
        open_listening("", 80, "--x", no_more)


def test_socket_for_datagrams_listens_for_nothing_and_shares_its_port_with_nobody() -> None:
    found: Any = open_datagrams("", 53, "--x", FakeSocket)  # type: ignore[arg-type]
    assert found.told == [
        (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0),
        ("bind", ("::", 53)),
        ("blocking", False),
    ]
    found = open_datagrams("127.0.0.1", 53, "--x", FakeSocket)  # type: ignore[arg-type]
    assert found.told == [("bind", ("127.0.0.1", 53)), ("blocking", False)]


def test_port_for_datagrams_that_is_taken_is_one_sentence() -> None:
    with pytest.raises(PortError, match=r"port 53/udp on every address is taken .* --x=:8000/udp"):
        open_datagrams("", 53, "--x", made_with({"::": errno.EADDRINUSE}))
