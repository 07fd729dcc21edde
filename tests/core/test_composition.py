"""Services that are made of others: made after those, anew when one of those is another, and never in a circle."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.model import Configuration, EntryPoint, Member, Router, Service
from dynbalancer.core.table import RoutingTable, compile_table
from dynbalancer.errors import ConfigurationError

WEB = (EntryPoint("web", 80),)


class Live:
    """A live object that knows what it was made of."""

    def __init__(self, definition: Service, before: Any = None, parts: tuple[Any, ...] = ()) -> None:
        if definition.strategy == "bad":
            raise ConfigurationError(definition.name, "it is bad")
        self.definition = definition
        self.parts = parts


def of(name: str, *members: str, **about: Any) -> Service:
    return Service(name, kind="weighted", members=tuple(map(Member, members)), **about)


def table(*services: Service, previous: RoutingTable | None = None) -> RoutingTable:
    wanted = Configuration(
        {f"r-{one.name}": Router(f"r-{one.name}", f"Path(`/{one.name}`)", one.name) for one in services},
        {one.name: one for one in services},
    )
    return compile_table(wanted, WEB, previous=previous, make_middleware=Live, make_service=Live)


def shape(one: Live) -> Any:
    """What a live service is made of, down to those with servers."""
    return one.definition.strategy, one.definition.name, [shape(part) for part in one.parts]


def shown(found: RoutingTable) -> Any:
    return (
        {name: shape(live) for name, live in found.services.items()},
        dict(found.disabled),
        [str(problem) for problem in found.problems],
        all(route.service is found.services[route.service_name] for route in found.routes),
    )


def test_each_is_made_after_those_it_is_made_of_whatever_their_order() -> None:
    found = table(of("a@x", "b", "c@x"), of("b@x", "c"), Service("c@x"))
    assert found.problems == ()
    a, b, c = (found.services[name] for name in ("a@x", "b@x", "c@x"))
    assert a.parts == (b, c)
    assert b.parts == (c,)
    assert [member.name for member in a.definition.members] == ["b@x", "c@x"]


def test_what_is_made_of_something_new_is_new_and_nothing_else() -> None:
    services = {"a@x": of("a@x", "b"), "b@x": of("b@x", "c"), "c@x": Service("c@x"), "d@x": of("d@x", "e")}
    first = table(*services.values(), Service("e@x"))
    second = table(
        *(services | {"c@x": Service("c@x", strategy="p2c")}).values(), Service("e@x"), previous=first
    )
    same = [name for name in first.services if first.services[name] is second.services[name]]
    assert sorted(same) == ["d@x", "e@x"]
    assert shown(second)[0] == shown(table(*second.configuration.services.values()))[0]


def test_a_circle_is_a_problem_and_switches_off_all_that_leads_into_it() -> None:
    found = table(of("a@x", "b"), of("b@x", "c"), of("c@x", "b"), Service("d@x"))
    assert sorted(found.disabled) == ["r-a@x", "r-b@x", "r-c@x"]
    assert any("leads back to itself: " in str(problem) for problem in found.problems)
    assert list(found.services) == ["d@x"]


def test_a_long_row_of_services_has_an_end() -> None:
    row = [of(f"s{n}@x", f"s{n + 1}") for n in range(20)]
    found = table(*row, Service("s20@x"))
    assert any("within each other" in str(problem) for problem in found.problems)
    assert "s19@x" in found.services


def test_a_member_that_can_not_be_used_is_named() -> None:
    found = table(of("a@x", "b"), Service("b@x", strategy="bad"))
    assert 'service "b@x" can\'t be used: it is bad' in " ".join(found.disabled["r-a@x"])


_names = st.sampled_from(["a", "b", "c", "d", "gone"])
_services = st.dictionaries(
    st.sampled_from(["a@x", "b@x", "c@x", "d@x"]),
    st.one_of(
        st.sampled_from(["wrr", "p2c", "bad"]).map(lambda word: Service("", strategy=word)),
        st.lists(_names, max_size=3).map(lambda names: of("", *names)),
    ),
)


@given(st.lists(_services, min_size=1, max_size=4))
def test_a_table_made_of_the_one_before_is_what_it_would_be_without(steps: list[dict[str, Service]]) -> None:
    from dataclasses import replace

    previous = None
    for step in steps:
        services = [replace(one, name=name) for name, one in step.items()]
        previous = table(*services, previous=previous)
        assert shown(previous) == shown(table(*services))
