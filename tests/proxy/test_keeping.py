"""Sticky cookies while requests go by."""

from __future__ import annotations

import sys
from pathlib import Path

from dynbalancer.core.stickiness import fnv, opaque

sys.path.insert(0, str(Path(__file__).parent))
from serving import ServingCase, balancer, cookie, weighted
from wires import GET, OK

STICKY = {"sticky": {"cookie": {"name": "pin"}}}
A, B = opaque("http://a:80"), opaque("http://b:80")


def field(value: bytes, name: bytes = b"pin") -> bytes:
    """How a client is told."""
    return b"\r\nSet-Cookie: " + name + b"=" + value + b"; Path=/\r\n"


class Servers(ServingCase):
    """A service that keeps clients with its servers."""

    def setUp(self) -> None:
        super().setUp()
        self.take(web=balancer("a", "b", **STICKY))

    def test_a_new_client_is_told_and_an_old_one_stays_and_is_told_nothing(self) -> None:
        host, answer = self.answered()
        assert (host, field(A) in answer) == ("a", True)
        for _ in range(3):
            assert self.answered(cookie(b"pin=" + A)) == ("a", OK)

    def test_others_take_their_turns_meanwhile(self) -> None:
        assert self.hosts(2) == "a b"
        self.answered(cookie(b"pin=" + A))
        assert self.hosts(2) == "a b"

    def test_older_values_are_understood_and_replaced(self) -> None:
        for value in (b"http://b:80", b"http://b", fnv("http://b:80")):
            host, answer = self.answered(cookie(b"x=1; pin=" + value))
            assert (host, field(B) in answer) == ("b", True)

    def test_a_value_that_means_nobody_is_replaced(self) -> None:
        for value in (b"", b"x", opaque("http://gone:80"), b'"'):
            host, answer = self.answered(cookie(b"pin=" + value))
            assert field(opaque(f"http://{host}:80")) in answer

    def test_whose_server_is_gone_gets_another_and_is_told(self) -> None:
        self.take(web=balancer("b", "c", **STICKY))
        host, answer = self.answered(cookie(b"pin=" + A))
        assert host in ("b", "c")
        assert field(opaque(f"http://{host}:80")) in answer

    def test_whose_server_can_not_be_reached_gets_another_and_is_told(self) -> None:
        self.servers.broken["a"] = ConnectionRefusedError("refused")
        host, answer = self.answered(cookie(b"pin=" + A))
        assert (host, field(B) in answer) == ("b", True)

    def test_an_answer_of_ours_sets_no_cookie(self) -> None:
        self.servers.broken |= dict.fromkeys("ab", ConnectionRefusedError("refused"))
        _, answer = self.answered()
        assert answer.startswith(b"HTTP/1.1 502 ")
        assert b"Set-Cookie" not in answer

    def test_an_upgrade_is_told_too(self) -> None:
        upgrade = GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        client = self.client(upgrade)
        [server] = self.asked()
        server.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        assert field(A) in client.read()

    def test_the_server_sees_the_cookie(self) -> None:
        self.client(cookie(b"pin=" + A))
        assert b"\r\nCookie: pin=" + A + b"\r\n" in self.asked()[0].read()

    def test_a_cookie_of_the_servers_own_stays(self) -> None:
        own = OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: pin=mine\r\n\r\n")
        _, answer = self.answered(answer=own)
        assert answer.count(b"Set-Cookie: ") == 2


class Weights(ServingCase):
    """A service with weights that keeps clients with its members."""

    def setUp(self) -> None:
        super().setUp()
        services = {"one": balancer("a", "b", **STICKY), "two": balancer("c")}
        self.take(web=weighted(True, one=1, two=1), **services)

    def test_member_and_server_have_a_cookie_each(self) -> None:
        host, answer = self.answered()
        assert host == "a"
        assert field(opaque("one@x"), b"outer") in answer
        assert field(A) in answer
        host, answer = self.answered()
        assert host == "c"
        assert field(opaque("two@x"), b"outer") in answer
        assert b"pin=" not in answer

    def test_both_are_obeyed(self) -> None:
        both = b"outer=" + opaque("one@x") + b"; pin=" + B
        for _ in range(3):
            assert self.answered(cookie(both)) == ("b", OK)
        for _ in range(3):
            assert self.answered(cookie(b"outer=" + opaque("two@x"))) == ("c", OK)

    def test_whose_member_is_down_goes_to_another_and_is_told(self) -> None:
        self.take(web=weighted(True, one=1, two=1), one=balancer("a"), two=balancer())
        host, answer = self.answered(cookie(b"outer=" + opaque("two@x")))
        assert (host, field(opaque("one@x"), b"outer") in answer) == ("a", True)


class Defaults(ServingCase):
    """Without a name the cookie is named after the service."""

    def test_name_and_attributes(self) -> None:
        self.take(web=balancer("a", sticky={"cookie": {"secure": True, "httpOnly": True, "sameSite": "lax"}}))
        _, answer = self.answered()
        assert b"\r\nSet-Cookie: _a2e4f=" + A + b"; Path=/; HttpOnly; Secure; SameSite=Lax\r\n" in answer
