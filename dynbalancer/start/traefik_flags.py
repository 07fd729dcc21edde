"""What Traefik's static configuration has and ours has not: harmless, missing, or unsafe to pass over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

#: Change nothing that a client could notice. A service without servers is never left out (``allowemptyservices``).
HARMLESS = frozenset(
    {
        "accesslog.addinternals",
        "api.dashboardname",
        "api.debug",
        "api.disabledashboardad",
        "api.entrypoint",
        "api.statistics",
        "api.statistics.recenterrors",
        "checknewversion",
        "docker.allowemptyservices",
        "docker.debugloggeneratedtemplate",
        "docker.swarmmoderefreshseconds",
        "docker.templateversion",
        "docker.trace",
        "file.debugloggeneratedtemplate",
        "file.templateversion",
        "file.trace",
        "global",
        "global.checknewversion",
        "global.sendanonymoususage",
        "log",
        "log.format",
        "log.nocolor",
        "ping.entrypoint",
        "ping.manualrouting",
        "ping.terminatingstatuscode",
        "providers",
        "sendanonymoususage",
        "storeconfig",
        "traefiklog",
        "traefiklog.format",
    }
)

#: Change what is routed, but not who gets in.
_WITHOUT_EFFECT = frozenset({"docker.filename"})

#: Settings, and first words of settings, that this version has not.
_ABSENT = (
    "accesslog.dualoutput",
    "accesslog.otlp",
    "acme",
    "allowminweightzero",
    "api.basepath",
    "api.tls",
    "boltdb",
    "certificatesresolvers",
    "cluster",
    "consul",
    "consulcatalog",
    "core",
    "docker.tls",
    "dynamodb",
    "ecs",
    "etcd",
    "etcdv3",
    "eureka",
    "experimental",
    "global",
    "healthcheck",
    "hostresolver",
    "hub",
    "kubernetes",
    "marathon",
    "mesos",
    "metrics",
    "ocsp",
    "pilot",
    "providers.consul",
    "providers.consulcatalog",
    "providers.ecs",
    "providers.etcd",
    "providers.http",
    "providers.knative",
    "providers.kubernetescrd",
    "providers.kubernetesgateway",
    "providers.kubernetesingress",
    "providers.kubernetesingressnginx",
    "providers.marathon",
    "providers.nomad",
    "providers.plugin",
    "providers.precedence",
    "providers.rancher",
    "providers.redis",
    "providers.rest",
    "providers.swarm",
    "providers.zookeeper",
    "rancher",
    "rest",
    "servicefabric",
    "spiffe",
    "tcpserverstransport",
    "tls",
    "tracing",
    "web",
    "zookeeper",
)

#: The same, with what to do instead.
_INSTEAD: Mapping[str, str] = {
    **dict.fromkeys(_ABSENT, ""),
    "lifecycle": "--gracetimeout exists",
    "log.filepath": "redirect standard output, or use twistd --logfile",
    "respondingtimeouts": "see --limits.bodytime, --limits.writetime and --limits.idletime",
    "serverstransport": "--serverstransport.insecureskipverify and --serverstransport.rootcas exist",
    "traefiklog.filepath": "redirect standard output, or use twistd --logfile",
}

#: Settings of an entry point that restrict, protect or change the protocol.
_PROTECTING = (
    "auth",
    "ca",
    "clientca",
    "http",
    "proxyprotocol",
    "redirect",
    "tls",
    "udp",
    "whitelist",
    "whitelistsourcerange",
)

#: Settings of an entry point without which requests are served all the same.
_TOLERABLE = (
    "allowacmebypass",
    "forwardedheaders.connection",
    "forwardedheaders.notappendxforwardedfor",
    "http.encodequerysemicolons",
    "http.maxheaderbytes",
    "http.sanitizepath",
    "http2",
    "http3",
    "observability",
    "reuseport",
    "transport",
)


def instead_of(key: str) -> str | None:
    """What to do instead of a setting that only Traefik has; None where Traefik has none either."""
    if key.startswith("entrypoints."):
        it_matters = _begins(_field(key), _PROTECTING)
        return "it can't be passed over: it decides who gets in, and how" if it_matters else None
    found = [prefix for prefix in _INSTEAD if _begins(key, (prefix,))]
    return _INSTEAD[max(found, key=len)] if found else None


def tolerated(key: str) -> str:
    """Severity of the note about a setting that has no effect here; empty where it can't be passed over."""
    if key in HARMLESS:
        return "info"
    if key in _WITHOUT_EFFECT:
        return "warning"
    return "warning" if key.startswith("entrypoints.") and _begins(_field(key), _TOLERABLE) else ""


def _field(key: str) -> str:
    return key.removeprefix("entrypoints.").partition(".")[2]


def _begins(key: str, prefixes: Iterable[str]) -> bool:
    return any(key == prefix or key.startswith(prefix + ".") for prefix in prefixes)
