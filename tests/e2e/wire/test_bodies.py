"""Long bodies pass through a worker whose memory stays as it is."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator

import pytest
from hosts import NewWire
from rawclient import Client, request
from rawserver import Peer, answer
from test_times import MEBIBYTE, resident

SIZE = 256 * MEBIBYTE
#: Not a divisor of any buffer's size.
BLOCK = bytes(range(251)) * 1044
#: What a worker may hold more while a body passes through.
ALLOWED = 16 * MEBIBYTE


def blocks(size: int) -> Iterator[bytes]:
    """A body of this size, piece by piece."""
    while size > 0:
        yield BLOCK[:size]
        size -= len(BLOCK)


def digest(size: int) -> str:
    """What its octets come to."""
    found = hashlib.blake2b()
    for block in blocks(size):
        found.update(block)
    return found.hexdigest()


class Watch:
    """The most memory that a process held while this ran."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stopped = threading.Event()
        self.before = self.most = resident(pid)
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stopped.wait(0.02):
            self.most = max(self.most, resident(self._pid))

    @property
    def grown(self) -> int:
        """By how much."""
        return self.most - self.before


def take(client: Client, size: int) -> str:
    """Read so many octets and say what they come to."""
    found = hashlib.blake2b()
    while size > 0:
        data = client._unread or client.sock.recv(262144)
        client._unread = b""
        if not data:
            break
        found.update(data)
        size -= len(data)
    return found.hexdigest() if not size else f"{size} octets are missing"


def test_download_keeps_the_worker_small(wire: NewWire) -> None:
    target = wire()

    def serve(peer: Peer) -> None:
        while peer.request() is not None:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
            for block in blocks(SIZE):
                peer.send(block)

    target.serve(serve)
    with Watch(target.worker) as watch, target.client() as client:
        client.send(request(target.host))
        assert client._head().get(b"content-length") == b"%d" % SIZE
        assert take(client, SIZE) == digest(SIZE)
    assert watch.grown < ALLOWED


def test_download_without_a_length_is_all_there(wire: NewWire) -> None:
    target = wire()
    size = 32 * MEBIBYTE

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        for block in blocks(size):
            peer.send(block)

    target.serve(serve)
    with Watch(target.worker) as watch, target.client() as client:
        reply = client.ask(target.host)
        assert reply.complete and hashlib.blake2b(reply.body).hexdigest() == digest(size)
    assert watch.grown < ALLOWED


@pytest.mark.parametrize("chunked", [False, True])
def test_upload_keeps_the_worker_small(wire: NewWire, chunked: bool) -> None:
    """The server reads in bursts, so that the client has to wait for it."""
    target = wire()
    size = SIZE if not chunked else 32 * MEBIBYTE

    def serve(peer: Peer) -> None:
        head = peer.head()
        assert head is not None
        if chunked:
            body = peer.body(head)
            assert body is not None
            peer.send(answer(hashlib.blake2b(body).hexdigest().encode()))
            return
        left = size
        while left > 0:
            left -= peer.skip(min(left, 16 * MEBIBYTE))
            time.sleep(0.02)
        peer.send(answer(b"%d" % (size - left)))

    target.serve(serve)
    with Watch(target.worker) as watch, target.client() as client:
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
        client.send(request(target.host, "/", "POST", framing))
        for block in blocks(size):
            client.send(b"%x\r\n" % len(block) + block + b"\r\n" if chunked else block)
        client.send(b"0\r\n\r\n" if chunked else b"")
        assert client.reply().body.decode() == (digest(size) if chunked else str(size))
    assert watch.grown < ALLOWED


def test_many_tiny_chunks_are_joined_and_cost_little(wire: NewWire) -> None:
    """Legal, and dear for who handles each: ten thousand chunks of one octet."""
    target = wire()
    server = target.serve()
    with target.client() as client:
        client.send(request(target.host, "/", "POST", "Transfer-Encoding: chunked"))
        client.send(b"1\r\na\r\n" * 10_000 + b"0\r\n\r\n")
        assert client.reply().body.endswith(b"a" * 10_000)
    assert server.requests[0].body == b"a" * 10_000
    assert len(server.peer().received) < 15_000
