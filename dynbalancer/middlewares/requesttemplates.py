"""Templates about a request within a replacement, as Traefik v1 has them: ``https://{{.Request.Host}}/new$1``.

v1 put in what a pattern had found and took the whole for a template then, so that a client could write one. Here only
what the label says is one, and what comes of it is told apart from it: nobody is led to a host that a client chose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from dynbalancer.core import template
from dynbalancer.core.exchange import Exchange
from dynbalancer.core.rules.replacement import OURS, Piece
from dynbalancer.errors import ConfigurationError, did_you_mean

#: What may stand in a URL as it is; the rest is escaped.
URL = "!#$%&'()*+,/:;=?@[]^_`{|}~\\-."

_action = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_header = re.compile(r"\.Request\.Header\.Get\s+(\"[^\"]*\"|`[^`]*`)")
_field = re.compile(r"\.Request\.([\w.]+)").findall
_KNOWN = ("Host", "Method", "RequestURI", "RemoteAddr", "URL.Path", "URL.RawQuery", "Header.Get")
_place = re.compile(rb"~~([0-9]+)~~")
_ONLY_HOST = re.compile(r"\{\{-?\s*\.Request\.Host\s*-?\}\}").fullmatch


class _Fields(Mapping[str, str]):
    """Header fields by name in any letter case; one that isn't there is empty."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __getitem__(self, name: str) -> str:
        return (self._exchange.head.headers.get(name.lower().encode(), b"") or b"").decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class RequestTemplates:
    """The templates of a replacement. ``plain`` is the replacement with a place for each of them."""

    plain: str
    actions: tuple[template.Rendering, ...]
    hosts: frozenset[int]

    @classmethod
    def of(cls, replacement: str) -> RequestTemplates | None:
        """None where there is no template in it. Raises ConfigurationError where one can't be used."""
        written = _action.findall(replacement)
        if not written:
            return None
        if "~~" in replacement:
            raise ConfigurationError("replacement", "~~ has no place beside a template")
        actions = tuple(map(_compiled, written))
        numbers = iter(range(len(written)))
        plain = _action.sub(lambda found: f"~~{next(numbers)}~~", replacement)
        hosts = frozenset(number for number, one in enumerate(written) if _ONLY_HOST(one))
        return cls(plain, actions, hosts)

    def filled(self, pieces: Sequence[Piece], exchange: Exchange, path_at: int) -> list[Piece]:
        """The pieces of a result with texts in those places. Only the host was decided by the router."""
        values = _values(exchange)
        found: list[Piece] = []
        for piece in pieces:
            if piece.start != OURS:
                found.append(piece)
                continue
            at = 0
            for place in _place.finditer(piece.text):
                number = int(place[1])
                text = quote(self.actions[number](values), safe=URL).encode()
                found.append(Piece(piece.text[at : place.start()]))
                found.append(Piece(text, 0 if number in self.hosts else path_at))
                at = place.end()
            found.append(Piece(piece.text[at:]))
        return [piece for piece in found if piece.text]


def _compiled(written: str) -> template.Rendering:
    for field in _field(written):
        if field not in _KNOWN:
            known = [f".Request.{name}" for name in _KNOWN]
            raise ConfigurationError(
                "", f"there is no .Request.{field}", did_you_mean(f".Request.{field}", known)
            )
    return template.compiled(_header.sub(r"(get .Request.Header \1)", written), {"Request": None})


def _values(exchange: Exchange) -> dict[str, Any]:
    """The fields of a template."""
    head = exchange.head
    return {
        "Request": {
            "Host": head.authority.decode("latin-1"),
            "Method": head.method.decode("latin-1"),
            "RequestURI": head.target.decode("latin-1"),
            "RemoteAddr": f"{exchange.client}:{exchange.client_port}",
            "URL": {
                "Path": head.path.decode("latin-1"),
                "RawQuery": (head.query or b"").decode("latin-1"),
            },
            "Header": _Fields(exchange),
        }
    }
