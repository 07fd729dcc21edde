"""Counts of connections: what a worker tells adds up, whatever was told before and whoever has ended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dynbalancer.core.flows import Flow, FlowKey, Flows, flows_read, flows_written
from dynbalancer.core.model import Configuration
from dynbalancer.core.streams import StreamRouter, StreamServer, StreamService

KEY: FlowKey = ("tcp", "db@x", "pg@x", "10.0.0.1:5432")


def flow(count: int = 0, *, open: int = 0, refused: int = 0) -> Flow:
    found = Flow()
    found.count, found.open, found.bytes_in, found.bytes_out, found.refused = (
        count,
        open,
        10 * count,
        100 * count,
        refused,
    )
    return found


def shown(flows: Flows, kind: str, name: str, family: str = "tcp") -> list[int]:
    return list(flows.as_dict()[family][kind][name].values())


def test_report_survives_the_wire() -> None:
    written = json.loads(json.dumps(flows_written({KEY: flow(3, open=1, refused=2)})))
    [(key, found)] = flows_read(written).items()
    assert (key, found.as_dict()) == (KEY, flow(3, open=1, refused=2).as_dict())


@pytest.mark.parametrize(
    "rubbish",
    [
        None,
        [1],
        [["tcp", "a", "b", "c"]],
        [["sctp", "a", "b", "c", 1, 1, 1, 1, 1]],
        [[*KEY, 1, "x", 1, 1, 1]],
    ],
)
def test_rubbish_is_refused(rubbish: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        flows_read(rubbish)


def test_what_was_taken_is_told_once_and_what_is_open_always() -> None:
    found = flow(2, open=2)
    assert found.moved
    assert found.taken().as_dict() == flow(2, open=2).as_dict()
    assert not found.moved
    found.open = 1
    assert found.moved
    assert found.taken().as_dict() == flow(open=1).as_dict()


def test_processes_add_up() -> None:
    flows = Flows()
    first: dict[FlowKey, Flow] = {}
    second: dict[FlowKey, Flow] = {}
    flows.take(first, {KEY: flow(2, open=2)})
    flows.take(second, {KEY: flow(3, open=3), ("tcp", "other@x", "pg@x", "10.0.0.2:1"): flow(1)})
    flows.take(first, {KEY: flow(1, open=1)})
    assert shown(flows, "routers", "db@x") == [6, 4, 60, 600, 0]
    assert shown(flows, "services", "pg@x") == [7, 4, 70, 700, 0]
    assert shown(flows, "servers", "pg@x 10.0.0.1:5432") == [6, 4, 60, 600, 0]
    assert flows.as_dict()["udp"] == {"routers": {}, "services": {}, "servers": {}}


def test_connection_that_a_server_did_not_take_is_not_refused_by_the_router() -> None:
    flows = Flows()
    flows.take({}, {KEY: flow(refused=1), ("tcp", "db@x", "", ""): flow(refused=2)})
    assert shown(flows, "routers", "db@x") == [0, 0, 0, 0, 2]
    assert shown(flows, "services", "pg@x") == [0, 0, 0, 0, 1]
    assert shown(flows, "servers", "pg@x 10.0.0.1:5432") == [0, 0, 0, 0, 1]
    assert "" not in flows.as_dict()["tcp"]["services"]


def test_process_that_ended_has_nothing_open() -> None:
    flows = Flows()
    seen: dict[FlowKey, Flow] = {}
    flows.take(seen, {KEY: flow(2, open=2)})
    flows.end(seen)
    assert shown(flows, "routers", "db@x") == shown(flows, "services", "pg@x") == [2, 0, 20, 200, 0]


def test_what_has_nothing_open_is_not_remembered_of_a_process() -> None:
    flows = Flows()
    seen: dict[FlowKey, Flow] = {}
    flows.take(seen, {KEY: flow(1, open=1)})
    flows.take(seen, {KEY: flow(0)})
    assert seen == {}


def test_what_is_gone_is_forgotten_unless_somebody_is_connected() -> None:
    flows = Flows()
    gone: FlowKey = ("tcp", "db@x", "pg@x", "10.0.0.9:1")
    busy: FlowKey = ("tcp", "old@x", "older@x", "10.0.0.8:1")
    flows.take(
        {}, {KEY: flow(1), gone: flow(1), busy: flow(1, open=1), ("udp", "dns@x", "", ""): flow(refused=1)}
    )
    flows.forget(
        Configuration(
            tcp_routers={"db@x": StreamRouter("db@x", "HostSNI(`*`)", "pg")},
            tcp_services={"pg@x": StreamService("pg@x", (StreamServer("10.0.0.1:5432"),))},
        )
    )
    tcp = flows.as_dict()["tcp"]
    assert sorted(tcp["routers"]) == ["db@x", "old@x"]
    assert sorted(tcp["servers"]) == ["older@x 10.0.0.8:1", "pg@x 10.0.0.1:5432"]
    assert flows.as_dict()["udp"]["routers"] == {}
