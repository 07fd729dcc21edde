"""Whether what people have for Traefik starts here, what it is warned about, and how it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dynbalancer import plugins
from dynbalancer.core.settings import Settings
from dynbalancer.errors import ConfigurationError
from dynbalancer.start.options import Reading, read
from dynbalancer.testing import MemorySink

HERE = Path(__file__).parent
KEYS = frozenset(
    ("case", "flags", "env", "files", "points", "api", "providers", "routers", "warns", "notes")
) | {"refused", "settings"}


def cases() -> list[Any]:
    """All of all files."""
    return [
        pytest.param(case, id=f"{path.stem}: {case['case']}")
        for path in sorted(HERE.glob("*.yml"))
        for case in yaml.safe_load(path.read_text())
    ]


def started(case: dict[str, Any]) -> Reading:
    """What is read, once every provider could be made. Raises ConfigurationError."""
    argv = case.get("flags", "").splitlines()
    reading = read(argv, case.get("env", {}), case.get("files", {}).__getitem__, cpus=2)
    for name, options in reading.settings.providers.items():
        plugins.provider_makers()[name].make_provider(options, MemorySink(), None)
    return reading


def seen(settings: Settings) -> dict[str, Any]:
    """The settings in the words of the cases."""
    api = settings.api
    return {
        "points": {
            point.name: point.address + (" tls" if point.tls else "") for point in settings.entry_points
        },
        "api": api and f"{api.host}:{api.port}{' ping' if api.ping_only else ''}",
        "providers": sorted(settings.providers),
        "routers": {name: ",".join(router.entry_points) for name, router in settings.routing.routers.items()},
    }


def said(reading: Reading, *severities: str) -> list[str]:
    """What is noted."""
    return [str(note) for note in reading.notes if note.severity in severities]


def test_there_are_many_cases_and_each_says_something() -> None:
    found = [param.values[0] for param in cases()]
    assert len(found) >= 60
    assert all(case.keys() <= KEYS and case.keys() - {"case", "flags", "env", "files"} for case in found)
    assert len({case["case"] for case in found if "refused" in case}) >= 15


@pytest.mark.parametrize("case", cases())
def test_command_line(case: dict[str, Any]) -> None:
    if "refused" in case:
        with pytest.raises(ConfigurationError) as caught:
            started(case)
        assert case["refused"] in str(caught.value)
        assert "\n" not in str(caught.value)
        return
    reading = started(case)
    found = seen(reading.settings)
    assert {key: found[key] for key in found if key in case} == {
        key: case[key] for key in found if key in case
    }
    for name, value in case.get("settings", {}).items():
        assert str(getattr(reading.settings, name)) == value
    warnings = said(reading, "warning", "error")
    assert len(warnings) == len(case.get("warns", ())), warnings
    for piece in case.get("warns", ()):
        assert any(piece.lower() in warning.lower() for warning in warnings), (piece, warnings)
    for piece in case.get("notes", ()):
        assert any(piece in note for note in said(reading, "info"))
