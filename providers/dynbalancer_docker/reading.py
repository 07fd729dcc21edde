"""What an engine sends, as values. Pure, and believes nothing: a field of the wrong kind is a Problem."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeGuard

from dynbalancer.core.labels.containers import Binding, Container
from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer_docker.signals import SIGTERM, number_of

#: States in which a container has an address; all others are as good as gone.
LIVING = ("running", "paused", "restarting")

#: What a container may be told before it is killed, where it does not say itself. Seconds.
STOP_TIMEOUT = 10.0

#: Everything that is kept of an inspected container. The environment holds secrets, so it is not among them.
KEPT: Mapping[str, tuple[str, ...]] = {
    "Config": ("Image", "Labels", "StopSignal", "StopTimeout", "ExposedPorts"),
    "HostConfig": ("NetworkMode",),
    "NetworkSettings": ("Networks", "Ports"),
    "State": ("Status", "Running", "Paused", "Restarting", "StartedAt", "Health"),
}

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_HEALTH = re.compile(r"\((healthy|unhealthy|health: starting|Paused)\)")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list of containers. Equal ``fingerprint``: nothing that matters to us has changed."""

    id: str
    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Seen:
    """One inspected container, and what is needed to follow it.

    ``started`` is Unix time by the engine's clock, 0 if unknown. ``gateways`` maps networks to the host's
    address there.
    """

    container: Container
    stop_signal: int = SIGTERM
    stop_timeout: float = STOP_TIMEOUT
    started: float = 0.0
    gateways: Mapping[str, str] | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def lives(self) -> bool:
        return self.container.state in LIVING


def is_id(value: object) -> TypeGuard[str]:
    """Whether this may be put into the path of a request."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def stripped(document: object) -> object:
    """An inspected container without what we have no business to know: environment, command line, mounts."""
    if not isinstance(document, dict):
        return document
    kept: dict[str, object] = {key: document[key] for key in ("Id", "Name", "Created") if key in document}
    for section, keys in KEPT.items():
        found = document.get(section)
        if isinstance(found, dict):
            kept[section] = {key: found[key] for key in keys if key in found}
        elif found is not None:
            kept[section] = None
    _strip_health(kept.get("State"))
    return kept


def _strip_health(state: object) -> None:
    """The log of a health check may show anything that its command prints."""
    if isinstance(state, dict) and isinstance(state.get("Health"), dict):
        state["Health"] = {"Status": state["Health"].get("Status")}


def read_row(document: object) -> Row:
    """One line of the list; ConfigurationError where it can't be told whose it is."""
    if not isinstance(document, dict) or not is_id(document.get("Id")):
        raise ConfigurationError("list of containers", "an entry without a usable Id was left out")
    networks = document.get("NetworkSettings")
    status = document.get("Status")
    health = _HEALTH.search(status) if isinstance(status, str) else None
    watched = [
        document.get("Names"),
        document.get("State"),
        document.get("Labels"),
        document.get("Created"),
        networks.get("Networks") if isinstance(networks, dict) else None,
        health.group(1) if health else "",
    ]
    names = document.get("Names")
    name = (
        names[0] if isinstance(names, list) and names and isinstance(names[0], str) else document["Id"][:12]
    )
    return Row(document["Id"], _plain_name(name), json.dumps(watched, sort_keys=True))


def read_container(document: object) -> Seen:
    """An inspected container; ConfigurationError where it has no usable Id, Problems for lesser faults."""
    if not isinstance(document, dict) or not is_id(document.get("Id")):
        raise ConfigurationError("container", "the engine's description has no usable Id")
    return _Reader(document).seen()


class _Reader:
    """Reads one description and remembers what was wrong with it."""

    def __init__(self, document: Mapping[str, object]) -> None:
        self._document = document
        self._problems: list[Problem] = []
        self.id = str(document["Id"])
        self.name = self.id[:12]
        self.name = _plain_name(self._text(document, "Name") or self.name)

    def seen(self) -> Seen:
        config, state = self._section(self._document, "Config"), self._section(self._document, "State")
        settings = self._section(self._document, "NetworkSettings")
        networks = self._section(settings, "Networks")
        container = Container(
            id=self.id,
            name=self.name,
            image=self._text(config, "Image"),
            labels=self._labels(config),
            networks=self._addresses(networks, "IPAddress", "GlobalIPv6Address"),
            network_mode=self._text(self._section(self._document, "HostConfig"), "NetworkMode") or "bridge",
            ports=self._ports(settings, config),
            bindings=self._bindings(settings),
            state=self._state(state),
            health=self._health(state),
            created=_seconds(self._document.get("Created")),
        )
        return Seen(
            container,
            stop_signal=self._stop_signal(config),
            stop_timeout=self._stop_timeout(config),
            started=_seconds(state.get("StartedAt")),
            gateways=self._addresses(networks, "Gateway"),
            problems=tuple(dict.fromkeys(self._problems)),
        )

    def _wrong(self, key: str, why: str) -> None:
        self._problems.append(
            Problem(
                f"container {self.name}", f"the engine's {key} {why} and was left out", severity="warning"
            )
        )

    def _section(self, parent: Mapping[str, object], key: str) -> Mapping[str, object]:
        found = parent.get(key)
        if isinstance(found, dict):
            return {name: value for name, value in found.items() if isinstance(name, str)}
        if found is not None or key in ("Config", "State", "NetworkSettings"):
            self._wrong(key, "is not an object")
        return {}

    def _text(self, parent: Mapping[str, object], key: str) -> str:
        found = parent.get(key)
        if isinstance(found, str):
            return found
        if found is not None:
            self._wrong(key, "is not a text")
        return ""

    def _labels(self, config: Mapping[str, object]) -> Mapping[str, str]:
        labels = {}
        for key, value in self._section(config, "Labels").items():
            if isinstance(value, str):
                labels[key] = value
            else:
                self._wrong(f"label {key}", "is not a text")
        return labels

    def _addresses(self, networks: Mapping[str, object], *keys: str) -> Mapping[str, str]:
        """The first of ``keys`` that is set, for each network that has one."""
        found = {}
        for name in networks:
            network = self._section(networks, name)
            address = next(filter(None, (self._text(network, key) for key in keys)), "")
            if address:
                found[name] = address
        return found

    def _ports(self, settings: Mapping[str, object], config: Mapping[str, object]) -> tuple[int, ...]:
        """Exposed TCP ports, lowest first. With the host's network only the image's own list tells them."""
        exposed = self._section(settings, "Ports") or self._section(config, "ExposedPorts")
        numbers = {number for number, protocol in map(self._port, exposed) if protocol == "tcp"}
        return tuple(sorted(numbers - {0}))

    def _port(self, written: str) -> tuple[int, str]:
        """``80/tcp`` → (80, tcp); port 0 where it can't be read."""
        digits, _, protocol = written.partition("/")
        number = _port_number(digits)
        if not number:
            self._wrong(f"port {written[:40]!r}", "is not a port")
        return number, protocol or "tcp"

    def _bindings(self, settings: Mapping[str, object]) -> tuple[Binding, ...]:
        bindings = []
        for written, published in self._section(settings, "Ports").items():
            if not published and not written.endswith("/udp"):
                continue
            number, protocol = self._port(written)
            if not number:
                continue
            if not published:
                # Ports of UDP are nowhere else.
                bindings.append(Binding(number, protocol=protocol))
                continue
            if not isinstance(published, list):
                self._wrong(f"binding of port {written}", "is not a list")
                continue
            found = [self._binding(number, protocol, one) for one in published if isinstance(one, dict)]
            bindings += [one for one in found if one.host_port]
        return tuple(bindings)

    def _binding(self, number: int, protocol: str, published: Mapping[str, object]) -> Binding:
        host_port = _port_number(published.get("HostPort"))
        if not host_port:
            self._wrong(f"binding of port {number}", "has no host port")
        return Binding(number, self._text(published, "HostIp"), host_port, protocol)

    def _state(self, state: Mapping[str, object]) -> str:
        said = self._text(state, "Status")
        if said:
            return said
        # Engines before API 1.21 have flags only.
        flags = (("Paused", "paused"), ("Restarting", "restarting"), ("Running", "running"))
        return next((name for key, name in flags if state.get(key) is True), "unknown")

    def _health(self, state: Mapping[str, object]) -> str:
        said = self._text(self._section(state, "Health"), "Status")
        return "" if said == "none" else said

    def _stop_signal(self, config: Mapping[str, object]) -> int:
        said = config.get("StopSignal") or SIGTERM
        number = number_of(said)
        if number is None:
            self._wrong(f"StopSignal {str(said)[:20]!r}", "is not a signal")
        return number or SIGTERM

    def _stop_timeout(self, config: Mapping[str, object]) -> float:
        said = config.get("StopTimeout")
        if said is None:
            return STOP_TIMEOUT
        # -1 means: wait for ever. A day is near enough, and keeps the arithmetic finite.
        if isinstance(said, int) and not isinstance(said, bool):
            return float(min(said, 86400)) if said >= 0 else 86400.0
        self._wrong("StopTimeout", "is not a whole number")
        return STOP_TIMEOUT


def _plain_name(name: str) -> str:
    return name.lstrip("/") or name


def _port_number(written: object) -> int:
    """1 to 65535, or 0 where it isn't one."""
    if isinstance(written, str) and written.isascii() and written.isdigit() and len(written) <= 5:
        written = int(written)
    if isinstance(written, int) and not isinstance(written, bool) and 0 < written <= 65535:
        return written
    return 0


def _seconds(written: object) -> float:
    """Unix time of an engine's timestamp (nanoseconds and all), 0.0 where it has none."""
    if isinstance(written, int | float) and not isinstance(written, bool):
        return float(written) if 0 < written < 1e11 else 0.0
    if not isinstance(written, str):
        return 0.0
    try:
        return max(0.0, datetime.fromisoformat(written).timestamp())
    except (ValueError, OverflowError):
        return 0.0
