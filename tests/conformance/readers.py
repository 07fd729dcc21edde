"""The two readers as recorders: bytes in, the verdicts of the case tables out."""

from __future__ import annotations

from dynbalancer.core.exchange import Field, RequestHead, ResponseHead
from dynbalancer.core.request_reader import RequestReader
from dynbalancer.core.response_reader import ResponseReader
from dynbalancer.core.settings import Limits
from dynbalancer.errors import RequestError, UpstreamClosed, UpstreamError


class Requests(RequestReader):
    """Answers each request with 200 the moment it is complete, and keeps what came."""

    def __init__(self) -> None:
        super().__init__(Limits())
        self.verdicts: list[str] = []
        self.heads: list[RequestHead] = []
        self.bodies: list[bytes] = []
        #: Whether there were any at all.
        self.trailers = False

    def head_received(self, head: RequestHead) -> None:
        self.verdicts.append("200")
        self.heads.append(head)
        self.bodies.append(b"")
        if not head.length:
            self._answered()

    def body_received(self, data: bytes) -> None:
        self.bodies[-1] += data

    def message_received(self, trailers: list[Field]) -> None:
        self.trailers = self.trailers or bool(trailers)
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


def read_requests(*pieces: bytes) -> Requests:
    """What becomes of these pieces."""
    recorder = Requests()
    for piece in pieces:
        recorder.feed(piece)
    return recorder


class Responses(ResponseReader):
    """Keeps what came and says what may be made of it."""

    def __init__(self, method: bytes, upgrade: bool) -> None:
        super().__init__(Limits())
        self.verdicts: list[str] = []
        self.body = b""
        self.over = False
        self.expect(method, upgrade=b"foo" if upgrade else None)

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


def read_response(method: bytes, upgrade: bool, pieces: list[bytes], then: str) -> Responses:
    """What becomes of these pieces."""
    recorder = Responses(method, upgrade)
    for piece in pieces:
        recorder.feed(piece)
    if then == "close":
        recorder.ended()
    return recorder
