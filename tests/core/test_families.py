"""Services and middlewares from table to table: what is made, kept, tried again and given up."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.families import Family, FamilyDraft
from dynbalancer.core.model import Middleware, Router
from dynbalancer.core.references import Said
from dynbalancer.errors import ConfigurationError

ROUTER = Router("r@x", "Path(`/`)", "s", middlewares=("a",))


class Making:
    """Makes a family step by step, and remembers what was made and said."""

    def __init__(self) -> None:
        self.family = Family()
        self.definitions: dict[str, Middleware] = {}
        self.broken: dict[str, str] = {}
        self.made: list[tuple[str, Any]] = []
        self.said: dict[str, list[str]] = {}

    def become(self, *definitions: Middleware) -> FamilyDraft[Middleware]:
        """The next family, of these definitions."""
        wanted = {definition.name: definition for definition in definitions}
        draft = FamilyDraft("middleware", self.family, self.definitions, wanted, self._say)
        self.made.clear()
        list(draft.making(self._make, lambda old, new: old.settings == new.settings))
        list(draft.users.closing())
        self.family, self.definitions = draft.done(), wanted
        return draft

    def _make(self, definition: Middleware, running: Any) -> Any:
        self.made.append((definition.name, running))
        if definition.name in self.broken:
            harmless = "cosmetic" in definition.settings
            raise ConfigurationError("", self.broken[definition.name], "mend it", harmless=harmless)
        if definition.type == "chain":
            return Chain(definition.settings["members"])
        return f"{definition.name} {definition.origin}"

    def _say(self, kind: str, about: Middleware, said: list[Said]) -> None:
        assert kind == "middleware"
        self.said[about.name] = [one.problem.why for one in said]


class Chain:
    """Stands for others."""

    def __init__(self, members: tuple[str, ...]) -> None:
        self.members = members


def one(name: str, origin: str = "", **settings: str) -> Middleware:
    return Middleware(f"{name}@x", "headers", settings, origin)


def chain(name: str, *members: str) -> Middleware:
    return Middleware(f"{name}@x", "chain", {"members": members})


def test_only_what_is_another_is_made_and_gets_what_ran_before() -> None:
    making = Making()
    making.become(one("a"), one("b"))
    draft = making.become(one("a"), one("b", set="1"), one("c"))
    assert making.made == [("b@x", "b@x "), ("c@x", None)]
    assert (draft.touched, draft.replaced) == ({"b", "c"}, ["b@x", "c@x"])
    assert dict(making.family.live) == {"a@x": "a@x ", "b@x": "b@x ", "c@x": "c@x "}


def test_what_may_stay_stays_and_who_uses_it_is_looked_at_again() -> None:
    making = Making()
    making.become(one("a", "here"))
    draft = making.become(one("a", "there"))
    assert (making.made, draft.touched, draft.replaced) == ([], {"a"}, [])
    assert making.family.live["a@x"] == "a@x here"


def test_what_is_gone_runs_no_more() -> None:
    making = Making()
    making.become(one("a"), one("b"))
    draft = making.become(one("b"))
    assert (draft.touched, draft.replaced) == ({"a"}, ["a@x"])
    assert (dict(making.family.live), dict(making.family.by_plain)) == ({"b@x": "b@x "}, {"b": ("b@x",)})


def test_failure_is_said_tried_again_each_time_and_touches_only_when_it_is_another() -> None:
    making = Making()
    making.broken["a@x"] = "no file"
    assert making.become(one("a")).touched == {"a"}
    assert (making.family.failed, making.said["a@x"]) == ({"a@x": "no file"}, ["no file"])
    assert making.become(one("a")).touched == set()
    assert making.made == [("a@x", None)]
    making.broken["a@x"] = "no rights"
    assert making.become(one("a")).touched == {"a"}
    del making.broken["a@x"]
    assert making.become(one("a")).touched == {"a"}
    assert (making.family.failed, making.said["a@x"]) == ({}, [])
    assert dict(making.family.live) == {"a@x": "a@x "}


def test_reference_to_what_failed_says_why_and_whose_it_is() -> None:
    making = Making()
    making.broken["a@x"] = "no file"
    draft = making.become(one("a", "container web-1"))
    try:
        draft.find("a", ROUTER)
    except ConfigurationError as error:
        assert error.why == 'middleware "a@x" of container web-1 can\'t be used: no file'
    else:
        raise AssertionError("it could be used")


def test_chain_is_touched_by_its_members() -> None:
    making = Making()
    making.become(one("a"), one("b"), chain("c", "a", "d"), chain("d", "b"))
    assert making.family.unfolded == {"c@x": ("a@x", "b@x"), "d@x": ("b@x",)}
    assert making.become(one("a"), one("b", set="1"), chain("c", "a", "d"), chain("d", "b")).touched == {
        "b",
        "c",
        "d",
    }
    assert making.become(
        one("a", set="1"), one("b", set="1"), chain("c", "a", "d"), chain("d", "b")
    ).touched == {
        "a",
        "c",
    }
    making.become(one("a"), chain("c", "a", "d"), chain("d", "b"))
    assert set(making.family.failed) == {"c@x", "d@x"}
    making.become(one("a"), one("b"), chain("c", "a", "d"), chain("d", "b"))
    assert making.family.failed == {}


def test_users_of_what_is_touched_are_told() -> None:
    making = Making()
    draft = FamilyDraft("middleware", making.family, {}, {"a@x": one("a")}, making._say)
    list(draft.making(making._make, lambda old, new: True))
    draft.users.add("a", "r@x")
    list(draft.users.closing())
    making.family, making.definitions = draft.done(), {"a@x": one("a")}
    assert list(making.become(one("a", set="1")).affected()) == ["r@x"]
    assert list(making.become(one("a", set="1")).affected()) == []


def test_broken_one_that_keeps_nobody_out_is_left_out_until_it_is_mended() -> None:
    making = Making()
    making.broken = {"a@x": "it is wrong", "b@x": "it is wrong"}
    draft = making.become(one("a", cosmetic="1"), one("b"))
    assert (making.family.spared, dict(making.family.failed)) == (
        {"a@x"},
        dict.fromkeys(("a@x", "b@x"), "it is wrong"),
    )
    draft.check("a@x", ROUTER)
    with pytest.raises(ConfigurationError, match="b@x"):
        draft.check("b@x", ROUTER)
    assert making.said["a@x"] == ["it is wrong; what uses it goes on without it"]
    making.become(one("a"), one("b"))
    assert making.family.spared == set()
    making.become(one("a", cosmetic="1"), one("b"))
    making.broken = {}
    making.become(one("a", cosmetic="1"), one("b"))
    assert (making.family.spared, dict(making.family.failed)) == (frozenset(), {})
