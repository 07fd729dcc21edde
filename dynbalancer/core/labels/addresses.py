"""Under which address a container is reached: its network, its port, and whether it may be asked now."""

from __future__ import annotations

from dataclasses import dataclass

from dynbalancer.core.labels.containers import COMPOSE_PROJECT, Container, Defaults
from dynbalancer.core.labels.findings import Findings, Label
from dynbalancer.core.labels.sheet import NOT_YET, Fields
from dynbalancer.core.labels.values import text
from dynbalancer.core.model import Server

_ANY_ADDRESS = frozenset(("", "0.0.0.0", "::", "[::]"))
_LOOPBACK = "127.0.0.1"
#: How many containers may borrow their network from each other in a row.
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Address:
    """Where a port of a container is reached. ``reachable`` is false where no network leads there from us."""

    host: str
    port: int
    reachable: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """A container as seen from where we run; ``network`` is the label that names its network, if any."""

    container: Container
    defaults: Defaults
    network: Label | None = None


def place_of(container: Container, defaults: Defaults, docker: Fields) -> Place:
    """The place of a container with these ``traefik.docker.…`` labels."""
    return Place(container, defaults, docker.get("docker.network"))


def server_at(
    place: Place,
    port: int,
    findings: Findings,
    *,
    scheme: str = "http",
    weight: int = 1,
    preserve_path: bool = False,
) -> Server | None:
    """The server that listens on ``port`` of a container, or None where it has no address."""
    container = place.container
    state = state_of(container, findings)
    address = address_of(place, port, findings)
    if address is None:
        return None
    if state == "ready" and not address.reachable:
        state = "down"
    if scheme == "h2c":
        # Speaking HTTP/1.1 to it would only give errors of another kind.
        findings.whole(f"protocol h2c {NOT_YET}; the server is not asked", "use http or https", "warning")
        findings.note("protocol h2c is not supported in this version")
        state = "down"
    host = f"[{address.host}]" if ":" in address.host else address.host
    return Server(
        f"{scheme}://{host}:{address.port}", weight, state, container.name, container.id, preserve_path
    )


def state_of(container: Container, findings: Findings) -> str:
    """The state of a container's servers; whatever isn't ``ready`` is noted with its reason."""
    if container.state == "draining":
        findings.note("its stop signal was sent: it finishes what it has and takes no new requests")
        return "draining"
    if container.state != "running":
        findings.note(f"it is {container.state}: no requests until it runs again")
        return "down"
    if container.health == "starting":
        findings.note("its health check hasn't passed yet: no requests until it is healthy")
        return "starting"
    if container.health == "unhealthy":
        findings.note("its health check fails: no requests until it is healthy")
        return "down"
    return "ready"


def address_of(place: Place, port: int, findings: Findings) -> Address | None:
    """Where ``port`` of a container is reached from here, or None; reports whatever is not as asked for."""
    bound = _published(place.container, port) if place.defaults.use_bind_port_ip else None
    return bound or _internal(place, port, findings, _DEEPEST)


def _published(container: Container, port: int) -> Address | None:
    # Only a binding to one address says where to go; the one of all addresses is as good as the internal one.
    for binding in container.bindings:
        concrete = binding.host_ip not in _ANY_ADDRESS and binding.host_port
        if binding.container_port == port and concrete:
            return Address(binding.host_ip.strip("[]"), binding.host_port)
    return None


def _internal(place: Place, port: int, findings: Findings, deepest: int) -> Address | None:
    container = place.container
    networks = {name: address for name, address in sorted(container.networks.items()) if address}
    wanted = text(place.network) or place.defaults.network
    found = _named(container, networks, wanted)
    shared = [name for name in networks if name in place.defaults.own_networks]
    if found and shared and found not in shared:
        why = f"the balancer is not on network {found}, but on {','.join(shared)}; {shared[0]} is used"
        _report_network(place, why, findings)
        found = shared[0]
    if found:
        return _on(place, networks, found, port, findings)
    if container.network_mode == "host":
        return _on_host(place, port, findings)
    if container.network_mode.startswith("container:"):
        return _borrowed(place, port, findings, deepest)
    if not networks:
        findings.whole("it has no address on any network; it is left out of its pool", severity="warning")
        findings.note("it has no address on any network")
        return None
    chosen = (shared or list(networks))[0]
    if wanted:
        on = ",".join(networks)
        why = f"the container is not on network {wanted}, but on {on}; {chosen} is used"
        _report_network(place, why, findings)
    return _on(place, networks, chosen, port, findings)


def _named(container: Container, networks: dict[str, str], wanted: str) -> str:
    # Compose puts the project in front of the names its users write.
    project = container.labels.get(COMPOSE_PROJECT, "")
    return next((name for name in (wanted, f"{project}_{wanted}") if wanted and name in networks), "")


def _on(place: Place, networks: dict[str, str], name: str, port: int, findings: Findings) -> Address:
    ours = place.defaults.own_networks
    if not ours or set(ours) & set(networks):
        return Address(networks[name], port)
    theirs, network = ",".join(networks), ours[0]
    why = f"{place.container.name} is on {theirs}; the balancer is on {','.join(ours)}: no network in common"
    hint = (
        f'write "networks: [{network}]" in its compose service, '
        f'and "networks: {{{network}: {{external: true}}}}" at the end of that file'
    )
    findings.whole(why, hint)
    findings.note(f"no network in common with the balancer, which is on {','.join(ours)}")
    return Address(networks[name], port, reachable=False)


def _report_network(place: Place, why: str, findings: Findings) -> None:
    if text(place.network) and place.network:
        findings.label(place.network.key, why, severity="warning")
    else:
        findings.whole(why, "the provider's option network names it", "warning")


def _on_host(place: Place, port: int, findings: Findings) -> Address:
    if place.defaults.on_host or place.defaults.host_gateway:
        return Address(_LOOPBACK if place.defaults.on_host else place.defaults.host_gateway, port)
    why = "it uses the host's network, and the host's address is not known inside the balancer's container"
    findings.whole(why, 'give the balancer "extra_hosts: [host.docker.internal:host-gateway]"')
    findings.note("it uses the host's network, which can't be reached")
    return Address(_LOOPBACK, port, reachable=False)


def _borrowed(place: Place, port: int, findings: Findings, deepest: int) -> Address | None:
    lender = place.container.lender
    if lender is None or not deepest:
        whose = place.container.network_mode.removeprefix("container:")[:12]
        findings.whole(f"it uses the network of container {whose}, which isn't there", severity="warning")
        findings.note("the container whose network it uses isn't there")
        return None
    # The lender's own label counts first: it knows its networks.
    label = lender.labels.get("traefik.docker.network", "")
    network = Label("traefik.docker.network", label) if label else place.network
    return _internal(Place(lender, place.defaults, network), port, findings, deepest - 1)
