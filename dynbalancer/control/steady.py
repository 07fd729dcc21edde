"""A reactor's clock that nobody sets. Twisted's is the wall clock: set back by an hour, it stops timers for an hour."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.internet.base import ReactorBase


def keep_steady(reactor: Any, monotonic: Callable[[], float] = time.monotonic) -> bool:
    """Let a reactor's timers go by a clock that only goes on. False: it is not one of Twisted's, or is at something.

    What waits already has its time by the other clock, so this must come before anything does.
    """
    if not isinstance(reactor, ReactorBase) or reactor.getDelayedCalls():
        return False
    reactor.seconds = monotonic
    return True
