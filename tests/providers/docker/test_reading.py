"""Reading what an engine says of containers: the values, the secrets that go, and rubbish."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynbalancer.core.labels.containers import Binding
from dynbalancer.errors import ConfigurationError
from dynbalancer_docker.reading import KEPT, Seen, read_container, read_row, stripped
from tests.providers.docker.fake_engine import container_id, description, row_of


def test_container_is_read_with_all_that_routing_needs() -> None:
    ports = {"8080/tcp": None, "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8000"}], "53/udp": None}
    seen = read_container(
        description("web-1", ports=ports, health="healthy", stop_signal="SIGQUIT", stop_timeout=30)
    )
    one = seen.container
    assert (one.id, one.name, one.image, one.state, one.health) == (
        container_id("web-1"),
        "web-1",
        "whoami",
        "running",
        "healthy",
    )
    assert one.networks == {"web": "172.18.0.2"}
    assert one.network_mode == "web"
    assert one.ports == (80, 8080)
    assert one.bindings == (Binding(80, "0.0.0.0", 8000, "tcp"), Binding(53, protocol="udp"))
    assert one.labels == {"traefik.frontend.rule": "Host:web-1.example.com"}
    assert (seen.stop_signal, seen.stop_timeout, seen.gateways) == (3, 30.0, {"web": "172.18.0.1"})
    assert seen.started == pytest.approx(1772359200.123456)
    assert one.created == 1772359199.0
    assert seen.problems == ()


def test_address_of_version_6_is_taken_where_there_is_no_other() -> None:
    networks = {"six": {"IPAddress": "", "GlobalIPv6Address": "fd00::2"}, "none": {"IPAddress": ""}}
    assert read_container(description("web", networks=networks)).container.networks == {"six": "fd00::2"}


def test_with_the_host_network_the_image_tells_the_ports() -> None:
    document = description("web", network_mode="host", networks={"host": {"IPAddress": ""}}, ports={})
    document["Config"]["ExposedPorts"] = {"9000/tcp": {}, "80/tcp": {}}
    assert read_container(document).container.ports == (80, 9000)


@pytest.mark.parametrize(
    "said, seconds", [(None, 10.0), (0, 0.0), (60, 60.0), (-1, 86400.0), (10**9, 86400.0)]
)
def test_stop_timeout_is_ten_seconds_unless_it_says_otherwise(said: object, seconds: float) -> None:
    assert read_container(description("web", stop_timeout=said)).stop_timeout == seconds


@pytest.mark.parametrize(
    "section, key, value, word",
    [
        ("Config", "Labels", ["a"], "Labels"),
        ("Config", "Labels", {"traefik.port": 80}, "label traefik.port"),
        ("Config", "Image", 3, "Image"),
        ("Config", "StopSignal", "SIGNONSENSE", "StopSignal"),
        ("Config", "StopTimeout", "ten", "StopTimeout"),
        ("HostConfig", "NetworkMode", {}, "NetworkMode"),
        ("NetworkSettings", "Networks", "web", "Networks"),
        ("NetworkSettings", "Networks", {"web": []}, "web"),
        ("NetworkSettings", "Ports", {"x/tcp": None}, "port 'x/tcp'"),
        ("NetworkSettings", "Ports", {"80/tcp": 5}, "binding of port 80"),
        ("NetworkSettings", "Ports", {"80/tcp": [{"HostPort": "70000"}]}, "binding of port 80"),
        ("State", "Status", 1, "Status"),
        ("State", "Health", "fine", "Health"),
    ],
)
def test_field_of_a_wrong_kind_is_one_problem_and_the_rest_stays(
    section: str, key: str, value: Any, word: str
) -> None:
    document = description("web")
    document[section][key] = value
    seen = read_container(document)
    assert [problem.where for problem in seen.problems] == ["container web"]
    assert word in seen.problems[0].why
    assert seen.container.name == "web"


@pytest.mark.parametrize("section", sorted(KEPT))
def test_missing_section_leaves_a_container(section: str) -> None:
    document = description("web")
    del document[section]
    assert read_container(document).container.id == container_id("web")


@pytest.mark.parametrize(
    "document", [None, [], {}, {"Id": 7}, {"Id": "../../secrets"}, {"Id": "a\r\nb"}, "web"]
)
def test_description_without_a_usable_id_is_refused(document: object) -> None:
    with pytest.raises(ConfigurationError):
        read_container(document)
    with pytest.raises(ConfigurationError):
        read_row(document)


def test_secrets_are_stripped_before_anything_else_is_done() -> None:
    document = description("web", health="healthy") | {"Args": ["SECRET-arg"], "Mounts": ["SECRET-mount"]}
    kept = stripped(document)
    assert "SECRET" not in json.dumps(kept)
    assert read_container(kept).container.health == "healthy"


def test_old_engines_tell_the_state_by_flags() -> None:
    document = description("web")
    document["State"] = {"Running": True, "Paused": True}
    assert read_container(document).container.state == "paused"


@pytest.mark.parametrize(
    "more",
    [
        {"state": "paused"},
        {"labels": {"a": "b"}},
        {"health": "unhealthy"},
        {"networks": {"other": {"IPAddress": "10.0.0.2"}}},
    ],
)
def test_row_has_another_fingerprint_when_something_matters(more: dict[str, Any]) -> None:
    assert read_row(row_of(description("web", **more))) != read_row(row_of(description("web")))


def test_row_has_the_same_fingerprint_while_only_time_goes_by() -> None:
    now, later = row_of(description("web")), row_of(description("web"))
    later["Status"] = "Up 4 minutes ()"
    assert read_row(now) == read_row(later)
    assert read_row(now).name == "web"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fields = [(section, key) for section, keys in KEPT.items() for key in keys]
fields += [("Name", ""), ("Created", ""), ("State", "")]


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(fields), json_values, max_size=4))
def test_rubbish_in_any_field_is_never_a_traceback(wrong: dict[tuple[str, str], object]) -> None:
    document = description("web", health="healthy")
    for (section, key), value in wrong.items():
        if key and isinstance(document[section], dict):
            document[section][key] = value
        else:
            document[section] = value
    seen = read_container(stripped(document))
    assert isinstance(seen, Seen)
    assert all(isinstance(value, str) for value in seen.container.labels.values())
    assert isinstance(
        read_row({"Id": document["Id"], "Names": document.get("Name"), "State": document["State"]}).name, str
    )
