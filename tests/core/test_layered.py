"""Layered mappings: what comes of any changes is what a dict would be, and what was there before stays."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.layered import Groups, Layered, moved

keys = st.integers(0, 30)
steps = st.lists(st.dictionaries(keys, st.none() | st.integers()), max_size=8)


@given(st.dictionaries(keys, st.integers()), steps)
def test_changes_give_what_a_dict_would_hold(
    start: dict[int, int], steps: list[dict[int, int | None]]
) -> None:
    made, wanted = Layered(start), dict(start)
    for step in steps:
        before, was = made, dict(wanted)
        draft = made.draft()
        for key, value in step.items():
            if value is None:
                draft.discard(key)
                wanted.pop(key, None)
            else:
                draft[key] = wanted[key] = value
            assert (draft.get(key), key in draft) == (wanted.get(key), key in wanted)
        made = draft.done()
        assert_same(made, wanted)
        assert_same(before, was)


def assert_same(made: Mapping[int, int], wanted: dict[int, int]) -> None:
    assert made == wanted
    assert (len(made), sorted(made)) == (len(wanted), sorted(wanted))
    for key in range(31):
        assert made.get(key) == wanted.get(key)
        assert (key in made) == (key in wanted)
        if key not in wanted:
            with pytest.raises(KeyError):
                made[key]


@pytest.mark.parametrize("many", [1, 500])
def test_many_changes_do_not_pile_up(many: int) -> None:
    made: Layered[int, int] = Layered(dict.fromkeys(range(1000), 0))
    wanted = dict(made)
    for step in range(300):
        draft = made.draft()
        for number in range(many):
            draft[step * many + number] = wanted[step * many + number] = step
        made = draft.done()
        assert len(made._top) <= max(64, many, 2 * len(wanted) ** 0.5)
    assert made == wanted


def test_large_lower_layer_is_shared() -> None:
    made = Layered(dict.fromkeys(range(1000), 0))
    draft = made.draft()
    draft[5] = 1
    after = draft.done()
    assert after._base is made._base
    assert repr(Layered({1: 2})) == "Layered({1: 2})"


@pytest.mark.parametrize(
    ("old", "new", "changed", "gone"),
    [
        ({}, {}, [], []),
        ({}, {"a": [1]}, ["a"], []),
        ({"a": [1]}, {}, [], ["a"]),
        ({"a": [1], "b": [2]}, {"b": [2], "a": [1]}, [], []),
        ({"a": [1], "b": [2]}, {"a": [3], "b": [2]}, ["a"], []),
        ({"a": [1], "b": [2]}, {"c": [1], "b": [3]}, ["c", "b"], ["a"]),
        ({"a": None}, {"b": None}, ["b"], ["a"]),
    ],
)
def test_difference_is_told_by_key(
    old: dict[str, list[int]], new: dict[str, list[int]], changed: list[str], gone: list[str]
) -> None:
    assert moved(old, new) == (changed, gone)


def test_same_mapping_and_same_values_are_not_compared() -> None:
    class Untouchable:
        def __eq__(self, other: object) -> bool:
            raise AssertionError("it was compared")

    one = {"a": Untouchable()}
    assert moved(one, one) == ([], [])
    assert moved(one, dict(one)) == ([], [])


def grouped(groups: Groups[str, str]) -> dict[str, tuple[str, ...]]:
    list(groups.closing())
    return dict(groups.done())


def test_groups_hold_their_members_in_order_and_empty_ones_go() -> None:
    start = Layered({"x": ("b", "c"), "y": ("z",), "n": ("m",)})
    groups = Groups(start, str, str)
    groups.add("x", "a")
    groups.remove("x", "c")
    groups.remove("y", "z")
    groups.remove("y", "never there")
    groups.add("new", "q")
    assert sorted(groups.open) == ["new", "x", "y"]
    assert grouped(groups) == {"x": ("a", "b"), "n": ("m",), "new": ("q",)}
    assert dict(start)["x"] == ("b", "c")


def test_member_takes_the_place_of_one_with_its_name() -> None:
    groups = Groups(Layered({"x": ("A1", "b1")}), lambda member: member[0])
    groups.add("x", "A2")
    assert grouped(groups) == {"x": ("A2", "b1")}
