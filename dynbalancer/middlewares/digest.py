"""The middleware digestAuth: the scheme Digest of RFC 7616 with MD5 or SHA-256 and ``qop=auth``.

A nonce is a time and a signature, so that every worker knows those of the others again. It holds for one client and
some minutes; whoever answers an old one rightly is given a new one and not asked for a password again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import Any, ClassVar

from dynbalancer.core.exchange import Exchange, RequestHead, Response
from dynbalancer.core.targets import split_target
from dynbalancer.errors import RequestError
from dynbalancer.middlewares.auth import (
    ADMISSION,
    LONGEST_NAME,
    Admission,
    authorization,
    quoted_realm,
    unauthorized,
    users_of,
)
from dynbalancer.middlewares.base import Middleware, Option, SettingsReader

#: How long a nonce holds, in seconds.
LIFETIME = 300

#: Algorithms by the length of their digests in hexadecimal, the better one first.
ALGORITHMS = {64: b"SHA-256", 32: b"MD5"}

_parameter = re.compile(
    rb'[ \t]*([A-Za-z]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))[ \t]*(?:,|\Z)'
).match
_escaped = re.compile(rb"\\(.)")
_hexadecimal = re.compile(r"[0-9a-fA-F]+").fullmatch
_count = re.compile(rb"[0-9a-fA-F]{8}").fullmatch
_nonce = re.compile(rb"([0-9a-f]{16})[0-9a-f]{32}").fullmatch

#: Name and algorithm of a user → H(name:realm:password), in hexadecimal.
Users = Mapping[tuple[bytes, bytes], bytes]


class DigestAuth(Middleware):
    """Let in who proves to know a user's password without sending it."""

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option(
            "users",
            "list",
            "`name:realm:hash`, as `htdigest` writes it: MD5 of `name:realm:password`, or SHA-256 of it.",
            required=True,
        ),
        *ADMISSION,
    )

    __slots__ = ("_admission", "_algorithms", "_clock", "_purpose", "_realm", "_secret", "_users", "notices")

    def __init__(
        self,
        users: Users,
        realm: bytes,
        admission: Admission,
        *,
        clock: Callable[[], float],
        secret: bytes,
        notices: tuple[str, ...] = (),
    ) -> None:
        """``realm`` is in quotes already; ``notices`` are sentences about users who can't come in."""
        known = {algorithm for _, algorithm in users} or {b"MD5"}
        self._users = dict(users)
        self._algorithms = tuple(algorithm for algorithm in ALGORITHMS.values() if algorithm in known)
        self._realm = realm
        self._admission = admission
        self._clock = clock
        self._secret = secret
        self._purpose = b"digest nonce %b " % realm
        self.notices = notices

    @classmethod
    def from_settings(
        cls, name: str, settings: Mapping[str, Any], *, clock: Callable[[], float], secret: bytes
    ) -> DigestAuth:
        """Takes ``users`` (``name:realm:hash``), ``realm``, ``removeHeader`` and ``headerField``."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        realm = reader.text("realm")
        users, strangers = {}, []
        for number, (user, theirs, ha1) in users_of(reader, 3):
            algorithm = ALGORITHMS.get(len(ha1))
            if algorithm is None or not _hexadecimal(ha1):
                why = f": the hash of entry {number} ({user}) is neither MD5 nor SHA-256 in hexadecimal"
                raise reader.wrong("users", why, "make one with htdigest")
            users[user.encode(), algorithm] = ha1.lower().encode()
            if theirs != realm:
                del users[user.encode(), algorithm]
                strangers.append(
                    f"user {user} is of the realm {theirs} and can't come in: here it is {realm}"
                )
        return cls(
            users,
            quoted_realm(reader),
            Admission.read(reader),
            clock=clock,
            secret=secret,
            notices=tuple(strangers),
        )

    def on_request(self, exchange: Exchange) -> Response | None:
        credentials = authorization(exchange.head.headers, b"digest")
        said = None if credentials is None else parameters(credentials)
        if said is None:
            return self._ask(exchange)
        user = said.get(b"username", b"")
        exchange.user = user[:LONGEST_NAME]
        if not self._is_right(exchange.head, said):
            return self._ask(exchange)
        if not self._is_fresh(said[b"nonce"], exchange.client):
            return self._ask(exchange, stale=True)
        self._admission.admit(exchange, user)
        return None

    def _is_right(self, head: RequestHead, said: Mapping[bytes, bytes]) -> bool:
        algorithm = said.get(b"algorithm", b"MD5").upper()
        if algorithm not in self._algorithms or said.get(b"qop") != b"auth":
            return False
        try:
            uri, nonce, count, theirs = (said[name] for name in (b"uri", b"nonce", b"nc", b"cnonce"))
            response = said[b"response"]
        except KeyError:
            return False
        if not _count(count) or not theirs or not _is_target(uri, head):
            return False

        def digest(*parts: bytes) -> bytes:
            name = algorithm.decode().replace("-", "").lower()
            return hashlib.new(name, b":".join(parts), usedforsecurity=False).hexdigest().encode()

        ha1 = self._users.get((said.get(b"username", b""), algorithm))
        # An unknown user takes as long as a known one.
        expected = digest(ha1 or b"0" * 32, nonce, count, theirs, b"auth", digest(head.method, uri))
        return compare_digest(expected, response.lower()) and ha1 is not None

    def _ask(self, exchange: Exchange, *, stale: bool = False) -> Response:
        nonce = self._signed(b"%016x" % int(self._clock()), exchange.client)
        end = b", stale=true" if stale else b""
        form = b'Digest realm=%b, qop="auth", algorithm=%b, nonce="%b"%b'
        return unauthorized(*(form % (self._realm, each, nonce, end) for each in self._algorithms))

    def _signed(self, stamp: bytes, client: str) -> bytes:
        signed = hmac_digest(self._secret, self._purpose + stamp + client.encode(), "sha256")
        return stamp + signed[:16].hex().encode()

    def _is_fresh(self, nonce: bytes, client: str) -> bool:
        found = _nonce(nonce)
        if found is None or not compare_digest(nonce, self._signed(found.group(1), client)):
            return False
        return 0 <= self._clock() - int(found.group(1), 16) <= LIFETIME


def parameters(credentials: bytes) -> dict[bytes, bytes] | None:
    """Parameters by name in lower case; None where they can't be read, or one comes twice."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(credentials):
        match = _parameter(credentials, at)
        if match is None:
            return None
        name, quoted, token = match.groups()
        if name.lower() in found:
            return None
        found[name.lower()] = token if quoted is None else _escaped.sub(rb"\1", quoted)
        at = match.end()
    return found


def _is_target(uri: bytes, head: RequestHead) -> bool:
    """Whether the digest was made for this request, in the one form in which we know it."""
    try:
        return split_target(uri) == (head.path, head.query)
    except RequestError:
        return False
