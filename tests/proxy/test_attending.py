"""Who wants to hear how exchanges go: servers that fail are left out, and balancers learn."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from serving import BAD, ServingCase, balancer, weighted
from wires import GET, OK


class PassiveHealthChecks(ServingCase):
    """Servers that answer badly, or not at all."""

    def use(self, *hosts: str, window: str = "10s", attempts: int = 1) -> None:
        check = {"failureWindow": window, "maxFailedAttempts": attempts}
        self.take(web=balancer(*hosts, passiveHealthCheck=check))

    def test_one_failure_then_503_then_200_again(self) -> None:
        self.use("a", window="2s")
        assert self.answered(answer=BAD)[1].startswith(b"HTTP/1.1 500 ")
        assert self.answered()[1].startswith(b"HTTP/1.1 503 ")
        self.clock.advance(2)
        assert self.answered() == ("a", OK)

    def test_the_others_take_over(self) -> None:
        self.use("a", "b")
        self.answered(answer=BAD)
        assert self.hosts(3) == "b b b"

    def test_only_so_many_in_a_window_count(self) -> None:
        self.use("a", attempts=2)
        self.answered(answer=BAD)
        self.clock.advance(11)
        self.answered(answer=BAD)
        assert self.answered()[0] == "a"
        self.answered(answer=BAD)
        self.answered(answer=BAD)
        assert self.answered()[0] == ""

    def test_a_good_answer_is_a_new_beginning(self) -> None:
        self.use("a", attempts=2)
        for answer in (BAD, OK, BAD, OK):
            assert self.answered(answer=answer)[0] == "a"
        assert self.answered()[0] == "a"

    def test_no_answer_is_a_failure(self) -> None:
        self.use("a", "b")
        client = self.client(GET.replace(b"GET", b"POST"))
        [server] = self.asked()
        server.read()
        server.finish()
        assert client.read().startswith(b"HTTP/1.1 502 ")
        assert self.hosts(3) == "b b b"

    def test_what_failed_stays_out_when_the_service_changes(self) -> None:
        self.use("a", "b")
        self.answered(answer=BAD)
        self.use("a", "b", "c")
        assert "a" not in self.hosts(4)

    def test_a_404_is_no_failure(self) -> None:
        self.use("a")
        self.answered(answer=b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        assert self.answered()[0] == "a"

    def test_a_member_whose_servers_are_all_out_gets_nothing(self) -> None:
        checked = {"passiveHealthCheck": {}}
        self.take(web=weighted(one=1, two=1), one=balancer("a", **checked), two=balancer("b", **checked))
        self.answered(answer=BAD)
        assert self.hosts(3) == "b b b"

    def test_a_failure_elsewhere_is_not_counted(self) -> None:
        self.take(
            web={"failover": {"service": "one", "fallback": "two"}},
            one=balancer(passiveHealthCheck={}),
            two=balancer("b"),
        )
        self.answered(answer=BAD)
        assert self.answered()[0] == "b"
