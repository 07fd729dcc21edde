"""Every odd octet in every place where one has been an attack, and every known disguise of the two framing fields.

Rows are made, not written: a name, the octets, and the verdict as in ``request_cases`` and ``response_cases``.
"""

from __future__ import annotations

from collections.abc import Iterator

#: Octets that can stand beside a token and are none of it.
ODD = (*range(0x21), *range(0x7F, 0x100))
_BLANKS = frozenset(b" \t")

Row = tuple[str, bytes, str]


def _post(lines: bytes, body: bytes = b"hello") -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a.test\r\n" + lines + b"\r\n" + body


_CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
_FRAMINGS = ((b"Content-Length", b"5", b"hello"), (b"Transfer-Encoding", b"chunked", _CHUNKS))


def framing_rows() -> Iterator[Row]:
    """Each odd octet before and after the names and the values of Content-Length and Transfer-Encoding."""
    for name, value, body in _FRAMINGS:
        for number in ODD:
            octet = bytes((number,))
            short = f"{name.decode()[0]}-{number:02x}"
            blank = "200" if number in _BLANKS else "400"
            yield f"{short}-before-name", _post(octet + name + b": " + value + b"\r\n", body), "400"
            yield (
                f"{short}-in-name",
                _post(name[:5] + octet + name[5:] + b": " + value + b"\r\n", body),
                "400",
            )
            yield f"{short}-after-name", _post(name + octet + b": " + value + b"\r\n", body), "400"
            yield f"{short}-before-value", _post(name + b":" + octet + value + b"\r\n", body), blank
            yield (
                f"{short}-in-value",
                _post(name + b": " + value[:1] + octet + value[1:] + b"\r\n", body),
                (blank if len(value) == 1 else "400"),
            )
            yield f"{short}-after-value", _post(name + b": " + value + octet + b"\r\n", body), blank


#: Other spellings of a framing field: what follows the Host line, and the verdict.
DISGUISES: tuple[tuple[bytes, str], ...] = (
    *(
        (b"Transfer-Encoding: %b\r\n" % coding, "400")
        for coding in (
            b"xchunked",
            b"chunkedx",
            b"chunke",
            b"identity",
            b"identity, identity",
            b"chunked, identity",
            b"gzip",
            b"chunked, chunked",
            b",chunked",
            b"chunked chunked",
            b"chunked;foo=bar",
            b"chunked; q=1",
            b"'chunked'",
            b"[chunked]",
            b"chunked\\",
            b"{chunked",
            b"chunked:",
            b"chun\xe2\x84\xaaed",
            b"cow",
            b"\xef\xbb\xbfchunked",
            b"chunked\xc2\xa0",
            b"nul\x00chunked",
            b"chunk\x1bed",
            b"chunked,\tchunked",
        )
    ),
    *(
        (b"Transfer-Encoding: %b\r\n" % coding, "501")
        for coding in (
            b"identity, chunked",
            b"gzip,chunked",
            b"deflate , chunked",
            b"x, chunked",
        )
    ),
    *(
        (b"Transfer-Encoding: %b\r\n" % coding, "200")
        for coding in (
            b"CHUNKED",
            b"Chunked",
            b"\tchunked",
            b"chunked \t ",
            b"  chunked",
        )
    ),
    *(
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: %b\r\n" % again, "400")
        for again in (
            b"chunked",
            b"identity",
            b"",
            b"gzip",
            b"cow",
        )
    ),
    *(
        (b"Transfer-Encoding: chunked\r\n%b: 5\r\n" % name, "400")
        for name in (
            b"Content-Length",
            b"content-length",
            b"CONTENT-LENGTH",
        )
    ),
    (b"Content-Length: 15\r\nTransfer-Encoding: chunked\r\n", "400"),
    (b"Content-Length: 15\r\nTransfer-Encoding: identity\r\n", "400"),
    (b"X: a\r\n Transfer-Encoding: chunked\r\n", "400"),
    (b"X: a\r\n\tTransfer-Encoding: chunked\r\n", "400"),
    (b"X: a\nTransfer-Encoding: chunked\r\n", "400"),
    (b"X: a\rTransfer-Encoding: chunked\r\n", "400"),
    (b"X: a\r\r\nTransfer-Encoding: chunked\r\n", "400"),
    (b"X: a\n\r\nTransfer-Encoding: chunked\r\n", "400"),
    (b"Transfer-Encoding\r\n: chunked\r\n", "400"),
    (b"Transfer-Encoding\r\n : chunked\r\n", "400"),
    (b"Transfer-Encoding:\r\n\tchunked\r\n", "400"),
    (b"Transfer-Encoding: chunked\r\n \r\n", "400"),
    (b"Transfer-Encoding chunked\r\n", "400"),
    (b"Transfer-Encoding; chunked\r\n", "400"),
    (b"Transfer Encoding: chunked\r\n", "400"),
    (b'"Transfer-Encoding": chunked\r\n', "400"),
    (b"Transfer-Encoding(x): chunked\r\n", "400"),
    (b"Transfer\xe2\x80\x90Encoding: chunked\r\n", "400"),
    *(
        (b"Content-Length: %b\r\n" % length, "400")
        for length in (
            b"5,5",
            b"5, 5",
            b"5,6",
            b",5",
            b"5,",
            b"-5",
            b"+5",
            b"- 5",
            b"0x5",
            b"5h",
            b"5e0",
            b"0b101",
            b"5.",
            b".5",
            b"5;",
            b"5 bytes",
            b"five",
            b"\xd9\xa5",
            b"\xef\xbc\x95",
            b"\xb2",
            b"5_",
            b"_5",
            b"''5",
            b"(5)",
            b"5\\",
            b"00000000000000000005",
            b"18446744073709551621",
            b"9223372036854775808",
            b"99999999999999999999999999",
            b"NaN",
            b"Infinity",
            b"null",
            b"%35",
        )
    ),
    *(
        (b"Content-Length: %b\r\n" % length, "200")
        for length in (b"5", b"05", b"000000000000000005", b" 5\t")
    ),
    *(
        (b"Content-Length: 5\r\nContent-Length: %b\r\n" % again, "400")
        for again in (b"5", b"05", b"6", b"", b"x")
    ),
    (b"Content-Length: 5\r\ncontent-length: 5\r\n", "400"),
    (b"Content-Length:\r\n 5\r\n", "400"),
    (b"Content-Length: 5\r\n 5\r\n", "400"),
)


def disguise_rows() -> Iterator[Row]:
    """The disguises as whole requests, each with the body that would go with it."""
    for number, (lines, verdict) in enumerate(DISGUISES):
        body = (
            b"hello" if lines.lower().startswith(b"content-length") and b"ransfer" not in lines else _CHUNKS
        )
        yield f"disguise-{number:03d}", _post(lines, body), verdict


def head_rows() -> Iterator[Row]:
    """Each control character in each part of a head; each octet that is no blank is fine in a value."""
    controls = (*range(0x20), 0x7F)
    for number in controls:
        octet = bytes((number,))
        for place, head in (
            ("method", b"G%bET / HTTP/1.1\r\nHost: a.test\r\n\r\n"),
            ("target", b"GET /a%bb HTTP/1.1\r\nHost: a.test\r\n\r\n"),
            ("query", b"GET /?a%bb HTTP/1.1\r\nHost: a.test\r\n\r\n"),
            ("before-version", b"GET / %bHTTP/1.1\r\nHost: a.test\r\n\r\n"),
            ("after-version", b"GET / HTTP/1.1%b\r\nHost: a.test\r\n\r\n"),
            ("host", b"GET / HTTP/1.1\r\nHost: a%b.test\r\n\r\n"),
            ("name", b"GET / HTTP/1.1\r\nHost: a.test\r\nX%bT: v\r\n\r\n"),
            ("value", b"GET / HTTP/1.1\r\nHost: a.test\r\nX-T: a%bb\r\n\r\n"),
            ("before-host", b"GET / HTTP/1.1\r\n%bHost: a.test\r\n\r\n"),
            ("last-line", b"GET / HTTP/1.1\r\nHost: a.test\r\n%b\r\n\r\n"),
        ):
            yield (
                f"{place}-{number:02x}",
                head % octet,
                "200" if number == 0x09 and place == "value" else "400",
            )
        if number not in b"\r":
            yield f"first-{number:02x}", octet + b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "400"
    for number in range(0x80, 0x100):
        octet = bytes((number,))
        yield f"value-{number:02x}", b"GET / HTTP/1.1\r\nHost: a.test\r\nX-T: a%bb\r\n\r\n" % octet, "200"
        yield f"target-{number:02x}", b"GET /a%bb HTTP/1.1\r\nHost: a.test\r\n\r\n" % octet, "400"
        yield f"name-{number:02x}", b"GET / HTTP/1.1\r\nHost: a.test\r\nX%bT: v\r\n\r\n" % octet, "400"
        yield f"host-{number:02x}", b"GET / HTTP/1.1\r\nHost: a%b.test\r\n\r\n" % octet, "400"


def chunk_rows() -> Iterator[Row]:
    """Each odd octet around a chunk's size, its extension, its data and its trailers."""
    for number in ODD:
        octet = bytes((number,))
        text = "200" if number in _BLANKS or number >= 0x80 else "400"
        for place, body, verdict in (
            ("before-size", b"%b5\r\nhello\r\n0\r\n\r\n", "400"),
            ("after-size", b"5%b\r\nhello\r\n0\r\n\r\n", "400"),
            ("in-size", b"0%b5\r\nhello\r\n0\r\n\r\n", "400"),
            ("extension", b"5;a%bb\r\nhello\r\n0\r\n\r\n", "400"),
            ("extension-value", b"5;a=%b\r\nhello\r\n0\r\n\r\n", "400"),
            ("extension-quoted", b'5;a="%b"\r\nhello\r\n0\r\n\r\n', text),
            ("before-last", b"5\r\nhello\r\n%b0\r\n\r\n", "400"),
            ("after-last", b"5\r\nhello\r\n0%b\r\n\r\n", "400"),
            ("trailer-name", b"5\r\nhello\r\n0\r\nX%bT: v\r\n\r\n", "400"),
            ("trailer-value", b"5\r\nhello\r\n0\r\nX-T: a%bb\r\n\r\n", text),
        ):
            yield f"{place}-{number:02x}", _post(b"Transfer-Encoding: chunked\r\n", body % octet), verdict
        if number != 0x0D:
            yield (
                f"after-data-{number:02x}",
                _post(b"Transfer-Encoding: chunked\r\n", b"5\r\nhello%b\r\n0\r\n\r\n" % octet),
                "400",
            )


#: Chunk lines that are wrong without an odd octet.
_CHUNK_LINES = (
    b"5;",
    b"5;;a",
    b"5;=b",
    b"5;a=;b",
    b'5;a="b',
    b'5;a="b"c',
    b"5;a b",
    b"0x5",
    b"5h",
    b"-5",
    b"+5",
    b"5.0",
    b"05 ",
    b"g",
    b"",
    b";a",
    b"00000000000000005",
    b"fffffffffffffffff",
    b"8000000000000000",
    b"5,5",
    b"5:",
    b"five",
)


def chunk_line_rows() -> Iterator[Row]:
    """Chunk lines that are wrong, for a first chunk and for one after a good one."""
    for number, line in enumerate(_CHUNK_LINES):
        # RFC 9112 section 7.1.1 wants a name after each semicolon, and blanks nowhere (they are "bad" there).
        for place, before in (("first", b""), ("second", b"2\r\nab\r\n")):
            body = before + line + b"\r\nhello\r\n0\r\n\r\n"
            yield f"chunk-line-{number:02d}-{place}", _post(b"Transfer-Encoding: chunked\r\n", body), "400"


#: Host fields and what becomes of them.
_HOSTS: tuple[tuple[bytes, str], ...] = (
    *(
        (host, "400")
        for host in (
            b"",
            b" ",
            b".",
            b"..",
            b"a..test",
            b".a.test",
            b"a.test:",
            b":80",
            b"a.test:-1",
            b"a.test:65536",
            b"a.test:+80",
            b"a.test:8 0",
            b"a.test:0x50",
            b"a.test:80:80",
            b"user@a.test",
            b"user:pass@a.test",
            b"@a.test",
            b"a.test/",
            b"a.test?x",
            b"a.test#x",
            b"a.test\\x",
            b"a.test,b.test",
            b"a.test b.test",
            b"http://a.test",
            b"*",
            b"a%2etest",
            b"a%00.test",
            b"a_test!",
            b"a.test;b",
            b"a'test",
            b'"a.test"',
            b"<a.test>",
            b"a.test|b",
            b"(a.test)",
            b"[",
            b"]",
            b"[]",
            b"[::1",
            b"::1",
            b"[::1]x",
            b"[::1]:x",
            b"[::1%25eth0]",
            b"[1.2.3.4]",
            b"[:::]",
            b"[g::]",
            b"[v1.x]",
            b"a" * 256,
            b"xn--\xc3\xa4.test",
            b"$a",
            b"a=b",
            b"a~b",
            b"a+b",
            b"{a}",
        )
        if host != b"a.test:"
    ),
    *(
        (host, "200")
        for host in (
            b"a.test",
            b"A.Test",
            b"a.test.",
            b"a.test:80",
            b"a.test:",
            b"a.test.:8080",
            b"a.test:00080",
            b"127.0.0.1",
            b"127.0.0.1:80",
            b"[::1]",
            b"[::1]:80",
            b"[2001:DB8::1]",
            b"xn--a-0ga.test",
            b"a-b.test",
            b"a_b.test",
            b"1.test",
        )
    ),
)


def host_rows() -> Iterator[Row]:
    """Each Host alone, then each good one after and before a second Host line."""
    for number, (host, verdict) in enumerate(_HOSTS):
        yield f"host-{number:03d}", b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host, verdict
        yield f"host-twice-{number:03d}", b"GET / HTTP/1.1\r\nHost: %b\r\nHost: a.test\r\n\r\n" % host, "400"
        yield f"host-after-{number:03d}", b"GET / HTTP/1.1\r\nHost: a.test\r\nhost: %b\r\n\r\n" % host, "400"


def request_rows() -> list[Row]:
    """All of them."""
    parts = (framing_rows, disguise_rows, head_rows, chunk_rows, chunk_line_rows, host_rows)
    return [row for part in parts for row in part()]


_RESPONSE = b"HTTP/1.1 200 OK\r\n"


def response_rows() -> Iterator[Row]:
    """Each odd octet in each part of a response; the server keeps its connection open."""
    for number in ODD:
        octet = bytes((number,))
        blank = "200" if number in _BLANKS else "bad"
        text = "200" if number in _BLANKS or number >= 0x80 else "bad"
        length = b"Content-Length: 2\r\n\r\nok"
        for place, data, verdict in (
            ("before", b"%bHTTP/1.1 200 OK\r\n" + length, "bad"),
            ("version", b"HTTP/1.1%b200 OK\r\n" + length, "200" if number == 0x20 else "bad"),
            ("status", b"HTTP/1.1 20%b0 OK\r\n" + length, "bad"),
            ("reason", b"HTTP/1.1 200 O%bK\r\n" + length, text),
            ("name", _RESPONSE + b"X%bT: v\r\n" + length, "bad"),
            ("before-name", _RESPONSE + b"%bX: v\r\n" + length, "bad"),
            ("after-name", _RESPONSE + b"X%b: v\r\n" + length, "bad"),
            ("value", _RESPONSE + b"X: a%bb\r\n" + length, text),
            ("length-before", _RESPONSE + b"Content-Length:%b2\r\n\r\nok", blank),
            ("length-after", _RESPONSE + b"Content-Length: 2%b\r\n\r\nok", blank),
            ("coding-before", _RESPONSE + b"Transfer-Encoding:%bchunked\r\n\r\n0\r\n\r\n", blank),
            ("coding-after", _RESPONSE + b"Transfer-Encoding: chunked%b\r\n\r\n0\r\n\r\n", blank),
            (
                "chunk-before",
                _RESPONSE + b"Transfer-Encoding: chunked\r\n\r\n%b2\r\nok\r\n0\r\n\r\n",
                "200 cut",
            ),
            (
                "chunk-after",
                _RESPONSE + b"Transfer-Encoding: chunked\r\n\r\n2%b\r\nok\r\n0\r\n\r\n",
                "200 cut",
            ),
        ):
            yield f"{place}-{number:02x}", data % octet, verdict
