"""The middleware contentType: a Content-Type for answers whose server gave none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dynbalancer.core.exchange import Exchange, ResponseHead
from dynbalancer.core.sniffing import LOOKED_AT, content_type_of
from dynbalancer.middlewares.base import BodyFilter, Middleware, Option, SettingsReader


@dataclass(frozen=True, slots=True)
class ContentType(Middleware):
    """Nothing: an answer has the Content-Type that its server gave it, or none.

    That is what ``autoDetect: false`` asks for, and what routers without it have. See :class:`Detecting`.
    """

    same_again: ClassVar[bool] = True

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option(
            "autoDetect",
            "switch",
            "Traefik 2's switch; with `false` answers are as they are without this middleware.",
            True,
        ),
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> ContentType:
        """Takes ``autoDetect``, which Traefik 2 had; false says that nothing is to be guessed."""
        return (Detecting if SettingsReader(name, settings, cls.OPTIONS).switch("autoDetect") else cls)()


@dataclass(frozen=True, slots=True)
class Detecting(ContentType):
    """Gives a Content-Type by the first octets to answers whose server gave none, as Go's own server does.

    Not to those that are encoded, and to no parts of a whole: their octets tell nothing.
    """

    same_again: ClassVar[bool] = True

    def on_response(self, exchange: Exchange, head: ResponseHead) -> None:
        headers = head.headers
        if not head.length or head.status == 206 or b"content-type" in headers:
            return
        if not headers.get(b"content-encoding"):
            before = exchange.filters or ()
            exchange.filters = [*before, _Looking(head, plain=not before)]


class _Looking(BodyFilter):
    """One body on its way. Its beginning is held until it tells what it is; it gets neither longer nor shorter.

    ``plain``: nothing before this could have encoded it.
    """

    __slots__ = ("_head", "_held", "_plain", "undecided")

    def __init__(self, head: ResponseHead, *, plain: bool) -> None:
        self._head = head
        self._plain = plain
        self._held = b""
        self.undecided = True

    def feed(self, data: bytes) -> bytes:
        if not self.undecided:
            return data
        self._held += data
        return b"" if len(self._held) < LOOKED_AT else self.flush()

    def flush(self) -> bytes:
        held, self._held = self._held, b""
        headers = self._head.headers
        if held and self.undecided:
            self.undecided = False
            # Another middleware may have said what it is meanwhile.
            if b"content-type" not in headers and (self._plain or not headers.get(b"content-encoding")):
                headers.set(b"Content-Type", content_type_of(held))
        return held

    finish = flush
