"""Regions that all workers share: memory under a name, for limits that hold for all of them together.

The parent makes one sparse piece of memory, which the workers inherit together with the counters (they are one file).
In it are a directory, and blocks. Who asks for a region is given the one of that name, or makes it where there is none.
Nobody needs to be told by the parent which is where, so a limit costs a table nothing.

Who may leave at any moment, even in the midst of a change, must not leave anything behind. So locks are record locks of
the system, which end with the process; counts of what is in flight are in a column for each worker; and the directory
says which worker holds which region. The parent sets the columns of a worker that is gone to zeros and takes back what
only that one held.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from typing import Any
from weakref import WeakValueDictionary, finalize

from dynbalancer.core.regions import Region, rounded
from dynbalancer.errors import ConfigurationError

#: Octets of a block, how many blocks there are, and how many regions. Only the pages that are written to take memory.
BLOCK = 1 << 16
BLOCKS = 1 << 14
ENTRIES = 1 << 12

#: How long one waits for a lock at most, in seconds. It is held for microseconds, but its holder may have to wait for a
#: processor, or be stopped: then a limit may be missed by one, and no request waits for a debugger.
PATIENCE = 0.002

#: The same for the directory, which no request waits for. Who went on without it could make a region that another one
#: is making, and a limit would hold for each worker alone.
DIRECTORY_PATIENCE = 1.0

#: Where an entry may be, from the one its name says.
_PROBED = 64

#: What an entry holds, each 8 octets: number of the name, first block, number of blocks, octets of cells, rows.
_NAME, _BLOCK, _BLOCKS, _SIZE, _ROWS, _WIDTH = range(6)


class RecordLock:
    """A lock of the system on one octet of a file; it has no need to exist, and ends with the process."""

    __slots__ = ("_patience", "_take", "release")

    def __init__(self, fd: int, at: int, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._take = partial(fcntl.lockf, fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at)
        self.release: Callable[[], object] = partial(fcntl.lockf, fd, fcntl.LOCK_UN, 1, at)

    def acquire(self) -> bool:
        """Take it; False where it could not be had in time."""
        try:
            self._take()
        except OSError:
            return self._wait()
        return True

    def _wait(self) -> bool:
        end = time.monotonic() + self._patience
        while time.monotonic() < end:
            os.sched_yield()
            try:
                self._take()
            except OSError:
                continue
            return True
        return False


def octets(workers: int) -> int:
    """How much of the file the regions take, for so many workers."""
    return _data(workers) + BLOCKS * BLOCK


def _data(workers: int) -> int:
    """Where the blocks begin: behind the directory, who holds what, and which blocks are taken."""
    return rounded(ENTRIES * (8 * _WIDTH + workers) + BLOCKS, mmap.ALLOCATIONGRANULARITY)


class SharedRegions:
    """The regions of a file from ``at`` on. ``join`` says which worker this process is; before that it is the first."""

    def __init__(self, fd: int, at: int, workers: int) -> None:
        self.workers = workers
        self._fd = fd
        self._own = 0
        # From the first octet on, for an offset must be a multiple of a page; the rest of the file is not touched.
        self._memory = mmap.mmap(fd, at + octets(workers))
        whole = memoryview(self._memory)[at:]
        self._at = at
        self._entries: Any = whole[: ENTRIES * 8 * _WIDTH].cast("Q")
        self._holders = whole[ENTRIES * 8 * _WIDTH :][: ENTRIES * workers]
        self._taken = whole[ENTRIES * (8 * _WIDTH + workers) :][:BLOCKS]
        self._data = whole[_data(workers) :]
        self._regions: WeakValueDictionary[tuple[str, int, int], Region] = WeakValueDictionary()
        # Locks are on octets of the file beyond all that is in it: they need not be there.
        self._directory = RecordLock(fd, 1 << 40, DIRECTORY_PATIENCE)

    def join(self, worker: int) -> None:
        """This process is the worker with this number, from 1. Raises ValueError where there is no such place."""
        if not 1 <= worker <= self.workers:
            raise ValueError(f"there are places for {self.workers} workers, and none for number {worker}")
        self._own = worker - 1

    def region(self, name: str, size: int, rows: int = 0) -> Region:
        """So many octets (rounded up to a multiple of 8) under a name, and columns of so many counts.

        The same name with another size is another region. Raises ConfigurationError where there is no room.
        """
        key = name, size, rows
        found = self._regions.get(key)
        if found is None:
            found = self._regions[key] = self._entered(key)
        return found

    def ended(self, worker: int) -> None:
        """This worker is gone: forget what it had in flight, and take back what only it held."""
        own = worker - 1
        self._directory.acquire()
        try:
            for entry in range(ENTRIES):
                if self._holders[entry * self.workers + own]:
                    for column in self._columns(entry)[own : own + 1]:
                        column[:] = memoryview(bytes(column.nbytes)).cast("I")
                    self._give_up(entry, own)
        finally:
            self._directory.release()

    def _entered(self, key: tuple[str, int, int]) -> Region:
        number = int.from_bytes(blake2b(repr(key).encode(), digest_size=8).digest(), "little") or 1
        self._directory.acquire()
        try:
            entry = self._find(number, key)
            self._holders[entry * self.workers + self._own] = 1
        finally:
            self._directory.release()
        lock = RecordLock(self._fd, (1 << 40) + 1 + entry) if self.workers > 1 else None
        region = Region(self._cells(entry), self._columns(entry), self._own, lock)
        finalize(region, self._left, entry).atexit = False
        return region

    def _find(self, number: int, key: tuple[str, int, int]) -> int:
        """The entry with this name, which may have to be made."""
        entries, free = self._entries, -1
        for probed in range(_PROBED):
            entry = (number + probed) % ENTRIES
            if entries[entry * _WIDTH] == number:
                return entry
            if free < 0 and not entries[entry * _WIDTH]:
                free = entry
        name, size, rows = key
        size, column = rounded(size, 8), rounded(4 * rows, 8)
        wanted = rounded(size + column * self.workers, BLOCK) // BLOCK
        block = bytes(self._taken).find(bytes(wanted))
        if free < 0 or block < 0:
            raise ConfigurationError(name, "there is no room for more limits", "have several routers use one")
        self._taken[block : block + wanted] = b"\x01" * wanted
        at = free * _WIDTH
        for place, value in ((_BLOCK, block), (_BLOCKS, wanted), (_SIZE, size), (_ROWS, rows)):
            entries[at + place] = value
        # Last: whoever is killed in between leaves some blocks unused, and no entry that is half of one.
        entries[at + _NAME] = number
        return free

    def _cells(self, entry: int) -> memoryview:
        first, size = self._entries[entry * _WIDTH + _BLOCK] * BLOCK, self._entries[entry * _WIDTH + _SIZE]
        return self._data[first : first + size]

    def _columns(self, entry: int) -> tuple[memoryview, ...]:
        at = entry * _WIDTH
        rows = self._entries[at + _ROWS]
        if not rows or not self._is_sound(entry):
            return ()
        first = self._entries[at + _BLOCK] * BLOCK + self._entries[at + _SIZE]
        starts = range(first, first + rounded(4 * rows, 8) * self.workers, rounded(4 * rows, 8))
        return tuple(self._data[start : start + 4 * rows].cast("I") for start in starts)

    def _is_sound(self, entry: int) -> bool:
        """Whether it fits into the memory: a worker that was broken into may write here what it likes."""
        at = entry * _WIDTH
        block, blocks, size, rows = map(int, self._entries[at + _BLOCK : at + _WIDTH])
        return block + blocks <= BLOCKS and size + rounded(4 * rows, 8) * self.workers <= blocks * BLOCK

    def _left(self, entry: int) -> None:
        """Nothing in this process uses a region any more."""
        self._directory.acquire()
        try:
            self._give_up(entry, self._own)
        finally:
            self._directory.release()

    def _give_up(self, entry: int, own: int) -> None:
        holders = slice(entry * self.workers, (entry + 1) * self.workers)
        self._holders[holders.start + own] = 0
        if any(self._holders[holders]):
            return
        at = entry * _WIDTH
        block, blocks = self._entries[at + _BLOCK], self._entries[at + _BLOCKS]
        self._entries[at + _NAME] = 0
        if not self._is_sound(entry):
            return
        start = self._at + _data(self.workers) + block * BLOCK
        # Pages go back to the system, and are zeros when they come again.
        self._memory.madvise(mmap.MADV_REMOVE, start, blocks * BLOCK)
        self._taken[block : block + blocks] = bytes(blocks)
