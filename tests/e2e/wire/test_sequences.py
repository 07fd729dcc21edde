"""Ten thousand sequences on one connection, so that most of it comes again and takes the short ways."""

from __future__ import annotations

import random

from hosts import NewWire
from rawclient import Client, request
from rawserver import Behaviour, Peer, answer

SEQUENCES = 10_000

#: How many octets every count has: the heads of answers of a kind are then the same, and only the bodies differ.
WIDTH = 6

KINDS = ("length", "length", "length", "chunked", "empty", "204", "304", "interim", "404")


def counting(asked: list[tuple[bytes, str]]) -> Behaviour:
    """Answer as the path asks for it, with the number of the request; ``asked`` collects what came."""

    def behave(peer: Peer) -> None:
        while (one := peer.request()) is not None:
            body = b"%0*d" % (WIDTH, len(asked))
            asked.append((one.method, one.path))
            kind = one.path[1:]
            if one.method == b"HEAD":
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Number: %b\r\n\r\n" % (WIDTH, body))
            elif kind == "chunked":
                head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                peer.send(head + b"%d\r\n%b\r\n0\r\n\r\n" % (WIDTH, body))
            elif kind == "empty":
                peer.send(answer(b"", b"X-Number: " + body))
            elif kind == "204":
                peer.send(b"HTTP/1.1 204 No Content\r\nX-Number: %b\r\n\r\n" % body)
            elif kind == "304":
                peer.send(
                    b"HTTP/1.1 304 Not Modified\r\nContent-Length: %d\r\nX-Number: %b\r\n\r\n" % (WIDTH, body)
                )
            elif kind == "interim":
                peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(body))
            else:
                peer.send(answer(body, status=b"404 Not Found" if kind == "404" else b"200 OK"))

    return behave


def check(client: Client, method: str, kind: str, number: int) -> None:
    """The next answer is the one to the request of this number, and of its kind."""
    reply = client.reply(method.encode())
    wanted = {"204": 204, "304": 304, "404": 404}.get(kind, 200) if method != "HEAD" else 200
    assert (reply.status, reply.complete) == (wanted, True), (method, kind, number, reply)
    with_body = method != "HEAD" and kind not in ("empty", "204", "304")
    told = reply.body if with_body else reply.get(b"x-number")
    assert told == b"%0*d" % (WIDTH, number), (method, kind, number, reply)
    assert with_body or not reply.body
    assert reply.interims == ([103] if kind == "interim" and method != "HEAD" else [])


def test_ten_thousand_sequences_on_one_connection_each_get_their_own_answers(wire: NewWire) -> None:
    """One is a request, once or several times over, perhaps sent ahead. The server counts: no two bodies are alike."""
    target = wire()
    asked: list[tuple[bytes, str]] = []
    server = target.serve(counting(asked))
    chance = random.Random(18)
    wanted: list[tuple[bytes, str]] = []
    with target.client() as client:
        for _ in range(SEQUENCES):
            method = chance.choice(("GET", "GET", "GET", "POST", "HEAD"))
            kind = chance.choice(KINDS)
            body = chance.choice((b"", b"x" * 5)) if method == "POST" else b""
            octets = request(target.host, f"/{kind}", method, body=body)
            times = chance.choice((1, 1, 1, 1, 4))
            ahead = chance.random() < 0.2
            if ahead:
                client.send(octets * times)
            for number in range(len(wanted), len(wanted) + times):
                if not ahead:
                    client.send(octets)
                check(client, method, kind, number)
            wanted += [(method.encode(), f"/{kind}")] * times
        assert client.is_quiet(0.05)
    assert asked == wanted
    assert len(server.peers) == 1, "the server's connection was not kept: the short ways were not taken"
