"""The middleware basicAuth, and what all that ask for a password have in common."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import Any, ClassVar

from dynbalancer.core.exchange import Exchange, Headers, Response
from dynbalancer.core.fields import CONTROLS
from dynbalancer.core.schema import WrongValueError
from dynbalancer.middlewares.base import (
    HOP_BY_HOP,
    FieldEdits,
    Middleware,
    Option,
    SettingsReader,
    field_name,
    field_value,
    plain,
)
from dynbalancer.middlewares.passwords import Stored

#: What all that ask for a password have beside their users.
ADMISSION = (
    Option("usersFile", "text", "Not supported: write its lines into `users`.", ""),
    Option("realm", "text", "What the browser shows, and what passwords are remembered for.", "traefik"),
    Option("removeHeader", "switch", "Keep `Authorization` from the server.", False),
    Option("headerField", "text", "Field in which the server is told the user's name.", ""),
)

#: Checks that may wait for a thread, and wrong passwords that are remembered.
MOST_WAITING = 32
MOST_WRONG = 1024
#: What the access log gets of a user's name that nobody vouches for.
LONGEST_NAME = 256


@dataclass(frozen=True, slots=True)
class Admission:
    """What is done to the request of somebody who may come in.

    ``field`` is the field that tells the server the user's name; ``removed``: it does not get the password.
    """

    field: bytes = b""
    removed: bool = False

    @classmethod
    def read(cls, reader: SettingsReader) -> Admission:
        """From ``headerField`` and ``removeHeader``."""
        written = reader.text("headerField")
        field = field_name(reader, "headerField", written) if written else b""
        if field.lower() in HOP_BY_HOP or field.lower() == b"host":
            raise reader.wrong("headerField", f": {written} can't hold a user's name")
        return cls(field, reader.switch("removeHeader"))

    def admit(self, exchange: Exchange, user: bytes) -> None:
        """Let a request in that is this user's."""
        exchange.user = user
        headers = exchange.head.headers
        if self.removed:
            headers.remove(b"authorization")
        if self.field:
            # Whatever the client sent under that name, in whatever spelling, goes.
            FieldEdits.of([(self.field, user)]).apply(headers)


def users_of(reader: SettingsReader, parts: int) -> Iterator[tuple[int, list[str]]]:
    """Number and parts of each entry of ``users``, as many parts as it must have. Their text is in no message."""
    if reader.is_on("usersFile"):
        # Whoever could read it has put its lines among the users.
        raise reader.wrong("usersFile", "can't be read", "write the lines of that file into users")
    for number, entry in enumerate(reader.words("users"), 1):
        found = entry.split(":")
        if len(found) != parts or not found[0]:
            form = ":".join(("USER", "REALM", "HASH") if parts == 3 else ("USER", "HASH"))
            raise reader.wrong("users", f": entry {number} is not of the form {form}")
        if any(part.encode().translate(None, CONTROLS) != part.encode() for part in found):
            raise reader.wrong("users", f": entry {number} holds control characters")
        yield number, found


def quoted_realm(reader: SettingsReader) -> bytes:
    """The realm as it stands in a challenge, in quotes."""
    realm = field_value(reader, "realm", reader.text("realm"))
    return b'"%b"' % realm.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def authorization(headers: Headers, scheme: bytes) -> bytes | None:
    """The credentials of this scheme; None where there are none, or more than one that could be meant."""
    found = headers.all(b"authorization")
    if len(found) != 1:
        return None
    said, _, credentials = found[0].partition(b" ")
    return credentials.strip(b" ") if said.lower() == scheme else None


def unauthorized(*challenges: bytes) -> Response:
    """The answer to somebody who has not said who it is, or not truly."""
    return plain(401, b"401 Unauthorized\n", *((b"WWW-Authenticate", challenge) for challenge in challenges))


class BasicAuth(Middleware):
    """Let in who knows a user's password.

    A check may take a quarter of a second, so it runs in a thread, and what came of it is remembered: for each user
    the right password, and so many wrong ones; not themselves, but an HMAC with the secret of this run. An unknown user
    takes as long as the known one whose check takes longest.
    """

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option(
            "users",
            "list",
            "`name:hash`, as `htpasswd -nB NAME` writes it: bcrypt (`$2y$`), MD5 (`$apr1$`), or SHA-1 (`{SHA}`).",
            required=True,
        ),
        *ADMISSION,
    )

    __slots__ = (
        "_admission",
        "_challenge",
        "_dearest",
        "_in_thread",
        "_right",
        "_secret",
        "_users",
        "_waiting",
        "_wrong",
    )

    def __init__(
        self,
        users: Mapping[bytes, Stored],
        realm: bytes,
        admission: Admission,
        *,
        in_thread: Callable[..., Awaitable[bool]],
        secret: bytes,
    ) -> None:
        """``realm`` is in quotes already."""
        self._users = dict(users)
        self._dearest = max(users.values(), key=lambda stored: stored.effort)
        self._challenge = b"Basic realm=" + realm
        self._admission = admission
        self._in_thread = in_thread
        self._secret = secret
        self._right: dict[bytes, bytes] = {}
        self._wrong: dict[bytes, None] = {}
        self._waiting = 0

    @classmethod
    def from_settings(
        cls,
        name: str,
        settings: Mapping[str, Any],
        *,
        in_thread: Callable[..., Awaitable[bool]],
        secret: bytes,
    ) -> BasicAuth:
        """Takes ``users`` (``name:hash``), ``realm``, ``removeHeader`` and ``headerField``."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        users = {}
        for number, (user, written) in users_of(reader, 2):
            try:
                users[user.encode()] = Stored.of(written)
            except WrongValueError as error:
                why = f": the password of entry {number} ({user}) is not {error.expected}"
                raise reader.wrong("users", why, error.hint) from None
        return cls(users, quoted_realm(reader), Admission.read(reader), in_thread=in_thread, secret=secret)

    def on_request(self, exchange: Exchange) -> Response | Awaitable[Response | None] | None:
        credentials = _credentials(exchange.head.headers)
        if credentials is None:
            return unauthorized(self._challenge)
        user, password = credentials
        exchange.user = user[:LONGEST_NAME]
        key = hmac_digest(self._secret, b"%d:%b:%b" % (len(user), user, password), "sha256")
        known = self._known(user, key)
        if known is not None:
            return self._answer(exchange, user, right=known)
        if self._waiting >= MOST_WAITING:
            return plain(503, b"503 Service Unavailable\n", (b"Retry-After", b"1"))
        return self._checked(exchange, user, password, key)

    async def _checked(self, exchange: Exchange, user: bytes, password: bytes, key: bytes) -> Response | None:
        self._waiting += 1
        try:
            right = await self._in_thread(self._check, user, password, key)
        finally:
            self._waiting -= 1
        if right:
            self._right[user] = key
        else:
            while len(self._wrong) >= MOST_WRONG:
                del self._wrong[next(iter(self._wrong))]
            self._wrong[key] = None
        return self._answer(exchange, user, right=right)

    def _answer(self, exchange: Exchange, user: bytes, *, right: bool) -> Response | None:
        if not right:
            return unauthorized(self._challenge)
        self._admission.admit(exchange, user)
        return None

    def _known(self, user: bytes, key: bytes) -> bool | None:
        right = self._right.get(user)
        if right is not None and compare_digest(right, key):
            return True
        return False if key in self._wrong else None

    def _check(self, user: bytes, password: bytes, key: bytes) -> bool:
        """In a thread. Look once more: a browser asks for six things at once, and the first is checked by now."""
        known = self._known(user, key)
        if known is not None:
            return known
        stored = self._users.get(user)
        right = stored is not None and stored.fits(password)
        if not right and (stored is None or stored.effort < self._dearest.effort):
            self._dearest.fits(password)
        return right


def _credentials(headers: Headers) -> tuple[bytes, bytes] | None:
    """User and password of the scheme Basic (RFC 7617)."""
    found = authorization(headers, b"basic")
    if found is None:
        return None
    try:
        user, colon, password = base64.b64decode(found, validate=True).partition(b":")
    except binascii.Error:
        return None
    return (user, password) if colon else None
