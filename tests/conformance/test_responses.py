"""Every response of the table is relayed, refused or cut as it should be, however its bytes are split."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from payloads import payload
from readers import read_response
from response_cases import CASES


@pytest.mark.parametrize("name, method, upgrade, text, then, verdict", CASES, ids=[case[0] for case in CASES])
def test_response_gets_its_verdict(
    name: str, method: bytes, upgrade: bool, text: str, then: str, verdict: str
) -> None:
    assert read_response(method, upgrade, [payload(text)], then).verdict() == verdict


@pytest.mark.parametrize("name, method, upgrade, text, then, verdict", CASES, ids=[case[0] for case in CASES])
def test_verdict_does_not_depend_on_the_split(
    name: str, method: bytes, upgrade: bool, text: str, then: str, verdict: str
) -> None:
    data = payload(text)
    whole = read_response(method, upgrade, [data], then)
    splits = [[data[i : i + 1] for i in range(len(data))]] if len(data) < 3000 else []
    chance = random.Random(name)
    for _ in range(20):
        cut = chance.randrange(len(data) + 1)
        splits.append([data[:cut], data[cut:]])
    for pieces in splits:
        again = read_response(method, upgrade, pieces, then)
        assert again.verdict() == whole.verdict()
        # What stands before a fault in a body may be relayed or not.
        assert again.body == whole.body or (verdict.endswith("cut") and whole.body in (b"", again.body))
