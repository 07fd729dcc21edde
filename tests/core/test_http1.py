"""Heads: bytes to values and back. The wire tables in tests/conformance say what is refused."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.exchange import CHUNKED, UNTIL_CLOSE, Alike, Headers, RequestHead, ResponseHead
from dynbalancer.core.http1 import (
    allowed_trailers,
    parse_request_head,
    parse_response_head,
    write_request_head,
    write_response_head,
    write_trailers,
)
from dynbalancer.core.settings import Limits
from dynbalancer.errors import BadResponse, RequestError

LIMITS = Limits()


def request(*lines: bytes, first: bytes = b"GET / HTTP/1.1", trusted: bool = False) -> RequestHead:
    return parse_request_head(b"\r\n".join((first, *lines)), LIMITS, trusted=trusted)


def response(
    *lines: bytes, first: bytes = b"HTTP/1.1 200 OK", method: bytes = b"GET", upgrade: bytes | None = None
) -> ResponseHead:
    return parse_response_head(b"\r\n".join((first, *lines)), LIMITS, method=method, upgrade=upgrade)


def test_request_in_normal_form() -> None:
    head = request(
        b"Host: A.Test:8080",
        b"Accept:  text/html \t",
        b"X-A: 1",
        b"X-A: 2",
        first=b"GET /a/../b%2E?x=%2E HTTP/1.1",
    )
    assert (head.method, head.path, head.query, head.version) == (b"GET", b"/b.", b"x=%2E", 11)
    assert (head.host, head.port, head.authority) == (b"a.test", 8080, b"a.test:8080")
    assert list(head.headers) == [(b"Accept", b"text/html"), (b"X-A", b"1"), (b"X-A", b"2")]
    assert (head.length, head.keep_alive, head.upgrade, head.expect_continue) == (None, True, None, False)


@pytest.mark.parametrize(
    "first, lines, keep",
    [
        (b"GET / HTTP/1.1", [], True),
        (b"GET / HTTP/1.1", [b"Connection: close"], False),
        (b"GET / HTTP/1.1", [b"Connection: foo", b"Connection: bar , CLOSE"], False),
        (b"GET / HTTP/1.0", [], False),
        (b"GET / HTTP/1.0", [b"Connection: keep-alive"], True),
        (b"GET / HTTP/1.0", [b"Connection: keep-alive, close"], False),
    ],
)
def test_who_wants_to_go_on(first: bytes, lines: list[bytes], keep: bool) -> None:
    assert request(b"Host: a.test", *lines, first=first).keep_alive is keep


@pytest.mark.parametrize(
    "line, length",
    [
        (b"Content-Length: 0", 0),
        (b"Content-Length: 5", 5),
        (b"Transfer-Encoding: CHUNKED", CHUNKED),
        (b"X: y", None),
    ],
)
def test_length_of_a_request(line: bytes, length: int | None) -> None:
    head = request(b"Host: a.test", line, first=b"POST / HTTP/1.1")
    assert head.length == length
    assert b"content-length" not in head.headers


def test_what_connection_names_ends_here_unless_it_steers() -> None:
    head = request(
        b"Host: a.test",
        b"Connection: X-Hop, Authorization, Host, Content-Length, keep-alive",
        b"X-Hop: 1",
        b"Authorization: x",
        b"Content-Length: 5",
        b"Keep-Alive: timeout=5",
        b"Proxy-Authorization: y",
    )
    assert list(head.headers) == [(b"Authorization", b"x")]
    assert (head.length, head.host) == (5, b"a.test")


def test_forwarded_fields_are_for_trusted_peers() -> None:
    lines = (
        b"Host: a.test",
        b"X-Forwarded-For: 9.9.9.9",
        b"X_Forwarded_Host: evil",
        b"Forwarded: for=x",
        b"X-Real-Ip: y",
    )
    assert list(request(*lines).headers) == []
    assert len(request(*lines, trusted=True).headers) == 4


@pytest.mark.parametrize(
    "lines, first, upgrade",
    [
        ([b"Connection: Upgrade", b"Upgrade: websocket"], b"GET / HTTP/1.1", b"websocket"),
        ([b"Upgrade: websocket"], b"GET / HTTP/1.1", None),
        ([b"Connection: Upgrade", b"Upgrade: h2c"], b"GET / HTTP/1.1", None),
        ([b"Connection: Upgrade", b"Upgrade: h2c, websocket, TLS/1.2"], b"GET / HTTP/1.1", b"websocket"),
        ([b"Connection: Upgrade", b"Upgrade: H2C", b"Upgrade: HTTP/2.0"], b"GET / HTTP/1.1", None),
        ([b"Connection: Upgrade", b"Upgrade: httpx/1, h2cx"], b"GET / HTTP/1.1", b"httpx/1, h2cx"),
        ([b"Connection: Upgrade", b"Upgrade: websocket"], b"GET / HTTP/1.0", None),
    ],
)
def test_upgrade_is_asked_for(lines: list[bytes], first: bytes, upgrade: bytes | None) -> None:
    head = request(b"Host: a.test", *lines, first=first)
    assert head.upgrade == upgrade
    assert b"upgrade" not in head.headers


def test_expectation_counts_where_there_is_a_body() -> None:
    assert request(b"Host: a", b"Content-Length: 5", b"Expect: 100-Continue").expect_continue
    assert not request(b"Host: a", b"Content-Length: 0", b"Expect: 100-continue").expect_continue
    assert not request(
        b"Host: a", b"Content-Length: 5", b"Expect: x", first=b"POST / HTTP/1.0"
    ).expect_continue


def test_te_is_kept_only_for_trailers() -> None:
    assert request(b"Host: a", b"TE: gzip, trailers").headers.get(b"te") == b"trailers"
    assert request(b"Host: a", b"TE: gzip").headers.get(b"te") is None


def test_te_is_named_in_connection_whether_the_client_did_or_not() -> None:
    for named in ((), (b"Connection: TE",), (b"Connection: close, te, X-A", b"X-A: 1")):
        head = request(b"Host: a", b"TE: trailers", *named)
        lines = write_request_head(head).split(b"\r\n")
        assert lines[1:] == [b"Host: a", b"Connection: TE", b"TE: trailers", b"", b""]
    assert b"Connection" not in write_request_head(request(b"Host: a", b"TE: gzip", b"Connection: TE"))


def test_an_upgrade_wants_no_trailers() -> None:
    """What answers it is a tunnel, and its Connection names Upgrade alone."""
    head = request(b"Host: a", b"Connection: Upgrade, TE", b"TE: trailers", b"Upgrade: websocket")
    assert head.upgrade == b"websocket"
    assert list(head.headers) == []


def test_announced_trailers_are_remembered_with_a_chunked_body() -> None:
    assert request(b"Host: a", b"Trailer: X", b"Transfer-Encoding: chunked").headers.get(b"trailer") == b"X"
    assert request(b"Host: a", b"Trailer: X").headers.get(b"trailer") is None


@pytest.mark.parametrize("said", [b"a.test", b"A.TEST", b"a.test.", b"a.Test.:"])
def test_server_gets_the_host_that_routing_saw(said: bytes) -> None:
    for first in (b"GET / HTTP/1.1", b"GET http://%b/ HTTP/1.1" % said):
        assert (
            write_request_head(request(b"Host: " + said, first=first))
            == b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
        )


@pytest.mark.parametrize(
    "target, authority, path",
    [
        (b"http://a.test/x", b"a.test", b"/x"),
        (b"HTTP://A.test:80/x", b"a.test", b"/x"),
        (b"http://a.test?q", b"a.test", b"/"),
    ],
)
def test_absolute_form_is_made_origin_form(target: bytes, authority: bytes, path: bytes) -> None:
    head = request(b"Host: " + authority, first=b"GET " + target + b" HTTP/1.1")
    assert (head.host, head.path) == (b"a.test", path)


@pytest.mark.parametrize(
    "first, lines, status",
    [
        (b"GET / HTTP/1.1", [b"Host: a", *[b"X: y"] * 100], 431),
        (b"GET / HTTP/1.1", [b"Host: a", b"x" * 300 + b": y"], 431),
        (b"GET /" + b"a" * 17000 + b" HTTP/1.1", [b"Host: a"], 414),
        (b"G" * 33 + b" / HTTP/1.1", [b"Host: a"], 400),
        (b"GET / HTTP/3.0", [b"Host: a"], 505),
        (b"GET https://a/ HTTP/1.1", [b"Host: a"], 400),
        (b"GET http://u@a/ HTTP/1.1", [b"Host: a"], 400),
        (b"CONNECT a:443 HTTP/1.1", [b"Host: a"], 405),
        (b"CONNECT a:443x HTTP/1.1", [b"Host: a"], 400),
        (b"CONNECT a HTTP/1.1", [b"Host: a"], 400),
        (b"CONNECT a: HTTP/1.1", [b"Host: a"], 400),
        (b"CONNECT a:0 HTTP/1.1", [b"Host: a"], 400),
        (b"CONNECT a:443 HTTP/1.1", [], 400),
        (b"CONNECT a:443 HTTP/1.1", [b"Host: a", b"Host: a"], 400),
        (b"GET / HTTP/1.1", [b"Host: a", b"Host"], 400),
        (b"GET / HTTP/1.1", [b"Host: a", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], 400),
    ],
)
def test_what_is_refused_and_how(first: bytes, lines: list[bytes], status: int) -> None:
    with pytest.raises(RequestError) as caught:
        request(*lines, first=first)
    assert caught.value.status == status


def test_fields_that_several_share_are_written_as_each_of_them_has_them() -> None:
    first, second = (
        request(b"Host: a", b"Accept: */*"),
        request(b"Host: a", b"Accept: */*", first=b"GET /b?c HTTP/1.1"),
    )
    first.alike = second.alike = Alike()
    assert write_request_head(first) == b"GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n"
    assert write_request_head(second) == b"GET /b?c HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n"
    second.headers.add(b"X", b"1")
    assert write_request_head(second) == b"GET /b?c HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nX: 1\r\n\r\n"
    second.headers.add(b"Y", b"2")
    assert write_request_head(second).endswith(b"\r\nX: 1\r\nY: 2\r\n\r\n")
    assert write_request_head(first) == b"GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n"


def test_request_is_written_afresh() -> None:
    head = RequestHead(
        b"POST",
        b"/p",
        b"q=1",
        host=b"a.test",
        authority=b"a.test:81",
        headers=Headers.of((b"A", b"b")),
        length=3,
    )
    assert write_request_head(head, b"X: y\r\n") == (
        b"POST /p?q=1 HTTP/1.1\r\nHost: a.test:81\r\nA: b\r\nContent-Length: 3\r\nX: y\r\n\r\n"
    )
    head.length = CHUNKED
    assert b"\r\nTransfer-Encoding: chunked\r\n" in write_request_head(head)


@pytest.mark.parametrize(
    "lines, first, method, length, keep",
    [
        ([b"Content-Length: 5"], b"HTTP/1.1 200 OK", b"GET", 5, True),
        ([b"Transfer-Encoding: chunked"], b"HTTP/1.1 200 OK", b"GET", CHUNKED, True),
        ([], b"HTTP/1.1 200 OK", b"GET", UNTIL_CLOSE, False),
        ([b"Content-Length: 5", b"Connection: Close"], b"HTTP/1.1 200 OK", b"GET", 5, False),
        ([b"Content-Length: 5"], b"HTTP/1.0 200 OK", b"GET", 5, False),
        ([b"Content-Length: 5"], b"HTTP/1.1 200 OK", b"HEAD", None, True),
        ([b"Content-Length: 5"], b"HTTP/1.1 304 x", b"GET", None, True),
        ([b"Content-Length: 5"], b"HTTP/1.1 204 x", b"GET", None, False),
        ([b"Content-Length: 0"], b"HTTP/1.1 204 x", b"GET", None, True),
        ([b"Transfer-Encoding: chunked"], b"HTTP/1.1 204 x", b"GET", None, False),
        ([b"Content-Length: 5", b"Transfer-Encoding: chunked"], b"HTTP/1.1 200 OK", b"GET", CHUNKED, False),
    ],
)
def test_framing_of_a_response(
    lines: list[bytes], first: bytes, method: bytes, length: int | None, keep: bool
) -> None:
    head = response(*lines, first=first, method=method)
    assert (head.length, head.keep_alive) == (length, keep)


def test_bodiless_answers_keep_the_length_they_announce() -> None:
    assert response(b"Content-Length: 5", method=b"HEAD").headers.get(b"content-length") == b"5"
    assert response(b"Content-Length: 5", first=b"HTTP/1.1 304 x").headers.get(b"content-length") == b"5"
    assert response(b"Content-Length: 5", first=b"HTTP/1.1 204 x").headers.get(b"content-length") is None


def test_hop_by_hop_fields_of_a_response_end_here() -> None:
    head = response(
        b"Connection: X-Hop",
        b"X-Hop: 1",
        b"Keep-Alive: 5",
        b"Upgrade: h2c",
        b"Proxy-Authenticate: Basic",
        b"Set-Cookie: a=b",
        b"Content-Length: 0",
    )
    assert list(head.headers) == [(b"Set-Cookie", b"a=b")]


def test_switch_is_accepted_only_when_asked_for() -> None:
    first = b"HTTP/1.1 101 Switching Protocols"
    for asked in (b"x", b"y, X"):
        head = response(b"Upgrade: x", b"Connection: Upgrade", first=first, upgrade=asked)
        assert head.headers.get(b"upgrade") == b"x"
    for lines, asked in (
        ([b"Upgrade: x"], None),
        ([], b"x"),
        ([b"Upgrade: y"], b"x"),
        ([b"Upgrade: x, y"], b"x"),
    ):
        with pytest.raises(BadResponse):
            response(*lines, first=first, upgrade=asked)


@pytest.mark.parametrize(
    "lines, first",
    [
        ([], b"HTTP/1.1 600 X"),
        ([], b"HTTP/1.1  200 OK"),
        ([], b"HTTP/2.0 200 OK"),
        ([b"a b: c"], b"HTTP/1.1 200 OK"),
        ([b"abc"], b"HTTP/1.1 200 OK"),
        ([b"A: b"] * 201, b"HTTP/1.1 200 OK"),
        ([b"Transfer-Encoding: chunked"], b"HTTP/1.0 200 OK"),
    ],
)
def test_what_is_not_relayed(lines: list[bytes], first: bytes) -> None:
    with pytest.raises(BadResponse):
        response(*lines, first=first)


@pytest.mark.parametrize(
    "length, line",
    [
        (3, b"Content-Length: 3\r\n"),
        (CHUNKED, b"Transfer-Encoding: chunked\r\n"),
        (None, b""),
        (UNTIL_CLOSE, b""),
    ],
)
def test_response_is_written_afresh(length: int | None, line: bytes) -> None:
    head = ResponseHead(200, headers=Headers.of((b"A", b"b")), length=length)
    assert write_response_head(head, b"X: y\r\n") == b"HTTP/1.1 200 OK\r\nA: b\r\n" + line + b"X: y\r\n\r\n"


def test_trailers_that_steer_are_left_out() -> None:
    fields = Headers.of(
        (b"X-Sum", b"1"),
        (b"Host", b"evil"),
        (b"Content-Length", b"9"),
        (b"X-Forwarded-For", b"x"),
        (b"Transfer_Encoding", b"chunked"),
        (b"Set_Cookie", b"a=b"),
    ).fields
    assert write_trailers(allowed_trailers(fields)) == b"0\r\nX-Sum: 1\r\n\r\n"


names = st.text("ABab-_.!", min_size=1, max_size=8).map(lambda text: b"X" + text.encode())
values = st.binary(max_size=20).filter(
    lambda v: not v.translate(None, bytes(range(0x20, 0x7F))) and v == v.strip()
)
paths = st.text("ab./%2e5c;~", max_size=20).map(lambda text: b"/" + text.encode())


@given(st.lists(st.tuples(names, values), max_size=6), paths)
def test_another_parser_reads_what_we_write_the_same(pairs: list[tuple[bytes, bytes]], path: bytes) -> None:
    """What we send on means to others what it means to us (llhttp, strict)."""
    block = b"\r\n".join([b"GET %b HTTP/1.1" % path, b"Host: a.test", *(b"%b: %b" % pair for pair in pairs)])
    try:
        head = parse_request_head(block, LIMITS)
    except RequestError:
        return
    written = write_request_head(head)
    seen: list[tuple[bytes, bytes]] = []
    urls: list[bytes] = []
    ended: list[bool] = []

    class Reader:
        def on_url(self, url: bytes) -> None:
            urls.append(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            seen.append((name, value))

        def on_message_complete(self) -> None:
            ended.append(True)

    httptools.HttpRequestParser(Reader()).feed_data(written)
    assert (b"".join(urls), ended) == (head.target, [True])
    assert seen == [(b"Host", b"a.test"), *head.headers]


@given(st.binary(max_size=120))
def test_no_bytes_make_the_parsers_fail_otherwise(block: bytes) -> None:
    for attempt in (
        lambda: parse_request_head(b"GET / HTTP/1.1\r\nHost: a\r\n" + block, LIMITS),
        lambda: parse_request_head(block, LIMITS),
        lambda: parse_response_head(block, LIMITS, method=b"GET"),
    ):
        try:
            attempt()
        except (RequestError, BadResponse):
            continue
