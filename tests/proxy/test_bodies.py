"""Kept bodies: in memory and in a file, read as often as needed, written while they are taken."""

from __future__ import annotations

import pytest

from dynbalancer.proxy.bodies import Copied, KeptBody, Pump


@pytest.mark.parametrize("memory", [0, 3, 1000])
def test_body_is_read_as_often_as_it_is_needed(memory: int) -> None:
    body = KeptBody(None, memory)
    body.append(b"abc")
    body.append(b"defg")
    assert (body.size, body.too_large) == (7, False)
    assert [body.read(5), body.read(5), body.read(5)] == [b"abcde", b"fg", b""]
    body.rewind()
    assert body.read() == body.octets() == b"abcdefg"
    body.close()


def test_body_can_be_replaced() -> None:
    body = KeptBody(None, 3)
    body.append(b"abcdefg")
    body.replace(b"xy")
    assert (body.size, body.read(), body.octets()) == (2, b"xy", b"xy")
    body.close()


def test_too_large_body_takes_no_more() -> None:
    body = KeptBody(4, 1000)
    body.append(b"abcd")
    assert not body.too_large
    body.append(b"e")
    body.append(b"")
    assert (body.too_large, body.octets()) == (True, b"abcd")


class Reader:
    """Takes what a pump writes; stalls after each piece if told to."""

    def __init__(self, body: KeptBody, *, stalls: bool = False) -> None:
        self.found: list[bytes] = []
        self.done = 0
        self.stalls = stalls
        self.pump = Pump(body, self._write, self._done)

    def _write(self, data: bytes) -> None:
        self.found.append(data)
        if self.stalls:
            self.pump.pause()

    def _done(self) -> None:
        self.done += 1


def kept(size: int) -> KeptBody:
    body = KeptBody(None, 10)
    body.append(b"x" * size)
    return body


def test_pump_writes_all_of_it_and_says_so_once() -> None:
    body = kept(100_000)
    reader = Reader(body)
    reader.pump.run()
    reader.pump.resume()
    assert (b"".join(reader.found), reader.done) == (b"x" * 100_000, 1)
    body.close()


def test_pump_waits_for_who_takes_no_more() -> None:
    body = kept(100_000)
    reader = Reader(body, stalls=True)
    reader.pump.run()
    assert ([len(piece) for piece in reader.found], reader.done) == ([65536], 0)
    reader.pump.resume()
    assert reader.done == 0
    reader.pump.resume()
    assert (sum(map(len, reader.found)), reader.done) == (100_000, 1)
    body.close()


def test_stopped_pump_writes_nothing_further() -> None:
    body = kept(100_000)
    reader = Reader(body, stalls=True)
    reader.pump.run()
    reader.pump.stop()
    reader.pump.resume()
    assert (len(reader.found), reader.done) == (1, 0)
    body.close()


def test_a_copy_is_kept_up_to_its_limit_and_not_at_all_beyond() -> None:
    copied = Copied(3)
    copied.add(b"ab")
    copied.add(b"c")
    assert copied.pieces == [b"ab", b"c"]
    copied.add(b"d")
    copied.add(b"")
    assert copied.pieces is None
