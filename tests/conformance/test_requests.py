"""Every request of the table gets its verdict, however its bytes are split."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from payloads import payload
from readers import read_requests
from request_cases import CASES


@pytest.mark.parametrize("name, text, verdict", CASES, ids=[case[0] for case in CASES])
def test_request_gets_its_verdict(name: str, text: str, verdict: str) -> None:
    assert " ".join(read_requests(payload(text)).verdicts) == verdict


@pytest.mark.parametrize("name, text, verdict", CASES, ids=[case[0] for case in CASES])
def test_verdict_does_not_depend_on_the_split(name: str, text: str, verdict: str) -> None:
    data = payload(text)
    whole = read_requests(data).result()
    chance = random.Random(name)
    if len(data) <= 3000:
        assert read_requests(*(data[i : i + 1] for i in range(len(data)))).result() == whole
    # The last ones are where limits are met.
    for cut in (
        *(chance.randrange(len(data) + 1) for _ in range(20)),
        *range(max(len(data) - 5, 0), len(data)),
    ):
        assert read_requests(data[:cut], data[cut:]).result() == whole


def test_table_covers_each_family() -> None:
    families = {case[0][:2] for case in CASES}
    assert families >= {"RL", "TG", "HO", "HD", "CL", "TE", "CH", "CN"}
    assert sum(case[2] != "200" for case in CASES) >= 90
