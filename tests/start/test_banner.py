"""What is said at start."""

from __future__ import annotations

import pytest

from dynbalancer.core.model import EntryPoint
from dynbalancer.core.settings import ApiSettings, Settings
from dynbalancer.start import banner


def test_the_demo_names_two_curls_and_the_dashboard_in_five_lines() -> None:
    found = banner.lines(
        Settings(
            entry_points=(EntryPoint("web", 8000),), api=ApiSettings(), providers={"demo": {}}, workers=2
        )
    )
    assert found[0].endswith("with 2 workers; providers: demo")
    assert found[1:] == [
        "Entry points: web on :8000",
        "Dashboard: http://127.0.0.1:8080/dashboard/",
        "Try: curl http://localhost:8000/",
        'Try: curl -H "Host: whoami.docker.localhost" http://localhost:8000/',
    ]


@pytest.mark.parametrize(
    "workers, words", [(0, "in one process"), (1, "with 1 worker;"), (3, "with 3 workers")]
)
def test_how_many_forward(workers: int, words: str) -> None:
    assert words in banner.lines(Settings(workers=workers))[0] + ";"


def test_without_a_dashboard_the_api_is_named() -> None:
    assert (
        banner.lines(Settings(api=ApiSettings("::1", 9, dashboard=False)))[-1]
        == "API: http://[::1]:9/api/overview"
    )


def test_what_is_probably_not_meant() -> None:
    assert [note.severity for note in banner.notes(Settings(), gave_up_root=False)] == ["warning"]
    found = banner.notes(Settings(user="a", providers={"docker": {}}), gave_up_root=False)
    assert [(note.where, note.severity) for note in found] == [("--user", "info")]
    assert banner.notes(Settings(user="a", providers={"docker": {}}), gave_up_root=True) == ()


def test_where_only_ping_is_that_is_named() -> None:
    api = ApiSettings("", 9, dashboard=False, ping_only=True)
    assert banner.lines(Settings(api=api))[-1] == "Ping: http://localhost:9/ping"
