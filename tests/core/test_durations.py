"""Durations: Traefik's spellings are read, everything else is refused."""

from __future__ import annotations

import pytest

from dynbalancer.core.durations import go_duration, seconds_of


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("10s", 10),
        ("1m30s", 90),
        ("500ms", 0.5),
        ("1h", 3600),
        ("100µs", 0.0001),
        ("1.5s", 1.5),
        ("0", 0),
        ("15", 15),
        ("2.5", 2.5),
    ],
)
def test_durations_are_go_s_and_plain_seconds(text: str, seconds: float) -> None:
    assert seconds_of(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "10 parsecs", "-1s", "1s2", "nan", "inf", "1e12"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        seconds_of(text)


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "0s"),
        (1e-9, "1ns"),
        (1.5e-6, "1.5µs"),
        (0.0125, "12.5ms"),
        (0.999, "999ms"),
        (1, "1s"),
        (1.5, "1.5s"),
        (60, "1m0s"),
        (3723.25, "1h2m3.25s"),
        (90000, "25h0m0s"),
    ],
)
def test_go_durations(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text
