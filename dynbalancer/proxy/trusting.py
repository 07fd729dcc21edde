"""Whom to trust for a server of some service, outside of the data plane: as its requests and connections do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynbalancer.core.health import Question
from dynbalancer.core.layered import Layered
from dynbalancer.core.model import ServersTransport
from dynbalancer.core.references import found, plain
from dynbalancer.core.streams import StreamTransport
from dynbalancer.proxy.securing import Trust
from dynbalancer.proxy.streamservers import manner_of
from dynbalancer.proxy.trust import client_context
from dynbalancer.proxy.upstream import Connecting


class Trusting:
    """Gives the trust for questions, by the serversTransport of the service they are about.

    ``router`` is an IRouter, of which ``said`` is read; what is made of a transport is kept until that is another.
    """

    def __init__(self, router: Any, connecting: Connecting) -> None:
        self._router = router
        self._connecting = connecting
        self._of_streams: dict[str, tuple[StreamTransport, Trust]] = {}
        self._of_services: dict[str, tuple[ServersTransport, Trust]] = {}

    def __call__(self, question: Question) -> Trust:
        """Raises ConfigurationError where the transport can't be used, or is not there."""
        if question.mode == "tcp":
            return self._of_stream(question)
        return self._of_http(question)

    def _of_http(self, question: Question) -> Trust:
        transports = self._router.said.transports
        name = meant(question.transport, question.service, transports)
        if not name:
            return Trust(self._connecting.tls)
        transport = transports[name]
        known = self._of_services.get(name)
        if known is None or known[0] != transport:
            trust = Trust(client_context(transport), transport.server_name or None, transport.peer_uri)
            known = self._of_services[name] = transport, trust
        return known[1]

    def _of_stream(self, question: Question) -> Trust:
        transports = self._router.said.tcp_transports
        name = meant(question.transport, question.service, transports)
        transport = transports[name] if name else StreamTransport("")
        known = self._of_streams.get(name)
        if known is None or known[0] != transport:
            manner = manner_of(self._router.said.tcp_services[question.service], transport)
            assert manner.tls is not None, "only what is spoken to over TLS asks for trust"
            known = self._of_streams[name] = transport, Trust(manner.tls, manner.server_name or None)
        return known[1]


def meant(reference: str, owner: str, known: Mapping[str, object]) -> str:
    """The full name of the serversTransport that a service means; empty where it means none.

    Raises ConfigurationError where there is none such.
    """
    if not reference:
        return ""
    names: dict[str, tuple[str, ...]] = {}
    for name in known:
        names[plain(name)] = (*names.get(plain(name), ()), name)
    return found("serversTransport", reference, owner, known, Layered(names))
