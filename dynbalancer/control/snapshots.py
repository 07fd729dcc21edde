"""The routing table in force as the workers get it, encoded once for all that have the same one already."""

from __future__ import annotations

from dynbalancer.core.frames import encode
from dynbalancer.core.transfer import Held, parts


class Snapshot:
    """A routing table by its number. What a worker is sent depends on the table it has."""

    def __init__(self, number: int, held: Held) -> None:
        self.number = number
        self.held = held
        self._frames: dict[int | None, list[bytes]] = {}

    def frames(self, base: Snapshot | None) -> list[bytes]:
        """The messages that make it of ``base``, the last table the worker took, if any. Raises ValueError."""
        key = None if base is None else base.number
        found = self._frames.get(key)
        if found is None:
            found = self._frames[key] = self._encoded(base)
        return found

    def _encoded(self, base: Snapshot | None) -> list[bytes]:
        *first, last = parts(self.held, Held() if base is None else base.held)
        messages = [{"type": "part", "number": self.number, **part} for part in first]
        number = None if base is None else base.number
        return [
            encode(message)
            for message in (*messages, {"type": "table", "number": self.number, "base": number, **last})
        ]

    def outdated(self) -> None:
        """There is a newer one: nobody is sent this any more, but what is sent may be made of it."""
        self._frames.clear()
