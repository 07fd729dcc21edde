"""From one table to the next over the wire: what arrives is what was sent, in parts, and no more than differs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.model import (
    Certificate,
    Configuration,
    Middleware,
    Router,
    Server,
    ServersTransport,
    Service,
    Sticky,
)
from dynbalancer.core.transfer import PART, Held, applied, parts, read
from dynbalancer.errors import ConfigurationError


def sent(new: Held, old: Held, most: int = PART) -> Held:
    """What a worker that has ``old`` makes of what it is sent."""
    return applied(old, [read(json.loads(json.dumps(part))) for part in parts(new, old, most)])


names = st.sampled_from(["a@x", "b@x", "c@y", "ä@y"])


def named(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(names, values).map(
        lambda found: {name: replace(value, name=name) for name, value in found.items()}
    )


held = st.builds(
    Held,
    st.builds(
        Configuration,
        named(st.builds(Router, st.just(""), st.sampled_from(["Path(`/`)", "Path(`/x`)"]), st.just("s"))),
        named(
            st.builds(
                Service,
                st.just(""),
                st.sampled_from([(), (Server("http://192.0.2.1", 2),)]),
                sticky=st.sampled_from([None, Sticky("pin")]),
            )
        ),
        named(st.builds(Middleware, st.just(""), st.just("chain"), st.sampled_from([{}, {"a": ("b", "c")}]))),
        certificates=named(
            st.builds(Certificate, st.just(""), st.just("CHAIN"), st.just("KEY"), st.just(("a",)))
        ),
        transports=named(st.builds(ServersTransport, st.just(""), st.sampled_from(["", "a.example"]))),
    ),
    st.dictionaries(names, st.integers(0, 3)),
)


@given(st.lists(held, max_size=4), st.integers(1, 3))
def test_whatever_follows_each_other_arrives(sequence: list[Held], most: int) -> None:
    before = Held()
    for wanted in sequence:
        arrived = sent(wanted, before, most)
        assert arrived.configuration.routing == wanted.configuration.routing
        assert arrived.slots == wanted.slots
        before = arrived


def services(count: int) -> Held:
    found = {f"s{n}": Service(f"s{n}") for n in range(count)}
    return Held(Configuration(services=found), dict.fromkeys(found, 1))


def test_what_is_the_same_is_not_sent_and_stays_the_same_object() -> None:
    old = Held(Configuration({"r": Router("r", "Path(`/`)", "s")}, {"s": Service("s")}), {"s": 1})
    new = replace(
        old, configuration=replace(old.configuration, routers={"r": Router("r", "Path(`/x`)", "s")})
    )
    assert parts(new, old) == [{"set": {"routers": {"r": {"rule": "Path(`/x`)", "service": "s"}}}}]
    arrived = sent(new, old)
    assert arrived.configuration.services is old.configuration.services
    assert arrived.slots is old.slots
    assert parts(old, old) == [{"set": {}}]
    assert sent(old, old) == old


def test_what_is_gone_is_named() -> None:
    assert parts(services(1), services(3)) == [
        {"set": {}, "gone": {"services": ["s1", "s2"], "slots": ["s1", "s2"]}}
    ]


def test_much_comes_in_parts_of_bounded_size() -> None:
    found = parts(services(2 * PART + 1), Held())
    assert [len(part["set"]["services"]) for part in found] == [PART, PART, 1]
    assert [len(part["set"]["slots"]) for part in found] == [PART, PART, 1]


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"set": []},
        {"set": {"routers": []}},
        {"set": {"routers": {"r": {"colour": "red"}}}},
        {"set": {"slots": 3}},
        {"set": {}, "gone": []},
        {"set": {}, "gone": {"routers": 3}},
    ],
)
def test_rubbish_is_refused(message: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="not readable"):
        read(message)
