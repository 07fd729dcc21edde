"""What is wrong is told with its place."""

from __future__ import annotations

import pytest

from dynbalancer.core.gotemplates.faults import Fault


@pytest.mark.parametrize(
    "template, at, why",
    [
        ("{{ x }}", 3, "bad (character 4)"),
        ("a\nb {{ x }}\n", 4, "bad (line 2, character 3)"),
        ("{{ x }}", -1, "bad"),
    ],
)
def test_the_place_is_a_character_and_a_line_where_there_are_several(
    template: str, at: int, why: str
) -> None:
    said = Fault("bad", "write good", at).said(template)
    assert (said.where, said.why, said.hint) == ("template", why, "write good")
