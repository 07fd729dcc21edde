"""Settings out of chosen values: what implies what, and what contradicts what."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any

from dynbalancer.core.labels.v3 import DEFAULT_RULE
from dynbalancer.core.model import EntryPoint
from dynbalancer.core.schema import meant_options
from dynbalancer.core.settings import Limits, Settings
from dynbalancer.errors import ConfigurationError, Problem, did_you_mean
from dynbalancer.start.accesslog import access_log
from dynbalancer.start.entrypoints import with_routing
from dynbalancer.start.flags import Flag, Given, Vocabulary
from dynbalancer.start.listener import TRAEFIK, Asked
from dynbalancer.start.tlsoptions import with_tls_options

DEFAULTS = Settings()

_ACCEPTING = "lifecycle.requestacceptgracetimeout"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The value that counts for one key, and where it was written."""

    value: Any
    where: str
    spelled: str = ""


class Assembly:
    """Puts chosen values together to :class:`Settings`."""

    def __init__(
        self,
        chosen: Mapping[str, Chosen],
        vocabulary: Vocabulary,
        read_file: Callable[[str], str],
        cpus: int,
        notes: list[Problem],
    ) -> None:
        self._chosen = chosen
        self._vocabulary = vocabulary
        self._read_file = read_file
        self._cpus = cpus
        self._notes = notes

    def settings(self) -> Settings:
        """All of them. Raises ConfigurationError where two contradict each other."""
        workers = self._get("workers", -1)
        asked = Asked(self._chosen, self._notes)
        points = self._entry_points(asked)
        points, options = with_tls_options(points, self._chosen, self._read_file)
        entry_points, routing = with_routing(points, self._chosen)
        routing = replace(routing, tls_options=options)
        return Settings(
            entry_points=entry_points,
            routing=asked.with_routers(routing, points),
            api=asked.settings(points, self._token()),
            providers=self._providers(),
            workers=self._cpus if workers < 0 else workers,
            access_log=access_log(self._chosen),
            limits=self._limits(),
            accept_grace=self._get(_ACCEPTING, self._longest(_ACCEPTING, DEFAULTS.accept_grace)),
            grace=self._get("gracetimeout", self._longest("lifecycle.gracetimeout", DEFAULTS.grace)),
            throttle=self._get("providersthrottleduration", DEFAULTS.throttle),
            stall=self._get("watchdog.stall", DEFAULTS.stall),
            retries=self._retries(),
            verify_upstream_tls=not self._get("serverstransport.insecureskipverify", False),
            upstream_ca=self._get("serverstransport.rootcas", ""),
            log_file=self._get("log.filepath", ""),
            log_level="debug" if self._get("debug", False) else self._get("loglevel", "info"),
            user=self._get("user", ""),
            worker_user=self._get("workeruser", ""),
            certificates=self._certificates(),
        )

    def _get(self, key: str, default: Any) -> Any:
        return self._chosen[key].value if key in self._chosen else default

    def _longest(self, key: str, default: float) -> float:
        """The longest of the times that entry points have for it: there is one end for all of them."""
        times = [
            chosen.value
            for name, chosen in self._chosen.items()
            if name.startswith("entrypoints.") and name.endswith(f".transport.{key}")
        ]
        return max(times, default=default)

    def _retries(self) -> int:
        attempts: int = self._get("retry.attempts", DEFAULTS.retries + 1)
        return attempts - 1 if self._get("retry", True) else 0

    def _token(self) -> str:
        found = self._chosen.get("api.tokenfile")
        if found is None or not found.value or self._get("api.token", ""):
            return str(self._get("api.token", ""))
        token = content(self._read_file, Given("api.tokenfile", found.value, found.where)).strip()
        if not token:
            raise ConfigurationError(found.where, f"{found.value} is empty", "the API would be open")
        return token

    def _limits(self) -> Limits:
        found = {field.name: f"limits.{field.name.replace('_', '')}" for field in fields(Limits)}
        return Limits(**{name: self._chosen[key].value for name, key in found.items() if key in self._chosen})

    def _providers(self) -> Mapping[str, Mapping[str, Any]]:
        found = {}
        for name in self._vocabulary.providers:
            prefix = f"{name}."
            options = {
                key.removeprefix(prefix): chosen.value
                for key, chosen in self._chosen.items()
                if key.startswith(prefix)
            }
            if self._get(name, bool(options)):
                found[name] = MappingProxyType(self._implied(name, self._defaults(name) | options))
        return MappingProxyType(found)

    def _implied(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        """With what Traefik 1 says for all providers at once, and Traefik 3's default rule where flags are as its."""
        constraints = self._get("constraints", "")
        if constraints and "constraints" in options:
            options["constraints"] = ",".join(filter(None, (constraints, options["constraints"])))
        if "keeptrailingslash" in options:
            options["keeptrailingslash"] |= self._get("keeptrailingslash", False)
        if options.get("defaultrulesyntax") == "":
            options["defaultrulesyntax"] = self._get("core.defaultrulesyntax", "v3")
        if options.get("defaultrulesyntax", "v3") not in ("v2", "v3"):
            where = self._chosen[f"{name}.defaultrulesyntax"].where
            raise ConfigurationError(where, f"{options['defaultrulesyntax']!r} is neither v2 nor v3")
        if options.get("defaultrule") == "" and not options.get("domain") and self._speaks_v3(name):
            options["defaultrule"] = DEFAULT_RULE
        return options

    def _speaks_v3(self, name: str) -> bool:
        """Whether something of a provider was written in the manner of Traefik 2 and 3, ``providers.docker``."""
        spelling = re.compile(
            rf"\bproviders[._]{re.escape(name)}\b|_PROVIDERS_{re.escape(name)}", re.IGNORECASE
        )
        return any(
            spelling.search(chosen.where)
            for key, chosen in self._chosen.items()
            if key == name or key.startswith(f"{name}.")
        )

    def _defaults(self, name: str) -> dict[str, Any]:
        prefix = f"{name}."
        known = {key: flag for key, flag in self._vocabulary.flags.items() if key.startswith(prefix)}
        return {key.removeprefix(prefix): _default(flag) for key, flag in known.items()}

    def _entry_points(self, asked: Asked) -> tuple[EntryPoint, ...]:
        named: dict[str, str] = {}
        for key, chosen in self._chosen.items():
            first, _, rest = key.partition(".")
            if first == "entrypoints" and rest:
                name = rest.partition(".")[0]
                # Flags and variables say nothing about letter case; a file and Traefik 1's form do.
                spelled = chosen.spelled[len("entrypoints.") :][: len(name)]
                named[name] = spelled or named.get(name, name)
        if not asked.has_own_entry_point:
            named.pop(TRAEFIK, None)
        found = [self._entry_point(name, spelled) for name, spelled in named.items()]
        if [*named] == [TRAEFIK]:
            found += DEFAULTS.entry_points
        return _apart(self._with_defaults(_without_clash(found) or DEFAULTS.entry_points))

    def _entry_point(self, name: str, spelled: str) -> EntryPoint:
        prefix = f"entrypoints.{name}"
        if f"{prefix}.address" not in self._chosen:
            where = next(chosen.where for key, chosen in self._chosen.items() if key.startswith(prefix + "."))
            hint = f"write --{prefix}.address=:80"
            raise ConfigurationError(where, f"entry point {spelled} has no address", hint)
        host, port, udp = self._chosen[f"{prefix}.address"].value
        return EntryPoint(
            spelled,
            port,
            host,
            self._get(f"{prefix}.asdefault", False),
            self._get(f"{prefix}.forwardedheaders.trustedips", ()),
            self._get(f"{prefix}.forwardedheaders.insecure", False),
            self._speaks_tls(prefix),
            self._get(f"{prefix}.proxyprotocol.trustedips", ()),
            self._get(f"{prefix}.proxyprotocol.insecure", False),
            max_connections=self._get(f"{prefix}.maxconnections", 0),
            max_connections_per_address=self._get(f"{prefix}.maxconnectionsperaddress", 0),
            tls_options=meant_options(self._get(f"{prefix}.http.tls.options", "")),
            access_log=self._get(f"{prefix}.observability.accesslogs", True),
            udp=udp,
            udp_timeout=self._get(f"{prefix}.udp.timeout", 3.0),
            read_time=self._get(f"{prefix}.transport.respondingtimeouts.readtimeout", None),
            idle_time=self._get(f"{prefix}.transport.respondingtimeouts.idletimeout", None),
            escape_semicolons=self._get(f"{prefix}.http.encodequerysemicolons", False),
        )

    def _speaks_tls(self, prefix: str) -> bool:
        given = self._get(f"{prefix}.tls", None) is not None
        asked = self._get(f"{prefix}.http.tls", False) or self._get(f"{prefix}.http.tls.options", "")
        return bool(given or asked or self._pairs(prefix))

    def _pairs(self, prefix: str) -> tuple[tuple[str, str], ...]:
        """Certificates and keys as files of Traefik 1 have them, in order."""
        key = f"{prefix}.tls.certificates"
        chains, keys = self._get(f"{key}.certfile", ()), self._get(f"{key}.keyfile", ())
        if len(chains) != len(keys):
            where = next(chosen.where for name, chosen in self._chosen.items() if name.startswith(key))
            raise ConfigurationError(where, "each certificate needs a certFile and a keyFile")
        return tuple(zip(chains, keys, strict=True))

    def _certificates(self) -> tuple[tuple[str, str], ...]:
        found: list[tuple[str, str]] = []
        for key, chosen in self._chosen.items():
            if not key.startswith("entrypoints."):
                continue
            if key.endswith(".tls") and not key.endswith(".http.tls"):
                found += chosen.value or ()
            elif key.endswith(".tls.certificates.certfile"):
                found += self._pairs(key.removesuffix(".tls.certificates.certfile"))
        return tuple(dict.fromkeys(found))

    def _with_defaults(self, found: Sequence[EntryPoint]) -> tuple[EntryPoint, ...]:
        chosen = self._chosen.get("defaultentrypoints")
        if chosen is None:
            return tuple(found)
        names = {point.name.lower(): point.name for point in found}
        for word in chosen.value:
            if word.lower() not in names:
                hint = did_you_mean(word, names.values()) or f"there is {', '.join(names.values())}"
                raise ConfigurationError(chosen.where, f"there is no entry point {word}", hint)
        wanted = {word.lower() for word in chosen.value}
        return tuple(
            replace(point, as_default=point.as_default or point.name.lower() in wanted) for point in found
        )


def _apart(found: tuple[EntryPoint, ...]) -> tuple[EntryPoint, ...]:
    """The same, where routers that name no entry point have all but the one of the API."""
    if any(point.as_default for point in found) or not any(point.name.lower() == TRAEFIK for point in found):
        return found
    return tuple(replace(point, as_default=point.name.lower() != TRAEFIK) for point in found)


def _without_clash(found: list[EntryPoint]) -> list[EntryPoint]:
    for index, point in enumerate(found):
        for other in found[:index]:
            same = (point.port, point.host, point.udp) == (other.port, other.host, other.udp)
            if point.port and same:
                why = f"the entry points {other.name} and {point.name} both want {point.address}"
                raise ConfigurationError(f"--entrypoints.{point.name}.address", why)
    return found


def _default(flag: Flag) -> Any:
    if flag.many:
        return tuple(part for part in flag.default.split(",") if part)
    return flag.convert(flag.default)


def content(read_file: Callable[[str], str], given: Given) -> str:
    """The file that a setting names. Raises ConfigurationError where it can't be read."""
    try:
        return read_file(given.text or "")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text in UTF-8"
        raise ConfigurationError(given.where, f"{given.text} can't be read: {reason}") from None
