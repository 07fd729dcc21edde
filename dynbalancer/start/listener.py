"""Where the API, the dashboard and ``/ping`` are served: by a listener of their own, and by which entry points too.

In Traefik they belong to an entry point named ``traefik``, :8080 unless it says otherwise: all of them in version 1, in
2 and 3 with ``api.insecure``; else it is an entry point like others, for routers with service ``api@internal``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dynbalancer.core.model import Configuration, EntryPoint, Router
from dynbalancer.core.settings import ApiSettings
from dynbalancer.errors import ConfigurationError, Problem, did_you_mean
from dynbalancer.start.entrypoints import PROVIDER

#: What Traefik calls the entry point of its API.
TRAEFIK = "traefik"

_PREFIX = f"entrypoints.{TRAEFIK}."
#: Settings of that entry point that a listener has no need of, or that hold for all.
_HARMLESS = (f"{_PREFIX}address", f"{_PREFIX}transport.lifecycle.gracetimeout", f"{_PREFIX}asdefault")
_HIGHEST = 2**63 - 1
_ELSEWHERE = ("127.0.0.1", 0)
_v3 = re.compile(r"\bproviders[._]|_PROVIDERS_", re.IGNORECASE).search


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, out of chosen values (each with a ``value`` and a ``where``)."""

    chosen: Mapping[str, Any]
    notes: list[Problem] = field(default_factory=list)

    def get(self, key: str, default: Any = None) -> Any:
        return self.chosen[key].value if key in self.chosen else default

    def where(self, key: str) -> str:
        return str(self.chosen[key].where)

    @property
    def api(self) -> bool:
        """Whether the API is on."""
        return bool(self.get("api", self._implied()))

    def _implied(self) -> bool:
        # An address in the environment or a file says where, not whether: the image sets one for everybody.
        asking = ("api.insecure", "api.dashboard", "api.token", "api.tokenfile", "api.entrypoint")
        return self._by_flag("api.address") or any(self.get(key, False) for key in asking)

    def _by_flag(self, key: str) -> bool:
        return key in self.chosen and self.where(key).startswith("-")

    @property
    def ping(self) -> bool:
        """Whether ``/ping`` is asked for by itself."""
        return bool(self.get("ping", bool(self.get("ping.entrypoint") or self.get("ping.manualrouting"))))

    @property
    def pings_here(self) -> bool:
        """Whether ``/ping`` is for the entry point of the API, and not for another or for routers alone."""
        named = self.get("ping.entrypoint", TRAEFIK) or TRAEFIK
        return self.ping and named.lower() == TRAEFIK and not self.get("ping.manualrouting", False)

    @property
    def _in_v3(self) -> bool:
        """Whether something is written in the manner of Traefik 2 and 3, ``providers.docker``."""
        return any(_v3(str(one.where)) for one in self.chosen.values())

    @property
    def has_own_entry_point(self) -> bool:
        """Whether ``traefik`` is an entry point as others are, and not just where the API listens."""
        given = [key for key in self.chosen if key.startswith(_PREFIX)]
        if any(key not in _HARMLESS for key in given):
            # Whatever else is said of it is there to protect it.
            return True
        if not given or not self._in_v3:
            return False
        return not self.get("api.insecure", False) and not (self.pings_here and not self.api)

    def settings(self, points: Sequence[EntryPoint], token: str) -> ApiSettings | None:
        """The listener; None where nobody asked. Raises ConfigurationError where an entry point has its port."""
        if not self.api and not self.ping:
            return None
        shows = self.api and self.get("api.dashboard", True)
        usual = ApiSettings(dashboard=shows, token=token, base_path=self.get("api.basepath", ""))
        host, port, asking = self._address(usual)
        found = replace(usual, host=host, port=port, ping_only=not self.api)
        other = next((point for point in points if _same(point, host, port)), None)
        if other is None:
            return found
        if asking:
            why = f"the API and the entry point {other.name} both want {other.address}"
            raise ConfigurationError(asking, why, "write --api.address=127.0.0.1:8081")
        where = next((self.where(key) for key in ("api", "ping") if key in self.chosen), "api")
        why = f"{other.address} is the entry point {other.name}'s, so the API is on some other port of 127.0.0.1"
        hint = "--api.address says which; a router with service api@internal needs none"
        severity = "info" if other.name.lower() == TRAEFIK else "warning"
        self.notes.append(Problem(where, why, hint, severity))
        return replace(found, host=_ELSEWHERE[0], port=_ELSEWHERE[1])

    def _address(self, usual: ApiSettings) -> tuple[str, int, str]:
        """Host, port, and the setting that wants just these; empty where it may be another."""
        own = f"{_PREFIX}address"
        listens = own in self.chosen and not self.has_own_entry_point
        if "api.address" in self.chosen and (self._by_flag("api.address") or not listens):
            wanted = self.where("api.address") if self._by_flag("api.address") else ""
            return *self.get("api.address"), wanted
        if listens:
            return *self.get(own)[:2], self.where(own)
        if not self.api and (self.has_own_entry_point or not self.pings_here):
            return *_ELSEWHERE, ""
        if not self.api:
            return "", usual.port, self.where("ping" if "ping" in self.chosen else "ping.entrypoint")
        if self.get("api.insecure", False) and not self.has_own_entry_point:
            return "", usual.port, self.where("api.insecure")
        return usual.host, usual.port, ""

    def with_routers(self, routing: Configuration, points: Sequence[EntryPoint]) -> Configuration:
        """The same with the routers of entry points that serve these pages too."""
        routers: dict[str, Router] = {}

        def add(name: str, rule: str, service: str, point: str, rank: int) -> None:
            where = f"entry point {point}"
            routers[name] = Router(
                name, rule, f"{service}@{PROVIDER}", (point,), (), _HIGHEST - rank, origin=where
            )

        own = next((point.name for point in points if point.name.lower() == TRAEFIK), "")
        api_on = self._point("api.entrypoint", points)
        base = self.get("api.basepath", "")
        if self.api and api_on:
            add("api", f"PathPrefix(`{base}/api`)", "api", api_on, 1)
            if self.get("api.dashboard", True):
                add("dashboard", f"PathPrefix(`{base}/dashboard`)", "dashboard", api_on, 2)
        elif self.api and own and (self.get("api.insecure", False) or not self._in_v3):
            add("api", f"PathPrefix(`{base}/api`)", "api", own, 1)
            add("dashboard", "PathPrefix(`/`)", "dashboard", own, 2)
        ping_on = self._point("ping.entrypoint", points) or (own if self.pings_here else "")
        if self.ping and ping_on and not self.get("ping.manualrouting", False):
            add("ping", "PathPrefix(`/ping`)", "ping", ping_on, 0)
        return replace(routing, routers={**routing.routers, **routers}) if routers else routing

    def _point(self, key: str, points: Sequence[EntryPoint]) -> str:
        """The entry point that a setting names; empty where it is that of the API anyway."""
        name = self.get(key, "")
        if not name or name.lower() == TRAEFIK:
            return ""
        found = next((point.name for point in points if point.name.lower() == name.lower()), "")
        if not found:
            known = [point.name for point in points]
            hint = did_you_mean(name, known) or f"there is {', '.join(known)}"
            raise ConfigurationError(self.where(key), f"there is no entry point {name}", hint)
        return found


def _same(point: EntryPoint, host: str, port: int) -> bool:
    overlaps = point.host == host or not point.host or not host
    return bool(port) and point.port == port and overlaps and not point.udp
