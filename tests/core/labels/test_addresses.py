"""Which address a container has, seen from where we run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dynbalancer.core.labels.addresses import Address, Place, address_of, place_of, server_at
from dynbalancer.core.labels.containers import Binding, Container, Defaults
from dynbalancer.core.labels.findings import Findings, Label

TWO = {"front": "10.0.1.2", "back": "10.0.2.2"}
WEB = Container("id1", "web-1", networks=TWO, ports=(80,))
HOST = Container("id2", "metrics", network_mode="host")


def look(
    container: Container, defaults: Defaults | None = None, label: str = ""
) -> tuple[Address | None, Findings]:
    findings = Findings(container.name)
    network = Label("traefik.docker.network", label) if label else None
    return address_of(Place(container, defaults or Defaults(), network), 80, findings), findings


@pytest.mark.parametrize(
    "defaults, label, host",
    [
        (Defaults(), "", "10.0.2.2"),
        (Defaults(), "front", "10.0.1.2"),
        (Defaults(network="front"), "", "10.0.1.2"),
        (Defaults(network="front"), "back", "10.0.2.2"),
        (Defaults(own_networks=("front", "other")), "", "10.0.1.2"),
        (Defaults(own_networks=("front", "back")), "", "10.0.2.2"),
        (Defaults(own_networks=("front", "back")), "back", "10.0.2.2"),
    ],
)
def test_the_network_is_the_named_one_or_a_shared_one_or_the_first(
    defaults: Defaults, label: str, host: str
) -> None:
    address, findings = look(WEB, defaults, label)
    assert address == Address(host, 80)
    assert findings.problems == []


def test_a_named_network_may_lack_the_project_that_compose_puts_in_front() -> None:
    container = Container(
        "1", "a", networks={"a": "10.0.0.1", "p_x": "10.0.0.2"}, labels={"com.docker.compose.project": "p"}
    )
    assert look(container, label="x")[0] == Address("10.0.0.2", 80)


def test_a_named_network_that_the_container_is_not_on_is_reported_with_the_one_used() -> None:
    address, findings = look(WEB, Defaults(own_networks=("front",)), "prxy")
    assert address == Address("10.0.1.2", 80)
    (problem,) = findings.problems
    assert problem.severity == "warning"
    assert str(problem) == (
        "container web-1, label traefik.docker.network: the container is not on network prxy, "
        "but on back,front; front is used"
    )


@pytest.mark.parametrize("label, default", [("back", ""), ("", "back")])
def test_a_named_network_that_the_balancer_is_not_on_gives_way_to_one_in_common(
    label: str, default: str
) -> None:
    address, findings = look(WEB, Defaults(own_networks=("front",), network=default), label)
    assert address == Address("10.0.1.2", 80)
    (problem,) = findings.problems
    assert problem.severity == "warning"
    assert problem.why == "the balancer is not on network back, but on front; front is used"


def test_a_missing_network_of_the_provider_is_reported_too() -> None:
    _, findings = look(WEB, Defaults(network="prxy"))
    assert findings.problems[0].where == "container web-1"
    assert findings.problems[0].hint == "the provider's option network names it"


@pytest.mark.parametrize("label", ["", "front"])
def test_without_a_network_in_common_the_server_is_down_and_it_is_said_why(label: str) -> None:
    findings = Findings("web-1")
    network = Label("traefik.docker.network", label) if label else None
    server = server_at(Place(WEB, Defaults(own_networks=("proxy",)), network), 80, findings)
    assert server is not None and server.state == "down"
    (problem,) = findings.problems
    assert problem.why == "web-1 is on back,front; the balancer is on proxy: no network in common"
    assert '"networks: [proxy]"' in problem.hint
    assert findings.notes == ["no network in common with the balancer, which is on proxy"]


def test_without_any_address_there_is_no_server() -> None:
    for networks in ({}, {"none": ""}):
        findings = Findings("a")
        assert server_at(Place(replace(WEB, networks=networks), Defaults()), 80, findings) is None
        assert findings.problems[0].severity == "warning"


@pytest.mark.parametrize(
    "defaults, address",
    [
        (Defaults(), Address("127.0.0.1", 80)),
        (Defaults(on_host=False, host_gateway="172.17.0.1"), Address("172.17.0.1", 80)),
    ],
)
def test_the_hosts_network(defaults: Defaults, address: Address) -> None:
    found, findings = look(HOST, defaults)
    assert found == address
    assert findings.problems == []


def test_the_hosts_network_without_the_hosts_address_is_down() -> None:
    found, findings = look(HOST, Defaults(on_host=False))
    assert found == Address("127.0.0.1", 80, reachable=False)
    assert "extra_hosts" in findings.problems[0].hint


def test_a_borrowed_network_is_that_of_the_lender() -> None:
    lender = replace(WEB, labels={"traefik.docker.network": "front"})
    middle = Container("id3", "middle", network_mode="container:id1", lender=lender)
    borrower = Container("id4", "sidecar", network_mode="container:id3", lender=middle)
    assert look(borrower)[0] == Address("10.0.1.2", 80)
    assert look(replace(middle, lender=HOST))[0] == Address("127.0.0.1", 80)


def test_a_borrower_without_its_lender_has_no_address() -> None:
    address, findings = look(Container("id3", "sidecar", network_mode="container:0123456789abcdef"))
    assert address is None
    assert findings.problems[0].why == "it uses the network of container 0123456789ab, which isn't there"


@pytest.mark.parametrize(
    "port, bindings, address",
    [
        (80, (), Address("10.0.0.2", 80)),
        (80, (Binding(80, "", 8080),), Address("10.0.0.2", 80)),
        (80, (Binding(80, "0.0.0.0", 8080),), Address("10.0.0.2", 80)),
        (80, (Binding(80, "::", 8080),), Address("10.0.0.2", 80)),
        (80, (Binding(80, "192.0.2.1", 8080),), Address("192.0.2.1", 8080)),
        (80, (Binding(80, "0.0.0.0", 1), Binding(80, "192.0.2.1", 2)), Address("192.0.2.1", 2)),
        (80, (Binding(80, "192.0.2.1", 8053, "udp"),), Address("192.0.2.1", 8053)),
        (80, (Binding(81, "192.0.2.1", 8080),), Address("10.0.0.2", 80)),
        (80, (Binding(81, "192.0.2.1", 80),), Address("10.0.0.2", 80)),
        (80, (Binding(80, "2001:db8::1", 8080),), Address("2001:db8::1", 8080)),
    ],
)
def test_published_addresses(port: int, bindings: tuple[Binding, ...], address: Address) -> None:
    container = Container("1", "a", networks={"x": "10.0.0.2"}, bindings=bindings)
    place = Place(container, Defaults(use_bind_port_ip=True))
    assert address_of(place, port, Findings("a")) == address
    assert address_of(Place(container, Defaults()), port, Findings("a")) == Address("10.0.0.2", port)


@pytest.mark.parametrize(
    "state, health, expected, noted",
    [
        ("running", "", "ready", False),
        ("running", "healthy", "ready", False),
        ("running", "starting", "starting", True),
        ("running", "unhealthy", "down", True),
        ("draining", "unhealthy", "draining", True),
        ("paused", "", "down", True),
        ("restarting", "", "down", True),
    ],
)
def test_states_of_servers(state: str, health: str, expected: str, noted: bool) -> None:
    findings = Findings("a")
    server = server_at(Place(replace(WEB, state=state, health=health), Defaults()), 80, findings)
    assert server is not None and server.state == expected
    assert bool(findings.notes) is noted


def test_a_draining_server_stays_draining_where_no_network_is_shared() -> None:
    place = Place(replace(WEB, state="draining"), Defaults(own_networks=("proxy",)))
    server = server_at(place, 80, Findings("a"))
    assert server is not None and server.state == "draining"


def test_the_server_says_what_and_who_it_is() -> None:
    container = Container("id1", "web-1", networks={"x": "2001:db8::2"})
    server = server_at(place_of(container, Defaults(), {}), 81, Findings("a"), scheme="https", weight=3)
    assert server is not None
    assert (server.url, server.weight, server.name, server.instance) == (
        "https://[2001:db8::2]:81",
        3,
        "web-1",
        "id1",
    )


def test_h2c_is_not_asked_and_that_is_said() -> None:
    findings = Findings("a")
    server = server_at(Place(WEB, Defaults()), 80, findings, scheme="h2c")
    assert server is not None and server.state == "down"
    assert findings.problems[0].severity == "warning"
