"""What a demo server answers."""

from __future__ import annotations

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from dynbalancer_demo.whoami import make_site


def answer(request: bytes) -> bytes:
    """The bytes that a server named demo-7 sends back."""
    here = IPv4Address("TCP", "127.0.0.1", 40000)
    protocol = make_site("demo-7", Clock()).buildProtocol(here)
    transport = StringTransport(hostAddress=here, peerAddress=IPv4Address("TCP", "127.0.0.1", 50000))
    assert protocol is not None
    protocol.makeConnection(transport)
    protocol.dataReceived(request)
    return transport.value()


def test_it_prints_itself_and_the_request_it_saw() -> None:
    head, _, body = answer(
        b"GET /a?b=c HTTP/1.1\r\nUser-Agent: curl\r\nHost: whoami.docker.localhost\r\nX-Real-Ip: 192.0.2.1\r\n\r\n"
    ).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert body.decode().splitlines() == [
        "Hostname: demo-7",
        "IP: 127.0.0.1",
        "GET /a?b=c HTTP/1.1",
        "Host: whoami.docker.localhost",
        "User-Agent: curl",
        "X-Real-Ip: 192.0.2.1",
        "",
    ]


@pytest.mark.parametrize("method", [b"POST", b"DELETE", b"BREW"])
def test_every_method_is_answered(method: bytes) -> None:
    assert b"\n" + method + b" / HTTP/1.1\n" in answer(
        method + b" / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    )


def test_a_head_has_no_body() -> None:
    head, _, body = answer(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").partition(b"\r\n\r\n")
    assert b"200 OK" in head
    assert body == b""


def test_a_connection_serves_several_requests() -> None:
    assert answer(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2).count(b"HTTP/1.1 200 OK") == 2
