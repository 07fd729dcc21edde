"""The model of every case, without a socket; tests/e2e/traefik asks the requests as well."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cases import BadTableError, Case, cases
from models import differences, lacking, model_of


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.id)
def test_model_of_case_is_as_expected(case: Case) -> None:
    found = differences(case, model_of(case))
    assert not found, "\n".join(found)


def test_there_are_a_thousand_rows() -> None:
    rows = [case for case in cases() if not case.id.endswith(", in a file")]
    assert len(rows) >= 1000


def test_every_row_says_what_is_seen_of_it() -> None:
    """A row without an expectation of its own can't fail for what it is about."""
    told = ("status", "answer", "body", "by", "seen", "counts", "statuses", "log", "tunnel", "hear")
    silent = [case.id for case in cases() if not any(key in step for step in case.steps for key in told)]
    assert silent == []


def test_differences_are_told() -> None:
    assert list(lacking({"a": 1}, {"a": 2}, "x")) == ["x.a: expected 1, got 2"]
    assert list(lacking({"a": None}, {"a": 2}, "x")) == ["x: a is there: 2"]
    assert list(lacking({"a": 1}, {}, "x")) == ["x: no a; there is nothing"]
    assert list(lacking(["a"], ["a", "b"], "x")) == ["x: expected ['a'], got ['a', 'b']"]
    assert list(lacking("~^a.c$", "abc", "x")) == []


def test_unknown_key_of_a_table_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text("[{about: a, cases: [{case: b, stauts: 200}]}]")
    monkeypatch.setattr("cases.HERE", tmp_path)
    with pytest.raises(BadTableError, match="what is stauts"):
        cases()
