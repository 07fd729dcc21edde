"""The names Traefik gives to what it finds on containers."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

from dynbalancer.core.labels.containers import Container


def sub(name: str) -> str:
    """A name as part of a host name: no leading slash, other slashes and underscores as dashes."""
    return name.removeprefix("/").replace("/", "-").replace("_", "-")


def normalize(text: str) -> str:
    """The letters and digits of ``text``, everything between them one dash."""
    return "-".join("".join(c if _is_word(c) else " " for c in text).split())


def service_name(container: Container) -> str:
    """``service_project`` of a compose container, the container's name of any other."""
    compose = container.compose
    return f"{compose[0]}_{compose[1]}" if compose else container.name


def backend_name(container: Container, backend: str = "", segment: str = "") -> str:
    """The name of a v1 backend: its label, the service name, or both in a segment."""
    service = service_name(container)
    if segment:
        return normalize(f"{service}-{backend or segment}")
    return normalize(backend) or normalize(service)


def frontend_name(rule: str, position: int, segment: str, backend: str) -> str:
    """The name of a v1 frontend; ``position`` is that of the container among all that are routed."""
    return normalize(f"{segment}-{backend}") if segment else normalize(f"{rule}-{position}")


def default_rule(container: Container, domain: str) -> str:
    """The rule v1 gives to a container without one, or an empty string where it can't name a host."""
    domain = domain.strip(".")
    suffix = f".{domain}" if domain else ""
    if container.compose:
        return f"Host:{sub('.'.join(container.compose))}{suffix}"
    return f"Host:{sub(container.name)}{suffix}" if domain else ""


def unique(name: str, taken: Collection[str]) -> str:
    """``name``, or ``name-2`` and so on where ``taken`` has it already."""
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


def _is_word(character: str) -> bool:
    # Go asks unicode.IsLetter and unicode.IsDigit; str.isalnum is wider (it takes fractions and
    # superscripts).
    category = unicodedata.category(character)
    return category[0] == "L" or category == "Nd"
