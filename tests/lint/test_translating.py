"""Labels of containers in other words."""

from __future__ import annotations

from dynbalancer.core.documents import from_document
from dynbalancer.core.labels.containers import Container, Defaults
from dynbalancer.core.labels.reader import configuration_of
from dynbalancer.core.model import HealthCheck
from dynbalancer.lint.translating import Sheet, document, sheets

V1 = {"traefik.frontend.rule": "Host:a.example", "traefik.port": "8080", "traefik.enable": "true"}
V3 = {"traefik.http.routers.r.rule": "Host(`a.example`)", "traefik.http.routers.r.tls.certresolver": "le"}


def container(labels: dict[str, str], name: str = "web-1") -> Container:
    """A container with these labels."""
    return Container(name, name, labels=labels, networks={"front": "web"}, ports=(80,))


def one(labels: dict[str, str], to: str = "v3") -> Sheet:
    """The sheet of one container."""
    (sheet,) = sheets([container(labels)], to)
    return sheet


def test_v1_in_v3() -> None:
    sheet = one(V1)
    assert sheet.labels == {
        "traefik.enable": "true",
        "traefik.http.routers.web-1.rule": "Host(`a.example`)",
        "traefik.http.routers.web-1.service": "web-1",
        "traefik.http.routers.web-1.priority": "14",
        "traefik.http.services.web-1.loadbalancer.server.port": "8080",
    }
    assert sheet.comments == []


def test_what_is_v3_already_stays_as_it_is() -> None:
    assert one(V3 | {"traefik.tcp.routers.x.rule": "HostSNI(`*`)"}).labels == V3 | {
        "traefik.tcp.routers.x.rule": "HostSNI(`*`)"
    }


def test_what_is_v1_already_stays_as_it_is() -> None:
    assert one(V1, "v1").labels == V1


def test_v3_in_v1_says_what_is_lost() -> None:
    sheet = one(V3 | {"traefik.tcp.routers.x.rule": "HostSNI(`*`)"}, "v1")
    assert sheet.labels["traefik.frontend.rule"] == "Host:a.example"
    assert any("traefik.tcp.routers.x.rule: v1 has no labels of this kind" in line for line in sheet.comments)
    assert any("certresolver" in line for line in sheet.comments)


def test_each_label_that_is_left_out_is_a_comment() -> None:
    sheet = one(V1 | {"traefik.prot": "80", "traefik.frontend.passTLSCert": "true"})
    assert [line.partition(":")[0] for line in sheet.comments] == ["service web-1", "traefik.prot"]
    assert "did you mean traefik.port?" in sheet.comments[1]
    assert "v3 has no passTLSCert" in sheet.comments[0]
    assert not any("serverstransport" in key for key in sheet.labels)


def test_a_container_that_is_not_routed_says_why() -> None:
    sheet = one(V1 | {"traefik.enable": "false"})
    assert sheet.labels == {"traefik.enable": "false"}
    assert sheet.comments == [
        "not routed, so that nothing is translated: not enabled: label traefik.enable=false"
    ]


def test_what_is_not_the_same_is_a_comment_at_its_container() -> None:
    other = container(V1 | {"traefik.frontend.rule": "Host:b.example"}, "b")
    first = container(V1 | {"traefik.frontend.rule": "Query:a=b"}, "a")
    found = sheets([first, other], "v3")
    assert [len(sheet.comments) for sheet in found] == [1, 0]


def test_what_labels_have_no_room_for_is_a_comment() -> None:
    sheet = one(V1 | {"traefik.frontend.rule": "PathPrefixStripRegex:/{n:[a-z]{1,2}}"})
    assert any("has a comma in it" in line for line in sheet.comments)


def test_containers_without_labels_of_ours_are_left_alone() -> None:
    assert sheets([container({"com.example": "x"})], "v3") == []


def test_as_a_file() -> None:
    found, comments = document(
        [container(V1), container({}, "db"), container({"traefik.prot": "1", **V3}, "x")]
    )
    assert found["http"]["services"]["web-1"]["loadBalancer"]["servers"] == [{"url": "http://web:8080"}]
    assert found["http"]["routers"]["web-1"]["rule"] == "Host(`a.example`)"
    assert comments[0] == "db: it has no labels of ours"
    assert any(line.startswith("x: traefik.prot: this label is unknown") for line in comments)


def test_settings_of_middlewares_have_their_kinds_in_a_file() -> None:
    middleware = {"traefik.http.middlewares.m.stripprefix.prefixes": "/a,/b"}
    found, _ = document([container(V3 | middleware)])
    assert found["http"]["middlewares"]["m"] == {"stripPrefix": {"prefixes": ["/a", "/b"]}}


def test_a_priority_that_depends_on_a_variable_is_left_out_and_said() -> None:
    sheet = one(V1 | {"traefik.frontend.rule": "Host:zvar0z"})
    assert "traefik.http.routers.web-1.priority" not in sheet.labels
    assert any("depends on a variable" in line for line in sheet.comments)


def test_a_port_of_v1_beside_labels_of_v3_is_kept() -> None:
    sheet = one(V3 | {"traefik.frontend.rule": "Host:b.example", "traefik.port": "8080"})
    assert sheet.labels["traefik.http.services.web-1.loadbalancer.server.port"] == "8080"


def test_a_router_that_named_no_service_names_the_one_it_had() -> None:
    labels = {
        "traefik.frontend.rule": "Host:b.example",
        "traefik.http.routers.r.rule": "Host(`a.example`)",
        "traefik.http.services.s.loadbalancer.server.port": "8081",
    }
    sheet = one(labels)
    assert sheet.labels["traefik.http.routers.r.service"] == "s"
    again = configuration_of([container(sheet.labels)], Defaults())
    assert {name: router.service for name, router in again.routers.items()} == {"r": "s", "web-1": "web-1"}
    assert "traefik.http.routers.r.service" not in one({**V3, "traefik.tags": "a"}).labels


def test_what_a_broken_middleware_keeps_shut_is_not_opened_in_v1_s_words() -> None:
    labels = {
        "traefik.http.routers.r.rule": "Host(`a.example`)",
        "traefik.http.routers.r.middlewares": "inner",
        "traefik.http.middlewares.inner.ipallowlist.sourcerange": "",
    }
    sheet = one(labels, "v1")
    assert sheet.labels == {}
    assert any("sourceRange" in line and "the router is left out" in line for line in sheet.comments)


def test_a_server_elsewhere_has_no_words_in_v1() -> None:
    labels = {
        "traefik.http.routers.r.rule": "Host(`a.example`)",
        "traefik.http.services.s.loadbalancer.server.url": "http://192.0.2.9:8080",
    }
    sheet = one(labels, "v1")
    assert sheet.labels == {}
    assert "router r: v1 has no servers but its containers; the router is left out" in sheet.comments


def test_pages_of_a_service_named_with_its_provider() -> None:
    labels = {
        "traefik.http.routers.r.rule": "Host(`a.example`)",
        "traefik.http.routers.r.middlewares": "e@docker",
        "traefik.http.middlewares.e.errors.status": "404",
        "traefik.http.middlewares.e.errors.service": "web-1@docker",
        "traefik.http.middlewares.e.errors.query": "/",
    }
    assert one(labels, "v1").labels["traefik.frontend.errors.e.backend"] == "web-1"


def test_a_rule_that_can_not_be_read_is_a_comment_either_way() -> None:
    assert "left out" in one({"traefik.http.routers.r.rule": "Host('a')"}, "v1").comments[0]
    assert "left out" in one({"traefik.frontend.rule": "Host(`a`)"}).comments[0]


def test_misspelt_labels_are_comments_though_nothing_is_routed() -> None:
    found = sheets([container({"treafik.port": "80", "traefik.frontend.ruel": "Host:a"})], "v3")
    assert {line.partition(":")[0] for line in found[0].comments} >= {"treafik.port", "traefik.frontend.ruel"}


def test_references_in_a_file_are_to_what_the_file_defines() -> None:
    labels = {
        "traefik.http.routers.r.rule": "Host(`a.example`)",
        "traefik.http.routers.r.service": "s@docker",
        "traefik.http.routers.r.middlewares": "all@docker, extra@file",
        "traefik.http.services.s.loadbalancer.server.port": "80",
        "traefik.http.services.s.middlewares": "page@docker",
        "traefik.http.middlewares.all.chain.middlewares": "cut@docker,extra@file",
        "traefik.http.middlewares.cut.stripprefix.prefixes": "/x, /y,",
        "traefik.http.middlewares.page.errors.service": "s@docker",
        "traefik.http.middlewares.page.errors.status": "404",
        "traefik.http.middlewares.page.errors.query": "/",
        "traefik.tcp.routers.t.rule": "HostSNI(`*`)",
        "traefik.tcp.routers.t.service": "t@docker",
        "traefik.tcp.routers.t.middlewares": "few@docker",
        "traefik.tcp.services.t.loadbalancer.server.port": "81",
        "traefik.tcp.middlewares.few.inflightconn.amount": "3",
    }
    written, _ = document([container(labels)])
    http, tcp = written["http"], written["tcp"]
    assert http["routers"]["r"]["service"] == "s"
    assert list(http["routers"]["r"]["middlewares"]) == ["all", "extra@file"]
    assert list(http["services"]["s"]["middlewares"]) == ["page"]
    assert list(http["middlewares"]["all"]["chain"]["middlewares"]) == ["cut", "extra@file"]
    assert list(http["middlewares"]["cut"]["stripPrefix"]["prefixes"]) == ["/x", "/y"]
    assert http["middlewares"]["page"]["errors"]["service"] == "s"
    assert (tcp["routers"]["t"]["service"], list(tcp["routers"]["t"]["middlewares"])) == ("t", ["few"])


def test_a_file_has_tcp_and_udp_too_and_can_be_read_again() -> None:
    labels = {
        "traefik.tcp.routers.db.rule": "HostSNI(`*`)",
        "traefik.tcp.routers.db.entrypoints": "postgres",
        "traefik.tcp.routers.db.middlewares": "inner,few",
        "traefik.tcp.services.db.loadbalancer.server.port": "5432",
        "traefik.tcp.services.db.loadbalancer.healthcheck.interval": "10s",
        "traefik.tcp.middlewares.inner.ipallowlist.sourcerange": "10.0.0.0/8,192.0.2.1",
        "traefik.tcp.middlewares.few.inflightconn.amount": "3",
        "traefik.udp.routers.dns.entrypoints": "dns",
        "traefik.udp.services.dns.loadbalancer.server.port": "53",
    }
    found, comments = document([container(labels, "db")])
    assert comments == []
    assert found.keys() == {"tcp", "udp"}
    assert found["tcp"]["middlewares"] == {
        "inner": {"ipAllowList": {"sourceRange": ["10.0.0.0/8", "192.0.2.1"]}},
        "few": {"inFlightConn": {"amount": 3}},
    }
    read = from_document(found, "file f")
    assert not read.problems
    assert read.tcp_routers["db"].middlewares == ("inner", "few")
    assert read.tcp_services["db"].health_check == HealthCheck(mode="tcp", interval=10.0)
    assert [server.address for server in read.udp_services["dns"].servers] == ["web:53"]
