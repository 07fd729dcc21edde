"""Says that files may have changed: inotify on their directories where there is one, and a slow poll everywhere.

inotify tells at once, but not on network file systems, not of what is behind a link, and not when its limits are
reached. The poll repairs what it missed, so events need only be hints.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.filepath import FilePath

#: Seconds from the first event to looking, so that a burst of events is looked at once.
DEBOUNCE = 0.05

#: Seconds in which nothing is heard of, after somebody wrote without closing. Who writes a log beside our files does so
#: a hundred times a second, and the kernel tells of that once where nobody listens.
DEAF = 0.1

#: Seconds between looks that nothing asked for.
POLL = 5.0

# From linux/inotify.h; Twisted's module can't be imported where there is no inotify.
MODIFY, ATTRIB, CLOSE_WRITE, MOVED_FROM, MOVED_TO = 0x2, 0x4, 0x8, 0x40, 0x80
CREATE, DELETE, DELETE_SELF, MOVE_SELF = 0x100, 0x200, 0x400, 0x800
MASK = MODIFY | ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF


def make_inotify(reactor: Any) -> Any:
    """Twisted's INotify, reading. Raises ImportError or INotifyError where there can be none."""
    from twisted.internet.inotify import INotify  # Looks for the C library when it is imported.

    notifier = INotify(reactor)
    notifier.startReading()
    return notifier


class Watcher:
    """Calls ``look`` whenever something may have changed in one of the ``directories``.

    ``being_written`` holds real paths of files that somebody is writing to and has not closed: reading them now could
    show half of what they will be.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        directories: Callable[[], set[str]],
        look: Callable[[], None],
        make_notifier: Callable[[Any], Any] = make_inotify,
    ) -> None:
        self.being_written: set[str] = set()
        self._reactor = reactor
        self._directories = directories
        self._look = look
        self._make_notifier = make_notifier
        self._notifier: Any = None
        self._is_spent = False
        self._complained = False
        self._written_lately: set[str] = set()
        self._due: Any = None
        self._hearing: Any = None
        self._poll = LoopingCall(self._poll_now)
        self._poll.clock = reactor

    def start(self) -> None:
        """Begin to watch; ``look`` is not called before something happens or the first poll is due."""
        self._watch()
        self._poll.start(POLL, now=False)

    def stop(self) -> None:
        """End it, and leave nothing behind."""
        if self._poll.running:
            self._poll.stop()
        if self._due is not None and self._due.active():
            self._due.cancel()
        self._drop()

    def look_in(self, seconds: float) -> None:
        """Look once that time is over, or earlier where that is due anyway."""
        if self._due is None or not self._due.active():
            self._due = self._reactor.callLater(seconds, self._look_now)

    def _look_now(self) -> None:
        try:
            self._watch()
            self._look()
        except Exception:
            # An exception would end the poll for good.
            self._log.failure("Looking for changed files failed")

    def _poll_now(self) -> None:
        # Whoever keeps a file open for ever without writing is not waited for.
        self.being_written &= self._written_lately
        self._written_lately = set()
        self._look_now()

    # inotify

    def _watch(self) -> None:
        """Watch every directory that is there now. Those that are watched already stay so."""
        if self._is_spent:
            self._drop()
        try:
            if self._notifier is None:
                self._notifier = self._make_notifier(self._reactor)
            for directory in self._directories():
                if os.path.isdir(directory):
                    self._notifier.watch(FilePath(directory), MASK, callbacks=[self._event])
        except Exception as error:
            # ImportError, INotifyError, OSError: there is no inotify, or no more of it. What is watched stays watched.
            if not self._complained:
                self._complained = True
                self._log.info(
                    "No inotify here ({error}): files are looked at every {seconds} s",
                    error=error,
                    seconds=POLL,
                )

    def _drop(self) -> None:
        notifier, self._notifier, self._is_spent = self._notifier, None, False
        if self._hearing is not None and self._hearing.active():
            self._hearing.cancel()
        if notifier is not None:
            notifier.loseConnection()

    def _event(self, ignored: object, path: FilePath[bytes], mask: int) -> None:
        if mask & (DELETE_SELF | MOVE_SELF):
            # Twisted closes all watches with the first directory that goes away.
            self._is_spent = True
        name = os.path.realpath(os.fsdecode(path.path))
        if mask & MODIFY:
            self.being_written.add(name)
            self._written_lately.add(name)
            self._hear_later()
            return
        self.being_written.discard(name)
        self.look_in(DEBOUNCE)

    def _hear_later(self) -> None:
        if self._hearing is None or not self._hearing.active():
            self._notifier.stopReading()
            self._hearing = self._reactor.callLater(DEAF, self._notifier.startReading)
