"""Services that are more than servers in turn, and those that are made of others."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from dynbalancer.proxy.services import ComposedService
from dynbalancer.proxy.upstream import LiveService

sys.path.insert(0, str(Path(__file__).parent))
from serving import BAD, ServingCase, balancer, weighted
from wires import GET


class Plain(ServingCase):
    """What asks for nothing more pays for nothing more."""

    def test_a_plain_service_has_no_hooks_and_its_balancers_choices(self) -> None:
        self.take(web=balancer("a", "b"))
        live: LiveService = self.plane.table.services["web@x"]
        assert live.hooks == ()
        assert live.choices == live.balancer.choices
        assert self.plane.table.routes[0].middlewares == ()

    def test_the_host_and_the_path_that_servers_see(self) -> None:
        servers = [{"url": "http://a:80/base/", "preservePath": True}, {"url": "http://b:80/base"}]
        self.take(web={"loadBalancer": {"servers": servers, "passHostHeader": False}})
        client = self.client(GET.replace(b"GET /", b"GET /x"))
        assert self.asked()[0].read().startswith(b"GET /base/x HTTP/1.1\r\nHost: a:80\r\n")
        self.client(GET.replace(b"GET /", b"GET /x"))
        assert self.asked()[0].read().startswith(b"GET /x HTTP/1.1\r\nHost: b:80\r\n")
        assert client.state == "open"

    def test_a_repeated_request_gets_the_prefix_each_time(self) -> None:
        self.take(web={"loadBalancer": {"servers": [{"url": "http://a:80/base", "preservePath": True}]}})
        client = self.client(GET)
        for _ in range(3):
            [server] = self.asked()
            assert server.read().startswith(b"GET /base/ HTTP/1.1\r\nHost: a.example\r\n")
            server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            client.send(GET)

    def test_no_server_is_503_with_retry_after_and_no_404(self) -> None:
        self.take(web=balancer())
        host, answer = self.answered()
        assert host == ""
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in answer
        assert answer.endswith(b"no available server\n")


class Strategies(ServingCase):
    """Each strategy of the list, in the data plane."""

    def test_hrw_keeps_a_client_at_its_server(self) -> None:
        self.take(web=balancer("a", "b", "c", strategy="hrw"))
        clients = [f"192.0.2.{n}" for n in range(1, 30)]
        first = [self.answered(host=client)[0] for client in clients]
        assert [self.answered(host=client)[0] for client in clients] == first
        assert set(first) == {"a", "b", "c"}

    def test_p2c_asks_the_one_with_less_to_do(self) -> None:
        self.take(web=balancer("a", "b", strategy="p2c"))
        waiting = self.client(GET)
        [busy] = self.asked()
        busy.read()
        for _ in range(5):
            assert self.answered()[0] != self.name(busy)
        assert waiting.state == "open"

    def test_leasttime_learns_who_is_faster(self) -> None:
        self.take(web=balancer("fast", "slow", strategy="leasttime"))
        picks: Counter[str] = Counter()
        for _ in range(20):
            client = self.client(GET)
            [server] = self.asked()
            picks[self.name(server)] += 1
            self.clock.advance(0.01 if self.name(server) == "fast" else 0.2)
            server.read()
            server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            assert client.read()
        assert picks["fast"] > 14
        assert picks["slow"] > 0

    def test_drr_turns_away_from_who_fails(self) -> None:
        self.take(web=balancer("good", "bad", strategy="drr"))
        picks: Counter[str] = Counter()
        for _ in range(100):
            self.clock.advance(0.5)
            client = self.client(GET)
            [server] = self.asked()
            picks[self.name(server)] += 1
            server.read()
            good = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            server.send(BAD if self.name(server) == "bad" else good)
            assert client.read()
        assert picks["bad"] < picks["good"] / 2

    def test_an_unknown_strategy_switches_the_service_off(self) -> None:
        said = self.take(web=balancer("a", strategy="p3c"))
        assert any("there is no strategy p3c; did you mean p2c?" in one for one in said)
        assert self.answered()[1].startswith(b"HTTP/1.1 404 ")


class Weighted(ServingCase):
    """Other services in turn, by their weights."""

    def test_weights_count_over_services(self) -> None:
        assert self.take(web=weighted(one=3, two=1), one=balancer("a"), two=balancer("b")) == []
        assert self.hosts(8) == "a a b a a a b a"

    def test_members_have_a_turn_of_their_own(self) -> None:
        self.take(web=weighted(one=1, two=1), one=balancer("a", "b"), two=balancer("c"))
        assert self.hosts(8) == "a c b c a c b c"

    def test_weight_0_is_nothing(self) -> None:
        self.take(web=weighted(one=0, two=1), one=balancer("a"), two=balancer("b"))
        assert self.hosts(3) == "b b b"

    def test_a_member_without_a_server_leaves_its_share_to_the_others(self) -> None:
        self.take(web=weighted(one=3, two=1), one=balancer(), two=balancer("b"))
        assert self.hosts(4) == "b b b b"
        self.take(web=weighted(one=3, two=1), one=balancer(), two=balancer())
        assert self.answered()[1].startswith(b"HTTP/1.1 503 ")

    def test_where_a_member_can_not_be_reached_another_is_asked(self) -> None:
        self.take(web=weighted(one=1, two=1), one=balancer("a"), two=balancer("b"))
        self.servers.broken["a"] = ConnectionRefusedError("refused")
        assert self.hosts(2) == "b b"

    def test_services_within_services(self) -> None:
        self.take(
            web=weighted(one=1, pair=1), pair=weighted(two=1, three=1),
            one=balancer("a"), two=balancer("b"), three=balancer("c"),
        )  # fmt: skip
        assert self.hosts(8) == "a b a c a b a c"

    def test_what_a_servers_own_service_says_holds_for_it(self) -> None:
        self.take(web=weighted(one=1, two=1), one=balancer("a", passHostHeader=False), two=balancer("b"))
        self.client(GET)
        assert b"\r\nHost: a:80\r\n" in self.asked()[0].read()
        self.client(GET)
        assert b"\r\nHost: a.example\r\n" in self.asked()[0].read()

    def test_a_member_that_changes_is_followed_and_the_others_keep_their_connections(self) -> None:
        services = {"web": weighted(one=1, two=1), "one": balancer("a"), "two": balancer("b")}
        self.take(**services)
        assert self.hosts(2) == "a b"
        before = self.plane.table.services["web@x"]
        self.take(**services, other=balancer("z"))
        assert self.plane.table.services["web@x"] is before
        self.take(**services | {"two": balancer("c")})
        assert self.hosts(2) == "a c"
        assert self.servers.hosts == ["a", "b", "c"]

    def test_statistics_count_for_the_service_that_has_the_server(self) -> None:
        self.take(web=weighted(one=1), one=balancer("a"))
        self.hosts(2)
        report = self.plane.report()
        assert {key: tally.count for key, tally in report.servers.items()} == {"one@x http://a:80": 2}
        assert report.routers["web@x"].count == 2


class HighestRandomWeight(ServingCase):
    """Each client has its service."""

    def test_a_client_stays_with_its_service(self) -> None:
        section = {"services": [{"name": "one"}, {"name": "two"}]}
        self.take(web={"highestRandomWeight": section}, one=balancer("a"), two=balancer("b"))
        first = {n: self.answered(host=f"192.0.2.{n}")[0] for n in range(1, 20)}
        assert {n: self.answered(host=f"192.0.2.{n}")[0] for n in range(1, 20)} == first
        assert set(first.values()) == {"a", "b"}


class Composed(ServingCase):
    """What keeps a service made of others from being made."""

    def refused(self, why: str, **services: object) -> None:
        said = self.take(**services)
        assert any(why in one for one in said), said
        assert self.answered()[1].startswith(b"HTTP/1.1 404 ")

    def test_a_member_that_is_not_there(self) -> None:
        self.refused('service "two@x" does not exist', web=weighted(one=1, two=1), one=balancer("a"))

    def test_it_works_as_soon_as_the_member_is_there(self) -> None:
        self.take(web=weighted(one=1))
        assert self.take(web=weighted(one=1), one=balancer("a")) == []
        assert self.hosts(1) == "a"

    def test_itself(self) -> None:
        self.refused("it leads back to itself: web@x → web@x", web=weighted(web=1))
        self.refused(
            "it leads back to itself: one@x → two@x → one@x",
            web=weighted(one=1), one=weighted(two=1), two=weighted(one=1),
        )  # fmt: skip

    def test_a_member_with_a_lock_of_its_own(self) -> None:
        self.refused(
            'service "one@x" has middlewares of its own',
            web=weighted(one=1),
            one=balancer("a", middlewares=["auth"]),
        )

    def test_health_that_nobody_tells(self) -> None:
        section = {"services": [{"name": "one"}], "healthCheck": {}}
        self.refused(
            "cannot register web@x as updater for one@x", web={"weighted": section}, one=balancer("a")
        )
        told = balancer("a", passiveHealthCheck={})
        assert self.take(web={"weighted": section}, one=told) == []
        assert self.hosts(1) == "a"

    def test_it_is_one_of_the_live_services(self) -> None:
        self.take(web=weighted(one=1), one=balancer("a"))
        live: ComposedService = self.plane.table.services["web@x"]
        assert live.upstreams == ()
        assert [upstream.host for upstream in live.reach] == ["a"]


class Guarded(ServingCase):
    """Middlewares of a service, after those of its routers."""

    def test_they_run_for_every_router_and_are_followed(self) -> None:
        add = {"add": {"addPrefix": {"prefix": "/p"}}}
        assert self.take(add, web=balancer("a", middlewares=["add"])) == []
        self.client(GET)
        assert self.asked()[0].read().startswith(b"GET /p/ HTTP/1.1\r\n")
        self.take({"add": {"addPrefix": {"prefix": "/q"}}}, web=balancer("a", middlewares=["add"]))
        self.client(GET)
        assert self.asked()[0].read().startswith(b"GET /q/ HTTP/1.1\r\n")

    def test_one_that_is_not_there_keeps_the_router_closed(self) -> None:
        said = self.take(web=balancer("a", middlewares=["auth"]))
        assert any('middleware "auth@x" does not exist' in one for one in said)
        assert self.answered()[1].startswith(b"HTTP/1.1 404 ")
        self.take(
            {"auth": {"ipAllowList": {"sourceRange": ["192.0.2.9"]}}}, web=balancer("a", middlewares=["auth"])
        )
        assert self.answered()[1].startswith(b"HTTP/1.1 403 ")


class Transports(ServingCase):
    """Services that say how their servers are connected to."""

    def test_limits_of_a_transport_are_those_of_its_services(self) -> None:
        slow = {"forwardingTimeouts": {"dialTimeout": "7s"}, "serverName": "b.example"}
        self.take(transports={"slow": slow}, web=balancer("a", serversTransport="slow"))
        self.hosts(1)
        assert self.servers.attempts[0].about == {"timeout": 7.0, "tls": None, "server_name": "b.example"}

    def test_a_changed_transport_takes_no_old_connection(self) -> None:
        def transport(seconds: str) -> dict[str, object]:
            return {"t": {"forwardingTimeouts": {"dialTimeout": seconds}}}

        self.take(transports=transport("7s"), web=balancer("a", serversTransport="t"))
        self.hosts(2)
        self.take(transports=transport("7s"), web=balancer("a", serversTransport="t"), other=balancer("b"))
        self.hosts(1)
        assert len(self.servers.attempts) == 1
        self.take(transports=transport("8s"), web=balancer("a", serversTransport="t"))
        self.hosts(1)
        assert [attempt.about["timeout"] for attempt in self.servers.attempts] == [7.0, 8.0]

    def test_a_transport_that_is_not_there_keeps_the_router_closed(self) -> None:
        said = self.take(web=balancer("a", serversTransport="mutual"))
        assert any('serversTransport "mutual@x" does not exist' in one for one in said)
        assert self.answered()[1].startswith(b"HTTP/1.1 404 ")

    def test_the_default_one_is_none(self) -> None:
        assert self.take(web=balancer("a", serversTransport="default@internal")) == []
        assert self.hosts(1) == "a"
