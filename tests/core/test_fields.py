"""What is known of field names."""

from __future__ import annotations

import pytest

from dynbalancer.core import fields
from dynbalancer.core.fields import (
    FieldError,
    Kind,
    has_stray_controls,
    is_forwarded,
    is_protected,
    learn,
    read_line,
    tokens_of,
)


@pytest.mark.parametrize(
    "name, kind",
    [
        (b"Accept", Kind.ORDINARY),
        (b"X_Auth_User", Kind.ORDINARY),
        (b"HOST", Kind.HOST),
        (b"content-Length", Kind.CONTENT_LENGTH),
        (b"Transfer-Encoding", Kind.TRANSFER_ENCODING),
        (b"Connection", Kind.CONNECTION),
        (b"Keep-Alive", Kind.DROPPED),
        (b"Proxy", Kind.DROPPED),
        (b"Content_Length", Kind.DROPPED),
        (b"Transfer_Encoding", Kind.DROPPED),
        (b"X-Forwarded-For", Kind.FORWARDED),
        (b"X_Forwarded_Proto", Kind.FORWARDED),
        (b"x_real-ip", Kind.FORWARDED),
        (b"Forwarded", Kind.FORWARDED),
        (b"X-Forwarded-Whatever", Kind.FORWARDED),
    ],
)
def test_name_has_its_kind(name: bytes, kind: Kind) -> None:
    assert learn(name) == (name.lower(), kind)


@pytest.mark.parametrize(
    "name", [b"", b"a b", b" a", b"a ", b"a:b", b"a\x00", b"\xff", b'"', b"a\tb", b"x" * 257]
)
def test_what_is_no_token_is_refused(name: bytes) -> None:
    with pytest.raises(FieldError):
        learn(name)
    assert name not in fields.known


def test_names_remembered_are_bounded() -> None:
    for number in range(fields.REMEMBERED + 10):
        learn(b"x-%d" % number)
    assert len(fields.known) <= fields.REMEMBERED


@pytest.mark.parametrize(
    "block, lines, stray",
    [
        (b"a: b", 1, False),
        (b"a: b\r\nc: d", 2, False),
        (b"a: \tb", 1, False),
        (b"a: b\nc: d", 1, True),
        (b"a: b\rc", 1, True),
        (b"a: \x00", 1, True),
        (b"a: \x7f", 1, True),
        (b"a: \xff", 1, False),
        (b"a\n\rb", 1, True),
    ],
)
def test_stray_controls_are_seen(block: bytes, lines: int, stray: bool) -> None:
    assert has_stray_controls(block, lines) is stray


def test_lists_are_read_over_several_lines() -> None:
    assert tokens_of([b"Close, , foo", b"\tBAR"]) == [b"close", b"foo", b"bar"]


@pytest.mark.parametrize(
    "name", [b"host", b"content-length", b"content_length", b"authorization", b"cookie", b"x-forwarded-for"]
)
def test_what_steers_the_proxy_is_protected(name: bytes) -> None:
    assert is_protected(name)


def test_ordinary_fields_are_neither_protected_nor_forwarded() -> None:
    assert not is_protected(b"x-mine")
    assert not is_forwarded(b"x-mine")


def test_many_hosts_do_not_drive_out_what_all_requests_have() -> None:
    fields.lines.clear()
    fields._host_lines.clear()
    read_line(b"Accept: */*")
    hosts = [b"Host: r%d.example.com" % number for number in range(fields._REMEMBERED_HOSTS)]
    for host in hosts:
        read_line(host)
    assert b"Accept: */*" in fields.lines
    assert hosts[0] in fields.lines and hosts[-1] in fields.lines
    read_line(b"Host: one.more.example.com")
    assert set(fields.lines) == {b"Accept: */*", b"Host: one.more.example.com"}


def test_other_lines_remembered_are_bounded() -> None:
    fields.lines.clear()
    fields._host_lines.clear()
    read_line(b"Host: a.example")
    for number in range(fields._REMEMBERED_LINES):
        read_line(b"X-Number: %d" % number)
    assert len(fields.lines) == fields._REMEMBERED_LINES + 1
    read_line(b"X-Number: one more")
    assert set(fields.lines) == {b"X-Number: one more"}
    read_line(b"Host: a.example")
    assert len(fields._host_lines) == 1
