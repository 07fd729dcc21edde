"""A server that answers with the request it saw, in the manner of the image ``emilevauge/whoami``."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource
from twisted.web.server import Request, Site


class Whoami(Resource):
    """Answers every request with the server's name and address, and the request as it arrived."""

    isLeaf = True

    def __init__(self, hostname: str) -> None:
        super().__init__()
        self.hostname = hostname

    def render(self, request: Request) -> bytes:
        """The whole answer, as text."""
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        address = request.getHost()
        lines = [
            b"Hostname: " + self.hostname.encode("ascii"),
            b"IP: " + getattr(address, "host", "127.0.0.1").encode("ascii"),
            b" ".join((request.method, request.uri, request.clientproto)),
        ]
        for name, values in sorted(request.requestHeaders.getAllRawHeaders(), key=_host_first):
            lines.extend(name + b": " + value for value in values)
        return b"\n".join(lines) + b"\n\n"


def _host_first(field: tuple[bytes, object]) -> tuple[bool, bytes]:
    return field[0].lower() != b"host", field[0].lower()


class QuietSite(Site):
    """Writes no log of its own: the access log of the balancer is the one to look at."""

    noisy = False

    def log(self, request: object) -> None:
        """Nothing."""


def make_site(hostname: str, reactor: IReactorTime) -> Site:
    """What listens on a demo server's port."""
    return QuietSite(Whoami(hostname), reactor=reactor)
