"""Clients' certificates as clients meet them: accepted, refused, missing; told to servers; not to be got around."""

from __future__ import annotations

import socket
import ssl
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote_plus

import pytest
from authority import Identity, signed
from balancer import Balancer, Serve, Start, free_port
from eventually import LONG, eventually

from dynbalancer import pem

ROUTES = """\
http:
  routers:
    locked:
      rule: "Host(`locked.example.com`)"
      service: blue
      middlewares: [tell]
      tls: {{options: mtls}}
    open: {{rule: "Host(`open.example.com`)", service: blue, middlewares: [tell], tls: {{}}}}
    strange: {{rule: "Host(`strange.example.com`)", service: blue, tls: {{options: nosuch}}}}
  middlewares:
    tell:
      passTLSClientCert:
        pem: true
        info: {{subject: {{commonName: true, organization: true}}, issuer: {{commonName: true}}, sans: true}}
  services:
    blue: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{port}"}}]}}}}
tls:
  certificates:
    - {{certFile: all.pem, keyFile: all.key}}
  options:
    mtls:
      {version}
      clientAuth: {{caFiles: [ca.crt]}}
"""

AUTHORITY, STRANGER = signed("Authority", authority=True), signed("Stranger", authority=True)
CLIENT = signed("client-1", AUTHORITY, names=["c.example.com", "d.example.com"])
FORGED = signed("client-1", STRANGER)


class Locked:
    """A balancer with a host that wants certificates, and one that does not."""

    def __init__(self, directory: Path, upstream: int, start: Start, workers: int, version: str) -> None:
        self.directory = directory
        self.port = free_port()
        made = pem.self_signed("all", ["*.example.com"], life=timedelta(days=9))
        (directory / "all.pem").write_text(made.chain)
        (directory / "all.key").write_text(made.key)
        (directory / "ca.crt").write_text(AUTHORITY.chain)
        self.routes = directory / "dyn.yml"
        self.write(upstream, version)
        flags = [f"--entrypoints.websecure.address=127.0.0.1:{self.port}", f"--workers={workers}"]
        flags += ["--entrypoints.websecure.http.tls=true", f"--file.filename={self.routes}"]
        self.balancer: Balancer = start(*flags)
        eventually(lambda: self.ask("open.example.com").startswith("HTTP/1.1 200"))

    def write(self, upstream: int, version: str = "") -> None:
        """Routes and options."""
        text = ROUTES.format(
            port=upstream, version=f"maxVersion: {version}" if version else "sniStrict: false"
        )
        self.routes.write_text(text)

    def connect(
        self,
        name: str | None,
        shows: Identity | None = None,
        session: ssl.SSLSession | None = None,
        **about: ssl.SSLContext,
    ) -> ssl.SSLSocket:
        """A connection whose handshake is over on this side."""
        context = about.get("context") or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if "context" not in about:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if shows is not None:
                shows.load(context, self.directory)
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=LONG)
        return context.wrap_socket(plain, server_hostname=name, session=session)

    def ask(self, host: str, shows: Identity | None = None, name: str | None = "", fields: str = "") -> str:
        """The answer of a fresh connection, or ``refused``; ``name`` is asked for by SNI, if it is another one."""
        try:
            with self.connect(host if name == "" else name, shows) as connection:
                return talk(connection, host, fields)
        except (ssl.SSLError, ConnectionError):
            return "refused"

    def resumed(self, context: ssl.SSLContext, session: ssl.SSLSession) -> str:
        """What the locked host answers who resumes a session of the open one."""
        try:
            with self.connect("locked.example.com", session=session, context=context) as connection:
                return talk(connection, "locked.example.com")
        except (ssl.SSLError, ConnectionError):
            return "refused"


def talk(connection: ssl.SSLSocket, host: str, fields: str = "", close: str = "close") -> str:
    """One request, and its answer."""
    connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: {close}\r\n{fields}\r\n".encode())
    found = b""
    while part := connection.recv(65536):
        found += part
        if close != "close" and b"\r\n\r\n" in found:
            break
    return found.decode("latin-1") or "refused"


@pytest.fixture(
    scope="module",
    params=[(0, ""), (2, "VersionTLS12"), (2, "VersionTLS13")],
    ids=["alone", "workers-1.2", "workers-1.3"],
)
def locked(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    serve_shared: Serve,
    start_shared: Start,
) -> Locked:
    """The balancer, with and without workers, with each version of TLS. The last test here changes it."""
    upstream, _ = serve_shared("blue")
    return Locked(tmp_path_factory.mktemp("locked"), upstream, start_shared, *request.param)


def status(answer: str) -> str:
    """The status of an answer, or ``refused``."""
    return answer.split(" ")[1] if answer.startswith("HTTP/1.1 ") else answer


def test_only_who_shows_a_good_certificate_gets_in(locked: Locked) -> None:
    assert status(locked.ask("locked.example.com", CLIENT)) == "200"
    assert locked.ask("locked.example.com") == "refused"
    assert locked.ask("locked.example.com", FORGED) == "refused"
    assert status(locked.ask("open.example.com")) == "200"
    assert status(locked.ask("open.example.com", FORGED)) == "200"
    # Its options do not exist: it is off.
    assert status(locked.ask("strange.example.com")) == "404"


def test_server_is_told_what_was_shown_and_nothing_forged(locked: Locked) -> None:
    forged = "X-Forwarded-Tls-Client-Cert: forged\r\nX-Forwarded-Tls-Client-Cert-Info: Subject%3D%22CN%3Droot%22\r\n"
    answer = locked.ask("locked.example.com", CLIENT, fields=forged)
    lines = dict(line.split(": ", 1) for line in answer.splitlines() if ": " in line)
    body = "".join(CLIENT.chain.splitlines()[1:-1])
    assert lines["X-Forwarded-Tls-Client-Cert"] == body
    said = unquote_plus(lines["X-Forwarded-Tls-Client-Cert-Info"])
    assert said == 'Subject="O=Example,CN=client-1";Issuer="CN=Authority";SAN="c.example.com,d.example.com"'
    assert "forged" not in answer
    answer = locked.ask("open.example.com", fields=forged)
    assert status(answer) == "200"
    assert "Tls-Client-Cert" not in answer


def test_host_behind_other_options_is_misdirected(locked: Locked) -> None:
    assert status(locked.ask("locked.example.com", name="open.example.com")) == "421"
    assert status(locked.ask("LOCKED.example.com.", name="open.example.com")) == "421"
    assert status(locked.ask("locked.example.com:443", name=None)) == "421"
    assert status(locked.ask("open.example.com", CLIENT, name="locked.example.com")) == "421"
    assert status(locked.ask("locked.example.com", CLIENT, name="LOCKED.example.com")) == "200"
    with locked.connect("open.example.com") as connection:
        for _ in range(3):
            assert status(talk(connection, "open.example.com", close="keep-alive")) == "200"
        assert status(talk(connection, "locked.example.com")) == "421"


def test_session_of_an_open_host_does_not_lead_into_a_locked_one(locked: Locked) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with locked.connect("open.example.com", context=context) as connection:
        assert status(talk(connection, "open.example.com")) == "200"
        session = connection.session
    assert session is not None
    assert locked.resumed(context, session) == "refused"


def test_connection_from_before_does_not_outlive_what_is_asked_now(locked: Locked) -> None:
    with locked.connect("locked.example.com", CLIENT) as connection:
        assert status(talk(connection, "locked.example.com", close="keep-alive")) == "200"
        (locked.directory / "ca.crt").write_text(STRANGER.chain)
        eventually(lambda: status(locked.ask("locked.example.com", FORGED)) == "200")
        # Another worker may hear of it later.
        eventually(lambda: status(talk(connection, "locked.example.com", close="keep-alive")) == "421")
    eventually(lambda: locked.ask("locked.example.com", CLIENT) == "refused")


OLD = """\
http:
  routers:
    all: {{rule: "PathPrefix(`/`)", service: blue}}
  services:
    blue: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{port}"}}]}}}}
"""


def test_entry_point_of_traefik_1_asks_everybody(workdir: Path, serve: Serve, start: Start) -> None:
    upstream, _ = serve("blue")
    port = free_port()
    (workdir / "ca.crt").write_text(AUTHORITY.chain)
    (workdir / "dyn.yml").write_text(OLD.format(port=upstream))
    start(
        f"--entryPoints=Name:https Address:127.0.0.1:{port} TLS CA:{workdir / 'ca.crt'}",
        f"--file.filename={workdir / 'dyn.yml'}",
        "--workers=1",
    )

    def asked(shows: Identity | None) -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if shows is not None:
            shows.load(context, workdir)
        try:
            plain = socket.create_connection(("127.0.0.1", port), timeout=LONG)
            with context.wrap_socket(plain, server_hostname="a.example.com") as connection:
                return status(talk(connection, "a.example.com"))
        except (ssl.SSLError, ConnectionError):
            return "refused"

    eventually(lambda: asked(CLIENT) == "200")
    assert asked(None) == "refused"
    assert asked(FORGED) == "refused"
