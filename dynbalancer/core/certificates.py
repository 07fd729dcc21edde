"""Which certificate answers which server name: the exact one, then a wildcard for one label, then the default."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from dynbalancer.core.model import Certificate

#: How long a key for session tickets is: OpenSSL's name for it, and its parts to sign and to encrypt.
TICKET_KEY_SIZE = 80


def normal_name(name: str) -> str:
    """A server name as names are compared: in small letters, without the dot of the root."""
    return name.lower().removesuffix(".")


class CertificateIndex:
    """Certificates by name. Of several for one name, the one that expires last is chosen."""

    __slots__ = ("_by_name", "_default")

    def __init__(self, certificates: Iterable[Certificate], fallback: Certificate | None = None) -> None:
        """``fallback`` answers where there is no default among the certificates."""
        self._by_name: dict[str, Certificate] = {}
        self._default = fallback
        for certificate in sorted(certificates, key=attrgetter("expires")):
            for name in certificate.names:
                self._by_name[normal_name(name)] = certificate
            if certificate.default:
                self._default = certificate

    def choose(self, server_name: str | None) -> Certificate | None:
        """What to answer a client with that asks for this name, or for none. None: there is no certificate at all."""
        found = self._named(server_name) if server_name else None
        return self._default if found is None else found

    def knows(self, server_name: str | None) -> bool:
        """Whether some certificate is for this name."""
        return bool(server_name) and self._named(server_name or "") is not None

    def _named(self, server_name: str) -> Certificate | None:
        name = normal_name(server_name)
        found = self._by_name.get(name)
        if found is None:
            # RFC 6125 section 6.4.3: a wildcard stands for one label, and for the first one only.
            _, dot, parent = name.partition(".")
            found = self._by_name.get(f"*.{parent}") if dot else None
        return found

    def chosen(self) -> frozenset[Certificate]:
        """Every certificate that :meth:`choose` can give."""
        used = frozenset(self._by_name.values())
        return used if self._default is None else used | {self._default}
