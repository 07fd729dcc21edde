"""v1's labels about who may come in: names and passwords, and servers that are asked about it."""

from __future__ import annotations

from typing import Any

from dynbalancer.core.labels.findings import Findings, Label
from dynbalancer.core.labels.sheet import Fields
from dynbalancer.core.labels.v1rules import Modifier
from dynbalancer.core.labels.values import boolean, csv, text

_AUTH = "frontend.auth."
_TLS_TEXTS = ("ca", "cert", "key")
_TLS_SWITCHES = ("caOptional", "insecureSkipVerify")
#: Whichever comes first counts (Traefik v1.7).
_KINDS = ("basic", "digest", "forward")


def auth(fields: Fields, findings: Findings) -> Modifier | None:
    """The one middleware that v1's labels for authentication ask for, or None where there are none."""
    given = [label for key, label in fields.items() if key.startswith(_AUTH) or key == _AUTH[:-1]]
    if not given:
        return None
    kinds = [kind for kind in _KINDS if _of(fields, kind)]
    # Whatever names no kind is about basicAuth, which can't be made without users: the router stays closed.
    kind = kinds[0] if kinds else "basic"
    for other in kinds[1:]:
        why = f"not used: auth.{kind} goes before it"
        findings.label(_first(fields, other).key, why, severity="warning")
    if kind == "forward":
        return _forward(fields, findings)
    return _passwords(fields, kind, given[0], findings)


def _of(fields: Fields, kind: str) -> list[Label]:
    prefix = f"{_AUTH}{kind}"
    return [label for key, label in fields.items() if key == prefix or key.startswith(f"{prefix}.")]


def _first(fields: Fields, kind: str) -> Label:
    names = ("address",) if kind == "forward" else ("users", "usersFile")
    named = (fields.get(f"{_AUTH}{kind}.{name}") for name in names)
    return next((label for label in named if label), _of(fields, kind)[0])


def _passwords(fields: Fields, kind: str, given: Label, findings: Findings) -> Modifier:
    users = fields.get(f"{_AUTH}{kind}.users") or (fields.get(f"{_AUTH}basic") if kind == "basic" else None)
    file = fields.get(f"{_AUTH}{kind}.usersFile")
    if users is None and file is None:
        findings.label(given.key, f"names no users; nobody is let in without label auth.{kind}.users")
    settings: dict[str, Any] = {
        "users": csv(text(users)),
        "removeHeader": boolean(fields.get(f"{_AUTH}{kind}.removeHeader"), False, findings),
        "headerField": text(fields.get(f"{_AUTH}headerField")),
    }
    if file is not None:
        settings["usersFile"] = text(file)
    return Modifier(f"{kind}Auth", settings, f"label {(users or file or given).key}")


def _forward(fields: Fields, findings: Findings) -> Modifier:
    prefix = f"{_AUTH}forward."
    address = fields.get(f"{prefix}address")
    first = _first(fields, "forward")
    if address is None:
        findings.label(first.key, f"nobody is let in without label traefik.{prefix}address")
    header = fields.get(f"{_AUTH}headerField")
    if header is not None:
        findings.label(header.key, "not used: it is for auth.basic and auth.digest", severity="warning")
    settings: dict[str, Any] = {"address": text(address)}
    names = csv(text(fields.get(f"{prefix}authResponseHeaders")))
    if names:
        settings["authResponseHeaders"] = names
    if boolean(fields.get(f"{prefix}trustForwardHeader"), False, findings):
        settings["trustForwardHeader"] = True
    tls = _tls(fields, f"{prefix}tls.", findings)
    if tls:
        settings["tls"] = tls
    return Modifier("forwardAuth", settings, f"label {first.key}")


def _tls(fields: Fields, prefix: str, findings: Findings) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: text(fields[prefix + name]) for name in _TLS_TEXTS if prefix + name in fields
    }
    found |= {name: True for name in _TLS_SWITCHES if boolean(fields.get(prefix + name), False, findings)}
    return found
