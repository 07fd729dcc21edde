"""A watchdog for the event loop: says in whose code it stood still, while everybody waited.

A thread looks a few times in a hundred milliseconds where the loop's thread is. Where that waits for something to do,
nothing more is done. Otherwise the loop is asked to answer in its next turn, and how long that takes is how long it
stood still. When nothing happened for a while the thread dozes: it looks rarely, until a request wakes it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from twisted.logger import Logger

from dynbalancer.proxy.transports import loop_of

#: Looks in the shortest time that is a stall, and the least time between two, in seconds.
LOOKS, SHORTEST = 1.25, 0.01

#: After so many seconds without anything to see it dozes, and looks in these intervals unless it is woken.
AWAKE, DOZE = 5.0, 0.25

#: A stall that lasts this long is logged before it is over, in seconds: it may never be.
LONG = 1.0

#: After a line in the log the next ones are only counted for so many seconds.
SILENCE = 5.0

#: The innermost frames of a stack that are logged.
DEPTH = 16

#: Where a thread is that waits for something to do, by module and function. uvloop waits below the reactor's.
RESTING = frozenset(
    (
        ("twisted.internet.asyncioreactor", "run"),
        ("selectors", "select"),
        ("twisted.internet.epollreactor", "doPoll"),
        ("twisted.internet.pollreactor", "doPoll"),
        ("twisted.internet.selectreactor", "doSelect"),
    )
)


def in_thread(function: Callable[[], None]) -> None:
    """Run it in a thread of its own, which the end of the process does not wait for."""
    threading.Thread(target=function, name="watchdog", daemon=True).start()


class Watchdog:
    """Watches the loop of the thread that starts it. ``stalls`` counts how often it stood still too long.

    While ``dozing``, whoever gives the loop something to do should :meth:`wake` it: a shorter stall may go unseen else.
    """

    _log = Logger()

    def __init__(
        self,
        stall: float,
        reactor: Any,
        *,
        clock: Callable[[], float] = time.monotonic,
        frames: Callable[[], Mapping[int, Any]] = sys._current_frames,
        sleep: Callable[[float], None] = time.sleep,
        bed: Any = None,
        spawn: Callable[[Callable[[], None]], None] = in_thread,
    ) -> None:
        """``stall`` is how many seconds are too long; 0: none are, and nothing is watched."""
        self._reactor = reactor
        self._soon: Callable[[Callable[[], None]], object] = lambda answer: None
        self.stalls = 0
        self.dozing = False
        self.period = max(stall / LOOKS, SHORTEST)
        self._stall = stall
        self._clock = clock
        self._frames = frames
        self._sleep = sleep
        self._bed: Any = threading.Event() if bed is None else bed
        self._spawn = spawn
        self._thread = 0
        self._running = False
        #: When the loop last turned, as far as is known; when something was last seen; when what the loop is at began,
        #: 0 where nothing was asked.
        self._turned = 0.0
        self._seen = 0.0
        self._began = 0.0
        self._where = ""
        self._told = False
        self._quiet_until = 0.0
        self._untold = 0

    def start(self) -> None:
        """Begin to look."""
        if self._running or not self._stall:
            return
        self._running = True
        loop = loop_of(self._reactor)
        self._soon = self._reactor.callFromThread if loop is None else loop.call_soon_threadsafe
        self._thread = threading.get_ident()
        self._turned = self._seen = self._clock()
        self._spawn(self._keep_looking)

    def stop(self) -> None:
        """Look no more. The thread ends when it next wakes."""
        self._running = False
        self._bed.set()

    def wake(self) -> None:
        """The loop has something to do, from now on."""
        self.dozing = False
        self._turned = self._seen = self._clock()
        self._bed.set()

    def _keep_looking(self) -> None:
        while self._running:
            if self.dozing:
                self._bed.wait(DOZE)
            else:
                self._sleep(self.period)
            if self._running:
                self.look()

    def look(self) -> None:
        """What does the loop do? Runs in the watchdog's own thread."""
        now = self._clock()
        frame = self._frames().get(self._thread)
        if frame is None:
            return
        if self._began:
            self._where = described(frame)
            if now - self._began >= LONG and not self._told:
                self._told = True
                self._say(now - self._began, self._where)
        elif (frame.f_globals.get("__name__"), frame.f_code.co_name) in RESTING:
            self._turned = now
            if not self.dozing and now - self._seen >= AWAKE:
                self._bed.clear()
                self.dozing = True
        else:
            self._where = described(frame)
            self._began = self._beginning(now)
            self._seen, self.dozing = now, False
            self._ask()

    def _beginning(self, now: float) -> float:
        """When what the loop is at began: since it last turned, and before a look was due."""
        if self.dozing:
            # That was long ago. What is not known is not counted.
            return min(now, self._turned + DOZE)
        return self._turned + min(now - self._turned, self.period) / 2

    def _ask(self) -> None:
        try:
            self._soon(self._answer)
        except RuntimeError:
            # The loop was closed.
            self._running = False

    def _answer(self) -> None:
        """The loop turned."""
        now = self._clock()
        lasted, where, told = now - self._began, self._where, self._told
        self._turned, self._told, self._began = now, False, 0.0
        if lasted >= self._stall and not told:
            self._say(lasted, where)

    def _say(self, seconds: float, where: str) -> None:
        self.stalls += 1
        now = self._clock()
        if now < self._quiet_until:
            self._untold += 1
            return
        self._quiet_until = now + SILENCE
        untold, self._untold = self._untold, 0
        self._log.warn(
            "The event loop stood still for {milliseconds} ms{so_far}{before}, in: {where}",
            milliseconds=round(seconds * 1000),
            so_far=" so far" if self._told else "",
            before=f" (and {untold} times more since this was last said)" if untold else "",
            where=where,
        )


def described(frame: Any) -> str:
    """A stack in one line, the innermost frame first: ``module:line function``."""
    found: list[str] = []
    while frame is not None and len(found) < DEPTH:
        code = frame.f_code
        found.append(f"{frame.f_globals.get('__name__', '?')}:{frame.f_lineno} {code.co_qualname}")
        frame = frame.f_back
        if frame is not None and (frame.f_globals.get("__name__"), frame.f_code.co_name) in RESTING:
            # Below this there is only how the process came here.
            break
    return " < ".join(found)
