"""From a configuration in v3's words to v1's labels of one container, as far as v1 has words for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from dynbalancer.core.durations import go_duration
from dynbalancer.core.labels import vocabulary as words
from dynbalancer.core.model import Configuration, HealthCheck, Middleware, Router, Service
from dynbalancer.core.routes import priority_of
from dynbalancer.core.rules.translation import UntranslatableError, to_v1
from dynbalancer.core.translation import Note
from dynbalancer.errors import ConfigurationError

#: v1's spelling of the header options that both versions have.
_HEADERS = {
    key.rpartition(".")[2].lower(): key.rpartition(".")[2]
    for key in words.V1
    if key.startswith("frontend.headers.")
}
_BUFFERING = ("maxRequestBodyBytes", "memRequestBodyBytes", "maxResponseBodyBytes", "memResponseBodyBytes")
#: Without these a router answers to the same requests.
_COSMETIC = ("compress", "contentType", "retry", "grpcWeb")
#: In which order v1 changes paths, whatever the order in its rule.
_PATHS = ("stripPrefix", "addPrefix", "replacePathRegex", "replacePath")
_FORWARD = ("address", "trustForwardHeader", "authResponseHeaders")
_FORWARD_TLS = ("ca", "caOptional", "cert", "key", "insecureSkipVerify")


class _Leaf(dict[str, Any]):
    """Settings by their keys in small letters; what is taken out is translated."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__({key.lower(): value for key, value in settings.items()})

    def take(self, key: str, default: Any = "") -> Any:
        """One of them."""
        return self.pop(key.lower(), default)

    def below(self, key: str) -> _Leaf:
        """A section of them."""
        found = self.pop(key.lower(), {})
        return _Leaf(found if isinstance(found, Mapping) else {})


def v1_labels_of(
    container: str, names: Iterable[str], found: Configuration
) -> tuple[dict[str, str], list[Note]]:
    """Labels that give the routers of these ``names``, and what of them can't be said in v1."""
    notes: list[Note] = []
    labels: dict[str, str] = {}
    routers = [found.routers[name] for name in dict.fromkeys(names) if name in found.routers]
    for router in routers:
        own = _Frontend(router, found, notes).labels(container)
        # Several routers of one container are segments; what is said of backends holds for all of them.
        segment = f"traefik.{router.name.replace('.', '-')}." if len(routers) > 1 else "traefik."
        for key, value in own.items():
            whole = f"traefik.{key}" if key.startswith("backend.") else segment + key
            if labels.setdefault(whole, value) != value:
                notes.append(Note("router", router.name, f"{whole} can have one value only for a container"))
    return labels, notes


class _Frontend:
    """Writes one router with its middlewares and its service."""

    def __init__(self, router: Router, found: Configuration, notes: list[Note]) -> None:
        self.router = router
        self.found = found
        self.notes = notes
        self.out: dict[str, str] = {}
        self.modifiers: list[str] = []
        self.stripped: tuple[str, ...] = ()
        self.paths: list[str] = []
        self.closed = False

    def labels(self, container: str) -> dict[str, str]:
        """Without their root."""
        router = self.router
        for name in router.middlewares:
            self._middleware(name)
        rule = self._rule()
        if not rule or self.closed:
            return {}
        self.out = {"frontend.rule": rule, **self.out}
        if router.entry_points:
            self.out["frontend.entryPoints"] = ",".join(router.entry_points)
        self.out["frontend.priority"] = str(max(1, priority_of(router)))
        if router.tls:
            self._note("v1 takes TLS from its entry points; tls is left out")
        if [_PATHS.index(kind) for kind in self.paths] != sorted({_PATHS.index(kind) for kind in self.paths}):
            self._note(f"v1 has each of these once, and in its own order: {', '.join(self.paths)}")
        service = self.found.services.get(router.service.removesuffix("@docker"))
        if service is None:
            self._note(f"its service {router.service} is defined elsewhere")
        elif service.servers and all(server.instance != container for server in service.servers):
            why = f"v1 has no router to the service of another container, {service.name}; the router is left out"
            self._note(why)
            return {}
        else:
            self._service(service, container)
        return self.out

    def _note(self, why: str, kind: str = "router", name: str = "") -> None:
        self.notes.append(Note(kind, name or self.router.name, why))

    def _rule(self) -> str:
        try:
            translation = to_v1(self.router.rule, self.router.dialect)
        except (UntranslatableError, ConfigurationError) as error:
            self._note(f"rule {self.router.rule} can't be said in v1: {error}; the router is left out")
            return ""
        for why in translation.notes:
            self._note(why)
        calls = []
        for call in translation.rule.split(";"):
            matcher, _, arguments = call.partition(":")
            if (
                matcher in ("PathPrefix", "Path")
                and self.stripped
                and set(arguments.split(",")) <= set(self.stripped)
            ):
                call, self.stripped = f"{matcher}Strip:{arguments}", ()
            calls.append(call)
        if self.stripped:
            self._note(f"v1 strips only what the rule matches; {', '.join(self.stripped)} is not stripped")
        return ";".join([*calls, *self.modifiers])

    def _service(self, service: Service, container: str) -> None:
        for server in (server for server in service.servers if server.instance == container):
            parts = urlsplit(server.url)
            self.out["port"] = str(parts.port)
            if parts.scheme != "http":
                self.out["protocol"] = parts.scheme
            if server.weight != 1:
                self.out["weight"] = str(server.weight)
        self.out["backend"] = service.name
        if not service.pass_host_header:
            self.out["frontend.passHostHeader"] = "false"
        if service.flush_interval != Service("").flush_interval:
            self.out["backend.responseForwarding.flushInterval"] = go_duration(
                max(0.0, service.flush_interval)
            )
        if service.sticky is not None:
            self._sticky(service)
        if service.health_check is not None:
            self._health(service.name, service.health_check)
        for what, said in (
            ("strategy", service.strategy != "wrr"),
            ("preservePath", any(server.preserve_path for server in service.servers)),
            ("passiveHealthCheck", service.passive_health is not None),
            ("serversTransport", bool(service.transport)),
            ("middlewares of a service", bool(service.middlewares)),
        ):
            if said:
                self._note(f"v1 has no {what}", "service", service.name)

    def _sticky(self, service: Service) -> None:
        sticky, stem = service.sticky, "backend.loadbalancer.stickiness"
        if sticky is None:
            return
        self.out[stem] = "true"
        given = {
            "cookieName": sticky.name,
            "secure": sticky.secure and "true",
            "httpOnly": sticky.http_only and "true",
            "sameSite": sticky.same_site,
        }
        self.out |= {f"{stem}.{key}": str(value) for key, value in given.items() if value}
        if sticky.max_age or sticky.domain or sticky.path != "/":
            self._note("v1's cookie has no maxAge, path and domain", "service", service.name)

    def _health(self, name: str, check: HealthCheck) -> None:
        given = {
            "path": check.path,
            "scheme": check.scheme,
            "port": check.port,
            "hostname": check.hostname,
            "interval": go_duration(check.interval),
            "headers": "||".join(f"{key}:{value}" for key, value in check.headers),
        }
        self.out |= {f"backend.healthcheck.{key}": str(value) for key, value in given.items() if value}
        plain = HealthCheck()
        others = ("mode", "unhealthy_interval", "timeout", "method", "status")
        if any(getattr(check, other) != getattr(plain, other) for other in others):
            why = "v1's health check has no mode, unhealthyInterval, timeout, method and status"
            self._note(why, "service", name)

    # Middlewares

    def _middleware(self, name: str) -> None:
        name = name.removesuffix("@docker")
        middleware = self.found.middlewares.get(name)
        if middleware is None:
            self._note(f"its middleware {name} is defined elsewhere; without it the router is left out")
            self.closed = True
            return
        settings = _Leaf(middleware.settings)
        write = _WRITERS.get(middleware.type)
        if write is None:
            # What may keep requests out must not be missing.
            self.closed = self.closed or middleware.type not in _COSMETIC
            what = "it" if middleware.type in _COSMETIC else "the router that needs it"
            self._note(f"v1 has no {middleware.type}; {what} is left out", "middleware", name)
            return
        write(self, middleware, settings)
        left = [key for key, value in settings.items() if value not in ("", "false", False, (), [], {})]
        if left:
            why = f"v1's {middleware.type} has no {', '.join(sorted(left))}"
            self._note(why, "middleware", name)

    def put(self, prefix: str, settings: _Leaf, *keys: str) -> None:
        """Write some of the settings under their own names."""
        for key in keys:
            value = settings.take(key)
            if value not in ("", (), [], False, None):
                self.out[f"{prefix}.{key}"] = _text(value)

    def chain(self, middleware: Middleware, settings: _Leaf) -> None:
        """Its members one by one."""
        for name in _words(settings.take("middlewares")):
            self._middleware(name)

    def passwords(self, middleware: Middleware, settings: _Leaf) -> None:
        """basicAuth and digestAuth."""
        kind = middleware.type.removesuffix("Auth")
        self.put(f"frontend.auth.{kind}", settings, "users", "usersFile", "removeHeader")
        self.put("frontend.auth", settings, "headerField")

    def forward(self, middleware: Middleware, settings: _Leaf) -> None:
        """forwardAuth."""
        self.put("frontend.auth.forward", settings, *_FORWARD)
        self.put("frontend.auth.forward.tls", settings.below("tls"), *_FORWARD_TLS)

    def headers(self, middleware: Middleware, settings: _Leaf) -> None:
        """headers, but for CORS and what is younger than v1."""
        for key, spelled in _HEADERS.items():
            value = settings.take(key)
            if isinstance(value, Mapping):
                value = "||".join(f"{name}:{_text(text)}" for name, text in value.items())
            if value not in ("", (), [], False, None):
                self.out[f"frontend.headers.{spelled}"] = _text(value)

    def allow(self, middleware: Middleware, settings: _Leaf) -> None:
        """ipAllowList."""
        self.put("frontend.whiteList", settings, "sourceRange", "useXForwardedFor")

    def redirect_regex(self, middleware: Middleware, settings: _Leaf) -> None:
        """redirectRegex."""
        self.put("frontend.redirect", settings, "regex", "replacement", "permanent")

    def redirect_scheme(self, middleware: Middleware, settings: _Leaf) -> None:
        """redirectScheme, to the entry point of v1 that is called so."""
        scheme = _text(settings.take("scheme"))
        self.out["frontend.redirect.entryPoint"] = scheme
        self.put("frontend.redirect", settings, "permanent")
        self._note(
            f"v1 redirects to an entry point; it is taken to be called {scheme}",
            "middleware",
            middleware.name,
        )

    def errors(self, middleware: Middleware, settings: _Leaf) -> None:
        """errors, under the middleware's own name."""
        prefix = f"frontend.errors.{middleware.name}"
        self.put(prefix, settings, "status", "query")
        self.out[f"{prefix}.backend"] = _text(settings.take("service")).removesuffix("@docker")

    def rate(self, middleware: Middleware, settings: _Leaf) -> None:
        """rateLimit, as a set of the middleware's own name."""
        prefix = f"frontend.rateLimit.rateSet.{middleware.name}"
        values = {
            key: settings.take(key, default)
            for key, default in (("average", ""), ("period", "1s"), ("burst", 1))
        }
        self.out |= {f"{prefix}.{key}": _text(value) for key, value in values.items()}
        why = "v1 refuses at once what v3 holds back a little"
        self._note(why, "middleware", middleware.name)
        self.out["frontend.rateLimit.extractorFunc"] = self._extractor(settings, "client.ip", middleware.name)

    def in_flight(self, middleware: Middleware, settings: _Leaf) -> None:
        """inFlightReq."""
        self.put("backend.maxconn", settings, "amount")
        self.out["backend.maxconn.extractorfunc"] = self._extractor(settings, "request.host", middleware.name)

    def breaker(self, middleware: Middleware, settings: _Leaf) -> None:
        """circuitBreaker."""
        self.put("backend.circuitbreaker", settings, "expression")

    def buffering(self, middleware: Middleware, settings: _Leaf) -> None:
        """buffering."""
        self.put("backend.buffering", settings, *_BUFFERING, "retryExpression")

    def certificate(self, middleware: Middleware, settings: _Leaf) -> None:
        """passTLSClientCert."""
        prefix = "frontend.passTLSClientCert"
        self.put(prefix, settings, "pem")
        infos = settings.below("info")
        for key in [key for key in words.V1 if key.startswith(f"{prefix}.infos.")]:
            *sections, last = key.removeprefix(f"{prefix}.infos.").split(".")
            level = _Leaf(infos.get(sections[0], {})) if sections else infos
            if level.get(last.lower()) not in (None, "", False, "false"):
                self.out[key] = "true"

    def strip(self, middleware: Middleware, settings: _Leaf) -> None:
        """stripPrefix."""
        self.paths.append("stripPrefix")
        self.stripped = (*self.stripped, *_words(settings.take("prefixes")))

    def modifier(self, middleware: Middleware, settings: _Leaf) -> None:
        """What v1 writes into its rules."""
        self.paths.append(middleware.type)
        if middleware.type == "replacePathRegex":
            value = f"{_text(settings.take('regex'))} {_text(settings.take('replacement'))}"
        else:
            value = _text(settings.take("prefix" if middleware.type == "addPrefix" else "path"))
        self.modifiers.append(f"{middleware.type[0].upper()}{middleware.type[1:]}:{value}")

    def _extractor(self, settings: _Leaf, default: str, name: str) -> str:
        criterion = settings.below("sourceCriterion")
        header = criterion.take("requestHeaderName")
        if header:
            return f"request.header.{_text(header)}"
        if criterion.take("requestHost", False) not in (False, "false", ""):
            return "request.host"
        strategy = criterion.below("ipStrategy")
        if any(str(value) not in ("", "0", "()", "[]") for value in strategy.values()):
            self._note("v1 knows no ipStrategy; the address of the connection counts", "middleware", name)
        return "client.ip" if strategy else default


def _words(value: Any) -> tuple[str, ...]:
    found = value.split(",") if isinstance(value, str) else value
    return tuple(str(word).strip() for word in found if str(word).strip())


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


_WRITERS: Mapping[str, Callable[[_Frontend, Middleware, _Leaf], None]] = {
    "chain": _Frontend.chain,
    **dict.fromkeys(("basicAuth", "digestAuth"), _Frontend.passwords),
    "forwardAuth": _Frontend.forward,
    "headers": _Frontend.headers,
    **dict.fromkeys(("ipAllowList", "ipWhiteList"), _Frontend.allow),
    "redirectRegex": _Frontend.redirect_regex,
    "redirectScheme": _Frontend.redirect_scheme,
    "errors": _Frontend.errors,
    "rateLimit": _Frontend.rate,
    "inFlightReq": _Frontend.in_flight,
    "circuitBreaker": _Frontend.breaker,
    "buffering": _Frontend.buffering,
    "passTLSClientCert": _Frontend.certificate,
    "stripPrefix": _Frontend.strip,
    **dict.fromkeys(("addPrefix", "replacePath", "replacePathRegex"), _Frontend.modifier),
}
