"""Renderings have so many steps and so much room; trees say what they are worth."""

from __future__ import annotations

import pytest

from dynbalancer.core.gotemplates import nodes
from dynbalancer.core.gotemplates.faults import Fault


def test_room_is_for_the_whole_result() -> None:
    run = nodes.Run({}, 5)
    run.write("abc")
    with pytest.raises(Fault, match="its result is too long"):
        run.write("def")
    assert run.written == ["abc"]


def test_long_texts_count_as_many_steps() -> None:
    run = nodes.Run({}, 5)
    run.step(nodes.MOST_STEPS * 32)
    with pytest.raises(Fault, match="it takes too long"):
        run.step(nodes.MOST_STEPS * 32)


def test_variables_end_with_their_body() -> None:
    run = nodes.Run({}, 50)
    body = (nodes.Assign("$x", nodes.Literal(1), True), nodes.Show(nodes.Variable("$x")))
    nodes.write_all(body, run, None)
    assert (run.written, run.variables) == (["1"], [])


def test_variables_of_a_round_that_was_left_are_gone() -> None:
    inner = (nodes.Assign("$x", nodes.Literal(1), True), nodes.Leave("continue"))
    run = nodes.Run({}, 50)
    nodes.Range(nodes.Literal([1, 2]), (), True, inner, (), 0).write(run, None)
    assert run.variables == []


@pytest.mark.parametrize(
    "value, kind",
    [
        ("", "text"),
        (1, "number"),
        (1.0, "number"),
        (True, "truth value"),
        ({}, "map"),
        ([], "list"),
        (None, "value"),
    ],
)
def test_kinds_of_values_in_a_word(value: object, kind: str) -> None:
    assert nodes.type_of(value) == kind


def test_faults_of_a_function_get_its_place() -> None:
    def fail() -> object:
        raise ZeroDivisionError

    with pytest.raises(Fault) as fault:
        nodes.Call("div", fail, (), 7).value(nodes.Run({}, 1), None)
    assert (fault.value.why, fault.value.at) == ("div by zero", 7)
