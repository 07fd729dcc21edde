"""Services of all types and serversTransports: from a document to the model, and services back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dynbalancer.core import schema, service_keys
from dynbalancer.core.model import Certificate, Member, ServersTransport, Service
from dynbalancer.core.tables import Path, TableReader, UnusableError, write
from dynbalancer.errors import ConfigurationError, Problem, did_you_mean

#: What stands beside the type, in lower case.
_BESIDE = frozenset(key.name.lower() for key in schema.SERVICE)

_SPELLING = {word.lower(): word for word in schema.SERVICE_TYPES}


def split(found: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What services of all types have, and the rest, which says the type."""
    return (
        {name: value for name, value in found.items() if name.lower() in _BESIDE},
        {name: value for name, value in found.items() if name.lower() not in _BESIDE},
    )


def service(
    reader: TableReader,
    name: str,
    found: Mapping[str, Any],
    path: Path,
    written: str,
    shared: Mapping[str, Any],
) -> Service:
    """A service whose type is ``written`` so. Raises UnusableError once all is noted."""
    kind = _SPELLING.get(written.lower())
    inner = (*path, written)
    if kind is None:
        why = f"expected one of {', '.join(schema.SERVICE_TYPES)}"
        raise reader.refuse(inner, why, did_you_mean(written, schema.SERVICE_TYPES))
    section = reader.mapping(found[written], inner)
    for key in split(section)[0]:
        # They may be what keeps somebody out.
        why = f"{key} stand beside {written}, not below it; {name} is off"
        raise reader.refuse((*inner, key), why, f"write http.services.{name}.{key}")
    given = reader.attributes(service_keys.BY_TYPE.get(kind, schema.LOAD_BALANCER), section, inner)
    given |= given.pop("errors", {})
    if "main" in given:
        others = given.pop("mirrors", ())
        if kind == "failover":
            others = (Member(given.pop("fallback")),)
        given["members"] = (Member(given.pop("main")), *others)
    given |= reader.attributes(schema.SERVICE, shared, path)
    return Service(name=name, kind=kind, origin=reader.where, **given)


def written(service: Service) -> dict[str, Any]:
    """A service under its type, JSON-able. What has its default is left out, but for what Traefik's API shows."""
    shared = write(schema.SERVICE, service)
    if service.kind == "loadBalancer":
        return {service.kind: write(schema.LOAD_BALANCER, service), **shared}
    table = service_keys.BY_TYPE[service.kind]
    return {service.kind: write(table, _Parts(service)), **shared}


class _Parts:
    """The members of a service by what they are in its type."""

    def __init__(self, service: Service) -> None:
        self._service = service
        names = [member.name for member in service.members]
        self.main = names[0] if names else ""
        self.fallback = names[1] if len(names) > 1 else ""
        self.mirrors = service.members[1:]
        self.errors = write(service_keys.ERRORS, service) if service.error_statuses else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)


class Transports:
    """Reads serversTransports."""

    def __init__(
        self,
        reader: TableReader,
        read_certificate: Callable[[str, str], tuple[Certificate | None, tuple[Problem, ...]]] | None,
        read_pem: Callable[[str], str] | None,
    ) -> None:
        self._reader = reader
        self._read_certificate = read_certificate
        self._read_pem = read_pem

    def transport(self, name: str, found: Mapping[str, Any], path: Path) -> ServersTransport:
        """One of them, its files read. Raises UnusableError once all is noted."""
        given = self._reader.attributes(service_keys.TRANSPORT, found, path)
        given.pop("no_http2", None)
        given |= given.pop("timeouts", {})
        if not given.get("max_idle"):
            # Go's meaning of 0: the default.
            given.pop("max_idle", None)
        given["root_cas"] = tuple(self.authority(one, path) for one in given.get("root_cas", ()))
        given["certificates"] = tuple(
            self.pair(chain, key, path) for chain, key in given.get("certificates", ())
        )
        return ServersTransport(name=name, origin=self._reader.where, **given)

    def authority(self, given: str, path: Path) -> str:
        """The PEM text of an authority's certificate. Raises UnusableError once it is noted why there is none."""
        place = (*path, "rootCAs")
        if self._read_pem is None:
            raise self._reader.refuse(place, "files can't be read from here; the serversTransport is off")
        try:
            return self._read_pem(given)
        except ConfigurationError as error:
            why = f"{error.why}; the serversTransport is off, since this says whom to trust"
            raise self._reader.refuse(place, why, error.hint) from error

    def pair(self, chain: str, key: str, path: Path) -> tuple[str, str]:
        """The PEM texts of a certificate to show, and of its key. Raises UnusableError as above."""
        place = (*path, "certificates")
        if self._read_certificate is None:
            raise self._reader.refuse(place, "files can't be read from here; the serversTransport is off")
        certificate, problems = self._read_certificate(chain, key)
        for problem in problems:
            self._reader.note(place, problem.why, problem.hint, problem.severity)
        if certificate is None:
            raise UnusableError
        return certificate.chain, certificate.key
