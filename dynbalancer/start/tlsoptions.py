"""TLS options that Traefik 1's entry points have in themselves: ``CA``, ``TLS.MinVersion`` and the like.

They become a set of options of our own, which holds for whoever comes in there. The files are read at start only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dynbalancer import pem
from dynbalancer.core.labels.naming import normalize
from dynbalancer.core.model import EntryPoint, TLSOptions
from dynbalancer.core.tables import TableReader
from dynbalancer.core.tlsdocuments import options_of
from dynbalancer.errors import ConfigurationError
from dynbalancer.start.entrypoints import PROVIDER

#: Settings of an entry point that are about this, without its name; the last two pairs are one thing by two names.
KEYS = (
    "tls.minversion",
    "tls.ciphersuites",
    "tls.snistrict",
    "ca",
    "ca.optional",
    "tls.clientca.files",
    "tls.clientca.optional",
)


def with_tls_options(
    points: Sequence[EntryPoint], chosen: Mapping[str, Any], read_file: Callable[[str], str]
) -> tuple[tuple[EntryPoint, ...], dict[str, TLSOptions]]:
    """The entry points with references to their options, and the options. Raises ConfigurationError."""
    found: dict[str, TLSOptions] = {}
    named = []
    for point in points:
        prefix = f"entrypoints.{point.name.lower()}."
        given = {key: chosen[prefix + key] for key in KEYS if prefix + key in chosen}
        if any(one.value for one in given.values()):
            name = f"entrypoint-{normalize(point.name)}"
            where = next(one.where for one in given.values() if one.value)
            found[name] = _options(name, {key: one.value for key, one in given.items()}, where, read_file)
            point = replace(point, tls=True, tls_options=f"{name}@{PROVIDER}")
        named.append(point)
    return tuple(named), found


def _options(name: str, given: Mapping[str, Any], where: str, read_file: Callable[[str], str]) -> TLSOptions:
    files = [*given.get("ca", ()), *given.get("tls.clientca.files", ())]
    optional = given.get("ca.optional") or given.get("tls.clientca.optional")
    if optional and not files:
        raise ConfigurationError(where, "there are no authorities to verify clients by", "write CA:ca.crt")
    section: dict[str, Any] = {
        "minVersion": given.get("tls.minversion") or None,
        "cipherSuites": given.get("tls.ciphersuites") or None,
        "sniStrict": given.get("tls.snistrict", False),
    }
    if files:
        kind = "VerifyClientCertIfGiven" if optional else "RequireAndVerifyClientCert"
        section["clientAuth"] = {"caFiles": files, "clientAuthType": kind}

    def read_pem(path: str) -> str:
        try:
            text = path if pem.MARK in path else read_file(path)
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not text in UTF-8"
            raise ConfigurationError("", f"{path} can't be read: {reason}") from None
        pem.check_authorities(text)
        return text

    reader = TableReader(where)
    options = options_of(reader, {name: section}, read_pem)[name]
    if options.broken:
        problem = reader.problems[0]
        raise ConfigurationError(where, problem.why, problem.hint)
    return options
