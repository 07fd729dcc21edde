"""Containers as values."""

from __future__ import annotations

import pytest

from dynbalancer.core.labels.containers import Container


@pytest.mark.parametrize(
    "labels, compose",
    [
        ({}, None),
        ({"com.docker.compose.project": "p"}, None),
        ({"com.docker.compose.project": "p", "com.docker.compose.service": "s"}, ("s", "p")),
    ],
)
def test_compose_is_known_with_both_labels(labels: dict[str, str], compose: tuple[str, str] | None) -> None:
    assert Container("1", "a", labels=labels).compose == compose


@pytest.mark.parametrize("value, one_off", [("True", True), ("true", True), ("False", False), ("", False)])
def test_one_off_is_what_compose_says(value: str, one_off: bool) -> None:
    assert Container("1", "a", labels={"com.docker.compose.oneoff": value}).one_off is one_off


@pytest.mark.parametrize(
    "state, stopped", [("running", False), ("paused", False), ("exited", True), ("dead", True)]
)
def test_stopped_means_that_nothing_runs(state: str, stopped: bool) -> None:
    assert Container("1", "a", state=state).stopped is stopped


@pytest.mark.parametrize(
    "state, health, serves",
    [
        ("running", "", True),
        ("running", "healthy", True),
        ("running", "starting", False),
        ("running", "unhealthy", False),
        ("draining", "", False),
        ("paused", "", False),
    ],
)
def test_serving_means_running_and_not_unhealthy(state: str, health: str, serves: bool) -> None:
    assert Container("1", "a", state=state, health=health).serves is serves
