"""The push reader of requests: what it holds, when it pauses, what ends it. Wire tables are in tests/conformance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core import request_reader
from dynbalancer.core.exchange import Field, RequestHead
from dynbalancer.core.request_reader import DEAD, HEAD, HELD, RAW, RequestReader, other_host
from dynbalancer.core.settings import Limits
from dynbalancer.errors import RequestError

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"


class Requests(RequestReader):
    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__(limits or Limits())
        self.seen: list[object] = []
        self.answer_at_once = False

    def head_received(self, head: RequestHead) -> None:
        self.seen.append(head.path)
        if self.answer_at_once:
            self.next_message()

    def body_received(self, data: bytes) -> None:
        self.seen.append(data)

    def message_received(self, trailers: list[Field]) -> None:
        self.seen.append("end")

    def refused(self, error: RequestError) -> None:
        self.seen.append(error.status)

    def held_too_much(self) -> None:
        self.seen.append("too much")


class Taking(Requests):
    """Takes whole bodies with their heads."""

    def head_received(self, head: RequestHead) -> None:
        self.seen.append((head.path, self.take_body()))


class Refusals(RequestReader):
    """Keeps status and reason of what it refuses."""

    verdict: tuple[int, str] = (0, "")

    def refused(self, error: RequestError) -> None:
        self.verdict = (error.status, error.reason)


def test_requests_sent_ahead_wait_their_turn() -> None:
    reader = Requests()
    reader.feed(GET % 1 + GET % 2 + GET % 3)
    assert reader.seen == [b"/1"]
    assert reader.held == 2 * len(GET % 2)
    reader.next_message()
    assert reader.seen == [b"/1", b"/2"]
    reader.next_message()
    assert reader.seen == [b"/1", b"/2", b"/3"]
    reader.next_message()
    assert reader.between_messages


def test_many_requests_answered_at_once_are_read_without_recursion() -> None:
    reader = Requests()
    reader.answer_at_once = True
    reader.feed(b"".join(GET % n for n in range(3000)))
    assert len(reader.seen) == 3000


def test_too_much_sent_ahead_asks_for_a_pause() -> None:
    reader = Requests(Limits(pipelined=50))
    reader.feed(GET % 1)
    reader.feed(GET % 2)
    assert reader.seen == [b"/1"]
    reader.feed(GET % 3)
    assert reader.seen == [b"/1", "too much"]


PUT = b"PUT /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n%b"


def test_whole_body_is_taken_with_its_head_and_not_told_of_again() -> None:
    reader = Taking()
    reader.feed(PUT % (1, b"hello"))
    assert reader.seen == [(b"/1", b"hello")]
    assert reader.reading == HELD
    reader.next_message()
    assert reader.between_messages


def test_what_follows_a_body_that_is_taken_waits_its_turn() -> None:
    reader = Taking()
    reader.feed(PUT % (1, b"hello") + PUT % (2, b"again") + GET % 3)
    for asked in ((b"/1", b"hello"), (b"/2", b"again"), (b"/3", b"")):
        assert reader.seen == [asked]
        reader.seen.clear()
        reader.next_message()


def test_body_that_is_not_all_there_comes_by_pieces() -> None:
    reader = Taking()
    reader.feed(PUT % (1, b"hell"))
    reader.feed(b"o" + GET % 2)
    assert reader.seen == [(b"/1", b""), b"hell", b"o", "end"]
    reader.next_message()
    assert reader.seen[4:] == [(b"/2", b"")]


def test_next_message_before_the_end_of_one_changes_nothing() -> None:
    reader = Requests()
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
    reader.next_message()
    reader.feed(b"llo")
    assert reader.seen == [b"/", b"he", b"llo", "end"]
    assert reader.reading == HELD


def test_tunnel_gets_what_was_held_and_all_that_comes() -> None:
    reader = Requests()
    reader.feed(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nahead")
    assert reader.tunnel() == b"ahead"
    assert reader.reading == RAW
    reader.feed(b"GET / HTTP/1.1\r\n\r\n")
    assert reader.seen[-1] == b"GET / HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize(
    "data, status",
    [
        (b"\x16\x03\x01", 400),
        (b"GET / HTTP/1.1\n", 400),
        (b"GET / HTTP/1.1\rX", 400),
        (b"A" * 40, 400),
        (b"GET /" + b"a" * 17000, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 40000, 431),
        (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /\r\n", 400),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 400),
        (b"PRI * HTTP/2.0\r\n", 400),
        (b"GET / HTTP/3.0\r\n", 505),
        (b"GET / HTTP/1.1\r\r\n", 400),
    ],
)
def test_what_can_not_become_a_head_is_refused_early(data: bytes, status: int) -> None:
    reader = Requests()
    reader.feed(data)
    assert reader.seen == [status]
    assert data.endswith(reader.refused_sample[-20:]) or data.startswith(reader.refused_sample[:20])
    assert reader.reading == DEAD
    reader.feed(GET % 1)
    assert reader.seen == [status]


@pytest.mark.parametrize(
    "data, status",
    [
        (b"GET / HTTP/3.0\r\nX: \x00\r\n\r\n", 505),
        (b"GET /\x01 HTTP/3.0\r\nHost: a\r\n\r\n", 400),
        (b"G" * 32 + b"\r\n\r\n", 400),
        (b"G" * 33 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"G" * 32 + b"\x00 / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"G" * 40 + b"\x00", 400),
        (b"GET /" + b"a" * 90 + b"\x00 HTTP/1.1\r\n\r\n", 414),
        (b"GET /" + b"a" * 70 + b"\x00 HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"a" * 75 + b"\r\n\r\n", 400),
        (b"GET /" + b"a" * 76 + b"\r\n\r\n", 414),
        (b"GET /" + b"a" * 75 + b"\r\r\n\r\n", 400),
    ],
)
def test_the_fault_that_shows_first_counts_however_a_head_is_split(data: bytes, status: int) -> None:
    verdicts = set()
    for cut in range(len(data)):
        reader = Refusals(Limits(request_line=80))
        for piece in (data[:cut], data[cut:]) if cut else [data[i : i + 1] for i in range(len(data))]:
            reader.feed(piece)
        verdicts.add(reader.verdict)
    assert {found[0] for found in verdicts} == {status}
    assert len(verdicts) == 1


def test_bad_chunk_ends_the_reading() -> None:
    reader = Requests()
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n")
    assert reader.seen == [b"/", 400]


def test_reader_may_be_stopped_inside_a_body() -> None:
    reader = Requests()
    reader.body_received = lambda data: reader.stop()  # type: ignore[method-assign]
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab" + GET % 1)
    assert reader.seen == [b"/"]


def test_head_that_trickles_in_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not from its beginning at each octet: 31,000 times 31 KB would cost a core its second."""
    looked_at: list[int] = []
    is_spoilt = request_reader.is_spoilt

    def counting(part: bytes) -> bool:
        looked_at.append(len(part))
        return is_spoilt(part)

    monkeypatch.setattr(request_reader, "is_spoilt", counting)
    data = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 3000 + b"\r\n\r"
    reader = RequestReader(Limits())
    for i in range(len(data)):
        reader.feed(data[i : i + 1])
    assert reader.reading == HEAD
    assert sum(looked_at) < 2 * len(data)


def test_hooks_of_a_bare_reader_do_nothing() -> None:
    reader = RequestReader(Limits())
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab\r\n\x00")
    reader.next_message()
    assert reader.reading == DEAD
    assert HEAD == 0


LINES = (
    b"GET / HTTP/1.1",
    b"GET /a?b=c HTTP/1.1",
    b"HEAD /%61/../b HTTP/1.1",
    b"GET /a HTTP/1.0",
    b"POST /a HTTP/1.1",
    b"GET http://a.example/a HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"CONNECT a.example:443 HTTP/1.1",
    b"CONNECT /a HTTP/1.1",
    b"BREW /a HTTP/1.1",
    b"GET /a\x01 HTTP/1.1",
    b"GET /a#b HTTP/1.1",
    b"GET  /a HTTP/1.1",
    b"GET /a HTTP/1.2",
    b"GET /a HTTP/2.0",
    b"G\x00T /a HTTP/1.1",
)
FIELDS = (
    b"\r\nHost: a.example",
    b"\r\nHost: B.example.:82",
    b"\r\nHost: [2001:db8::1]",
    b"\r\nHost: a.example:81\r\nAccept: */*\r\nX-Forwarded-For: 192.0.2.1",
    b"\r\nHost: a.example\r\nConnection: close",
    b"\r\nHost: a.example\r\nContent-Length: 2",
    b"\r\nHost: a.example\r\nConnection: upgrade\r\nUpgrade: websocket",
    b"\r\nHost: a.example\r\nContent-Length: 2\r\nExpect: 100-continue",
    b"\r\nHost: a.example\r\nBad Name: x",
    b"\r\nHost:  a.example ",
    b"\r\nHost: ",
    b"\r\nHost: a.example@b",
    b"\r\nHost: a\x01",
    b"\r\nAccept: */*",
    b"\r\nHost: b.example\r\nAccept: */*",
    b"\r\nHost: a.example\r\nAccept: */*",
    b"\r\nAccept: */*\r\nHost: b.example",
    b"\r\nHost: a.example\r\nHost: b.example",
    b"",
)


class Heads(Requests):
    def head_received(self, head: RequestHead) -> None:
        about = {
            name: getattr(head, name) for name in RequestHead.__slots__ if name not in ("headers", "alike")
        }
        self.seen.append((about, head.headers.fields.copy()))
        # What follows may change it.
        head.headers.add(b"X-Added", b"1")
        head.path = b"/changed"


def said_to(reader: Heads, data: bytes) -> list[object]:
    reader.seen.clear()
    reader.feed(data)
    said = [*reader.seen, reader.reading]
    reader.reading, reader._held, reader._fresh = HEAD, b"", True
    return said


@given(st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(FIELDS)), max_size=10))
def test_what_came_before_never_changes_what_a_request_means(messages: list[tuple[bytes, bytes]]) -> None:
    reader = Heads()
    for line, lines in messages:
        data = line + lines + b"\r\n\r\n"
        assert said_to(reader, data) == said_to(Heads(), data)


@pytest.mark.parametrize("fields", FIELDS[:8])
def test_every_request_line_means_the_same_after_others_with_the_same_fields(fields: bytes) -> None:
    reader = Heads()
    for _ in range(3):
        said_to(reader, b"GET / HTTP/1.1" + fields + b"\r\n\r\n")
    assert reader._like is not None
    for line in LINES:
        data = line + fields + b"\r\n\r\n"
        assert said_to(reader, data) == said_to(Heads(), data), line


@pytest.mark.parametrize(
    "fields, last, host",
    [
        (b"\r\nHost: b", b"\r\nHost: a", b"b"),
        (b"\r\nHost: b\r\nX: 1", b"\r\nHost: a\r\nX: 1", b"b"),
        (b"\r\nHost: b\r\nX: 1", b"\r\nHost: a\r\nX: 2", None),
        (b"\r\nHost: b\r\nX: 1", b"\r\nHost: a", None),
        (b"\r\nX: 1", b"\r\nHost: a\r\nX: 1", None),
        (b"\r\nHost: a\r\nX: 1", b"\r\nX: 1", None),
        (b"\r\nX: 1\r\nHost: b", b"\r\nX: 1\r\nHost: a", None),
    ],
)
def test_host_is_other_where_nothing_else_is(fields: bytes, last: bytes, host: bytes | None) -> None:
    assert other_host(fields, last) == host


def test_requests_for_ever_other_hosts_are_parsed_by_their_line_and_host_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed: list[bytes] = []
    whole = request_reader.parse_request_head

    def counting(block: bytes, limits: Limits, *, trusted: bool, scheme: bytes) -> RequestHead:
        parsed.append(block)
        return whole(block, limits, trusted=trusted, scheme=scheme)

    monkeypatch.setattr(request_reader, "parse_request_head", counting)
    reader = Requests()
    for number in range(5):
        reader.feed(b"GET /%d HTTP/1.1\r\nHost: r%d.example.com\r\nAccept: */*\r\n\r\n" % (number, number))
        reader.next_message()
    assert len(parsed) == 2
