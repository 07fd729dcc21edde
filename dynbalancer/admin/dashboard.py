"""The dashboard's files: read once, kept in memory, sent only to a browser that does not have them yet."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from twisted.web.server import Request

from dynbalancer.admin.answers import page_not_found

TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One file as it is sent."""

    content_type: bytes
    body: bytes
    packed: bytes
    tag: bytes


def page(name: str, body: bytes) -> Page:
    """A file made ready to be sent, plain and compressed."""
    digest = hashlib.sha256(body).hexdigest()[:20]
    # mtime 0: the same file is the same octets, whichever process packed it.
    return Page(TYPES[name[name.rindex(".") :]], body, gzip.compress(body, mtime=0), f'W/"{digest}"'.encode())


def read_pages(folder: Iterable[Traversable] | None = None) -> dict[str, Page]:
    """The files of the dashboard by name; ``""`` is the first page."""
    found = files("dynbalancer.admin").joinpath("static").iterdir() if folder is None else folder
    pages = {
        entry.name: page(entry.name, entry.read_bytes())
        for entry in found
        if entry.name[entry.name.rfind(".") :] in TYPES
    }
    return {**pages, "": pages["index.html"]}


def answer(request: Request, pages: dict[str, Page], name: str) -> bytes:
    """The page of that name, 304 where the browser has it, 404 where there is none."""
    found = pages.get(name)
    if found is None:
        return page_not_found(request)
    request.setHeader(b"Cache-Control", b"no-cache")
    request.setHeader(b"ETag", found.tag)
    request.setHeader(b"Vary", b"Accept-Encoding")
    if request.getHeader(b"if-none-match") == found.tag:
        request.setResponseCode(304)
        return b""
    request.setHeader(b"Content-Type", found.content_type)
    body = found.body
    if b"gzip" in (request.getHeader(b"accept-encoding") or b""):
        body = found.packed
        request.setHeader(b"Content-Encoding", b"gzip")
    request.setHeader(b"Content-Length", b"%d" % len(body))
    return body
