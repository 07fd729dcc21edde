"""Finding our own container."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynbalancer.core.labels.containers import Defaults
from dynbalancer_docker.inventory import Inventory
from dynbalancer_docker.own import host_in, ids_in, own_ids, placed
from dynbalancer_docker.reading import read_container
from tests.providers.docker.fake_engine import container_id, description

ID = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "mountinfo, cgroup, hostname, ids",
    [
        (
            f"612 600 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/a rw",
            "",
            "web",
            (ID,),
        ),
        (
            f"612 600 8:1 /run/containers/overlay-containers/{ID}/userdata/hosts /etc/hosts rw - t",
            "",
            "web",
            (ID,),
        ),
        ("", f"12:cpu:/docker/{ID}\n", "web", (ID,)),
        ("", f"0::/system.slice/docker-{ID}.scope", "web", (ID,)),
        ("", "0::/", ID[:12], (ID[:12],)),
        ("", "0::/", "host.example.com", ()),
    ],
)
def test_id_is_found_in_mounts_cgroup_or_host_name(
    mountinfo: str, cgroup: str, hostname: str, ids: tuple[str, ...]
) -> None:
    assert ids_in(mountinfo, cgroup, hostname) == ids


def test_mounts_of_other_containers_on_a_host_are_not_ours() -> None:
    line = f"99 28 0:51 / /var/lib/docker/containers/{ID}/mounts/shm rw - tmpfs shm rw"
    assert ids_in(line, "0::/init.scope", "host") == ()


def test_unreadable_proc_is_no_fault(tmp_path: Path) -> None:
    assert ID not in own_ids(tmp_path / "nothing")


def world(**more: object) -> Inventory:
    """An engine with one container, ours."""
    known = Inventory()
    known.put(container_id("proxy"), read_container(description("proxy", **more)), 0.0)
    return known


def test_networks_of_our_own_container_and_the_way_to_the_host_are_told() -> None:
    networks = {"b": {"IPAddress": "10.0.1.2"}, "a": {"IPAddress": "10.0.0.2", "Gateway": "10.0.0.1"}}
    found = placed(Defaults(), world(networks=networks), (container_id("proxy"),))
    assert (found.own_networks, found.on_host, found.host_gateway) == (("a", "b"), False, "10.0.0.1")


@pytest.mark.parametrize("ids", [(), (ID,)])
def test_container_of_another_engine_or_none_counts_as_host(ids: tuple[str, ...]) -> None:
    assert placed(Defaults(on_host=False), world(), ids).on_host


def test_container_with_the_network_of_the_host_counts_as_host() -> None:
    assert placed(Defaults(), world(network_mode="host"), (container_id("proxy"),)).on_host


def test_container_with_the_network_of_another_has_the_networks_of_that() -> None:
    known = world(network_mode=f"container:{container_id('vpn')}", networks={})
    known.put(container_id("vpn"), read_container(description("vpn")), 0.0)
    assert placed(Defaults(), known, (container_id("proxy"),)).own_networks == ("web",)


@pytest.mark.parametrize(
    "hosts, address",
    [
        ("127.0.0.1 localhost\n192.0.2.9\thost.docker.internal  # the host", "192.0.2.9"),
        ("# 192.0.2.9 host.docker.internal\nhost.docker.internal", ""),
        ("", ""),
    ],
)
def test_address_of_the_host_is_what_the_hosts_file_says(hosts: str, address: str) -> None:
    assert host_in(hosts) == address


def test_address_of_the_host_that_was_told_outweighs_the_gateway() -> None:
    assert placed(Defaults(), world(), (container_id("proxy"),), "192.0.2.9").host_gateway == "192.0.2.9"
