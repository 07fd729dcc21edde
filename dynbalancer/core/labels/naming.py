"""The names Traefik gives to what it finds on containers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

from dynbalancer.core.labels.containers import Container

_between = re.compile(r"[^A-Za-z0-9]+").sub


def sub(name: str) -> str:
    """A name as part of a host name: no leading slash, other slashes and underscores as dashes."""
    return name.removeprefix("/").replace("/", "-").replace("_", "-")


def normalize(text: str) -> str:
    """The letters and digits of ``text``, everything between them one dash."""
    if text.isascii():
        return _between(" ", text).strip().replace(" ", "-")
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


def frontend_name(rule: str, segment: str, backend: str) -> str:
    """The name of a v1 frontend; outside of segments the place of its container is still to be appended."""
    return normalize(f"{segment}-{backend}") if segment else normalize(rule)


def numbered(name: str, position: int) -> str:
    """The name of a v1 frontend whose container is at ``position`` among all that are routed."""
    return f"{name}-{position}".removeprefix("-")


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
