"""Many bad clients at once, and the good ones beside them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest
from eventually import eventually
from hosts import NewWire, Wire
from rawclient import Client, request
from rawserver import Peer
from test_faults import load, named, statuses
from test_times import resident

CROWD = 400


@contextlib.contextmanager
def crowd(target: Wire, first: bytes, drip: bytes) -> Iterator[list[Client]]:
    """So many clients that begin with ``first`` and go on with ``drip``, again and again."""
    over = threading.Event()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(target.client()) for _ in range(CROWD)]
        for client in clients:
            client.send(first)

        def go_on() -> None:
            while not over.wait(0.1):
                for client in clients:
                    with contextlib.suppress(OSError):
                        client.send(drip)

        dripping = threading.Thread(target=go_on)
        dripping.start()
        try:
            yield clients
        finally:
            over.set()
            dripping.join()


def test_slow_heads_hold_up_nobody_and_cost_little(wire: NewWire) -> None:
    slow, fast = wire(), wire()
    server = slow.serve()
    fast.serve(named("fast"))
    load(fast, 200)
    before = resident(slow.worker)
    with crowd(slow, f"GET / HTTP/1.1\r\nHost: {slow.host}\r\nX: ".encode(), b"a") as clients:
        results = load(fast, 1500)
        assert statuses(results) == {200: 1500}
        assert sorted(took for took, _ in results)[1485] < 0.1
        assert (resident(slow.worker) - before) / CROWD < 16 * 1024
        # The deadline of each is kept, whatever else goes on.
        assert [client.reply().status for client in clients] == [408] * CROWD
    assert server.octets == 0


def test_idle_connections_cost_little_and_serve_again(wire: NewWire) -> None:
    target = wire()
    target.serve(named("idle"))
    load(target, 200)
    before = resident(target.worker)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(target.client()) for _ in range(CROWD)]
        for client in clients:
            assert client.ask(target.host, "/once").status == 200
        assert (resident(target.worker) - before) / CROWD < 16 * 1024
        for client in clients:
            assert client.ask(target.host, "/again").body == b"idle /again"


@pytest.mark.parametrize("reset", [True, False])
def test_clients_that_leave_leave_nothing(wire: NewWire, reset: bool) -> None:
    """Half of them in the middle of an answer, half before it began.

    An ordinary close looks like a half-close, after which answers are still wanted: it shows when one is sent.
    """
    target = wire()

    def begin(peer: Peer) -> None:
        asked = peer.request()
        if asked is not None and asked.path == "/begun":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx")
        peer.wait_for_end(10)

    server = target.serve(begin)
    clients = [target.client() for _ in range(100)]
    for number, client in enumerate(clients):
        client.send(request(target.host, "/begun" if number % 2 else "/waiting"))
    eventually(lambda: len(server.requests) == 100)
    left = time.monotonic()
    for client in clients:
        client.reset() if reset else client.sock.close()
    for peer in server.peers:
        assert peer.finished.wait(5)
    assert time.monotonic() - left < (1 if reset else 4)
    eventually(lambda: target.balancer.api("/api/statistics")["inFlight"] == 0)
