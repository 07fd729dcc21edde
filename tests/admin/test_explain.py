"""The request that is asked about, and the verdict on it."""

from __future__ import annotations

from functools import partial

import pytest

from dynbalancer.admin.explain import exchange_of, explained, explained_stream
from dynbalancer.core.model import Configuration, EntryPoint
from dynbalancer.core.streams import StreamRouter, StreamServer, StreamService
from dynbalancer.core.streamtable import compile_streams
from dynbalancer.core.table import RoutingTable, compile_table
from dynbalancer.errors import RequestError
from tests.admin.fakes import POINTS, FakeRouter


@pytest.mark.parametrize(
    "url, host, path, query, point",
    [
        ("http://A.example/x?y=1", b"a.example", b"/x", b"y=1", "web"),
        ("a.example", b"a.example", b"/", None, "web"),
        ("a.example?x", b"a.example", b"/", b"x", "web"),
        ("http://a.example:8000/../b", b"a.example", b"/b", None, "internal"),
        ("https://a.example./", b"a.example", b"/", None, "web"),
        ("http://[::1]:80/a/é#top", b"[::1]", b"/a/%C3%A9", None, "web"),
    ],
)
def test_urls_are_read_as_a_request(
    url: str, host: bytes, path: bytes, query: bytes | None, point: str
) -> None:
    asked = exchange_of({"url": [url]}, POINTS)
    assert (asked.head.host, asked.head.path, asked.head.query) == (host, path, query)
    assert asked.entry_point.name == point


def test_method_headers_client_and_entry_point_are_taken_over() -> None:
    arguments = {
        "url": ["a.example/"],
        "method": ["post"],
        "header": ["X-A: 1", "x-a:2", "Host: b.example"],
        "client": ["192.0.2.7"],
        "entryPoint": ["internal"],
    }
    asked = exchange_of(arguments, POINTS)
    assert (asked.head.method, asked.client, asked.entry_point.name) == (b"POST", "192.0.2.7", "internal")
    assert asked.head.headers.all(b"x-a") == [b"1", b"2"]
    assert (asked.head.host, b"host" in asked.head.headers) == (b"b.example", False)


@pytest.mark.parametrize(
    "arguments, why",
    [
        ({}, "url is missing"),
        ({"url": ["ftp://a.example/"]}, "not http"),
        ({"url": ["http://a b/"]}, "Host"),
        ({"url": ["http://a.example/%zz"]}, "escape"),
        ({"url": ["a.example"], "header": ["nonsense"]}, "Name: value"),
        ({"url": ["a.example"], "entryPoint": ["nowhere"]}, "web, internal"),
    ],
)
def test_what_makes_no_request_is_refused_in_words(arguments: dict[str, list[str]], why: str) -> None:
    with pytest.raises(RequestError) as refused:
        exchange_of(arguments, POINTS)
    assert refused.value.status == 400
    assert why in refused.value.why


def test_without_entry_points_nothing_can_be_explained() -> None:
    with pytest.raises(RequestError, match="no entry point"):
        exchange_of({"url": ["a.example"]}, ())


def test_the_winner_its_middlewares_and_the_request_are_told() -> None:
    asked = exchange_of({"url": ["http://shop.example/cart/1?a"]}, POINTS)
    verdict = explained(FakeRouter().table, asked)
    assert (verdict["router"], verdict["service"]) == ("shop@docker", "shop@docker")
    assert (verdict["middlewares"], verdict["table"]) == (["strip"], 7)
    assert verdict["request"] == {
        "method": "GET",
        "scheme": "http",
        "host": "shop.example",
        "path": "/cart/1",
        "query": "a",
        "entryPoint": "web",
        "client": "127.0.0.1",
    }


def test_the_clause_that_failed_is_marked() -> None:
    verdict = explained(FakeRouter().table, exchange_of({"url": ["http://shop.example/other"]}, POINTS))
    shop = next(entry for entry in verdict["candidates"] if entry["name"] == "shop@docker")
    assert verdict["router"] is None
    assert [clause["matched"] for clause in shop["trace"]["children"]] == [True, False]


STREAMS = Configuration(
    tcp_routers={"pg@x": StreamRouter("pg@x", "HostSNI(`pg.example`) && ALPN(`h2`)", "s", ("db",), tls=True)},
    tcp_services={"s@x": StreamService("s@x", (StreamServer("10.0.0.1:1"),))},
    udp_routers={"dns@x": StreamRouter("dns@x", service="s", entry_points=("dns",))},
    udp_services={"s@x": StreamService("s@x", (StreamServer("10.0.0.1:1"),))},
)
STREAM_POINTS = (EntryPoint("web", 80), EntryPoint("db", 5432), EntryPoint("dns", 53, udp=True))


def stream_table() -> RoutingTable:
    return compile_table(
        STREAMS,
        STREAM_POINTS,
        make_middleware=lambda definition: definition,
        make_service=lambda service, before: service,
        make_streams=partial(
            compile_streams,
            entry_points=STREAM_POINTS,
            make_middleware=lambda definition: definition,
            make_service=lambda family, wanted, transport, members, before: wanted,
        ),
    )


@pytest.mark.parametrize(
    ("root", "arguments", "request_", "router"),
    [
        (
            "tcp",
            {"sni": ["PG.example."], "alpn": ["http/1.1, h2"], "client": ["192.0.2.1"]},
            {
                "entryPoint": "db",
                "client": "192.0.2.1",
                "tls": True,
                "sni": "pg.example",
                "alpn": ["http/1.1", "h2"],
            },
            "pg@x",
        ),
        (
            "tcp",
            {"entryPoint": ["web"], "tls": ["true"]},
            {"entryPoint": "web", "client": "127.0.0.1", "tls": True, "sni": "", "alpn": []},
            None,
        ),
        (
            "tcp",
            {"entryPoint": ["db"]},
            {"entryPoint": "db", "client": "127.0.0.1", "tls": False, "sni": "", "alpn": []},
            None,
        ),
        ("udp", {}, {"entryPoint": "dns"}, "dns@x"),
    ],
)
def test_connections_are_explained_as_they_were_understood(
    root: str, arguments: dict[str, list[str]], request_: dict[str, object], router: str | None
) -> None:
    found = explained_stream(stream_table(), root, arguments, STREAM_POINTS)
    assert (found["request"], found["router"]) == (request_, router)


@pytest.mark.parametrize(("root", "why"), [("tcp", "there are: db, web"), ("udp", "there are: dns")])
def test_entry_point_that_is_none_is_refused_in_words(root: str, why: str) -> None:
    with pytest.raises(RequestError) as refused:
        explained_stream(stream_table(), root, {"entryPoint": ["nowhere"]}, STREAM_POINTS)
    assert refused.value.why.endswith(why)
    with pytest.raises(RequestError):
        explained_stream(stream_table(), root, {}, ())
