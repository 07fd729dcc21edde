"""Who may ask the admin listener for what: reading, by a name that is ours, with the token if one is set."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import unquote_to_bytes

from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from dynbalancer.admin.answers import in_words
from dynbalancer.admin.basepath import enter
from dynbalancer.core.settings import DASHBOARD_ALONE, ApiSettings

#: Scripts and styles come from our own files alone, and no string can become markup.
CONTENT_POLICY = (
    b"default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    b"require-trusted-types-for 'script'"
)

#: What every answer carries.
SECURITY_FIELDS = (
    (b"Content-Security-Policy", CONTENT_POLICY),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"X-Frame-Options", b"DENY"),
    (b"Referrer-Policy", b"no-referrer"),
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
    (b"Server", b"dynbalancer"),
)

_host_field = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]/@\s]+)(?::[0-9]{0,5})?\Z").match
_free_page = re.compile(rf"/(?:ping|dashboard(?:/.*)?)?\Z|{DASHBOARD_ALONE}/", re.DOTALL).match


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request gets no answer, in a status and words."""

    status: int
    why: str


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on ``host``."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def host_allowed(host_field: str, configured: str) -> bool:
    """Whether a Host field names us.

    A page of a foreign site can have its name resolve to 127.0.0.1 and then read what listens there (DNS
    rebinding). Its name gives it away where we listen on loopback; elsewhere any name may be ours.
    """
    if not is_loopback(configured):
        return True
    match = _host_field(host_field)
    if match is None:
        return False
    host = match.group(1).lower().removesuffix(".")
    return is_loopback(host) or host.strip("[]") == configured.lower().strip("[]")


def token_matches(authorization: str, token: str) -> bool:
    """Whether an Authorization field carries the token; takes as long for a near miss as for a far one."""
    scheme, _, given = authorization.partition(" ")
    same = hmac.compare_digest(given.strip().encode(), token.encode())
    return same and scheme.lower() == "bearer"


def refusal(
    method: str, hosts: Sequence[str], path: str, authorization: str, settings: ApiSettings
) -> Refusal | None:
    """None where the request may be answered. ``path`` is unescaped, as it will be routed."""
    if method not in ("GET", "HEAD"):
        return Refusal(405, "this API is read-only: use GET")
    if len(hosts) > 1:
        return Refusal(400, "more than one Host field")
    # A browser always sends Host, so its absence is no attack through one; a simple health check may lack it.
    if hosts and not host_allowed(hosts[0], settings.host):
        return Refusal(421, "this listener serves localhost only; ask for it by that name or address")
    if settings.ping_only and path != "/ping":
        return Refusal(404, "only /ping is here; --api adds the rest")
    # What is free is listed, and all else is not: a path spelled in an odd way needs the token.
    if settings.token and _free_page(path) is None and not token_matches(authorization, settings.token):
        return Refusal(401, "a token is needed: Authorization: Bearer …")
    return None


class Guard(Resource):
    """Refuses what may not be answered, and puts the security fields on everything."""

    isLeaf = True

    def __init__(self, inner: IResource, settings: ApiSettings) -> None:
        super().__init__()
        self._inner = inner
        self._settings = settings

    def render(self, request: Request) -> int | bytes:
        for name, value in SECURITY_FIELDS:
            request.setHeader(name, value)
        request.setHeader(b"Cache-Control", b"no-store")
        if self._settings.base_path:
            enter(request, self._settings.base_path)
        found = self._refusal(request)
        if found is None:
            answer: int | bytes = self._inner.render(request)
            return answer
        if found.status == 405:
            request.setHeader(b"Allow", b"GET, HEAD")
        if found.status == 401:
            request.setHeader(b"WWW-Authenticate", b'Bearer realm="dynbalancer"')
        return in_words(request, found.status, found.why)

    def _refusal(self, request: Request) -> Refusal | None:
        try:
            path = unquote_to_bytes(request.path).decode("utf-8")
        except UnicodeDecodeError:
            return Refusal(400, "the path is not UTF-8")
        hosts = [str(value) for value in request.requestHeaders.getRawHeaders("host", [])]
        authorization = str(request.getHeader("authorization") or "")
        return refusal(request.method.decode("latin-1"), hosts, path, authorization, self._settings)
