"""What entry points do to all requests: redirections, and middlewares of their own.

Traefik 3's redirections are routers with a very high priority. Traefik 1's options become middlewares in its order:
redirect, password, compression, white list; where all requests are redirected nobody is asked for a password first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dynbalancer.core.entrypoints import meant_by_v1
from dynbalancer.core.labels.naming import normalize
from dynbalancer.core.model import Configuration, EntryPoint, Middleware, Router, Service
from dynbalancer.errors import ConfigurationError, did_you_mean
from dynbalancer.middlewares.encodings import CHARACTERS

#: As which provider the router knows what is made here.
PROVIDER = "internal"
#: What a router leads to whose middlewares answer everything.
NOBODY = "noop"

_ALL = "HostRegexp(`^.+$`)"
_HIGHEST = 2**63 - 2
#: Bytes of the shortest answer that the last Traefik 1 compresses.
_SHORTEST = 1400
_V3 = "http.redirections.entrypoint"
_port = re.compile(r":([1-9]\d{0,4})").fullmatch
_FORWARD = {
    "trustforwardheader": "trustForwardHeader",
    "authresponseheaders": "authResponseHeaders",
}
_FORWARD_TLS = {
    "ca": "ca",
    "caoptional": "caOptional",
    "cert": "cert",
    "key": "key",
    "insecureskipverify": "insecureSkipVerify",
}


@dataclass(slots=True)
class _Routing:
    """Definitions as they are collected, by name."""

    routers: dict[str, Router] = field(default_factory=dict)
    middlewares: dict[str, Middleware] = field(default_factory=dict)

    def add(self, name: str, type_: str, settings: Mapping[str, Any], where: str) -> str:
        """Define a middleware, and give what it is referred to by."""
        self.middlewares[name] = Middleware(name, type_, settings, where)
        return f"{name}@{PROVIDER}"

    def redirect(
        self, name: str, point: str, middlewares: tuple[str, ...], priority: int, where: str
    ) -> None:
        """Define a router for all requests of an entry point."""
        service = f"{NOBODY}@{PROVIDER}"
        self.routers[name] = Router(name, _ALL, service, (point,), middlewares, priority, origin=where)

    def configuration(self) -> Configuration:
        services = {NOBODY: Service(NOBODY)} if self.routers else {}
        return Configuration(self.routers, services, self.middlewares)


def with_routing(
    points: Sequence[EntryPoint], chosen: Mapping[str, Any]
) -> tuple[tuple[EntryPoint, ...], Configuration]:
    """The entry points with their middlewares, and the definitions that they need.

    ``chosen`` maps keys to what has a ``value`` and a ``where``. Raises ConfigurationError where a redirection leads
    nowhere.
    """
    routing = _Routing()
    readers = [_Reader(point, points, chosen, routing) for point in points]
    found = tuple(replace(reader.point, middlewares=reader.middlewares()) for reader in readers)
    return found, routing.configuration()


class _Reader:
    """Reads the settings of one entry point."""

    def __init__(
        self,
        point: EntryPoint,
        points: Iterable[EntryPoint],
        chosen: Mapping[str, Any],
        routing: _Routing,
    ) -> None:
        self.point = point
        self._ports = {other.name: other.port for other in points}
        self._prefix = f"entrypoints.{point.name.lower()}."
        self._chosen = chosen
        self._routing = routing
        self._name = normalize(point.name)

    def _get(self, key: str, default: Any = "") -> Any:
        found = self._chosen.get(self._prefix + key)
        return default if found is None else found.value

    def _where(self, key: str) -> str:
        return str(self._chosen[self._prefix + key].where)

    def _given(self, *keys: str) -> str:
        """The first of these keys that was given something, or an empty string."""
        return next((key for key in keys if self._get(key)), "")

    def middlewares(self) -> tuple[str, ...]:
        """References to the middlewares of this entry point, in order. Redirections are defined on the way."""
        self._redirect_all()
        own = (self._encoded(), self._redirect(), self._auth(), self._compress(), self._white_list())
        return (*filter(None, own), *self._get("http.middlewares", ()))

    def _target(self, key: str, name: str) -> str:
        """The entry point of this name, as it is spelled."""
        spelled = {other.lower(): other for other in self._ports}
        found = spelled.get(meant_by_v1(name.lower(), spelled))
        if found is None:
            hint = did_you_mean(name, self._ports) or f"there is {', '.join(self._ports)}"
            raise ConfigurationError(self._where(key), f"there is no entry point {name}", hint)
        return found

    def _redirect_all(self) -> None:
        """Traefik 3's ``http.redirections.entryPoint``."""
        target = self._get(f"{_V3}.to")
        if not target:
            given = [key for key in self._chosen if key.startswith(f"{self._prefix}{_V3}.")]
            if given:
                hint = f"write --{self._prefix}{_V3}.to=…"
                raise ConfigurationError(self._chosen[given[0]].where, "redirects to nowhere", hint)
            return
        where = self._where(f"{_V3}.to")
        port = _port(target)
        number = int(port[1]) if port else self._ports[self._target(f"{_V3}.to", target)]
        if number > 65535:
            raise ConfigurationError(where, f"{number} is not a port")
        name = normalize(f"{self.point.name}-to-{target}")
        settings = {
            "scheme": self._get(f"{_V3}.scheme", "https"),
            "port": str(number),
            "permanent": self._get(f"{_V3}.permanent", True),
        }
        middleware = self._routing.add(f"redirect-{name}", "redirectScheme", settings, where)
        priority = self._get(f"{_V3}.priority", _HIGHEST)
        self._routing.redirect(name, self.point.name, (middleware,), priority, where)

    def _encoded(self) -> str:
        """Traefik 3's ``http.encodedCharacters``: all are let pass but those that are not."""
        settings = {
            name: self._get(f"http.encodedcharacters.{name.lower()}", default=True) for name in CHARACTERS
        }
        if all(settings.values()):
            return ""
        where = f"entry point {self.point.name}"
        return self._routing.add(f"encodedcharacters-{self._name}", "encodedCharacters", settings, where)

    def _redirect(self) -> str:
        """Traefik 1's ``Redirect.…``."""
        permanent = self._get("redirect.permanent", False)
        target = self._get("redirect.entrypoint")
        if target:
            where = self._where("redirect.entrypoint")
            settings = {"entryPoint": self._target("redirect.entrypoint", target), "permanent": permanent}
            if settings["entryPoint"] == self.point.name:
                return ""
            name = normalize(f"{self.point.name}-to-{target}")
            # Where no router is, requests are redirected too.
            self._routing.redirect(name, self.point.name, (), _HIGHEST, where)
            return self._routing.add(f"redirect-{name}", "redirectEntryPoint", settings, where)
        given = self._given("redirect.regex", "redirect.replacement")
        if not given:
            return ""
        settings = {
            "regex": self._get("redirect.regex"),
            "replacement": self._get("redirect.replacement"),
            "permanent": permanent,
        }
        for key in ("regex", "replacement"):
            if not settings[key]:
                raise ConfigurationError(self._where(given), f"not without a redirect.{key}")
        return self._routing.add(f"redirect-{self._name}", "redirectRegex", settings, self._where(given))

    def _auth(self) -> str:
        """Traefik 1's ``Auth.…``, of which one counts: basic, digest, forward."""
        header = self._get("auth.headerfield")
        for kind in ("basic", "digest"):
            given = self._given(f"auth.{kind}.users", f"auth.{kind}.usersfile")
            if given:
                file = self._get(f"auth.{kind}.usersfile")
                settings = {
                    "users": self._get(f"auth.{kind}.users", ()),
                    **({"usersFile": file} if file else {}),
                    "removeHeader": self._get(f"auth.{kind}.removeheader", False),
                    "headerField": header,
                }
                return self._routing.add(
                    f"auth-{self._name}", f"{kind}Auth", settings, f"entry point {self.point.name}"
                )
        if self._get("auth.forward.address"):
            return self._forward()
        others = [key for key in self._chosen if key.startswith(f"{self._prefix}auth.")]
        if others:
            # It was meant to keep somebody out.
            where = self._chosen[others[0]].where
            raise ConfigurationError(
                where, "there is no auth.basic.users, auth.digest.users or auth.forward.address"
            )
        return ""

    def _forward(self) -> str:
        settings = {"address": self._get("auth.forward.address")}
        settings |= {name: self._get(f"auth.forward.{key}") for key, name in _FORWARD.items()}
        tls = {name: self._get(f"auth.forward.tls.{key}") for key, name in _FORWARD_TLS.items()}
        settings["tls"] = {name: value for name, value in tls.items() if value}
        given = {name: value for name, value in settings.items() if value}
        return self._routing.add(
            f"auth-{self._name}", "forwardAuth", given, self._where("auth.forward.address")
        )

    def _compress(self) -> str:
        """Traefik 1's ``Compress``: it knows gzip alone, and leaves short answers as they are."""
        if not self._get("compress", False):
            return ""
        settings = {"encodings": ("gzip",), "minResponseBodyBytes": _SHORTEST}
        return self._routing.add(f"compress-{self._name}", "compress", settings, self._where("compress"))

    def _white_list(self) -> str:
        """Traefik 1's ``WhiteList.…``."""
        given = self._given("whitelist.sourcerange", "whitelistsourcerange")
        if not given:
            switch = "whitelist.usexforwardedfor"
            if self._get(switch, False):
                raise ConfigurationError(self._where(switch), "there is no whitelist.sourcerange")
            return ""
        # The older name knew nothing of X-Forwarded-For.
        forwarded = given == "whitelist.sourcerange" and self._get("whitelist.usexforwardedfor", False)
        settings = {"sourceRange": self._get(given), "useXForwardedFor": forwarded}
        return self._routing.add(f"whitelist-{self._name}", "ipWhiteList", settings, self._where(given))
