"""Routes: their order, where they answer, and which of them get no request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dynbalancer.core.exchange import Exchange
from dynbalancer.core.model import Router
from dynbalancer.core.routes import Route, priority_of, problem_of, read_rule, shadowed
from dynbalancer.errors import ConfigurationError
from dynbalancer.middlewares.base import Middleware


class Listening(Middleware):
    """Hears of the end."""

    def on_finish(self, exchange: Exchange, outcome: str) -> None:
        """Nothing to do."""


def route(name: str, points: tuple[str, ...] = ("web",), priority: int = 1, **fields: Any) -> Route:
    router = Router(name, "Host(`a.example`)", "s", **fields)
    read = read_rule(router.rule, "v3")
    return Route(name, router, read, read.matches, (), None, "s", priority, points)


def test_higher_priority_comes_first_and_then_the_name() -> None:
    routes = [route("b", priority=5), route("a", priority=5), route("c", priority=7), route("d", priority=-1)]
    assert [one.name for one in sorted(routes, key=lambda one: one.order)] == ["c", "a", "b", "d"]


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        ({}, [("web", False), ("only", True)]),
        ({"tls": True}, [("web", True), ("only", True)]),
        ({"dialect": "v1"}, [("web", False), ("web", True), ("only", True)]),
    ],
)
def test_route_answers_on_its_entry_points_plain_or_encrypted(
    fields: dict[str, Any], places: list[tuple[str, bool]]
) -> None:
    assert route("r", ("web", "only"), **fields).places(frozenset({"only"})) == places


def test_those_who_want_to_hear_of_the_end_are_known() -> None:
    deaf, listening = Middleware(), Listening()
    found = replace(route("r"), middlewares=(deaf, listening, deaf, listening))
    assert found.finishing == (listening, listening)
    assert route("r").finishing == ()


def test_rule_is_read_once() -> None:
    read = read_rule("Host(`a.example`) && Path(`/x`)", "v3")
    assert read is read_rule("Host(`a.example`) && Path(`/x`)", "v3")
    assert read.hosts is not None
    assert read.hosts.exact == {b"a.example"}
    with pytest.raises(ConfigurationError):
        read_rule("Hots(`a.example`)", "v3")


def test_route_is_shadowed_where_another_with_its_rule_answers_before_it() -> None:
    first, second, third = route("a"), route("b"), route("c", ("other",))
    ((behind, problem),) = shadowed([first, second, third], frozenset())
    assert behind is second
    assert (problem.where, problem.severity) == ("router b", "warning")
    assert "router a has the same rule and its name comes first" in problem.why


@pytest.mark.parametrize(
    ("fields", "priority"),
    [
        ({}, 17),
        ({"priority": 3}, 3),
        ({"priority": -3}, -3),
        ({"rule": "Host:ä.example", "dialect": "v1", "priority": -3}, 14),
        ({"rule": "Host(`ä.example`)"}, 18),
    ],
)
def test_priority_is_the_one_given_or_the_length_of_the_rule(fields: dict[str, Any], priority: int) -> None:
    router = replace(Router("r", "Host(`a.example`)", "s"), **fields)
    assert priority_of(router) == priority


def test_problem_says_where_its_definition_came_from() -> None:
    about = Router("r@docker", "", "", origin="container web-1")
    assert problem_of("router", about, "why", "hint").where == "router r@docker of container web-1"
    assert problem_of("router", replace(about, origin=""), "why").where == "router r@docker"
