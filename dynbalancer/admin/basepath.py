"""The API and the dashboard below a path of their own: Traefik's ``api.basePath``."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from twisted.web.server import Request

from dynbalancer.core.settings import DASHBOARD_ALONE

#: What the service dashboard@internal puts in front of every path.
_ALONE = DASHBOARD_ALONE.strip("/").encode()


def within(base: str, path: Sequence[bytes]) -> list[bytes] | None:
    """The segments of a path below ``base`` (``/traefik``); None where it isn't below."""
    ahead, rest = list(path[:1]), list(path[1:])
    if ahead != [_ALONE]:
        ahead, rest = [], list(path)
    segments = base.strip("/").encode().split(b"/")
    if rest[: len(segments)] != segments:
        return None
    return ahead + rest[len(segments) :]


def enter(request: Request, base: str) -> None:
    """Go on with what is below ``base``, where the request is for something there. Else it stays as it is.

    Redirects learn of it as of a prefix that a proxy took off.
    """
    found = within(base, request.postpath or ())
    if found is not None:
        request.postpath = found or [b""]
        request.path = b"".join(b"/" + quote(segment).encode() for segment in request.postpath)
        before = str(request.getHeader("x-forwarded-prefix") or "").rstrip("/")
        request.requestHeaders.setRawHeaders("x-forwarded-prefix", [before + base])
