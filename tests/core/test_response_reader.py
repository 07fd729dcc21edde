"""The push reader of answers: what it takes together, what ends it. The wire tables are in tests/conformance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core import response_reader
from dynbalancer.core.exchange import Field, ResponseHead
from dynbalancer.core.http1 import write_response_head
from dynbalancer.core.request_reader import DEAD, HEAD, HELD
from dynbalancer.core.response_reader import ResponseReader
from dynbalancer.core.settings import Limits
from dynbalancer.errors import BadResponse, UpstreamClosed, UpstreamError


class Responses(ResponseReader):
    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__(limits or Limits())
        self.seen: list[object] = []

    def interim_received(self, head: ResponseHead) -> None:
        self.seen.append(head.status)

    def response_received(self, head: ResponseHead) -> None:
        self.seen.append(head.status)

    def content_received(self, data: bytes) -> None:
        self.seen.append(data)

    def response_ended(self, trailers: list[Field]) -> None:
        self.seen.append("end")

    def response_failed(self, error: UpstreamError) -> None:
        self.seen.append(type(error))

    def unasked(self) -> None:
        self.seen.append("unasked")


def test_answers_are_read_one_per_request() -> None:
    reader = Responses()
    for _ in range(2):
        reader.expect(b"GET")
        reader.feed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert reader.seen == [100, 200, b"ok", "end"] * 2
    assert reader.clean


def test_bytes_nobody_asked_for_spoil_the_connection() -> None:
    reader = Responses()
    reader.feed(b"HTTP/1.1 200 OK\r\n")
    assert (reader.seen, reader.clean) == (["unasked"], False)


@pytest.mark.parametrize(
    "data, seen",
    [
        (b"", [UpstreamClosed]),
        (b"HTTP/1.1 2", [BadResponse]),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", [200, b"ab", BadResponse]),
        (b"HTTP/1.1 200 OK\r\n\r\nab", [200, b"ab", "end"]),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", [200, b"ab", "end"]),
        (b"ICY 200 OK", [BadResponse]),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70000, [BadResponse]),
        (b"HTTP/1.1 102 x\r\n\r\n" * 17, [*[102] * 16, BadResponse]),
    ],
)
def test_end_of_the_connection_means(data: bytes, seen: list[object]) -> None:
    reader = Responses()
    reader.expect(b"GET")
    reader.feed(data)
    reader.ended()
    assert reader.seen == seen


@pytest.mark.parametrize(
    "data, seen",
    [
        (b"", [UpstreamClosed]),
        (b"HTTP/1.1 200 OK\r\n\r\nab", [200, b"ab", BadResponse]),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", [200, b"ab", "end"]),
    ],
)
def test_broken_connection_completes_no_body(data: bytes, seen: list[object]) -> None:
    reader = Responses()
    reader.expect(b"GET")
    reader.feed(data)
    reader.ended(broken=True)
    assert reader.seen == seen


def test_switched_protocols_are_passed_as_they_are() -> None:
    reader = Responses()
    reader.expect(b"GET", upgrade=b"x")
    reader.feed(b"HTTP/1.1 101 x\r\nUpgrade: x\r\n\r\nraw")
    reader.feed(b"more")
    assert reader.seen == [101, b"raw", b"more"]


SAME = b"HTTP/1.1 200 OK\r\nETag: x\r\nContent-Length: 2\r\n\r\n"
ALIKE: tuple[bytes, ...] = (
    SAME + b"ok",
    SAME + b"no",
    SAME.replace(b"x", b"y") + b"ok",
    SAME.replace(b" 2", b" 3") + b"yes",
    SAME.replace(b"200", b"201") + b"ok",
    SAME + b"ok!",
    SAME + b"o",
    SAME.replace(b"ETag: x", b"Connection: close") + b"ok",
    b"HTTP/1.1 204 No Content\r\n\r\n",
)


def seen_by(reader: Responses, method: bytes, data: bytes, cut: int) -> list[object]:
    """What the reader says to one answer in two pieces."""
    reader.seen.clear()
    reader.expect(method)
    for piece in (data[:cut], data[cut:]):
        reader.feed(piece)
    reader.seen.append((reader.reading, reader.clean))
    return list(reader.seen)


@given(
    st.lists(
        st.tuples(
            st.sampled_from((b"GET", b"HEAD", b"POST")), st.sampled_from(ALIKE), st.sampled_from((0, 9, 60))
        ),
        max_size=8,
    )
)
def test_what_came_before_never_changes_what_an_answer_means(
    messages: list[tuple[bytes, bytes, int]],
) -> None:
    reader = Responses()
    for method, data, cut in messages:
        reader.reading = HELD
        reader._held, reader._left = b"", 0
        assert seen_by(reader, method, data, cut) == seen_by(Responses(), method, data, cut)


def test_third_answer_with_the_same_head_is_taken_as_a_whole() -> None:
    reader = Responses()
    wholes: list[tuple[bytes, bytes]] = []
    reader.answer_received = lambda head, body: wholes.append((head.wire, body))  # type: ignore[method-assign]
    for body in (b"ab", b"cd", b"ef"):
        reader.expect(b"GET")
        reader.feed(SAME + body)
    assert wholes == [(SAME, b"ef")]


@pytest.mark.parametrize(
    "between",
    [
        pytest.param(SAME.replace(b"x", b"y") + b"ok", id="another head"),
        pytest.param(SAME.replace(b"x", b"x" * 5000) + b"ok", id="a long head"),
    ],
)
def test_answer_is_no_longer_taken_as_a_whole_when_its_head_is_another(between: bytes) -> None:
    reader = Responses()
    wholes: list[bytes] = []
    reader.answer_received = lambda head, body: wholes.append(body)  # type: ignore[method-assign]
    for data in (SAME + b"ab", SAME + b"cd", between, between, between.replace(b"ok", b"no")):
        reader.expect(b"GET")
        reader.feed(data)
    assert wholes == ([b"no"] if len(between) < 4096 else [])


def test_head_that_serves_several_answers_is_not_given_to_who_may_change_it() -> None:
    reader = Responses()
    heads: list[ResponseHead] = []
    reader.response_received = heads.append  # type: ignore[method-assign]
    for _ in range(4):
        reader.expect(b"GET")
        reader.feed(SAME + b"ok")
    for head in heads:
        assert not head.wire
        head.headers.set(b"ETag", b"changed")
    assert len({id(head) for head in heads}) == len({id(head.headers) for head in heads}) == 4
    assert [write_response_head(head) for head in heads] == [
        SAME.replace(b"ETag: x\r\n", b"ETag: changed\r\n")
    ] * 4


def test_head_that_trickles_in_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []
    is_spoilt = response_reader.is_spoilt

    def counting(part: bytes) -> bool:
        looked_at.append(len(part))
        return is_spoilt(part)

    monkeypatch.setattr(response_reader, "is_spoilt", counting)
    data = b"HTTP/1.1 200 OK\r\nX: " + b"a" * 3000 + b"\r\n\r"
    reader = ResponseReader(Limits())
    reader.expect(b"GET")
    for i in range(len(data)):
        reader.feed(data[i : i + 1])
    assert reader.reading == HEAD
    assert sum(looked_at) < 2 * len(data)


def test_hooks_of_a_bare_reader_do_nothing() -> None:
    reader = ResponseReader(Limits())
    reader.expect(b"GET")
    reader.feed(b"HTTP/1.1 103 x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab")
    reader.feed(b"x")
    assert reader.reading == HELD
    reader.expect(b"GET")
    reader.feed(b"\x00")
    reader.stop()
    reader.feed(b"x")
    assert reader.reading == DEAD
