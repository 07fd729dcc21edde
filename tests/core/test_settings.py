"""What is fixed at start: limits that bound everything, and defaults that expose nothing."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from dynbalancer.core.model import EntryPoint
from dynbalancer.core.settings import AccessLogSettings, ApiSettings, Limits, Settings


@pytest.mark.parametrize("limit", fields(Limits), ids=lambda field: field.name)
def test_everything_is_limited_by_default(limit: object) -> None:
    value = getattr(Limits(), limit.name)  # type: ignore[attr-defined]
    # How much memory there is says the system; a request may be as long as it moves.
    assert value > 0 or limit.name in ("memory", "request_time")  # type: ignore[attr-defined]
    # A time is a float and everything counted an int: flags are read by that.
    assert isinstance(value, float if limit.name.endswith("_time") else int)  # type: ignore[attr-defined]


def test_times_are_those_that_were_published() -> None:
    limits = Limits()
    assert (limits.head_time, limits.body_time, limits.idle_time, limits.write_time) == (10, 30, 60, 60)
    assert (limits.connect_time, limits.response_time, limits.tunnel_time) == (3, 60, 3600)


def test_lines_fit_into_heads() -> None:
    limits = Limits()
    assert limits.request_line <= limits.head <= limits.response_head
    assert limits.chunk_line < limits.trailers < limits.head
    assert limits.trailer_fields < limits.fields < limits.response_fields


def test_nothing_but_the_entry_point_is_on_by_default() -> None:
    settings = Settings()
    assert [point.address for point in settings.entry_points] == [":80"]
    assert (settings.api, settings.access_log, dict(settings.providers)) == (None, None, {})
    assert settings.verify_upstream_tls


def test_api_listens_at_home_by_default() -> None:
    assert (ApiSettings().host, ApiSettings().port, ApiSettings().token) == ("127.0.0.1", 8080, "")
    assert AccessLogSettings() == AccessLogSettings("", "common")


@pytest.mark.parametrize("value", [Limits(), Settings(), ApiSettings(), AccessLogSettings()])
def test_settings_never_change(value: object) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(value)[0].name, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("point", "limits", "found"),
    [
        ({}, {}, {}),
        ({"idle_time": 5.0}, {}, {"idle_time": 5.0}),
        ({"idle_time": 0.0}, {}, {"idle_time": 0.0}),
        ({"read_time": 600.0}, {}, {"request_time": 600.0}),
        (
            {"read_time": 5.0},
            {},
            {"request_time": 5.0, "head_time": 5.0, "body_time": 5.0, "handshake_time": 5.0},
        ),
        (
            {"read_time": 20.0},
            {"head_time": 0.0},
            {"request_time": 20.0, "head_time": 20.0, "body_time": 20.0},
        ),
        ({"read_time": 0.0}, {"request_time": 7.0}, {"request_time": 0.0}),
        ({}, {"request_time": 20.0}, {"body_time": 20.0}),
    ],
)
def test_an_entry_point_s_own_times_count(
    point: dict[str, float], limits: dict[str, float], found: dict[str, float]
) -> None:
    given = Limits(**limits)  # type: ignore[arg-type]
    there = given.at(EntryPoint("web", 80, **point))  # type: ignore[arg-type]
    assert there == replace(given, **found)  # type: ignore[arg-type]


def test_an_entry_point_may_escape_the_semicolons_of_queries() -> None:
    usual = Limits(head=1000)
    there = usual.at(EntryPoint("web", 80, escape_semicolons=True))
    assert (usual.at(EntryPoint("web", 80)).semicolon, there.semicolon) == (b"&", b"%3B")
    assert there.head == 1000
