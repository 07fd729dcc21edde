"""Connections that are not HTTP, over real sockets: with TLS and without, beside HTTP on one port."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from balancer import Balancer, free_port
from eventually import LONG, eventually
from hosts import bound
from rawclient import request
from rawserver import RawServer
from show import show

from dynbalancer import pem

CERTIFICATE = pem.self_signed("p.test", ["p.test"], life=timedelta(days=2))

ROUTES = """\
http:
  routers:
    web: {{rule: "Host(`w.test`)", service: web, entryPoints: [web]}}
    secure: {{rule: "Host(`w.test`)", service: web, entryPoints: [web], tls: {{}}}}
  services:
    web: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{web}"}}]}}}}
udp:
  routers:
    echo: {{service: echo, entryPoints: [echo]}}
  services:
    echo: {{weighted: {{services: [{{name: first, weight: 3}}, {{name: second, weight: 1}}]}}}}
    first: {{loadBalancer: {{servers: [{{address: "127.0.0.1:{udp_first}"}}]}}}}
    second: {{loadBalancer: {{servers: [{{address: "127.0.0.1:{udp_second}"}}]}}}}
tcp:
  routers:
    pass: {{rule: "HostSNI(`p.test`)", service: tls, entryPoints: [web], tls: {{passthrough: true}}}}
    term: {{rule: "HostSNI(`t.test`)", service: plain, entryPoints: [web], tls: {{}}}}
    again: {{rule: "HostSNI(`u.test`)", service: again, entryPoints: [web], tls: {{}}}}
    any: {{rule: "HostSNI(`*`)", service: both, entryPoints: [raw]}}
    few: {{rule: "HostSNI(`*`)", service: told, entryPoints: [few], middlewares: [one]}}
  middlewares:
    one: {{inFlightConn: {{amount: 1}}}}
  services:
    plain: {{loadBalancer: {{servers: [{{address: "127.0.0.1:{plain}"}}]}}}}
    told: {{loadBalancer: {{proxyProtocol: {{version: 1}}, servers: [{{address: "127.0.0.1:{plain}"}}]}}}}
    tls: {{loadBalancer: {{servers: [{{address: "127.0.0.1:{tls}"}}]}}}}
    again: {{loadBalancer: {{serversTransport: own, servers: [{{address: "127.0.0.1:{tls}", tls: true}}]}}}}
    both: {{weighted: {{services: [{{name: plain, weight: 3}}, {{name: second, weight: 1}}]}}}}
    second: {{loadBalancer: {{servers: [{{address: "127.0.0.1:{second}"}}]}}}}
  serversTransports:
    own: {{tls: {{serverName: p.test, rootCAs: [{directory}/p.pem]}}}}
"""


class Echo:
    """Greets, says everything again, and says when the client is done."""

    def __init__(self, greeting: bytes, tls: ssl.SSLContext | None = None) -> None:
        self._greeting = greeting
        self._tls = tls
        self._sock = bound()
        self._sock.listen()
        self.port: int = self._sock.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with sock:
                sock.sendall(self._greeting)
                while data := sock.recv(65536):
                    sock.sendall(data)
                sock.sendall(b" bye")
        except OSError:
            pass

    def stop(self) -> None:
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


class DatagramEcho:
    """Says every datagram again, with its own name before it."""

    def __init__(self, name: bytes) -> None:
        self._name = name
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self.port: int = self._sock.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                data, client = self._sock.recvfrom(65536)
            except OSError:
                return
            if not data:
                return
            self._sock.sendto(self._name + data, client)

    def stop(self) -> None:
        # Closing alone would not wake who waits.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", ("127.0.0.1", self.port))
        self._sock.close()


@dataclass
class Ports:
    """A balancer with entry points for everything."""

    balancer: Balancer
    raw: int
    few: int
    datagrams: int


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[Ports]:
    """A balancer, and servers of every kind behind it."""
    (directory / "p.pem").write_text(CERTIFICATE.chain)
    (directory / "p.key").write_text(CERTIFICATE.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "p.pem", directory / "p.key")
    web = RawServer(bound()).start()
    echoes = {"plain": Echo(b"plain "), "second": Echo(b"second "), "tls": Echo(b"tls ", context)}
    spoken = {"udp_first": DatagramEcho(b"first "), "udp_second": DatagramEcho(b"second ")}
    where = {name: echo.port for name, echo in (*echoes.items(), *spoken.items())}
    (directory / "routes.yml").write_text(ROUTES.format(directory=directory, web=web.port, **where))
    raw, few, datagrams = free_port(), free_port(), free_port()
    balancer = Balancer(
        directory,
        f"--file.filename={directory / 'routes.yml'}",
        "--workers=2",
        f"--entrypoints.raw.address=127.0.0.1:{raw}",
        f"--entrypoints.few.address=127.0.0.1:{few}",
        f"--entrypoints.echo.address=127.0.0.1:{datagrams}/udp",
        "--entrypoints.echo.udp.timeout=15m",
    )
    try:
        yield Ports(balancer.wait_until_ready(), raw, few, datagrams)
    finally:
        balancer.stop()
        show(f"the balancer on port {balancer.port}", balancer.output)
        for echo in (*echoes.values(), *spoken.values()):
            echo.stop()
        web.stop()


@pytest.fixture(scope="module")
def ports() -> Iterator[Ports]:
    """One for all tests that leave it as it was."""
    with tempfile.TemporaryDirectory(prefix="dynb-") as directory, serving(Path(directory)) as found:
        yield found


@pytest.fixture
def own_ports(workdir: Path) -> Iterator[Ports]:
    """One for this test."""
    with serving(workdir) as found:
        yield found


def connect(port: int, name: str = "", trusting: str = "") -> socket.socket:
    """A connection, with TLS where a name is given."""
    sock = socket.create_connection(("127.0.0.1", port), LONG)
    if not name:
        return sock
    context = ssl.create_default_context(cadata=trusting or None)
    if not trusting:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(sock, server_hostname=name)


def exactly(sock: socket.socket, size: int) -> bytes:
    """So many octets, or fewer where the connection ends."""
    found = b""
    while len(found) < size and (data := sock.recv(size - len(found))):
        found += data
    return found


def said(sock: socket.socket, words: bytes, answer: bytes) -> bool:
    """Whether this is the answer to these words."""
    sock.sendall(words)
    return exactly(sock, len(answer)) == answer


def test_plain_connections_reach_servers_by_their_weights_whichever_worker_takes_them(ports: Ports) -> None:
    greetings = []
    for _ in range(8):
        with connect(ports.raw) as sock:
            greetings.append(exactly(sock, 6))
    assert sorted(greetings) == [b"plain "] * 6 + [b"second"] * 2


def test_half_closed_connection_gets_the_rest_and_much_of_it(ports: Ports) -> None:
    with connect(ports.few) as sock:
        assert exactly(sock, 6) == b"plain "
        own = sock.getsockname()[1]
        header = f"PROXY TCP4 127.0.0.1 127.0.0.1 {own} {ports.few}\r\n".encode()
        assert exactly(sock, len(header)) == header
        much = bytes(range(256)) * 40000
        threading.Thread(target=lambda: (sock.sendall(much), sock.shutdown(socket.SHUT_WR))).start()
        assert exactly(sock, len(much) + 100) == much + b" bye"


def test_tls_goes_through_or_ends_here_or_goes_on_anew(ports: Ports) -> None:
    with connect(ports.balancer.port, "p.test", CERTIFICATE.chain) as sock:
        assert said(sock, b"hello", b"tls hello")
    with connect(ports.balancer.port, "t.test") as sock:
        assert said(sock, b"hello", b"plain hello")
    with connect(ports.balancer.port, "u.test") as sock:
        assert said(sock, b"hello" * 10000, b"tls " + b"hello" * 10000)


def test_http_and_https_share_the_port(ports: Ports) -> None:
    for name, host, status in (
        ("", "w.test", b"200"),
        ("w.test", "w.test", b"200"),
        ("x.test", "x.test", b"404"),
    ):
        with connect(ports.balancer.port, name) as sock:
            assert said(sock, request(host), b"HTTP/1.1 " + status)


def test_connections_at_a_time_are_limited_in_all_workers_together(ports: Ports) -> None:
    def taken() -> socket.socket | None:
        sock = connect(ports.few)
        if exactly(sock, 5) == b"plain":
            return sock
        sock.close()
        return None

    # Whoever was there before may just be leaving.
    first = eventually(taken)
    assert first is not None
    others = [connect(ports.few) for _ in range(3)]
    assert [exactly(sock, 5) for sock in others] == [b""] * 3
    for sock in (first, *others):
        sock.close()


def test_table_without_tcp_gives_the_port_back_to_http(own_ports: Ports, workdir: Path) -> None:
    text = (workdir / "routes.yml").read_text()
    (workdir / "routes.yml").write_text(text.partition("tcp:\n")[0])

    def gone() -> bool:
        with connect(own_ports.raw) as sock:
            return said(sock, request("w.test"), b"HTTP/1.1 404")

    eventually(gone)
    with connect(own_ports.balancer.port, "w.test") as sock:
        assert said(sock, request("w.test"), b"HTTP/1.1 200")


def test_datagrams_of_a_client_keep_their_server_and_clients_take_turns(ports: Ports) -> None:
    greetings = []
    for _ in range(8):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(LONG)
            sock.connect(("127.0.0.1", ports.datagrams))
            answers = []
            for words in (b"hello", b"x" * 9000):
                sock.send(words)
                answers.append(sock.recv(65536))
                assert answers[-1].endswith(b" " + words)
            assert len({answer.split(b" ")[0] for answer in answers}) == 1
            greetings.append(answers[0].split(b" ")[0])
    assert sorted(greetings) == [b"first"] * 6 + [b"second"] * 2


def test_datagrams_go_on_after_their_worker_was_killed(own_ports: Ports) -> None:
    for pid in own_ports.balancer.worker_pids():
        os.kill(pid, signal.SIGKILL)

    def answered() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.5)
            sock.connect(("127.0.0.1", own_ports.datagrams))
            sock.send(b"hello")
            return sock.recv(100).endswith(b"hello")

    eventually(answered)
