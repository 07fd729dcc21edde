"""The channel hands on whole messages, ends on anything else, and knows when it should be quiet."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IPushProducer
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dynbalancer.control.channel import Channel
from dynbalancer.core.frames import encode


class ChannelTests(SynchronousTestCase):
    """One end over a transport in memory."""

    def setUp(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.ends: list[str] = []
        self.transport = StringTransport()
        self.channel = Channel(self.messages.append, self.ends.append, 1000)
        self.channel.makeConnection(self.transport)

    def lose(self) -> None:
        """The transport reports the end."""
        self.channel.connectionLost(Failure(ConnectionLost()))

    def test_is_a_producer(self) -> None:
        assert verifyObject(IPushProducer, self.channel)
        assert self.transport.producer is self.channel

    def test_message_is_sent_as_a_frame(self) -> None:
        self.channel.send({"type": "stop"})
        assert self.transport.value() == encode({"type": "stop"})

    def test_messages_are_handed_on_when_complete(self) -> None:
        stream = encode({"n": 1}) + encode({"n": 2})
        self.channel.dataReceived(stream[:-1])
        assert self.messages == [{"n": 1}]
        self.channel.dataReceived(stream[-1:])
        assert self.messages == [{"n": 1}, {"n": 2}]

    def test_rubbish_ends_the_connection_and_says_why(self) -> None:
        self.channel.dataReceived(b"\xff\xff\xff\xff")
        assert self.transport.disconnected
        self.lose()
        (why,) = self.ends
        assert "at most 1000" in why

    def test_receiver_that_refuses_a_message_ends_the_connection(self) -> None:
        def refuse(message: dict[str, Any]) -> None:
            self.messages.append(message)
            raise ValueError("no such type")

        channel = Channel(refuse, self.ends.append)
        channel.makeConnection(StringTransport())
        channel.dataReceived(encode({"n": 1}) + encode({"n": 2}))
        channel.connectionLost()
        assert self.messages == [{"n": 1}]
        assert self.ends == ["no such type"]

    def test_nothing_more_is_handed_on_after_an_abort(self) -> None:
        channel = Channel(lambda message: channel.abort("enough"), self.ends.append)
        channel.makeConnection(StringTransport())
        channel.dataReceived(encode({"n": 1}) + encode({"n": 2}))
        channel.abort("again")
        channel.connectionLost()
        assert self.ends == ["enough"]

    def test_clean_end_has_no_reason(self) -> None:
        self.channel.close()
        assert self.transport.disconnecting
        assert self.transport.producer is None
        self.lose()
        assert self.ends == [""]

    def test_nothing_is_sent_after_the_end(self) -> None:
        self.lose()
        self.channel.send({"type": "stop"})
        self.channel.close()
        self.channel.abort("late")
        assert self.transport.value() == b""
        assert not self.transport.disconnecting

    def test_full_transport_makes_it_congested(self) -> None:
        self.channel.pauseProducing()
        assert self.channel.congested
        self.channel.resumeProducing()
        assert not self.channel.congested
        self.channel.stopProducing()
        assert self.channel.congested
