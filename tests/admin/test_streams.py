"""TCP and UDP in the shapes of Traefik v3's API: status, use, options."""

from __future__ import annotations

from functools import partial
from typing import Any

from dynbalancer.admin.streams import counted, middleware_rows, rows, stream_lists
from dynbalancer.admin.traefik3 import Runtime, entry_point, overview, rawdata
from dynbalancer.core.flows import Flow, Flows
from dynbalancer.core.merge import merge
from dynbalancer.core.model import Configuration, EntryPoint, Member, Middleware
from dynbalancer.core.regions import LocalRegions
from dynbalancer.core.streams import StreamRouter, StreamServer, StreamService
from dynbalancer.core.streamtable import StreamTable, compile_streams
from dynbalancer.middlewares.connections import connection_middleware
from dynbalancer.proxy.streamservers import checking_streams

POINTS = (EntryPoint("web", 80), EntryPoint("dns", 53, udp=True, udp_timeout=9.0))
WANTED = Configuration(
    tcp_routers={
        "db": StreamRouter(
            "db", "HostSNI(`db.example`)", "db", ("web",), ("own",), tls=True, passthrough=True
        ),
        "any": StreamRouter("any", "HostSNI(`*`)", "both", priority=7),
        "bad": StreamRouter("bad", "Host(`x`)", "gone", ("web", "nope")),
    },
    tcp_services={
        "db": StreamService(
            "db",
            (StreamServer("10.0.0.2:1", tls=True), StreamServer("10.0.0.3:1", state="down")),
            proxy_protocol=1,
        ),
        "both": StreamService("both", members=(Member("db", 3),), kind="weighted"),
        "off": StreamService("off", (StreamServer("nowhere"),)),
    },
    tcp_middlewares={"own": Middleware("own", "ipAllowList", {"sourceRange": ("10.0.0.0/8",)})},
    udp_routers={"dns": StreamRouter("dns", service="dns"), "two": StreamRouter("two", service="dns")},
    udp_services={"dns": StreamService("dns", (StreamServer("10.0.0.4:53"),))},
)


def table() -> StreamTable:
    return compile_streams(
        merge([("file", WANTED)]),
        None,
        entry_points=POINTS,
        make_middleware=partial(connection_middleware, shared=LocalRegions(), secret=b"s"),
        make_service=checking_streams,
    )


def listed() -> dict[tuple[str, str, str], dict[str, Any]]:
    """Every entry by root, family and name."""
    found = table()
    lists = stream_lists(found, found.problems, POINTS)
    return {(*place, entry["name"]): entry for place, entries in lists.items() for entry in entries}


def test_router_has_the_shape_of_traefiks() -> None:
    assert listed()["tcp", "routers", "db@file"] == {
        "entryPoints": ["web"],
        "service": "db",
        "rule": "HostSNI(`db.example`)",
        "priority": 21,
        "middlewares": ["own@file"],
        "tls": {"passthrough": True, "options": "default"},
        "status": "enabled",
        "using": ["web"],
        "priorityStr": "21",
        "name": "db@file",
        "provider": "file",
    }
    assert listed()["udp", "routers", "dns@file"] == {
        "entryPoints": ["dns"],
        "service": "dns",
        "status": "enabled",
        "using": ["dns"],
        "name": "dns@file",
        "provider": "file",
    }


def test_router_that_is_off_says_why() -> None:
    bad = listed()["tcp", "routers", "bad@file"]
    assert bad["status"] == "disabled"
    assert "using" not in bad
    assert 'service "gone@file" does not exist' in bad["error"]
    two = listed()["udp", "routers", "two@file"]
    assert (two["status"], len(two["error"])) == ("warning", 1)


def test_services_say_how_their_servers_are_and_who_uses_them() -> None:
    found = listed()
    assert found["tcp", "services", "db@file"] == {
        "loadBalancer": {
            "servers": [{"address": "10.0.0.2:1", "tls": True}, {"address": "10.0.0.3:1"}],
            "proxyProtocol": {"version": 1},
        },
        "status": "enabled",
        "usedBy": ["db@file"],
        "type": "loadbalancer",
        "serverStatus": {"10.0.0.2:1": "UP", "10.0.0.3:1": "DOWN"},
        "name": "db@file",
        "provider": "file",
    }
    both = found["tcp", "services", "both@file"]
    assert (both["weighted"], both["type"]) == ({"services": [{"name": "db", "weight": 3}]}, "weighted")
    assert found["tcp", "services", "off@file"]["status"] == "disabled"
    assert found["udp", "services", "dns@file"]["usedBy"] == ["dns@file", "two@file"]


def test_middlewares_say_who_uses_them() -> None:
    own = listed()["tcp", "middlewares", "own@file"]
    assert list(own["ipAllowList"]["sourceRange"]) == ["10.0.0.0/8"]
    assert (own["usedBy"], own["type"], own["status"]) == (["db@file"], "ipallowlist", "enabled")


def test_they_are_counted_and_in_the_raw_data() -> None:
    found = table()
    runtime = Runtime([], [], [], stream_lists(found, found.problems, POINTS))
    counts = overview(runtime, (), access_log=False)
    assert counts["tcp"]["routers"] == {"total": 3, "warnings": 0, "errors": 1}
    assert counts["tcp"]["services"] == {"total": 3, "warnings": 0, "errors": 1}
    assert counts["udp"] == {
        "routers": {"total": 2, "warnings": 1, "errors": 0},
        "services": {"total": 1, "warnings": 0, "errors": 0},
    }
    raw = rawdata(runtime)
    assert set(raw) == {"tcpRouters", "tcpServices", "tcpMiddlewares", "udpRouters", "udpServices"}
    assert "name" not in raw["udpRouters"]["dns@file"]
    assert overview(Runtime([], [], []), (), access_log=False)["udp"]["routers"]["total"] == 0


def test_rows_of_the_dashboard_say_what_is_behind_a_router() -> None:
    found = table()
    lists = stream_lists(found, found.problems, POINTS)
    health = {"10.0.0.3:1": {"health": {"up": False}}}
    of_all = rows(lists, found.configuration, lambda service, address, instance: health.get(address, {}))
    shown = {(row["root"], row["name"]): row for row in of_all}
    assert shown["tcp", "db@file"]["servers"] == [
        {"address": "10.0.0.2:1", "state": "ready", "name": ""},
        {"address": "10.0.0.3:1", "state": "down", "name": "", "health": {"up": False}},
    ]
    assert shown["tcp", "db@file"]["serviceName"] == "db@file"
    assert shown["tcp", "any@file"]["members"] == ["db 3"]
    assert shown["tcp", "bad@file"]["servers"] == []
    assert [server["address"] for server in shown["udp", "dns@file"]["servers"]] == ["10.0.0.4:53"]


def test_middlewares_of_tcp_stand_beside_the_others_with_who_uses_them() -> None:
    found = table()
    [own] = middleware_rows(stream_lists(found, found.problems, POINTS))
    assert (own["name"], own["type"], own["root"]) == ("own@file", "ipallowlist", "tcp")
    assert own["users"] == [{"section": "streams", "name": "db@file"}]


def test_entry_point_for_datagrams_shows_its_time() -> None:
    assert entry_point(POINTS[1]) == {"address": ":53/udp", "udp": {"timeout": "9s"}, "name": "dns"}


def test_entries_have_counts_beside_what_traefik_shows() -> None:
    flows = Flows()
    flow = Flow()
    flow.count = flow.open = 2
    flows.take({}, {("tcp", "db@file", "db@file", "10.0.0.2:1"): flow})
    of = partial(counted, root="tcp", flows=flows)
    router = of(listed()["tcp", "routers", "db@file"], family="routers")
    counts = {"connections": 2, "open": 2, "bytesIn": 0, "bytesOut": 0, "refused": 0}
    assert router["statistics"] == counts
    service = of(listed()["tcp", "services", "db@file"], family="services")
    assert service["statistics"] == service["serverStatistics"]["10.0.0.2:1"] == counts
    assert service["serverStatistics"]["10.0.0.3:1"]["connections"] == 0
    assert of(listed()["tcp", "routers", "any@file"], family="routers")["statistics"]["open"] == 0
    middleware = listed()["tcp", "middlewares", "own@file"]
    assert of(middleware, family="middlewares") == middleware
