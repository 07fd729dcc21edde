"""Frames survive any way of being cut, and refuse what can't be one."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core import frames
from dynbalancer.core.frames import FrameDecoder, encode

MESSAGES = st.lists(
    st.dictionaries(st.text(), st.integers() | st.text() | st.booleans() | st.none()), max_size=4
)


def framed(body: bytes) -> bytes:
    """Any bytes behind a right length."""
    return struct.pack(">I", len(body)) + body


def test_layout_is_a_big_endian_length_and_json() -> None:
    assert encode({"type": "ack", "number": 3}) == b'\x00\x00\x00\x19{"type":"ack","number":3}'


@given(MESSAGES, st.integers(1, 7))
def test_messages_cut_anywhere_come_out_whole(messages: list[dict[str, Any]], size: int) -> None:
    decoder = FrameDecoder()
    stream = b"".join(encode(message) for message in messages)
    found = [m for at in range(0, len(stream), size) for m in decoder.feed(stream[at : at + size])]
    assert found == messages
    assert decoder.waiting == 0


def test_half_a_message_waits() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(encode({"a": 1})[:-1]) == []
    assert decoder.waiting == len(encode({"a": 1})) - 1


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (framed(b"rubbish"), "not JSON"),
        (framed(b"\xff\xfe"), "not JSON"),
        (framed(b""), "not JSON"),
        (framed(b"[1]"), "JSON object, not list"),
        (framed(b'{"a":NaN}'), "NaN is not a JSON number"),
        (framed(b'{"a":' + b"9" * 5000 + b"}"), "not JSON"),
        (framed(b'{"a":' + b"[" * 100000 + b"]" * 100000 + b"}"), "nested too deeply"),
        (b"\x00\x00\x40\x01", "at most 16384"),
        (b"GET / HTTP/1.1\r\n", "at most 16384"),
    ],
)
def test_what_is_no_message_is_refused_in_words(stream: bytes, why: str) -> None:
    limit = 16384 if why.startswith("at most") else frames.LARGEST
    with pytest.raises(ValueError, match=why):
        FrameDecoder(limit).feed(stream)


def test_an_announced_length_is_refused_before_its_bytes_come() -> None:
    with pytest.raises(ValueError, match="at most 268435456 are taken"):
        FrameDecoder().feed(b"\xff\xff\xff\xff")


@pytest.mark.parametrize("message", [{"a": object()}, {"a": float("nan")}, {"a": b"bytes"}])
def test_what_is_not_json_is_not_sent(message: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"JSON|Out of range"):
        encode(message)


def test_what_is_too_large_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "LARGEST", 10)
    with pytest.raises(ValueError, match="17 bytes is larger than 10"):
        encode({"a": "0123456789"[:9]})
