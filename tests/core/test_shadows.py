"""Routers that another one keeps every request from: what is certain is said, and nothing else."""

from __future__ import annotations

import pytest

from dynbalancer.core.model import Configuration, EntryPoint, Router, Service
from dynbalancer.core.shadows import MOST_ROUTES, unreachable
from dynbalancer.core.table import RoutingTable, compile_table
from dynbalancer.errors import Problem

WEB, SECURE = EntryPoint("web", 80), EntryPoint("websecure", 443)


def table(*routers: Router) -> RoutingTable:
    return compile_table(
        Configuration({router.name: router for router in routers}, {"s": Service("s")}),
        (WEB, SECURE),
        make_middleware=lambda found: found,
        make_service=lambda found, before: found,
    )


def said(wide: str, narrow: str, dialect: str = "v3", other: str = "v3") -> tuple[Problem, ...]:
    """What is said of a router where another with a higher priority has the rule ``wide``."""
    return table(
        Router("wide", wide, "s", priority=1000, dialect=dialect),
        Router("narrow", narrow, "s", dialect=other),
    ).unreachable


@pytest.mark.parametrize(
    "wide, narrow",
    [
        ("Host(`a.example`)", "Host(`a.example`) && PathPrefix(`/x`)"),
        ("Host(`a.example`) || Host(`b.example`)", "Host(`b.example`)"),
        ("Host(`A.example`)", "Host(`a.example.`)"),
        ("Host(`*.example`)", "Host(`a.example`)"),
        ("Host(`*`)", "PathPrefix(`/x`)"),
        ("PathPrefix(`/`)", "Host(`a.example`)"),
        ("HostRegexp(`.+`)", "Host(`a.example`)"),
        ("HostRegexp(`.*`)", "Path(`/x`)"),
        ("PathPrefix(`/x`)", "Host(`a.example`) && Path(`/x/y`)"),
        ("PathPrefix(`/x`)", "PathPrefix(`/xy`)"),
        ("Host(`a.example`) && PathPrefix(`/x`)", "PathPrefix(`/x/y`) && Host(`a.example`)"),
        ("Method(`get`)", "Method(`GET`) && Host(`a.example`)"),
        ("ClientIP(`192.0.2.0/24`)", "ClientIP(`192.0.2.7`)"),
        ("!Path(`/x`)", "!PathPrefix(`/x`)"),
        ("HostRegexp(`^a$`)", "HostRegexp(`^a$`) && Path(`/x`)"),
        ("Host(`a.example`) || Path(`/x`)", "(Host(`a.example`) || Path(`/x`)) && Method(`GET`)"),
    ],
)
def test_a_rule_that_covers_another(wide: str, narrow: str) -> None:
    (problem,) = said(wide, narrow)
    assert problem.where == "router narrow"
    assert problem.why.startswith("never gets a request: router wide (rule ")
    assert problem.why.endswith(f"with priority 1000 against {len(narrow)}")
    assert problem.severity == "warning"


@pytest.mark.parametrize(
    "wide, narrow",
    [
        ("Host(`a.example`) && PathPrefix(`/x`)", "Host(`a.example`)"),
        ("Host(`a.example`)", "Host(`a.example`) || Host(`b.example`)"),
        ("Host(`a.example`)", "Host(`*.example`)"),
        ("Host(`*.example`)", "Host(`a.b.example`)"),
        ("HostRegexp(`.+`)", "Path(`/x`)"),
        ("HostRegexp(`a`)", "Host(`a.example`)"),
        ("Path(`/x`)", "PathPrefix(`/x`)"),
        ("PathPrefix(`/x/`)", "Path(`/x`)"),
        ("Method(`GET`)", "Method(`POST`)"),
        ("ClientIP(`192.0.2.7`)", "ClientIP(`192.0.2.0/24`)"),
        ("ClientIP(`::/0`)", "ClientIP(`192.0.2.7`)"),
        ("!PathPrefix(`/x`)", "!Path(`/x`)"),
        ("Header(`A`, `b`)", "Header(`A`, `c`)"),
        ("Host(`a.example`)", "Path(`/x`)"),
    ],
)
def test_a_rule_that_leaves_something(wide: str, narrow: str) -> None:
    assert said(wide, narrow) == ()


@pytest.mark.parametrize(
    "wide, dialect, narrow, other, covers",
    [
        ("Host:a.example", "v1", "Host(`a.example`)", "v3", True),
        ("PathPrefix:/x,/y", "v1", "PathPrefix(`/y/z`)", "v3", True),
        ("PathPrefix:/{a:x}", "v1", "PathPrefix(`/x`)", "v3", False),
        ("PathPrefix(`/{a:x}`)", "v3", "PathPrefix:/{a:x}", "v1", False),
        ("Headers:A,", "v1", "Headers(`A`, ``)", "v2", False),
        ("Host:a.example;PathPrefixStrip:/x", "v1", "Host(`a.example`) && Path(`/x/y`)", "v3", True),
    ],
)
def test_rules_of_different_versions(wide: str, dialect: str, narrow: str, other: str, covers: bool) -> None:
    assert bool(said(wide, narrow, dialect, other)) is covers


@pytest.mark.parametrize(
    "rule, dialect, hint",
    [
        ("Host:a.example;Host:b.example", "v1", "with a comma between"),
        ("Host(`a.example`) && Host(`b.example`)", "v3", "write || between them"),
        ("Method(`GET`) && Path(`/x`) && Method(`POST`)", "v3", "write || between them"),
    ],
)
def test_a_rule_that_asks_for_two_things_at_once(rule: str, dialect: str, hint: str) -> None:
    (problem,) = table(Router("a", rule, "s", dialect=dialect)).unreachable
    assert "asks for one" in problem.why
    assert hint in problem.hint


@pytest.mark.parametrize(
    "rule",
    [
        "Host(`a.example`) && (Host(`b.example`) || Host(`a.example`))",
        "Host(`*.example`) && Host(`a.example`)",
        "Host(`a.example`) && HostRegexp(`b`)",
        "Method(`get`) && Method(`GET`)",
    ],
)
def test_a_rule_that_something_may_match(rule: str) -> None:
    assert table(Router("a", rule, "s")).unreachable == ()


def test_the_same_rule_is_said_elsewhere() -> None:
    found = table(Router("a", "Host(`a.example`)", "s"), Router("b", "Host(`a.example`)", "s"))
    assert found.unreachable == ()
    assert "the same rule" in found.problems[0].why


def test_a_router_that_has_an_entry_point_to_itself_is_reachable() -> None:
    wide = Router("wide", "PathPrefix(`/`)", "s", ("web",), priority=9)
    assert table(wide, Router("n", "Path(`/x`)", "s", ("web", "websecure"), priority=1)).unreachable == ()
    assert table(wide, Router("n", "Path(`/x`)", "s", ("web",), priority=1)).unreachable != ()
    assert table(wide, Router("n", "Path(`/x`)", "s", ("web",), priority=1, tls=True)).unreachable == ()


def test_two_routers_may_cover_a_third_together() -> None:
    wide = [Router(point, "PathPrefix(`/`)", "s", (point,), priority=9) for point in ("web", "websecure")]
    (problem,) = table(*wide, Router("n", "Path(`/x`)", "s", priority=1)).unreachable
    assert problem.where == "router n"


def test_equal_priorities_are_told_by_name() -> None:
    wide = Router("a", "PathPrefix(`/`)", "s", priority=5)
    (problem,) = table(wide, Router("b", "Path(`/x`)", "s", priority=5)).unreachable
    assert problem.why.endswith("with the same priority, and its name comes first")


def test_very_large_tables_are_not_looked_at() -> None:
    wide = Router("a", "PathPrefix(`/`)", "s", priority=50)
    routes = table(wide, Router("b", "Path(`/x`)", "s")).routes
    assert unreachable(routes, frozenset()) != ()
    assert unreachable(routes * MOST_ROUTES, frozenset()) == ()


def test_a_router_whose_entry_points_all_redirect_is_told_so() -> None:
    redirect = Router("web-to-websecure@internal", "HostRegexp(`^.+$`)", "s", ("web",), priority=2**63 - 2)
    found = table(
        redirect,
        Router("there", "Host(`a.example`)", "s", ("web",)),
        Router("both", "Host(`b.example`)", "s", ("web", "websecure")),
    )
    assert [(problem.where, problem.why) for problem in found.unreachable] == [
        ("router there", "never gets a request: web redirects all of them")
    ]
