"""Slow, silent and vanishing clients and servers: who waits for whom, how long, and what is held meanwhile."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dose import Dose
from dripping import Dripping, trickle
from eventually import LONG, eventually
from hosts import Hosts, NewWire, Wire
from rawclient import Client, Closed, request
from rawserver import Peer, answer, echo
from test_connections import together

MEBIBYTE = 1 << 20


def resident(pid: int) -> int:
    """The memory that a process holds, in bytes."""
    [line] = [
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")
    ]
    return int(line.split()[1]) * 1024


def in_time(target: Wire) -> Client:
    """A client that was served once. Where the machine held it up until the balancer gave up on it, it tries again."""
    for _ in range(10):
        client = target.client()
        with contextlib.suppress(Closed, OSError):
            if client.ask(target.host).status == 200:
                return client
        client.sock.close()
    raise AssertionError("nobody was served in time")


@pytest.fixture(scope="module", autouse=True)
def dripping(hosts: Hosts) -> Iterator[Dripping]:
    """It begins with the first test here, so that nobody waits for it in the last one."""
    target = hosts.take()
    found = Dripping(target, target.serve())
    found.thread = threading.Thread(target=found.drip)
    found.thread.start()
    yield found
    found.thread.join(2 * LONG)
    target.stop()


# Clients.


def test_head_that_trickles_in_has_one_deadline(hurried: NewWire) -> None:
    """The time for a head is not begun again by each byte: 408 long before it is whole, however alive the client."""
    target = hurried()
    server = target.serve()
    begun = time.monotonic()
    with target.client() as client:
        trickle(client, request(target.host, "/", "GET", "X-Long: " + "a" * 300), 0.05)
        assert client.reply().status == 408
        assert time.monotonic() - begun > 0.4
        assert client.is_closed()
    assert server.octets == 0


def test_second_head_of_a_connection_has_a_deadline_too(hurried: NewWire) -> None:
    target = hurried()
    target.serve()
    with in_time(target) as client:
        begun = time.monotonic()
        trickle(client, request(target.host, "/", "GET", "X-Long: " + "a" * 300), 0.05)
        assert client.reply().status == 408
        assert time.monotonic() - begun > 0.4


def test_silent_connection_is_closed_without_a_word(hurried: NewWire) -> None:
    """After the time for a head, which is shorter than that of one that is idle."""
    target = hurried()
    begun = time.monotonic()
    with target.client() as client:
        assert client.raw() == b""
        assert time.monotonic() - begun > 0.4


def test_idle_connection_is_closed_without_a_word(hurried: NewWire) -> None:
    target = hurried()
    target.serve()
    begun = time.monotonic()
    with in_time(target) as client:
        assert client.raw() == b""
        assert time.monotonic() - begun > 2.9


def test_stalled_body_is_408_and_the_server_sees_no_whole_request(hurried: NewWire) -> None:
    target = hurried()
    server = target.serve()
    begun = time.monotonic()
    with target.client() as client:
        client.send(request(target.host, "/", "POST", "Content-Length: 1000"), b"a" * 10)
        assert client.reply().status == 408
        assert time.monotonic() - begun > 1.4
        assert client.is_closed()
    assert server.peer().finished.wait(LONG)
    assert server.requests == []


def test_body_that_stalls_under_an_answer_that_waits_for_it_ends_too(hurried: NewWire) -> None:
    """Each waits for the other: the server has begun to answer, and wants the rest first."""
    target = hurried()

    def begin(peer: Peer) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
        peer.wait_for_end()

    server = target.serve(begin)
    with target.client() as client:
        client.send(request(target.host, "/", "POST", "Content-Length: 100000"), b"a" * 10)
        assert not client.reply().complete
    assert server.peer().finished.wait(LONG)


def test_client_that_sends_all_and_closes_its_half_gets_the_answer(wire: NewWire) -> None:
    target = wire()

    def slow(peer: Peer) -> None:
        while (asked := peer.request()) is not None:
            time.sleep(0.3)
            peer.send(answer(asked.path.encode()))

    target.serve(slow)
    with target.client() as client:
        client.send(request(target.host, "/last"))
        client.half_close()
        assert client.reply().body == b"/last"
        assert client.is_closed()


def test_requests_sent_ahead_of_a_half_close_are_all_answered(wire: NewWire) -> None:
    target = wire()
    target.serve()
    with target.client() as client:
        client.send(*(request(target.host, f"/{number}") for number in range(5)))
        client.half_close()
        for number in range(5):
            assert client.reply().body.startswith(f"GET /{number} ".encode())
        assert client.is_closed()


@pytest.mark.parametrize("end", ["reset", "half_close"])
def test_client_that_breaks_off_its_body_ends_the_servers_connection_at_once(wire: NewWire, end: str) -> None:
    target = wire()
    server = target.serve()
    with target.client() as client:
        client.send(request(target.host, "/", "POST", "Content-Length: 100000"), b"a" * 1000)
        peer = server.peer()
        eventually(lambda: len(peer.received) > 1000)
        # At once: its limits are a quarter of an hour.
        getattr(client, end)()
        assert peer.finished.wait(LONG)
    assert server.requests == []


def test_client_that_leaves_while_the_server_thinks_cancels_the_request(wire: NewWire) -> None:
    target = wire()
    endings: list[str] = []

    def thinking(peer: Peer) -> None:
        peer.request()
        endings.append(peer.wait_for_end())

    server = target.serve(thinking)
    with target.client() as client:
        client.send(request(target.host, "/think"))
        eventually(lambda: server.requests)
        client.reset()
    # At once: its limits are a quarter of an hour.
    eventually(lambda: endings)
    assert endings[0] in ("closed", "reset")


# Clients that don't read.


def test_slow_reader_pauses_the_server_and_is_cut_when_it_stops(hurried: NewWire) -> None:
    target = hurried()
    sent = [0]

    def plenty(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MEBIBYTE))
        block = bytes(65536)
        while sent[0] < 64 * MEBIBYTE:
            sent[0] += peer.sock.send(block)

    server = target.serve(plenty)
    before = resident(target.worker)
    with target.client(receive_buffer=4096) as client:
        client.send(request(target.host))
        begun = time.monotonic()
        while time.monotonic() - begun < 4:
            # It reads a little: that is progress, and it is not cut although it takes longer than the limit.
            assert client.sock.recv(2000)
            time.sleep(0.1)
        assert sent[0] < 32 * MEBIBYTE
        assert resident(target.worker) - before < 16 * MEBIBYTE
        assert server.peer().finished.wait(LONG), "it was not cut when it read no more"


def test_answer_that_nobody_reads_to_its_end_is_cut_too(hurried: NewWire) -> None:
    """The server has done its part; what is left waits in the balancer, and not for ever."""
    target = hurried()
    size = 8 * MEBIBYTE
    target.serve(lambda peer: (peer.request() and peer.send(answer(bytes(size)))) or None)
    with target.client(receive_buffer=4096) as client:
        client.send(request(target.host, "/", "GET", "Connection: close"))
        eventually(lambda: target.balancer.api("/api/statistics")["inFlight"] == 1)
        eventually(lambda: target.balancer.api("/api/statistics")["inFlight"] == 0)
        assert len(client.raw()) < size


def test_never_reading_pipeliner_holds_little(wire: NewWire) -> None:
    target = wire()
    body = b"x" * 1000

    def serve(peer: Peer) -> None:
        while peer.request() is not None:
            peer.send(answer(body))

    server = target.serve(serve)
    before = resident(target.worker)
    with target.client(receive_buffer=4096) as client:
        client.sock.settimeout(0.5)
        lot = request(target.host, "/", "GET", "X-Long: " + "a" * 1000) * 100
        sent = 0
        try:
            while sent < 100 * MEBIBYTE:
                client.sock.sendall(lot)
                sent += len(lot)
        except (TimeoutError, OSError):
            pass
        assert sent < 100 * MEBIBYTE, "everything was taken"
        served = len(server.requests)
        time.sleep(0.5)
        assert len(server.requests) - served < 50, (
            "requests are carried out although nobody reads the answers"
        )
        assert resident(target.worker) - before < 32 * MEBIBYTE


def test_fast_server_and_slow_reader_then_the_connection_serves_again(wire: NewWire) -> None:
    """The server's connection was paused for the slow one: it must not stay so for the next."""
    target = wire()
    size = 300_000

    def serve(peer: Peer) -> None:
        while (asked := peer.request()) is not None:
            peer.send(answer(bytes(size) if asked.path == "/big" else b"small"))

    target.serve(serve)
    for _ in range(10):
        with target.client(receive_buffer=4096) as slow:
            slow.send(request(target.host, "/big"))
            time.sleep(0.05)
            with target.client() as other:
                assert other.ask(target.host, "/small").body == b"small"
            assert len(slow.reply().body) == size
        with target.client() as other:
            for _ in range(3):
                assert other.ask(target.host, "/small").body == b"small"


# Pipelining and the like.


def test_hundred_pipelined_requests_are_answered_in_their_order(wire: NewWire) -> None:
    target = wire()
    chance = random.Random(11)

    def jittery(peer: Peer) -> None:
        while (asked := peer.request()) is not None:
            time.sleep(chance.random() * 0.02)
            peer.send(answer(asked.path.encode()))

    target.serve(jittery)
    with target.client() as client:
        client.send(b"".join(request(target.host, f"/{number}") for number in range(100)))
        assert [client.reply().body for _ in range(100)] == [b"/%d" % number for number in range(100)]
        assert client.is_quiet(0.05)


def test_early_413_reaches_the_client_that_still_sends(wire: NewWire) -> None:
    target = wire()

    def refuse(peer: Peer) -> None:
        peer.head()
        peer.send(answer(b"too much", status=b"413 Content Too Large"))
        peer.wait_for_end()

    server = target.serve(refuse)
    with target.client() as client:
        client.send(request(target.host, "/", "POST", "Content-Length: 100000000"))
        sent = [0]

        def go_on() -> None:
            try:
                while sent[0] < 100_000_000:
                    sent[0] += client.sock.send(bytes(65536))
            except OSError:
                pass

        sender = threading.Thread(target=go_on)
        sender.start()
        reply = client.reply()
        assert (reply.status, reply.body, reply.closes) == (413, b"too much", True)
        sender.join(LONG)
        assert not sender.is_alive()
        assert sent[0] < 100_000_000
    assert server.peer().finished.wait(LONG)


def test_expectation_is_met_by_the_server_alone(wire: NewWire) -> None:
    target = wire()

    def willing(peer: Peer) -> None:
        head = peer.head()
        assert head is not None and b"\r\nexpect: 100-continue" in head.lower()
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.send(answer(peer.body(head) or b"none"))

    target.serve(willing)
    with target.client() as client:
        client.send(request(target.host, "/", "POST", "Expect: 100-continue", "Content-Length: 5"))
        assert client.read(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert client.reply().body == b"hello"


@pytest.mark.parametrize("status", [b"417 Expectation Failed", b"401 Unauthorized", b"200 OK"])
def test_final_answer_instead_of_100_is_relayed_and_no_body_is_sent_on(wire: NewWire, status: bytes) -> None:
    target = wire()

    def unwilling(peer: Peer) -> None:
        peer.head()
        peer.send(answer(b"no", status=status))
        peer.wait_for_end()

    server = target.serve(unwilling)
    with target.client() as client:
        client.send(request(target.host, "/", "POST", "Expect: 100-continue", "Content-Length: 5"))
        reply = client.reply()
        assert (reply.status, reply.body) == (int(status[:3]), b"no")
        assert reply.closes
        # The promised body, sent too late: it is no request.
        client.send(b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert client.is_closed()
    assert server.peer().finished.wait(LONG)
    assert b"smuggled" not in b"".join(peer.received for peer in server.peers)


def test_body_that_was_announced_and_never_comes_is_408_and_the_connection_is_not_kept(
    hurried: NewWire,
) -> None:
    target = hurried()
    server = target.serve()
    with target.client() as client:
        client.send(request(target.host, "/", "GET", "Expect: 100-continue", "Content-Length: 5"))
        reply = client.reply()
        assert (reply.status, reply.closes) == (408, True)
    assert server.peer().finished.wait(LONG)
    in_time(target).sock.close()
    # Not the one whose body never came.
    assert {asked.method for asked in server.requests} == {b"GET"}
    assert not any(asked.all(b"expect") for asked in server.requests)


# Servers.


def test_server_that_takes_no_request_is_504(hurried: NewWire) -> None:
    """It accepts and reads nothing: a small request is out, a large one waits for it."""
    target = hurried()
    over = threading.Event()
    target.serve(lambda peer: bool(over.wait(5 * LONG)) and None)
    begun = time.monotonic()
    with target.client() as client:
        assert client.ask(target.host).status == 504
        assert time.monotonic() - begun > 1.4
    with target.client() as client:
        client.send(request(target.host, "/", "POST", f"Content-Length: {64 * MEBIBYTE}"))
        client.sock.settimeout(0.5)
        with contextlib.suppress(OSError):
            client.send(bytes(64 * MEBIBYTE))
        client.sock.settimeout(LONG)
        assert client.reply().status == 504
    over.set()


def test_server_that_trickles_its_head_is_504_at_the_deadline(hurried: NewWire) -> None:
    target = hurried()

    def trickling(peer: Peer) -> None:
        peer.request()
        for octet in b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 1000:
            peer.send(bytes((octet,)))
            time.sleep(0.05)

    target.serve(trickling)
    begun = time.monotonic()
    with target.client() as client:
        assert client.ask(target.host).status == 504
        assert time.monotonic() - begun > 1.4


def test_unasked_answer_on_a_kept_connection_reaches_nobody(wire: NewWire, dose: Dose) -> None:
    """S17. Whatever comes when somebody has asked is an answer: so each client has a server of its own, and waits."""

    def talkative(peer: Peer) -> None:
        while (asked := peer.request()) is not None:
            peer.send(answer(asked.path.encode()))
            time.sleep(0.001)
            peer.send(answer(b"EVIL"))

    targets = [wire() for _ in range(10)]
    servers = [target.serve(talkative) for target in targets]
    count = dose(100, 1000)

    def ask(client_number: int) -> None:
        target = targets[client_number]
        with target.client() as client:
            for number in range(count):
                path = f"/{client_number}/{number}"
                assert client.ask(target.host, path).body == path.encode()
                assert target.servers[0].peer(number).finished.wait(LONG), "the connection is kept"

    together(10, ask)
    used = [len(peer.requests) for server in servers for peer in server.peers]
    dose.measured(
        "S17", f"0 of {10 * count} unasked answers reached anybody; {max(used)} requests a connection"
    )
    assert len(used) == 10 * count, "a connection that spoke unasked was used again"


def test_client_that_vanished_leaves_nothing_in_flight(wire: NewWire) -> None:
    target = wire()
    target.serve(echo)
    with target.client() as client:
        client.send(request(target.host, "/", "POST", "Content-Length: 10"))
        client.reset()
    eventually(lambda: target.balancer.api("/api/statistics")["inFlight"] == 0)
    with pytest.raises(Closed), target.client() as client:
        client.half_close()
        client.reply()


def test_body_of_one_byte_a_moment_is_cut_by_its_rate(dripping: Dripping) -> None:
    """Ten seconds are granted to begin; then 240 bytes a second are wanted, however alive the client.

    It has a quarter of an hour until its next octet.
    """
    assert dripping.thread is not None
    dripping.thread.join(2 * LONG)
    assert dripping.status == 408
    assert dripping.took > 9
    assert dripping.server.peer().finished.wait(LONG)
    assert dripping.server.requests == []
