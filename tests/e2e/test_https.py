"""HTTPS as a browser meets it: real handshakes, by curl, by openssl, and by Python's ssl."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from balancer import Balancer, Serve, Start, free_port
from eventually import LONG, eventually
from web import ask

from dynbalancer import pem

ROUTES = """\
http:
  routers:
    everything: {{rule: "PathPrefix(`/`)", service: blue, entryPoints: [websecure]}}
    secret: {{rule: "Host(`t.example.com`)", service: blue, entryPoints: [web], tls: {{}}}}
  services:
    blue: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{port}"}}]}}}}
tls:
  certificates:
    - {{certFile: exact.pem, keyFile: exact.key}}
    - {{certFile: wildcard.pem, keyFile: wildcard.key}}
"""


class Secure:
    """A balancer with an entry point for TLS, and the certificates it was given."""

    def __init__(self, directory: Path, upstream: int) -> None:
        self.directory = directory
        self.port = free_port()
        self.balancer: Balancer
        self.write("exact", "a.example.com")
        self.write("wildcard", "*.example.com")
        (directory / "dyn.yml").write_text(ROUTES.format(port=upstream))

    def write(self, stem: str, *names: str) -> None:
        """A new certificate, put in place as renewal programs do: one file after the other."""
        made = pem.self_signed(names[0], names, life=timedelta(days=9))
        for suffix, text in ((".key", made.key), (".pem", made.chain)):
            fresh = self.directory / "fresh"
            fresh.write_text(text)
            fresh.rename(self.directory / f"{stem}{suffix}")

    def curl(self, name: str, *arguments: str) -> str:
        """What curl prints for https://NAME/, trusting the certificates there are."""
        trusted = self.directory / "trusted.pem"
        found = (self.directory / f"{stem}.pem" for stem in ("exact", "wildcard"))
        trusted.write_text("".join(path.read_text() for path in found))
        command = ["curl", "-sS", "-m", str(LONG), "--noproxy", "*", "--cacert", str(trusted)]
        command += ["--resolve", f"{name}:{self.port}:127.0.0.1", *arguments, f"https://{name}:{self.port}/"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONG)
        return done.stdout if done.returncode == 0 else f"curl ended with {done.returncode}: {done.stderr}"

    def openssl(self, *arguments: str) -> str:
        """What openssl s_client says of a handshake."""
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", *arguments]
        done = subprocess.run(command, input="", capture_output=True, text=True, timeout=LONG)
        return done.stdout + done.stderr

    def subject(self, *arguments: str) -> str:
        """The subject of the certificate that openssl is shown."""
        lines = self.openssl(*arguments).splitlines()
        return next((line for line in lines if line.startswith("subject=")), "none")

    def connect(
        self, name: str = "a.example.com", session: ssl.SSLSession | None = None, port: int = 0
    ) -> ssl.SSLSocket:
        """A connection whose handshake is over."""
        plain = socket.create_connection(("127.0.0.1", port or self.port), timeout=LONG)
        return CLIENT.wrap_socket(plain, server_hostname=name, session=session)

    def shown(self) -> bytes | None:
        """The certificate that a.example.com shows now."""
        with self.connect() as connection:
            return connection.getpeercert(binary_form=True)


def request(connection: ssl.SSLSocket, name: str = "a.example.com") -> bytes:
    """One request, and what is answered until the server closes."""
    connection.sendall(b"GET / HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % name.encode())
    found = b""
    while part := connection.recv(65536):
        found += part
    return found


def _anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


CLIENT = _anybody()


@pytest.fixture
def secure(workdir: Path, serve: Serve, start: Start) -> Secure:
    """Certificates and routes in files; ``launch`` starts a balancer with them."""
    upstream, _ = serve("blue")
    return Secure(workdir, upstream)


def launch(secure: Secure, start: Start, *flags: str) -> Balancer:
    """Start the balancer, and wait until it speaks TLS."""
    own = [
        f"--entrypoints.websecure.address=127.0.0.1:{secure.port}",
        "--entrypoints.websecure.http.tls=true",
    ]
    secure.balancer = start(*own, f"--file.filename={secure.directory / 'dyn.yml'}", *flags)
    eventually(secure.shown)
    return secure.balancer


@pytest.mark.parametrize("workers", [0, 2])
def test_certificate_is_chosen_by_name(secure: Secure, start: Start, workers: int) -> None:
    launch(secure, start, f"--workers={workers}")
    for name, subject in (
        ("a.example.com", "a.example.com"),
        ("A.Example.Com", "a.example.com"),
        ("b.example.com", "*.example.com"),
        ("x.b.example.com", "dynbalancer default certificate"),
        ("example.org", "dynbalancer default certificate"),
    ):
        assert secure.subject("-servername", name) == f"subject=CN = {subject}"
    assert secure.subject("-noservername") == "subject=CN = dynbalancer default certificate"


@pytest.mark.parametrize("workers", [0, 2])
def test_requests_over_tls_are_https_to_servers(secure: Secure, start: Start, workers: int) -> None:
    launch(secure, start, f"--workers={workers}")
    for name in ("a.example.com", "b.example.com"):
        answer = secure.curl(name).lower()
        assert "name: blue" in answer
        assert "x-forwarded-proto: https" in answer
        assert f"x-forwarded-port: {secure.port}" in answer
    assert "curl ended with 60" in secure.curl("x.b.example.com")
    assert "Name: blue" in secure.curl("x.b.example.com", "-k")
    assert "ALPN protocol: http/1.1" in secure.openssl("-alpn", "h2,http/1.1")


@pytest.mark.parametrize("workers", [0, 2])
def test_router_with_tls_answers_where_tls_is_not_all_and_never_plain(
    secure: Secure, start: Start, workers: int
) -> None:
    balancer = launch(secure, start, f"--workers={workers}")
    assert balancer.ask("t.example.com").status == 404
    with secure.connect("t.example.com", port=balancer.port) as connection:
        answer = request(connection, "t.example.com")
    assert b"X-Forwarded-Proto: https" in answer
    plain = subprocess.run(
        ["curl", "-s", f"http://127.0.0.1:{secure.port}/"], capture_output=True, timeout=LONG
    )
    assert (plain.returncode != 0, plain.stdout) == (True, b"")


def test_renewed_certificate_answers_the_next_handshake_and_none_fails(secure: Secure, start: Start) -> None:
    launch(secure, start, "--workers=2")
    shown: list[bytes | None] = []
    failures: list[Exception] = []

    def shake() -> None:
        while len(shown) + len(failures) < 200 or len(set(shown)) < 3:
            try:
                with secure.connect() as connection:
                    assert b"Name: blue" in request(connection)
                    shown.append(connection.getpeercert(binary_form=True))
            except (OSError, AssertionError) as error:
                failures.append(error)

    with secure.connect() as kept:
        shaking = threading.Thread(target=shake)
        shaking.start()
        begun = time.monotonic()
        while shaking.is_alive() and time.monotonic() - begun < LONG:
            secure.write("exact", "a.example.com")
            shaking.join(0.4)
        assert not shaking.is_alive()
        assert failures == []
        newest = ssl.PEM_cert_to_DER_cert((secure.directory / "exact.pem").read_text())
        eventually(lambda: secure.shown() == newest)
        assert b"Name: blue" in request(kept)


def test_pair_that_does_not_fit_is_kept_out(secure: Secure, start: Start) -> None:
    balancer = launch(secure, start)
    before = secure.shown()
    (secure.directory / "exact.key").write_text((secure.directory / "wildcard.key").read_text())
    eventually(lambda: "the key does not belong to the certificate" in balancer.problems())
    assert secure.shown() == before


@pytest.mark.parametrize("workers", [0, 2])
def test_old_versions_of_tls_are_refused(secure: Secure, start: Start, workers: int) -> None:
    launch(secure, start, f"--workers={workers}")
    for version in ("-tls1", "-tls1_1"):
        assert "Cipher is (NONE)" in secure.openssl(version, "-cipher", "ALL:@SECLEVEL=0")
    for version, name in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
        assert f"New, {name}, Cipher is " in secure.openssl(version)


@pytest.mark.parametrize("hello", [b"", b"\x16\x03\x01"])
def test_handshake_that_takes_too_long_is_cut(secure: Secure, start: Start, hello: bytes) -> None:
    launch(secure, start, "--limits.handshaketime=1s")
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", secure.port), timeout=LONG) as silent:
        silent.sendall(hello)
        assert silent.recv(1000) == b""
        assert time.monotonic() - began > 0.4


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_session_is_resumed_by_workers_that_never_saw_it(
    secure: Secure, start: Start, version: ssl.TLSVersion
) -> None:
    balancer = launch(secure, start, "--workers=2")
    client = _anybody()
    client.maximum_version = version

    def shake(session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", secure.port), timeout=LONG)
        return client.wrap_socket(plain, server_hostname="a.example.com", session=session)

    with shake() as first:
        assert b"Name: blue" in request(first)
        session, before = first.session, balancer.worker_pids()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(balancer.worker_pids()) == 2 and not set(before) & set(balancer.worker_pids()))
    with eventually(lambda: shake(session)) as second:
        assert second.session_reused
        assert b"Name: blue" in request(second)


def test_keys_are_nowhere_to_be_seen(secure: Secure, start: Start) -> None:
    balancer = launch(secure, start, "--loglevel=debug")
    secure.write("exact", "a.example.com")
    assert "a.example.com" in secure.subject("-servername", "a.example.com")
    paths = ("/api", "/api/rawdata", "/api/overview", "/api/problems", "/api/entrypoints")
    said = balancer.output + "".join(ask(balancer.api_port, "localhost", path).body for path in paths)
    assert "secret@file" in said
    assert "PRIVATE KEY" not in said
    for stem in ("exact", "wildcard"):
        assert (secure.directory / f"{stem}.key").read_text().splitlines()[1] not in said
