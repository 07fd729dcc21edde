"""Heads, headers and exchanges as values: what is looked up how, and what they begin with."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.exchange import Exchange, Headers, RequestHead, Response, ResponseHead, field_of
from dynbalancer.core.model import EntryPoint

PAIRS = ((b"X-One", b"1"), (b"Set-Cookie", b"a"), (b"set-cookie", b"b"))


def test_field_is_looked_up_in_lower_case_and_written_as_it_came() -> None:
    assert field_of(b"X-One", b"1") == (b"x-one", b"1", b"X-One: 1\r\n")


def test_values_are_found_by_lower_case_name_in_order() -> None:
    headers = Headers.of(*PAIRS)
    assert (headers.get(b"set-cookie"), headers.all(b"set-cookie")) == (b"a", [b"a", b"b"])
    assert (headers.get(b"x-two"), headers.get(b"x-two", b"?"), headers.all(b"x-two")) == (None, b"?", [])
    assert b"x-one" in headers
    assert b"x-two" not in headers
    assert (len(headers), tuple(headers)) == (3, PAIRS)


def test_setting_replaces_every_spelling() -> None:
    headers = Headers.of(*PAIRS)
    headers.set(b"SET-COOKIE", b"c")
    assert list(headers) == [(b"X-One", b"1"), (b"SET-COOKIE", b"c")]


def test_adding_keeps_what_is_there() -> None:
    headers = Headers.of(*PAIRS)
    headers.add(b"X-ONE", b"2")
    assert headers.all(b"x-one") == [b"1", b"2"]


@pytest.mark.parametrize(
    "names, left", [((b"set-cookie",), 1), ((b"x-one", b"set-cookie"), 0), ((b"x-two",), 3), ((), 3)]
)
def test_removing_by_name(names: tuple[bytes, ...], left: int) -> None:
    headers = Headers.of(*PAIRS)
    headers.remove(*names)
    assert len(headers) == left


def test_copy_is_equal_and_independent() -> None:
    headers = Headers.of(*PAIRS)
    copied = headers.copy()
    assert copied == headers
    copied.add(b"X-Two", b"2")
    assert copied != headers
    assert len(headers) == 3
    assert headers != list(PAIRS)


def test_headers_show_what_is_in_them() -> None:
    assert repr(Headers.of((b"A", b"b"))) == "Headers([(b'A', b'b')])"


def test_request_head_begins_with_good_defaults_of_its_own() -> None:
    head, other = RequestHead(), RequestHead()
    assert (head.method, head.path, head.query, head.host, head.authority) == (b"GET", b"/", None, b"", b"")
    assert (head.scheme, head.version, head.length, head.port) == (b"http", 11, None, None)
    assert (head.keep_alive, head.upgrade, head.expect_continue) == (True, None, False)
    head.headers.add(b"A", b"b")
    head.keep_alive = False
    assert (len(other.headers), other.keep_alive) == (0, True)


@pytest.mark.parametrize(
    "about, authority",
    [
        ({"host": b"a.example"}, b"a.example"),
        ({"host": b"a.example", "authority": b"A.example:80"}, b"A.example:80"),
        ({"version": 10}, b""),
    ],
)
def test_authority_is_the_host_where_nothing_else_is_said(about: dict[str, object], authority: bytes) -> None:
    assert RequestHead(**about).authority == authority  # type: ignore[arg-type]


@pytest.mark.parametrize("query, target", [(None, b"/a"), (b"", b"/a?"), (b"b=c", b"/a?b=c")])
def test_target_is_path_and_query(query: bytes | None, target: bytes) -> None:
    assert RequestHead(b"GET", b"/a", query).target == target


def test_response_head_begins_as_an_empty_answer() -> None:
    head = ResponseHead()
    assert (head.status, head.reason, head.length, head.version, head.keep_alive) == (200, b"", 0, 11, True)
    assert ResponseHead(204, length=None).length is None


def test_response_takes_pairs_in_any_letter_case() -> None:
    answer = Response(302, b"there", [(b"Location", b"/x")])
    assert (answer.status, answer.body, answer.headers.get(b"location")) == (302, b"there", b"/x")
    assert len(Response(200).headers) == 0


def test_exchange_begins_undecided() -> None:
    exchange = Exchange(RequestHead(), EntryPoint("web", 80), "192.0.2.1", 4, trusted=True, started=7.0)
    assert (exchange.client, exchange.client_port, exchange.trusted) == ("192.0.2.1", 4, True)
    assert (exchange.started, exchange.finished) == (7.0, 0.0)
    assert (exchange.route, exchange.server, exchange.table, exchange.response) == (None, None, None, None)
    assert (exchange.status, exchange.outcome, exchange.tries, exchange.notes) == (0, "", 0, None)
    assert (exchange.bytes_in, exchange.bytes_out, exchange.user) == (0, 0, b"")


def test_copy_of_a_head_that_serves_several_serves_one() -> None:
    head = RequestHead(path=b"/a")
    head.shared, head.logged = True, ("a", "b")
    twin = head.copy()
    assert (twin.path, twin.shared, twin.logged) == (b"/a", False, None)


def test_copy_of_a_head_says_all_that_it_says_and_is_its_own() -> None:
    about: dict[str, Any] = {
        "method": b"PUT",
        "path": b"/a",
        "query": b"q",
        "headers": Headers.of((b"X", b"1")),
        "host": b"h",
        "authority": b"h:8",
        "port": 8,
        "scheme": b"https",
        "version": 10,
        "length": 3,
        "keep_alive": False,
        "upgrade": b"u",
        "expect_continue": True,
        "final": True,
    }
    own = {"alike", "logged", "stamped", "shared"}
    assert about.keys() | own == set(RequestHead.__slots__)
    twin = RequestHead(**about).copy()
    assert {name: getattr(twin, name) for name in about} == about
    twin.headers.add(b"Y", b"2")
    assert b"y" not in about["headers"]


def test_head_like_another_asks_for_something_else() -> None:
    head = RequestHead(b"GET", b"/a", b"q", host=b"h", port=8)
    found = head.but(b"HEAD", b"/b", None)
    assert (found.method, found.path, found.query, found.host, found.port) == (b"HEAD", b"/b", None, b"h", 8)
    assert head.target == b"/a?q"
