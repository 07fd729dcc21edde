"""The connection between the parent and one worker: whole messages both ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from dynbalancer.core.frames import LARGEST, FrameDecoder, encode

#: The file descriptor that a worker has it on.
CHANNEL_FD = 3


@implementer(IPushProducer)
class Channel(Protocol):
    """One end. ``received(message)`` hears each message, ``lost(why)`` the end (``why`` empty: a clean one).

    What arrives and is no message ends the connection. While :attr:`congested`, the other side does not read:
    what can be left out should be, so that memory stays bounded.
    """

    #: Set by Twisted.
    transport: Any

    def __init__(
        self,
        received: Callable[[dict[str, Any]], None],
        lost: Callable[[str], None],
        largest: int = LARGEST,
    ) -> None:
        self._received = received
        self._lost = lost
        self._decoder = FrameDecoder(largest)
        self._why = ""
        self.congested = False
        self.open = False

    def connectionMade(self) -> None:
        """Learn from the transport when it has too much to send."""
        self.open = True
        self.transport.registerProducer(self, True)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; nothing happens where the connection has ended."""
        self.send_frame(encode(message))

    def send_frame(self, frame: bytes) -> None:
        """Send a message that is encoded already."""
        if self.open:
            self.transport.write(frame)

    def close(self) -> None:
        """End the connection after what was sent."""
        if self.open:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def abort(self, why: str) -> None:
        """End the connection at once, and say why."""
        self._why = self._why or why
        if self.open:
            self.open = False
            self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Hand on what is complete."""
        try:
            for message in self._decoder.feed(data):
                if self._why:
                    return
                self._received(message)
        except ValueError as error:
            self.abort(str(error))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Say so, once."""
        self.open = False
        self._lost(self._why)

    def pauseProducing(self) -> None:
        """The other side does not read as fast as we write."""
        self.congested = True

    def resumeProducing(self) -> None:
        """It has caught up."""
        self.congested = False

    def stopProducing(self) -> None:
        """The connection is ending."""
        self.congested = True
