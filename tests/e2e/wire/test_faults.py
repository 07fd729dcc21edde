"""Servers that die, refuse, hang, reset or lie: what it costs, in requests.

Each test first shows that the fault bites: straight to the faulty server, a request fails.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from dose import Dose
from eventually import LONG, eventually
from hosts import NewWire, Wire
from rawclient import Client, Closed, Reply, request
from rawserver import Peer, RawServer, answer
from test_connections import together


def named(name: str) -> Callable[[Peer], None]:
    """A good server that says who it is, and to what it answers."""

    def behave(peer: Peer) -> None:
        while (asked := peer.request()) is not None:
            peer.send(answer(f"{name} {asked.path}".encode()))

    return behave


def dies_on(peer: Peer) -> None:
    """Take a request and close without an answer."""
    peer.request()


def load(target: Wire, count: int, clients: int = 4, method: str = "GET") -> list[tuple[float, Reply]]:
    """So many requests by several clients on kept connections; each is answered as itself or not at all."""
    results: list[tuple[float, Reply]] = []

    def ask(number: int) -> None:
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(target.client())
            for one in range(count // clients):
                path = f"/{method}-{number}-{one}"
                begun = time.monotonic()
                reply = client.ask(target.host, path, method)
                results.append((time.monotonic() - begun, reply))
                assert reply.status != 200 or reply.body.split()[1] == path.encode()
                if reply.closes:
                    client = stack.enter_context(target.client())

    together(clients, ask)
    return results


def statuses(results: list[tuple[float, Reply]]) -> Counter[int]:
    """How often each."""
    return Counter(reply.status for _, reply in results)


def fails_directly(server: RawServer | int, method: str = "GET") -> bool:
    """Does a request straight to this server fail?"""
    port = server if isinstance(server, int) else server.port
    try:
        with Client(port, timeout=1) as client:
            return not client.ask("a.test", "/directly", method).complete
    except (OSError, Closed):
        return True


def told(results: list[tuple[float, Reply]]) -> str:
    """What became of them, for the page of figures."""
    times = sorted(took for took, _ in results)
    codes = ", ".join(f"{count} x {status}" for status, count in sorted(statuses(results).items()))
    return f"{codes}; p99 {times[len(times) * 99 // 100] * 1000:.1f} ms, slowest {times[-1] * 1000:.0f} ms"


def test_control_run_without_a_fault_loses_nothing(wire: NewWire, dose: Dose) -> None:
    target = wire(4)
    for number in range(4):
        target.serve(named(f"server-{number}"))
    count = dose(8000, 50_000)
    results = load(target, count)
    dose.measured("no fault", told(results))
    assert statuses(results) == {200: count}
    shares = Counter(reply.body.split()[0] for _, reply in results)
    assert set(shares.values()) == {count // 4}


def test_server_that_dies_under_load_costs_no_get(wire: NewWire, dose: Dose) -> None:
    """F01: it is in use when it goes."""
    count = dose(20_000, 50_000)
    target = wire(4)
    for number in range(4):
        target.serve(named(f"server-{number}"))
    dead = target.servers[0]

    def kill() -> None:
        eventually(lambda: len(dead.requests) > 200, every=0.002)
        dead.stop()

    killer = threading.Thread(target=kill)
    killer.start()
    results = load(target, count, clients=16)
    killer.join()
    dose.measured("F01", told(results))
    assert fails_directly(dead)
    assert statuses(results) == {200: count}
    assert 200 < sum(reply.body.startswith(b"server-0 ") for _, reply in results) < count // 4


def test_server_that_dies_on_a_request_is_replaced_for_a_get_and_never_for_a_post(
    wire: NewWire, dose: Dose
) -> None:
    """F02: nobody can know whether a POST was carried out, so it is not carried out twice."""
    target = wire(4)
    bad = target.serve(dies_on)
    for number in range(3):
        target.serve(named(f"good-{number}"))
    assert fails_directly(bad)
    bad.drop()
    count = dose(4000, 10_000)
    results = load(target, count)
    dose.measured("F02", f"GET: {told(results)}")
    assert statuses(results) == {200: count}
    results = load(target, count, method="POST")
    seen = Counter(one.path for server in target.servers for one in server.requests if one.method == b"POST")
    dose.measured("F02", f"POST: {told(results)}; {sum(seen.values()) - len(seen)} carried out twice")
    assert statuses(results) == {200: count * 3 // 4, 502: count // 4}
    assert len(seen) == count and set(seen.values()) == {1}


@pytest.mark.parametrize("framing", ["length", "chunked", "close-and-reset"])
def test_answer_that_breaks_off_is_always_seen_to(wire: NewWire, framing: str, dose: Dose) -> None:
    """F03: not one clean ending."""
    target = wire()

    def breaks_off(peer: Peer) -> None:
        if peer.request() is None:
            return
        if framing == "length":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"x" * 50)
        elif framing == "chunked":
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        else:
            peer.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
            peer.reset()

    server = target.serve(breaks_off)
    if framing != "close-and-reset":
        assert fails_directly(server)
    clean = 0
    count = dose(500, 1000)
    for _ in range(count):
        with target.client() as client, contextlib.suppress(Closed):
            reply = client.ask(target.host)
            # Reset before a head came through, it is an error of ours; begun, it must be cut.
            clean += reply.complete and reply.status == 200
    dose.measured("F03", f"{clean} of {count} ended cleanly")
    assert clean == 0


@pytest.mark.parametrize("refusing", [1, 3])
def test_servers_that_refuse_cost_no_request(wire: NewWire, refusing: int, dose: Dose) -> None:
    """F04: nobody listens on their ports; also when all but one are gone, and whenever they are tried again."""
    target = wire(4)
    for number in range(4 - refusing):
        target.serve(named(f"server-{number}"))
    assert fails_directly(target.sockets[3].getsockname()[1])
    begun = time.monotonic()
    results = []
    while time.monotonic() - begun < 4 or len(results) < dose(2000, 50_000):
        # With pauses, so that it is tried again and again.
        results += load(target, 400)
        time.sleep(0.1)
    results += load(target, 40, method="POST")
    dose.measured("F04", f"{told(results)} in {time.monotonic() - begun:.0f} s")
    assert statuses(results) == {200: len(results)}


@contextlib.contextmanager
def black_hole(sock: socket.socket) -> Iterator[None]:
    """Listen on this socket and accept nothing: once its queue is full, connecting to it gets no answer."""
    sock.listen(0)
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(sock.getsockname())
        time.sleep(0.1)
        yield


def test_server_that_answers_no_connection_holds_up_few_and_costs_none(hurried: NewWire, dose: Dose) -> None:
    """F05: connecting may take half a second here."""
    target = hurried(4)
    for number in range(3):
        target.serve(named(f"server-{number}"))
    with black_hole(target.sockets[3]):
        assert fails_directly(target.sockets[3].getsockname()[1])
        count = dose(8000, 20_000)
        results = load(target, count)
    slow = sorted(took for took, _ in results if took > 0.4)
    dose.measured("F05", f"{told(results)}; {len(slow)} waited for it")
    assert statuses(results) == {200: count}
    # A quarter of them, were it asked each time; a few by the machine.
    assert len(slow) <= 8 + count // 100, "a server that can't be reached is asked again and again"


def hangs_until(over: threading.Event) -> Callable[[Peer], None]:
    """A server that takes requests and answers none."""

    def behave(peer: Peer) -> None:
        if peer.request() is not None:
            over.wait(5 * LONG)

    return behave


def test_server_that_hangs_holds_up_only_its_own_requests(wire: NewWire) -> None:
    """F06: all others are answered while those wait, as they may for a quarter of an hour."""
    target = wire(4)
    over = threading.Event()
    hanging = target.serve(hangs_until(over))
    for number in range(3):
        target.serve(named(f"server-{number}"))
    assert fails_directly(hanging)
    answered: list[int] = []

    def ask(number: int) -> None:
        with target.client() as client:
            answered.append(client.ask(target.host, f"/{number}").status)

    asking = threading.Thread(target=together, args=(12, ask))
    asking.start()
    eventually(lambda: len(answered) == 9 and len(hanging.requests) == 1 + 3)
    over.set()
    asking.join(LONG)
    assert answered == [200] * 12


def test_requests_at_a_server_that_hangs_are_504_in_time(hurried: NewWire, dose: Dose) -> None:
    """F06: two seconds are allowed here."""
    target = hurried(4)
    over = threading.Event()
    target.serve(hangs_until(over))
    for number in range(3):
        target.serve(named(f"server-{number}"))
    results: list[tuple[float, int]] = []

    def ask(number: int) -> None:
        begun = time.monotonic()
        with target.client() as client:
            status = client.ask(target.host, f"/{number}").status
            results.append((time.monotonic() - begun, status))

    together(12, ask)
    over.set()
    dose.measured("F06", ", ".join(f"{took:.2f} s: {status}" for took, status in sorted(results)))
    assert Counter(status for _, status in results) == {200: 9, 504: 3}
    assert all(took > 1.4 for took, status in results if status == 504)


def test_server_that_resets_every_connection_costs_no_get(wire: NewWire, dose: Dose) -> None:
    """F07: it accepts, and resets at once."""
    target = wire(4)
    bad = target.serve(Peer.reset)
    for number in range(3):
        target.serve(named(f"server-{number}"))
    assert fails_directly(bad)
    count = dose(4000, 10_000)
    results = load(target, count)
    dose.measured("F07", told(results))
    assert statuses(results) == {200: count}


def lies(peer: Peer) -> None:
    """Announce too much or too little, as the path says; answer anything else rightly."""
    while (asked := peer.request()) is not None:
        if asked.path.startswith("/less"):
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", asked.path.encode())
            return
        # In one: what comes later, when somebody has asked, is an answer.
        peer.send(answer(asked.path.encode()), answer(b"EVIL") if asked.path.startswith("/more") else b"")


def test_octets_beyond_a_wrong_length_reach_nobody(wire: NewWire, dose: Dose) -> None:
    """F08, both ways: what a server sends too much is nobody's answer, what a client sends too much is no body."""
    target = wire(4)
    for _ in range(4):
        target.serve(lies)
    count = dose(500, 2500)

    def ask(number: int) -> None:
        client = target.client()
        for one in range(count):
            kind = ("/good", "/less", "/more", "/body")[one % 4]
            path = f"{kind}-{number}-{one}"
            if kind == "/body":
                client.send(request(target.host, path, "POST", body=b"hello"), b"EVIL / HTTP/1.1\r\n\r\n")
            else:
                client.send(request(target.host, path))
            reply = client.reply()
            assert (reply.status, reply.body, reply.complete) == (200, path.encode(), kind != "/less")
            if kind == "/body":
                assert client.reply().status == 400
            if kind in ("/less", "/body"):
                client.sock.close()
                client = target.client()
        client.sock.close()

    together(4, ask)
    assert not any(b"EVIL" in peer.received for server in target.servers for peer in server.peers)
    asked = sum(len(server.requests) for server in target.servers)
    dose.measured("F08", f"{asked} requests, 0 octets of others in their answers or bodies")
    assert asked == 4 * count


@pytest.mark.parametrize("fault", [dies_on, Peer.reset])
def test_only_server_that_fails_is_502_at_once(wire: NewWire, fault: Callable[[Peer], None]) -> None:
    target = wire()
    bad = target.serve(fault)
    assert fails_directly(bad)
    for method in ("GET", "POST"):
        # Its limits are a quarter of an hour.
        with target.client() as client:
            assert client.ask(target.host, "/", method).status == 502


def test_slow_servers_slow_nobody_else(wire: NewWire, dose: Dose) -> None:
    """F10: two hundred answers that trickle, and a fast service beside them."""
    slow, fast = wire(), wire()
    over = threading.Event()

    def trickles(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not over.wait(0.3):
            peer.send(b".")

    slow.serve(trickles)
    fast.serve(named("fast"))
    count = dose(4000, 20_000)
    alone = load(fast, count)
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(slow.client()).send(request(slow.host))
        results = load(fast, count)
        over.set()
    dose.measured("F10", f"alone {told(alone)}; beside 200 slow ones {told(results)}")
    # Whoever waited for one of those would wait a quarter of an hour.
    assert statuses(results) == {200: count}


def test_all_down_is_said_at_once_and_the_first_one_back_is_found(wire: NewWire, dose: Dose) -> None:
    """F11."""
    target = wire(4)
    times = []
    with target.client() as client:
        for _ in range(12):
            begun = time.monotonic()
            assert client.ask(target.host).status == 502
            times.append(time.monotonic() - begun)
        dose.measured("F11", f"502 within {max(times) * 1000:.1f} ms; then every request was answered")
        target.serve(named("back"))
        for number in range(20):
            assert client.ask(target.host, f"/{number}").body == f"back /{number}".encode()


def test_flapping_server_beside_good_ones_costs_no_request(wire: NewWire, dose: Dose) -> None:
    """F12: it comes and goes, with whatever is in flight."""
    target = wire(4)
    over = threading.Event()
    alive = threading.Event()

    def flapping(peer: Peer) -> None:
        while (asked := peer.request()) is not None and alive.is_set():
            peer.send(answer(f"flapping {asked.path}".encode()))

    server = target.serve(flapping)
    for number in range(3):
        target.serve(named(f"server-{number}"))

    def flap() -> None:
        while not over.wait(dose(15, 50) / 100):
            if alive.is_set():
                alive.clear()
                server.drop()
            else:
                alive.set()

    thread = threading.Thread(target=flap)
    thread.start()
    begun = time.monotonic()
    results: list[tuple[float, Reply]] = []
    while time.monotonic() - begun < dose(2, 60) or len(results) < dose(4000, 50_000):
        results += load(target, dose(2000, 1000))
        if dose.full:
            time.sleep(0.9)
    over.set()
    thread.join()
    dose.measured("F12", f"{told(results)} in {time.monotonic() - begun:.0f} s")
    assert statuses(results) == {200: len(results)}
