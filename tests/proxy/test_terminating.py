"""A server's TLS in memory: a client of ``ssl`` on the other side of a fake native transport."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ssl
import weakref
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

import pytest

from dynbalancer import pem
from dynbalancer.proxy.terminating import Handshakes, Session, sessions
from dynbalancer.tls.termination import Termination

OWN = pem.self_signed("a.example", ["a.example"], life=timedelta(days=9))


class Native:
    """A transport of a loop that keeps what is written."""

    def __init__(self) -> None:
        self.out = b""
        self.did: list[str] = []

    def write(self, data: bytes) -> None:
        assert not self.is_closing()
        self.out += data

    def close(self) -> None:
        self.did.append("close")

    def abort(self) -> None:
        self.did.append("abort")

    def pause_reading(self) -> None:
        self.did.append("pause")

    def resume_reading(self) -> None:
        self.did.append("resume")

    def is_closing(self) -> bool:
        return "close" in self.did or "abort" in self.did

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("192.0.2.1", 4711) if name == "peername" else default

    def get_write_buffer_size(self) -> int:
        return len(self.out)


class Inside:
    """A protocol that keeps what comes."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.data: list[bytes] = []
        self.told: list[object] = []
        self.answers_later = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data.append(data)

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def eof_received(self) -> bool:
        self.told.append("eof")
        return self.answers_later

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(exc)


class Pair:
    """A session, and a client that speaks to it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, maximum: ssl.TLSVersion, seconds: float = 7.0
    ) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = maximum
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = context.wrap_bio(self._in, self._out, server_hostname="a.example")
        self.inside, self.native = Inside(), Native()
        make = sessions(loop, Termination(OWN).first_answer(), lambda: self.inside, seconds)
        self.session = make()
        self.session.connection_made(self.native)

    def sent(self) -> bytes:
        """What the client has to send."""
        return self._out.read()

    def take(self) -> None:
        """Let the client have what was written to it."""
        self._in.write(self.native.out)
        self.native.out = b""

    def shake(self) -> None:
        """Let both come to terms."""
        for _ in range(4):
            with contextlib.suppress(ssl.SSLWantReadError):
                self.client.do_handshake()
            data = self.sent()
            if data:
                self.session.data_received(data)
            self.take()

    def say(self, data: bytes) -> bytes:
        """What the client sends to say this."""
        self.client.write(data)
        return self.sent()

    def hears(self) -> bytes:
        """What the client can read; ``END`` where it was told that this is all."""
        self.take()
        heard = b""
        try:
            while part := self.client.read(65536):
                heard += part
        except ssl.SSLWantReadError:
            return heard
        except ssl.SSLZeroReturnError:
            pass
        return heard + b"END"


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def pair(request: pytest.FixtureRequest, loop: asyncio.AbstractEventLoop) -> Pair:
    made = Pair(loop, request.param)
    made.shake()
    return made


def test_inside_is_connected_when_the_handshake_is_over(loop: asyncio.AbstractEventLoop) -> None:
    pair = Pair(loop, ssl.TLSVersion.TLSv1_3)
    assert pair.inside.transport is None
    pair.shake()
    assert pair.inside.transport is pair.session
    assert pair.session.get_extra_info("ssl_object").version() == "TLSv1.3"
    assert pair.session.get_extra_info("peername") == ("192.0.2.1", 4711)
    assert pair.session.get_extra_info("peercert") is None
    assert pair.session.get_extra_info("cipher")[1] == "TLSv1.3"


def test_python_without_the_inner_call_does_the_same(loop: asyncio.AbstractEventLoop) -> None:
    pair = Pair(loop, ssl.TLSVersion.TLSv1_3)
    made: list[ssl.SSLObject] = []

    class Documented:
        def wrap_bio(self, *places: ssl.MemoryBIO, server_side: bool) -> ssl.SSLObject:
            made.append(Termination(OWN).first_answer().wrap_bio(*places, server_side=server_side))
            return made[0]

    session = Session(cast(Any, Documented()), pair.inside, Handshakes(loop, 7.0))
    session.connection_made(pair.native)
    pair.session = session
    pair.shake()
    session.data_received(pair.say(b"hello"))
    session.write(b"world")
    assert (pair.inside.data, pair.hears()) == ([b"hello"], b"world")
    assert session.get_extra_info("ssl_object") is made[0]
    session.close()
    assert pair.hears() == b"END"


def test_object_of_tls_is_the_one_of_the_standard_library(pair: Pair) -> None:
    found = pair.session.get_extra_info("ssl_object")
    assert type(found) is ssl.SSLObject
    assert found is pair.session.get_extra_info("ssl_object")
    assert found.cipher() == pair.client.cipher()


def test_octets_go_both_ways_at_every_split(pair: Pair) -> None:
    for octet in pair.say(b"one") + pair.say(b"two"):
        pair.session.data_received(bytes([octet]))
    assert pair.inside.data == [b"one", b"two"]
    pair.session.writelines([b"an", b"swer"])
    assert pair.hears() == b"answer"


def test_records_that_come_together_are_handed_on_together(pair: Pair) -> None:
    large = b"x" * 600_000
    pair.session.data_received(pair.say(large))
    assert b"".join(pair.inside.data) == large
    assert len(pair.inside.data) == 3
    pair.session.write(large)
    assert pair.hears() == large


def test_close_says_so_and_waits_for_the_other_side(pair: Pair) -> None:
    pair.session.write(b"bye")
    pair.session.close()
    assert pair.session.is_closing()
    pair.session.write(b"too late")
    assert pair.hears() == b"byeEND"
    assert pair.native.did == []
    pair.session.data_received(pair.say(b"more"))
    assert (pair.inside.data, pair.native.did) == ([], [])
    with contextlib.suppress(ssl.SSLError):
        pair.client.unwrap()
    pair.session.data_received(pair.sent())
    assert pair.native.did == ["close"]


def test_what_comes_while_closing_spoils_nothing(pair: Pair) -> None:
    pair.session.pause_reading()
    pair.session.data_received(pair.say(b"unread"))
    pair.session.write(b"bye")
    pair.session.close()
    assert pair.hears().startswith(b"bye")
    pair.session.data_received(b"and on")
    assert (pair.inside.data, pair.native.did) == ([], ["pause", "resume"])


def test_client_that_ends_is_told_the_end_too(pair: Pair) -> None:
    said = pair.say(b"last")
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.unwrap()
    pair.session.data_received(said + pair.sent())
    assert pair.inside.data == [b"last"]
    assert pair.native.did == ["close"]
    pair.session.connection_lost(None)
    assert pair.inside.told == ["eof", None]
    pair.take()
    pair.client.unwrap()


def test_client_that_has_said_all_still_gets_its_answer(pair: Pair) -> None:
    pair.inside.answers_later = True
    said = pair.say(b"question")
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.unwrap()
    pair.session.data_received(said + pair.sent())
    assert (pair.inside.data, pair.native.did) == ([b"question"], [])
    pair.session.data_received(b"what comes behind the end is nothing")
    pair.session.write(b"answer")
    pair.session.close()
    assert pair.native.did == ["close"]
    assert pair.inside.told == ["eof"]
    assert len(pair.native.out) > len(b"answer")


def test_client_that_is_gone_is_not_answered(pair: Pair) -> None:
    pair.inside.answers_later = True
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.unwrap()
    pair.session.data_received(pair.sent())
    assert pair.native.did == []
    assert not pair.session.eof_received()


def test_octets_that_were_changed_on_the_way_end_the_connection(pair: Pair) -> None:
    said = bytearray(pair.say(b"secret"))
    said[-1] ^= 1
    pair.session.data_received(bytes(said))
    assert (pair.inside.data, pair.native.did) == ([], ["close"])
    pair.session.data_received(pair.say(b"go on"))
    pair.session.connection_lost(None)
    assert pair.inside.data == []
    (why,) = pair.inside.told
    assert isinstance(why, ssl.SSLError)


def test_end_of_the_connection_without_the_end_of_tls(pair: Pair) -> None:
    assert pair.session.eof_received() is False
    lost = ConnectionResetError()
    pair.session.connection_lost(lost)
    assert pair.inside.told == [lost]


def test_what_is_no_handshake_is_answered_and_closed_and_nobody_is_told(
    loop: asyncio.AbstractEventLoop,
) -> None:
    pair = Pair(loop, ssl.TLSVersion.TLSv1_3)
    pair.session.data_received(b"GET / HTTP/1.1\r\n\r\n")
    assert pair.native.did == ["close"]
    pair.session.data_received(b"Host: a.example\r\n\r\n")
    pair.session.connection_lost(None)
    assert (pair.inside.transport, pair.inside.told) == (None, [])


def test_client_of_tls_1_3_without_a_common_version_gets_an_alert(loop: asyncio.AbstractEventLoop) -> None:
    pair = Pair(loop, ssl.TLSVersion.TLSv1_3)
    pair.session.get_extra_info("ssl_object").context.minimum_version = ssl.TLSVersion.TLSv1_3
    hello = b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x03" + b"r" * 32 + b"\x00\x00\x02\xc0\x2b\x01\x00"
    pair.session.data_received(hello)
    # A record of type alert, level fatal.
    assert (pair.native.out[0], pair.native.out[5]) == (21, 2)
    assert pair.native.did == ["close"]


def test_paused_is_read_on_in_a_later_turn(loop: asyncio.AbstractEventLoop) -> None:
    pair = Pair(loop, ssl.TLSVersion.TLSv1_3)
    pair.shake()

    async def scene() -> None:
        pair.session.pause_reading()
        pair.session.pause_reading()
        pair.session.data_received(pair.say(b"waits"))
        assert pair.inside.data == []
        pair.session.resume_reading()
        pair.session.resume_reading()
        assert pair.inside.data == []
        await asyncio.sleep(0)
        assert pair.inside.data == [b"waits"]

    loop.run_until_complete(scene())
    assert pair.native.did == ["pause", "resume"]


def test_who_writes_too_fast_is_told(pair: Pair) -> None:
    pair.session.pause_writing()
    pair.session.resume_writing()
    assert pair.inside.told == ["pause", "resume"]


def test_abort_is_at_once_and_ends_all(pair: Pair) -> None:
    pair.session.abort()
    pair.session.write(b"no more")
    pair.session.data_received(b"\x17")
    pair.session.close()
    assert (pair.native.did, pair.native.out) == (["abort"], b"")


class Timed(asyncio.SelectorEventLoop):
    """A loop whose time is told, and which keeps what it should call later."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.later: list[tuple[float, Any]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        self.later.append((self.now + delay, callback))
        return self.later[-1]

    def until(self, then: float) -> None:
        """Let the time pass."""
        while self.later and self.later[0][0] <= then:
            self.now, callback = self.later.pop(0)
            callback()
        self.now = then


def test_handshakes_that_take_too_long_are_cut_with_one_timer_for_all() -> None:
    loop = Timed()
    handshakes = Handshakes(loop, 5.0)
    natives = []
    context = Termination(OWN).first_answer()
    made = [Session(context, Inside(), handshakes) for _ in range(3)]
    for session in made:
        natives.append(Native())
        session.connection_made(natives[-1])
        loop.now += 1
    assert len(loop.later) == 1
    handshakes.over(made[1])
    loop.until(104.9)
    assert [native.did for native in natives] == [[], [], []]
    loop.until(105.1)
    assert [native.did for native in natives] == [["abort"], [], []]
    loop.until(107.1)
    assert [native.did for native in natives] == [["abort"], [], ["abort"]]
    assert loop.later == []
    loop.close()


def test_handshake_may_take_any_time_where_there_is_no_limit() -> None:
    loop = Timed()
    Pair(loop, ssl.TLSVersion.TLSv1_3, seconds=0)
    assert loop.later == []
    loop.close()


def test_finished_handshakes_are_not_cut() -> None:
    loop = Timed()
    pair = Pair(loop, ssl.TLSVersion.TLSv1_3)
    pair.shake()
    loop.until(200)
    assert (pair.native.did, loop.later) == ([], [])
    loop.close()


def test_closed_session_is_freed_without_the_collector(pair: Pair) -> None:
    gone = weakref.ref(pair.session)
    gc.disable()
    try:
        pair.session.connection_lost(None)
        pair.inside.transport = None
        del pair.session
        assert gone() is None
    finally:
        gc.enable()
