"""Every limit has its words."""

from __future__ import annotations

from dataclasses import fields

from dynbalancer.core.settings import Limits
from dynbalancer.start.limitwords import MEANINGS


def test_every_limit_has_its_words_and_no_other_has() -> None:
    assert {field.name for field in fields(Limits)} == set(MEANINGS)
