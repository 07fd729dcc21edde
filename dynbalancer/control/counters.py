"""Rows of numbers for balancing: one row per service, shared by all workers.

The numbers live in one piece of memory that the parent makes and the workers inherit; the regions of limits are behind
them. Taking a number is a read and a write with no lock: two workers at the same moment may get the same one, which
costs a rotation one step and nobody a request. That is why a pick costs a fraction of a microsecond.
"""

from __future__ import annotations

import fcntl
import itertools
import mmap
import os
import struct
from collections.abc import Callable, Collection, Mapping
from weakref import WeakValueDictionary

from dynbalancer.control.regions import SharedRegions, octets
from dynbalancer.core.regions import LocalRegions, rounded

#: The file descriptor that a worker has them on.
COUNTERS_FD = 4

#: Bytes of one row, and how many rows there are. Memory is only taken for the pages that are used.
WIDTH = 8
ROWS = 1 << 20

#: A number stays below this, whatever a worker made of it.
_MASK = (1 << 63) - 1

#: What the memory begins with: how many rows it has, and how many workers share it.
_HEADER = struct.Struct("QQ")


class _Row(itertools.count):  # type: ignore[type-arg]
    """A row of this process alone. A class of its own because a plain count can't be referenced weakly."""


class LocalCounters:
    """Rows of one process alone. A row goes on as long as somebody holds it, and is forgotten after that."""

    def __init__(self) -> None:
        self.regions = LocalRegions()
        self._rows: WeakValueDictionary[str, _Row] = WeakValueDictionary()

    def slot(self, name: str) -> Callable[[], int]:
        """The next number of the row ``name``, at each call."""
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = _Row()
        return row.__next__


class Counters:
    """Rows in shared memory. ``use`` says which row is whose, equally in every process."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        rows, workers = _HEADER.unpack_from(mmap.mmap(fd, mmap.PAGESIZE))
        start = rounded(_HEADER.size + rows * WIDTH, mmap.ALLOCATIONGRANULARITY)
        self.regions = SharedRegions(fd, start, workers)
        self._rows = memoryview(mmap.mmap(fd, start))[_HEADER.size :][: rows * WIDTH].cast("Q")
        self._slots: Mapping[str, int] = {}
        self._local = LocalCounters()

    @classmethod
    def create(cls, rows: int = ROWS, workers: int = 1) -> Counters:
        """New memory for so many workers, to be inherited by file descriptor ``fd``."""
        fd = os.memfd_create("dynbalancer-counters", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        start = rounded(_HEADER.size + rows * WIDTH, mmap.ALLOCATIONGRANULARITY)
        os.ftruncate(fd, start + octets(workers))
        os.pwrite(fd, _HEADER.pack(rows, workers), 0)
        # A worker that could cut the memory short would take down every other process that touches it.
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        return cls(fd)

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self._rows)

    def use(self, slots: Mapping[str, int], changed: Mapping[str, int] | None = None) -> None:
        """Rows by service name, from now on. Raises ValueError on what can't be a row.

        Only those that ``changed`` are looked at, where that is given.
        """
        for name, index in (slots if changed is None else changed).items():
            if type(index) is not int or not 0 <= index < len(self._rows):
                raise ValueError(f"slot {index!r} of service {name}: there are {len(self._rows)} rows")
        self._slots = slots

    def clear(self, index: int) -> None:
        """Start a row again at 0."""
        self._rows[index] = 0

    def slot(self, name: str) -> Callable[[], int]:
        """The next number of the row of service ``name``, at each call; a private row where it has none."""
        index = self._slots.get(name)
        if index is None:
            return self._local.slot(name)
        rows, at = self._rows, index

        def following() -> int:
            value = rows[at] & _MASK
            rows[at] = value + 1
            return value

        return following


class SlotNumbers:
    """Which service has which row. The parent decides, and tells every worker."""

    def __init__(self, rows: int = ROWS, clear: Callable[[int], object] = lambda index: None) -> None:
        self._rows = rows
        self._clear = clear
        self._used: dict[str, int] = {}
        self._free: list[int] = []
        self._freed: list[int] = []
        self._next = 0

    def assign(self, names: Collection[str]) -> dict[str, int]:
        """The rows for the services of one table. Who had one keeps it; beyond the last row there is none.

        A row that is given up here is given away by a later call at the earliest: until then a worker may
        still count on it.
        """
        present = set(names)
        gone = [name for name in self._used if name not in present]
        self._free, self._freed = self._free + self._freed, [self._used.pop(name) for name in gone]
        for name in names:
            if name not in self._used and (index := self._take()) is not None:
                self._used[name] = index
        return dict(self._used)

    def _take(self) -> int | None:
        if self._free:
            index = self._free.pop()
        elif self._next < self._rows:
            index, self._next = self._next, self._next + 1
        else:
            return None
        self._clear(index)
        return index
