"""Which container we run in ourselves, if any, and so which networks we share with others."""

from __future__ import annotations

import re
import socket
from dataclasses import replace
from pathlib import Path

from dynbalancer.core.labels.containers import Defaults
from dynbalancer_docker.inventory import Inventory

# A container's own mount table shows where the engine keeps its /etc/hostname. The host's table has such
# paths too, for the containers it runs, so the mount point has to be one of these three.
_MOUNTED = re.compile(r"/([0-9a-f]{64})/\S* (?:/etc/hostname|/etc/hosts|/etc/resolv\.conf) ")
_CGROUP = re.compile(r"(?:docker|libpod|containers?)[-/]([0-9a-f]{64})(?:\.scope)?$", re.MULTILINE)
_SHORT = re.compile(r"[0-9a-f]{12}")


def ids_in(mountinfo: str, cgroup: str, hostname: str) -> tuple[str, ...]:
    """The ids that our own container may have, surest first; empty on a host."""
    found = [*_MOUNTED.findall(mountinfo), *_CGROUP.findall(cgroup)]
    if _SHORT.fullmatch(hostname):
        found.append(hostname)
    return tuple(dict.fromkeys(found))


def own_ids(root: Path = Path("/proc/self")) -> tuple[str, ...]:
    """The same, of this process."""
    return ids_in(_text(root / "mountinfo"), _text(root / "cgroup"), socket.gethostname())


def host_in(hosts: str) -> str:
    """The host's address in a file of host names: compose's ``extra_hosts: [host.docker.internal:host-gateway]``."""
    for line in hosts.splitlines():
        words = line.partition("#")[0].split()
        if "host.docker.internal" in words[1:]:
            return words[0]
    return ""


def host_address(hosts: Path = Path("/etc/hosts")) -> str:
    """The same, of this process; empty where nobody told it."""
    return host_in(_text(hosts))


def placed(defaults: Defaults, inventory: Inventory, ids: tuple[str, ...], host: str = "") -> Defaults:
    """``defaults`` with the place we run in. ``host`` is the host's address, where somebody told it.

    A container of another engine counts as a host: this engine runs beside us then, in one network namespace.
    """
    own = inventory.find(ids)
    lender = inventory.lender_of(own) if own else None
    own = lender or own
    if own is None or own.container.network_mode == "host":
        return replace(defaults, own_networks=(), on_host=True, host_gateway="")
    gateways = own.gateways or {}
    networks = tuple(sorted(own.container.networks))
    gateway = host or next((gateways[name] for name in networks if name in gateways), "")
    return replace(defaults, own_networks=networks, on_host=False, host_gateway=gateway)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
