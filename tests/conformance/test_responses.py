"""Every response of the table is relayed, refused or cut as it should be, however its bytes are split."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from dynbalancer.core.exchange import Field, ResponseHead
from dynbalancer.core.reading import ResponseReader
from dynbalancer.core.settings import Limits
from dynbalancer.errors import UpstreamClosed, UpstreamError

sys.path.insert(0, str(Path(__file__).parent))
from response_cases import CASES
from payloads import payload


class Recorder(ResponseReader):
    """Keeps what came and says what may be made of it."""

    def __init__(self, method: bytes, upgrade: bool) -> None:
        super().__init__(Limits())
        self.verdicts: list[str] = []
        self.body = b""
        self.over = False
        self.expect(method, upgrade=upgrade)

    def interim_received(self, head: ResponseHead) -> None:
        self.verdicts.append(str(head.status))

    def response_received(self, head: ResponseHead) -> None:
        self.verdicts.append(str(head.status))
        if head.status == 101:
            self.verdicts.append("spent")

    def content_received(self, data: bytes) -> None:
        self.body += data

    def response_ended(self, trailers: list[Field]) -> None:
        self.over = True

    def response_failed(self, error: UpstreamError) -> None:
        if self.verdicts:
            self.verdicts.append("cut")
        else:
            self.verdicts.append("closed" if isinstance(error, UpstreamClosed) else "bad")

    def verdict(self) -> str:
        """What the table calls it."""
        spent = ["spent"] if self.over and not self.clean else []
        return " ".join(self.verdicts + spent) or "waits"


def read(method: bytes, upgrade: bool, pieces: list[bytes], then: str) -> Recorder:
    """What becomes of these pieces."""
    recorder = Recorder(method, upgrade)
    for piece in pieces:
        recorder.feed(piece)
    if then == "close":
        recorder.ended()
    return recorder


@pytest.mark.parametrize("name, method, upgrade, text, then, verdict", CASES, ids=[case[0] for case in CASES])
def test_response_gets_its_verdict(
    name: str, method: bytes, upgrade: bool, text: str, then: str, verdict: str
) -> None:
    assert read(method, upgrade, [payload(text)], then).verdict() == verdict


@pytest.mark.parametrize("name, method, upgrade, text, then, verdict", CASES, ids=[case[0] for case in CASES])
def test_verdict_does_not_depend_on_the_split(
    name: str, method: bytes, upgrade: bool, text: str, then: str, verdict: str
) -> None:
    data = payload(text)
    whole = read(method, upgrade, [data], then)
    splits = [[data[i : i + 1] for i in range(len(data))]] if len(data) < 3000 else []
    chance = random.Random(name)
    for _ in range(20):
        cut = chance.randrange(len(data) + 1)
        splits.append([data[:cut], data[cut:]])
    for pieces in splits:
        again = read(method, upgrade, pieces, then)
        assert again.verdict() == whole.verdict()
        assert again.body == whole.body
