"""File descriptors: as many as the system allows, and some of them are not for clients.

A worker without a free descriptor can ask no server: everybody would get 502, also those whose connections are open. So
who connects when most are taken is cut instead, and the rest is kept for servers and logs.
"""

from __future__ import annotations

import resource
import select
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from dynbalancer.core.repeats import Repeats
from dynbalancer.proxy import transports

#: What a process asks for where the system sets no limit.
PLENTY = 1 << 20

#: No client's connection brings as many descriptors with it: its own, those to servers, files for bodies.
FEW = 16

#: The reason of a refusal, as it is counted.
NO_DESCRIPTOR = "descriptors"


def allowed() -> int:
    """How many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return PLENTY if soft == resource.RLIM_INFINITY else soft


def raise_limit() -> None:
    """Allow this process as many as the system lets it have: the usual 1024 are for programs that use select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = PLENTY if hard == resource.RLIM_INFINITY else min(hard, PLENTY)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def look_at(transport: Any) -> Callable[[int], list[Any]]:
    """Asks the system whether something came over a connection, or its end, that nobody has read yet.

    To be called with 0; what it gives is empty where nothing did. Not any more once the connection is closed.
    """
    looking = select.poll()
    number = transports.descriptor(transport)
    if number >= 0:
        looking.register(number, select.POLLIN)
    return looking.poll


class Descriptors:
    """Keeps one descriptor of five from clients. ``refusals`` counts who was cut for it."""

    _log = Logger()

    def __init__(self, limit: int, refusals: dict[str, int], clock: Callable[[], float]) -> None:
        # The system gives the lowest number that is free: one as high as this says that all below are taken.
        self.most = limit * 4 // 5
        self._limit = limit
        self._refusals = refusals
        self._clock = clock
        self._repeats = Repeats()
        #: How many more connections are sure to find room: to ask the system costs something.
        self._sure = 0

    def admits(self, transport: Any) -> bool:
        """Whether there is room for this connection, which was just accepted."""
        if self._sure:
            self._sure -= 1
            return True
        number = transports.descriptor(transport)
        if number < self.most:
            self._sure = (self.most - number) // FEW
            return True
        self._refusals[NO_DESCRIPTOR] = self._refusals.get(NO_DESCRIPTOR, 0) + 1
        unsaid = self._repeats.passes(NO_DESCRIPTOR, self._clock())
        if unsaid is not None:
            self._log.warn(
                "Refused a connection: {most} of the {limit} descriptors that this process may have are taken, and the "
                "rest is for servers. Raise the limit (ulimit -n, LimitNOFILE=){more}",
                most=self.most,
                limit=self._limit,
                more=f"; {unsaid} more since the last line" if unsaid else "",
            )
        return False
