"""What an engine tells while it happens: a hint which container to look at again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dynbalancer_docker.reading import is_id
from dynbalancer_docker.signals import number_of

#: Podman has other words for two of them.
_SYNONYMS = {"died": "die", "remove": "destroy"}

#: Events of containers after which one has to be looked at again.
CONTAINER_ACTIONS: tuple[str, ...] = (
    "start", "die", "kill", "stop", "pause", "unpause", "rename", "update", "health_status", "destroy",
)  # fmt: skip
NETWORK_ACTIONS: tuple[str, ...] = ("connect", "disconnect")

#: What to ask an engine for. Without it every run of every health check is three events.
FILTERS: Mapping[str, list[str]] = {
    "type": ["container", "network"],
    "event": [*CONTAINER_ACTIONS, *NETWORK_ACTIONS],
}


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to container ``id``. ``time``: Unix time by the engine's clock, 0 if unknown."""

    id: str
    action: str
    name: str = ""
    signal: int | None = None
    time: float = 0.0


def read_event(document: object) -> Event | None:
    """The event, or None where it is none of ours or can't be read."""
    if not isinstance(document, dict):
        return None
    actor = document.get("Actor")
    actor = actor if isinstance(actor, dict) else {}
    attributes = actor.get("Attributes")
    attributes = attributes if isinstance(attributes, dict) else {}
    action = _action(document)
    if document.get("Type") == "network":
        found, known = attributes.get("container"), NETWORK_ACTIONS
    elif document.get("Type", "container") == "container":
        found, known = actor.get("ID") or document.get("id"), CONTAINER_ACTIONS
    else:
        return None
    if action not in known or not is_id(found):
        return None
    name = attributes.get("name") if known is CONTAINER_ACTIONS else ""
    return Event(
        id=found,
        action=action,
        name=name if isinstance(name, str) else "",
        signal=number_of(attributes.get("signal")),
        time=_time(document),
    )


def _action(document: Mapping[str, object]) -> str:
    """``health_status: healthy`` is a health_status; old engines call the key ``status``."""
    said = document.get("Action") or document.get("status")
    if not isinstance(said, str):
        return ""
    word = said.partition(":")[0].strip()
    return _SYNONYMS.get(word, word)


def _time(document: Mapping[str, object]) -> float:
    for key, scale in (("timeNano", 1e9), ("time", 1.0)):
        said = document.get(key)
        if isinstance(said, int) and not isinstance(said, bool) and 0 < said < 1 << 63:
            return said / scale
    return 0.0
