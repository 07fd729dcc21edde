"""The memory of this process, and what is done while there is little of it.

First connections are not kept any more: those that wait for a next request are closed. Then who comes is answered 503.
Nobody is cut. Both is better than to be killed by the system, with all that is in flight.

And where nothing is short, what a crowd of clients held is given back when it has gone.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from dynbalancer.core.pressure import EASY, OUT, SHORT, SHORT_AT, ebbed, pressure, working_set
from dynbalancer.proxy.resource import ReverseProxyResource
from dynbalancer.proxy.site import Site

#: Seconds between two looks: how much memory is left, and whether a crowd has gone.
INTERVAL = 0.5
EBB_INTERVAL = 2.0

_PAGE = os.sysconf("SC_PAGE_SIZE")

#: Gives bytes in use, and how many may be.
Measure = Callable[[], tuple[int, int]]


def own(limit: int, status: Path = Path("/proc/self/statm")) -> Measure:
    """Measures what this process holds against a limit of its own."""

    def measure() -> tuple[int, int]:
        return int(status.read_text().split()[1]) * _PAGE, limit

    return measure


def of_control_group(
    member: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> Measure | None:
    """Measures the tightest control group (version 2) that this process is in; None where none has a limit.

    All processes of the group count together: those of a container, for example.
    """
    try:
        [path] = [line[3:] for line in member.read_text().splitlines() if line.startswith("0::")]
        place = root / path.strip("/")
        groups = [one for one in (place, *place.parents) if one == root or root in one.parents]
        limits = [(_limit(one), one) for one in groups]
        found = min((limit, one) for limit, one in limits if limit)
    except (OSError, ValueError):
        return None
    limit, group = found

    def measure() -> tuple[int, int]:
        current = int((group / "memory.current").read_text())
        if current >= SHORT_AT * limit / 2:
            current = working_set(current, (group / "memory.stat").read_text())
        return current, limit

    return measure


def _limit(group: Path) -> int:
    """Bytes, 0 where there is no limit."""
    try:
        text = (group / "memory.max").read_text().strip()
    except OSError:
        # The root has none, and in a container it may be all there is to see.
        return 0
    return 0 if text == "max" else int(text)


def give_back() -> None:
    """Let the system have what was freed here. By itself the C library gives back only the end of its heap."""
    # Not before it is wanted: it is a megabyte.
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        # Only glibc has it.
        ctypes.CDLL(None).malloc_trim(0)


class Memory:
    """Looks how much of it is left, and tells who serves clients. ``level`` is EASY, SHORT or OUT."""

    _log = Logger()

    def __init__(
        self,
        measure: Measure,
        resource: ReverseProxyResource,
        sites: Callable[[], Iterable[Site]],
        clock: Any,
        *,
        give_back: Callable[[], None] = give_back,
    ) -> None:
        self.level = EASY
        self._measure = measure
        self._resource = resource
        self._sites = sites
        self._give_back = give_back
        self._call = LoopingCall(self.look)
        self._call.clock = clock

    def start(self) -> None:
        """Begin to look."""
        self._call.start(INTERVAL, now=False)

    def stop(self) -> None:
        """Look no more; what was said stays so."""
        if self._call.running:
            self._call.stop()

    def look(self) -> None:
        """How much is left now?"""
        level, used, limit = self._looked()
        if level != EASY:
            self._give_back()
            level, used, limit = self._looked()
        if level != self.level:
            self._tell(level, used, limit)

    def _looked(self) -> tuple[int, int, int]:
        try:
            used, limit = self._measure()
        except (OSError, ValueError, IndexError):
            # Better nothing is done than the wrong thing.
            return EASY, 0, 0
        return pressure(used, limit, self.level), used, limit

    def _tell(self, level: int, used: int, limit: int) -> None:
        before, self.level = self.level, level
        self._resource.refuse_all(level == OUT)
        for site in self._sites():
            # Or who asks for what was asked before would be served all the same.
            site.peers.forget()
            if EASY in (before, level):
                site.keep_none(level >= SHORT)
        done = {
            EASY: "connections are kept again",
            SHORT: "connections are not kept any more",
            OUT: "requests are answered 503",
        }[level]
        self._log.warn(
            "{used} of {limit} MiB of memory are in use: {done}",
            used=used >> 20,
            limit=limit >> 20,
            done=done,
        )


class Ebb:
    """Gives memory back when a crowd of clients has gone. ``connections()`` says how many there are now.

    That takes some milliseconds: a hundred slow readers leave 20 MiB, found and given back in 1 to 9.
    """

    def __init__(
        self, connections: Callable[[], int], clock: Any, *, give_back: Callable[[], None] = give_back
    ) -> None:
        self._connections = connections
        self._give_back = give_back
        self._most = 0
        self._call = LoopingCall(self.look)
        self._call.clock = clock

    def start(self) -> None:
        """Begin to look."""
        self._call.start(EBB_INTERVAL, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._call.running:
            self._call.stop()

    def look(self) -> None:
        """How many are left now?"""
        now = self._connections()
        if ebbed(self._most, now):
            self._give_back()
            self._most = now
        self._most = max(self._most, now)


def memory_measure(limit: int) -> Measure | None:
    """Measures what the settings want: a limit of this process, or 0 for that of its control group."""
    return own(limit) if limit else of_control_group()
