"""Which options hold for which name, and who is misdirected: as tables compile them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dynbalancer.core.exchange import Exchange, RequestHead
from dynbalancer.core.model import Configuration, EntryPoint, Router, Service, TLSOptions
from dynbalancer.core.streams import StreamRouter, StreamService
from dynbalancer.core.streamtable import compile_streams
from dynbalancer.core.table import RoutingTable, compile_table
from dynbalancer.core.tlschoice import BUILT_IN, NO_CHOICES, UNNAMED, NamedOptions, with_objections
from dynbalancer.errors import ConfigurationError

SECURE, PLAIN = EntryPoint("websecure", 443, tls=True), EntryPoint("web", 80)
MTLS = TLSOptions("mtls@file", client_auth="RequireAndVerifyClientCert", client_cas=("ca",))
MODERN = TLSOptions("modern@file", min_version="VersionTLS13")
DEFAULT = TLSOptions("default@file", min_version="VersionTLS12", sni_strict=True)
BROKEN = TLSOptions("broken@file", broken="there are mistakes in it")
ALL = {one.name: one for one in (MTLS, MODERN, BROKEN)}


def router(name: str, rule: str, options: str = "", **about: Any) -> Router:
    """A router with TLS."""
    return Router(f"{name}@file", rule, "s", tls=True, tls_options=options, **about)


def table(
    *routers: Router,
    options: Mapping[str, TLSOptions] = ALL,
    points: tuple[EntryPoint, ...] = (SECURE, PLAIN),
    previous: RoutingTable | None = None,
) -> RoutingTable:
    """The table of these."""
    configuration = Configuration(
        routers={one.name: one for one in routers},
        services={"s@file": Service("s@file")},
        tls_options=options,
    )
    return compile_table(
        configuration,
        points,
        previous=previous,
        make_middleware=lambda wanted: None,
        make_service=lambda wanted, running: wanted,
    )


class Begun(Exchange):
    """A request on a connection that was begun by certain options."""

    begun: TLSOptions | None = BUILT_IN

    @property
    def tls_options(self) -> TLSOptions | None:
        return self.begun


def asked(found: RoutingTable, host: str, begun: TLSOptions | None, path: bytes = b"/") -> str:
    """The router that answers, ``404`` or ``421``."""
    exchange = Begun(RequestHead(b"GET", path, scheme=b"https", authority=host.encode()), SECURE, "192.0.2.1")
    exchange.head.host = host.encode()
    exchange.begun = begun
    route = found.route(exchange)
    if route is not None:
        return route.name.partition("@")[0]
    return "421" if found.misdirects(exchange) else "404"


def test_each_host_has_the_options_of_its_routers() -> None:
    found = table(
        router("a", "Host(`a.example`)", "mtls"),
        router("b", "Host(`b.example`) || Host(`c.example`)", "modern@file"),
        router("w", "Host(`*.w.example`)", "mtls"),
        router("x", "Host(`x.w.example`)"),
    )
    choice = found.choices.at("websecure")
    names = [b"a.example", b"b.example", b"c.example", b"d.example", b"y.w.example", b"x.w.example", b""]
    assert [choice.of(name) for name in names] == [MTLS, MODERN, MODERN, BUILT_IN, MTLS, BUILT_IN, BUILT_IN]
    assert found.problems == ()


def test_who_asks_for_a_host_with_other_options_is_misdirected() -> None:
    found = table(router("a", "Host(`a.example`)", "mtls"), router("b", "Host(`b.example`)"))
    assert asked(found, "a.example", MTLS) == "a"
    assert asked(found, "a.example", BUILT_IN) == "421"
    assert asked(found, "b.example", BUILT_IN) == "b"
    assert asked(found, "b.example", MTLS) == "421"
    assert asked(found, "c.example", BUILT_IN) == "404"
    assert asked(found, "c.example", MTLS) == "421"
    assert asked(found, "a.example", replace(MTLS, client_cas=("older",))) == "421"
    assert asked(found, "a.example", None) == "a"


def test_where_somebody_else_speaks_tls_only_locked_routers_are_out_of_reach() -> None:
    found = table(router("a", "Host(`a.example`)", "mtls"), router("m", "Host(`m.example`)", "modern"))
    assert asked(found, "a.example", UNNAMED) == "421"
    assert asked(found, "m.example", UNNAMED) == "m"


@pytest.mark.parametrize("options", [{}, {"mtls@file": MTLS}])
def test_tables_without_a_choice_compare_nothing(options: dict[str, TLSOptions]) -> None:
    found = table(router("a", "Host(`a.example`)"), options=options)
    assert type(found) is RoutingTable
    assert not found.choices.guard
    assert asked(found, "a.example", MTLS) == "a"


def test_default_options_hold_for_all_that_name_none() -> None:
    demanding = replace(MTLS, name="default@file")
    found = table(router("a", "Host(`a.example`)"), options={"default@file": demanding})
    assert found.choices.at("websecure").default == demanding
    assert asked(found, "a.example", demanding) == "a"
    assert asked(found, "a.example", BUILT_IN) == "421"


@pytest.mark.parametrize("first, second, why", [
    ("modern", "", "found different TLS options for routers on the same host a.example"),
    ("mtls", "", "found different TLS options for routers on the same host a.example"),
])  # fmt: skip
def test_routers_of_one_host_that_disagree_get_the_default_options(first: str, second: str, why: str) -> None:
    found = table(
        router("one", "Host(`a.example`) && Path(`/one`)", first), router("two", "Host(`a.example`)", second)
    )
    assert found.choices.at("websecure").of(b"a.example") == BUILT_IN
    assert [why in problem.why for problem in found.problems] == [True, True]
    # But nothing that wants certificates is open without.
    assert asked(found, "a.example", BUILT_IN, b"/one") == ("421" if first == "mtls" else "one")
    assert asked(found, "a.example", BUILT_IN) == "two"
    severities = {problem.where.partition("@")[0]: problem.severity for problem in found.problems}
    assert severities == {"router one": "error" if first == "mtls" else "warning", "router two": "warning"}


def test_router_without_host_is_locked_where_it_wants_certificates() -> None:
    found = table(router("p", "PathPrefix(`/`)", "mtls"), router("a", "Host(`a.example`)", "mtls"))
    (problem,) = found.problems
    assert (problem.severity, "names no host" in problem.why) == ("error", True)
    assert asked(found, "z.example", BUILT_IN) == "421"
    assert asked(found, "a.example", MTLS) == "a"


def test_router_without_host_is_open_by_the_default_options_where_all_may_come() -> None:
    found = table(router("p", "PathPrefix(`/`)", "modern"))
    (problem,) = found.problems
    assert problem.severity == "warning"
    assert asked(found, "z.example", BUILT_IN) == "p"


def test_wildcard_host_with_certificates_is_not_reached_by_way_of_an_exact_one() -> None:
    found = table(
        router("w", "Host(`*.example`)", "mtls"), router("a", "Host(`a.example`) && Path(`/open`)", "modern")
    )
    assert asked(found, "a.example", MODERN, b"/open") == "a"
    assert asked(found, "a.example", MODERN, b"/secret") == "421"


@pytest.mark.parametrize("name, why", [
    ("none@file", "unknown TLS options: none@file"),
    ("mtsl", "unknown TLS options: mtsl@file"),
    ("broken", "TLS options broken@file can't be used: there are mistakes in it"),
])  # fmt: skip
def test_router_with_unknown_or_broken_options_is_off(name: str, why: str) -> None:
    found = table(router("a", "Host(`a.example`)", name))
    assert found.disabled["a@file"] == (why,)
    assert asked(found, "a.example", BUILT_IN) == "404"
    again = table(
        router("a", "Host(`a.example`)", name),
        options={**ALL, "none@file": MODERN, "mtsl@file": MODERN, "broken@file": MODERN},
        previous=found,
    )
    assert not again.disabled


def test_unknown_options_get_a_hint() -> None:
    with pytest.raises(ConfigurationError) as raised:
        NamedOptions(ALL).find("mtsl", "a@file")
    assert raised.value.hint == "did you mean mtls@file?"


def test_broken_default_options_close_every_router_with_tls() -> None:
    options = {"default@file": replace(BROKEN, name="default@file"), **ALL}
    found = table(
        router("a", "Host(`a.example`)"),
        router("b", "Host(`b.example`)", "modern"),
        Router("v1@file", "Host:v.example", "s", dialect="v1", entry_points=("web",)),
        options=options,
    )
    assert list(found.disabled) == ["a@file"]
    assert found.choices.at("websecure").of(b"b.example") == MODERN
    assert found.choices.at("websecure").default.broken
    assert found.choices.at("web").of(b"v.example").broken


def test_of_several_default_options_none_counts() -> None:
    other = replace(DEFAULT, name="default@other")
    found = table(router("a", "Host(`a.example`)"), options={"default@file": DEFAULT, "default@other": other})
    assert found.choices.at("websecure").default == BUILT_IN
    assert "more than one is named default" in found.problems[0].why
    locked = replace(MTLS, name="default@other")
    found = table(
        router("a", "Host(`a.example`)"), options={"default@file": DEFAULT, "default@other": locked}
    )
    assert list(found.disabled) == ["a@file"]


def test_entry_point_has_options_for_routers_without_tls_of_their_own() -> None:
    point = replace(SECURE, tls_options="mtls@file")
    found = table(
        Router("a@docker", "Host(`a.example`)", "s@file"), router("b", "Host(`b.example`)"), points=(point,)
    )
    choice = found.choices.at("websecure")
    assert [choice.of(name) for name in (b"a.example", b"b.example", b"c.example")] == [MTLS, BUILT_IN, MTLS]
    (problem,) = found.problems
    assert "its own tls takes the place of TLS options mtls@file" in problem.why


def test_what_an_entry_point_of_traefik_1_asks_it_asks_of_all() -> None:
    point = replace(SECURE, tls_options="ca@internal")
    ours = replace(MTLS, name="ca@internal")
    found = table(
        Router("v1@docker", "Host:a.example", "s@file", dialect="v1"),
        router("b", "Host(`b.example`)"),
        router("c", "PathPrefix(`/`)"),
        points=(point,),
        options={"ca@internal": ours},
    )
    assert found.problems == ()
    assert found.choices.at("websecure").default == ours
    assert not found.choices.at("websecure").by_host
    assert asked(found, "z.example", ours) == "c"
    assert asked(found, "z.example", BUILT_IN) == "421"


def test_entry_point_whose_options_do_not_exist_lets_nobody_in() -> None:
    point = replace(SECURE, tls_options="none@file")
    found = table(Router("a@file", "Host(`a.example`)", "s"), points=(point,))
    assert found.disabled["a@file"] == ("unknown TLS options: none@file",)
    assert found.choices.at("websecure").default.broken
    assert any(problem.where == "entryPoint websecure" for problem in found.problems)


def test_change_of_options_reaches_every_router() -> None:
    first = table(router("a", "Host(`a.example`)", "mtls"), options={})
    assert list(first.disabled) == ["a@file"]
    second = table(router("a", "Host(`a.example`)", "mtls"), previous=first)
    assert not second.disabled
    third = table(router("a", "Host(`a.example`)", "mtls"), options={}, previous=second)
    assert list(third.disabled) == ["a@file"]
    assert third.choices is NO_CHOICES


def streams(name: str, **about: Any) -> Any:
    """The table of a TCP router with these options."""
    router = StreamRouter("t@file", "HostSNI(`t.example`)", "s", tls=True, tls_options=name, **about)
    configuration = Configuration(
        tcp_routers={"t@file": router}, tcp_services={"s@file": StreamService("s@file")}, tls_options=ALL
    )
    return compile_streams(
        configuration,
        None,
        entry_points=[SECURE],
        make_middleware=lambda wanted: None,
        make_service=lambda *wanted: wanted,
    )


def test_tcp_router_has_its_own_options() -> None:
    assert streams("mtls").routes[0].options == MTLS
    assert streams("").routes[0].options == BUILT_IN
    assert streams("none", passthrough=True).routes[0].options is None
    assert streams("none").disabled == {("tcp", "t@file"): ("unknown TLS options: none@file",)}


def test_options_that_cannot_be_obeyed_here_are_broken() -> None:
    configuration = Configuration(tls_options=ALL)
    assert with_objections(configuration, lambda options: "") is configuration
    found = with_objections(configuration, lambda options: "no" if options is MTLS else "")
    assert found.tls_options["mtls@file"].broken == "no"
    assert found.tls_options["modern@file"] == MODERN
