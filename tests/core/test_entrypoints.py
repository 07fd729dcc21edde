"""What is meant by the name of an entry point."""

from __future__ import annotations

import pytest

from dynbalancer.core.entrypoints import meant_by_v1


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("http", ("web", "websecure"), "web"),
        ("https", ("web", "websecure"), "websecure"),
        ("https", ("https", "websecure"), "https"),
        ("https", ("web",), "https"),
        ("other", ("web",), "other"),
    ],
)
def test_names_of_v1_stand_for_those_since_where_nothing_else_has_them(
    name: str, known: tuple[str, ...], meant: str
) -> None:
    assert meant_by_v1(name, known) == meant
