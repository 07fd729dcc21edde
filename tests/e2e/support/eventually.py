"""Waiting for what will be so in a moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds after which what has not come will not come. Nobody promises it so late: a machine that is busy with others,
#: or waits for its disk, must not fail a test. What must come *soon* is compared with what would come later instead.
LONG = 60.0


def eventually(check: Callable[[], T], within: float = LONG, every: float = 0.05) -> T:
    """The first true answer of ``check``; what it raised last, or AssertionError, when the time is over.

    Only failed assertions and failed connections are tried again: anything else is a mistake of the test.
    """
    deadline = time.monotonic() + within
    while True:
        problem: Exception | None = None
        try:
            answer = check()
            if answer:
                return answer
        except (AssertionError, OSError) as error:
            problem = error
        if time.monotonic() > deadline:
            raise problem or AssertionError(f"not so within {within} seconds: {check}")
        time.sleep(every)
