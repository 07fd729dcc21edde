"""Where labels of v1 and of v2 and v3 on one engine lead readers astray: each trap with what is right there.

Those about what is on the wire are with the parts that send it: how long a request may wait (rateLimit), which port a
redirect has (redirectEntryPoint), how often is tried (forwarding), what a cookie says and when a server is asked.
"""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.labels.containers import COMPOSE_PROJECT, COMPOSE_SERVICE, Container, Defaults
from dynbalancer.core.labels.reader import configuration_of
from dynbalancer.core.labels.v1backend import cookie_name
from dynbalancer.core.model import Configuration, EntryPoint, Sticky
from dynbalancer.core.table import RoutingTable, compile_table
from dynbalancer.testing import exchange

WEB, SECURE = EntryPoint("web", 80), EntryPoint("websecure", 443, tls=True)


def container(name: str, created: float = 1.0, **more: Any) -> Container:
    """A container with labels (``traefik__port`` is ``traefik.port``)."""
    labels = {key.replace("__", "."): value for key, value in more.pop("labels", more).items()}
    return Container(
        f"id-{name}",
        name,
        labels=labels,
        networks={"x": f"192.0.2.{int(created)}"},
        ports=(80, 8080),
        created=created,
    )


def read(*labels: dict[str, str], **defaults: Any) -> Configuration:
    """What containers with these labels say together, the oldest first."""
    found = [container(f"c{number}", number, labels=one) for number, one in enumerate(labels, 1)]
    return configuration_of(found, Defaults(**defaults))


def table_of(found: Configuration) -> RoutingTable:
    def live(definition: Any, before: Any = None) -> Any:
        return definition

    return compile_table(found, (WEB, SECURE), make_middleware=live, make_service=live)


def rules(found: Configuration) -> list[str]:
    return sorted(router.rule for router in found.routers.values())


V1 = {"traefik.frontend.rule": "Host:a.example"}
V3 = {"traefik.http.routers.web.rule": "Host(`a.example`)"}


@pytest.mark.parametrize(
    "key",
    [
        "traefik.http.services.web.loadbalancer.server.port",
        "traefik.http.services.web.loadbalancer.server.weight",
        "traefik.http.services.web.loadbalancer.healthcheck.port",
        "traefik.tcp.services.web.loadbalancer.server.port",
        "traefik.udp.services.web.loadbalancer.server.port",
        "traefik.docker.port",
        "traefik.swarm.port",
    ],
)
def test_trap_1_labels_of_v3_are_no_segments(key: str) -> None:
    """The pattern of v1's segments fits them."""
    assert rules(read({**V1, key: "80"})) == ["Host:a.example"]


def test_trap_2_keys_of_v3_may_be_written_in_any_case_and_those_of_v1_are_told() -> None:
    found = read({"Traefik.HTTP.Routers.web.Rule": "Host(`a.example`)"})
    assert (rules(found), found.problems) == (["Host(`a.example`)"], ())
    found = read({"traefik.Frontend.Rule": "Host:a.example"})
    assert rules(found) == ["Host:a.example"]
    assert [problem.severity for problem in found.problems] == ["info"]


@pytest.mark.parametrize(
    ("labels", "defaults", "wanted"),
    [
        (V1, {"default_rule": "Host(`{{ normalize .Name }}`)"}, ["Host:a.example"]),
        (V3, {"domain": "x.example"}, ["Host(`a.example`)"]),
        (
            {"traefik.port": "80"},
            {"default_rule": "Host(`{{ .Name }}`)", "domain": "x.example"},
            ["Host:c1.x.example"],
        ),
        ({}, {"default_rule": "Host(`{{ normalize .Name }}`)"}, ["Host(`c1`)"]),
        ({}, {"domain": "x.example"}, ["Host:c1.x.example"]),
        ({}, {}, []),
        ({COMPOSE_PROJECT: "proj", COMPOSE_SERVICE: "web"}, {}, ["Host:web.proj"]),
        (
            {COMPOSE_PROJECT: "proj", COMPOSE_SERVICE: "web"},
            {"default_rule": "Host(`{{ normalize .Name }}`)"},
            ["Host(`web-proj`)"],
        ),
    ],
)
def test_trap_3_nobody_gets_an_automatic_router_of_the_other_manner(
    labels: dict[str, str], defaults: dict[str, Any], wanted: list[str]
) -> None:
    assert rules(read(labels, **defaults)) == wanted


@pytest.mark.parametrize("labels", [{**V1, "traefik.weight": "much"}, {**V1, "traefik.port": "eighty"}])
def test_trap_4_a_value_of_v1_that_can_not_be_read_is_the_default_and_told(labels: dict[str, str]) -> None:
    found = read(labels)
    (service,) = found.services.values()
    assert [(server.url, server.weight) for server in service.servers] == [("http://192.0.2.1:80", 1)]
    assert [problem.severity for problem in found.problems] == ["error"]


def test_trap_4_a_value_of_v3_that_can_not_be_read_is_told_and_the_rest_of_the_container_stays() -> None:
    """Traefik ignores the whole container; here what is wrong is off alone."""
    port = "traefik.http.services.web.loadbalancer.server.weight"
    found = read({**V3, port: "much"})
    assert rules(found) == ["Host(`a.example`)"]
    assert [problem.where for problem in found.problems] == [f"container c1, label {port}"]


def test_trap_5_a_priority_is_the_length_of_the_text_in_its_own_manner() -> None:
    found = read(
        {"traefik.frontend.rule": "Host:a.example;PathPrefix:/"},
        {"traefik.http.routers.web.rule": "Host(`a.example`)"},
    )
    first, second = table_of(found).routes
    assert (first.router.dialect, first.priority) == ("v1", len("Host:a.example;PathPrefix:/"))
    assert (second.router.dialect, second.priority) == ("v3", len("Host(`a.example`)"))


def test_trap_6_nobody_s_forwarded_fields_are_trusted_unless_it_is_said() -> None:
    """v1 trusts everybody by default."""
    assert (WEB.trust_all, WEB.trusted) == (False, ())


def test_trap_7_rates_of_v1_say_so_for_v3_lets_requests_wait() -> None:
    rate = "traefik.frontend.rateLimit.rateSet.a"
    found = read(
        {
            **V1,
            "traefik.frontend.rateLimit.extractorFunc": "client.ip",
            f"{rate}.period": "1s",
            f"{rate}.average": "1",
            f"{rate}.burst": "1",
        }
    )
    (middleware,) = found.middlewares.values()
    assert middleware.settings["dialect"] == "v1"


def test_trap_8_redirects_of_v1_are_not_those_of_v3_for_they_write_the_port() -> None:
    found = read({**V1, "traefik.frontend.redirect.entryPoint": "https"})
    assert [middleware.type for middleware in found.middlewares.values()] == ["redirectEntryPoint"]


def test_trap_9_a_router_says_which_columns_its_lines_have() -> None:
    found = read(V1, {"traefik.http.routers.web.rule": "Host(`b.example`)"})
    assert {name: router.dialect for name, router in found.routers.items()} == {
        "Host-a-example-0": "v1",
        "web": "v3",
    }


def test_trap_10_a_slash_at_the_end_is_redirected_in_v1_and_another_path_in_v3() -> None:
    found = read(
        {"traefik.frontend.rule": "Host:a.example;Path:/x"},
        {"traefik.http.routers.web.rule": "Host(`b.example`) && Path(`/x`)"},
    )
    table = table_of(found)
    route = table.route(exchange(host=b"a.example", path=b"/x/"))
    assert route is not None
    assert [middleware.type for middleware in route.middlewares] == ["redirectTrailingSlash"]
    assert table.route(exchange(host=b"b.example", path=b"/x/")) is None


def test_trap_11_of_two_definitions_v1_takes_the_first() -> None:
    backend = {**V1, "traefik.backend": "web"}
    found = read(
        {**backend, "traefik.backend.loadbalancer.sticky": "true"},
        {**backend, "traefik.frontend.priority": "0"},
    )
    (service,) = found.services.values()
    assert (service.sticky, len(service.servers)) == (Sticky("_TRAEFIK_BACKEND"), 2)
    assert any("backend labels differ" in problem.why for problem in found.problems)


@pytest.mark.parametrize(
    ("key", "old", "new"),
    [
        ("traefik.http.routers.web.priority", "1", "2"),
        ("traefik.http.services.web.loadbalancer.passhostheader", "true", "false"),
        ("traefik.http.middlewares.m.addprefix.prefix", "/old", "/new"),
    ],
)
def test_trap_11_of_two_definitions_v3_takes_the_newest_and_keeps_all_servers(
    key: str, old: str, new: str
) -> None:
    """Traefik takes both away, in the middle of a deploy."""
    common = {**V3, "traefik.http.services.web.loadbalancer.server.port": "80"}
    found = read({**common, key: old}, {**common, key: new})
    assert [len(service.servers) for service in found.services.values()] == [2]
    (router,), (service,) = found.routers.values(), found.services.values()
    prefixes = [middleware.settings["prefix"] for middleware in found.middlewares.values()]
    is_new = {
        "priority": router.priority == 2,
        "passhostheader": not service.pass_host_header,
        "prefix": prefixes == ["/new"],
    }
    assert is_new[key.rpartition(".")[2]]
    assert [problem.severity for problem in found.problems] == ["warning"]


def test_trap_12_a_query_without_a_value_is_any_in_v1_and_an_empty_one_in_v3() -> None:
    found = read(
        {"traefik.frontend.rule": "Host:a.example;Query:k="},
        {"traefik.http.routers.web.rule": "Host(`b.example`) && Query(`k`)"},
    )
    table = table_of(found)
    taken = {
        (host, query): table.route(exchange(host=host, query=query)) is not None
        for host in (b"a.example", b"b.example")
        for query in (b"k=1", b"k=", b"other=")
    }
    assert [key for key, is_taken in taken.items() if is_taken] == [
        (b"a.example", b"k=1"),
        (b"a.example", b"k="),
        (b"b.example", b"k="),
    ]


def test_trap_13_labels_name_a_backend_without_what_its_key_begins_with() -> None:
    pages = {
        "traefik.frontend.errors.e.status": "404",
        "traefik.frontend.errors.e.backend": "pages",
        "traefik.frontend.errors.e.query": "/",
    }
    found = read({**V1, **pages}, {"traefik.frontend.rule": "Host:p.example", "traefik.backend": "pages"})
    (middleware,) = found.middlewares.values()
    assert middleware.settings["service"] == "pages"
    assert "pages" in found.services


def test_trap_14_a_router_is_not_led_to_one_of_several_services_by_chance() -> None:
    ports = {f"traefik.http.services.{name}.loadbalancer.server.port": "80" for name in ("one", "two")}
    found = read({**V3, **ports})
    assert (found.routers, sorted(found.services)) == ({}, ["one", "two"])
    assert "names no service" in found.problems[0].why


@pytest.mark.parametrize(
    ("labels", "plain", "encrypted"),
    [
        (V1, True, True),
        (V3, True, False),
        ({**V3, "traefik.http.routers.web.tls": "true"}, False, True),
    ],
)
def test_trap_15_a_router_of_v3_is_for_tls_or_not_and_one_of_v1_for_both(
    labels: dict[str, str], *, plain: bool, encrypted: bool
) -> None:
    table = table_of(read(labels))
    taken = [
        table.route(exchange(entry_point="web", scheme=scheme, host=b"a.example")) is not None
        for scheme in (b"http", b"https")
    ]
    assert taken == [plain, encrypted]


def test_trap_17_another_method_is_no_route_and_an_empty_pool_is_one() -> None:
    found = read({"traefik.frontend.rule": "Host:a.example;Method:POST"})
    assert table_of(found).route(exchange(host=b"a.example", method=b"GET")) is None
    unhealthy = Container(
        "id", "web", labels=V1, networks={"x": "192.0.2.1"}, ports=(80,), health="unhealthy", created=1.0
    )
    route = table_of(configuration_of([unhealthy], Defaults())).route(exchange(host=b"a.example"))
    assert route is not None
    assert [server.state for server in route.service.servers] == ["down"]


def test_trap_18_the_name_of_a_cookie_is_made_of_the_backend_s_key() -> None:
    found = read({**V1, "traefik.backend": "web", "traefik.backend.loadbalancer.stickiness": "true"})
    (service,) = found.services.values()
    assert service.sticky == Sticky(cookie_name("web"))
    assert len(cookie_name("web")) == 6


@pytest.mark.parametrize("labels", [V1, V3])
def test_trap_19_scaled_services_share_one_router(labels: dict[str, str]) -> None:
    of = {COMPOSE_PROJECT: "proj", COMPOSE_SERVICE: "web"}
    found = read(*({**labels, **of} for _ in range(3)))
    (service,) = found.services.values()
    assert (len(found.routers), len(service.servers), found.problems) == (1, 3, ())


def test_trap_20_a_health_check_knows_whose_manner_it_has() -> None:
    """v1 asks at once, v3 after the first interval; the service says which it is."""
    found = read(
        {**V1, "traefik.backend.healthcheck.path": "/health"},
        {
            "traefik.http.routers.web.rule": "Host(`b.example`)",
            "traefik.http.services.web.loadbalancer.healthcheck.path": "/health",
        },
    )
    checks = {service.dialect: service.health_check for service in found.services.values()}
    assert checks["v1"] is not None and checks["v3"] is not None
    assert (checks["v1"].follow_redirects, checks["v3"].follow_redirects) == (False, True)
