"""The part of the settings that a worker needs, as JSON-able values and back.

Providers, the API and files of certificates are left out on purpose: they may hold passwords and tokens, and a worker
that was broken into should have none to give away. The certificate made at start is in it: a worker answers with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from dynbalancer.core.model import Certificate, EntryPoint
from dynbalancer.core.settings import AccessLogSettings, Limits, Settings
from dynbalancer.errors import ConfigurationError

#: What stays in the parent.
PRIVATE = ("providers", "api", "certificates", "routing")

_LISTS = ("trusted", "proxy_trusted", "middlewares")

_PLAIN = tuple(
    field.name
    for field in fields(Settings)
    if field.name not in (*PRIVATE, "entry_points", "limits", "access_log", "default_certificate")
)


def for_worker(settings: Settings) -> dict[str, Any]:
    """What a worker is told of the settings, JSON-able."""
    return {
        **{name: getattr(settings, name) for name in _PLAIN},
        "entry_points": [asdict(entry_point) for entry_point in settings.entry_points],
        "limits": asdict(settings.limits),
        "access_log": None if settings.access_log is None else asdict(settings.access_log),
        "default_certificate": None
        if settings.default_certificate is None
        else asdict(settings.default_certificate),
    }


def in_worker(found: Mapping[str, Any]) -> Settings:
    """The settings out of what :func:`for_worker` gave. Raises ConfigurationError on anything else."""
    try:
        access_log, certificate = found["access_log"], found["default_certificate"]
        return Settings(
            **{name: found[name] for name in _PLAIN},
            entry_points=tuple(_entry_point(entry_point) for entry_point in found["entry_points"]),
            limits=Limits(**found["limits"]),
            access_log=None if access_log is None else _access_log(access_log),
            default_certificate=None if certificate is None else _certificate(certificate),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError("settings from the parent", f"not readable: {error!r}") from error


def _access_log(found: Mapping[str, Any]) -> AccessLogSettings:
    pairs = ("statuses", "field_modes", "header_modes")
    return AccessLogSettings(**{**found, **{name: tuple(map(tuple, found[name])) for name in pairs}})


def _certificate(found: Mapping[str, Any]) -> Certificate:
    return Certificate(**{**found, "names": tuple(found["names"])})


def _entry_point(found: Mapping[str, Any]) -> EntryPoint:
    return EntryPoint(**{**found, **{name: tuple(found[name]) for name in _LISTS}})
