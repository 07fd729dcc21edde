"""The table of streams: which routes there are, in which order, and what is said of those that can't be used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dynbalancer.core.clienthello import Hello
from dynbalancer.core.model import Configuration, EntryPoint, Member, Middleware
from dynbalancer.core.streamrules import Caller
from dynbalancer.core.streams import StreamRouter, StreamServer, StreamService, StreamTransport
from dynbalancer.core.streamtable import StreamTable, compile_streams
from dynbalancer.errors import ConfigurationError

POINTS = (EntryPoint("web", 80), EntryPoint("tcp", 9000), EntryPoint("dns", 53, udp=True))
SERVERS = (StreamServer("10.0.0.2:1"),)
ANY = StreamRouter("any@x", "HostSNI(`*`)", "db")
SERVICES = {"db@x": StreamService("db@x", SERVERS)}


class Live:
    """Stands for a service that runs."""

    def __init__(
        self, family: str, definition: StreamService, transport: Any, members: Any, before: Any
    ) -> None:
        if definition.servers == (StreamServer("broken:1"),):
            raise ConfigurationError("server broken:1", "it is broken")
        self.family, self.definition, self.transport = family, definition, transport
        self.members, self.before = members, before


def make_middleware(definition: Middleware) -> Any:
    if definition.type == "broken":
        raise ConfigurationError(f"middleware {definition.name}", "it is broken", "mend it")
    return [definition.name]


def table(configuration: Configuration, previous: StreamTable | None = None) -> StreamTable:
    return compile_streams(
        configuration, previous, entry_points=POINTS, make_middleware=make_middleware, make_service=Live
    )


def routed(*routers: StreamRouter, **more: Any) -> StreamTable:
    return table(
        Configuration(**{"tcp_services": SERVICES, **more}, tcp_routers={r.name: r for r in routers})
    )


def first(found: StreamTable, name: str, client: str = "192.0.2.1", entry_point: str = "web") -> str:
    """The route that a connection with TLS takes."""
    caller = Caller(client, Hello(name))
    routes = found.of(entry_point, encrypted=True)
    return next((route.name for route in routes if route.takes(caller)), "")


def test_longer_rules_come_first_and_what_takes_all_comes_last() -> None:
    found = routed(
        replace(ANY, tls=True),
        StreamRouter("a@x", "HostSNI(`a.example`)", "db", tls=True),
        StreamRouter("wild@x", "HostSNI(`*.a.example`)", "db", tls=True),
        StreamRouter("near@x", "HostSNI(`a.example`) && ClientIP(`10.0.0.0/8`)", "db", tls=True),
        StreamRouter("top@x", "HostSNIRegexp(`^t`)", "db", tls=True, priority=1000),
    )
    assert [route.name for route in found.routes] == ["top@x", "near@x", "wild@x", "a@x", "any@x"]
    assert (first(found, "a.example"), first(found, "a.example", "10.1.1.1")) == ("a@x", "near@x")
    assert (first(found, "b.a.example"), first(found, ""), first(found, "t.a.example")) == (
        "wild@x",
        "any@x",
        "top@x",
    )
    assert found.problems == ()


def test_given_priority_counts_for_what_takes_all_too() -> None:
    found = routed(
        replace(ANY, tls=True, priority=100), StreamRouter("a@x", "HostSNI(`a.example`)", "db", tls=True)
    )
    assert first(found, "a.example") == "any@x"


def test_routes_are_told_apart_by_tls_and_entry_point() -> None:
    found = routed(
        ANY,
        StreamRouter("a@x", "HostSNI(`a.example`)", "db", ("tcp",), tls=True),
    )
    assert [route.name for route in found.of("web", encrypted=False)] == ["any@x"]
    assert found.of("web", encrypted=True) == ()
    assert [route.name for route in found.of("tcp", encrypted=True)] == ["a@x"]
    assert found.of("dns", encrypted=False) == ()


def test_router_without_entry_points_uses_the_default_ones() -> None:
    points = (EntryPoint("web", 80), EntryPoint("tcp", 9000, as_default=True))
    found = compile_streams(
        Configuration(tcp_routers={"any@x": ANY}, tcp_services=SERVICES),
        None,
        entry_points=points,
        make_middleware=make_middleware,
        make_service=Live,
    )
    assert found.routes[0].entry_points == ("tcp",)


@pytest.mark.parametrize(
    "router, more, why",
    [
        (replace(ANY, service="dd"), {}, 'service "dd@x" does not exist'),
        (replace(ANY, service=""), {}, "it names no service"),
        (replace(ANY, rule="Host(`a`)"), {}, "unsupported function: Host"),
        (replace(ANY, rule="HostSNI(`a.example`)"), {}, "has HostSNI matcher, but no TLS on router"),
        (replace(ANY, rule="ALPN(`h2`)"), {}, "but no TLS on router"),
        (replace(ANY, middlewares=("unknown",)), {}, 'middleware "unknown@x" does not exist'),
        (
            replace(ANY, middlewares=("m",)),
            {"tcp_middlewares": {"m@x": Middleware("m@x", "broken")}},
            "can't be used",
        ),
        (replace(ANY, entry_points=("nope",)), {}, 'entryPoint "nope" doesn\'t exist'),
        (replace(ANY, entry_points=("dns",)), {}, "no valid entryPoint for this router"),
        (
            ANY,
            {"tcp_services": {"db@x": StreamService("db@x", (StreamServer("broken:1"),))}},
            "service db@x can't be used: it is broken",
        ),
        (
            ANY,
            {"tcp_services": {"db@x": StreamService("db@x", members=(Member("gone"),), kind="weighted")}},
            'service "gone@x" does not exist',
        ),
        (
            ANY,
            {"tcp_services": {"db@x": StreamService("db@x", members=(Member("db"),), kind="weighted")}},
            "it is made of itself",
        ),
        (
            ANY,
            {"tcp_services": {"db@x": StreamService("db@x", SERVERS, transport="t")}},
            'serversTransport "t@x" does not exist',
        ),
    ],
)
def test_router_that_cannot_be_used_is_off_and_says_why(router: StreamRouter, more: Any, why: str) -> None:
    found = routed(router, **more)
    assert found.routes == ()
    assert any(why in one for one in found.disabled["tcp", "any@x"])
    assert any(why in problem.why and "any@x" in problem.where for problem in found.problems)


def test_all_mistakes_of_a_router_are_told_at_once() -> None:
    found = routed(StreamRouter("bad@x", "HostSNI(", "gone", ("nope",), ("unknown",)))
    assert len(found.disabled["tcp", "bad@x"]) >= 4


def test_entry_point_that_is_not_there_is_left_out_where_another_is() -> None:
    found = routed(replace(ANY, entry_points=("tcp", "tpc")))
    assert found.routes[0].entry_points == ("tcp",)
    assert [(p.severity, p.hint) for p in found.problems] == [("warning", "did you mean tcp?")]


def test_second_router_with_one_rule_is_told_that_it_gets_nothing() -> None:
    found = routed(ANY, replace(ANY, name="other@x"), replace(ANY, name="tls@x", tls=True))
    (problem,) = found.problems
    assert problem.where == "TCP router other@x"
    assert "router any@x has the same rule" in problem.why


def test_datagrams_have_one_router_an_entry_point() -> None:
    services = {"dns@x": StreamService("dns@x", (StreamServer("10.0.0.3:53"),))}
    routers = {name: StreamRouter(name, service="dns") for name in ("b@x", "a@x")}
    found = table(Configuration(udp_routers=routers, udp_services=services))
    route = found.datagrams_of("dns")
    assert route is not None
    assert (route.name, route.service.family) == ("a@x", "udp")
    assert found.datagrams_of("web") is None
    assert [problem.where for problem in found.problems] == ["UDP router b@x"]


def test_datagrams_need_an_entry_point_for_them() -> None:
    services = {"dns@x": StreamService("dns@x", SERVERS)}
    found = compile_streams(
        Configuration(udp_routers={"dns@x": StreamRouter("dns@x", service="dns")}, udp_services=services),
        None,
        entry_points=POINTS[:1],
        make_middleware=make_middleware,
        make_service=Live,
    )
    assert found.disabled["udp", "dns@x"] == ("there is no entry point for UDP",)


def test_members_and_transports_are_given_to_whom_they_are_for() -> None:
    found = routed(
        replace(ANY, service="both"),
        tcp_services={
            "both@x": StreamService("both@x", members=(Member("db", 3), Member("db2")), kind="weighted"),
            "db@x": StreamService("db@x", SERVERS, transport="t"),
            "db2@x": StreamService("db2@x", SERVERS),
        },
        tcp_transports={"t@x": StreamTransport("t@x", proxy_protocol=1)},
    )
    service = found.routes[0].service
    assert [(live.definition.name, weight) for live, weight in service.members] == [("db@x", 3), ("db2@x", 1)]
    assert service.members[0][0].transport.proxy_protocol == 1
    assert service.members[0][0] is found.services["tcp", "db@x"]


def test_nothing_new_is_the_same_table() -> None:
    wanted = Configuration(tcp_routers={"any@x": ANY}, tcp_services=SERVICES)
    before = table(wanted)
    assert table(replace(wanted, routers={}), before) is before


def test_change_keeps_middlewares_and_tells_services_who_they_were() -> None:
    wanted = Configuration(
        tcp_routers={"any@x": replace(ANY, middlewares=("m",))},
        tcp_services=SERVICES,
        tcp_middlewares={"m@x": Middleware("m@x", "inFlightConn", {"amount": 1})},
    )
    before = table(wanted)
    after = table(replace(wanted, tcp_services={"db@x": StreamService("db@x", ())}), before)
    assert after.middlewares["m@x"] is before.middlewares["m@x"]
    assert after.services["tcp", "db@x"].before is before.services["tcp", "db@x"]
    other = {"m@x": Middleware("m@x", "inFlightConn", {"amount": 2})}
    assert (
        table(replace(wanted, tcp_middlewares=other), after).middlewares["m@x"]
        is not before.middlewares["m@x"]
    )
