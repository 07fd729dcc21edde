"""forwardAuth: somebody else is asked who may come in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

from dynbalancer.core.exchange import Exchange, Field, Headers, Response, ResponseHead, field_of
from dynbalancer.core.rules.regex import finder
from dynbalancer.errors import AnswerTooLarge, UpstreamError
from dynbalancer.middlewares.base import (
    FRAMING,
    HOP_BY_HOP,
    Middleware,
    Option,
    SettingsReader,
    field_name,
    folded,
    plain,
)

#: Of the body of a request so much is held in memory, and of an answer so much is taken where no limit is given.
IN_MEMORY, LARGEST = 1048576, 10 * 1024 * 1024

#: What an answer of the authority can't say of a request.
NEVER_COPIED = FRAMING | HOP_BY_HOP | {b"host", b"set-cookie", b"set-cookie2"}

_TLS = (
    Option("ca", "text", "Authorities that vouch for it: PEM, or a path.", ""),
    Option("cert", "text", "Who we are to it: PEM, or a path.", ""),
    Option("key", "text", "The key that goes with `cert`.", ""),
    Option("insecureSkipVerify", "switch", "Anybody may answer in its name.", False),
    Option("caOptional", "switch", "Without effect; Traefik dropped it.", False),
)


@dataclass(frozen=True, slots=True)
class Asking:
    """How the authority is asked. ``fields``: those of the request that it sees (folded), None for all."""

    address: str
    trust: Any
    trusts_forwarded: bool
    fields: frozenset[bytes] | None
    same_method: bool
    with_body: bool
    most: int | None
    most_back: int


@dataclass(frozen=True, slots=True)
class Telling:
    """What of its answer goes where: to the server, to the client, to the log."""

    fields: frozenset[bytes]
    pattern: Callable[[bytes], bool] | None
    cookies: frozenset[bytes]
    user: bytes
    keeps_location: bool
    sign_in: bytes


@dataclass(frozen=True, slots=True)
class ForwardAuth(Middleware):
    """Ask an authority about each request; where it says no, the client gets its answer."""

    name: str
    asking: Asking
    telling: Telling
    fetch: Callable[..., Awaitable[Response]]
    say: Callable[[str], object]
    said: set[str] = field(default_factory=set)

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("address", "text", "The URL that is asked.", required=True),
        Option("trustForwardHeader", "switch", "Pass on what a trusted peer said in `X-Forwarded-…`.", False),
        Option("authResponseHeaders", "list", "Fields of its answer that the server gets."),
        Option("authResponseHeadersRegex", "text", "The same, for all fields whose names match.", ""),
        Option("authRequestHeaders", "list", "Fields of the request that it gets; without this all."),
        Option("addAuthCookiesToResponse", "list", "Cookies that it sets and the client gets."),
        Option(
            "headerField", "text", "The field of its answer with the user's name, for the access log.", ""
        ),
        Option("forwardBody", "switch", "It gets the body too.", False),
        Option("maxBodySize", "number", "Larger bodies are answered with 401; `-1`: any size.", -1),
        Option("maxResponseBodySize", "number", "A larger answer of its own is 401; `-1`: 10 MiB.", -1),
        Option("preserveLocationHeader", "switch", "Leave `Location` in its answer as it is.", False),
        Option(
            "preserveRequestMethod", "switch", "Ask with the method of the request; else with `GET`.", False
        ),
        Option("authSigninURL", "text", "Where a client is sent that it answers with 401.", ""),
        Option("tls", "section", "How to speak TLS to it.", members=_TLS),
    )

    @classmethod
    def from_settings(
        cls,
        name: str,
        settings: Mapping[str, Any],
        *,
        fetch: Callable[..., Awaitable[Response]],
        trusting: Callable[..., Any],
        say: Callable[[str], object],
    ) -> ForwardAuth:
        """Takes the options of Traefik 3; those of 1 are among them."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        return cls(name, _asking(reader, trusting), _telling(reader), fetch, say)

    def on_request(self, exchange: Exchange) -> Awaitable[Response | None]:
        return self._asked(exchange)

    def on_response(self, exchange: Exchange, head: ResponseHead) -> None:
        cookies = None if exchange.notes is None else exchange.notes.get(self.name)
        if cookies:
            named = {_cookie_name(cookie) for cookie in cookies}
            head.headers.fields = [
                one
                for one in head.headers.fields
                if one[0] != b"set-cookie" or _cookie_name(one[1]) not in named
            ]
            for cookie in cookies:
                head.headers.add(b"Set-Cookie", cookie)

    async def _asked(self, exchange: Exchange) -> Response | None:
        asking = self.asking
        body = b""
        if asking.with_body:
            whole = await exchange.whole_body(asking.most, IN_MEMORY)
            if whole is None:
                return plain(401, b"Unauthorized")
            body = whole.octets()
        method = exchange.head.method.decode("ascii") if asking.same_method else "GET"
        try:
            answer = await self.fetch(
                method,
                asking.address,
                _question(asking, exchange),
                body,
                trust=asking.trust,
                most=asking.most_back,
            )
        except AnswerTooLarge:
            return plain(401, b"Unauthorized")
        except UpstreamError as error:
            self._complain(error.why)
            return plain(500, b"Internal Server Error")
        if not 200 <= answer.status < 300:
            return self._refusal(answer)
        self._admit(exchange, answer)
        return None

    def _refusal(self, answer: Response) -> Response:
        telling = self.telling
        if telling.sign_in and answer.status == 401:
            return Response(302, b"", [(b"Location", telling.sign_in)])
        answer.headers.remove(*HOP_BY_HOP, *FRAMING)
        location = answer.headers.get(b"location")
        if location and not telling.keeps_location:
            absolute = urljoin(self.asking.address, location.decode("latin-1"))
            answer.headers.set(b"Location", absolute.encode("latin-1", "replace"))
        return answer

    def _admit(self, exchange: Exchange, answer: Response) -> None:
        telling = self.telling
        if telling.fields or telling.pattern is not None:
            headers = exchange.head.headers
            # Whatever the client says under such a name, in whatever spelling: only the authority is believed.
            kept = [one for one in headers.fields if not _is_told(telling, one)]
            headers.fields = kept + [one for one in answer.headers.fields if _is_told(telling, one)]
        if telling.user:
            exchange.user = answer.headers.get(telling.user) or exchange.user
        if telling.cookies:
            cookies = [
                value for value in answer.headers.all(b"set-cookie") if _cookie_name(value) in telling.cookies
            ]
            if cookies:
                notes = exchange.notes = {} if exchange.notes is None else exchange.notes
                notes[self.name] = cookies

    def _complain(self, why: str) -> None:
        if why not in self.said and len(self.said) < 10:
            self.said.add(why)
            self.say(f"middleware {self.name}: {self.asking.address} can't be asked: {why}")


def _asking(reader: SettingsReader, trusting: Callable[..., Any]) -> Asking:
    address = reader.text("address")
    if not _is_url(address):
        raise reader.wrong("address", f": '{address}' is no URL of http or https", "http://auth:8080/check")
    trust = None
    tls = reader.below("tls")
    if tls is not None:
        ca, cert, key = (tls.text(option, "") for option in ("ca", "cert", "key"))
        tls.switch("caOptional")
        insecure = tls.switch("insecureSkipVerify")
        trust = reader.made("tls", lambda: trusting(ca, cert, key, insecure=insecure))
    fields = _names(reader, "authRequestHeaders")
    most, most_back = (reader.number(option, low=-1) for option in ("maxBodySize", "maxResponseBodySize"))
    return Asking(
        address,
        trust,
        reader.switch("trustForwardHeader"),
        fields or None,
        reader.switch("preserveRequestMethod"),
        reader.switch("forwardBody"),
        None if most < 0 else most,
        LARGEST if most_back < 0 else most_back,
    )


def _is_url(written: str) -> bool:
    try:
        parts = urlsplit(written)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        # An address in brackets that is none, or a port beyond 65535.
        return False


def _telling(reader: SettingsReader) -> Telling:
    written = reader.text("authResponseHeadersRegex", "")
    pattern = reader.made("authResponseHeadersRegex", partial(finder, written)) if written else None
    user = reader.text("headerField", "")
    return Telling(
        _names(reader, "authResponseHeaders"),
        pattern,
        frozenset(one.encode() for one in reader.words("addAuthCookiesToResponse", required=False)),
        field_name(reader, "headerField", user).lower() if user else b"",
        reader.switch("preserveLocationHeader"),
        reader.text("authSigninURL", "").encode(),
    )


def _names(reader: SettingsReader, option: str) -> frozenset[bytes]:
    return frozenset(folded(field_name(reader, option, one)) for one in reader.words(option, required=False))


def _question(asking: Asking, exchange: Exchange) -> list[Field]:
    """The fields that the authority gets: those of the request, and what it would see in the request's line."""
    head = exchange.head
    headers = head.headers
    told = Headers.of(
        (b"X-Forwarded-Method", head.method),
        (b"X-Forwarded-Proto", head.scheme),
        (b"X-Forwarded-Host", head.authority),
        (b"X-Forwarded-Uri", head.target),
        (b"X-Forwarded-For", exchange.client.encode("ascii", "replace")),
    )
    if asking.trusts_forwarded and exchange.trusted:
        # The proxy has put its own word at the end of what a trusted peer said.
        told.fields = [_first(headers, one) for one in told.fields]
    ours = {one[0] for one in told.fields}
    return [*_passed(asking, headers.fields, ours), *told.fields]


def _first(headers: Headers, field: Field) -> Field:
    said = headers.get(field[0])
    return field if said is None else field_of(field[2].partition(b":")[0], said)


def _passed(asking: Asking, fields: Iterable[Field], ours: set[bytes]) -> Iterable[Field]:
    for one in fields:
        name = folded(one[0])
        if name in ours or name in NEVER_COPIED:
            continue
        if asking.fields is None or name in asking.fields or name.startswith(b"x-forwarded-"):
            yield one


def _is_told(telling: Telling, one: Field) -> bool:
    name = folded(one[0])
    if name in NEVER_COPIED:
        return False
    if name in telling.fields:
        return True
    # Servers that take _ for - would read the one in place of the other.
    return telling.pattern is not None and (
        telling.pattern(_canonical(one[0])) or telling.pattern(_canonical(name))
    )


def _canonical(name: bytes) -> bytes:
    """As Go writes names, which is what patterns are written for: ``X-Auth-User``."""
    return b"-".join(word.capitalize() for word in name.split(b"-"))


def _cookie_name(cookie: bytes) -> bytes:
    return cookie.partition(b"=")[0].strip()
