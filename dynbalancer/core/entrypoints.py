"""What is meant by the name of an entry point."""

from __future__ import annotations

from collections.abc import Container

#: What v1 called the entry points that are web and websecure since; ``http`` was there without being asked for.
V1_NAMES = {"http": "web", "https": "websecure"}


def meant_by_v1(name: str, known: Container[str]) -> str:
    """The entry point that a v1 definition names: v1's own name, or what it is called since."""
    since = V1_NAMES.get(name, "")
    return since if name not in known and since in known else name
