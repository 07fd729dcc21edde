"""Cookies that keep a client with its server: their names, what they say, and how they are set.

A cookie says nothing of a server but a hash of its URL (Traefik v3). What older versions of Traefik said is understood
too: the URL itself (v1), and a shorter hash of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from urllib.parse import urlsplit

from dynbalancer.core.exchange import Headers
from dynbalancer.core.fields import TOKEN
from dynbalancer.core.model import Service, Sticky
from dynbalancer.core.schema import SERVER_PORTS

_FNV_BASIS, _FNV_PRIME, _OCTETS = 0xCBF29CE484222325, 0x100000001B3, 0xFFFFFFFFFFFFFFFF
_SAME_SITE = {"none": b"None", "lax": b"Lax", "strict": b"Strict"}


def cookie_name(service: Service, sticky: Sticky) -> bytes:
    """The name of its cookie: the one that it was given, else ``_`` and five digits made of the service's name.

    In both versions that is SHA-1 of ``_TRAEFIK_BACKEND_`` and the name; in v1 the name is that of the backend.
    """
    if sticky.name:
        known = sticky.name.encode("ascii", "replace")
        # What can't stand in a name is replaced as in Traefik.
        return bytes(octet if octet in TOKEN else ord("_") for octet in known)
    name = f"backend-{service.name.partition('@')[0]}" if service.dialect == "v1" else service.name
    digest = hashlib.sha1(f"_TRAEFIK_BACKEND_{name}".encode(), usedforsecurity=False).hexdigest()
    return f"_{digest[:5]}".encode()


def opaque(name: str) -> bytes:
    """What a cookie says of a server's URL, or of a service's name."""
    return hashlib.sha256(name.encode()).hexdigest()[:16].encode()


def understood(name: str) -> Iterator[bytes]:
    """All that a cookie may say to mean this server or service; the first is what we say."""
    yield opaque(name)
    yield name.encode("ascii", "replace")
    parts = urlsplit(name)
    if parts.port is not None and SERVER_PORTS.get(parts.scheme) == parts.port:
        # Whoever left the port away in a file had it so in the cookie.
        yield name.replace(f":{parts.port}", "", 1).encode("ascii", "replace")
    yield fnv(name)


def fnv(name: str) -> bytes:
    """FNV-1a with 64 bits, in hexadecimal: what Traefik 2 said of a server."""
    found = _FNV_BASIS
    for octet in name.encode():
        found = (found ^ octet) * _FNV_PRIME & _OCTETS
    return b"%x" % found


def sent(headers: Headers, name: bytes) -> bytes | None:
    """The value of a cookie in a request, None where it has none (RFC 6265 section 4.2.1)."""
    for line in headers.all(b"cookie"):
        for piece in line.split(b";"):
            key, equals, value = piece.strip().partition(b"=")
            if equals and key == name:
                return value.strip(b'"')
    return None


def set_cookie(sticky: Sticky, name: bytes, value: bytes) -> bytes:
    """The value of a Set-Cookie field, its attributes in the order in which Go writes them."""
    parts = [name + b"=" + value]
    if sticky.path:
        parts.append(b"Path=" + sticky.path.encode("ascii", "replace"))
    if sticky.domain:
        parts.append(b"Domain=" + sticky.domain.encode("ascii", "replace"))
    if sticky.max_age:
        parts.append(b"Max-Age=%d" % max(0, sticky.max_age))
    if sticky.http_only:
        parts.append(b"HttpOnly")
    if sticky.secure:
        parts.append(b"Secure")
    if sticky.same_site:
        parts.append(b"SameSite=" + _SAME_SITE[sticky.same_site])
    return b"; ".join(parts)
