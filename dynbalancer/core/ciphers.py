"""Names of cipher suites, as Go and the standards spell them, and as OpenSSL does."""

from __future__ import annotations

from collections.abc import Iterable

from dynbalancer.errors import ConfigurationError, did_you_mean

_KEYS = {"ECDHE_RSA": "ECDHE-RSA", "ECDHE_ECDSA": "ECDHE-ECDSA", "RSA": ""}
_CIPHERS = {
    "AES_128_CBC_SHA": "AES128-SHA",
    "AES_256_CBC_SHA": "AES256-SHA",
    "AES_128_CBC_SHA256": "AES128-SHA256",
    "AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "AES_256_GCM_SHA384": "AES256-GCM-SHA384",
}

#: Up to TLS 1.2, by their names in the IANA's registry. Those with RC4 or 3DES are not among them.
NAMES: dict[str, str] = {
    f"TLS_{key}_WITH_{cipher}": f"{ours}-{name}" if ours else name
    for key, ours in _KEYS.items()
    for cipher, name in _CIPHERS.items()
}
for _key in ("ECDHE_RSA", "ECDHE_ECDSA"):
    NAMES[f"TLS_{_key}_WITH_CHACHA20_POLY1305_SHA256"] = f"{_KEYS[_key]}-CHACHA20-POLY1305"
    NAMES[f"TLS_{_key}_WITH_CHACHA20_POLY1305"] = f"{_KEYS[_key]}-CHACHA20-POLY1305"

#: Go has them too, nobody should: they are left out where the others are chosen.
UNSAFE = (
    *(f"TLS_{key}_WITH_3DES_EDE_CBC_SHA" for key in ("RSA", "ECDHE_RSA")),
    *(f"TLS_{key}_WITH_RC4_128_SHA" for key in ("RSA", "ECDHE_RSA", "ECDHE_ECDSA")),
)

#: Those of TLS 1.3 can't be chosen, neither in Go.
ALWAYS = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")


def openssl_names(wanted: Iterable[str], where: str) -> list[str]:
    """What OpenSSL calls them. Raises ConfigurationError on one that is unknown, or not offered here."""
    found = []
    for name in wanted:
        if name in ALWAYS:
            continue
        if name not in NAMES:
            raise ConfigurationError(where, f"there is no cipher suite {name}", did_you_mean(name, NAMES))
        found.append(NAMES[name])
    return found
