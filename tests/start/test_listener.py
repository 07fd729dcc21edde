"""Where the API, the dashboard and ``/ping`` are, and which entry points have them too."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.model import Configuration, EntryPoint
from dynbalancer.core.settings import ApiSettings
from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer.start.assembly import Chosen
from dynbalancer.start.listener import Asked

WEB = EntryPoint("web", 80)
TRAEFIK = EntryPoint("traefik", 8080)
ADDRESS = {"entrypoints.traefik.address": ("", 8080, False)}


def asked(values: dict[str, Any], notes: list[Problem] | None = None, *, v3: bool = False) -> Asked:
    """What these values, each from its flag, ask for."""
    chosen = {key: Chosen(value, f"--{key}") for key, value in values.items()}
    if v3:
        chosen["docker"] = Chosen(True, "--providers.docker")
    return Asked(chosen, [] if notes is None else notes)


@pytest.mark.parametrize(
    "values, expected",
    [
        ({}, None),
        ({"api": True}, ApiSettings()),
        ({"api": False, "ping": False}, None),
        ({"ping": True}, ApiSettings("", 8080, dashboard=False, ping_only=True)),
        ({"ping": True, "api": True}, ApiSettings()),
        ({"ping.entrypoint": "traefik"}, ApiSettings("", 8080, dashboard=False, ping_only=True)),
        ({"ping.entrypoint": "web"}, ApiSettings("127.0.0.1", 0, dashboard=False, ping_only=True)),
        ({"ping.manualrouting": True}, ApiSettings("127.0.0.1", 0, dashboard=False, ping_only=True)),
        ({"ping": True, **ADDRESS}, ApiSettings("", 8080, dashboard=False, ping_only=True)),
        ({"api.entrypoint": "web"}, ApiSettings()),
        ({"api": True, "api.address": ("::1", 9), **ADDRESS}, ApiSettings("::1", 9)),
    ],
)
def test_where_the_listener_is(values: dict[str, Any], expected: ApiSettings | None) -> None:
    assert asked(values).settings((WEB,), "") == expected


@pytest.mark.parametrize(
    "values, v3, own",
    [
        ({}, True, False),
        ({"api": True, **ADDRESS}, False, False),
        ({"api": True, **ADDRESS}, True, True),
        ({"api": True, "api.insecure": True, **ADDRESS}, True, False),
        ({"ping": True, **ADDRESS}, True, False),
        ({"ping": True, "api": True, **ADDRESS}, True, True),
        ({"api.insecure": True, "entrypoints.traefik.http.middlewares": ("auth",), **ADDRESS}, True, True),
        ({"api": True, "entrypoints.traefik.http.tls": True, **ADDRESS}, False, True),
        ({"api": True, "entrypoints.traefik.asdefault": True, **ADDRESS}, False, False),
    ],
)
def test_when_traefik_is_an_entry_point_as_others_are(values: dict[str, Any], *, v3: bool, own: bool) -> None:
    assert asked(values, v3=v3).has_own_entry_point == own


def test_the_api_gives_way_to_an_entry_point_and_says_so() -> None:
    notes: list[Problem] = []
    points = (EntryPoint("web", 8080),)
    assert asked({"api": True}, notes).settings(points, "t") == ApiSettings("127.0.0.1", 0, token="t")
    assert [(note.where, note.severity) for note in notes] == [("--api", "warning")]
    assert ":8080 is the entry point web's" in notes[0].why


@pytest.mark.parametrize(
    "values, where",
    [
        ({"api.insecure": True}, "--api.insecure"),
        ({"api.address": ("127.0.0.1", 8080)}, "--api.address"),
        ({"ping": True}, "--ping"),
        ({"api": True, **ADDRESS}, "--entrypoints.traefik.address"),
    ],
)
def test_whoever_wants_the_port_of_an_entry_point_for_the_api_is_refused(
    values: dict[str, Any], where: str
) -> None:
    with pytest.raises(ConfigurationError, match="both want :8080") as caught:
        asked(values).settings((EntryPoint("web", 8080),), "")
    assert caught.value.where == where


@pytest.mark.parametrize(
    "point", [EntryPoint("dns", 8080, udp=True), EntryPoint("web", 8080, "10.0.0.1"), EntryPoint("any", 0)]
)
def test_other_addresses_and_datagrams_are_in_nobody_s_way(point: EntryPoint) -> None:
    assert asked({"api": True}).settings((point,), "") == ApiSettings()


@pytest.mark.parametrize(
    "values, expected",
    [
        ({}, {}),
        ({"api": True}, {}),
        ({"ping": True}, {"ping": ("traefik", "ping@internal")}),
        ({"ping": True, "ping.manualrouting": True}, {}),
        ({"ping.entrypoint": "WEB"}, {"ping": ("web", "ping@internal")}),
        (
            {"api.insecure": True},
            {"api": ("traefik", "api@internal"), "dashboard": ("traefik", "dashboard@internal")},
        ),
        (
            {"api.entrypoint": "web"},
            {"api": ("web", "api@internal"), "dashboard": ("web", "dashboard@internal")},
        ),
        ({"api.entrypoint": "web", "api.dashboard": False}, {"api": ("web", "api@internal")}),
        ({"api.entrypoint": "traefik"}, {}),
    ],
)
def test_routers_of_entry_points_that_serve_the_pages(
    values: dict[str, Any], expected: dict[str, tuple[str, str]]
) -> None:
    found = asked(values, v3=True).with_routers(Configuration(), (WEB, TRAEFIK)).routers
    assert {name: (*router.entry_points, router.service) for name, router in found.items()} == expected


def test_in_version_1_the_api_is_on_its_entry_point_without_being_insecure() -> None:
    found = asked({"api": True}).with_routers(Configuration(), (WEB, TRAEFIK)).routers
    assert {name: router.entry_points for name, router in found.items()} == {
        "api": ("traefik",),
        "dashboard": ("traefik",),
    }
    assert not asked({"api": True}).with_routers(Configuration(), (WEB,)).routers


def test_ping_goes_before_all_and_the_dashboard_after_the_api() -> None:
    values = {"ping": True, "api.insecure": True}
    found = asked(values).with_routers(Configuration(), (WEB, TRAEFIK)).routers
    assert found["ping"].priority > found["api"].priority > found["dashboard"].priority > 2**62
    assert found["ping"].priority == 2**63 - 1


@pytest.mark.parametrize("name, hint", [("wbe", "did you mean web?"), ("zzz", "there is web, traefik")])
def test_an_entry_point_that_isn_t_there_is_one_sentence(name: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=f"there is no entry point {name}") as caught:
        asked({"ping.entrypoint": name}).with_routers(Configuration(), (WEB, TRAEFIK))
    assert caught.value.hint == hint


def test_an_address_for_everybody_doesn_t_count_where_a_flag_says_another() -> None:
    chosen = {
        "api": Chosen(True, "--api"),
        "api.address": Chosen(("", 8080), "DYNBALANCER_API_ADDRESS"),
        "entrypoints.traefik.address": Chosen(("", 9000, False), "--entrypoints.traefik.address"),
    }
    assert Asked(chosen).settings((WEB,), "") == ApiSettings("", 9000)


def test_routers_of_entry_points_know_the_path_that_all_is_below() -> None:
    values = {"api": True, "api.entrypoint": "web", "api.basepath": "/lb"}
    found = asked(values)
    made = found.settings((WEB,), "")
    assert made is not None and made.base_path == "/lb"
    routers = found.with_routers(Configuration(), (WEB,)).routers
    assert {name: router.rule for name, router in routers.items()} == {
        "api": "PathPrefix(`/lb/api`)",
        "dashboard": "PathPrefix(`/lb/dashboard`)",
    }
