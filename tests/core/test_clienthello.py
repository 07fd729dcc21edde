"""ClientHellos of the ssl module, and made ones: what is asked for, what is refused, however the octets are split."""

from __future__ import annotations

import ssl
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.clienthello import LONGEST, PLAIN, POSTGRES, POSTGRES_WISH, TLS, Hello, OpeningReader
from dynbalancer.errors import RequestError


def real(name: str | None, *protocols: str, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """The first octets of a client of the ssl module."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = version
    if protocols:
        context.set_alpn_protocols(list(protocols))
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(coming, going, server_hostname=name).do_handshake()
    return going.read()


def sized(size: int, data: bytes) -> bytes:
    """Data with its length before it."""
    return len(data).to_bytes(size, "big") + data


def extension(kind: int, value: bytes) -> bytes:
    """One extension."""
    return struct.pack("!H", kind) + sized(2, value)


def names(*found: bytes) -> bytes:
    """The extension with the server's names."""
    return extension(0, sized(2, b"".join(b"\x00" + sized(2, name) for name in found)))


def hello(*extensions: bytes, rest: bytes = b"", whole: bytes | None = None) -> bytes:
    """A ClientHello as a handshake message."""
    body = b"\x03\x03" + bytes(32) + sized(1, b"") + sized(2, b"\x13\x01") + sized(1, b"\x00")
    body += (sized(2, b"".join(extensions)) if whole is None else whole) + rest
    return b"\x01" + sized(3, body)


def records(message: bytes, size: int = 16384) -> bytes:
    """A message in records of at most this size."""
    pieces = (message[at : at + size] for at in range(0, len(message), size))
    return b"".join(b"\x16\x03\x01" + sized(2, piece) for piece in pieces)


ASKING = [
    (real("a.example"), Hello("a.example")),
    (real("A.Example"), Hello("a.example")),
    (real(None), Hello()),
    (real("a.example", "h2", "http/1.1"), Hello("a.example", ("h2", "http/1.1"))),
    (real("a.example", "postgresql", version=ssl.TLSVersion.TLSv1_2), Hello("a.example", ("postgresql",))),
    (records(hello(names(b"a.example"))), Hello("a.example")),
    (records(hello(names(b"a.example.", b"b.example"))), Hello("a.example")),
    (records(hello(names(b"a.example")), 1), Hello("a.example")),
    (records(hello(names(b"a.example")), 7), Hello("a.example")),
    (records(hello(whole=b"")), Hello()),
    (records(hello(extension(21, bytes(16000)), names(b"a.example"))), Hello("a.example")),
]

WRONG = [
    b"\x16\x03\x01\x00\x00" + bytes(10),
    b"\x16\x03\x01\x40\x01" + bytes(20),
    records(b"\x02" + sized(3, bytes(50))),
    records(b"\x01" + struct.pack("!I", LONGEST + 1)[1:] + bytes(50)),
    records(hello(names(b"a.example")), 20)[:25] + b"\x17\x03\x03\x00\x05hello",
    records(hello(names(b"a.example")), 20)[:25] + b"\x16\x02\x03\x00\x05hello",
    records(hello(names(b"a.example"), names(b"b.example"))),
    records(hello(names(b"a.example"), rest=b"x")),
    records(hello(names(b"a.example\x00.b.example"))),
    records(hello(names(b"\xe4.example"))),
    records(hello(extension(0, b"\x00\x09\x00\x00\x08short"))),
    records(hello(extension(16, b"\x00\x03\x05h2"))),
    records(hello(whole=b"\x00\x09\x00\x00")),
    records(b"\x01" + sized(3, bytes(33))),
]


def verdict(pieces: list[bytes]) -> tuple[str, Hello] | str:
    """What a reader makes of octets that come in these pieces."""
    reader = OpeningReader()
    sent = b""
    for piece in pieces:
        sent += piece
        try:
            done = reader.feed(piece)
        except RequestError as error:
            return error.reason
        assert bytes(reader.held) == sent
        if done:
            return reader.kind, reader.hello
    return "undecided"


def splits(data: bytes) -> list[list[bytes]]:
    """Octet by octet, and in two pieces at places all over."""
    places = range(1, len(data), max(1, len(data) // 300))
    return [[bytes([octet]) for octet in data], *([data[:at], data[at:]] for at in places)]


@pytest.mark.parametrize("data, asked", ASKING)
def test_hello_says_what_is_asked_for_however_it_is_split(data: bytes, asked: Hello) -> None:
    assert verdict([data]) == (TLS, asked)
    assert all(verdict(pieces) == (TLS, asked) for pieces in splits(data))
    assert verdict([data + b"\x17\x03\x03 what follows"]) == (TLS, asked)
    assert verdict([data[:-1]]) == "undecided"


@pytest.mark.parametrize("data", WRONG)
def test_what_only_begins_like_a_hello_is_refused_however_it_is_split(data: bytes) -> None:
    assert verdict([data]) == "client-hello"
    assert all(verdict(pieces) == "client-hello" for pieces in splits(data))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"SSH-2.0-x\r\n",
        b"\x16\x05any",
        b"\x00\x00\x00\x08\x04\xd2\x16\x30",
        b"\x80\x2e\x01",
    ],
)
def test_everything_else_is_plain_however_it_is_split(data: bytes) -> None:
    assert verdict([data]) == (PLAIN, Hello())
    assert all(verdict(pieces) == (PLAIN, Hello()) for pieces in splits(data))


def test_postgresqls_wish_is_known_however_it_is_split() -> None:
    assert verdict([POSTGRES_WISH]) == (POSTGRES, Hello())
    assert all(verdict(pieces) == (POSTGRES, Hello()) for pieces in splits(POSTGRES_WISH))


@pytest.mark.parametrize("data", [b"", b"\x16", b"\x16\x03", POSTGRES_WISH[:7], b"\x16\x03\x01\x02\x00\x01"])
def test_too_few_octets_are_undecided(data: bytes) -> None:
    assert verdict([data]) == "undecided"


def test_hello_that_never_ends_is_refused_before_it_fills_memory() -> None:
    endless = records(b"\x01" + struct.pack("!I", LONGEST)[1:] + bytes(LONGEST - 1), 1)
    assert verdict([endless]) == "undecided"
    assert len(endless) < 7 * LONGEST


@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_octets_have_one_verdict(data: bytes, at: int) -> None:
    record = b"\x16\x03\x01" + sized(2, b"\x01" + sized(3, data)) if data else data
    for given_octets in (data, record):
        whole = verdict([given_octets])
        assert verdict([given_octets[:at], given_octets[at:]]) == whole
        assert verdict([bytes([octet]) for octet in given_octets]) == whole
