"""The chunked coding."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.chunks import ChunkDecoder, ChunkError, chunk
from dynbalancer.core.exchange import field_of
from dynbalancer.core.settings import Limits


def decode(*pieces: bytes, limits: Limits | None = None) -> tuple[ChunkDecoder, bytes]:
    """The decoder after these pieces, and the body."""
    decoder = ChunkDecoder(limits or Limits())
    body = b""
    for piece in pieces:
        body += decoder.feed(piece)
    return decoder, body


def test_body_comes_out_joined_and_the_rest_is_left() -> None:
    decoder, body = decode(b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\nGET /")
    assert (decoder.done, body, decoder.rest) == (True, b"hello world", b"GET /")


def test_trailers_are_read() -> None:
    decoder, _ = decode(b"0\r\nX-Sum:  1 \r\ny: 2\r\n\r\n")
    assert decoder.trailers == [field_of(b"X-Sum", b"1"), field_of(b"y", b"2")]


@pytest.mark.parametrize(
    "line",
    [
        *(
            b"",
            b"x",
            b"-5",
            b"+5",
            b"0x5",
            b" 5",
            b"5 ",
            b"5 ;a",
            b"5;",
            b"5;a b",
            b'5;a="',
            b'5;a="\\',
            b"5_0",
            b"\xb25",
        ),
        *(b"5;a\x00", b"5\n", b"5\rx", b"11111111111111111", b"ffffffffffffffff", b"5;" + b"a" * 1100),
    ],
)
def test_bad_size_lines_are_refused(line: bytes) -> None:
    with pytest.raises(ChunkError):
        decode(line + b"\r\nhello\r\n0\r\n\r\n")


@pytest.mark.parametrize("line", [b"5;a", b"5;a=b", b'5;a="b;c\\"";d', b"0000000000000005", b"5;a=1;b=2"])
def test_good_size_lines_are_accepted(line: bytes) -> None:
    decoder, body = decode(line + b"\r\nhello\r\n0\r\n\r\n")
    assert (decoder.done, body) == (True, b"hello")


@pytest.mark.parametrize("after", [b"0\r\n\r\n", b"\n0\r\n\r\n", b"X\n", b"\rX"])
def test_chunk_must_end_with_crlf(after: bytes) -> None:
    with pytest.raises(ChunkError):
        decode(b"5\r\nhello" + after)
    with pytest.raises(ChunkError):
        decode(b"5\r\nhello", *(after[i : i + 1] for i in range(len(after))))


@pytest.mark.parametrize(
    "trailers",
    [
        b"FooBar\r\n\r\n",
        b"a b: c\r\n\r\n",
        b"a: \x00\r\n\r\n",
        b"a: b\nc: d\r\n\r\n",
        b"x: y\r\n" * 40 + b"\r\n",
    ],
)
def test_bad_trailers_are_refused(trailers: bytes) -> None:
    with pytest.raises(ChunkError):
        decode(b"0\r\n" + trailers)


def test_endless_trailers_and_lines_are_refused_while_they_come() -> None:
    with pytest.raises(ChunkError):
        decode(b"0\r\n", *([b"x: " + b"a" * 1000 + b"\r\n"] * 20))
    with pytest.raises(ChunkError):
        decode(*([b"5;aaaaaaa"] + [b"a" * 100] * 20))


@pytest.mark.parametrize("beginning", [b"hello", b" ", b"5 ", b"g", b"\r", b"0" * 17, b"5\r\nhello\r\nx"])
def test_what_no_size_begins_with_is_refused_before_its_line_ends(beginning: bytes) -> None:
    with pytest.raises(ChunkError):
        decode(beginning)


def test_trailers_of_just_the_size_that_is_allowed_are_taken_however_they_are_split() -> None:
    limits = Limits(trailers=20)
    data = b"0\r\nx: " + b"a" * 17 + b"\r\n\r\n"
    for cut in range(1, len(data)):
        decoder, _ = decode(data[:cut], data[cut:], limits=limits)
        assert decoder.done
        with pytest.raises(ChunkError):
            decode(data[:6] + b"a", data[6:cut], data[max(cut, 6) :], limits=limits)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8), st.lists(st.integers(0, 400), max_size=6))
def test_what_we_write_we_read_however_it_is_split(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(chunk(piece) for piece in pieces) + b"0\r\n\r\nrest"
    places = sorted({cut for cut in cuts if cut < len(data)} | {0, len(data)})
    decoder, body, rest = ChunkDecoder(Limits()), b"", b""
    for start, end in pairwise(places):
        if decoder.done:
            rest += data[start:end]
        else:
            body += decoder.feed(data[start:end])
    assert (decoder.done, body, decoder.rest + rest) == (True, b"".join(pieces), b"rest")


@given(st.text('0123456789abF;= \r\n"x:', max_size=40))
def test_what_we_accept_another_parser_reads_the_same(text: str) -> None:
    data = text.encode() + b"\r\n"
    try:
        decoder, body = decode(data)
    except ChunkError:
        return
    if not decoder.done:
        return
    other = h11.Connection(h11.SERVER)
    other.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
    theirs = b""
    while not isinstance(event := other.next_event(), h11.EndOfMessage):
        assert event is not h11.NEED_DATA
        if isinstance(event, h11.Data):
            theirs += bytes(event.data)
    assert theirs == body
