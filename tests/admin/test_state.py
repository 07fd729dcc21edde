"""What the dashboard shows as one value."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from dynbalancer.admin import state
from dynbalancer.core.flows import Flow, FlowKey
from dynbalancer.core.model import Configuration, EntryPoint, Item, Member, Middleware, Router, Service
from dynbalancer.core.statistics import Tally
from dynbalancer.errors import Problem
from dynbalancer.interfaces import IHealth, IRouter, IStatistics, IWorkforce
from dynbalancer.version import version
from tests.admin.fakes import (
    CANARY,
    LABEL_PROBLEM,
    POINTS,
    FakeHealth,
    FakeRouter,
    FakeStatistics,
    FakeWorkforce,
)


def sources(router: FakeRouter) -> state.Sources:
    """The fakes together."""
    return state.Sources(router, FakeStatistics(), FakeWorkforce(), POINTS, 900.0)


def test_the_fakes_are_what_they_stand_for() -> None:
    assert verifyObject(IRouter, FakeRouter())
    assert verifyObject(IStatistics, FakeStatistics())
    assert verifyObject(IWorkforce, FakeWorkforce())
    assert verifyObject(IHealth, FakeHealth())


def test_the_whole_state_is_json_and_has_every_list() -> None:
    whole = json.loads(json.dumps(state.whole(sources(FakeRouter()))))
    assert whole["table"] == {"number": 7, "cause": "container web-1 started", "time": 990.0}
    assert [len(whole[family]) for family in ("routers", "services", "middlewares")] == [4, 3, 2]
    assert [provider["state"] for provider in whole["providers"]] == ["fresh", "stale"]
    assert [change["number"] for change in whole["history"]] == [7, 6]
    assert whole["workers"][0]["pid"] == 4711


def test_routers_carry_their_rule_as_a_tree_and_broken_ones_none() -> None:
    found = {entry["name"]: entry for entry in state.whole(sources(FakeRouter()))["routers"]}
    assert found["shop@docker"]["tree"]["op"] == "and"
    assert found["broken@docker"]["tree"] is None
    assert found["web@docker"]["serviceName"] == "web@docker"


def test_servers_have_state_and_container() -> None:
    found = {entry["name"]: entry for entry in state.whole(sources(FakeRouter()))["services"]}
    assert [(one["name"], one["state"]) for one in found["web@docker"]["servers"]] == [
        ("web-1", "ready"),
        ("web_2", "draining"),
    ]


def test_servers_say_how_they_did_when_they_were_asked() -> None:
    asked = replace(sources(FakeRouter()), health=FakeHealth())
    found = {entry["name"]: entry["servers"] for entry in state.whole(asked)["services"]}
    failing, passing = (server["health"] for server in found["web@docker"])
    assert failing == {
        "up": False,
        "why": f"status 500 from /{CANARY}",
        "failures": 3,
        "since": 940.0,
        "checked": 990.0,
    }
    assert (passing["up"], passing["why"]) == (True, "")
    assert ["health" in server for server in found["shop@docker"]] == [False]


def test_problems_come_worst_first_once_and_with_their_provider() -> None:
    router = FakeRouter()
    router.problems = (*router.problems, LABEL_PROBLEM)
    found = state.problems(router)
    assert [entry["severity"] for entry in found] == sorted(entry["severity"] for entry in found)
    assert [entry["provider"] for entry in found if entry["where"] == LABEL_PROBLEM.where] == ["docker"]
    assert {entry["provider"] for entry in found} == {"docker"}
    assert sum(state.severities(router).values()) == len(found)


def test_items_show_ignored_ones_and_labels_as_they_are() -> None:
    found = state.items(FakeRouter())
    assert [(entry["name"], entry["verdict"]) for entry in found] == [
        ("web-1", "routed"),
        ("db-1", "ignored"),
    ]
    assert found[0]["labels"] == {"traefik.port": CANARY}


def test_each_label_has_its_verdict() -> None:
    router = FakeRouter()
    key = next(iter(state.items(router)[0]["labels"]))
    wrong = Problem(f"container web-1, label {key}", "odd", "write 80")
    router.problems = (*router.problems, wrong)
    found = state.items(router)
    assert found[0]["verdicts"] == {key: {"verdict": "wrong", "why": "odd", "hint": "write 80"}}
    assert all(entry["verdicts"].keys() == entry["labels"].keys() for entry in found)


def test_routers_that_never_get_a_request_are_problems_when_somebody_looks() -> None:
    router = FakeRouter()
    why = "never gets a request: router a@docker takes all of them"
    router.table._unreachable = (Problem("router web@docker", why, "", "warning"),)
    assert why in [entry["why"] for entry in state.problems(router)]
    found = {entry["name"]: entry for entry in state.whole(sources(router))["routers"]}
    assert (found["web@docker"]["status"], found["web@docker"]["error"]) == ("warning", [why])


@pytest.mark.parametrize(
    ("gave", "verdict"),
    [(("broken", "web"), "routed"), (("broken",), "refused"), (("broken", "shop"), "routed")],
)
def test_items_whose_routers_are_off_say_so(gave: tuple[str, ...], verdict: str) -> None:
    router: Any = FakeRouter()
    (status,) = [status for status in router.providers if status.name == "docker"]
    item = Item("1", "web-1", why="it is paused", gave=gave)
    router.providers = (replace(status, configuration=replace(status.configuration, items=(item,))),)
    (entry,) = state.items(router)
    assert entry["verdict"] == verdict
    why = "router broken@docker is off: rule Hots(`x.example`): unsupported function: Hots"
    assert entry["why"] == f"it is paused; {why}"


def test_statistics_carry_the_last_minute() -> None:
    source = FakeStatistics()
    found = state.statistics(source.totals(), source.per_second())
    assert (found["count"], found["perSecond"][-1], len(found["perSecond"])) == (4, 4, 60)
    assert {"p50", "p95", "p99", "rate", "classes"} < set(found["routers"]["web@docker"])
    assert (found["classes"], found["stalls"], found["lostLines"]) == ({"2xx": 3, "4xx": 1}, 0, 0)


def test_news_name_only_what_moved() -> None:
    totals = FakeStatistics().totals()
    first, marks = state.news(totals, [], {})
    assert first["routers"] == {"web@docker": {"count": 3, "inFlight": 0, "p95": None}}
    second, marks = state.news(totals, [], marks)
    assert second["routers"] == {}
    totals.servers["web@docker http://10.0.0.1:80"] = Tally()
    totals.routers["web@docker"].in_flight = 1
    totals.routers["web@docker"].latency = {40: 1}
    third, _ = state.news(totals, [], marks)
    p95 = totals.routers["web@docker"].quantile(0.95)
    assert third["routers"] == {"web@docker": {"count": 3, "inFlight": 1, "p95": p95}}
    assert list(third["servers"]) == ["web@docker http://10.0.0.1:80"]


def test_news_say_what_servers_did_lately_and_that_they_came_to_rest() -> None:
    totals = FakeStatistics().totals()
    key = "web@docker http://10.0.0.1:80"
    totals.servers[key] = Tally()
    totals.servers[key].count = 5
    first, marks = state.news(totals, [], {})
    assert (first["servers"][key]["lately"], state.statistics(totals, [])["servers"][key]["lately"]) == (5, 5)
    totals.servers[key].earlier = 5
    second, _ = state.news(totals, [], marks)
    assert (second["servers"][key]["lately"], second["services"]) == (0, {})


def test_news_of_connections_name_only_what_moved() -> None:
    totals = FakeStatistics().totals()
    flow = Flow()
    flow.count = flow.open = 1
    seen: dict[FlowKey, Flow] = {}
    totals.flows.take(seen, {("udp", "dns@x", "s@x", "10.0.0.1:53"): flow})
    first, marks = state.news(totals, [], {})
    counts = {"connections": 1, "open": 1, "bytesIn": 0, "bytesOut": 0, "refused": 0}
    moved = {
        "routers": {"dns@x": counts},
        "services": {"s@x": counts},
        "servers": {"s@x 10.0.0.1:53": counts},
    }
    assert first["streams"] == {"tcp": {}, "udp": moved}
    second, marks = state.news(totals, [], marks)
    assert second["streams"] == {"tcp": {}, "udp": {}}
    totals.flows.end(seen)
    third, _ = state.news(totals, [], marks)
    assert third["streams"]["udp"]["routers"]["dns@x"]["open"] == 0


def test_the_version_is_that_of_the_package() -> None:
    setup = (Path(state.__file__).parents[2] / "setup.cfg").read_text()
    assert f"version = {version()}" in setup


def test_before_the_first_table_there_is_no_cause() -> None:
    router = FakeRouter()
    router.history = []
    assert state.in_force(router) == {"number": 7, "cause": "", "time": 0}


def test_a_service_made_of_others_says_what_each_does() -> None:
    def roles(kind: str, *members: Member) -> list[str]:
        return state._roles(Service("web@docker", kind=kind, members=members))

    two = (Member("a", 3), Member("b", percent=10))
    assert roles("weighted", *two) == ["weight 3", "weight 1"]
    assert roles("mirroring", *two) == ["answers", "gets copies of 10%"]
    assert roles("failover", *two) == ["answers", "answers while the other can't"]


def test_users_are_routers_chains_services_and_entry_points_with_the_section_they_are_in() -> None:
    middlewares = (
        Middleware("all@x", "chain", {"middlewares": ["cut", "mark@y"]}),
        Middleware("short@x", "Chain", {"Middlewares": "cut, lost"}),
        Middleware("wrong@x", "chain", {"middlewares": 5}),
        Middleware("cut@x", "stripPrefix", {}),
        Middleware("mark@y", "headers", {}),
        Middleware("pages@x", "errors", {"status": "500", "service": "blue"}),
    )
    services = (
        Service("web@x", kind="weighted", members=(Member("blue"), Member("blue"))),
        Service("blue@x", middlewares=("cut",)),
    )
    configuration = Configuration(
        {"web@x": Router("web@x", "Path(`/`)", "web@x", middlewares=("all",))},
        {service.name: service for service in services},
        {middleware.name: middleware for middleware in middlewares},
    )
    users = state.users_of(configuration, (EntryPoint("web", 80, middlewares=("mark@y",)),))

    def shown(family: str, name: str) -> list[str]:
        return [f"{entry['section']} {entry['name']}" for entry in users(family, name)["users"]]

    assert shown("services", "web@x") == ["routers web@x"]
    assert shown("services", "blue@x") == ["services web@x", "middlewares pages@x"]
    assert shown("middlewares", "all@x") == ["routers web@x"]
    assert shown("middlewares", "cut@x") == ["services blue@x", "middlewares all@x", "middlewares short@x"]
    assert shown("middlewares", "mark@y") == ["middlewares all@x", "overview web"]
    assert shown("middlewares", "wrong@x") == []
