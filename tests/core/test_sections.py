"""Sections within a service: every key can be read, and belongs to what is made."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from dynbalancer.core import schema, service_keys, streamdocuments
from dynbalancer.core.model import PassiveHealth, Sticky
from dynbalancer.core.sections import BELOW, LISTED, OF_KIND, READERS


@pytest.mark.parametrize("word", [*BELOW, *OF_KIND])
def test_every_key_has_a_reader_and_an_attribute(word: str) -> None:
    section = BELOW.get(word) or OF_KIND[word]
    assert {key.kind for key in section.keys} <= set(READERS)
    given = {key.attribute: key.default for key in section.keys if key.attribute}
    made = section.make(**given)
    assert made in (given, *given.values()) or all(hasattr(made, attribute) for attribute in given)


@pytest.mark.parametrize(("word", "made"), [("cookie", Sticky), ("passiveHealthCheck", PassiveHealth)])
def test_defaults_are_those_of_the_model(word: str, made: type[Any]) -> None:
    defaults = {attribute.name: attribute.default for attribute in fields(made)}
    assert {key.attribute: key.default for key in BELOW[word].keys} == defaults


def test_every_section_is_a_key_of_something() -> None:
    tables = [schema.ROUTER, schema.LOAD_BALANCER, service_keys.TRANSPORT, *service_keys.BY_TYPE.values()]
    tables += [section.keys for section in BELOW.values()]
    known = {key.name for table in tables for key in table if key.attribute and key.kind == "section"}
    assert set(BELOW) == known
    assert set(OF_KIND) == {key.kind for key in streamdocuments.LOAD_BALANCER} & set(OF_KIND)


def test_every_list_of_sections_is_a_key_of_something() -> None:
    tables = [schema.LOAD_BALANCER, service_keys.TRANSPORT, *service_keys.BY_TYPE.values()]
    known = {key.name for table in tables for key in table if key.kind == "sections"}
    assert set(LISTED) == known


def test_no_kind_has_two_readers() -> None:
    assert all(READERS[kind] is reader for kind, reader in schema.READERS.items())
