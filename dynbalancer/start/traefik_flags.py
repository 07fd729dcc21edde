"""What Traefik's static configuration has and ours has not: what becomes of each such setting, and what is said of it.

A setting is passed over, with a word about it, where that changes neither who is served nor who is kept out. One that
does is refused, with what to do instead: a balancer that starts without it would be taken for one that has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

NO_EFFECT = "understood, but has no effect here"
ABSENT = "Traefik has it, this version of dynbalancer has not"

_NO_ACME = "no certificates are ordered by ACME yet"
_INSTEAD_OF_ACME = (
    "give certificates in a file of routes; without one for its name a router answers with a generated one"
)
_NO_METRICS = "figures are not handed to Prometheus or others yet"
_NO_TRACES = "traces are not sent"
_NO_PLUGINS = "plugins of Traefik can't run here"
_NO_SOURCE = "write its routes into files for --file.directory, or a provider of your own"
_HTTP1 = "only HTTP/1.1 is spoken here so far; clients go on with that"
_ONE_LIMIT = "limits hold for all entry points together"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a setting: ``severity`` is ``info``, ``warning`` (both: passed over) or ``error`` (refused).

    Settings of one ``family`` are spoken of once.
    """

    family: str
    severity: str
    why: str = NO_EFFECT
    hint: str = ""

    @property
    def refuses(self) -> bool:
        """Whether nothing starts with this setting."""
        return self.severity == "error"


def _table(*groups: tuple[str, str, str, str]) -> Mapping[str, Verdict]:
    """One verdict for each word of each group: words, severity, why, hint."""
    return MappingProxyType(
        {
            word: Verdict(word, severity, why, hint)
            for words, severity, why, hint in groups
            for word in words.split()
        }
    )


#: Settings and first words of settings; the longest that fits counts.
_STATIC = _table(
    # Change nothing that a client could notice. A service without servers is never left out (``allowemptyservices``).
    (
        """accesslog.addinternals api.dashboardname api.disabledashboardad api.statistics checknewversion
        docker.allowemptyservices docker.debugloggeneratedtemplate docker.swarmmoderefreshseconds docker.templateversion
        docker.trace file.debugloggeneratedtemplate file.templateversion file.trace global log log.format log.nocolor
        ping.terminatingstatuscode providers sendanonymoususage storeconfig traefiklog traefiklog.format web.readonly
        web.statistics serverstransport.disablehttp2 serverstransport.forwardingtimeouts.readidletimeout
        serverstransport.forwardingtimeouts.pingtimeout lifecycle""",
        "info",
        NO_EFFECT,
        "",
    ),
    ("api.debug", "info", "there is no /debug here", ""),
    ("docker.filename", "warning", NO_EFFECT, "docker.defaultrule is the template that there is"),
    (
        "log.maxsize log.maxage log.maxbackups log.compress",
        "warning",
        "log files are not turned over by themselves",
        "move them away and send SIGUSR1, as logrotate does",
    ),
    (
        "log.otlp accesslog.otlp accesslog.dualoutput",
        "warning",
        "lines are written to one place, not sent",
        "",
    ),
    ("certificatesresolvers acme", "warning", _NO_ACME, _INSTEAD_OF_ACME),
    ("metrics web.metrics", "warning", _NO_METRICS, "the API and the dashboard have them (--api)"),
    ("tracing", "warning", _NO_TRACES, ""),
    ("experimental", "info", NO_EFFECT, ""),
    ("experimental.http3", "warning", _HTTP1, ""),
    (
        "experimental.plugins experimental.localplugins experimental.devplugin hub pilot",
        "warning",
        _NO_PLUGINS,
        "routers with a middleware of type plugin are closed",
    ),
    ("ocsp", "warning", "answers of OCSP are not stapled", ""),
    ("cluster", "warning", "there is one balancer, without a cluster", ""),
    ("allowminweightzero", "warning", "a weight of 0 is none at all", ""),
    ("healthcheck", "warning", "intervals of health checks belong to each service", ""),
    (
        "respondingtimeouts",
        "warning",
        NO_EFFECT,
        "--limits.writetime cuts who takes nothing of an answer for so long",
    ),
    (
        "tcpserverstransport.dialtimeout tcpserverstransport.dialkeepalive tcpserverstransport.terminationdelay",
        "warning",
        NO_EFFECT,
        "--limits.connecttime exists",
    ),
    ("docker.tls.caoptional", "warning", "the certificate of the engine is always checked", ""),
    ("providers.precedence", "warning", "of two equal rules the longer name's provider does not count", ""),
    ("global.notappendxforwardedfor", "warning", "X-Forwarded-For always tells the server the client", ""),
    ("api.tls", "error", ABSENT, "give the dashboard a router with TLS and service api@internal"),
    ("web", "error", ABSENT, "see --api and --api.token"),
    ("core spiffe tcpserverstransport", "error", ABSENT, ""),
    ("hostresolver", "error", ABSENT, "name the aliases in rules"),
    (
        "serverstransport",
        "error",
        ABSENT,
        "--serverstransport.insecureskipverify and --serverstransport.rootcas exist, and serversTransports in files",
    ),
    ("docker.tls", "error", ABSENT, "docker.tls.ca, docker.tls.cert and docker.tls.key exist"),
    (
        "providers.swarm",
        "error",
        "Swarm services are not supported in this version yet",
        "with --docker the containers of one engine are routed",
    ),
    (
        """boltdb consul consulcatalog dynamodb ecs etcd etcdv3 eureka kubernetes marathon mesos rancher rest
        servicefabric zookeeper providers.consul providers.consulcatalog providers.ecs providers.etcd providers.http
        providers.knative providers.kubernetescrd providers.kubernetesgateway providers.kubernetesingress
        providers.kubernetesingressnginx providers.marathon providers.nomad providers.plugin providers.rancher
        providers.redis providers.rest providers.zookeeper""",
        "error",
        ABSENT,
        _NO_SOURCE,
    ),
    (
        "frontends backends",
        "error",
        "routes can't stand among these settings",
        "move them into a file of their own for --file.filename, or add an empty [file] to have them read from here",
    ),
    (
        "http tcp udp tls",
        "error",
        "routes can't stand among these settings",
        "move them into a file of their own, for --file.filename",
    ),
)

#: The same for settings of an entry point. Whatever restricts, protects or changes the protocol is refused.
_OF_ENTRY_POINTS = _table(
    ("allowacmebypass", "info", NO_EFFECT, ""),
    ("reuseport", "warning", "workers share one socket here", ""),
    ("http2 http3 enablehttp3", "warning", _HTTP1, ""),
    ("transport", "warning", _ONE_LIMIT, "see --limits.bodytime, --limits.writetime and --limits.idletime"),
    ("observability", "warning", "each is counted as all others are", ""),
    ("forwardedheaders.connection", "warning", NO_EFFECT, ""),
    (
        "forwardedheaders.notappendxforwardedfor",
        "warning",
        "X-Forwarded-For always tells the server the client",
        "",
    ),
    ("http.maxheaderbytes", "warning", _ONE_LIMIT, "see --limits.head"),
    ("http.sanitizepath", "warning", "paths are always brought into one form", ""),
    ("http.tls.certresolver http.tls.domains", "warning", _NO_ACME, _INSTEAD_OF_ACME),
    (
        "auth ca clientca http proxyprotocol redirect tls udp whitelist whitelistsourcerange",
        "error",
        ABSENT,
        "it can't be passed over: it decides who gets in, and how",
    ),
)

#: What is known by its whole name alone: what is below has a right spelling.
_WHOLE = frozenset({"log", "providers", "traefiklog", "lifecycle"})

#: What these are in Traefik where nobody says anything: to say it changes nothing.
_USUAL: Mapping[str, tuple[str, ...]] = {
    "http.sanitizepath": ("true", "1", "t", ""),
    "http.underscoreheadersstrategy": ("keep",),
    "reuseport": ("false", "0", "f"),
    "metrics": ("false", "0", "f"),
    "tracing": ("false", "0", "f"),
}

_OFF = ("false", "0", "f", "no", "off")


def verdict(key: str, text: str | None = None) -> Verdict | None:
    """What becomes of a setting that only Traefik has; None where Traefik has none either.

    ``key`` is canonical; ``text`` is what it was given, None where that is nothing.
    """
    if key.startswith("entrypoints."):
        point, _, field = key.removeprefix("entrypoints.").partition(".")
        found, within = _longest(field, _OF_ENTRY_POINTS), f"entrypoints.{point}."
        if not field:
            hint = f"it is there by its address: --entrypoints.{point}.address=:80"
            found = Verdict("", "warning", NO_EFFECT, hint)
    else:
        field, found, within = key, _longest(key, _STATIC), ""
    if found is None:
        return None
    written = (text if text is not None else "").strip().lower()
    if written in _USUAL.get(field, ()) and (text is not None or field == "http.sanitizepath"):
        return Verdict(within + found.family, "info")
    if found.refuses and not within and field == found.family and written in _OFF:
        # Whoever switches off what isn't there has what he wants.
        return Verdict(found.family, "info")
    return Verdict(within + found.family, found.severity, found.why, found.hint)


def _longest(key: str, table: Mapping[str, Verdict]) -> Verdict | None:
    words = unnumbered(key).split(".")
    prefixes = (".".join(words[:count]) for count in range(len(words), 0, -1))
    found = next((prefix for prefix in prefixes if prefix in table), "")
    if not found or (found in _WHOLE and len(words) > 1):
        return None
    return table[found]


def implied(key: str) -> str:
    """What a setting of ours a setting of Traefik's switches on; empty where none.

    Who orders certificates for an entry point speaks TLS there, whether they come or not.
    """
    point, _, field = key.removeprefix("entrypoints.").partition(".")
    return (
        f"entrypoints.{point}.http.tls"
        if field.startswith(("http.tls.certresolver", "http.tls.domains"))
        else ""
    )


def unnumbered(key: str) -> str:
    """The same without numbers of members: ``domains[0].main`` is ``domains.main``."""
    kept = key.split("[")
    return kept[0] + "".join(part.partition("]")[2] for part in kept[1:])
