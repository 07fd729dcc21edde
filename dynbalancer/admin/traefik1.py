"""Routing and counts in the shapes of Traefik v1's API: backends and frontends, by provider."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from itertools import groupby
from typing import Any

from dynbalancer.admin.secrets import redacted
from dynbalancer.admin.traefik3 import default_entry_points
from dynbalancer.core.durations import go_duration
from dynbalancer.core.model import (
    Configuration,
    EntryPoint,
    HealthCheck,
    ProviderStatus,
    Router,
    Server,
    Service,
    Sticky,
)
from dynbalancer.core.statistics import Totals

Json = dict[str, Any]

DEFAULT_CHECK = HealthCheck()

#: What may follow a provider's name in a path, and what may follow one entry of it.
PARTS = {"backends": "servers", "frontends": "routes"}


def normalised(text: str) -> str:
    """As v1 makes keys: runs of letters and digits joined by one dash."""
    return "-".join("".join(run) for is_word, run in groupby(text, str.isalnum) if is_word)


def providers(statuses: Iterable[ProviderStatus], entry_points: Sequence[EntryPoint]) -> Json:
    """Everything, by provider, but for what entry points ask for: v1 has that among their own settings."""
    defaults = default_entry_points(entry_points)
    return {
        status.name: provider(status.configuration, defaults)
        for status in statuses
        if status.name != "internal"
    }


def provider(configuration: Configuration, default_points: Sequence[str]) -> Json:
    """One provider's backends and frontends; a family without entries is left out, as v1 does."""
    backends = {f"backend-{name}": _backend(service) for name, service in configuration.services.items()}
    frontends = {
        f"frontend-{name}": _frontend(router, configuration.services.get(router.service), default_points)
        for name, router in configuration.routers.items()
    }
    found: Json = {}
    if backends:
        found["backends"] = backends
    if frontends:
        found["frontends"] = frontends
    return found


def _backend(service: Service) -> Json:
    # v1 knows no states: what it lists is what gets requests.
    servers = {
        server_key(server): {"url": server.url, "weight": server.weight}
        for server in service.servers
        if server.state == "ready"
    }
    found: Json = {"servers": servers} if servers else {}
    found["loadBalancer"] = {"method": service.strategy} | _stickiness(service.sticky)
    if service.health_check is not None:
        found["healthCheck"] = _health_check(service.health_check)
    return found


def _stickiness(sticky: Sticky | None) -> Json:
    if sticky is None:
        return {}
    shown = {
        "cookieName": sticky.name,
        "secure": sticky.secure,
        "httpOnly": sticky.http_only,
        "sameSite": sticky.same_site,
    }
    return {"stickiness": {key: value for key, value in shown.items() if value}}


def _health_check(check: HealthCheck) -> Json:
    """Six keys are all that v1 knows of it; what was left out stays out."""
    found: Json = {
        "scheme": check.scheme,
        "path": check.path,
        "port": check.port,
        "interval": "" if check.interval == DEFAULT_CHECK.interval else go_duration(check.interval),
        "hostname": check.hostname,
        "headers": redacted("", dict(check.headers)),
    }
    return {key: value for key, value in found.items() if value}


def server_key(server: Server) -> str:
    """``server-web-1-`` and the MD5 of its URL, which is what v1's users find there."""
    digest = hashlib.md5(server.url.encode(), usedforsecurity=False).hexdigest()
    return normalised(f"server-{server.name}-{digest}")


def _frontend(router: Router, service: Service | None, default_points: Sequence[str]) -> Json:
    found: Json = {
        "entryPoints": list(router.entry_points or default_points),
        "backend": f"backend-{router.service.partition('@')[0]}",
        "routes": {f"route-frontend-{router.name}": {"rule": router.rule}},
    }
    if service is not None and service.pass_host_header:
        found["passHostHeader"] = True
    return found | {"priority": router.priority, "basicAuth": None}


def part(whole: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """What the rest of a path names within one provider, or None. Only v1's own paths lead anywhere."""
    if not keys:
        return whole
    if keys[0] not in PARTS or len(keys) > 4 or (len(keys) > 2 and keys[2] != PARTS[keys[0]]):
        return None
    # A family without entries is left out of its parent, yet asking for it is no mistake.
    found: Any = {keys[0]: {}, **whole}
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            return None
        found = found[key]
    return found


def health(
    totals: Totals, last_second: Mapping[int, int], *, pid: int, hostname: str, uptime: float, now: float
) -> Json:
    """v1's ``/health``. ``last_second`` is the count of each status in the last whole second."""
    mean_time = totals.seconds / totals.count if totals.count else 0.0
    return {
        "pid": pid,
        "hostname": hostname,
        "uptime": go_duration(uptime),
        "uptime_sec": uptime,
        "time": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06} +0000 UTC",
        "unixtime": int(now),
        "status_code_count": _by_text(last_second),
        "total_status_code_count": _by_text(totals.statuses),
        "count": sum(last_second.values()),
        "total_count": totals.count,
        "total_response_time": go_duration(totals.seconds),
        "total_response_time_sec": totals.seconds,
        "total_response_size": totals.bytes_out,
        "average_response_size": totals.bytes_out // totals.count if totals.count else 0,
        "average_response_time": go_duration(mean_time),
        "average_response_time_sec": mean_time,
        "total_metrics_counts": {},
        "average_metrics_timers": {},
        "recent_errors": [_worded(error) for error in totals.recent_errors],
    }


def _by_text(counts: Mapping[int, int]) -> dict[str, int]:
    return {str(status): count for status, count in sorted(counts.items())}


def _worded(error: Mapping[str, Any]) -> Json:
    """One recent error: a time that is a number as RFC 3339, a status without words with them."""
    found = dict(error)
    if isinstance(found.get("time"), int | float):
        found["time"] = rfc3339(found["time"])
    if not found.get("status"):
        code = int(found.get("status_code", 0))
        found["status"] = HTTPStatus(code).phrase if code in HTTPStatus._value2member_map_ else str(code)
    return found


def rfc3339(seconds: float) -> str:
    """A Unix time as 2026-11-02T10:00:00Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
