"""Which serversTransport a service means, and which services have to be made anew because of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from dynbalancer.core.layered import Layered, moved
from dynbalancer.core.model import SHOWING_CERTIFICATES, ServersTransport, Service
from dynbalancer.core.references import found, plain
from dynbalancer.errors import ConfigurationError

#: What every service has that names none.
DEFAULT = "default@internal"


class Transports:
    """The serversTransports of the table before, and of the next."""

    def __init__(self, old: Mapping[str, ServersTransport], new: Mapping[str, ServersTransport]) -> None:
        self._new = new
        self._moved = moved(old, new)
        self._plain: Layered[str, tuple[str, ...]] | None = None

    def resolved(self, service: Service) -> Service:
        """The service with the full name of its transport. Raises ConfigurationError where there is none such."""
        if not service.transport:
            return service
        if service.transport == DEFAULT:
            return replace(service, transport="")
        if self._plain is None:
            names: dict[str, tuple[str, ...]] = {}
            for name in self._new:
                names[plain(name)] = (*names.get(plain(name), ()), name)
            self._plain = Layered(names)
        if service.transport == SHOWING_CERTIFICATES and service.transport not in self._new:
            why = "passTLSCert: no entry point has a certificate of its own to show to servers"
            raise ConfigurationError("", why, "give one TLS with files, or take the label away")
        full = found("serversTransport", service.transport, service.name, self._new, self._plain)
        return replace(service, transport=full)

    def users(self, services: Mapping[str, Service]) -> Iterator[str]:
        """The services with a transport, where one of the transports is another than before."""
        changed, gone = self._moved
        if changed or gone:
            names = {plain(name) for name in (*changed, *gone)}
            yield from (name for name, one in services.items() if plain(one.transport) in names)
