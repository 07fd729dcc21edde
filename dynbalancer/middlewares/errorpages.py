"""errors: another service says what the client is shown instead of an error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import quote, quote_plus

from dynbalancer.core.exchange import Exchange, Headers, RequestHead, Response, ResponseHead
from dynbalancer.errors import UpstreamError
from dynbalancer.middlewares.base import Middleware, Option, SettingsReader, field_name, folded
from dynbalancer.middlewares.statuses import as_texts, statuses_of

#: Fields that are about the page the client asked for, not about the one that it gets.
ABOUT_ANOTHER = frozenset(
    (
        *(b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range", b"range"),
        *(
            b"content-type",
            b"content-encoding",
            b"content-language",
            b"content-location",
            b"trailer",
            b"expect",
        ),
    )
)

#: Fields of the page that say something of a resource at its own address, or of a part of it: with another status and
#: under the client's URL they don't hold. A cache that kept them could be told that the page is still good.
NOT_OF_THIS = (b"content-range", b"accept-ranges", b"etag", b"last-modified")

_ALLOWED = "%/:?#[]@!$&'()*+,;=~"


@dataclass(frozen=True, slots=True)
class Errors(Middleware):
    """Show the page that ``service`` has for these statuses; ``rewrites`` gives other statuses to the client.

    ``passed`` names the fields of the request that the service gets (folded), None for all.
    """

    same_again: ClassVar[bool] = True

    name: str
    statuses: frozenset[int]
    service: str
    query: str
    rewrites: Mapping[int, int]
    passed: frozenset[bytes] | None
    ask: Callable[..., Awaitable[Response]]
    say: Callable[[str], object]
    said: set[str] = field(default_factory=set)

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("status", "list", "Which statuses: `404`, `500-599`.", required=True),
        Option("service", "text", "Who has the pages.", required=True),
        Option(
            "query",
            "text",
            "What it is asked for; `{status}`, `{originalStatus}` and `{url}` are put in.",
            "/",
        ),
        Option("statusRewrites", "section", "Other statuses for the client: `418: 404`, `502-504: 500`."),
        Option("errorRequestHeaders", "list", "The fields of the request that it gets; without this all."),
    )

    @classmethod
    def from_settings(
        cls,
        name: str,
        settings: Mapping[str, Any],
        *,
        ask: Callable[..., Awaitable[Response]],
        say: Callable[[str], object],
    ) -> Errors:
        """Takes the options of Traefik 3; ``backend`` of Traefik 1 is ``service``."""
        reader = SettingsReader(name, _with_text_keys(as_texts(settings, "status")), cls.OPTIONS)
        rewrites: dict[int, int] = {}
        for written, target in reader.pairs("statusRewrites"):
            (to,) = statuses_of(reader, "statusRewrites", [target.partition("-")[0]])
            rewrites.update(dict.fromkeys(statuses_of(reader, "statusRewrites", [written]), to))
        passed = [
            folded(field_name(reader, "errorRequestHeaders", one))
            for one in reader.words("errorRequestHeaders", required=False)
        ]
        return cls(
            name,
            statuses_of(reader, "status", reader.words("status")),
            reader.text("service"),
            "/" + reader.text("query").removeprefix("/"),
            rewrites,
            frozenset(passed) if passed else None,
            ask,
            say,
        )

    def on_response(self, exchange: Exchange, head: ResponseHead) -> Awaitable[Response | None] | None:
        return self._page(exchange, head.status) if head.status in self.statuses else None

    async def _page(self, exchange: Exchange, original: int) -> Response | None:
        status = self.rewrites.get(original, original)
        try:
            page = await self.ask(self.service, self.name, self._question(exchange, original, status))
        except UpstreamError as error:
            self._complain(error.why)
            return None
        page.status = status
        page.headers.remove(*NOT_OF_THIS)
        return page

    def _question(self, exchange: Exchange, original: int, status: int) -> RequestHead:
        asked, shown = exchange.asked or (exchange.head.path, exchange.head.query)
        url = asked if shown is None else asked + b"?" + shown
        query = (
            self.query.replace("{status}", str(status))
            .replace("{originalStatus}", str(original))
            .replace("{url}", quote_plus(url))
        )
        path, mark, rest = quote(query, _ALLOWED).partition("#")[0].partition("?")
        head = RequestHead(b"GET", path.encode("ascii"), rest.encode("ascii") if mark else None)
        head.authority, head.host = exchange.head.authority, exchange.head.host
        head.headers = Headers(
            one
            for one in exchange.head.headers.fields
            if one[0] not in ABOUT_ANOTHER and (self.passed is None or folded(one[0]) in self.passed)
        )
        return head

    def _complain(self, why: str) -> None:
        if why not in self.said and len(self.said) < 10:
            self.said.add(why)
            self.say(f"middleware {self.name}: service {self.service} shows no page: {why}")


def _with_text_keys(settings: Mapping[str, Any]) -> dict[str, Any]:
    """YAML makes numbers of the keys of ``statusRewrites``."""
    return {
        key: {str(one): to for one, to in value.items()} if isinstance(value, Mapping) else value
        for key, value in settings.items()
    }
