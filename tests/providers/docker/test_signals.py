"""Signals by name and by number."""

from __future__ import annotations

import pytest

from dynbalancer_docker.signals import number_of


@pytest.mark.parametrize(
    "written, number",
    [
        ("SIGTERM", 15),
        ("term", 15),
        ("15", 15),
        (15, 15),
        (" SIGQUIT ", 3),
        ("HUP", 1),
        ("WINCH", 28),
        ("SYS", 31),
        ("IOT", 6),
        ("RTMIN", 34),
        ("SIGRTMIN+3", 37),
        ("RTMAX-1", 63),
    ],
)
def test_signal_is_found_however_it_is_written(written: object, number: int) -> None:
    assert number_of(written) == number


@pytest.mark.parametrize(
    "written",
    [
        "",
        "SIG",
        "SIGNONSENSE",
        "0",
        "-15",
        "99999999999999",
        "²",
        "RTMIN+",
        "RTMIN*2",
        "RTMAX+9",
        True,
        None,
        1.5,
    ],
)
def test_what_is_no_signal_gives_none(written: object) -> None:
    assert number_of(written) is None
