"""Which settings exist, what they take, and what Traefik has that we don't.

A setting has one key (``docker.network``), the same as a flag (``--docker.network``), as a variable of the
environment (``DYNBALANCER_DOCKER_NETWORK``) and as nested keys of a file. Letter case never counts in keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from dynbalancer.core.durations import seconds_of
from dynbalancer.core.settings import Limits
from dynbalancer.errors import ConfigurationError, did_you_mean
from dynbalancer.middlewares.encodings import CHARACTERS
from dynbalancer.start import accesslog
from dynbalancer.start.accesslog import field_mode, header_mode, log_format, statuses
from dynbalancer.start.flagvalues import (
    address,
    base_path,
    boolean,
    certificates,
    count,
    entry_address,
    level,
    log_path,
    network,
    plain,
    redirect_scheme,
    size,
    syntax,
    whole,
    workers,
)
from dynbalancer.start.limitwords import MEANINGS
from dynbalancer.start.traefik_flags import unnumbered, verdict


@dataclass(frozen=True, slots=True)
class Given:
    """One setting as somebody wrote it.

    ``text`` is None where only the name was given. ``where`` is the flag, the variable, or the file and line.
    ``spelled`` is the key in the letter case it came in; empty where that says nothing (flags, variables).
    """

    key: str
    text: str | None
    where: str
    spelled: str = ""


@dataclass(frozen=True, slots=True)
class Flag:
    """One setting. ``convert`` turns a text into the value or raises ValueError with what is wrong in words.

    ``many``: may be repeated, or hold several values with commas between. ``repeats``: a text that may be repeated, and
    is then all of them with commas between.
    """

    key: str
    convert: Callable[[str], Any]
    default: str
    meaning: str
    group: str
    many: bool = False
    repeats: bool = False

    @property
    def is_bool(self) -> bool:
        """Whether the flag alone means true."""
        return self.convert in (boolean, certificates)


API, ENTRY, PROCESS, LOGS, SERVERS, LIMITS, FILES = (
    "API and dashboard",
    "Entry points",
    "Processes",
    "Logs",
    "Servers",
    "Limits",
    "Configuration",
)

FIXED = (
    Flag("api", boolean, "false", "Serve the API and the dashboard.", API),
    Flag("api.address", address, "127.0.0.1:8080", "Where, e.g. :8080 for every address.", API),
    Flag("api.dashboard", boolean, "true", "Serve the dashboard too.", API),
    Flag("api.insecure", boolean, "false", "As in Traefik: the API on :8080 of every address.", API),
    Flag("api.entrypoint", plain, "", "As in Traefik 1: entry point that has the API too.", API),
    Flag("api.basepath", base_path, "/", "Serve the API and the dashboard below this path too.", API),
    Flag("api.token", plain, "", "Token that requests must carry; empty: none, and read-only.", API),
    Flag("api.tokenfile", plain, "", "File that holds the token.", API),
    Flag("ping", boolean, "false", "Serve /ping; without the API on :8080 of every address.", API),
    Flag("ping.entrypoint", plain, "", "Entry point that has /ping too.", API),
    Flag("ping.manualrouting", boolean, "false", "Serve /ping for routers alone (ping@internal).", API),
    Flag("entrypoints", plain, "", "As in Traefik 1: 'Name:http Address::80 …'. Repeatable.", ENTRY),
    Flag("defaultentrypoints", plain, "", "Entry points of routers that name none (all).", ENTRY, many=True),
    Flag("workers", workers, "auto", "Processes that forward; auto: one for each CPU; 0: this one.", PROCESS),
    Flag("gracetimeout", seconds_of, "10s", "How long requests may go on after SIGTERM.", PROCESS),
    Flag(
        "lifecycle.requestacceptgracetimeout",
        seconds_of,
        "0s",
        "How long requests are still accepted after SIGTERM, while /ping says 503.",
        PROCESS,
    ),
    Flag(
        "providersthrottleduration", seconds_of, "100ms", "Least time between two tables of routes.", PROCESS
    ),
    Flag(
        "watchdog.stall",
        seconds_of,
        "50ms",
        "Log where an event loop stood still for longer; 0: off.",
        PROCESS,
    ),
    Flag("user", plain, "", "user[:group] to become once the ports are bound (start as root).", PROCESS),
    Flag("workeruser", plain, "", "User of the workers (<user>-worker where there is one).", PROCESS),
    Flag("loglevel", level, "info", "debug, info, warn, error or critical.", LOGS),
    Flag("debug", boolean, "false", "The same as --loglevel=debug.", LOGS),
    Flag("log.filepath", log_path, "", "File for our own log; empty: standard output.", LOGS),
    Flag("accesslog", boolean, "false", "Write a line for each request.", LOGS),
    Flag("accesslog.filepath", log_path, "", "File for them; empty: standard output.", LOGS),
    Flag("accesslog.format", log_format, "common", "common, genericCLF or json.", LOGS),
    Flag("accesslog.bufferingsize", size, "0", "Lines written together; 0: 256, or those of a second.", LOGS),
    Flag("accesslog.filters.statuscodes", statuses, "", "Write those, e.g. 404,500-599.", LOGS, many=True),
    Flag("accesslog.filters.retryattempts", boolean, "false", "Write those tried on several servers.", LOGS),
    Flag("accesslog.filters.minduration", seconds_of, "0s", "Write those that took longer.", LOGS),
    Flag("accesslog.fields.defaultmode", field_mode, "keep", "keep or drop fields.", LOGS),
    Flag(
        "accesslog.fields.headers.defaultmode", header_mode, "", "keep, drop or redact header fields.", LOGS
    ),
    Flag("accesslog.fields.queryparameters.defaultmode", header_mode, "", "The same for the query.", LOGS),
    Flag("retry", boolean, "true", "Try another server where the first can't be reached.", SERVERS),
    Flag("retry.attempts", count, "3", "Servers tried in all, not counting those that refuse.", SERVERS),
    Flag("serverstransport.insecureskipverify", boolean, "false", "Accept any certificate.", SERVERS),
    Flag("serverstransport.rootcas", plain, "", "File of certificate authorities to trust.", SERVERS),
    Flag(
        "keeptrailingslash", boolean, "false", "Traefik 1: a slash more at the end of a Path is 404.", SERVERS
    ),
    Flag(
        "constraints",
        plain,
        "",
        "Traefik 1: containers must meet these, e.g. tag==api-*.",
        SERVERS,
        repeats=True,
    ),
    Flag("core.defaultrulesyntax", syntax, "v3", "How rules are read that don't say: v2 or v3.", SERVERS),
    Flag("configfile", plain, "", "A YAML or TOML file of these settings, nested.", FILES),
)

#: Settings of an entry point that do something to all requests there: Traefik 3's, then Traefik 1's.
OWN_ROUTING = (
    Flag("http.middlewares", plain, "", "Middlewares before those of its routers.", ENTRY, many=True),
    *(
        Flag(
            f"http.encodedcharacters.{name.lower()}", boolean, "true", f"Let {meaning} in a path pass.", ENTRY
        )
        for name, (_, meaning) in CHARACTERS.items()
    ),
    Flag("http.redirections.entrypoint.to", plain, "", "Redirect all to this entry point, or :PORT.", ENTRY),
    Flag("http.redirections.entrypoint.scheme", redirect_scheme, "https", "Scheme there.", ENTRY),
    Flag("http.redirections.entrypoint.permanent", boolean, "true", "With 301 and 308.", ENTRY),
    Flag("http.redirections.entrypoint.priority", whole, str(2**63 - 2), "Bigger goes first.", ENTRY),
    Flag("redirect.entrypoint", plain, "", "Traefik 1: redirect all to this entry point.", ENTRY),
    Flag("redirect.regex", plain, "", "Traefik 1: redirect URLs with this pattern …", ENTRY),
    Flag("redirect.replacement", plain, "", "… to this.", ENTRY),
    Flag("redirect.permanent", boolean, "false", "With 301 and 308.", ENTRY),
    Flag("compress", boolean, "false", "Traefik 1: compress answers with gzip.", ENTRY),
    Flag("whitelist.sourcerange", network, "", "Traefik 1: who is let in.", ENTRY, many=True),
    Flag("whitelistsourcerange", network, "", "The older name of the same.", ENTRY, many=True),
    Flag("whitelist.usexforwardedfor", boolean, "false", "Any entry of X-Forwarded-For counts.", ENTRY),
    Flag("auth.basic.users", plain, "", "Traefik 1: who is let in with a password.", ENTRY, many=True),
    Flag("auth.basic.usersfile", plain, "", "A file of them.", ENTRY),
    Flag("auth.basic.removeheader", boolean, "false", "Servers don't see it.", ENTRY),
    Flag("auth.digest.users", plain, "", "The same with a digest of it.", ENTRY, many=True),
    Flag("auth.digest.usersfile", plain, "", "A file of them.", ENTRY),
    Flag("auth.digest.removeheader", boolean, "false", "Servers don't see it.", ENTRY),
    Flag("auth.headerfield", plain, "", "Field that tells servers the user's name.", ENTRY),
    Flag("auth.forward.address", plain, "", "Traefik 1: who is asked whether to let somebody in.", ENTRY),
    Flag(
        "auth.forward.authresponseheaders",
        plain,
        "",
        "Fields of its answer for the server.",
        ENTRY,
        many=True,
    ),
    Flag("auth.forward.trustforwardheader", boolean, "false", "Keep X-Forwarded-* for it.", ENTRY),
    Flag("auth.forward.tls.ca", plain, "", "File of authorities to trust.", ENTRY),
    Flag("auth.forward.tls.caoptional", boolean, "false", "Take it without a certificate too.", ENTRY),
    Flag("auth.forward.tls.cert", plain, "", "File of our certificate there.", ENTRY),
    Flag("auth.forward.tls.key", plain, "", "File of its key.", ENTRY),
    Flag("auth.forward.tls.insecureskipverify", boolean, "false", "Accept any certificate.", ENTRY),
)

#: Settings of one entry point: ``--entrypoints.NAME.…``.
ENTRY_POINT = (
    Flag("address", entry_address, "", "Where it listens; :53/udp is for datagrams.", ENTRY),
    Flag("asdefault", boolean, "false", "Routers that name no entry point use this one.", ENTRY),
    Flag("http.tls", boolean, "false", "Speak only TLS here; its routers answer over it.", ENTRY),
    Flag("http.tls.options", plain, "", "TLS options of routers there without tls, e.g. mtls@file.", ENTRY),
    Flag(
        "tls.certificates.certfile", plain, "", "Certificates, as in files of Traefik 1 …", ENTRY, many=True
    ),
    Flag("tls.certificates.keyfile", plain, "", "… and their keys.", ENTRY, many=True),
    Flag("tls.minversion", plain, "", "Traefik 1: the oldest TLS allowed, e.g. VersionTLS12.", ENTRY),
    Flag(
        "tls.ciphersuites", plain, "", "Traefik 1: allowed up to TLS 1.2, in Go's spelling.", ENTRY, many=True
    ),
    Flag("tls.snistrict", boolean, "false", "Traefik 1: refuse names without a certificate.", ENTRY),
    Flag(
        "ca", plain, "", "Traefik 1: files of authorities; clients must show certificates.", ENTRY, many=True
    ),
    Flag("ca.optional", boolean, "false", "They may have none.", ENTRY),
    Flag("tls.clientca.files", plain, "", "The same as ca, in files of Traefik 1.", ENTRY, many=True),
    Flag("tls.clientca.optional", boolean, "false", "The same as ca.optional.", ENTRY),
    Flag("tls", certificates, "false", "The same; or CERTIFICATE,KEY files, pairs with ; between.", ENTRY),
    *OWN_ROUTING,
    Flag("forwardedheaders.trustedips", network, "", "Peers that may set X-Forwarded-*.", ENTRY, many=True),
    Flag("forwardedheaders.insecure", boolean, "false", "Every peer may set X-Forwarded-*.", ENTRY),
    Flag(
        "proxyprotocol.trustedips", network, "", "Peers that may begin with a PROXY header.", ENTRY, many=True
    ),
    Flag(
        "transport.lifecycle.gracetimeout", seconds_of, "10s", "As --gracetimeout; the longest counts.", ENTRY
    ),
    Flag(
        "transport.lifecycle.requestacceptgracetimeout",
        *(seconds_of, "0s", "As --lifecycle.requestacceptgracetimeout; the longest counts.", ENTRY),
    ),
    Flag(
        "transport.respondingtimeouts.readtimeout",
        seconds_of,
        "",
        "How long a request may take to come whole; 0: for ever, as long as it moves.",
        ENTRY,
    ),
    Flag(
        "transport.respondingtimeouts.idletimeout",
        seconds_of,
        "",
        "How long a connection without a request is kept; --limits.idletime without it.",
        ENTRY,
    ),
    Flag("http.encodequerysemicolons", boolean, "false", "A `;` in a query becomes `%3B`, not `&`.", ENTRY),
    Flag("udp.timeout", seconds_of, "3s", "How long a silent UDP client keeps its server.", ENTRY),
    Flag("proxyprotocol.insecure", boolean, "false", "Every peer may begin with a PROXY header.", ENTRY),
    Flag("observability.accesslogs", boolean, "true", "Write its requests into the access log.", ENTRY),
    Flag("maxconnections", size, "0", "Connections at a time, in all workers together; 0: any.", ENTRY),
    Flag("maxconnectionsperaddress", size, "0", "The same from one address (IPv6: one /64).", ENTRY),
)

#: Settings of something that has a name: ``--accesslog.fields.names.NAME``.
NAMED = (
    Flag(accesslog.FIELD_NAMES, field_mode, "", "keep or drop this field.", LOGS),
    Flag(accesslog.HEADER_NAMES, header_mode, "", "keep, drop or redact this header field.", LOGS),
)

#: Other names of the same setting.
ALIASES = {
    "web": "api",
    "web.address": "api.address",
    "log.level": "loglevel",
    "accesslogsfile": "accesslog.filepath",
    "traefiklog.filepath": "log.filepath",
    "traefiklogsfile": "log.filepath",
    "lifecycle.gracetimeout": "gracetimeout",
    "providers.providersthrottleduration": "providersthrottleduration",
    "insecureskipverify": "serverstransport.insecureskipverify",
    "rootcas": "serverstransport.rootcas",
    "idletimeout": "limits.idletime",
    "respondingtimeouts.idletimeout": "limits.idletime",
    "respondingtimeouts.readtimeout": "limits.requesttime",
    "forwardingtimeouts.dialtimeout": "limits.connecttime",
    "forwardingtimeouts.responseheadertimeout": "limits.responsetime",
    "serverstransport.forwardingtimeouts.dialtimeout": "limits.connecttime",
    "serverstransport.forwardingtimeouts.responseheadertimeout": "limits.responsetime",
    "serverstransport.forwardingtimeouts.idleconntimeout": "limits.upstreamidletime",
    "serverstransport.maxidleconnsperhost": "limits.upstreamidleconnections",
    "maxidleconnsperhost": "limits.upstreamidleconnections",
}


def limit_flags() -> Iterator[Flag]:
    """One flag for each field of :class:`~dynbalancer.core.settings.Limits`."""
    for field in fields(Limits):
        key, meaning = f"limits.{field.name.replace('_', '')}", MEANINGS[field.name]
        if isinstance(field.default, float):
            yield Flag(key, seconds_of, f"{field.default:g}s", meaning, LIMITS)
        else:
            yield Flag(key, size, str(field.default), meaning, LIMITS)


def provider_flags(makers: Mapping[str, Any]) -> Iterator[Flag]:
    """``--NAME`` and ``--NAME.OPTION`` of every provider installed."""
    for name, maker in sorted(makers.items()):
        yield Flag(name, boolean, "false", maker.description, f"Provider {name}")
        for option in maker.options:
            flag = _provider_flag(name, option.name, option.default, option.description)
            yield replace(flag, repeats=getattr(option, "repeats", False))


def _provider_flag(name: str, option: str, default: Any, meaning: str) -> Flag:
    converters: Mapping[type, Callable[[str], Any]] = {bool: boolean, int: whole, float: seconds_of}
    shown = ",".join(default) if isinstance(default, tuple) else str(default)
    if isinstance(default, bool):
        shown = shown.lower()
    if isinstance(default, float):
        shown = f"{default:g}s"
    convert = converters.get(type(default), plain)
    return Flag(
        f"{name}.{option.lower()}", convert, shown, meaning, f"Provider {name}", isinstance(default, tuple)
    )


class Vocabulary:
    """Every setting that exists here, by key."""

    def __init__(self, makers: Mapping[str, Any]) -> None:
        self.providers = tuple(makers)
        self.flags = {flag.key: flag for flag in (*provider_flags(makers), *limit_flags(), *FIXED)}
        self.fields = {flag.key: flag for flag in ENTRY_POINT}
        self.named = {flag.key: flag for flag in NAMED}

    def canonical(self, key: str) -> str:
        """The one key of a setting that has several names."""
        key = key.lower()
        if key.startswith("limits."):
            key = key.replace("_", "").replace("-", "")
        first, _, rest = key.partition(".")
        if first == "providers" and rest.partition(".")[0] in self.providers:
            return rest
        if first == "entrypoints":
            return unnumbered(key)
        return ALIASES.get(key, key)

    def find(self, key: str) -> Flag | None:
        """The setting behind a canonical key, or None."""
        if key.startswith("entrypoints."):
            _, _, field = key.removeprefix("entrypoints.").partition(".")
            return self.fields.get(field)
        return self.flags.get(key) or self.named.get(self._stem(key))

    def _stem(self, key: str) -> str:
        return next(
            (stem for stem in self.named if len(key) > len(stem) + 1 and key.startswith(stem + ".")), ""
        )

    def refuse(self, given: Given) -> ConfigurationError:
        """Why a setting that :meth:`find` doesn't know can't be used, in one sentence."""
        key = self.canonical(given.key)
        found = verdict(key, given.text)
        if found is not None:
            return ConfigurationError(given.where, found.why, found.hint)
        known = list(self.flags)
        if key.startswith("entrypoints."):
            name = key.split(".")[1]
            known = [f"entrypoints.{name}.{field}" for field in self.fields]
        dashes = "--" if given.where.startswith("--") else ""
        near = did_you_mean(dashes + key, [dashes + word for word in known])
        return ConfigurationError(given.where, "no such flag" if dashes else "no such setting", near)
