"""The routing table: which route an exchange takes, what is refused and why, what survives a change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from dynbalancer.core.model import Configuration, EntryPoint, Middleware, Router, Server, Service
from dynbalancer.core.streamtable import StreamTable
from dynbalancer.core.table import HIGHEST_PRIORITY, RoutingTable, compile_table
from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer.testing import exchange

WEB = EntryPoint("web", 80)
SECURE = EntryPoint("websecure", 443)


class Live:
    """A live object that knows what it was made of, and what it replaced."""

    def __init__(self, definition: Any, before: Any = None) -> None:
        if getattr(definition, "type", "") == "bad" or getattr(definition, "strategy", "") == "bad":
            raise ConfigurationError(f"{definition.name}", "it is bad", "make it good")
        self.definition = definition
        self.before = before


def configuration(
    *routers: Router, services: Sequence[Any] = ("s@docker",), middlewares: Sequence[Middleware] = ()
) -> Configuration:
    made = [Service(found) if isinstance(found, str) else found for found in services]
    return Configuration(
        {router.name: router for router in routers},
        {service.name: service for service in made},
        {middleware.name: middleware for middleware in middlewares},
    )


def router(name: str, rule: str = "Host(`a.example`)", **fields: Any) -> Router:
    return Router(f"{name}@docker", rule, **{"service": "s", **fields})


def table(
    wanted: Configuration, *entry_points: EntryPoint, previous: RoutingTable | None = None
) -> RoutingTable:
    return compile_table(
        wanted,
        entry_points or (WEB, SECURE),
        number=7,
        previous=previous,
        make_middleware=Live,
        make_service=Live,
    )


def taken(made: RoutingTable, **request: Any) -> str | None:
    route = made.route(exchange(**request))
    return None if route is None else route.name.removesuffix("@docker")


def test_route_has_all_that_a_request_needs() -> None:
    headers = Middleware("h@file", "headers")
    made = table(
        configuration(
            router("r", "Host(`a.example`) && Path(`/x`)", middlewares=("h@file",)), middlewares=[headers]
        )
    )
    route = made.route(exchange(path=b"/x"))
    assert route is not None
    assert route is made.routes[0]
    assert (route.name, route.service_name, route.priority) == ("r@docker", "s@docker", 31)
    assert route.entry_points == ("web", "websecure")
    assert route.service is made.services["s@docker"]
    assert route.middlewares == (made.middlewares["h@file"],)
    assert str(route.rule) == route.router.rule
    assert made.number == 7
    assert made.problems == ()
    assert dict(made.disabled) == {}


def test_first_match_by_priority_then_name() -> None:
    made = table(
        configuration(
            router("long", "Host(`a.example`) && PathPrefix(`/x`)"),
            router("host"),
            router("any", "PathPrefix(`/`)"),
            router("wild", "Host(`*.example`)", priority=1),
            router("top", "Path(`/top`)", priority=1000),
            router("b", "Method(`POST`)", priority=900),
            router("a", "Method( `POST` )", priority=900),
            router("last", "Path(`/low`)", priority=-5),
        )
    )
    assert taken(made, path=b"/x/y") == "long"
    assert taken(made, path=b"/y") == "host"
    assert taken(made, path=b"/top") == "top"
    assert taken(made, method=b"POST") == "a"
    assert taken(made, host=b"b.example") == "any"
    assert taken(made, host=b"") == "any"
    assert [route.name.removesuffix("@docker") for route in made.routes] == [
        "top", "a", "b", "long", "host", "any", "wild", "last",
    ]  # fmt: skip


@pytest.mark.parametrize("count", [1, 100, 101, 2000])
def test_host_is_found_the_same_way_however_many_there_are(count: int) -> None:
    made = table(configuration(*(router(f"r{n}", f"Host(`H{n}.Example.`)") for n in range(count))))
    assert taken(made, host=b"h0.example") == "r0"
    assert taken(made, host=f"h{count - 1}.example".encode()) == f"r{count - 1}"
    assert taken(made, host=b"h%d.example" % count) is None


def test_no_router_matches() -> None:
    made = table(configuration(router("r")))
    assert taken(made, host=b"b.example") is None
    assert taken(made, entry_point="elsewhere") is None
    assert taken(table(Configuration())) is None


@pytest.mark.parametrize(
    ("dialect", "tls", "plain", "encrypted"),
    [
        ("v3", False, "r", None),
        ("v3", True, None, "r"),
        ("v2", True, None, "r"),
        ("v1", False, "r", "r"),
    ],
)
def test_tls_decides_between_plain_and_encrypted(
    dialect: str, tls: bool, plain: str | None, encrypted: str | None
) -> None:
    rule = "Host:a.example" if dialect == "v1" else "Host(`a.example`)"
    made = table(configuration(router("r", rule, dialect=dialect, tls=tls)))
    assert taken(made) == plain
    assert taken(made, scheme=b"https") == encrypted


@pytest.mark.parametrize("fields", [{}, {"tls": True}, {"rule": "Host: a.example", "dialect": "v1"}])
def test_where_only_tls_is_spoken_every_router_answers_encrypted_requests_alone(
    fields: dict[str, Any],
) -> None:
    found = {"entry_points": ("only",), **fields}
    made = table(configuration(router("r", **found)), EntryPoint("only", 443, tls=True))
    assert taken(made, entry_point="only", scheme=b"https") == "r"
    assert taken(made, entry_point="only", scheme=b"http") is None
    assert made.problems == ()


def test_table_knows_where_a_router_asks_for_tls() -> None:
    made = table(
        configuration(
            router("a", tls=True, entry_points=("websecure",)),
            router("b", "Host: a.example", entry_points=("web",), dialect="v1"),
        )
    )
    assert [made.encrypts(name) for name in ("web", "websecure", "other")] == [False, True, False]


def test_v1_default_priority_counts_its_own_text() -> None:
    made = table(
        configuration(
            router("v1", "Host:a.example;PathPrefix:/", dialect="v1", priority=-1),
            router("v3", "Host(`a.example`)"),
        )
    )
    assert [(route.name, route.priority) for route in made.routes] == [("v1@docker", 27), ("v3@docker", 17)]


def test_router_without_entry_points_gets_the_default_ones() -> None:
    wanted = configuration(router("r"))
    assert table(wanted).routes[0].entry_points == ("web", "websecure")
    assert table(wanted, WEB, replace(SECURE, as_default=True)).routes[0].entry_points == ("websecure",)


def test_router_answers_on_its_entry_points_only() -> None:
    made = table(configuration(router("r", entry_points=("web", "web"))))
    assert made.routes[0].entry_points == ("web",)
    assert taken(made) == "r"
    assert taken(made, entry_point="websecure") is None


def test_unknown_entry_point_beside_a_good_one_is_a_warning() -> None:
    made = table(configuration(router("r", entry_points=("web", "websecur"))))
    assert taken(made) == "r"
    assert made.problems == (
        Problem(
            "router r@docker", 'entryPoint "websecur" doesn\'t exist', "did you mean websecure?", "warning"
        ),
    )


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (("http",), ("web",)),
        (("http", "https"), ("web", "websecure")),
        (("https", "websecure"), ("websecure",)),
        (("web", "http"), ("web",)),
    ],
)
def test_v1_may_call_entry_points_as_v1_did(wanted: tuple[str, ...], found: tuple[str, ...]) -> None:
    made = table(configuration(router("r", "Host:a.example", dialect="v1", entry_points=wanted)))
    assert made.routes[0].entry_points == found
    assert made.problems == ()


def test_an_entry_point_called_http_is_meant_where_there_is_one() -> None:
    http = EntryPoint("http", 8000)
    made = table(
        configuration(router("r", "Host:a.example", dialect="v1", entry_points=("http",))), WEB, http
    )
    assert made.routes[0].entry_points == ("http",)


def test_v3_knows_no_other_names_of_entry_points() -> None:
    made = table(configuration(router("r", entry_points=("http",))))
    assert made.routes == ()


MIDDLEWARES = (Middleware("h@docker", "headers"), Middleware("b@docker", "bad"), Middleware("f@file", "x"))
SERVICES = ("s@docker", "s@file", "only@file", "two@a", "two@b", Service("bad@docker", strategy="bad"))

OFF: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    (
        {"rule": "Hots(`a`)"},
        [("rule Hots(`a`): unsupported function: Hots", "did you mean Host?")],
    ),
    ({"rule": " "}, [("the rule is empty", "write Host(`a.example`)")]),
    ({"service": ""}, [("it names no service", "")]),
    ({"service": "nly"}, [('service "nly@docker" does not exist', "did you mean only?")]),
    ({"service": "onyl@file"}, [('service "onyl@file" does not exist', "did you mean only@file?")]),
    (
        {"service": "api@internal"},
        [('service "api@internal" does not exist', "the API is off: add --api")],
    ),
    (
        {"rule": "Hots(`\x1b[2J\n`)"},
        [("rule Hots(`\\x1b[2J\\n`): unsupported function: Hots", "did you mean Host?")],
    ),
    ({"service": "two"}, [('service "two" is in several providers: two@a, two@b', "write two@a")]),
    ({"service": "bad"}, [('service "bad@docker" can\'t be used: it is bad', "")]),
    ({"middlewares": ("h", "g")}, [('middleware "g@docker" does not exist', "")]),
    ({"middlewares": ("unknown@file",)}, [('middleware "unknown@file" does not exist', "")]),
    ({"middlewares": ("b",)}, [('middleware "b@docker" can\'t be used: it is bad', "")]),
    (
        {"entry_points": ("wbe",)},
        [
            ('entryPoint "wbe" doesn\'t exist', "did you mean web?"),
            ("no valid entryPoint for this router", ""),
        ],
    ),
    (
        {"priority": HIGHEST_PRIORITY + 1},
        [(f"priority {HIGHEST_PRIORITY + 1} is above the highest allowed, {HIGHEST_PRIORITY}", "")],
    ),
    (
        {"rule": "Host(`/`)", "service": "x@y", "middlewares": ("q@y",)},
        [
            ("rule Host(`/`): bad host /", ""),
            ('service "x@y" does not exist', ""),
            ('middleware "q@y" does not exist', ""),
        ],
    ),
]


@pytest.mark.parametrize(("fields", "errors"), OFF)
def test_router_that_cannot_work_is_off_and_says_why(
    fields: dict[str, Any], errors: list[tuple[str, str]]
) -> None:
    wanted = configuration(
        router("off", **fields), router("on", "Host(`b.example`)"), services=SERVICES, middlewares=MIDDLEWARES
    )
    made = table(wanted)
    found = [problem for problem in made.problems if problem.where == "router off@docker"]
    assert [(problem.why, problem.hint) for problem in found] == errors
    assert {problem.severity for problem in found} == {"error"}
    assert dict(made.disabled) == {"off@docker": tuple(why for why, _ in errors)}
    assert [route.name for route in made.routes] == ["on@docker"]


@pytest.mark.parametrize(
    ("reference", "found"),
    [("s", "s@docker"), ("s@file", "s@file"), ("only", "only@file"), ("s@docker", "s@docker")],
)
def test_reference_is_looked_up_in_the_same_provider_first(reference: str, found: str) -> None:
    made = table(configuration(router("r", service=reference), services=SERVICES))
    assert made.routes[0].service_name == found


def test_names_without_a_provider_are_found_too() -> None:
    made = table(configuration(Router("r", "Host(`a.example`)", "s"), services=["s"]))
    assert made.routes[0].service_name == "s"


def test_what_could_not_be_made_is_a_problem_of_its_own() -> None:
    made = table(configuration(services=SERVICES, middlewares=MIDDLEWARES))
    assert made.problems == (
        Problem("middleware b@docker", "it is bad", "make it good"),
        Problem("service bad@docker", "it is bad", "make it good"),
    )
    assert set(made.middlewares) == {"h@docker", "f@file"}


def test_problems_say_where_the_definition_came_from() -> None:
    wrong = router("r", "Hots(`a`)", origin="container web-1")
    twin = router("t", "Host(`b.example`)", origin="file a.yml", entry_points=("web", "wbe"))
    made = table(
        configuration(
            wrong,
            twin,
            middlewares=[Middleware("m@docker", "bad", origin="HotStrip in the rule of container web-1")],
        )
    )
    assert [problem.where for problem in made.problems] == [
        "middleware m@docker of HotStrip in the rule of container web-1",
        "router r@docker of container web-1",
        "router t@docker of file a.yml",
    ]


@pytest.mark.parametrize(
    ("origin", "why"),
    [
        ("container web-1", 'middleware "b@docker" can\'t be used: it is bad'),
        ("container web-2", 'middleware "b@docker" of container web-2 can\'t be used: it is bad'),
    ],
)
def test_what_somebody_else_defined_wrongly_is_named_with_its_origin(origin: str, why: str) -> None:
    made = table(
        configuration(
            router("r", middlewares=("b",), origin="container web-1"),
            middlewares=[Middleware("b@docker", "bad", origin=origin)],
        )
    )
    assert dict(made.disabled) == {"r@docker": (why,)}


class Notes:
    """A middleware some of whose settings have no effect."""

    notices = ("option frameDeny has no effect in this version",)


def test_settings_without_effect_are_warnings_in_every_table() -> None:
    wanted = configuration(
        router("r", middlewares=("h",)),
        middlewares=[Middleware("h@docker", "headers", origin="container web-1")],
    )
    first = compile_table(wanted, [WEB], make_middleware=lambda _: Notes(), make_service=Live)
    second = compile_table(wanted, [WEB], previous=first, make_middleware=Live, make_service=Live)
    assert second.middlewares["h@docker"] is first.middlewares["h@docker"]
    assert (
        first.problems
        == second.problems
        == (Problem("middleware h@docker of container web-1", Notes.notices[0], severity="warning"),)
    )
    assert len(second.routes) == 1


def test_part_of_a_v1_rule_that_is_left_out_is_a_warning() -> None:
    made = table(configuration(router("r", "Host:a.example;ReplacePathRegex:^/x", dialect="v1")))
    assert taken(made) == "r"
    why = "ReplacePathRegex:^/x: ReplacePathRegex takes a pattern, one space and a replacement"
    assert made.problems == (Problem("router r@docker", why, severity="warning"),)


SHADOWED: list[tuple[list[Router], list[tuple[str, str]]]] = [
    (
        [router("a"), router("b", 'host( "a.example" )', priority=17)],
        [("b", "never gets a request: router a@docker has the same rule and its name comes first")],
    ),
    (
        [router("a"), router("b", priority=50)],
        [("a", "never gets a request: router b@docker has the same rule and priority 50 against 17")],
    ),
    (
        [router("a", entry_points=("web",)), router("b")],
        [
            (
                "b",
                "gets no request where router a@docker also listens: it has the same rule and its name comes first",
            )
        ],
    ),
    ([router("a", entry_points=("web",), priority=99), router("b")], []),
    ([router("a", entry_points=("web",)), router("b", entry_points=("websecure",))], []),
    ([router("a"), router("b", tls=True)], []),
    ([router("a"), router("b", "Host(`b.example`)")], []),
]


@pytest.mark.parametrize(("routers", "warnings"), SHADOWED)
def test_router_with_the_rule_of_another_is_a_warning(
    routers: list[Router], warnings: list[tuple[str, str]]
) -> None:
    made = table(configuration(*routers))
    hint = "change the rule or the priority of one of them"
    assert made.problems == tuple(
        Problem(f"router {name}@docker", why, hint, "warning") for name, why in warnings
    )
    assert len(made.routes) == 2


def test_what_is_equal_keeps_its_live_object() -> None:
    same, other = Service("s@docker"), Service("t@docker")
    headers, prefix = (
        Middleware("h@docker", "headers", {"a": "1"}),
        Middleware("p@docker", "addPrefix", {"prefix": "/a"}),
    )
    old = table(configuration(router("r"), services=[same, other], middlewares=[headers, prefix]))
    new = table(
        configuration(
            router("r", "Path(`/x`)"),
            services=[Service("s@docker"), replace(other, servers=(Server("http://192.0.2.1:80"),))],
            middlewares=[
                Middleware("h@docker", "headers", {"a": "1"}, origin="another container"),
                replace(prefix, settings={"prefix": "/b"}),
            ],
        ),
        previous=old,
    )
    assert new.services["s@docker"] is old.services["s@docker"]
    assert new.services["t@docker"] is not old.services["t@docker"]
    assert new.services["t@docker"].before is old.services["t@docker"]
    assert new.middlewares["h@docker"] is old.middlewares["h@docker"]
    assert new.middlewares["p@docker"] is not old.middlewares["p@docker"]


def test_what_failed_before_is_tried_again() -> None:
    made: list[str] = []

    def make(definition: Middleware) -> str:
        made.append(definition.name)
        if len(made) == 1:
            raise ConfigurationError("m", "not yet")
        return "live"

    wanted = configuration(router("r", middlewares=("m",)), middlewares=[Middleware("m@docker", "x")])
    first = compile_table(wanted, [WEB], make_middleware=make, make_service=Live)
    second = compile_table(wanted, [WEB], previous=first, make_middleware=make, make_service=Live)
    assert (taken(first), taken(second)) == (None, "r")
    assert made == ["m@docker", "m@docker"]


class LiveChain(Live):
    """A live object with members."""

    def __init__(self, definition: Middleware) -> None:
        super().__init__(definition)
        self.members = definition.settings["middlewares"]


def chained(
    *middlewares: Middleware, used: Sequence[str] = ("c",), previous: RoutingTable | None = None
) -> RoutingTable:
    """A table with one router, for middlewares of which some may be chains."""

    def make(definition: Middleware) -> Any:
        return LiveChain(definition) if definition.type == "chain" else Live(definition)

    wanted = configuration(router("r", middlewares=tuple(used)), middlewares=middlewares)
    return compile_table(wanted, [WEB], previous=previous, make_middleware=make, make_service=Live)


def chain(name: str, *members: str) -> Middleware:
    return Middleware(name, "chain", {"middlewares": members}, "container web-1")


def passed(made: RoutingTable) -> list[str]:
    """The middlewares that a request of the only router passes."""
    return [live.definition.name for live in made.routes[0].middlewares]


A, B, C = (Middleware(f"{name}@docker", "x") for name in "abc")


def test_members_of_a_chain_are_put_in_its_place() -> None:
    made = chained(
        A, B, C, chain("c@docker", "a", "d@docker"), chain("d@docker", "b", "c@x"), Middleware("c@x", "x")
    )
    assert passed(made) == ["a@docker", "b@docker", "c@x"]
    assert made.problems == ()
    made = chained(A, B, chain("d@docker", "b", "a"), used=("a", "d", "b", "d"))
    assert passed(made) == ["a@docker", "b@docker", "a@docker", "b@docker", "b@docker", "a@docker"]


def test_member_is_meant_where_its_chain_was_written() -> None:
    other = Middleware("a@file", "x")
    made = chained(A, other, chain("c@file", "a"), used=("c@file",))
    assert passed(made) == ["a@file"]


@pytest.mark.parametrize(
    ("middlewares", "why"),
    [
        ([chain("c@docker", "c")], "it leads back to itself: c@docker → c@docker"),
        (
            [A, chain("c@docker", "a", "d"), chain("d@docker", "c")],
            "it leads back to itself: c@docker → d@docker → c@docker",
        ),
        ([chain("c@docker", "a")], 'middleware "a@docker" does not exist'),
        ([A, Middleware("bad@docker", "bad"), chain("c@docker", "a", "bad")], "it is bad"),
    ],
)
def test_router_with_a_chain_that_can_not_be_used_is_off(middlewares: list[Middleware], why: str) -> None:
    made = chained(*middlewares)
    assert taken(made) is None
    assert why in made.disabled["r@docker"][0]
    assert any(why in problem.why and "web-1" in problem.where for problem in made.problems) or "bad" in why


def test_chain_that_nobody_uses_is_a_problem_all_the_same() -> None:
    made = chained(A, chain("d@docker", "d"), used=("a",))
    assert taken(made) == "r"
    assert [problem.why for problem in made.problems] == ["it leads back to itself: d@docker → d@docker"]


def test_chain_works_as_soon_as_its_members_are_there_and_keeps_them() -> None:
    wanted = chain("c@docker", "a")
    first = chained(wanted)
    second = chained(wanted, A, previous=first)
    third = chained(wanted, A, B, previous=second)
    assert (taken(first), passed(second)) == (None, ["a@docker"])
    assert third.routes[0].middlewares[0] is second.routes[0].middlewares[0]


def test_rule_read_before_is_not_read_again() -> None:
    old = table(configuration(router("r"), router("gone", "Path(`/x`)")))
    new = table(configuration(router("renamed")), previous=old)
    assert new.routes[0].rule is old.routes[0].rule
    again = table(configuration(router("r"), router("gone", "Path(`/x`)")), previous=new)
    assert again.routes[0].rule is old.routes[0].rule
    # Nor is that of a router that was gone for a while.
    assert again.routes[1].rule is old.routes[1].rule


def test_hosts_are_those_named_in_full() -> None:
    made = table(
        configuration(
            router("a"), router("b", "Host(`b.example`) || Host(`*.c.example`)"), router("c", "Path(`/`)")
        )
    )
    assert made.hosts() == {"a.example", "b.example"}


def test_hint_is_given_for_the_first_mistakes_only() -> None:
    """Looking for near names is slow, and a configuration may be wrong in thousands of places."""
    made = table(configuration(*(router(f"r{n}", f"Path(`/{n}`)", service="ss") for n in range(60))))
    assert len(made.problems) == 60
    assert sum(problem.hint == "did you mean s?" for problem in made.problems) == 50


def test_who_may_answer_for_a_name_over_tls() -> None:
    plain, secure = router("p"), router("s", "Host(`s.example`)", tls=True, entry_points=("web",))
    made = table(configuration(plain, secure, router("v1", "Host:v.example", dialect="v1")))
    for name, answers in (("s.example", True), ("v.example", True), ("a.example", False), ("", False)):
        assert made.answers("web", name) is answers, name
    assert not made.answers("websecure", "s.example")
    assert not made.answers("other", "s.example")
    every = table(configuration(router("every", "PathPrefix(`/`)", tls=True)))
    assert every.answers("web", "x.example")


def test_entry_points_of_datagrams_are_none_of_http() -> None:
    wanted = configuration(router("r"), router("d", entry_points=("dns",)))
    made = table(wanted, WEB, EntryPoint("dns", 53, udp=True))
    assert made.routes[0].entry_points == ("web",)
    assert "d@docker" in made.disabled


def test_streams_are_made_of_those_before_and_their_problems_are_told() -> None:
    before: list[StreamTable | None] = []

    def make_streams(wanted: Configuration, previous: StreamTable | None) -> StreamTable:
        before.append(previous)
        return StreamTable(wanted, problems=(Problem("TCP router db@docker", "it is bad"),))

    def made(previous: RoutingTable | None) -> RoutingTable:
        return compile_table(
            configuration(),
            (WEB,),
            previous=previous,
            make_middleware=Live,
            make_service=Live,
            make_streams=make_streams,
        )

    first = made(None)
    assert made(first).problems == (Problem("TCP router db@docker", "it is bad"),)
    assert before == [None, first.streams]


def asking(reference: str, *more: str) -> Configuration:
    """A router whose pages of errors another service has."""
    settings = {"status": ["500-599"], "Service": reference, "query": "/"}
    pages = Middleware("pages@docker", "errors", settings, "file f")
    return configuration(
        router("web", middlewares=("pages",)), services=("s@docker", *more), middlewares=(pages,)
    )


def test_pages_of_a_service_that_isn_t_there_are_a_warning_and_the_router_goes_on() -> None:
    found = table(asking("pagse", "pages@docker"))
    (problem,) = found.problems
    assert (problem.where, problem.severity) == ("middleware pages@docker of file f", "warning")
    assert problem.why == 'service "pagse@docker" does not exist; its pages are not shown'
    assert problem.hint == "did you mean pages?"
    assert [route.name for route in found.routes] == ["web@docker"]
    assert not table(asking("pages", "pages@docker")).problems


def test_pages_of_a_service_that_can_t_be_used_say_why() -> None:
    wanted = asking("pages")
    broken = Service("pages@docker", strategy="bad")
    found = table(replace(wanted, services={**wanted.services, broken.name: broken}))
    assert 'service "pages@docker" can\'t be used: it is bad; its pages are not shown' in {
        problem.why for problem in found.problems
    }


def test_pages_are_looked_for_in_each_table() -> None:
    first = table(asking("pages"))
    second = table(asking("pages", "pages@docker"), previous=first)
    third = table(asking("pages"), previous=second)
    assert [len(one.problems) for one in (first, second, third)] == [1, 0, 1]
    assert third.problems == first.problems
    assert not table(configuration(), previous=third).problems
