"""retry: sends a request once more where that may help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dynbalancer.core.exchange import Exchange
from dynbalancer.core.repeating import IDEMPOTENT, is_safe_again, is_taken
from dynbalancer.errors import UpstreamError
from dynbalancer.middlewares.base import Middleware, Option, SettingsReader
from dynbalancer.middlewares.statuses import as_texts, statuses_of

#: Bounds for what somebody who mistyped it would regret.
MOST_ATTEMPTS = 1000


@dataclass(frozen=True, slots=True)
class Either:
    """Two have a say: another try is made where one of them wants it."""

    one: Any
    other: Any

    def another_try(
        self, exchange: Exchange, status: int, error: UpstreamError | None, now: float
    ) -> float | None:
        """See IRetryPolicy."""
        found = self.one.another_try(exchange, status, error, now)
        if found is not None:
            return float(found)
        found = self.other.another_try(exchange, status, error, now)
        return None if found is None else float(found)

    def takes(self, exchange: Exchange, status: int) -> bool:
        """See IRetryPolicy."""
        return is_taken(self.one, exchange, status) and is_taken(self.other, exchange, status)


def obey(exchange: Exchange, policy: Any, replayed: int | None = None) -> None:
    """Let a policy decide about this exchange too, which holds so many octets of a body for it."""
    exchange.retry = policy if exchange.retry is None else Either(exchange.retry, policy)
    if replayed is not None:
        exchange.replayed = max(exchange.replayed, replayed)


@dataclass(frozen=True, slots=True)
class Retry(Middleware):
    """Ask ``attempts`` servers at most, the first one among them. Times in seconds, 0 for none."""

    same_again: ClassVar[bool] = True

    attempts: int
    interval: float = 0.0
    timeout: float = 0.0
    statuses: frozenset[int] = frozenset()
    on_network_error: bool = True
    any_method: bool = False
    replayed: int = 0

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option(
            "attempts",
            "number",
            "How often a request is sent at most, the first time included.",
            required=True,
        ),
        Option("initialInterval", "duration", "Wait before the second time; it grows to twice that.", 0.0),
        Option("timeout", "duration", "No further try after so long; `0s`: no such limit.", 0.0),
        Option("status", "list", "Answers with these are not good enough: `502`, `500-599`."),
        Option(
            "disableRetryOnNetworkError", "switch", "Only answers count, not connections that fail.", False
        ),
        Option("retryNonIdempotentMethod", "switch", "Send `POST`, `PATCH` … again too.", False),
        Option(
            "maxRequestBodyBytes",
            "number",
            "Bodies up to this many bytes are held to be sent again.",
            2097152,
        ),
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> Retry:
        """Takes the options of Traefik 3; those of 1 are among them."""
        reader = SettingsReader(name, as_texts(settings, "status"), cls.OPTIONS)
        return cls(
            reader.number("attempts", low=1, high=MOST_ATTEMPTS),
            reader.duration("initialInterval"),
            reader.duration("timeout"),
            statuses_of(reader, "status", reader.words("status", required=False)),
            not reader.switch("disableRetryOnNetworkError"),
            reader.switch("retryNonIdempotentMethod"),
            reader.number("maxRequestBodyBytes"),
        )

    def on_request(self, exchange: Exchange) -> None:
        obey(exchange, self, self.replayed)

    def another_try(
        self, exchange: Exchange, status: int, error: UpstreamError | None, now: float
    ) -> float | None:
        """See IRetryPolicy."""
        if exchange.tries >= self.attempts or not self._is_wanted(exchange.head.method, status, error):
            return None
        pause = self._pause(exchange.tries)
        if self.timeout and now - exchange.started + pause >= self.timeout:
            return None
        return pause

    def takes(self, exchange: Exchange, status: int) -> bool:
        """See IRetryPolicy."""
        return not self._is_wanted(exchange.head.method, status, None)

    def _is_wanted(self, method: bytes, status: int, error: UpstreamError | None) -> bool:
        harmless = self.any_method or method in IDEMPOTENT
        if error is not None and self.on_network_error and is_safe_again(error, method):
            return True
        if error is not None and not self.on_network_error:
            return False
        return harmless and status in self.statuses

    def _pause(self, tries: int) -> float:
        """Traefik's growth: the last wait is not more than twice the first."""
        if self.attempts < 2:
            return 0.0
        return float(self.interval * 2 ** ((tries - 1) / (self.attempts - 1)))
