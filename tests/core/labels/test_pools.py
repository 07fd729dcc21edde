"""What becomes of what several containers say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dynbalancer.core.labels.containers import Container, Defaults
from dynbalancer.core.labels.reader import configuration_of
from dynbalancer.core.model import SHOWING_CERTIFICATES, Configuration

ORDER = iter(range(1, 10_000))


def container(name: str, labels: dict[str, str], *, service: str = "", state: str = "running") -> Container:
    """A container that is younger than those made before it."""
    age = next(ORDER)
    compose = {"com.docker.compose.project": "proj", "com.docker.compose.service": service} if service else {}
    address = {"x": f"10.0.{age // 250}.{age % 250}"}
    return Container(
        f"id-{name}",
        name,
        labels={**labels, **compose},
        networks=address,
        ports=(80,),
        created=age,
        state=state,
    )


def v1(name: str, rule: str = "Host:a.example", service: str = "", **more: str) -> Container:
    options = {f"traefik.{key.replace('__', '.')}": value for key, value in more.items()}
    return container(name, {"traefik.frontend.rule": rule, **options}, service=service)


def v3(name: str, rule: str = "Host(`a.example`)", service: str = "", **more: str) -> Container:
    options = {f"traefik.http.{key.replace('__', '.')}": value for key, value in more.items()}
    return container(name, {"traefik.http.routers.web.rule": rule, **options}, service=service)


def together(*containers: Container) -> Configuration:
    return configuration_of(containers, Defaults())


def members(configuration: Configuration, service: str) -> list[str]:
    return [server.name for server in configuration.services[service].servers]


def said(configuration: Configuration) -> list[tuple[str, str]]:
    return [(problem.severity, problem.where) for problem in configuration.problems]


def test_replicas_share_one_router() -> None:
    found = together(*(v1(f"web_{number}", service="web") for number in range(1, 5)))
    assert list(found.routers) == ["Host-a-example-0"]
    assert members(found, "web-proj") == ["web_1", "web_2", "web_3", "web_4"]
    assert found.problems == ()


def test_another_image_port_and_name_with_the_same_rule_joins_the_pool() -> None:
    found = together(
        v1("blue", "Host:a.example,b.example", service="blue"),
        v1("green", "Host: B.example, a.example ", service="green", port="8080"),
        v1("red", "Host:b.example,a.example"),
    )
    assert list(found.routers) == ["Host-a-example-b-example-0"]
    assert found.routers["Host-a-example-b-example-0"].service == "blue-proj"
    assert list(found.services) == ["blue-proj"]
    assert members(found, "blue-proj") == ["blue", "green", "red"]
    assert said(found) == [("info", "container green"), ("info", "container red")]
    assert [item.gave for item in found.items] == [("blue-proj", "Host-a-example-b-example-0")] * 3


def test_other_entry_points_or_priority_make_another_pool() -> None:
    found = together(
        v1("a"),
        v1("b", frontend__entryPoints="https"),
        v1("c", frontend__priority="5"),
        v1("d", frontend__entryPoints="https"),
    )
    assert {router.service for router in found.routers.values()} == {"a", "b", "c"}
    assert members(found, "b") == ["b", "d"]


def test_two_services_share_a_backend_and_keep_their_routers() -> None:
    found = together(v1("a", backend="pool"), v1("b", "Host:b.example", backend="pool"))
    assert {name: router.service for name, router in found.routers.items()} == {
        "Host-a-example-0": "pool",
        "Host-b-example-1": "pool",
    }
    assert members(found, "pool") == ["a", "b"]


def test_a_backend_that_is_pooled_for_one_rule_stays_alone_for_the_other() -> None:
    found = together(v1("a", backend="a"), v1("b"), v1("c", "Host:c.example", backend="a"))
    assert {name: router.service for name, router in found.routers.items()} == {
        "Host-a-example-0": "a",
        "Host-c-example-2": "a-Host-c-example-2",
    }
    assert members(found, "a") == ["a", "b", "c"]
    assert members(found, "a-Host-c-example-2") == ["a", "c"]


def test_the_first_of_several_replicas_decides_about_the_router() -> None:
    found = together(v1("web_1", service="web"), v1("web_2", "Host:b.example", service="web"))
    assert [router.rule for router in found.routers.values()] == ["Host:a.example"]
    assert members(found, "web-proj") == ["web_1", "web_2"]
    assert said(found) == [("warning", "container web_2")]


def test_the_first_of_a_pool_decides_about_the_host_header() -> None:
    found = together(v1("a", frontend__passHostHeader="false"), v1("b"))
    assert found.services["a"].pass_host_header is False
    assert said(found) == [("info", "container b"), ("warning", "container b")]


def test_a_pool_is_closed_if_one_of_it_asks_for_protection() -> None:
    found = together(v1("a"), v1("b", frontend__auth__oidc="x"), v1("c", "Host:c.example"))
    assert [router.service for router in found.routers.values()] == ["c"]
    assert [item.verdict for item in found.items] == ["refused", "refused", "routed"]
    assert "is not opened" in found.items[0].why


def test_path_modifiers_become_middlewares_of_the_router() -> None:
    found = together(v1("a", "Host:a.example;AddPrefix:/y;PathPrefixStrip:/x"))
    (router,) = found.routers.values()
    assert router.middlewares == (f"{router.name}-stripPrefix", f"{router.name}-addPrefix")
    assert {name: (m.type, m.settings) for name, m in found.middlewares.items()} == {
        router.middlewares[0]: ("stripPrefix", {"prefixes": ("/x",)}),
        router.middlewares[1]: ("addPrefix", {"prefix": "/y"}),
    }


def test_a_middleware_of_a_modifier_says_where_it_was_written() -> None:
    found = together(v1("a", "Host:a.example;PathPrefixStripRegex:/{x}"))
    assert [middleware.origin for middleware in found.middlewares.values()] == [
        "PathPrefixStripRegex in the rule of container a"
    ]


def test_segments_with_one_rule_are_one_pool() -> None:
    found = together(v1("a", one__port="81", two__port="82"))
    assert len(found.routers) == 1
    (service,) = found.services.values()
    assert [server.url.rpartition(":")[2] for server in service.servers] == ["81", "82"]


def test_v3_services_of_one_name_and_identical_settings_merge() -> None:
    found = together(v3("web_1", service="web"), v3("web_2", service="web"))
    assert list(found.routers) == ["web"]
    assert members(found, "web-proj") == ["web_1", "web_2"]
    assert found.problems == ()


def test_of_differing_v3_services_the_newest_counts_and_all_stay() -> None:
    key = "services__web__loadbalancer__passhostheader"
    found = together(v3("old", **{key: "true"}), v3("new", **{key: "false"}))
    assert found.services["web"].pass_host_header is False
    assert members(found, "web") == ["old", "new"]
    (problem,) = found.problems
    assert (problem.severity, problem.where) == ("warning", "service web")
    assert problem.why == (
        "defined differently by container old and container new; the newest (container new) counts; "
        "all stay in the pool"
    )


def test_of_differing_v3_routers_the_newest_counts() -> None:
    found = together(
        v3("old", service="web", routers__web__priority="1"),
        v3("new", service="web", routers__web__priority="2"),
    )
    assert found.routers["web"].priority == 2
    assert members(found, "web-proj") == ["old", "new"]
    assert said(found) == [("warning", "router web")]


@pytest.mark.parametrize(
    "ill", [{"health": "starting"}, {"health": "unhealthy"}, {"state": "paused"}, {"state": "draining"}]
)
def test_a_newer_version_counts_once_it_is_healthy(ill: dict[str, str]) -> None:
    new = v3(
        "new", "Host(`b.example`)", service="web", middlewares__m__addprefix__prefix="/new",
        services__web__loadbalancer__passhostheader="false",
    )  # fmt: skip
    old = v3(
        "old", service="web", middlewares__m__addprefix__prefix="/old",
        services__web__loadbalancer__passhostheader="true",
    )  # fmt: skip
    old = replace(old, created=0.5)
    found = together(old, replace(new, **ill))
    assert found.routers["web"].rule == "Host(`a.example`)"
    assert found.middlewares["m"].settings == {"prefix": "/old"}
    assert found.services["web"].pass_host_header is True
    assert members(found, "web") == ["old", "new"]
    assert {problem.why.partition(";")[2].split(";")[0].strip() for problem in found.problems} == {
        "container old, the newest that takes requests, counts"
    }
    assert found.items[1].why.startswith("router web is defined differently by container old, which counts")
    assert together(old, new).routers["web"].rule == "Host(`b.example`)"


def test_a_contradiction_of_many_names_a_few() -> None:
    replicas = [v3(f"old-{number}", service="web") for number in range(9)]
    found = together(*replicas, v3("new", service="web", routers__web__priority="3"))
    assert found.problems[0].why.startswith(
        "defined differently by container old-0, container old-1, 7 others and container new; the newest"
    )


def test_v3_routers_of_one_name_and_rule_share_the_servers_of_both_services() -> None:
    found = together(v3("blue", service="blue"), v3("green", service="green"))
    assert found.routers["web"].service == "green-proj"
    assert members(found, "green-proj") == ["blue", "green"]
    assert members(found, "blue-proj") == ["blue"]
    assert [item.verdict for item in found.items] == ["routed", "routed"]


def test_a_v3_service_with_other_users_is_not_enlarged() -> None:
    other = container(
        "other",
        {"traefik.http.routers.api.rule": "Host(`b`)", "traefik.http.routers.api.service": "green-proj"},
    )
    found = together(v3("blue", service="blue"), v3("green", service="green"), other)
    assert members(found, "green-proj") == ["green"]
    assert found.routers["web"].service == "green-proj-web"
    assert members(found, "green-proj-web") == ["blue", "green"]
    assert found.routers["api"].service == "green-proj"


def test_v3_routers_of_one_name_and_different_rules_do_not_mix_their_servers() -> None:
    found = together(v3("one"), v3("two", "Host(`b.example`)"))
    assert found.routers["web"].rule == "Host(`b.example`)"
    assert members(found, found.routers["web"].service) == ["two"]
    assert [item.verdict for item in found.items] == ["refused", "routed"]
    assert found.items[0].why == "router web is defined differently by container two, which is newer"


def test_a_newest_v3_router_that_may_be_protected_closes_the_name() -> None:
    found = together(v3("old"), v3("new", routers__web__midlewares="auth"))
    assert found.routers == {}
    assert [item.verdict for item in found.items] == ["refused", "refused"]


def test_of_differing_middlewares_the_newest_counts() -> None:
    key = "middlewares__add__addprefix__prefix"
    found = together(v3("old", **{key: "/a"}), v3("new", **{key: "/b"}))
    assert found.middlewares["add"].settings == {"prefix": "/b"}
    assert ("warning", "middleware add") in said(found)


def test_both_manners_on_one_container_share_a_service_that_is_the_same() -> None:
    both = v1("a", http__routers__web__rule="Host(`b.example`)")
    found = together(both)
    assert {name: router.service for name, router in found.routers.items()} == {
        "web": "a",
        "Host-a-example-0": "a",
    }
    assert members(found, "a") == ["a"]


def test_both_manners_keep_services_apart_that_differ() -> None:
    found = together(v1("a", frontend__passHostHeader="false", http__routers__web__rule="Host(`b.example`)"))
    assert found.routers["Host-a-example-0"].service == "a-Host-a-example-0"
    assert found.services["a"].pass_host_header is True
    assert found.services["a-Host-a-example-0"].pass_host_header is False


def test_draining_containers_stay_in_the_pool() -> None:
    old = container("old", {"traefik.frontend.rule": "Host:a.example"}, service="web", state="draining")
    found = together(old, v1("new", service="web"))
    assert [server.state for server in found.services["web-proj"].servers] == ["draining", "ready"]


def test_options_of_a_backend_are_those_of_its_first_container() -> None:
    """Two services of compose that share a backend have a frontend each (Traefik v1.7)."""
    found = together(
        v1(
            "a",
            "Host:a.example",
            backend="x",
            backend__circuitbreaker__expression="NetworkErrorRatio() > 0.1",
        ),
        v1("b", "Host:b.example", backend="x", backend__loadbalancer__stickiness="true"),
    )
    expressions = [m.settings["expression"] for m in found.middlewares.values()]
    assert expressions == ["NetworkErrorRatio() > 0.1"] * 2
    assert [service.sticky for service in found.services.values()] == [None]
    why = [problem.why for problem in found.problems]
    assert why == ["its backend labels differ from those of container a, which count for x"]


def test_pass_host_header_is_no_option_of_a_backend() -> None:
    found = together(
        v1("a", "Host:a.example", backend="x"),
        v1("b", "Host:b.example", backend="x", frontend__passHostHeader="false"),
    )
    assert not any("backend labels" in problem.why for problem in found.problems)


def test_error_pages_find_the_service_that_a_backend_became() -> None:
    """Here a v3 service has the name already."""
    found = together(
        v1(
            "a",
            "Host:a.example",
            frontend__errors__n__status="500-599",
            frontend__errors__n__backend="pages",
            frontend__errors__n__query="/",
        ),
        v1("b", "Host:b.example", backend="pages"),
        container("c", {"traefik.http.services.pages.loadbalancer.server.port": "81"}),
    )
    (pages,) = [m for m in found.middlewares.values() if m.type == "errors"]
    assert members(found, pages.settings["service"]) == ["b"]
    assert pages.settings["service"] != "pages"


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (
            {"traefik.http.routers.r.rule": "Hots(`a.example`)", "traefik.http.routers.r.middleware": "m"},
            "unsupported function: Hots",
        ),
        (
            {"traefik.frontend.rule": "Hots:a.example", "traefik.frontend.auth.basic": ""},
            "unsupported function: Hots",
        ),
    ],
)
def test_the_rule_of_a_router_that_is_not_opened_is_read_all_the_same(
    labels: dict[str, str], said: str
) -> None:
    container = Container("1", "web", labels=labels, networks={"n": "10.0.0.2"}, ports=(80,))
    found = configuration_of([container], Defaults())
    assert found.routers == {}
    assert any(said in str(problem) for problem in found.problems)


def test_pass_tls_cert_is_the_first_frontend_s_to_say_and_another_is_told() -> None:
    found = together(v1("a", frontend__passTLSCert="true"), v1("b"))
    assert [service.transport for service in found.services.values()] == [SHOWING_CERTIFICATES]
    assert any("its passTLSCert differs" in problem.why for problem in found.problems)


def test_without_pass_tls_cert_servers_are_shown_nothing() -> None:
    (service,) = together(v1("a", frontend__passTLSCert="false")).services.values()
    assert service.transport == ""
