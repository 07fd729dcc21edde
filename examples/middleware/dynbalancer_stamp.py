"""A middleware: asks who may come in by a key, and stamps what goes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dynbalancer.core.exchange import Exchange, Response, ResponseHead
from dynbalancer.middlewares.base import (
    BodyFilter,
    Middleware,
    Option,
    SettingsReader,
    add_filter,
    field_name,
)


class Stamping(BodyFilter):
    """Puts a line at the end of a body."""

    def __init__(self, line: bytes) -> None:
        self.line = line

    def finish(self) -> bytes:
        return self.line


@dataclass(frozen=True, slots=True)
class Stamp(Middleware):
    """Answer 403 without the right ``key`` in ``field``; put ``line`` at the end of texts."""

    field: bytes
    key: bytes
    line: bytes

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("key", "text", "What a request must show.", required=True),
        Option("field", "text", "The field in which it does.", "X-Key"),
        Option("line", "text", "What is put at the end of plain texts.", ""),
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> Stamp:
        """Takes ``key``, ``field`` and ``line``."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        field = field_name(reader, "field", reader.text("field"))
        return cls(field.lower(), reader.text("key").encode(), reader.text("line").encode())

    def on_request(self, exchange: Exchange) -> Response | None:
        headers = exchange.head.headers
        if headers.get(self.field) != self.key:
            return Response(403, b"Forbidden", [(b"Content-Type", b"text/plain")])
        headers.remove(self.field)
        return None

    def on_response(self, exchange: Exchange, head: ResponseHead) -> None:
        kind = head.headers.get(b"content-type") or b""
        if self.line and kind.startswith(b"text/plain") and b"content-encoding" not in head.headers:
            add_filter(exchange, head, Stamping(self.line + b"\n"))
