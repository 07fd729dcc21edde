"""Sections within a service: every key can be read, and belongs to what is made."""

from __future__ import annotations

import pytest

from dynbalancer.core import schema
from dynbalancer.core.sections import BELOW, READERS


@pytest.mark.parametrize("word", BELOW)
def test_every_key_has_a_reader_and_an_attribute(word: str) -> None:
    made = BELOW[word].make()
    for key in BELOW[word].keys:
        assert key.kind in READERS
        assert hasattr(made, key.attribute)


def test_every_section_is_a_key_of_a_service() -> None:
    known = {key.name for key in schema.LOAD_BALANCER if key.attribute}
    assert set(BELOW) <= known


def test_no_kind_has_two_readers() -> None:
    assert all(READERS[kind] is reader for kind, reader in schema.READERS.items())
