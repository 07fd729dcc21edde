"""Explanations: the winner, why each other router lost, and what to look at when nobody answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dynbalancer.core.explanation import Explanation
from dynbalancer.core.model import Configuration, EntryPoint, Router, Service
from dynbalancer.core.table import RoutingTable, compile_table
from dynbalancer.testing import exchange


def table(*routers: Router) -> RoutingTable:
    wanted = Configuration({router.name: router for router in routers}, {"s": Service("s")})
    return compile_table(
        wanted,
        [EntryPoint("web", 80), EntryPoint("other", 81)],
        make_middleware=lambda definition: definition,
        make_service=lambda service, before: service,
    )


ROUTERS = (
    Router("api", "Host(`a.example`) && PathPrefix(`/api`) && !Method(`GET`)", "s"),
    Router("all", "Host(`a.example`)", "s"),
    Router("also", "host(`a.example`)", "s"),
    Router("any", "Path(`/`)", "s"),
    Router("secure", "Host(`a.example`) && Path(`/`)", "s", tls=True),
    Router("elsewhere", "Host(`a.example`) || Host(`b.example`)", "s", entry_points=("other",)),
    Router("lost", "Host(`a.example`) && Method(`GET`)", "gone"),
    Router("broken", "Hots(`a.example`)", "s"),
    Router("off", "Host(`c.example`)", "gone"),
)


def explained(*routers: Router, **request: Any) -> Explanation:
    return table(*routers).explain(exchange(**request))


def test_every_router_concerned_has_a_reason() -> None:
    found = explained(*ROUTERS)
    assert found.winner is not None
    assert found.winner.name == "all"
    assert found.why == "router all takes it, to service s"
    assert [(candidate.name, candidate.matched, candidate.why) for candidate in found.candidates] == [
        ("api", False, "PathPrefix(`/api`) is false and Method(`GET`) is true"),
        ("all", True, "takes it"),
        ("also", True, "matches, but all has the same priority and its name comes first"),
        ("any", True, "matches, but all comes first: priority 17 against 9"),
        ("elsewhere", True, "would match, but listens on other only, not on web"),
        ("secure", True, "would match, but has tls, so it takes HTTPS requests only"),
        ("lost", True, 'is off: service "gone" does not exist'),
        ("broken", False, "is off: rule Hots(`a.example`): unsupported function: Hots"),
    ]


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"host": b"a.exmple"}, "no router on entry point web is for host a.exmple; did you mean a.example?"),
        ({"host": b"\xff"}, "no router on entry point web is for host \ufffd"),
        ({"path": b"/y"}, "none of the 1 routers that may serve host a.example here matches"),
    ],
)
def test_request_that_nobody_takes(request_: dict[str, Any], why: str) -> None:
    found = explained(Router("r", "Host(`a.example`) && Path(`/x`)", "s"), **request_)
    assert found.winner is None
    assert found.why == why


def test_table_without_routers() -> None:
    assert explained().why == "there is no router"


def test_plain_router_asked_by_https() -> None:
    found = explained(Router("r", "Path(`/`)", "s"), scheme=b"https")
    assert [candidate.why for candidate in found.candidates] == [
        "would match, but has no tls, so it takes plain HTTP requests only"
    ]


def test_unreadable_rules_are_shown_up_to_a_number() -> None:
    found = explained(*(Router(f"r{n}", "(", "s") for n in range(30)))
    assert len(found.candidates) == 20


@pytest.mark.parametrize("host", [b"a.example", b"b.example", b"x.example"])
@pytest.mark.parametrize("scheme", [b"http", b"https"])
@pytest.mark.parametrize("entry_point", ["web", "other", "unknown"])
def test_explanation_agrees_with_the_route_taken(host: bytes, scheme: bytes, entry_point: str) -> None:
    made = table(*ROUTERS)
    asked = exchange(host=host, scheme=scheme, entry_point=entry_point)
    assert made.explain(asked).winner is made.route(asked)


def test_explanation_is_json() -> None:
    found = json.loads(json.dumps(explained(*ROUTERS).as_dict()))
    assert found["router"] == "all"
    assert found["service"] == "s"
    assert found["candidates"][0]["trace"]["children"][1] == {
        "matcher": "PathPrefix",
        "arguments": ["/api"],
        "matched": False,
    }
    assert explained().as_dict()["router"] is None
