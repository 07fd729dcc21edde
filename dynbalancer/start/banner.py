"""What is said at start: five lines, and what looks wrong about the settings as a whole."""

from __future__ import annotations

from dynbalancer.core.settings import Settings
from dynbalancer.errors import Problem
from dynbalancer.version import version

DEMO_HOST = "whoami.docker.localhost"


def lines(settings: Settings) -> list[str]:
    """What runs, where, and where to look; in the demo also what to try."""
    count = settings.workers
    workers = "in one process" if count == 0 else f"with {count} worker{'s' if count > 1 else ''}"
    points = ", ".join(
        f"{point.name} on {point.address}{' with TLS' if point.tls else ''}"
        for point in settings.entry_points
    )
    said = [
        f"dynbalancer {version()} {workers}; providers: {', '.join(settings.providers) or 'none'}",
        f"Entry points: {points}",
    ]
    if settings.api is not None:
        shown, path = ("Dashboard", "/dashboard/") if settings.api.dashboard else ("API", "/api/overview")
        if settings.api.ping_only:
            shown, path = "Ping", "/ping"
        said.append(f"{shown}: {url(settings.api.host, settings.api.port)}{settings.api.base_path}{path}")
    if "demo" in settings.providers:
        place = url(settings.entry_points[0].host, settings.entry_points[0].port)
        said += [f"Try: curl {place}/", f'Try: curl -H "Host: {DEMO_HOST}" {place}/']
    return said


def url(host: str, port: int) -> str:
    """How a browser on this machine reaches a listening socket."""
    reachable = "localhost" if host in ("", "0.0.0.0", "::") else host
    return f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{port}"


def notes(settings: Settings, *, gave_up_root: bool) -> tuple[Problem, ...]:
    """What is allowed, but probably not meant."""
    found = []
    if not settings.providers:
        hint = "add --docker, --file.filename=… or --demo"
        found.append(
            Problem("providers", "none is switched on: every request is answered with 404", hint, "warning")
        )
    if settings.user and not gave_up_root:
        found.append(
            Problem(
                "--user", f"not started as root, so it stays as it is and not {settings.user}", "", "info"
            )
        )
    return tuple(found)
