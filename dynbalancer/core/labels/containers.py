"""What the reader of labels has to know of a container, and of the place we run in, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from dynbalancer.core.model import NOTHING

COMPOSE_PROJECT = "com.docker.compose.project"
COMPOSE_SERVICE = "com.docker.compose.service"
COMPOSE_ONE_OFF = "com.docker.compose.oneoff"


@dataclass(frozen=True, slots=True)
class Binding:
    """A published port: what the engine listens on for one port of the container.

    A port of UDP that is exposed and not published has ``host_port`` 0.
    """

    container_port: int
    host_ip: str = ""
    host_port: int = 0
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class Container:
    """One container, as the engine describes it.

    ``name`` has no leading slash. ``networks`` maps network names to our address there (IPv4 if there is
    one). ``ports`` are the exposed container ports, published or not, lowest first. ``state`` is the engine's
    (``running``, ``exited``, ``paused`` …), or ``draining`` once the stop signal was sent. ``health`` is
    empty without a health check. ``created`` is Unix time. ``lender`` is the container whose network this one
    uses (``network_mode`` ``container:X``). ``ports_known``: false where
    ``ports`` is a guess.
    """

    id: str
    name: str
    image: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    networks: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    network_mode: str = "bridge"
    ports: tuple[int, ...] = ()
    bindings: tuple[Binding, ...] = ()
    state: str = "running"
    health: str = ""
    created: float = 0.0
    lender: Container | None = None
    ports_known: bool = True

    @property
    def compose(self) -> tuple[str, str] | None:
        """Compose service and project, or None where one of the two isn't known."""
        service = self.labels.get(COMPOSE_SERVICE, "")
        project = self.labels.get(COMPOSE_PROJECT, "")
        return (service, project) if service and project else None

    @property
    def stopped(self) -> bool:
        """Whether nothing runs in it, so that it has no address."""
        return self.state in ("exited", "created", "dead", "removing")

    @property
    def serves(self) -> bool:
        """Whether it may be given new requests now."""
        return self.state == "running" and self.health in ("", "healthy")

    @property
    def one_off(self) -> bool:
        """Whether ``docker-compose run`` started it."""
        return self.labels.get(COMPOSE_ONE_OFF, "").lower() == "true"


class IsConstraint(Protocol):
    """A condition that containers have to meet. ``keys`` are the labels it looks at."""

    @property
    def keys(self) -> frozenset[str]: ...

    def refusal(self, container: Container) -> str:
        """Why this container is left out, or an empty string."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where a container has no label for it, and where we run ourselves.

    ``default_rule`` is a template in v3 syntax; empty means v1's default rule with ``domain``.
    ``own_networks`` are the networks our own container is on, empty if we run on the host. ``on_host`` says
    whether 127.0.0.1 is the host; ``host_gateway`` is the host's address seen from our container.
    ``one_offs``: also route ``docker-compose run``. ``constraints``: whatever does not meet them is left out.
    ``default_rule_syntax`` is that of rules that don't say theirs, ``v2`` or ``v3``, the default rule too.
    ``keep_trailing_slash``: a path of a v1 rule with one slash more or less is not redirected, but unknown.
    """

    exposed_by_default: bool = True
    network: str = ""
    domain: str = ""
    default_rule: str = ""
    use_bind_port_ip: bool = False
    own_networks: tuple[str, ...] = ()
    on_host: bool = True
    host_gateway: str = ""
    one_offs: bool = False
    constraints: IsConstraint | None = None
    keep_trailing_slash: bool = False
    default_rule_syntax: str = "v3"
