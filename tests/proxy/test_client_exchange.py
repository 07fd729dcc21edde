"""How an answer is written to a client that speaks HTTP/1."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from wires import GET, GOT, OK, ProxyCase, own

ELSEWHERE = GET.replace(b"a.example", b"b.example")
NOT_FOUND = own(b"404 Not Found", b"404 page not found\n")
BAD_REQUEST = own(b"400 Bad Request", b"Bad Request", close=True)
TIMEOUT = own(b"408 Request Timeout", b"Request Timeout", close=True)
BIG = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
OK_AND_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def to(number: int) -> bytes:
    """A GET that can be told from others."""
    return GET.replace(b"GET /", b"GET /%d" % number)


def saying(text: bytes) -> bytes:
    """An answer that can be told from others."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)


class Answers(ProxyCase):
    """Framing and the end of the connection."""

    def test_head_of_what_is_not_there_has_no_body(self) -> None:
        client = self.client()
        client.send(ELSEWHERE.replace(b"GET", b"HEAD"))
        assert client.read() == NOT_FOUND.removesuffix(b"404 page not found\n")

    def test_client_that_asks_to_close_is_closed(self) -> None:
        client, server = self.asking(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert server.read() == GOT
        server.send(OK)
        assert client.read() == OK_AND_CLOSE
        assert (client.state, server.state) == ("closed", "open")
        self.assert_quiet()

    def test_old_client_gets_its_body_until_the_connection_closes(self) -> None:
        client, server = self.asking(b"GET / HTTP/1.0\r\nHost: a.example\r\n\r\n")
        assert server.read() == GOT
        server.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
        assert client.read() == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab"
        assert client.state == "closed"

    def test_old_client_whose_answer_is_cut_gets_no_ordinary_end(self) -> None:
        client, server = self.asking(b"GET / HTTP/1.0\r\nHost: a.example\r\n\r\n")
        server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        server.finish()
        assert client.state == "aborted"

    def test_reset_completes_no_answer_without_a_length(self) -> None:
        client, server = self.asking(GET)
        server.send(b"HTTP/1.1 200 OK\r\n\r\nab")
        server.reset()
        assert client.read() == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"
        assert client.state == "closed"

    def test_old_client_may_keep_its_connection(self) -> None:
        request = b"GET / HTTP/1.0\r\nHost: a.example\r\nConnection: keep-alive\r\n\r\n"
        client, server = self.asking(request)
        server.send(OK)
        assert client.read() == OK.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n")
        client.send(request)
        server.send(OK.replace(b"Content-Length: 2\r\n", b"Content-Length: 3\r\n") + b"!")
        assert client.read().endswith(b"ok!")
        assert client.state == "open"
