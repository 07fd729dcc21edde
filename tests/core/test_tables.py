"""Reading and writing by tables: a mistake switches off its key, or all where the key is needed."""

from __future__ import annotations

import pytest

from dynbalancer.core.model import Member
from dynbalancer.core.schema import Key
from dynbalancer.core.service_keys import MEMBER
from dynbalancer.core.tables import TableReader, UnusableError, dotted, write

TABLE = (
    Key("name", "text", "Its name.", "name", required=True),
    Key("weight", "weight", "Its share.", "weight", 1),
    Key("lock", "text", "Keeps people out.", "lock", "", restricts=True),
)
PATH = ("http", "services", "web")


def test_keys_in_any_letter_case_become_attributes() -> None:
    reader = TableReader("file dyn.yml")
    assert reader.attributes(TABLE, {"NAME": "a", "weight": "2"}, PATH) == {"name": "a", "weight": 2}
    assert reader.problems == []


def test_a_wrong_value_is_left_out_and_told_with_its_line() -> None:
    reader = TableReader("file dyn.yml", {(*PATH, "weight"): 7}.get)
    assert reader.attributes(TABLE, {"name": "a", "weight": "much"}, PATH) == {"name": "a"}
    assert str(reader.problems[0].where) == "file dyn.yml, line 7: http.services.web.weight"


@pytest.mark.parametrize("found", [{}, {"name": ""}, {"name": "a", "lock": 5}, {"name": "a", "lokc": "x"}])
def test_without_what_is_needed_or_restricts_it_is_unusable(found: dict[str, object]) -> None:
    reader = TableReader("file dyn.yml")
    with pytest.raises(UnusableError):
        reader.attributes(TABLE, found, PATH)
    assert reader.problems


def test_what_has_its_default_is_not_written() -> None:
    assert write(MEMBER[:1] + TABLE[1:2], Member("a")) == {"name": "a"}
    assert write(MEMBER, Member("a")) == {"name": "a", "weight": 1}


def test_members_of_lists_are_numbered_in_brackets() -> None:
    path = ("http", "services", "web", "weighted", "services", "0", "name")
    assert dotted(path) == "http.services.web.weighted.services[0].name"
