"""Asks a server how it is, over a connection of its own. Bodies are not read: the connection ends with the head."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from dynbalancer.core.exchange import ResponseHead
from dynbalancer.core.health import REDIRECTS, Question, redirected
from dynbalancer.core.response_reader import ResponseReader
from dynbalancer.core.settings import Limits
from dynbalancer.errors import (
    BadResponse,
    ConnectError,
    DynbalancerError,
    ResponseTimeout,
    UpstreamClosed,
    UpstreamError,
)
from dynbalancer.proxy import transports
from dynbalancer.proxy.securing import SecureClient, Trust

#: Gives whom to trust for a question over TLS.
Secure = Callable[[Question], Trust]


class Prober:
    """Asks servers of health checks. What is https is verified as requests to that service are."""

    def __init__(self, reactor: Any, limits: Limits, secure: Secure) -> None:
        """``secure`` raises ConfigurationError where a transport can't be used."""
        self.reactor = reactor
        self.limits = limits
        self.secure = secure

    def ask(self, question: Question) -> Deferred[int]:
        """Fires with the status of the answer (0 where only a connection was asked for).

        Fails with an UpstreamError that says why in words, within the question's time. Cancel it to stop asking.
        """
        asking = _Asking(self, question)
        asking.connect()
        return asking.answered


class _Asking:
    """One question on its way, wherever it leads."""

    def __init__(self, prober: Prober, question: Question) -> None:
        self.question = question
        self.answered: Deferred[int] = Deferred(self._cancelled)
        self._prober = prober
        self._hops = 0
        self._over = False
        self._attempt: Deferred[Any] | None = None
        self._wire: _Probe | SecureClient | None = None
        self._timer = prober.reactor.callLater(question.timeout, self._too_late)

    def connect(self) -> None:
        """Make a connection and ask over it."""
        prober, question = self._prober, self.question
        wire: _Probe | SecureClient = _Probe(self, prober.limits)
        if question.tls:
            try:
                wire = SecureClient(wire, question.host, prober.secure(question))
            except (DynbalancerError, ValueError) as error:
                self.failed(ConnectError(str(error)))
                return
        self._wire = wire
        attempt = self._attempt = transports.connect(
            prober.reactor, question.host, question.port, wire, timeout=question.timeout
        )
        attempt.addErrback(self._refused)

    def head_received(self, status: int, location: bytes | None) -> None:
        """It answered: that is the answer, or says where to go on."""
        further = redirected(self.question, status, location)
        if further is None:
            self.done(status)
        elif self._hops >= REDIRECTS:
            self.failed(BadResponse(f"stopped after {REDIRECTS} redirects"))
        else:
            self._hops += 1
            self.question = further
            self._leave()
            self.connect()

    def done(self, status: int) -> None:
        """That was the answer."""
        if self._end():
            self.answered.callback(status)

    def failed(self, error: UpstreamError) -> None:
        """There is none."""
        if self._end():
            self.answered.errback(error)

    def _refused(self, failure: Failure) -> None:
        if self._over or failure.check(CancelledError):
            return
        if failure.check(TimeoutError):
            self._too_late()
            return
        self.failed(_unreachable(self.question, failure))

    def _too_late(self) -> None:
        self.failed(ResponseTimeout(f"no answer within {self.question.timeout:g}s"))

    def _cancelled(self, _: Deferred[int]) -> None:
        self._end()

    def _end(self) -> bool:
        if self._over:
            return False
        self._over = True
        if self._timer.active():
            self._timer.cancel()
        self._leave()
        return True

    def _leave(self) -> None:
        """Whatever connection there is, end it."""
        attempt, self._attempt = self._attempt, None
        wire, self._wire = self._wire, None
        if wire is None:
            return
        wire.end()
        if wire.transport is None and attempt is not None:
            # Once it is connected the attempt has succeeded, or is just about to say so.
            attempt.cancel()


class _Probe(ResponseReader, Protocol):
    """One connection for one question."""

    def __init__(self, asking: _Asking, limits: Limits) -> None:
        ResponseReader.__init__(self, limits)
        self._asking: _Asking | None = asking
        self._question = asking.question
        self._came = b""
        self.transport: Any = None

    def end(self) -> None:
        """Done with it; the server need not send the rest."""
        self._asking = None
        self.stop()
        if self.transport is not None:
            self.transport.abortConnection()

    def connectionMade(self) -> None:
        """Ask."""
        if self._asking is None:
            self.transport.abortConnection()
            return
        octets = self._question.request()
        if octets:
            self.transport.write(octets)
        if self._question.mode == "http":
            self.expect(self._question.method.encode())
        elif not self._question.expect:
            self._asking.done(0)

    def dataReceived(self, data: bytes) -> None:
        """Read the answer."""
        if self._question.mode == "http":
            self.feed(data)
            return
        wanted = self._question.expect
        self._came += data[: len(wanted)]
        if self._asking is not None and len(self._came) >= len(wanted):
            if self._came.startswith(wanted):
                self._asking.done(0)
            else:
                self._asking.failed(BadResponse(f"it said {self._came[: len(wanted)]!r}, not {wanted!r}"))

    def connectionLost(self, reason: Failure | None = None) -> None:
        """It may have ended too early."""
        if self._asking is None:
            return
        if reason is not None and not reason.check(ConnectionDone, ConnectionLost):
            # As a certificate that can't be trusted.
            self._asking.failed(_unreachable(self._question, reason))
        elif self._question.mode == "http":
            self.ended()
        else:
            self._asking.failed(UpstreamClosed("the server closed without an answer"))

    def response_received(self, head: ResponseHead) -> None:
        if self._asking is not None:
            self._asking.head_received(head.status, head.headers.get(b"location"))

    def response_failed(self, error: UpstreamError) -> None:
        if self._asking is not None:
            self._asking.failed(error)


def _unreachable(question: Question, failure: Failure) -> ConnectError:
    error = failure.value
    if isinstance(error, ConnectError):
        said = error.why
    elif type(number := getattr(error, "osError", None)) is int:
        # Twisted says the same twice, in its words and in the system's.
        said = os.strerror(number)
    else:
        said = (failure.getErrorMessage() or type(error).__name__).rstrip(".")
    return ConnectError(f"{question.host}:{question.port}: {said}")
