"""Requests that no client waits for: those that we ask ourselves, and copies."""

from __future__ import annotations

from collections.abc import Sequence

from dynbalancer.core.exchange import Field, ResponseHead
from dynbalancer.errors import UpstreamError
from dynbalancer.proxy.forwarding import Forwarding


class Unattended(Forwarding):
    """An exchange with nobody on the client's side: its request is there whole, and its answer is thrown away."""

    def have(self, body: bytes) -> None:
        """This is the whole body of the request."""
        self._body = [body] if body else None
        self.request_complete = True

    def send_interim(self, head: ResponseHead) -> None:
        """Nobody waits for those."""

    def send_head(self, head: ResponseHead) -> None:
        self.status = head.status

    def send_body(self, data: bytes) -> None:
        """Nobody wants it."""

    def send_end(self, trailers: Sequence[Field]) -> None:
        """It is over."""

    def flush(self) -> None:
        """Nothing waits."""

    def pause_request(self) -> None:
        """The body is here already."""

    def resume_request(self) -> None:
        """The body is here already."""

    def start_tunnel(self, head: ResponseHead) -> bytes:
        self.client_gone()
        return b""

    def fail(self, error: UpstreamError) -> None:
        if not self.over:
            self.outcome = error.reason
            self.leave()
            self.finish()
