"""Explanations of connections: the router that takes one, why each other does not, and when it goes on as HTTP."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from dynbalancer.core.clienthello import Hello
from dynbalancer.core.model import Configuration, EntryPoint, Router, Service
from dynbalancer.core.streamexplanation import explain_connection, explain_datagrams
from dynbalancer.core.streamrules import Caller
from dynbalancer.core.streams import StreamRouter, StreamServer, StreamService
from dynbalancer.core.streamtable import compile_streams
from dynbalancer.core.table import RoutingTable, compile_table

POINTS = (
    EntryPoint("tcp", 9000),
    EntryPoint("other", 9001),
    EntryPoint("dns", 53, udp=True),
    EntryPoint("log", 514, udp=True),
)
TCP = ("tcp",)
ROUTERS = (
    StreamRouter("pg", "HostSNI(`pg.example`)", "s", TCP, tls=True, passthrough=True),
    StreamRouter("office", "HostSNI(`pg.example`) && ClientIP(`10.0.0.0/8`)", "s", TCP, ("own",), tls=True),
    StreamRouter("mqtt", "ALPN(`mqtt`)", "s", ("other",), tls=True),
    StreamRouter("rest", "HostSNI(`*`)", "s", TCP, tls=True),
    StreamRouter("plain", "HostSNI(`*`) && ClientIP(`192.0.2.0/24`)", "s", TCP),
    StreamRouter("off", "HostSNI(`pg.example`)", "gone", TCP, tls=True),
    StreamRouter("bad", "Hots(`x`)", "s", TCP),
)
DATAGRAMS = (
    StreamRouter("a", service="s", entry_points=("dns",)),
    StreamRouter("b", service="s", entry_points=("dns",)),
    StreamRouter("c", service="s", entry_points=("log",)),
    StreamRouter("d", service="gone", entry_points=("dns",)),
)


def table(*routers: StreamRouter) -> RoutingTable:
    service = StreamService("s", (StreamServer("10.0.0.1:1"),))
    wanted = Configuration(
        {"web": Router("web", "Host(`web.example`)", "h", tls=True, entry_points=TCP)},
        {"h": Service("h")},
        tcp_routers={router.name: router for router in routers or ROUTERS},
        tcp_services={"s": service},
        tcp_middlewares={"own": Any},  # type: ignore[dict-item]
        udp_routers={router.name: router for router in DATAGRAMS},
        udp_services={"s": service},
    )
    return compile_table(
        wanted,
        POINTS,
        make_middleware=lambda definition: definition,
        make_service=lambda service, before: service,
        make_streams=partial(
            compile_streams,
            entry_points=POINTS,
            make_middleware=lambda definition: definition,
            make_service=lambda family, wanted, transport, members, before: wanted,
        ),
    )


def asked(name: str = "", *protocols: str, client: str = "10.1.2.3", tls: bool = True) -> dict[str, Any]:
    found = explain_connection(table(), "tcp", Caller(client, Hello(name, protocols)), encrypted=tls)
    json.dumps(found)
    return found


def whys(found: dict[str, Any]) -> dict[str, str]:
    return {candidate["name"]: candidate["why"] for candidate in found["candidates"]}


def test_every_router_concerned_has_a_reason() -> None:
    found = asked("pg.example", "mqtt")
    assert (found["router"], found["service"], found["tls"]) == ("office", "s", "ends here")
    assert found["middlewares"] == ["own"]
    assert found["why"] == "router office takes it, to service s"
    assert whys(found) == {
        "office": "takes it",
        "pg": "matches, but office comes first: priority 47 against 21",
        "rest": "matches, but office comes first: priority 47 against -1",
        "mqtt": "would match, but listens on other only, not on tcp",
        "off": 'is off: service "gone" does not exist',
        "bad": "is off: unsupported function: Hots",
    }


def test_clause_that_failed_is_named() -> None:
    found = asked("pg.example", client="192.0.2.1")
    assert (found["router"], found["tls"]) == ("pg", "passed through")
    assert whys(found)["office"] == "ClientIP(`10.0.0.0/8`) is false"
    [office] = [candidate for candidate in found["candidates"] if candidate["name"] == "office"]
    assert office["trace"]["matched"] is False
    assert whys(found)["plain"] == "would match, but has no tls, so it takes connections without TLS only"


def test_name_that_an_http_router_answers_for_comes_before_whoever_takes_all() -> None:
    assert asked("other.example")["router"] == "rest"
    found = asked("web.example")
    assert (found["router"], found["tls"]) == (None, "")
    assert found["why"].startswith("an HTTP router answers for web.example here, which comes before rest")
    assert whys(found)["rest"] == found["why"]


def test_what_nobody_takes_goes_on_as_http() -> None:
    found = asked(tls=False)
    assert (found["router"], found["service"]) == (None, None)
    assert found["why"] == "no TCP router on tcp takes this connection without TLS: it goes on as HTTP"
    assert whys(found)["plain"] == "ClientIP(`192.0.2.0/24`) is false"
    assert asked(tls=False, client="192.0.2.9")["router"] == "plain"


@pytest.mark.parametrize(
    ("point", "router", "first"),
    [
        ("dns", "a", "takes them"),
        ("log", "c", "listens on dns only, not on log"),
        ("none", None, "listens on dns only, not on none"),
    ],
)
def test_datagrams_have_one_router(point: str, router: str | None, first: str) -> None:
    found = explain_datagrams(table(), point)
    assert found["router"] == router
    assert whys(found)["a"] == first
    assert whys(found)["d"] == 'is off: service "gone" does not exist'


def test_second_router_for_datagrams_is_told_who_comes_first() -> None:
    assert whys(explain_datagrams(table(), "dns"))["b"] == "a comes first"
