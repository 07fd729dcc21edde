"""Reading events: what is ours, whom it concerns, and no trust in the rest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynbalancer_docker.events import Event, read_event
from tests.providers.docker.fake_engine import container_id

WEB = container_id("web")


def container_event(action: str, **more: Any) -> dict[str, Any]:
    """An event as engines have sent it since API 1.22."""
    return {
        "Type": "container",
        "Action": action,
        "Actor": {"ID": WEB, "Attributes": {"name": "web"}},
        **more,
    }


def test_kill_tells_signal_name_and_time() -> None:
    document = container_event("kill", timeNano=1_700_000_000_500_000_000)
    document["Actor"]["Attributes"]["signal"] = "15"
    assert read_event(document) == Event(WEB, "kill", "web", 15, 1_700_000_000.5)


@pytest.mark.parametrize(
    "said, action",
    [
        ("health_status: healthy", "health_status"),
        ("health_status", "health_status"),
        ("died", "die"),
        ("start", "start"),
    ],
)
def test_action_is_known_by_its_first_word(said: str, action: str) -> None:
    found = read_event(container_event(said))
    assert found is not None
    assert found.action == action


def test_network_event_is_about_the_container_in_its_attributes() -> None:
    document = {
        "Type": "network",
        "Action": "connect",
        "Actor": {"ID": "n1", "Attributes": {"container": WEB, "name": "net"}},
    }
    assert read_event(document) == Event(WEB, "connect")


def test_old_engines_say_status_and_id() -> None:
    assert read_event({"status": "start", "id": WEB, "time": 1_700_000_000}) == Event(
        WEB, "start", time=1_700_000_000.0
    )


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        container_event("exec_create: /bin/sh"),
        container_event("attach"),
        {"Type": "network", "Action": "create", "Actor": {"ID": "n1"}},
        {"Type": "network", "Action": "start", "Actor": {"Attributes": {"container": WEB}}},
        {"Type": "volume", "Action": "destroy", "Actor": {"ID": WEB}},
        {"Type": "container", "Action": "start", "Actor": {"ID": "../../x"}},
        {"Type": "container", "Action": "start", "Actor": {"ID": 7}},
        {"Type": "container", "Action": 7, "Actor": {"ID": WEB}},
    ],
)
def test_what_is_not_ours_is_left_out(document: object) -> None:
    assert read_event(document) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100)
@given(
    st.dictionaries(
        st.sampled_from(["Type", "Action", "Actor", "status", "id", "timeNano", "time"]), json_values
    )
)
def test_rubbish_is_never_more_than_none_or_an_event(document: dict[str, object]) -> None:
    assert isinstance(read_event(document), Event | None)
