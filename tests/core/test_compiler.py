"""Compiling step by step: a table made of the one before is what it would be had there been none, and costs less."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.model import Configuration, EntryPoint, Middleware, Router, Server, Service
from dynbalancer.core.table import RoutingTable, compile_table, compiling_table
from dynbalancer.errors import ConfigurationError
from dynbalancer.testing import exchange

WEB, SECURE, ONLY = EntryPoint("web", 80), EntryPoint("websecure", 443), EntryPoint("only", 444, tls=True)
POINTS = (WEB, SECURE, ONLY)


class Live:
    """A live object that knows what it was made of. Middlewares may have notices."""

    def __init__(self, definition: Any, before: Any = None) -> None:
        if "bad" in (getattr(definition, "type", ""), getattr(definition, "strategy", "")):
            raise ConfigurationError(definition.name, "it is bad", "make it good")
        self.definition = definition
        self.notices = ("careful",) if getattr(definition, "type", "") == "odd" else ()
        if getattr(definition, "type", "") == "chain":
            self.members = definition.settings["middlewares"]


def made(
    wanted: Configuration, previous: RoutingTable | None = None, points: tuple[EntryPoint, ...] = POINTS
) -> RoutingTable:
    return compile_table(wanted, points, number=1, previous=previous, make_middleware=Live, make_service=Live)


def shown(table: RoutingTable) -> dict[str, Any]:
    """All of a table that can be compared."""
    return {
        "routes": [
            (
                route.name,
                route.router,
                str(route.rule),
                [_meaning(middleware.definition) for middleware in route.middlewares],
                route.service.definition,
                route.service_name,
                route.priority,
                route.entry_points,
            )
            for route in table.routes
        ],
        "live": all(
            route.service is table.services[route.service_name]
            and all(middleware in table.middlewares.values() for middleware in route.middlewares)
            for route in table.routes
        ),
        "services": {name: live.definition for name, live in table.services.items()},
        "middlewares": {name: _meaning(live.definition) for name, live in table.middlewares.items()},
        "disabled": dict(table.disabled),
        "problems": table.problems,
        "encrypts": [table.encrypts(point.name) for point in table.entry_points],
        "hosts": table.hosts(),
        "taken": [
            None if (route := table.route(one)) is None else route.name
            for point in table.entry_points
            for scheme in (b"http", b"https")
            for host in (b"a.example", b"b.example", b"x.c.example", b"")
            for path in (b"/", b"/p")
            for one in [exchange(entry_point=point.name, scheme=scheme, host=host, path=path)]
        ],
    }


def _meaning(definition: Middleware) -> tuple[str, str, Any]:
    # One that runs is kept where only its origin is another.
    return definition.name, definition.type, definition.settings


names = st.sampled_from(["a@x", "b@x", "a@y", "c@y"])
references = st.sampled_from(["a", "b", "c", "a@x", "c@y", "d", "cc@y", "api@internal"])
rules = st.sampled_from(
    [
        "Host(`a.example`)",
        "Host( `a.example` )",
        "Host(`b.example`) || Host(`*.c.example`)",
        "Path(`/p`)",
        "Hots(`a`)",
    ]
)
routers = st.builds(
    Router,
    st.just(""),
    rules,
    references,
    st.sampled_from([(), ("web",), ("only", "web"), ("websecure", "no")]),
    st.lists(references, max_size=2).map(tuple),
    st.sampled_from([0, 0, 5, 2**63 - 1]),
    tls=st.booleans(),
    origin=st.sampled_from(["", "container one"]),
) | st.builds(
    Router,
    st.just(""),
    st.sampled_from(["Host:a.example", "Host:b.example;ReplacePathRegex:^/x"]),
    references,
    st.sampled_from([(), ("http",)]),
    dialect=st.just("v1"),
)
services = st.builds(
    Service,
    st.just(""),
    st.sampled_from([(), (Server("http://192.0.2.1"),)]),
    st.sampled_from(["wrr", "wrr", "bad"]),
)
middlewares = st.builds(
    Middleware,
    st.just(""),
    st.sampled_from(["headers", "odd", "bad"]),
    st.sampled_from([{}, {"a": "1"}]),
    st.sampled_from(["", "container two"]),
) | st.builds(
    Middleware,
    st.just(""),
    st.just("chain"),
    st.lists(references, max_size=2).map(lambda found: {"middlewares": tuple(found)}),
)


def named(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(names, values, max_size=4).map(
        lambda found: {name: replace(value, name=name) for name, value in found.items()}
    )


configurations = st.builds(Configuration, named(routers), named(services), named(middlewares))


@st.composite
def sequences(draw: st.DrawFn) -> list[Configuration]:
    """Configurations that follow each other, mostly with little that is new."""
    now = draw(configurations)
    found = [now]
    for _ in range(draw(st.integers(1, 5))):
        other = draw(configurations)
        family = draw(st.sampled_from(["routers", "services", "middlewares", "all"]))
        now = other if family == "all" else replace(now, **{family: getattr(other, family)})
        found.append(now)
    return found


@given(sequences())
def test_table_made_of_the_one_before_is_the_one_made_of_nothing(sequence: list[Configuration]) -> None:
    table = None
    for wanted in sequence:
        before, was = table, None if table is None else shown(table)
        table = made(wanted, table)
        assert shown(table) == shown(made(wanted))
        if before is not None:
            assert shown(before) == was


@given(configurations, configurations)
def test_other_entry_points_make_all_routes_anew(first: Configuration, second: Configuration) -> None:
    points = (WEB, replace(SECURE, tls=True))
    before = made(first)
    after = made(second, before, points)
    assert shown(after) == shown(made(second, None, points))
    for name, service in second.services.items():
        if first.services.get(name) == service and name in before.services:
            assert after.services[name] is before.services[name]


def many(count: int) -> Configuration:
    """Routers with a host each, every tenth with a service of its own."""
    return Configuration(
        {f"r{n}@x": Router(f"r{n}@x", f"Host(`r{n}.example`)", f"s{n // 10}") for n in range(count)},
        {f"s{n}@x": Service(f"s{n}@x") for n in range(count // 10)},
    )


def steps(wanted: Configuration, previous: RoutingTable) -> tuple[int, RoutingTable]:
    """In how many steps a table is made, and the table."""
    compiling = compiling_table(wanted, POINTS, previous=previous, make_middleware=Live, make_service=Live)
    count = 0
    while True:
        try:
            next(compiling)
            count += 1
        except StopIteration as done:
            return count, done.value


def test_change_of_one_router_costs_the_same_among_few_and_among_many() -> None:
    counts = []
    for size in (20, 2000):
        wanted = many(size)
        before = made(wanted)
        changed = replace(wanted.routers["r7@x"], rule="Host(`r7.example`) && Path(`/x`)")
        count, after = steps(replace(wanted, routers={**wanted.routers, "r7@x": changed}), before)
        counts.append(count)
        kept = {route.name: route for route in before.routes}
        assert [route.name for route in after.routes if route is not kept[route.name]] == ["r7@x"]
        assert after.replaced == ()
    assert counts[0] == counts[1] < 25


def test_change_of_a_service_makes_anew_what_uses_it() -> None:
    wanted = many(200)
    before = made(wanted)
    changed = replace(wanted.services["s3@x"], servers=(Server("http://192.0.2.7"),))
    _, after = steps(replace(wanted, services={**wanted.services, "s3@x": changed}), before)
    kept = {route.name: route for route in before.routes}
    assert sorted(route.name for route in after.routes if route is not kept[route.name]) == [
        f"r3{n}@x" for n in range(10)
    ]
    assert after.replaced == ("s3@x",)
    _, emptied = steps(replace(wanted, routers={}, services={}), after)
    assert len(emptied.replaced) == 20
    assert (emptied.routes, dict(emptied.compiled.services.users)) == ((), {})


def test_what_is_replaced_is_freed_without_the_collector() -> None:
    """A collection that looks at a hundred thousand routers would hold up every request."""
    running: weakref.WeakSet[Live] = weakref.WeakSet()
    tables: weakref.WeakSet[RoutingTable] = weakref.WeakSet()

    def make(definition: Any, before: Any = None) -> Live:
        live = Live(definition)
        running.add(live)
        return live

    def wanted(number: int) -> Configuration:
        members = ("m",) if number % 3 else ("gone",)
        return Configuration(
            {"r@x": Router("r@x", f"Host(`{number}.example`)", "s", middlewares=("c",))},
            {"s@x": Service("s@x", (Server(f"http://192.0.2.{number}"),))},
            {
                "m@x": Middleware("m@x", "headers", {"a": str(number)}),
                "c@x": Middleware("c@x", "chain", {"middlewares": members}),
            },
        )

    gc.disable()
    try:
        table = None
        for number in range(200):
            table = compile_table(
                wanted(number), POINTS, previous=table, make_middleware=make, make_service=make
            )
            tables.add(table)
        # What a layer beneath still holds is bounded, and goes when the layers are folded.
        assert len(running) < 200
        assert len(tables) == 1
    finally:
        gc.enable()


def test_large_table_is_made_in_small_steps() -> None:
    count, _ = steps(many(500), made(Configuration()))
    assert count > 3 * 500


LIMITED = EntryPoint("limited", 8000, middlewares=("first@x", "second@x"))
BEFORE_ALL = {
    name: Middleware(name, "headers") for name in ("first@x", "second@x", "own@x", "second@y", "second@z")
}


def limited(*points: str, **more: Any) -> Configuration:
    """A router on these entry points, with a middleware of its own."""
    router = Router("r@x", "Host(`a.example`)", "s", points, ("own",), **more)
    return Configuration({"r@x": router}, {"s@x": Service("s@x")}, BEFORE_ALL)


def passed(table: RoutingTable, point: str) -> list[str] | None:
    """Which middlewares a request passes that comes in there."""
    route = table.route(exchange(entry_point=point, host=b"a.example"))
    return None if route is None else [middleware.definition.name for middleware in route.middlewares]


def test_middlewares_of_an_entry_point_come_before_those_of_its_routers() -> None:
    table = made(limited("web", "limited"), points=(WEB, LIMITED))
    assert passed(table, "limited") == ["first@x", "second@x", "own@x"]
    assert passed(table, "web") == ["own@x"]
    assert [route.entry_points for route in table.routes] == [("web", "limited")]


def test_router_is_off_only_where_a_middleware_of_the_entry_point_can_not_be_used() -> None:
    """What keeps requests out of one entry point must not be left out there."""
    wanted = limited("web", "limited")
    wanted = replace(wanted, middlewares={**BEFORE_ALL, "first@x": Middleware("first@x", "bad")})
    table = made(wanted, points=(WEB, LIMITED))
    assert (passed(table, "limited"), passed(table, "web")) == (None, ["own@x"])
    assert [problem.why for problem in table.problems if problem.where == "router r@x"] == [
        'entryPoint limited: middleware "first@x" can\'t be used: it is bad'
    ]
    alone = made(replace(wanted, routers=limited("limited").routers), points=(WEB, LIMITED))
    assert alone.disabled == {"r@x": ('entryPoint limited: middleware "first@x" can\'t be used: it is bad',)}


def test_router_follows_its_entry_point_s_middlewares_when_they_change() -> None:
    points = (WEB, LIMITED)
    wanted = limited("limited")
    before = made(replace(wanted, middlewares={"own@x": BEFORE_ALL["own@x"]}), points=points)
    assert passed(before, "limited") is None
    table = made(wanted, before, points)
    assert passed(table, "limited") == ["first@x", "second@x", "own@x"]
    changed = {**BEFORE_ALL, "second@x": Middleware("second@x", "headers", {"a": "1"})}
    after = made(replace(wanted, middlewares=changed), table, points)
    assert shown(after) == shown(made(replace(wanted, middlewares=changed), points=points))
    assert (
        made(replace(wanted, routers={}), after, points).route(
            exchange(entry_point="limited", host=b"a.example")
        )
        is None
    )


def test_what_is_explained_is_the_one_router() -> None:
    table = made(limited("web", "limited"), points=(WEB, LIMITED))
    explanation = table.explain(exchange(entry_point="limited", host=b"a.example"))
    assert [candidate.name for candidate in explanation.candidates] == ["r@x"]


def test_only_our_own_routers_may_have_the_highest_priorities() -> None:
    wanted = limited("web", priority=2**63 - 2)
    assert list(made(wanted).disabled) == ["r@x"]
    (router,) = wanted.routers.values()
    ours = replace(wanted, routers={"r@internal": replace(router, name="r@internal", service="s@x")})
    assert [route.name for route in made(ours).routes] == ["r@internal"]
