"""Every request of the table gets its verdict, however its bytes are split."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from dynbalancer.core.exchange import Field, RequestHead
from dynbalancer.core.reading import RequestReader
from dynbalancer.core.settings import Limits
from dynbalancer.errors import RequestError

sys.path.insert(0, str(Path(__file__).parent))
from request_cases import CASES
from payloads import payload


class Recorder(RequestReader):
    """Answers each request with 200 the moment it is complete, and keeps what came."""

    def __init__(self) -> None:
        super().__init__(Limits())
        self.verdicts: list[str] = []
        self.heads: list[RequestHead] = []
        self.bodies: list[bytes] = []

    def head_received(self, head: RequestHead) -> None:
        self.verdicts.append("200")
        self.heads.append(head)
        self.bodies.append(b"")
        if not head.length:
            self._answered()

    def body_received(self, data: bytes) -> None:
        self.bodies[-1] += data

    def message_received(self, trailers: list[Field]) -> None:
        self._answered()

    def _answered(self) -> None:
        if self.heads[-1].keep_alive:
            self.next_message()
        else:
            self.stop()

    def refused(self, error: RequestError) -> None:
        if self.heads and self.reading != 0 and self.verdicts[-1] == "200" and self._in_body:
            self.verdicts[-1] = str(error.status)
        else:
            self.verdicts.append(str(error.status))

    @property
    def _in_body(self) -> bool:
        return self._decoder is not None

    def result(self) -> tuple[str, list[tuple[bytes, bytes, list[tuple[bytes, bytes]]]], list[bytes]]:
        """All that must not depend on how the bytes were split."""
        heads = [(head.method, head.target, list(head.headers)) for head in self.heads]
        return " ".join(self.verdicts), heads, self.bodies if "4" not in "".join(self.verdicts) else []


def read(*pieces: bytes) -> Recorder:
    """What becomes of these pieces."""
    recorder = Recorder()
    for piece in pieces:
        recorder.feed(piece)
    return recorder


@pytest.mark.parametrize("name, text, verdict", CASES, ids=[case[0] for case in CASES])
def test_request_gets_its_verdict(name: str, text: str, verdict: str) -> None:
    assert " ".join(read(payload(text)).verdicts) == verdict


@pytest.mark.parametrize("name, text, verdict", CASES, ids=[case[0] for case in CASES])
def test_verdict_does_not_depend_on_the_split(name: str, text: str, verdict: str) -> None:
    data = payload(text)
    whole = read(data).result()
    chance = random.Random(name)
    if len(data) <= 3000:
        assert read(*(data[i : i + 1] for i in range(len(data)))).result() == whole
    for _ in range(20):
        cut = chance.randrange(len(data) + 1)
        assert read(data[:cut], data[cut:]).result() == whole


def test_table_covers_each_family() -> None:
    families = {case[0][:2] for case in CASES}
    assert families >= {"RL", "TG", "HO", "HD", "CL", "TE", "CH", "CN"}
    assert sum(case[2] != "200" for case in CASES) >= 90
