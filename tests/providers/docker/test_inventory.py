"""What events and looks change, and in what words."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.errors import Problem
from dynbalancer_docker.inventory import Inventory
from dynbalancer_docker.reading import Row, read_container
from tests.providers.docker.fake_engine import container_id, description, event

WEB = container_id("web")


def inventory(*names: str, **more: Any) -> Inventory:
    """An inventory of running containers of these names."""
    made = Inventory()
    for name in names or ("web",):
        made.put(container_id(name), read_container(description(name, **more)), 0.0)
    return made


def states(of: Inventory) -> dict[str, str]:
    """The state of each container, by name."""
    return {one.name: one.state for one in of.containers()}


@pytest.mark.parametrize(
    "more, words",
    [
        ({}, ""),
        ({"health": "healthy"}, "container web is healthy"),
        ({"state": "paused"}, "container web is paused"),
        ({"networks": {"b": {"IPAddress": "10.0.0.3"}}}, "container web changed its networks"),
        ({"labels": {"a": "b"}}, "container web changed"),
        ({"started": "2030-01-01T00:00:00Z"}, "container web restarted"),
        ({"state": "exited"}, "container web is gone"),
    ],
)
def test_look_says_what_is_different(more: dict[str, Any], words: str) -> None:
    assert inventory().put(WEB, read_container(description("web", **more)), 1.0) == words


def test_look_at_a_new_name_says_so() -> None:
    document = description("web") | {"Name": "/shop"}
    assert inventory().put(WEB, read_container(document), 1.0) == "container web is now called shop"


@pytest.mark.parametrize(
    "signal, state", [("15", "draining"), ("9", "draining"), ("1", "running"), ("", "running")]
)
def test_stop_signal_drains_and_others_do_not(signal: str, state: str) -> None:
    known = inventory()
    known.note(event("web", "kill", signal=signal), 5.0)
    assert states(known) == {"web": state}


def test_second_stop_signal_says_nothing_more() -> None:
    known = inventory()
    assert known.note(event("web", "kill", signal="15"), 5.0) == "container web is stopping"
    assert known.note(event("web", "kill", signal="9"), 6.0) == ""


def test_stop_of_a_container_not_seen_yet_counts_once_it_is_seen() -> None:
    known = Inventory()
    assert known.note(event("web", "kill", signal="15"), 5.0) == ""
    known.put(WEB, read_container(description("web")), 5.1)
    assert states(known) == {"web": "draining"}


def test_signal_that_turns_out_not_to_stop_it_is_forgotten() -> None:
    known = Inventory()
    known.note(event("web", "kill", signal="15"), 5.0)
    known.put(WEB, read_container(description("web", stop_signal="QUIT")), 5.1)
    assert states(known) == {"web": "running"}


def test_deadline_is_stop_timeout_and_five_seconds() -> None:
    known = inventory(stop_timeout=20)
    assert known.deadline() is None
    known.note(event("web", "kill", signal="15"), 100.0)
    assert known.deadline() == 125.0
    assert known.undrain(124.9) == ""
    assert known.undrain(125.0) == "container web did not stop, and serves again"
    assert states(known) == {"web": "running"}


def test_late_look_does_not_bring_back_what_died_after_it() -> None:
    known = inventory()
    before = read_container(description("web"))
    assert known.note(event("web", "die"), 5.0) == "container web died"
    assert known.put(WEB, before, 5.1) == ""
    assert len(known) == 0


def test_clock_of_the_engine_that_was_set_back_does_not_hide_a_container_for_long() -> None:
    known = inventory()
    known.note(event("web", "die"), 5.0)
    assert known.put(WEB, read_container(description("web")), 11.0) == "container web started"


def test_events_of_an_earlier_life_change_nothing() -> None:
    known = inventory()
    for action in ("kill", "die", "destroy"):
        assert known.note(event("web", action, at=1.0, signal="15"), 5.0) == ""
    assert states(known) == {"web": "running"}


def test_list_names_new_changed_and_gone() -> None:
    known = inventory("a", "b", "c")
    a, b, c, d = (container_id(name) for name in "abcd")
    known.remember([Row(a, "a", "1"), Row(b, "b", "1"), Row(c, "c", "1")], [a, b, c])
    difference = known.difference([Row(a, "a", "1"), Row(b, "b", "2"), Row(d, "d", "1")])
    assert (difference.look, difference.gone) == ((b, d), (c,))
    assert known.drop(c) == "container c is gone"


def test_row_that_was_not_looked_at_is_looked_at_next_time() -> None:
    known = inventory("a")
    a = container_id("a")
    known.remember([Row(a, "a", "1")], [])
    assert known.difference([Row(a, "a", "1")]).look == (a,)


def test_container_that_can_not_be_read_keeps_its_last_state_and_a_problem() -> None:
    known = inventory()
    problem = Problem("container web", "the engine answers with 500")
    assert known.put_problem(WEB, problem) == "container web can't be read"
    assert known.put_problem(WEB, problem) == ""
    assert (states(known), known.problems) == ({"web": "running"}, (problem,))
    known.put(WEB, read_container(description("web")), 1.0)
    assert known.problems == ()


def test_own_container_is_found_by_the_beginning_of_its_id() -> None:
    known = inventory("web", "shop")
    found = known.find(["ffffffffffff", container_id("shop")[:12]])
    assert found is not None
    assert found.container.name == "shop"
    assert known.find(["", container_id("shop")[:4]]) is None
