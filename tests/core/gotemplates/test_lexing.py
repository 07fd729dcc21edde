"""Templates in pieces: texts with their trim marks obeyed, and tokens with their places."""

from __future__ import annotations

import pytest

from dynbalancer.core.gotemplates.faults import Fault
from dynbalancer.core.gotemplates.lexing import Action, pieces, value_of


def test_an_action_has_its_tokens_with_their_places() -> None:
    before, action, after = pieces('a {{ .Name|index $x "b" }} c')
    assert (before, after) == ("a ", " c")
    assert isinstance(action, Action)
    assert [(token.kind, token.text, token.at) for token in action.tokens] == [
        ("field", ".Name", 5),
        ("mark", "|", 10),
        ("word", "index", 11),
        ("variable", "$x", 17),
        ("string", '"b"', 20),
    ]


@pytest.mark.parametrize(
    "template, texts",
    [
        ("a  {{- 1 -}}  b", ["a", "b"]),
        ("a {{-1}} b", ["a ", " b"]),
        ("a {{- 1}} b", ["a", " b"]),
        ("{{`}}`}}{{ \"}}\" }}", ["", "", ""]),
        ("a{{/* }} */}}b", ["a", "b"]),
        ("a {{- /* x */ -}} b", ["a", "b"]),
        ("a } } b", ["a } } b"]),
    ],
)  # fmt: skip
def test_texts_between_actions(template: str, texts: list[str]) -> None:
    assert [piece for piece in pieces(template) if isinstance(piece, str)] == texts


@pytest.mark.parametrize(
    "written, value",
    [
        (r'"a\tb\x41\u00e9\101\\"', "a\tbAéA\\"),
        ("`a\\t`", "a\\t"),
        ("'x'", 120),
        (r"'\n'", 10),
        ("12", 12),
        ("-0x1F", -31),
        ("1.5", 1.5),
        ("2e3", 2000.0),
    ],
)
def test_values_of_tokens(written: str, value: object) -> None:
    _, action, _ = pieces("{{ " + written + " }}")
    assert isinstance(action, Action)
    found = value_of(action.tokens[0])
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "template, why, at",
    [
        ("a {{ b", "{{ without }}", 2),
        ("{{ ~ }}", "'~' is not understood", 3),
        ("{{ 'ab' }}", "'ab' is not one character", 3),
        (r'{{ "\ud800" }}', "\\ud800 is no character", 3),
        ('{{ "a\n" }}', "'\"' is not understood", 3),
    ],
)
def test_what_can_not_be_read(template: str, why: str, at: int) -> None:
    with pytest.raises(Fault) as fault:
        for piece in pieces(template):
            if isinstance(piece, Action):
                [value_of(token) for token in piece.tokens]
    assert (fault.value.why, fault.value.at) == (why, at)
