"""A service that answers while another one can't."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from dynbalancer.core.exchange import Exchange
from dynbalancer.proxy.failover import KEPT

sys.path.insert(0, str(Path(__file__).parent))
from serving import BAD, ServingCase, balancer, cookie
from wires import GET, OK, post

UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\nSet-Cookie: no=1\r\n\r\nbad"


def failover(**errors: Any) -> dict[str, Any]:
    section: dict[str, Any] = {"service": "main", "fallback": "spare"}
    return {"failover": section | ({"errors": errors} if errors else {})}


class Reachable(ServingCase):
    """By who can be asked."""

    def setUp(self) -> None:
        super().setUp()
        self.take(web=failover(), main=balancer("m"), spare=balancer("s"))

    def test_the_main_one_while_it_can(self) -> None:
        assert self.hosts(3) == "m m m"

    def test_the_other_one_while_it_can_not_and_back(self) -> None:
        self.servers.broken["m"] = ConnectionRefusedError("refused")
        assert self.hosts(3) == "s s s"
        del self.servers.broken["m"]
        self.clock.advance(60)
        # Nobody waits for what is found out meanwhile.
        assert self.hosts(3) == "s m m"

    def test_without_servers_the_other_one_and_without_any_503(self) -> None:
        self.take(web=failover(), main=balancer(), spare=balancer("s"))
        assert self.hosts(1) == "s"
        self.take(web=failover(), main=balancer(), spare=balancer())
        assert self.answered()[1].startswith(b"HTTP/1.1 503 ")

    def test_a_bad_answer_is_an_answer(self) -> None:
        assert self.answered(answer=BAD) == ("m", BAD)


class Statuses(ServingCase):
    """By what the main one answers."""

    def setUp(self) -> None:
        super().setUp()
        wanted = failover(status=["500-599"], maxRequestBodyBytes=100)
        sticky = {"sticky": {"cookie": {"name": "pin"}}}
        self.take(web=wanted, main=balancer("m", **sticky), spare=balancer("s", **sticky))

    def switched(
        self, request: bytes, bad: bytes = UNAVAILABLE, good: bytes = OK
    ) -> tuple[bytes, bytes, bytes]:
        """What both servers got, and the client; the first of them answers badly."""
        client = self.client(request)
        [main] = self.asked()
        assert self.name(main) == "m"
        first = main.read()
        main.send(bad)
        [spare] = self.asked()
        assert self.name(spare) == "s"
        second = spare.read()
        spare.send(good)
        return first, second, client.read()

    def test_a_bad_one_is_thrown_away_and_the_other_one_asked(self) -> None:
        first, second, answer = self.switched(GET)
        assert first == second
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"no=1" not in answer
        assert answer.count(b"Set-Cookie: pin=") == 1
        assert self.answered(answer=OK)[0] == "m"

    def test_the_body_is_sent_once_more(self) -> None:
        first, second, answer = self.switched(post(b"hello"))
        assert first == second
        assert second.endswith(b"\r\n\r\nhello")
        assert answer.startswith(b"HTTP/1.1 200 ")

    def test_a_body_that_still_comes_goes_to_the_other_one(self) -> None:
        client = self.client(post(b"he", length=5))
        [main] = self.asked()
        main.read()
        main.send(UNAVAILABLE)
        [spare] = self.asked()
        assert spare.read().endswith(b"\r\n\r\nhe")
        client.send(b"llo")
        assert spare.read() == b"llo"
        spare.send(OK)
        assert client.read().startswith(b"HTTP/1.1 200 ")

    def test_the_others_answer_stands_whatever_it_is(self) -> None:
        _, _, answer = self.switched(GET, good=BAD)
        assert answer.startswith(b"HTTP/1.1 500 ")

    def test_both_gone_is_503(self) -> None:
        self.take(web=failover(status=["503"]), main=balancer("m"), spare=balancer())
        _, answer = self.answered(answer=UNAVAILABLE)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert answer.endswith(b"no available server\n")

    def test_other_statuses_stand(self) -> None:
        missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        host, answer = self.answered(cookie(b"a=b"), missing)
        assert (host, answer.startswith(b"HTTP/1.1 404 ")) == ("m", True)

    def test_too_long_a_body_is_413(self) -> None:
        host, answer = self.answered(post(b"x" * 101))
        assert (host, answer.startswith(b"HTTP/1.1 413 ")) == ("", True)

    def test_too_long_a_body_that_does_not_say_so_is_413(self) -> None:
        client = self.client(b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"65\r\n" + b"x" * 101 + b"\r\n")
        assert client.read().startswith(b"HTTP/1.1 413 ")

    def test_what_is_too_much_to_keep_is_not_sent_again(self) -> None:
        self.take(web=failover(status=["503"]), main=balancer("m"), spare=balancer("s"))
        client = self.client(post(b"", length=KEPT + 2))
        client.send(b"x" * (KEPT + 1))
        [main] = self.asked()
        main.read()
        main.send(UNAVAILABLE)
        assert client.read().startswith(b"HTTP/1.1 503 ")
        assert self.servers.hosts == ["m"]

    def test_without_retries_the_other_one_is_asked_all_the_same(self) -> None:
        self.plane.resource.retries = 0
        assert self.switched(GET)[2].startswith(b"HTTP/1.1 200 ")

    def test_the_failure_is_the_first_servers_and_nobody_elses(self) -> None:
        checked = {"passiveHealthCheck": {}}
        wanted = failover(status=["503"])
        self.take(web=wanted, main=balancer("m", **checked), spare=balancer("s", **checked))
        assert self.switched(GET)[2].startswith(b"HTTP/1.1 200 ")
        assert self.hosts(2) == "s s"

    def test_one_failover_within_another_asks_each_once(self) -> None:
        inner = {"failover": {"service": "one", "fallback": "two", "errors": {"status": ["503"]}}}
        self.take(
            web=failover(status=["503"]), main=inner,
            one=balancer("a"), two=balancer("b"), spare=balancer("c"),
        )  # fmt: skip
        client = self.client(GET)
        asked = []
        for _ in range(3):
            [server] = self.asked()
            asked.append(self.name(server))
            server.read()
            server.send(UNAVAILABLE)
        assert asked == ["a", "b", "c"]
        assert client.read().startswith(b"HTTP/1.1 503 ")

    def test_another_try_sets_no_cookie_twice(self) -> None:
        class Once:
            """Whatever comes is not good enough, once."""

            def another_try(self, exchange: Any, *_: object) -> float | None:
                return 0.0 if exchange.tries == 1 else None

        self.patch(Exchange, "retry", Once())
        self.take(web=balancer("a", sticky={"cookie": {"name": "pin"}}))
        client = self.client(GET)
        for answer in (UNAVAILABLE, OK):
            [server] = self.asked()
            server.read()
            server.send(answer)
        assert client.read().count(b"Set-Cookie: pin=") == 1
