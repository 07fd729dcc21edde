"""What happens, told to whoever listens: server-sent events (HTML standard, section 9.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.web.server import Request
from zope.interface import implementer

from dynbalancer.admin.answers import dumped, in_words

#: How many may listen at once.
MOST_LISTENERS = 64

#: Ticks (seconds) between comments that keep proxies from closing a quiet stream.
HEARTBEAT = 15

#: Ticks that a listener may leave its connection full before it is dropped.
PATIENCE = 15


def framed(event: str, value: Any) -> bytes:
    """One event as it goes over the wire."""
    return b"event: %b\ndata: %b\n\n" % (event.encode("ascii"), dumped(value))


@implementer(IPushProducer)
class Listener:
    """One open stream. While its connection is full, only the newest event of each kind is kept for it."""

    def __init__(self, write: Callable[[bytes], object], cut: Callable[[], object]) -> None:
        self._write = write
        self._cut = cut
        self._full_for = -1
        self._waiting: dict[str, bytes] = {}
        self.ended: Deferred[bytes] = Deferred()

    def send(self, event: str, frame: bytes) -> None:
        """Write now, or keep it until there is room."""
        if self._full_for < 0:
            self._write(frame)
        else:
            self._waiting[event] = frame

    def tick(self) -> None:
        """A second went by: whoever does not read for long is dropped."""
        if self._full_for < 0:
            return
        self._full_for += 1
        if self._full_for >= PATIENCE:
            self._cut()

    def pauseProducing(self) -> None:
        if self._full_for < 0:
            self._full_for = 0

    def resumeProducing(self) -> None:
        self._full_for = -1
        waiting, self._waiting = self._waiting, {}
        for event, frame in waiting.items():
            self.send(event, frame)

    def stopProducing(self) -> None:
        self._waiting.clear()


class EventStream:
    """All open streams. ``greeting`` gives the events that a new listener begins with, as (event, value)."""

    def __init__(self, greeting: Callable[[], list[tuple[str, Any]]], *, most: int = MOST_LISTENERS) -> None:
        self._greeting = greeting
        self._most = most
        self._listeners: list[Listener] = []
        self._ticks = 0

    def __len__(self) -> int:
        return len(self._listeners)

    def join(self, request: Request) -> bytes | Deferred[bytes]:
        """Answer with the stream; the Deferred fires when we end it and is cancelled when the client goes."""
        if len(self._listeners) >= self._most:
            return in_words(request, 503, f"{self._most} clients listen already")
        request.setHeader(b"Content-Type", b"text/event-stream; charset=utf-8")
        # Compressing or buffering proxies before us would hold events back.
        request.setHeader(b"X-Accel-Buffering", b"no")
        if request.method == b"HEAD":
            return b""
        channel: Any = request.channel
        listener = Listener(request.write, lambda: channel.transport.abortConnection())
        listener.ended = Deferred(lambda _: self._leave(listener))
        listener.ended.addBoth(_released, request)
        self._listeners.append(listener)
        request.registerProducer(listener, True)
        for event, value in self._greeting():
            listener.send(event, framed(event, value))
        return listener.ended

    def tell(self, event: str, value: Any) -> None:
        """Send an event to every listener."""
        if self._listeners:
            frame = framed(event, value)
            for listener in list(self._listeners):
                listener.send(event, frame)

    def tick(self) -> None:
        """Once a second: drop who does not read, and now and then write a comment."""
        self._ticks += 1
        for listener in list(self._listeners):
            listener.tick()
            if self._ticks % HEARTBEAT == 0:
                listener.send("heartbeat", b": still here\n\n")

    def close(self) -> None:
        """End every stream."""
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.ended.callback(b"")

    def _leave(self, listener: Listener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)


def _released(result: Any, request: Request) -> Any:
    """A finished request must not have a producer any more; one whose connection is gone has none."""
    if request.producer is not None and not request._disconnected:
        request.unregisterProducer()
    return result
