"""Every response of the table from a real server: what the client gets, and what becomes of both connections."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from eventually import LONG
from hosts import Hosts, NewWire, Wire
from payloads import payload
from rawclient import Closed, request
from rawserver import Peer, answer
from response_cases import CASES

#: What becomes on the wire of those that a reader leaves open: retried or not, in the end there is no answer.
STATUS = {"bad": 502, "closed": 502, "waits": 504}

#: Where a reader only sees that it must give up, the client gets an answer: its own one had not begun.
ON_THE_WIRE = {"UR98": "103 " * 16 + "bad"}

#: What else must hold: framing towards the client, and octets that must never reach it.
BODIES = {
    "UR02": b"ok",
    "UR05": b"ok",
    "UR18": b"hello",
    "UR19": b"hello",
    "UR20": b"hello",
    "UR35": b"hello",
    "UR47": b"",
    "UR49": b"",
    "UR51": b"ok",
    "UR54": b"ok",
    "UR59": b"hello",
}


class Script:
    """A server that answers the first request with a payload, and whatever comes to another path rightly."""

    def __init__(self) -> None:
        self.payload = b""
        self.then = "stay"
        self.misbehaved = 0

    def __call__(self, peer: Peer) -> None:
        while (asked := peer.request()) is not None:
            if asked.path != "/bad":
                peer.send(answer(b"good " + asked.path.encode()))
                continue
            self.misbehaved += 1
            peer.send(self.payload)
            if self.then == "close":
                return
            if self.then == "reset":
                peer.reset()
                return


@pytest.fixture(scope="module")
def script() -> Script:
    """What the server does."""
    return Script()


@pytest.fixture(scope="module")
def target(hosts: Hosts, script: Script) -> Iterator[Wire]:
    """A host whose server follows the script."""
    taken = hosts.take()
    taken.serve(script)
    yield taken
    taken.stop()


@pytest.fixture(scope="module")
def hurried_target(hurried_hosts: Hosts, script: Script) -> Iterator[Wire]:
    """The same where a server that does not answer is given up soon."""
    taken = hurried_hosts.take()
    taken.serve(script)
    yield taken
    taken.stop()


@pytest.fixture(autouse=True)
def _fresh(target: Wire, script: Script) -> None:
    target.servers[0].drop()
    script.misbehaved = 0


def ask_badly(wire: Wire, method: bytes, upgrade: bool) -> bytes:
    """The request that gets the payload."""
    lines = ("Connection: Upgrade", "Upgrade: foo") if upgrade else ()
    return request(wire.host, "/bad", method.decode(), *lines)


TELLING = [case for case in CASES if "101" not in case[5]]


@pytest.mark.parametrize(
    "name, method, upgrade, text, then, verdict", TELLING, ids=[case[0] for case in TELLING]
)
def test_response_is_relayed_refused_or_visibly_cut(
    target: Wire,
    hurried_target: Wire,
    script: Script,
    name: str,
    method: bytes,
    upgrade: bool,
    text: str,
    then: str,
    verdict: str,
) -> None:
    if "waits" in verdict.split():
        target = hurried_target
        target.servers[0].drop()
    script.payload, script.then = payload(text), "reset" if name == "UR14" else then
    words = ON_THE_WIRE.get(name, verdict).split()
    spent = words[-1] in ("spent", "cut") or words[-1] in STATUS
    statuses = [STATUS.get(word) or int(word) for word in words if word not in ("spent", "cut")]
    with target.client() as client:
        client.send(ask_badly(target, method, upgrade))
        reply = client.reply(method)
        assert [*reply.interims, reply.status] == statuses
        assert reply.complete == ("cut" not in words)
        if name in BODIES:
            assert reply.body == BODIES[name]
        if "cut" in words:
            assert client.is_closed()
        else:
            # The client's connection goes on, and the next answer is the next one's.
            assert not reply.closes
            after = client.ask(target.host, "/after")
            assert (after.status, after.body) == (200, b"good /after")
            assert client.is_quiet(0.05)
    server = target.servers[0]
    assert script.misbehaved == 1
    if spent:
        assert server.peer(0).finished.wait(LONG), "the connection that misbehaved was kept"
        assert server.peer(0).requests[-1].path == "/bad"
    else:
        assert [asked.path for asked in server.peer(0).requests] == ["/bad", "/after"]


def test_fields_of_framing_are_written_afresh(target: Wire, script: Script) -> None:
    for name, expected in (("UR05", b"chunked"), ("UR19", b"chunked"), ("UR20", None)):
        [(_, _, _, text, then, _)] = [case for case in CASES if case[0] == name]
        script.payload, script.then = payload(text), then
        with target.client() as client:
            reply = client.ask(target.host, "/bad")
            assert reply.get(b"transfer-encoding") == expected
            assert (reply.get(b"content-length") is None) == (expected is not None)


def test_204_and_head_carry_no_body_and_no_wrong_length(target: Wire, script: Script) -> None:
    script.payload, script.then = (
        payload(r"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"),
        "stay",
    )
    with target.client() as client:
        assert client.ask(target.host, "/bad").get(b"content-length") is None
    script.payload = payload(r"{200}Content-Length: 5\r\n\r\nhello")
    with target.client() as client:
        assert client.ask(target.host, "/bad", "HEAD").get(b"content-length") == b"5"


def test_trailers_go_to_those_who_take_them(target: Wire, script: Script) -> None:
    script.payload = payload(
        r"{200}{TE}Trailer: X-T\r\n\r\n5\r\nhello\r\n0\r\nX-T: v\r\nContent-Length: 9\r\n\r\n"
    )
    script.then = "stay"
    with target.client() as client:
        assert client.ask(target.host, "/bad").trailers == b""
        assert (
            client.ask(target.host, "/bad", "GET", "TE: trailers", "Connection: TE").trailers == b"X-T: v\r\n"
        )


def test_101_that_was_asked_for_opens_a_tunnel_without_framing(target: Wire, script: Script) -> None:
    [(_, method, upgrade, text, then, _)] = [case for case in CASES if case[0] == "UR58"]
    script.payload, script.then = payload(text), then
    with target.client() as client:
        client.send(ask_badly(target, method, upgrade))
        reply = client.reply()
        assert reply.status == 101
        assert reply.get(b"upgrade") == b"foo"
        assert reply.get(b"content-length") is None and reply.get(b"transfer-encoding") is None
        assert client.read(3) == b"raw"


def test_answer_that_ends_with_a_reset_is_not_taken_for_complete(target: Wire, script: Script) -> None:
    """Where only the end of the connection says that the body is complete, a reset is no end."""
    script.payload, script.then = payload(r"{200}\r\nhalf of it"), "reset"
    for _ in range(20):
        with target.client() as client:
            client.send(ask_badly(target, b"GET", False))
            try:
                assert not client.reply().complete
            except Closed as why:
                # The reset overtook the answer: nothing can be taken for one.
                assert "HTTP" not in str(why)


def test_answer_to_http_10_ends_with_its_connection(target: Wire, script: Script) -> None:
    script.payload, script.then = payload(r"{200}{TE}\r\n5\r\nhello\r\n0\r\n\r\n"), "stay"
    with target.client() as client:
        client.send(f"GET /bad HTTP/1.0\r\nHost: {target.host}\r\n\r\n".encode())
        reply = client.reply()
        assert (reply.get(b"transfer-encoding"), reply.body) == (None, b"hello")


def test_cut_answer_to_http_10_ends_with_a_reset(target: Wire, script: Script) -> None:
    """There an ordinary end would say: complete."""
    script.payload, script.then = payload(r"{200}{TE}\r\n5\r\nhel"), "close"
    with target.client() as client:
        client.send(f"GET /bad HTTP/1.0\r\nHost: {target.host}\r\n\r\n".encode())
        with pytest.raises(ConnectionResetError):
            while client.sock.recv(4096):
                pass


def test_bytes_of_one_client_never_reach_another(wire: NewWire) -> None:
    """A server that sends more than its answer, and two clients that share its connections."""
    target = wire()

    def extra(peer: Peer) -> None:
        while (asked := peer.request()) is not None:
            peer.send(answer(asked.path.encode()), answer(b"EVIL"))

    target.serve(extra)
    wrong: list[bytes] = []

    def ask_often(letter: str) -> None:
        with target.client() as client:
            for number in range(150):
                path = f"/{letter}{number}"
                body = client.ask(target.host, path).body
                if body != path.encode():
                    wrong.append(body)

    threads = [threading.Thread(target=ask_often, args=(letter,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(target.servers[0].requests) == 300


def test_every_row_was_tried() -> None:
    assert len(TELLING) + 1 == len(CASES)
    assert sum(case[5] in STATUS or "cut" in case[5] for case in CASES) >= 18
