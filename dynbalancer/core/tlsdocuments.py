"""The section ``tls.options`` of Traefik v3's dynamic document: to the model. What is wrong lets nobody in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dynbalancer.core.ciphers import UNSAFE, openssl_names
from dynbalancer.core.model import CLIENT_AUTH, VERIFYING, TLSOptions
from dynbalancer.core.schema import Key
from dynbalancer.core.tables import Path, TableReader, UnusableError
from dynbalancer.errors import ConfigurationError, did_you_mean

#: The keys of a set of options. Where one can't be used, nobody is let in by the set.
OPTIONS = (
    Key("minVersion", "tlsVersion", "The oldest TLS allowed.", "min_version", "", restricts=True),
    Key("maxVersion", "tlsVersion", "The newest TLS allowed.", "max_version", "", restricts=True),
    Key("cipherSuites", "list", "Allowed up to TLS 1.2, in Go's spelling.", "cipher_suites", (), restricts=True),
    Key("curvePreferences", "list", "Allowed for the exchange of keys, the best first.", "curves", (), restricts=True),
    Key("sniStrict", "switch", "Refuse names that no certificate is for.", "sni_strict", False, restricts=True),
    Key("alpnProtocols", "list", "What may be spoken inside, the best first.", "protocols"),
    Key("disableSessionTickets", "switch", "Let nobody resume by a ticket.", "no_tickets", False),
    Key("clientAuth", "section", "What clients have to show.", restricts=True),
    Key("preferServerCipherSuites", "switch", "Has no effect: it is always so.", "preferred", True),
)  # fmt: skip
CLIENT = (
    Key("caFiles", "list", "Files of the authorities to verify clients by.", "client_cas", (), restricts=True),
    Key("clientAuthType", "text", "What is wanted of clients.", "client_auth", "", restricts=True),
)  # fmt: skip

#: Curves as Go and the standards call them, and as OpenSSL does.
CURVES: Mapping[str, str] = {
    **dict.fromkeys(("CurveP256", "secp256r1"), "P-256"),
    **dict.fromkeys(("CurveP384", "secp384r1"), "P-384"),
    **dict.fromkeys(("CurveP521", "secp521r1"), "P-521"),
    **dict.fromkeys(("X25519", "x25519"), "X25519"),
    "X25519MLKEM768": "X25519MLKEM768",
}


def options_of(
    reader: TableReader, section: Mapping[str, Any], read_pem: Callable[[str], str] | None
) -> dict[str, TLSOptions]:
    """Every set of options. One with mistakes is there too, and broken: it may be what keeps clients out."""
    found = {}
    for name, value in section.items():
        path = ("tls", "options", name)
        try:
            if "@" in name or not name.strip():
                raise reader.refuse(path, "a name must not be empty or contain '@'")
            found[name] = _options(reader, name, reader.section(value, path), path, read_pem)
        except UnusableError:
            why = f"there are mistakes in it, see tls.options.{name} of {reader.where}"
            found[name] = TLSOptions(name, broken=why, origin=reader.where)
    return {name: options for name, options in found.items() if "@" not in name}


def _options(
    reader: TableReader,
    name: str,
    found: Mapping[str, Any],
    path: Path,
    read_pem: Callable[[str], str] | None,
) -> TLSOptions:
    of_clients = {key: value for key, value in found.items() if key.lower() == "clientauth"}
    rest = {key: value for key, value in found.items() if key not in of_clients}
    given = reader.attributes(OPTIONS, rest, path)
    given.pop("preferred", None)
    given["tickets"] = not given.pop("no_tickets", False)
    for key, value in of_clients.items():
        place = (*path, key)
        section = value if isinstance(value, Mapping) else {} if value is None else None
        given |= _clients(reader, reader.mapping(section, place), place, read_pem)
    _choose_ciphers(reader, given, path)
    if "curves" in given:
        given["curves"] = tuple(_curve(reader, curve, path) for curve in given["curves"])
    oldest, newest = given.get("min_version") or "VersionTLS12", given.get("max_version") or "VersionTLS13"
    if oldest > newest:
        raise reader.refuse(path, f"no version is left: the oldest is {oldest}, the newest {newest}")
    return TLSOptions(name, origin=reader.where, **given)


def _choose_ciphers(reader: TableReader, given: dict[str, Any], path: Path) -> None:
    wanted = given.pop("cipher_suites", ())
    for name in wanted:
        if name in UNSAFE:
            reader.note((*path, "cipherSuites"), f"{name} is not safe, and left out", severity="warning")
    try:
        given["cipher_suites"] = tuple(openssl_names((one for one in wanted if one not in UNSAFE), ""))
    except ConfigurationError as error:
        raise reader.refuse((*path, "cipherSuites"), error.why, error.hint) from error
    if wanted and not given["cipher_suites"]:
        # None of those that were asked for is for anything older.
        given["min_version"] = "VersionTLS13"


def _curve(reader: TableReader, name: str, path: Path) -> str:
    if name not in CURVES:
        raise reader.refuse(
            (*path, "curvePreferences"), f"there is no curve {name}", did_you_mean(name, CURVES)
        )
    return CURVES[name]


def _clients(
    reader: TableReader, section: Mapping[str, Any], path: Path, read_pem: Callable[[str], str] | None
) -> dict[str, Any]:
    """What is wanted of clients. Authorities alone mean that all have to show a certificate (Traefik 2 and later)."""
    given = reader.attributes(CLIENT, section, path)
    authorities = tuple(_authority(reader, one, path, read_pem) for one in given.get("client_cas", ()))
    asked = given.get("client_auth") or (CLIENT_AUTH[-1] if authorities else CLIENT_AUTH[0])
    if asked not in CLIENT_AUTH:
        why = f"unknown client auth type {asked}; expected one of {', '.join(CLIENT_AUTH)}"
        raise reader.refuse((*path, "clientAuthType"), why, did_you_mean(asked, CLIENT_AUTH))
    if asked in VERIFYING and not authorities:
        why = f"invalid clientAuthType: {asked}, CAFiles is required"
        raise reader.refuse((*path, "clientAuthType"), why, "write caFiles: [ca.crt]")
    return {"client_auth": asked, "client_cas": authorities}


def _authority(reader: TableReader, written: str, path: Path, read_pem: Callable[[str], str] | None) -> str:
    place = (*path, "caFiles")
    if read_pem is None:
        raise reader.refuse(place, "files can't be read from here")
    try:
        return read_pem(written)
    except ConfigurationError as error:
        raise reader.refuse(place, error.why, error.hint) from error
