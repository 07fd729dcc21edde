"""Memory for counting what all workers count together: named regions, and what guards them.

Whoever counts takes a :class:`Region` and a clock, and knows nothing of processes. Here is the kind of one process
alone; ``control.regions`` has the one that workers share.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from mmap import mmap
from typing import Any, Protocol
from weakref import WeakValueDictionary

#: How many sources a process knows the numbers of by heart.
_REMEMBERED = 8192


class Lock(Protocol):
    """Keeps other processes out for some microseconds. Not to be taken twice, nor to be held while waiting."""

    @property
    def acquire(self) -> Callable[[], object]:
        """Take it. Who waits too long goes on without: a limit may then be missed by one, and nobody is held up."""

    @property
    def release(self) -> Callable[[], object]:
        """Give it back. A process that ends has given it back, however it ended."""


class Region:
    """Some memory under one name, equal in all workers.

    ``cells`` are octets that begin as zeros, in a length that is a multiple of 8. ``columns`` are counts, one column of
    them for each worker, of which ``own`` is the only one that this process may write to: that of a worker which is
    gone is set to zeros. ``lock`` is None where there is no other process. Who uses the memory has to hold the
    region, for with the region it goes.
    """

    __slots__ = ("__weakref__", "cells", "columns", "lock", "own")

    def __init__(
        self, cells: memoryview, columns: tuple[memoryview, ...] = (), own: int = 0, lock: Lock | None = None
    ) -> None:
        self.cells = cells
        self.columns = columns
        self.own: memoryview = columns[own] if columns else memoryview(b"")
        self.lock = lock


class LocalRegions:
    """Regions of one process alone. One goes on as long as somebody holds it, and is forgotten after that."""

    def __init__(self) -> None:
        self._regions: WeakValueDictionary[tuple[str, int, int], Region] = WeakValueDictionary()

    def region(self, name: str, size: int, rows: int = 0) -> Region:
        """So many octets (rounded up to a multiple of 8) under a name, and columns of so many counts."""
        key = name, size, rows
        found = self._regions.get(key)
        if found is None:
            size = rounded(size, 8)
            # Unlike a bytearray this takes no memory before it is written to.
            memory = memoryview(mmap(-1, size + 4 * rows or 1))
            column = memory[size : size + 4 * rows].cast("I")
            found = self._regions[key] = Region(memory[:size], (column,) if rows else ())
        return found


class Sources:
    """Numbers for sources (of requests): the same in all workers, and not to be guessed by who has not the secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret[:64]
        self._known: dict[str, int] = {}

    def number(self, source: str) -> int:
        """From 1 to 2⁶⁴-1; two sources have the same one as good as never."""
        found = self._known.get(source)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[source] = self._drawn(source)
        return found

    def _drawn(self, source: str) -> int:
        octets = source.encode("utf-8", "surrogateescape")
        return int.from_bytes(blake2b(octets, digest_size=8, key=self._secret).digest(), "little") or 1


def rounded(size: int, step: int) -> int:
    """The next multiple of ``step``, from ``size`` up."""
    return -(-size // step) * step


def cells_of(region: Region, kind: str) -> Any:
    """The cells as numbers: ``Q`` whole ones, ``d`` floats."""
    return region.cells.cast("B").cast(kind)  # type: ignore[call-overload]
