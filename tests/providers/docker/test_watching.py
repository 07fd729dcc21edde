"""The private threads, and how long to wait between tries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dynbalancer_docker.events import Event
from dynbalancer_docker.watching import Backoff, Caller, Follower

START = Event("a" * 64, "start")


class QueueReactor:
    """Runs in the test's own thread what other threads ask for."""

    def __init__(self) -> None:
        self._calls: Queue[Callable[[], object]] = Queue()

    def callFromThread(self, function: Callable[..., object], *args: object) -> None:
        self._calls.put(lambda: function(*args))

    def run_until(self, done: Callable[[], object]) -> None:
        """Run calls as they come, until ``done``; fails when none comes for a minute."""
        while not done():
            self._calls.get(timeout=60)()


class BlockingStream:
    """Gives one event, then blocks until it is closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[Event]:
        yield START
        self.closed.wait(60)

    def close(self) -> None:
        self.closed.set()


class Listening:
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def stream_opened(self) -> None:
        self.told.append("opened")

    def stream_event(self, event: Event) -> None:
        self.told.append(event)

    def stream_ended(self, why: Exception | None) -> None:
        self.told.append(("ended", why))


class TestCaller(SynchronousTestCase):
    """One thread that asks."""

    def setUp(self) -> None:
        self.reactor = QueueReactor()
        self.caller = Caller(self.reactor, "test-calls")

    def finish(self) -> None:
        stopped = self.caller.stop()
        self.reactor.run_until(lambda: stopped.called)
        self.caller._thread.join(5)
        self.assertFalse(self.caller._thread.is_alive())

    def test_results_and_errors_come_back_in_order(self) -> None:
        self.caller.start()
        good, bad = self.caller.call(max, 1, 2), self.caller.call(int, "x")
        self.reactor.run_until(lambda: bad.called)
        self.assertEqual(self.successResultOf(good), 2)
        self.failureResultOf(bad, ValueError)
        self.finish()

    def test_calls_run_in_the_thread_of_the_caller(self) -> None:
        name = self.caller.call(lambda: threading.current_thread().name)
        self.caller.start()
        self.reactor.run_until(lambda: name.called)
        self.assertEqual(self.successResultOf(name), "test-calls")
        self.finish()


class TestFollower(SynchronousTestCase):
    """One thread that listens."""

    def setUp(self) -> None:
        self.reactor = QueueReactor()
        self.listening = Listening()

    def follow(self, open_stream: Callable[[], Any]) -> Follower:
        made = Follower(self.reactor, open_stream, self.listening, "test-events")
        made.start()
        return made

    def finish(self, follower: Follower) -> None:
        self.reactor.run_until(lambda: follower.stopped.called)
        follower._thread.join(5)
        self.assertFalse(follower._thread.is_alive())

    def test_events_are_passed_on_until_the_stream_ends(self) -> None:
        stream = BlockingStream()
        stream.closed.set()
        self.finish(self.follow(lambda: stream))
        self.assertEqual(self.listening.told, ["opened", START, ("ended", None)])

    def test_stop_wakes_a_blocked_read_and_silences_it(self) -> None:
        stream = BlockingStream()
        follower = self.follow(lambda: stream)
        self.reactor.run_until(lambda: START in self.listening.told)
        follower.stop()
        self.finish(follower)
        self.assertEqual(self.listening.told, ["opened", START])

    def test_stop_while_it_is_being_opened_closes_what_comes(self) -> None:
        stream, stopped = BlockingStream(), threading.Event()

        def slowly() -> BlockingStream:
            stopped.wait(60)
            return stream

        follower = self.follow(slowly)
        follower.stop()
        stopped.set()
        self.finish(follower)
        self.assertTrue(stream.closed.is_set())
        self.assertEqual(self.listening.told, [])

    def test_failure_to_open_ends_with_the_reason(self) -> None:
        why = OSError("no")

        def fails() -> BlockingStream:
            raise why

        self.finish(self.follow(fails))
        self.assertEqual(self.listening.told, [("ended", why)])


class TestBackoff(SynchronousTestCase):
    """Longer and longer, never too long."""

    def test_it_doubles_up_to_ten_seconds(self) -> None:
        backoff = Backoff(lambda: 1.0)
        self.assertEqual(
            [round(backoff.next(), 1) for _ in range(9)], [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]
        )

    def test_success_begins_again(self) -> None:
        backoff = Backoff(lambda: 1.0)
        backoff.next()
        backoff.reset()
        self.assertEqual(backoff.next(), 0.1)

    def test_jitter_takes_up_to_half_away(self) -> None:
        self.assertEqual(Backoff(lambda: 0.0).next(), 0.05)
