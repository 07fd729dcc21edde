"""The servers of the cases: each address of a case is a real socket on loopback, opened when it is first named."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from rawserver import Peer, RawServer, Request

from dynbalancer import pem

#: What may be in the table's ``servers`` section for one of them.
TOLD = frozenset(
    ("status", "with", "body", "chunks", "down", "drop", "slow", "silent", "raw", "first", "tls", "tcp")
)

_address = re.compile(r"(?P<before>//)10\.0\.(?P<net>[0-9]+)\.(?P<host>[0-9]+)(?::(?P<port>[0-9]+))?")


class Seen:
    """One request as a server got it."""

    def __init__(self, server: str, port: int, request: Request) -> None:
        self.server = server
        self.port = port
        self.request = request

    def get(self, name: str) -> str | None:
        """What the tables ask for: ``method``, ``target``, ``host``, ``body``, ``port``, or a field."""
        if name == "port":
            return str(self.port)
        if name == "method":
            return self.request.method.decode()
        if name == "target":
            return self.request.path
        if name == "body":
            return self.request.body.decode("latin-1")
        found = self.request.all(name.lower().encode())
        return ", ".join(value.decode("latin-1") for value in found) if found else None


class Servers:
    """All of them. ``told`` says how each answers, by the name it has in the case; ``seen`` is what they got."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self._told: Mapping[str, Mapping[str, Any]] = {}
        self._names: Mapping[str, str] = {}
        self._asked: dict[str, int] = {}
        self._open: dict[tuple[str, int], RawServer] = {}
        self._down: dict[tuple[str, int], socket.socket] = {}
        self._datagrams: dict[tuple[str, int], Datagrams] = {}
        self._encrypting = _encrypting()

    def begin(self, names: Mapping[str, str], told: Mapping[str, Mapping[str, Any]]) -> None:
        """Another case: what was seen is forgotten."""
        unknown = {key for one in told.values() for key in one} - TOLD
        assert not unknown, f"servers can't be told {unknown}"
        self._names, self._told, self.seen, self._asked = names, told, [], {}

    def datagrams(self, address: str, port: int) -> int:
        """The port of a server of datagrams, opened when it is first named."""
        if (address, port) not in self._datagrams:
            self._datagrams[address, port] = Datagrams(lambda: self._names.get(address, address))
        return self._datagrams[address, port].port

    def placed(self, text: str) -> str:
        """A text with the addresses of the tables replaced by those of real sockets."""

        def real(found: re.Match[str]) -> str:
            address = f"10.0.{found['net']}.{found['host']}"
            port = int(found["port"] or 80)
            return f"{found['before']}127.0.0.1:{self._port(address, port)}"

        return _address.sub(real, text)

    def named(self, text: str) -> str:
        """The other way: what the tables call it."""
        for (address, port), server in self._open.items():
            text = text.replace(f"127.0.0.1:{server.port}", address if port == 80 else f"{address}:{port}")
        return text

    def close(self) -> None:
        """End them all."""
        for server in self._open.values():
            server.stop()
        for sock in self._down.values():
            sock.close()
        for datagrams in self._datagrams.values():
            datagrams.stop()

    def _port(self, address: str, port: int) -> int:
        if self._told.get(self._names.get(address, address), {}).get("down"):
            if (address, port) not in self._down:
                self._down[address, port] = _bound()
            found: int = self._down[address, port].getsockname()[1]
            return found
        if (address, port) not in self._open:
            self._open[address, port] = RawServer(
                _bound(), lambda peer: self._serve(address, port, peer)
            ).start()
        return self._open[address, port].port

    def _serve(self, address: str, port: int, peer: Peer) -> None:
        if self._told.get(self._names.get(address, address), {}).get("tls"):
            peer.sock = self._encrypting.wrap_socket(peer.sock, server_side=True)
        if self._told.get(self._names.get(address, address), {}).get("tcp"):
            _echo(peer, self._names.get(address, address))
            return
        while (request := peer.request()) is not None:
            name = self._names.get(address, address)
            told = self._told.get(name, {})
            self._asked[name] = self._asked.get(name, 0) + 1
            self.seen.append(Seen(name, port, request))
            # ``first: 2`` means: so for the first two requests, and as usual after that.
            if "first" in told and self._asked[name] > told["first"]:
                told = {}
            if not _answer(peer, name, request, told):
                return


def grown(value: object) -> str:
    """A text of a table; ``{repeat: ab, times: 3}`` stands for a long one."""
    return value["repeat"] * value["times"] if isinstance(value, Mapping) else str(value)


def _encrypting() -> ssl.SSLContext:
    """TLS of servers, with a certificate that nobody trusts."""
    made = pem.make_own()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(made.chain + made.key)
        file.flush()
        context.load_cert_chain(file.name)
    return context


class Datagrams:
    """Answers each datagram with its name and what came."""

    def __init__(self, name: Callable[[], str]) -> None:
        self._name = name
        self._sock = socket.socket(type=socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self.port: int = self._sock.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            data, client = self._sock.recvfrom(65536)
            if data == b"end":
                return
            self._sock.sendto(f"{self._name()}: ".encode() + data, client)

    def stop(self) -> None:
        """End it."""
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.sendto(b"end", ("127.0.0.1", self.port))
        self._thread.join(10)
        self._sock.close()


def _echo(peer: Peer, name: str) -> None:
    """Answer whatever comes with the server's name and the same again."""
    while data := peer.sock.recv(65536):
        peer.send(f"{name}: ".encode(), data)


def _bound() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def _answer(peer: Peer, name: str, request: Request, told: Mapping[str, Any]) -> bool:
    """Answer as told; false where the connection is to end."""
    if "slow" in told:
        time.sleep(told["slow"])
    if told.get("drop"):
        return False
    if told.get("silent"):
        peer.wait_for_end(30)
        return False
    if "raw" in told:
        peer.send(told["raw"].encode("latin-1"))
        return False
    if request.all(b"upgrade") and "status" not in told:
        _tunnel(peer, request)
        return False
    body = grown(told.get("body", f"{name}\n")).encode()
    fields = {"Content-Type": "text/plain", "X-Server": name, **told.get("with", {})}
    lines = [f"HTTP/1.1 {told.get('status', 200)} Told"]
    for field, value in fields.items():
        lines += [
            f"{field}: {one}" for one in (value if isinstance(value, list) else [value]) if one is not None
        ]
    if "chunks" in told:
        body = b"".join(b"%x\r\n%b\r\n" % (len(one), one.encode()) for one in told["chunks"]) + b"0\r\n\r\n"
        lines.append("Transfer-Encoding: chunked")
    elif told.get("status", 200) not in (204, 304):
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    empty = request.method == b"HEAD" or told.get("status", 200) in (204, 304)
    peer.send(head, b"" if empty else body)
    return True


def _tunnel(peer: Peer, request: Request) -> None:
    """Switch protocols, and send back what comes."""
    protocol = request.all(b"upgrade")[0]
    peer.send(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + protocol + b"\r\n\r\n"
    )
    with contextlib.suppress(OSError):
        while data := peer.sock.recv(65536):
            peer.send(data)
