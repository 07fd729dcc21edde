"""When a request may be sent a second time though its first try may have been acted on."""

from __future__ import annotations

from typing import Any

from dynbalancer.core.exchange import Exchange
from dynbalancer.errors import ConnectError, UpstreamClosed, UpstreamError

#: RFC 9110 section 9.2.2: doing it twice is as good as doing it once.
IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"))


def is_safe_again(error: UpstreamError, method: bytes) -> bool:
    """Whether a request of this method may go to another server after this: none saw it, or it does not matter."""
    return isinstance(error, ConnectError) or (isinstance(error, UpstreamClosed) and method in IDEMPOTENT)


def is_taken(policy: Any, exchange: Exchange, status: int) -> bool:
    """Whether a policy takes an answer with this status whenever it comes (see IRetryPolicy).

    One that can't say so may want another try.
    """
    takes = getattr(policy, "takes", None)
    return takes is not None and bool(takes(exchange, status))
