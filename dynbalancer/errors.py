"""What can go wrong, whose fault it is, and what to answer.

Three families, by who has to act:

- :class:`ConfigurationError`: whoever wrote a label, a file or a flag. Past the parser it becomes a :class:`Problem`,
  which is data: only the item concerned is disabled and everybody else keeps being served.
- :class:`RequestError`: the client. It carries the status to answer and a short reason label to count it by.
- :class:`UpstreamError`: a server behind us. It carries the status and whether another server may be tried.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class DynbalancerError(Exception):
    """Anything this project raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A configuration item that can't be used as written, and why.

    ``where`` names the place in the reader's words (``container web-1, label traefik.port``), ``why`` says what is
    wrong, ``hint`` what to write instead (may be empty). ``severity`` is ``error`` (the item is off), ``warning`` (it
    works, but probably not as meant) or ``info``.
    """

    where: str
    why: str
    hint: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        return f"{self.where}: {self.why}" + (f"; {self.hint}" if self.hint else "")


class ConfigurationError(DynbalancerError):
    """A label, file or flag that can't be used: where, why, and a hint what to write instead.

    ``harmless``: what it was for may be left out, and what uses it goes on. It keeps nobody out.
    """

    def __init__(self, where: str, why: str, hint: str = "", *, harmless: bool = False) -> None:
        super().__init__(where, why, hint)
        self.where = where
        self.why = why
        self.hint = hint
        self.harmless = harmless

    def __str__(self) -> str:
        return str(self.as_problem())

    def as_problem(self, severity: str = "error") -> Problem:
        """The same as data."""
        return Problem(self.where, self.why, self.hint, severity)


class RequestError(DynbalancerError):
    """A request that is refused: ``status`` to answer, ``reason`` a short label to count it by, ``why`` for the log."""

    def __init__(self, status: int, reason: str, why: str = "") -> None:
        super().__init__(status, reason, why)
        self.status = status
        self.reason = reason
        self.why = why


class UpstreamError(DynbalancerError):
    """A server that could not answer.

    ``retryable`` is true where nothing of the request can have been acted on, so that another server may be tried
    whatever the method (RFC 9110 section 9.2.2).
    """

    status = 502
    reason = "upstream"
    retryable = False

    def __init__(self, why: str = "") -> None:
        super().__init__(why)
        self.why = why


class ConnectError(UpstreamError):
    """No connection could be made: refused, unreachable, name unknown, TLS refused."""

    reason = "connect"
    retryable = True


class ConnectTimeout(ConnectError):
    """No connection within the dial time."""

    status = 504
    reason = "connect-timeout"


class Untrusted(ConnectError):
    """The server showed a certificate that isn't trusted. It is there: as in Traefik the fault is said to be here."""

    status = 500
    reason = "untrusted"


class UpstreamClosed(UpstreamError):
    """The connection ended before an answer began; ``retryable`` is set where it was a reused one (RFC 9112 9.3.1)."""

    reason = "closed"

    def __init__(self, why: str = "", *, retryable: bool = False) -> None:
        super().__init__(why)
        self.retryable = retryable


class ResponseTimeout(UpstreamError):
    """The server took the request and did not answer in time."""

    status = 504
    reason = "response-timeout"


class BadResponse(UpstreamError):
    """What the server sent is not HTTP that may be relayed."""

    reason = "bad-response"


class AnswerTooLarge(UpstreamError):
    """The answer has more octets than whoever asked takes."""

    reason = "too-large"


class NoServer(UpstreamError):
    """There is no server that may be asked now."""

    status = 503
    reason = "no-server"


def printable(text: str) -> str:
    """The same without what would end a line of a log, or move the cursor of whoever reads it."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean X?`` for the nearest known word, or an empty string.

    Letter case does not count.
    """
    by_folded = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_folded, n=1, cutoff=0.6)
    return f"did you mean {by_folded[near[0]]}?" if near else ""
