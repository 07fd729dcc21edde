"""Watching: which events lead to a look and when, what is being written, and life without inotify."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from dynbalancer_file import watching
from dynbalancer_file.watching import DEAF, DEBOUNCE, POLL, Watcher


class FakeNotifier:
    """Remembers what is watched; ``tell`` delivers an event."""

    def __init__(self) -> None:
        self.watched: dict[str, Any] = {}
        self.closed = 0
        self.reading: list[bool] = []

    def startReading(self) -> None:
        self.reading.append(True)

    def stopReading(self) -> None:
        self.reading.append(False)

    def watch(self, path: FilePath[str], mask: int, callbacks: list[Any]) -> None:
        self.watched[path.path] = callbacks[0]

    def loseConnection(self) -> None:
        self.closed += 1

    def tell(self, path: str, mask: int) -> None:
        self.watched[os.path.dirname(path)](None, FilePath(path.encode()), mask)


class WatcherTests(SynchronousTestCase):
    """A watcher with a fake notifier over a real directory."""

    def setUp(self) -> None:
        self.top = os.path.realpath(self.mktemp())
        os.mkdir(self.top)
        self.file = os.path.join(self.top, "dyn.yml")
        self.reactor = MemoryReactorClock()
        self.notifiers: list[FakeNotifier] = []
        self.directories = {self.top}
        self.looks = 0
        self.watcher = Watcher(self.reactor, lambda: self.directories, self.look, self.make_notifier)

    def make_notifier(self, reactor: object) -> FakeNotifier:
        self.notifiers.append(FakeNotifier())
        return self.notifiers[-1]

    def look(self) -> None:
        self.looks += 1

    def test_nothing_is_looked_at_before_something_happens(self) -> None:
        self.watcher.start()
        self.reactor.advance(POLL / 2)
        self.assertEqual(self.looks, 0)
        self.assertEqual(set(self.notifiers[0].watched), {self.top})

    def test_a_burst_of_events_is_one_look(self) -> None:
        self.watcher.start()
        for mask in (watching.CREATE, watching.CLOSE_WRITE, watching.MOVED_TO):
            self.notifiers[0].tell(self.file, mask)
            self.reactor.advance(DEBOUNCE / 4)
        self.assertEqual(self.looks, 0)
        self.reactor.advance(DEBOUNCE)
        self.assertEqual(self.looks, 1)

    def test_a_file_being_written_is_named_until_it_is_closed(self) -> None:
        self.watcher.start()
        self.notifiers[0].tell(self.file, watching.MODIFY)
        self.reactor.advance(DEBOUNCE)
        self.assertEqual((self.looks, self.watcher.being_written), (0, {self.file}))
        self.notifiers[0].tell(self.file, watching.CLOSE_WRITE)
        self.reactor.advance(DEBOUNCE)
        self.assertEqual((self.looks, self.watcher.being_written), (1, set()))

    def test_who_writes_on_and_on_is_heard_ten_times_a_second(self) -> None:
        """A log beside the file that is watched woke the parent for each of its lines."""
        self.watcher.start()
        log = os.path.join(self.top, "access.log")
        for _ in range(5):
            self.notifiers[0].tell(log, watching.MODIFY)
        self.assertEqual(self.notifiers[0].reading, [False])
        self.reactor.advance(DEAF)
        self.assertEqual(self.notifiers[0].reading, [False, True])
        self.notifiers[0].tell(log, watching.MODIFY)
        self.assertEqual(self.notifiers[0].reading, [False, True, False])
        self.watcher.stop()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_file_that_is_never_closed_is_not_waited_for(self) -> None:
        self.watcher.start()
        self.notifiers[0].tell(self.file, watching.MODIFY)
        self.reactor.advance(POLL)
        self.assertEqual(self.watcher.being_written, {self.file})
        self.reactor.advance(POLL)
        self.assertEqual(self.watcher.being_written, set())

    def test_a_new_directory_is_watched_from_the_next_look_on(self) -> None:
        self.watcher.start()
        below = os.path.join(self.top, "below")
        os.mkdir(below)
        self.directories = {self.top, below}
        self.notifiers[0].tell(below, watching.CREATE)
        self.reactor.advance(DEBOUNCE)
        self.assertEqual(set(self.notifiers[0].watched), {self.top, below})

    def test_all_watches_are_made_anew_when_a_directory_went_away(self) -> None:
        self.watcher.start()
        self.notifiers[0].tell(os.path.join(self.top, ""), watching.DELETE_SELF)
        self.reactor.advance(DEBOUNCE)
        self.assertEqual((len(self.notifiers), self.notifiers[0].closed), (2, 1))
        self.assertEqual(set(self.notifiers[1].watched), {self.top})

    def test_without_inotify_the_poll_looks(self) -> None:
        def fail(reactor: object) -> None:
            raise ImportError("no inotify on this system")

        watcher = Watcher(self.reactor, lambda: self.directories, self.look, fail)
        watcher.start()
        self.reactor.advance(POLL)
        self.reactor.advance(POLL)
        self.assertEqual(self.looks, 2)
        watcher.stop()

    def test_a_look_that_fails_is_logged_and_does_not_end_the_poll(self) -> None:
        def fail() -> None:
            self.looks += 1
            raise RuntimeError("odd")

        watcher = Watcher(self.reactor, lambda: self.directories, fail, self.make_notifier)
        watcher.start()
        self.reactor.advance(POLL)
        self.reactor.advance(POLL)
        self.assertEqual(self.looks, 2)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
        watcher.stop()

    def test_an_earlier_look_is_not_put_off_by_a_later_one(self) -> None:
        self.watcher.start()
        self.watcher.look_in(0.1)
        self.watcher.look_in(1)
        self.reactor.advance(0.1)
        self.assertEqual(self.looks, 1)

    def test_stop_leaves_nothing_behind(self) -> None:
        self.watcher.start()
        self.notifiers[0].tell(self.file, watching.CREATE)
        self.watcher.stop()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.notifiers[0].closed, 1)
        self.watcher.stop()
        self.assertEqual(self.notifiers[0].closed, 1)

    def test_numbers_are_those_of_the_system(self) -> None:
        from twisted.internet import inotify

        names = (
            "MODIFY",
            "ATTRIB",
            "CLOSE_WRITE",
            "MOVED_FROM",
            "MOVED_TO",
            "CREATE",
            "DELETE",
            "DELETE_SELF",
        )
        for name in (*names, "MOVE_SELF"):
            self.assertEqual(getattr(watching, name), getattr(inotify, f"IN_{name}"))
