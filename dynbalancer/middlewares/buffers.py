"""buffering: requests and answers are complete before they go on, and not too large."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from dynbalancer.core.exchange import Exchange, Response
from dynbalancer.core.retry_rules import Test, Tried, read_retry_rule
from dynbalancer.errors import NoServer, UpstreamError
from dynbalancer.middlewares.base import Middleware, Option, SettingsReader, dialect_of, plain
from dynbalancer.middlewares.retries import obey

#: However often an expression wants it.
MOST_ATTEMPTS = 10

#: What Traefik takes for a server that could not be asked.
NETWORK_ERRORS = (502, 504)


@dataclass(frozen=True, slots=True)
class Buffering(Middleware):
    """Hold both whole: at most so many octets (None: any number), so many of them in memory and the rest in a file."""

    most: int | None
    memory: int
    answer: tuple[int | None, int]
    retry: Test | None = None

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("maxRequestBodyBytes", "number", "Larger requests are answered with 413; `0`: any size.", 0),
        Option(
            "memRequestBodyBytes",
            "number",
            "So much of one is held in memory, the rest in a file.",
            1048576,
        ),
        Option(
            "maxResponseBodyBytes",
            "number",
            "In place of larger answers the client gets 500; `0`: any size.",
            0,
        ),
        Option(
            "memResponseBodyBytes",
            "number",
            "So much of one is held in memory, the rest in a file.",
            1048576,
        ),
        Option("retryExpression", "text", "When a request is sent again.", ""),
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> Buffering:
        """Takes the options of Traefik 1 and 3, which are the same."""
        reader = SettingsReader(name, dialect_of(settings)[1], cls.OPTIONS)
        most, memory, most_back, memory_back = (
            # Traefik takes whatever is below 1 for no limit.
            max(0, reader.number(option.name, low=-(2**63)))
            for option in cls.OPTIONS[:4]
        )
        written = reader.text("retryExpression", "")
        retry = reader.made("retryExpression", partial(read_retry_rule, written)) if written else None
        return cls(most or None, memory, (most_back or None, memory_back), retry)

    def on_request(self, exchange: Exchange) -> Awaitable[Response | None] | None:
        exchange.whole_answer = self.answer
        if self.retry is not None:
            obey(exchange, self)
        return self._held(exchange) if exchange.head.length else None

    async def _held(self, exchange: Exchange) -> Response | None:
        if await exchange.whole_body(self.most, self.memory) is None:
            return plain(413, b"Request Entity Too Large")
        return None

    def another_try(
        self, exchange: Exchange, status: int, error: UpstreamError | None, now: float
    ) -> float | None:
        """See IRetryPolicy. What the method is does not count, as in Traefik: the expression may ask for it."""
        if self.retry is None or exchange.tries > MOST_ATTEMPTS or isinstance(error, NoServer):
            return None
        method = exchange.head.method.decode("ascii", "replace")
        tried = Tried(exchange.tries, status, status in NETWORK_ERRORS, method)
        return 0.0 if self.retry(tried) else None
