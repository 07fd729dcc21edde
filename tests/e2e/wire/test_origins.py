"""Where a request came from, as the server is told, and where a redirect may lead."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from balancer import Balancer, Start
from eventually import eventually
from hosts import bound
from rawclient import Client, Reply, request
from rawserver import RawServer, Request

ROUTES = """\
http:
  routers:
    plain: {{rule: "Host(`plain.test`)", service: web}}
    secure: {{rule: "Host(`secure.test`)", service: web, middlewares: [secure]}}
  middlewares:
    secure: {{redirectScheme: {{scheme: https}}}}
  services:
    web: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{port}"}}]}}}}
"""


@pytest.fixture
def server() -> Iterator[RawServer]:
    """One that records."""
    started = RawServer(bound()).start()
    yield started
    started.stop()
    assert started.problems == []


@pytest.fixture
def balancer(start: Start, server: RawServer, workdir: Path) -> Balancer:
    """One that trusts 127.0.0.1, and none of its other addresses."""
    (workdir / "routes.yml").write_text(ROUTES.format(port=server.port))
    trusted = "--entrypoints.web.forwardedheaders.trustedips=127.0.0.1/32,192.0.2.0/24"
    started: Balancer = start(f"--file.filename={workdir / 'routes.yml'}", "--workers=1", trusted)
    return started


def arrived(balancer: Balancer, server: RawServer, source: str, *lines: str) -> Request:
    """What the server gets of a request from this address with these fields."""
    with Client(balancer.port, source=source) as client:
        assert client.ask("plain.test", "/", "GET", *lines).status == 200
    return server.requests[-1]


FORGED = (
    "X-Forwarded-For: 203.0.113.9, 192.0.2.7",
    "X-Forwarded-For: junk",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: other.test",
    "X-Forwarded-Port: 443",
    "X-Forwarded-Prefix: /up",
    "X-Forwarded-Tls-Client-Cert: forged",
    "X-Real-Ip: 203.0.113.9",
    "Forwarded: for=203.0.113.9",
    "X_Forwarded_For: 203.0.113.9",
    "X-Forwarded_Proto: https",
    "x_real_ip: 203.0.113.9",
)


def test_stranger_does_not_say_where_it_came_from(balancer: Balancer, server: RawServer) -> None:
    got = arrived(balancer, server, "127.0.0.2", *FORGED)
    assert got.all(b"x-forwarded-for") == [b"127.0.0.2"]
    assert got.all(b"x-real-ip") == [b"127.0.0.2"]
    assert got.all(b"x-forwarded-proto") == [b"http"]
    assert got.all(b"x-forwarded-host") == [b"plain.test"]
    assert got.all(b"x-forwarded-port") == [b"80"]
    for forged in (
        b"203.0.113.9",
        b"junk",
        b"/up",
        b"other.test",
        b"https",
        b"_",
        b"\r\nforwarded:",
        b"forged",
    ):
        assert forged not in got.head.lower(), forged


def test_trusted_peer_is_believed_and_joins_the_list(balancer: Balancer, server: RawServer) -> None:
    got = arrived(balancer, server, "127.0.0.1", *FORGED)
    assert got.all(b"x-forwarded-for") == [b"203.0.113.9, 192.0.2.7, junk, 127.0.0.1"]
    assert got.all(b"x-real-ip") == [b"203.0.113.9"]
    assert got.all(b"x-forwarded-proto") == [b"https"]
    assert got.all(b"x-forwarded-host") == [b"other.test"]
    got = arrived(balancer, server, "127.0.0.1")
    assert got.all(b"x-forwarded-for") == [b"127.0.0.1"]


def test_nobody_can_have_a_field_of_ours_dropped(balancer: Balancer, server: RawServer) -> None:
    """By naming it in Connection."""
    names = ("X-Forwarded-For", "X-Real-Ip, close", "Host", "Content-Length, Authorization")
    for source, named in itertools.product(("127.0.0.1", "127.0.0.2"), names):
        got = arrived(balancer, server, source, f"Connection: {named}", "Authorization: Basic YTpi")
        assert got.all(b"x-forwarded-for") == [source.encode()]
        assert got.all(b"x-real-ip") == [source.encode()]
        assert got.all(b"host") == [b"plain.test"]
        assert got.all(b"authorization") == [b"Basic YTpi"]
        assert got.all(b"connection") == []


PATHS = (
    "//evil.test",
    "///evil.test/x",
    "/%0d%0aX-Evil:%20y",
    "/?u=http://evil.test",
    "/@evil.test",
    "/a/..//evil.test",
)


def redirected(balancer: Balancer, path: str) -> Reply:
    """Where a request for this path is sent."""
    with Client(balancer.port) as client:
        client.send(request("secure.test", path))
        return client.reply()


def test_redirect_stays_with_its_host_and_in_its_line(balancer: Balancer, server: RawServer) -> None:
    there = b"https://secure.test/"
    for path in PATHS:
        reply = redirected(balancer, path)
        assert reply.status in (301, 302, 307, 308)
        location = reply.get(b"location")
        assert location is not None and location.startswith(there) and not location.startswith(there + b"/")
        assert reply.get(b"x-evil") is None
    assert redirected(balancer, "/\\evil.test").status == 400
    assert server.requests == []


def test_proxy_header_of_a_trusted_peer_says_who_the_client_is(
    start: Start, server: RawServer, workdir: Path
) -> None:
    (workdir / "routes.yml").write_text(ROUTES.format(port=server.port))
    flags = ("--entrypoints.web.proxyprotocol.trustedips=127.0.0.1/32", "--workers=1", "--accesslog")
    balancer = start(f"--file.filename={workdir / 'routes.yml'}", *flags)
    v1 = b"PROXY TCP4 203.0.113.9 198.51.100.1 5555 80\r\n"
    v2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0f" + bytes([203, 0, 113, 9, 198, 51, 100, 1])
    v2 += (5555).to_bytes(2, "big") + (80).to_bytes(2, "big") + b"\x04\x00\x00"
    asked = request("plain.test")
    for pieces in ([v1 + asked], [v2 + asked], [v2, asked], [bytes([octet]) for octet in v1 + asked]):
        with Client(balancer.port) as client:
            for piece in pieces:
                client.send(piece)
            assert client.reply().status == 200
            assert client.ask("plain.test").status == 200
        for got in server.requests[-2:]:
            assert got.all(b"x-forwarded-for") == got.all(b"x-real-ip") == [b"203.0.113.9"]
    with Client(balancer.port) as client:
        assert client.ask("plain.test").status == 200
    assert server.requests[-1].all(b"x-forwarded-for") == [b"127.0.0.1"]
    before = len(server.requests)
    for source, header in (
        ("127.0.0.2", v1),
        ("127.0.0.2", v2),
        ("127.0.0.1", b"PROXY TCP4 1 2 3 4\r\n"),
        ("127.0.0.1", b"PROXY UNKNOWN " + b"f" * 108),
        ("127.0.0.1", v2[:-1] + b"\x01"),
    ):
        with Client(balancer.port, source=source) as client:
            client.send(header, asked)
            assert client.is_closed()
    assert len(server.requests) == before
    eventually(lambda: "203.0.113.9 - - " in balancer.output)

    def refusals() -> tuple[int, int]:
        figures = balancer.api("/api/statistics")["refusals"]
        return figures.get("proxy-untrusted", 0), figures.get("proxy-header", 0)

    eventually(lambda: refusals() == (2, 3))
