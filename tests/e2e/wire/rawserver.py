"""A server that speaks bytes: it records what reaches it and answers as it is told, rightly or wrongly."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from eventually import LONG


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived."""

    head: bytes
    body: bytes = b""

    @property
    def line(self) -> bytes:
        """The request line."""
        return self.head.split(b"\r\n", 1)[0]

    @property
    def method(self) -> bytes:
        """Its method."""
        return self.line.split(b" ")[0]

    @property
    def path(self) -> str:
        """Its target, as text."""
        return self.line.split(b" ")[1].decode("latin-1")

    def all(self, name: bytes) -> list[bytes]:
        """The values of a field (name in lower case)."""
        lines = [line.partition(b":") for line in self.head.split(b"\r\n")[1:]]
        return [value.strip() for known, _, value in lines if known.lower() == name]


class Peer:
    """One connection from the balancer, as the server sees it. ``ending``: empty, ``closed`` or ``reset``."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = b""
        self.requests: list[Request] = []
        self.ending = ""
        self.finished = threading.Event()
        self._unread = b""

    def more(self) -> bool:
        """Take what comes next; false at the end of the connection."""
        try:
            data = self.sock.recv(262144)
        except ConnectionResetError:
            self.ending = "reset"
            return False
        if not data:
            self.ending = "closed"
            return False
        self._unread += data
        # Long bodies are counted by those who send them; here the beginning is what matters.
        if len(self.received) < 1 << 20:
            self.received += data
        return True

    def head(self) -> bytes | None:
        """The next head, without the empty line; None where the connection ends before it."""
        while b"\r\n\r\n" not in self._unread:
            if not self.more():
                return None
        head, self._unread = self._unread.split(b"\r\n\r\n", 1)
        return head

    def request(self) -> Request | None:
        """The next whole request; None where the connection ends before that."""
        head = self.head()
        if head is None:
            return None
        body = self.body(head)
        if body is None:
            return None
        self.requests.append(Request(head, body))
        return self.requests[-1]

    def body(self, head: bytes) -> bytes | None:
        """The body that this head announces."""
        lengths = re.findall(rb"(?im)^content-length: ([0-9]+)\r?$", head)
        chunked = re.findall(rb"(?im)^transfer-encoding: chunked\r?$", head)
        assert len(lengths) + len(chunked) <= 1, f"two framings: {head!r}"
        if lengths:
            return self.read(int(lengths[0]))
        return self._chunks() if chunked else b""

    def read(self, size: int) -> bytes | None:
        """So many octets; None where the connection ends before that."""
        while len(self._unread) < size:
            if not self.more():
                return None
        taken, self._unread = self._unread[:size], self._unread[size:]
        return taken

    def skip(self, size: int) -> int:
        """Throw so many octets away, holding none of them; how many there were."""
        left = size - len(self._unread)
        self._unread = self._unread[size:]
        while left > 0:
            try:
                data = self.sock.recv(min(left, 1 << 20))
            except ConnectionResetError:
                data = b""
            if not data:
                break
            left -= len(data)
        return size - left

    def _chunks(self) -> bytes | None:
        body = b""
        while True:
            while b"\r\n" not in self._unread:
                if not self.more():
                    return None
            line, self._unread = self._unread.split(b"\r\n", 1)
            size = int(line, 16)
            if not size:
                return body if self._trailers() else None
            piece = self.read(size + 2)
            if piece is None:
                return None
            body += piece[:-2]

    def _trailers(self) -> bool:
        while True:
            while b"\r\n" not in self._unread:
                if not self.more():
                    return False
            line, self._unread = self._unread.split(b"\r\n", 1)
            if not line:
                return True

    def send(self, *data: bytes) -> None:
        """Send all of it."""
        self.sock.sendall(b"".join(data))

    def wait_for_end(self, within: float = 5 * LONG) -> str:
        """How the balancer ended the connection, ``closed`` or ``reset``; empty where it did not."""
        self.sock.settimeout(within)
        with contextlib.suppress(TimeoutError):
            while self.more():
                pass
        return self.ending

    def reset(self) -> None:
        """End it as a crash does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Behaviour = Callable[[Peer], None]


def answer(body: bytes, *lines: bytes, status: bytes = b"200 OK") -> bytes:
    """The octets of an ordinary response."""
    return b"\r\n".join((b"HTTP/1.1 " + status, *lines, b"Content-Length: %d" % len(body), b"", body))


def echo(peer: Peer) -> None:
    """Answer each request with what arrived of it."""
    while (request := peer.request()) is not None:
        if request.method == b"HEAD":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        else:
            peer.send(answer(request.head + b"\r\n\r\n" + request.body))


class RawServer:
    """Listens on a socket that is bound already; each connection is a thread that runs ``behaviour``."""

    def __init__(self, sock: socket.socket, behaviour: Behaviour = echo) -> None:
        self.port: int = sock.getsockname()[1]
        self.behaviour = behaviour
        self.peers: list[Peer] = []
        self.problems: list[BaseException] = []
        self._sock = sock
        self._threads: list[threading.Thread] = []
        self._stopped = False

    def start(self) -> RawServer:
        """Itself, once it accepts."""
        self._sock.listen(1024)
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        self._threads.append(thread)
        return self

    def stop(self) -> None:
        """Accept no more, end every connection."""
        self._stopped = True
        with contextlib.suppress(OSError):
            # Wakes the thread that waits for connections.
            self._sock.shutdown(socket.SHUT_RDWR)
        self.drop()
        for thread in self._threads:
            thread.join(LONG)
        self._sock.close()

    def drop(self) -> None:
        """End every connection, and forget what came over them."""
        peers, self.peers = self.peers, []
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
            peer.finished.wait(LONG)

    @property
    def octets(self) -> int:
        """How many octets reached it, on all connections."""
        return sum(len(peer.received) for peer in self.peers)

    @property
    def requests(self) -> list[Request]:
        """Every whole request that reached it."""
        return [request for peer in self.peers for request in peer.requests]

    def peer(self, number: int = 0, within: float = LONG) -> Peer:
        """The connection with this number, as soon as it is there."""
        deadline = time.monotonic() + within
        while len(self.peers) <= number:
            assert time.monotonic() < deadline, f"there were {len(self.peers)} connections"
            time.sleep(0.002)
        return self.peers[number]

    def _accept(self) -> None:
        while not self._stopped:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = Peer(sock)
            self.peers.append(peer)
            thread = threading.Thread(target=self._run, args=(peer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, peer: Peer) -> None:
        try:
            self.behaviour(peer)
        except OSError:
            # The balancer, or the test, ended the connection.
            peer.ending = peer.ending or "reset"
        except BaseException as problem:
            self.problems.append(problem)
        finally:
            peer.sock.close()
            peer.finished.set()
