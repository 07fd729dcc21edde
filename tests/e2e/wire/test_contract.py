"""The sixteen rules of the parser contract (docs/inside/strictness.md), each on the wire.

The tables try each rule in many forms; here every rule has one test that says what it is for.
"""

from __future__ import annotations

import time

import pytest
from eventually import LONG, eventually
from hosts import NewWire, Wire
from rawclient import Client, request
from rawserver import Peer, RawServer, answer


def seen_of(target: Wire, data: bytes) -> bytes:
    """What the server gets of this request, which is good."""
    with target.client() as client:
        client.send(data.replace(b"HOST", target.host.encode()))
        assert client.reply().status == 200
    head = target.servers[0].requests[-1].head
    return head + b"\r\n\r\n" + target.servers[0].requests[-1].body


def status_of(target: Wire, data: bytes) -> int:
    """What is answered to this, as the last thing on the connection."""
    with target.client() as client:
        client.send(data.replace(b"HOST", target.host.encode()))
        reply = client.reply()
        assert reply.closes and client.is_closed()
        return reply.status


def test_rule_01_nothing_of_a_head_or_a_chunk_line_is_copied_through(wire: NewWire) -> None:
    target = wire()
    target.serve()
    seen = seen_of(
        target,
        b"POST /%61/./b HTTP/1.1\r\nhOsT:  HOST\t\r\nX-A:\t 1 \t\r\nTrAnSfEr-EnCoDiNg:CHUNKED\r\n\r\n"
        b"00003;x=y\r\nabc\r\n2\r\nde\r\n0;z\r\n\r\n",
    )
    assert seen.startswith(b"POST /a/b HTTP/1.1\r\nHost: " + target.host.encode() + b"\r\nX-A: 1\r\n")
    assert b"\r\nTransfer-Encoding: chunked\r\n" in seen
    assert seen.endswith(b"\r\n\r\nabcde")
    raw = target.servers[0].peers[0].received
    assert b"x=y" not in raw and b"00003" not in raw and b";z" not in raw


@pytest.mark.parametrize("body", ["none", "length", "chunked"])
def test_rule_02_there_is_one_framing_or_none(wire: NewWire, body: str) -> None:
    target = wire()
    target.serve()
    lines, octets, expected = {
        "none": (b"", b"", (0, 0)),
        "length": (b"Content-Length: 005\r\n", b"hello", (1, 0)),
        "chunked": (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n", (0, 1)),
    }[body]
    seen = seen_of(target, b"POST / HTTP/1.1\r\nHost: HOST\r\n" + lines + b"\r\n" + octets).lower()
    assert (seen.count(b"content-length:"), seen.count(b"transfer-encoding:")) == expected
    assert b"content-length: 5\r\n" in seen or body != "length"


def test_rule_03_only_crlf_ends_a_line(wire: NewWire) -> None:
    target = wire()
    for end in (b"\n", b"\r", b"\r\r\n", b"\n\r", b"\x85", b"\xe2\x80\xa8"):
        assert (
            status_of(target, b"GET / HTTP/1.1\r\nHost: HOST\r\nX: a" + end + b"Y: b\r\n\x00\r\n\r\n") == 400
        )
    assert status_of(target, b"GET / HTTP/1.1\nHost: HOST\n\n") == 400


def test_rule_04_chunked_is_the_one_coding_and_stands_alone(wire: NewWire) -> None:
    target = wire()
    for lines, status in (
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
        (b"Transfer-Encoding: identity\r\n", 400),
        (b"Transfer-Encoding: gzip, chunked\r\n", 501),
    ):
        assert status_of(target, b"POST / HTTP/1.1\r\nHost: HOST\r\n" + lines + b"\r\n0\r\n\r\n") == status
    assert (
        status_of(target, b"POST / HTTP/1.0\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        == 400
    )


def test_rule_05_a_length_is_one_line_of_1_to_18_digits(wire: NewWire) -> None:
    target = wire()
    for length in (b"", b"+5", b"-5", b"5 ,5", b"0x5", b"5_0", b"\xb2", b"\xd9\xa5", b"0" * 18 + b"5"):
        head = b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: " + length + b"\r\n\r\n"
        assert status_of(target, head + b"hello") == 400, length


def test_rule_06_after_a_refusal_nothing_is_read_and_the_client_can_read_it(wire: NewWire) -> None:
    """Lingering close: what the client still sends does not reset the answer away."""
    target = wire()
    server = target.serve()
    with target.client() as client:
        client.send(request(target.host, "/", "POST", "Content-Length: x"))
        for _ in range(20):
            client.send(request(target.host, "/later") * 20)
            time.sleep(0.005)
        assert client.reply().status == 400
        assert client.is_closed()
    with target.client() as client:
        client.send(b"\x00")
        begun = time.monotonic()
        # It would be read for a quarter of an hour.
        with pytest.raises(OSError):
            while time.monotonic() - begun < LONG:
                client.send(bytes(4096))
                time.sleep(0.01)
    assert server.octets == 0


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ],
)
def test_rule_07_only_a_clean_connection_is_used_again(wire: NewWire, data: bytes) -> None:
    target = wire()

    def serve(peer: Peer) -> None:
        while peer.request() is not None:
            peer.send(data)

    server = target.serve(serve)
    with target.client() as client:
        for _ in range(3):
            assert client.ask(target.host).body == b"ok"
    assert [len(peer.requests) for peer in server.peers] == [1, 1, 1]


def test_rule_07_answered_before_the_body_was_sent_is_not_clean(wire: NewWire) -> None:
    target = wire()

    def hasty(peer: Peer) -> None:
        while peer.head() is not None:
            peer.send(answer(b"ok"))

    server = target.serve(hasty)
    with target.client() as client:
        client.send(request(target.host, "/", "POST", "Content-Length: 5"), b"he")
        assert client.reply().body == b"ok"
        client.send(b"llo")
        assert client.ask(target.host).body == b"ok"
    assert len(server.peers) == 2


def test_rule_08_one_form_of_the_path_for_all(wire: NewWire) -> None:
    target = wire()
    target.serve()
    for path in ("/a/../b/./c//d", "/%62/c/d", "//b/%63/d", "/x/%2e%2E/b/c/d"):
        assert seen_of(target, request(target.host, path)).startswith(b"GET /b/c/d HTTP/1.1\r\n")


def test_rule_09_one_form_of_the_host_for_all(wire: NewWire) -> None:
    target = wire()
    server = target.serve()
    host = target.host
    for spelling in (host.upper(), f"{host}.", f"{host}:80", f"{host.title()}.:8000"):
        with target.client() as client:
            assert client.ask(spelling).status == 200
    assert len(server.requests) == 4
    for wrong in (f"{host} x", f"x@{host}", f"{host}/", f"{host}:x"):
        assert status_of(target, request(wrong)) == 400


def test_rule_10_strangers_do_not_say_where_they_come_from(wire: NewWire) -> None:
    target = wire()
    target.serve()
    forged = ("X-Forwarded-For: 192.0.2.1", "X_Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1")
    more = ("X-Real_IP: 192.0.2.1", "X-Forwarded-Anything: 192.0.2.1", "Proxy: 192.0.2.1")
    assert b"192.0.2.1" not in seen_of(target, request(target.host, "/", "GET", *forged, *more))


def test_rule_11_connection_names_no_field_that_matters(wire: NewWire) -> None:
    target = wire()
    target.serve()
    named = "Connection: Host, Content-Length, Authorization, Cookie, X-Forwarded-For, X-Real-Ip, X-Own"
    kept = ("Authorization: Basic YTpi", "Cookie: a=b", "X-Own: gone")
    seen = seen_of(target, request(target.host, "/", "POST", named, *kept, body=b"hello"))
    for line in (
        b"Host: ",
        b"Content-Length: 5",
        b"Authorization: ",
        b"Cookie: ",
        b"X-Forwarded-For: 127",
        b"X-Real-Ip: ",
    ):
        assert b"\r\n" + line in seen
    assert b"X-Own" not in seen


def test_rule_12_a_tunnel_is_what_both_sides_agreed_on(wire: NewWire) -> None:
    target = wire()

    def switch(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw")
        peer.wait_for_end()

    server = target.serve(switch)
    for lines in (
        (),
        ("Upgrade: websocket",),
        ("Connection: Upgrade", "Upgrade: other"),
        ("Connection: Upgrade", "Upgrade: h2c"),
    ):
        with target.client() as client:
            assert client.ask(target.host, "/", "GET", *lines).status == 502
    with target.client() as client:
        # What is sent ahead of the agreement is not sent on before it.
        client.send(request(target.host, "/", "GET", "Connection: Upgrade", "Upgrade: websocket"), b"ahead")
        assert client.reply().status == 101
        assert client.read(3) == b"raw"
    assert server.peers[-1].requests[0].body == b""


def test_rule_13_what_was_cut_is_never_ended_cleanly(wire: NewWire) -> None:
    target = wire()

    def cut(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")

    target.serve(cut)
    with target.client() as client:
        client.send(request(target.host))
        came = client.raw()
    assert came.endswith(b"\r\n5\r\nhello\r\n") and not came.endswith(b"0\r\n\r\n")


def test_rule_14_verdicts_do_not_depend_on_segments(wire: NewWire) -> None:
    target = wire()
    server = target.serve()
    good = request(target.host, "/", "POST", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n"
    bad = request(target.host, "/", "POST", "Transfer-Encoding: chunked") + b"5\r\nhello\n0\r\n\r\n"
    for data, status in ((good, 200), (bad, 400)):
        for cut in range(1, len(data), 7):
            with target.client() as client:
                client.send(data[:cut])
                time.sleep(0.001)
                client.send(data[cut:])
                assert client.reply().status == status
    assert {asked.body for asked in server.requests} == {b"hello"}


def test_rule_15_what_may_not_be_repeated_goes_on_no_connection_that_may_be_dead(wire: NewWire) -> None:
    """The server closes what is idle for 50 ms; a POST after that must not meet a dead connection."""
    target = wire()

    def closes(peer: Peer) -> None:
        peer.sock.settimeout(0.05)
        try:
            while peer.request() is not None:
                peer.send(answer(b"ok"))
        except TimeoutError:
            return

    server: RawServer = target.serve(closes)
    statuses = []
    with target.client() as client:
        for number in range(40):
            assert client.ask(target.host, "/", "GET").status == 200
            time.sleep(0.0505)
            statuses.append(client.ask(target.host, f"/{number}", "POST", body=b"once").status)
    # Where we are held up for as long as the server waits, one may meet a close, and is not repeated.
    assert statuses.count(200) >= 36 and set(statuses) <= {200, 502}
    posts = [asked.path for asked in server.requests if asked.method == b"POST"]
    assert len(posts) == len(set(posts)) >= statuses.count(200)


def test_rule_16_each_refusal_is_counted_and_shown_with_its_first_octets(wire: NewWire) -> None:
    target = wire()
    target.serve()
    balancer = target.balancer

    def count(reason: str) -> int:
        return int(balancer.api("/api/statistics")["refusals"].get(reason, 0))

    reasons = ("bad-length", "bad-host", "control-character", "bad-chunk", "head-too-long", "bad-target")
    before = {reason: count(reason) for reason in reasons}
    written = len(balancer.output)
    for data in (
        b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n",
        b"GET /\x1b[31mred\x07 HTTP/1.1\r\nHost: HOST\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: HOST\r\nX: " + b"a" * 40000,
        b"GET /%00 HTTP/1.1\r\nHost: HOST\r\n\r\n",
    ):
        assert status_of(target, data) >= 400
    eventually(lambda: all(count(reason) > before[reason] for reason in reasons))
    said = eventually(
        lambda: balancer.output[written:].count("Refused with") >= 6 and balancer.output[written:]
    )
    assert "\x1b" not in said and "\x07" not in said
    assert r"\x1b[31mred\x07" in said
    assert "a" * 200 not in said


def test_client_is_told_nothing_of_its_request(wire: NewWire) -> None:
    target = wire()
    with target.client() as client:
        client.send(b"GET /<script>secret HTTP/1.1\r\nHost: <script>\r\n\r\n")
        reply = client.reply()
    assert reply.status == 400
    assert b"script" not in reply.body and b"secret" not in reply.body


def test_a_client_straight_at_the_server_shows_that_these_checks_bite(wire: NewWire) -> None:
    target = wire()
    server = target.serve()
    with Client(server.port) as client:
        client.send(b"GET /a/../b HTTP/1.1\r\nhost: x\r\nX_Forwarded_For: 192.0.2.1\r\n\r\n")
        assert b"192.0.2.1" in client.reply().body
