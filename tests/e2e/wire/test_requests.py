"""Every request of the table over a socket: its answer, whether the connection goes on, what reached the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from byte_cases import Row, chunk_line_rows, disguise_rows, framing_rows, head_rows
from eventually import LONG
from hosts import Hosts, Wire
from payloads import payload
from rawclient import Client, Closed, Reply
from request_cases import CASES

#: What becomes of those that a parser accepts and a gateway answers itself, or that wait for more.
OWN = {"RL10": "404", "TG12": "204", "CN14": "408"}

#: After these, nothing more is served on the connection although the request was good.
LAST = {"RL10", "CN03", "CN07", "HD31", "CN14", "HD66", "HO67", "CN61", "CN63"}

#: What the server must (+) or must not (-) see of a request, anywhere in its head or body, in lower case.
SEEN = {
    "RL21": (b"+get / http/1.1",),
    "RL32": (b'+get /a"<>^`{|}b http/1.1',),
    "TG01": (b"+get /x http/1.1\r\nhost: a.test\r\n",),
    "TG06": (b"+get / http/1.1\r\nhost: a.test\r\n",),
    "TG20": (b"+get /admin http/1.1", b"-.."),
    "TG29": (b"+get /%252e%252e/admin http/1.1",),
    "TG33": (b"+get /?q=%0d%0ax:y http/1.1", b"-\nx:y"),
    "TG34": (b"+get /%c0%ae%c0%ae/admin http/1.1",),
    "HD18": (b"+x-t: a\xffb\r\n",),
    "HD25": (b"+x-t: a\r\n",),
    "HD27": (b"+content-length: 5\r\n", b"+host: a.test\r\n", b"+\r\n\r\nhello", b"-connection:"),
    "HD29": (b"-proxy:", b"-evil"),
    "HD30": (b"-9.9.9.9", b"+x-forwarded-for: 127.0.0.1\r\n", b"-\nforwarded:", b"+x-real-ip: 127.0.0.1\r\n"),
    "HD31": (b"-connection:",),
    "HD32": (b"-upgrade", b"-http2-settings"),
    "CL19": (b"+content-length: 5\r\n", b"+\r\n\r\nhello"),
    "CL20": (b"+content-length: 5\r\n", b"+\r\n\r\nhello"),
    "CL22": (b"-content_length", b"-hello"),
    "TE01": (b"+transfer-encoding: chunked\r\n", b"-content-length"),
    "TE18": (b"+transfer-encoding: chunked\r\n",),
    "TE21": (b"-transfer_encoding", b"-chunked", b"+content-length: 5\r\n"),
    "CH01": (b"-a=b",),
    "CH21": (b"-evil", b"-content-length"),
    "CN07": (b"-upgrade", b"-websocket"),
    "CN09": (b"-upgrade",),
    "TG62": (b"+get /x http/1.1\r\nhost: a.test:80\r\n",),
    "TG64": (b"+get /a/b http/1.1",),
    "TG65": (b"+get /a/b http/1.1",),
    "TG66": (b"+get /a%2fb http/1.1",),
    "TG74": (b"+get / http/1.1",),
    "TG75": (b"+get /a~- http/1.1",),
    "HD67": (b"-x-t", b"-dropped"),
    "HD68": (b"-keep-alive", b"-proxy"),
    "HD69": (b"+te: trailers\r\n", b"+connection: te\r\n", b"-deflate"),
    "HD74": (b"+te: trailers\r\n", b"+connection: te\r\n"),
    "HD72": (b"+authorization: kept\r\n", b"+cookie: kept=1\r\n"),
    "HD73": (b"-9.9.9.9", b"-https", b"-x_", b"-_proto"),
    "CL63": (b"+content-length: 5\r\n",),
    "TE61": (b"+transfer-encoding: chunked\r\n",),
    "CH65": (b"-b;c", b"-last"),
    "CN61": (b"-/2",),
    "CN62": (b"-upgrade", b"-websocket"),
    "CN63": (b"-expect",),
    "CN64": (b"-upgrade", b"-h2c", b"-tls"),
    "CN65": (b"+expect: 100-continue\r\n",),
}


@pytest.fixture(scope="module")
def target(hosts: Hosts) -> Iterator[Wire]:
    """The host of the table, with a server that echoes what it gets."""
    taken = hosts.take(name="a.test")
    taken.serve()
    yield taken
    taken.stop()


@pytest.fixture(scope="module")
def hurried_target(hurried_hosts: Hosts) -> Iterator[Wire]:
    """The same where a body that does not come is given up soon."""
    taken = hurried_hosts.take(name="a.test")
    taken.serve()
    yield taken
    taken.stop()


@pytest.fixture(autouse=True)
def _fresh(target: Wire) -> None:
    target.servers[0].drop()


def has_ended(client: Client) -> bool:
    """Is the connection over?"""
    return client.is_closed()


def goes_on(client: Client) -> bool:
    """Is another request answered on this connection, as itself?"""
    reply = client.ask("a.test", "/probe")
    return reply.status == 200 and reply.body.startswith(b"GET /probe HTTP/1.1\r\n")


def all_replies(client: Client, data: bytes, verdicts: list[str]) -> list[Reply]:
    """Those that come to this payload."""
    client.send(data)
    method = data.lstrip()[:4]
    return [client.reply(b"HEAD" if method == b"HEAD" else b"GET") for _ in verdicts]


ACCEPTED = [case for case in CASES if OWN.get(case[0], case[2]).split()[-1] in ("200", "204")]
REFUSED = [case for case in CASES if OWN.get(case[0], case[2]).split()[-1] not in ("200", "204")]


@pytest.mark.parametrize("name, text, verdict", ACCEPTED, ids=[case[0] for case in ACCEPTED])
def test_good_request_is_served_and_the_connection_goes_on(
    target: Wire, name: str, text: str, verdict: str
) -> None:
    verdicts = OWN.get(name, verdict).split()
    with target.client() as client:
        replies = all_replies(client, payload(text), verdicts)
        assert [str(reply.status) for reply in replies] == verdicts
        assert all(reply.complete for reply in replies)
        assert replies[-1].closes == (name in LAST)
        if name == "CL22":
            # What was meant as a body is the beginning of the next request.
            client.send(b"\r\n\r\n")
            assert client.reply().status == 400
            assert has_ended(client)
        else:
            assert has_ended(client) if name in LAST else goes_on(client)
    seen = b"".join(peer.received for peer in target.servers[0].peers).lower().split(b"get /probe")[0]
    assert (b"http/1.1\r\n" in seen) == (verdicts[0] == "200")
    assert seen.count(b"\r\nhost:") == verdicts.count("200")
    for wanted in SEEN.get(name, ()):
        assert (wanted[1:] in seen) == wanted.startswith(b"+"), (wanted, seen)


@pytest.mark.parametrize("name, text, verdict", REFUSED, ids=[case[0] for case in REFUSED])
def test_bad_request_is_refused_and_none_of_it_reaches_the_server(
    target: Wire, hurried_target: Wire, name: str, text: str, verdict: str
) -> None:
    verdicts = OWN.get(name, verdict).split()
    target = hurried_target if verdicts[-1] == "408" else target
    with target.client() as client:
        replies = all_replies(client, payload(text), verdicts)
        assert [str(reply.status) for reply in replies] == verdicts
        assert replies[-1].closes
        assert replies[-1].interims == []
        if len(verdicts) == 1:
            assert_nothing_whole_arrived(target, name)
        # Lingering close: what still comes is neither served nor answered with a reset.
        client.send(b"GET /late HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert has_ended(client)
    assert not any(request.path in ("/late", "/evil", "/3") for request in target.servers[0].requests)
    with target.client() as other:
        assert goes_on(other)


@pytest.mark.parametrize("rows", [framing_rows, disguise_rows, head_rows, chunk_line_rows])
def test_odd_octets_and_disguises_are_refused_and_stay_here(
    target: Wire, rows: Callable[[], Iterator[Row]]
) -> None:
    """Each on a connection of its own; what is refused is followed by a request that must not be taken for one."""
    surprises = []
    for number, (name, data, verdict) in enumerate(rows()):
        if verdict == "200" or number % 3:
            # The others were tried on the reader itself.
            continue
        with target.client() as client:
            client.send(data, b"GET /late HTTP/1.1\r\nHost: a.test\r\n\r\n")
            reply = client.reply()
            if str(reply.status) != verdict or not reply.closes or not has_ended(client):
                surprises.append((name, data, verdict, reply.status))
    assert surprises == []
    # A chunk line is read when its head may be on its way already; whole it never is.
    assert target.servers[0].requests == []
    assert rows is chunk_line_rows or target.servers[0].octets == 0


def assert_nothing_whole_arrived(target: Wire, name: str) -> None:
    """No octet, unless the body was bad: then a head may have, on a connection that was ended at once."""
    server = target.servers[0]
    if not name.startswith(("CH", "CN14")):
        assert server.octets == 0
        return
    assert server.requests == []
    for peer in list(server.peers):
        assert peer.finished.wait(LONG)


def test_every_row_was_tried() -> None:
    assert len(ACCEPTED) + len(REFUSED) == len(CASES)
    assert {name for name, _, _ in CASES} >= OWN.keys() | LAST | SEEN.keys()
    assert len(REFUSED) >= 90


def test_the_check_bites_a_server_without_the_balancer_takes_bad_requests(target: Wire) -> None:
    """The recording server itself is lenient: what the balancer refuses, it would have answered."""
    with Client(target.servers[0].port) as client:
        client.send(payload(r"{G}{H}{H}X-T: a\x00b\r\n\r\n"))
        assert client.reply().status == 200
    assert target.servers[0].octets


def test_head_byte_by_byte_is_one_request(target: Wire) -> None:
    with target.client() as client:
        for octet in payload(r"{P}{H}Content-Length: 5\r\n\r\nhello"):
            client.send(bytes((octet,)))
            time.sleep(0.001)
        reply = client.reply()
        assert reply.status == 200 and reply.body.endswith(b"\r\n\r\nhello")
        assert goes_on(client)


def test_nothing_is_answered_to_a_connection_that_only_ends(target: Wire) -> None:
    with target.client() as client:
        client.half_close()
        with pytest.raises(Closed):
            client.reply()
