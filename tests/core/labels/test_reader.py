"""From containers to a Configuration, with a word about each container."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dynbalancer.core.labels.containers import Container, Defaults
from dynbalancer.core.labels.reader import Reader, configuration_of
from dynbalancer.core.model import Configuration, Item

RULE = {"traefik.frontend.rule": "Host:a.example"}
ROUTER = "traefik.http.routers.NAME.rule"
WEB = Container("id1", "web-1", "nginx", RULE, {"front": "10.0.0.2"}, ports=(80,))


def whoami(number: int) -> Container:
    """A container of the article's compose file."""
    labels = {
        "com.docker.compose.project": "whoami",
        "com.docker.compose.service": "whoami",
        "com.docker.compose.oneoff": "False",
        "traefik.enable": "true",
        "traefik.frontend.rule": "Host:whoami.docker.localhost",
    }
    name = f"whoami_whoami_{number}"
    networks = {"global": f"172.25.0.{number + 2}"}
    return Container(
        f"id{number}",
        name,
        "emilevauge/whoami",
        labels,
        networks,
        "global",
        (80,),
        created=1537000000.0 + number,
    )


def only(configuration: Configuration) -> Item:
    (item,) = configuration.items
    return item


def test_the_four_containers_of_the_article() -> None:
    defaults = Defaults(exposed_by_default=False, own_networks=("global",), on_host=False)
    found = configuration_of([whoami(number) for number in (3, 1, 4, 2)], defaults)
    (router,) = found.routers.values()
    (service,) = found.services.values()
    assert (router.name, router.rule, router.service, router.dialect, router.origin) == (
        "Host-whoami-docker-localhost-0",
        "Host:whoami.docker.localhost",
        "whoami-whoami",
        "v1",
        "container whoami_whoami_1",
    )
    assert [(server.url, server.name, server.instance, server.state) for server in service.servers] == [
        (f"http://172.25.0.{number + 2}:80", f"whoami_whoami_{number}", f"id{number}", "ready")
        for number in (1, 2, 3, 4)
    ]
    assert found.problems == ()
    assert [item.verdict for item in found.items] == ["routed"] * 4


def test_an_item_shows_the_plain_facts() -> None:
    item = only(configuration_of([whoami(1)], Defaults()))
    assert item.gave == ("whoami-whoami", "Host-whoami-docker-localhost-0")
    assert item.labels == {
        "traefik.enable": "true",
        "traefik.frontend.rule": "Host:whoami.docker.localhost",
    }
    assert item.details == {
        "image": "emilevauge/whoami",
        "state": "running",
        "networks": "global 172.25.0.3",
        "ports": "80",
        "service": "whoami.whoami",
    }


def test_v1_and_v3_labels_in_one_run() -> None:
    labels = {
        "traefik.http.routers.web.rule": "Host(`b.example`)",
        "traefik.http.services.web.loadbalancer.server.port": "8080",
    }
    found = configuration_of(
        [WEB, replace(WEB, id="id2", name="web-2", labels=labels, created=1.0)], Defaults()
    )
    assert {router.name: (router.rule, router.dialect) for router in found.routers.values()} == {
        "Host-a-example-0": ("Host:a.example", "v1"),
        "web": ("Host(`b.example`)", "v3"),
    }
    assert found.services["web"].servers[0].url == "http://10.0.0.2:8080"


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"labels": {**RULE, "traefik.enable": "false"}}, "not enabled: label traefik.enable=false"),
        (
            {"labels": {**RULE, "com.docker.compose.oneoff": "True"}},
            "a one-off container of docker-compose run",
        ),
        ({"state": "exited"}, "not running: it is exited"),
        ({"ports": ()}, "no port exposed"),
        (
            {"labels": {}},
            f"no rule: neither label traefik.frontend.rule nor {ROUTER}, and no domain to make one from its name",
        ),
        ({"labels": {"traefik.enable": "no"}}, "not enabled: label traefik.enable=no"),
        (
            {"labels": {"traefik.tls.stores.default.defaultgeneratedcert.resolver": "x"}},
            "its labels of TCP, UDP or TLS make no router",
        ),
        (
            {"labels": {"traefik.http.routers.a.midlewares": "auth"}, "ports": ()},
            "no port exposed",
        ),
    ],
)
def test_ignored_containers_say_why(changes: dict[str, object], why: str) -> None:
    found = configuration_of([replace(WEB, **changes)], Defaults())  # type: ignore[arg-type]
    assert (found.routers, found.services) == ({}, {})
    assert only(found).why == why
    assert only(found).verdict == ("refused" if "midlewares" in str(changes) else "ignored")


def test_without_exposed_by_default_only_enabled_containers_are_routed() -> None:
    enabled = replace(WEB, id="id2", name="web-2", labels={**RULE, "traefik.enable": "TRUE"})
    found = configuration_of([WEB, enabled], Defaults(exposed_by_default=False))
    assert [item.verdict for item in found.items] == ["ignored", "routed"]
    assert found.items[0].why.startswith("not enabled: it has no label traefik.enable=true")
    assert [server.name for server in found.services["web-2"].servers] == ["web-2"]


@pytest.mark.parametrize("key", ["traefk.enable", "traefik.enabled", "traefik_enable"])
def test_a_misspelt_enable_is_reported_though_the_container_is_ignored(key: str) -> None:
    container = replace(WEB, labels={key: "true", "traefik.prot": "80"})
    found = configuration_of([container], Defaults(exposed_by_default=False))
    assert [(problem.where, problem.hint) for problem in found.problems] == [
        (f"container web-1, label {key}", "did you mean traefik.enable?")
    ]


def test_a_bad_enable_is_reported_and_the_default_holds() -> None:
    container = replace(WEB, labels={**RULE, "traefik.enable": "yes"})
    for exposed in (True, False):
        found = configuration_of([container], Defaults(exposed_by_default=exposed))
        assert bool(found.routers) is exposed
        assert found.problems[0].where == "container web-1, label traefik.enable"


@pytest.mark.parametrize("word", ["no", "Off", "disabled", '"false"'])
def test_a_word_that_says_no_is_not_taken_for_a_yes(word: str) -> None:
    found = configuration_of([replace(WEB, labels={**RULE, "traefik.enable": word})], Defaults())
    assert found.routers == {}
    (problem,) = found.problems
    assert problem.why == f"{word!r} is neither true nor false; false is used"


def test_middlewares_of_a_container_without_a_port_are_there_for_the_others() -> None:
    shared = replace(WEB, labels={"traefik.http.middlewares.m.addprefix.prefix": "/x"}, ports=())
    found = configuration_of([shared], Defaults())
    assert list(found.middlewares) == ["m"]
    assert (found.routers, found.services, found.problems) == ({}, {}, ())
    assert (only(found).verdict, only(found).why) == ("routed", "it only defines middlewares: m")


def test_an_item_names_only_what_there_is() -> None:
    labels = {
        "traefik.http.routers.web.rule": "Host(`a`)",
        "traefik.http.routers.web.service": "api@internal",
    }
    assert only(configuration_of([replace(WEB, labels=labels)], Defaults())).gave == ("web-1", "web")


def test_mistakes_on_a_disabled_container_are_of_no_interest() -> None:
    container = replace(WEB, labels={"traefik.enable": "false", "traefik.prot": "80", "traefk.port": "1"})
    assert configuration_of([container], Defaults()).problems == ()


def test_one_offs_are_routed_on_demand() -> None:
    container = replace(WEB, labels={**RULE, "com.docker.compose.oneoff": "True"})
    assert configuration_of([container], Defaults(one_offs=True)).routers


@pytest.mark.parametrize(
    "state, health, server, note",
    [
        ("running", "unhealthy", "down", "its health check fails"),
        ("running", "starting", "starting", "its health check hasn't passed yet"),
        ("paused", "", "down", "it is paused"),
        ("draining", "", "draining", "its stop signal was sent"),
    ],
)
def test_a_container_that_takes_no_requests_keeps_its_router(
    state: str, health: str, server: str, note: str
) -> None:
    found = configuration_of([replace(WEB, state=state, health=health)], Defaults())
    assert list(found.routers) == ["Host-a-example-0"]
    assert [one.state for one in found.services["web-1"].servers] == [server]
    assert only(found).verdict == "routed"
    assert only(found).why.startswith(note)


@pytest.mark.parametrize(
    "labels",
    [RULE, {"traefik.http.routers.web.rule": "Host(`a.example`)"}],
)
def test_a_stopped_container_may_keep_its_router(labels: dict[str, str]) -> None:
    container = replace(
        WEB, labels={**labels, "traefik.docker.allownonrunning": "true"}, state="exited", networks={}
    )
    found = configuration_of([container], Defaults())
    assert len(found.routers) == 1
    assert [service.servers for service in found.services.values()] == [()]
    assert found.problems == ()


def test_no_network_in_common_is_a_problem_and_a_server_that_is_down() -> None:
    found = configuration_of([WEB], Defaults(own_networks=("proxy",), on_host=False))
    assert found.services["web-1"].servers[0].state == "down"
    assert found.problems[0].why == "web-1 is on front; the balancer is on proxy: no network in common"
    assert "no network in common" in only(found).why


def test_a_lender_is_found_among_the_containers_and_circles_end() -> None:
    sidecar = Container("id2", "side", labels=RULE, network_mode="container:id1", ports=(9000,))
    found = configuration_of([sidecar, WEB], Defaults())
    assert {server.url for service in found.services.values() for server in service.servers} == {
        "http://10.0.0.2:9000",
        "http://10.0.0.2:80",
    }
    ouroboros = [
        replace(sidecar, network_mode="container:id3"),
        replace(sidecar, id="id3", network_mode="container:id2"),
    ]
    assert [service.servers for service in configuration_of(ouroboros, Defaults()).services.values()] == [()]


@pytest.mark.parametrize(
    "labels, defaults, rules",
    [
        ({}, Defaults(), []),
        ({}, Defaults(domain="x.example"), ["Host:web-1.x.example"]),
        ({}, Defaults(default_rule="Host(`{{ .Name }}`)"), ["Host(`web-1`)"]),
        ({}, Defaults(default_rule="Host(`{{ .Name }}`)", domain="x"), ["Host(`web-1`)"]),
        (RULE, Defaults(default_rule="Host(`{{ .Name }}`)"), ["Host:a.example"]),
        (
            {"com.docker.compose.service": "my_web", "com.docker.compose.project": "shop"},
            Defaults(default_rule="Host(`{{ .Name }}`)"),
            ["Host(`my-web-shop`)"],
        ),
        ({"traefik.port": "80"}, Defaults(default_rule="Host(`{{ .Name }}`)", domain="x"), ["Host:web-1.x"]),
        ({"traefik.http.routers.r.priority": "1"}, Defaults(domain="x"), ["Host(`web-1`)"]),
        ({"traefik.http.middlewares.m.compress": "true"}, Defaults(domain="x"), ["Host(`web-1`)"]),
        ({**RULE, "traefik.http.middlewares.m.compress": "true"}, Defaults(), ["Host:a.example"]),
        (
            {"traefik.port": "80", "traefik.http.routers.r.rule": "Path(`/`)"},
            Defaults(domain="x"),
            ["Path(`/`)"],
        ),
        ({"traefik.tags": "a"}, Defaults(domain="x"), ["Host:web-1.x"]),
    ],
)
def test_which_manner_gives_the_default_rule(
    labels: dict[str, str], defaults: Defaults, rules: list[str]
) -> None:
    found = configuration_of([replace(WEB, labels=labels)], defaults)
    assert [router.rule for router in found.routers.values()] == rules


def test_v1_labels_that_no_v1_router_uses_are_a_warning_each() -> None:
    mixed = {
        "traefik.http.routers.r.rule": "Host(`a`)",
        "traefik.port": "81",
        "traefik.protocol": "https",
        "traefik.api.weight": "2",
        "traefik.docker.network": "front",
        "traefik.tags": "x",
    }
    found = configuration_of([replace(WEB, labels=mixed)], Defaults())
    unused = [problem.where for problem in found.problems if problem.why.startswith("not used")]
    assert unused == ["container web-1, label traefik.protocol", "container web-1, label traefik.api.weight"]
    with_a_rule = configuration_of([replace(WEB, labels={**mixed, **RULE})], Defaults())
    assert not any(problem.why.startswith("not used: the") for problem in with_a_rule.problems)


def test_refused_containers_say_why() -> None:
    found = configuration_of(
        [replace(WEB, labels={**RULE, "traefik.frontend.auth.basic.users": " "})], Defaults()
    )
    assert found.routers == {}
    assert only(found).verdict == "refused"
    assert only(found).labels["traefik.frontend.auth.basic.users"] == "(hidden)"
    assert found.problems[0].severity == "error"


def test_positions_count_only_containers_that_have_a_v1_router() -> None:
    others = [
        replace(WEB, id="o1", name="a", created=-3.0, ports=()),
        replace(WEB, id="o2", name="b", created=-2.0, labels={"traefik.http.routers.b.rule": "Path(`/`)"}),
        replace(WEB, id="o3", name="c", created=-1.0, labels={"traefik.frontend.rule": "Host:c.example"}),
    ]
    found = configuration_of([WEB, *others], Defaults())
    assert sorted(found.routers) == ["Host-a-example-1", "Host-c-example-0", "b"]


CHANGES: list[list[Container]] = [
    [whoami(1), whoami(2), WEB],
    [whoami(2), WEB],
    [whoami(2), replace(WEB, state="draining")],
    [whoami(2), replace(WEB, health="unhealthy", labels={**RULE, "traefik.prot": "1"})],
    [],
    [
        replace(WEB, network_mode="container:id7", networks={}),
        replace(WEB, id="id7", networks={"x": "10.9.9.9"}),
    ],
    [
        replace(WEB, network_mode="container:id7", networks={}),
        replace(WEB, id="id7", networks={"x": "10.9.9.8"}),
    ],
    [replace(WEB, network_mode="container:id7", networks={})],
]


def test_reading_again_gives_what_reading_anew_gives() -> None:
    reader = Reader()
    for containers in CHANGES:
        for defaults in (Defaults(), Defaults(exposed_by_default=False), Defaults(domain="x.example")):
            for _ in range(2):
                assert reader.read(containers, defaults) == configuration_of(containers, defaults)


def test_only_a_container_that_changed_is_looked_at_anew() -> None:
    reader = Reader()
    before = reader.read([whoami(1), whoami(2), whoami(3)], Defaults()).items
    after = reader.read([whoami(1), whoami(2), replace(whoami(3), state="draining")], Defaults()).items
    assert [new.details is old.details for new, old in zip(after, before, strict=True)] == [True, True, False]


def test_equal_problems_are_said_once() -> None:
    rule = Defaults(default_rule="{{ .Nam }}")
    found = configuration_of([replace(WEB, labels={}), replace(WEB, id="id2", name="web-2", labels={})], rule)
    assert len(found.problems) == 1


@given(some.permutations(range(4)))
def test_the_order_of_the_containers_makes_no_difference(order: list[int]) -> None:
    containers = [whoami(0), whoami(1), WEB, replace(WEB, id="id9", name="web-9")]
    shuffled = [containers[number] for number in order]
    assert configuration_of(shuffled, Defaults()) == configuration_of(containers, Defaults())


WORDS = [
    "traefik",
    "traefk",
    "http",
    "routers",
    "services",
    "web",
    "frontend",
    "rule",
    "auth",
    "a@b",
    "[0]",
    "port",
]
KEYS = some.lists(
    some.sampled_from(WORDS),
    min_size=1,
    max_size=6,
).map(".".join)


@given(some.dictionaries(KEYS | some.text(max_size=20), some.text(max_size=12), max_size=6))
def test_any_labels_are_read_or_refused(labels: dict[str, str]) -> None:
    found = configuration_of([replace(WEB, labels=labels)], Defaults(domain="x.example"))
    assert len(found.items) == 1
    assert all(name == router.name for name, router in found.routers.items())
