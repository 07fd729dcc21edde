"""Every label key there is, in Traefik's spelling, and what this version does with it.

A key is *used*; or *later* (understood, not supported yet: it is left out with a warning); or it *restricts*
(it keeps requests out, and is not supported yet: what it protects must not be opened without it); or it is
*void* for containers.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator

from dynbalancer.core.schema import LOAD_BALANCER, Key
from dynbalancer.core.sections import BELOW


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


USED, LATER, RESTRICTS, VOID = "used", "later", "restricts", "void"

#: First words after ``traefik.`` that are no v1 segments.
FAMILIES = ("http", "tcp", "udp", "tls", "docker", "swarm")

_SUBJECT = _words("commonName country domainComponent locality organization province serialNumber")
_INFOS = [
    "notAfter", "notBefore", "sans",
    *(f"{side}.{part}" for side in ("subject", "issuer") for part in _SUBJECT),
]  # fmt: skip

#: Used, and what they close stays closed where they can't be read.
_FRONTEND_CLOSES = _words(
    """auth.basic auth.basic.users auth.basic.usersFile auth.digest.users auth.digest.usersFile
    auth.forward.address whiteList.sourceRange whitelistSourceRange
    headers.allowedHosts headers.SSLRedirect headers.SSLForceHost"""
)
_FRONTEND_USED = _words(
    """auth.basic.removeHeader auth.digest.removeHeader auth.headerField whiteList.useXForwardedFor
    auth.forward.authResponseHeaders auth.forward.trustForwardHeader auth.forward.tls.ca
    auth.forward.tls.caOptional auth.forward.tls.cert auth.forward.tls.key
    auth.forward.tls.insecureSkipVerify
    redirect.entryPoint redirect.regex redirect.replacement redirect.permanent
    rateLimit.extractorFunc passTLSClientCert.pem
    headers.customRequestHeaders headers.customResponseHeaders headers.hostsProxyHeaders
    headers.SSLTemporaryRedirect headers.SSLHost headers.SSLProxyHeaders headers.STSSeconds
    headers.STSIncludeSubdomains headers.STSPreload headers.forceSTSHeader headers.frameDeny
    headers.contentTypeNosniff headers.browserXSSFilter headers.isDevelopment
    headers.customFrameOptionsValue headers.customBrowserXSSValue headers.contentSecurityPolicy
    headers.publicKey headers.referrerPolicy"""
)
_BACKEND_USED = _words(
    """circuitbreaker.expression loadbalancer.method maxconn.amount maxconn.extractorfunc
    buffering.maxRequestBodyBytes buffering.memRequestBodyBytes buffering.maxResponseBodyBytes
    buffering.memResponseBodyBytes buffering.retryExpression
    loadbalancer.stickiness loadbalancer.stickiness.cookieName loadbalancer.stickiness.secure
    loadbalancer.stickiness.httpOnly loadbalancer.stickiness.sameSite loadbalancer.sticky
    responseForwarding.flushInterval healthcheck.path healthcheck.scheme healthcheck.port
    healthcheck.hostname healthcheck.interval healthcheck.headers"""
)

_V1_USED = _words(
    """enable port protocol weight domain backend tags docker.network
    frontend.rule frontend.entryPoints frontend.priority frontend.passHostHeader frontend.passTLSCert"""
)

#: v1 keys without their root: what becomes of each.
V1: dict[str, str] = {
    **dict.fromkeys(_V1_USED, USED),
    **dict.fromkeys(("portName", "portIndex", "backend.id", "backend.loadbalancer.swarm"), VOID),
    **{f"backend.{key}": USED for key in _BACKEND_USED},
    **{f"frontend.passTLSClientCert.infos.{key}": USED for key in _INFOS},
    **{f"frontend.{key}": USED for key in (*_FRONTEND_USED, *_FRONTEND_CLOSES)},
}
#: v1 keys that keep requests out, and that this version obeys.
V1_CLOSES = frozenset(f"frontend.{key}" for key in _FRONTEND_CLOSES)
_V1_FOLDED = {key.lower(): key for key in V1}
_V1_NAMED = re.compile(
    r"frontend\.(?P<kind>errors|ratelimit\.rateset)\.(?P<name>[^ .]+)\.(?P<field>\w+)", re.IGNORECASE
)
_V1_NAMED_FIELDS = {
    "errors": ("errors", ("status", "backend", "query")),
    "ratelimit.rateset": ("rateLimit.rateSet", ("period", "average", "burst")),
}
#: Whatever begins so keeps requests out, even where the rest is spelt wrong.
_V1_RESTRICTS = ("frontend.auth", "frontend.whitelist")

DOCKER: dict[str, str] = {
    "docker.network": USED,
    "docker.allownonrunning": USED,
    "docker.lbswarm": LATER,
    "swarm.network": LATER,
    "swarm.lbswarm": LATER,
}

V3_FAMILIES = ("http", "tcp", "udp", "tls")
V3_KINDS = ("routers", "services", "middlewares")

V3_ROUTER: dict[str, str] = {
    **dict.fromkeys(_words("rule rulesyntax entrypoints middlewares service priority tls"), USED),
    **dict.fromkeys(("tls.certresolver", "tls.domains"), LATER),
    "tls.options": USED,
    "observability.accesslogs": USED,
    **{f"observability.{key}": LATER for key in ("metrics", "tracing", "traceverbosity")},
}


def _fields_of(table: Iterable[Key], prefix: str) -> Iterator[tuple[str, str]]:
    """The labels for the keys of a section, and of those below it."""
    for key in table:
        name = f"{prefix}{key.name.lower()}"
        if key.kind == "section" and key.name in BELOW:
            yield from _fields_of(BELOW[key.name].keys, f"{name}.")
        elif key.kind not in ("fields", "sections"):
            yield name, USED if key.attribute else LATER


_SERVER = _words(
    "server.port server.scheme server.url server.weight server.preservepath sticky sticky.cookie"
)

V3_SERVICE: dict[str, str] = {
    **{f"loadbalancer.{key}": USED for key in _SERVER},
    **dict(_fields_of(LOAD_BALANCER, "loadbalancer.")),
    "middlewares": USED,
}
#: Keys below which any name may follow.
_V3_OPEN = {"loadbalancer.healthcheck.headers.": USED, "tls.domains[": LATER}


def v1_key(rest: str) -> tuple[str, str] | None:
    """The right spelling of a v1 key (without root) and what becomes of it; None if there is no such key."""
    folded = rest.lower()
    if folded in _V1_FOLDED:
        key = _V1_FOLDED[folded]
        return key, V1[key]
    named = _V1_NAMED.fullmatch(rest)
    if named is None:
        return None
    kind, names = _V1_NAMED_FIELDS[named["kind"].lower()]
    field_ = named["field"].lower()
    return (f"frontend.{kind}.{named['name']}.{field_}", USED) if field_ in names else None


def v1_restricts(rest: str) -> bool:
    """Whether a v1 key, well spelt or not, is about keeping requests out."""
    known = v1_key(rest)
    return rest.lower().startswith(_V1_RESTRICTS) or (
        known is not None and (known[1] == RESTRICTS or known[0] in V1_CLOSES)
    )


def v3_field(kind: str, field: str) -> str:
    """What becomes of a lower-case field of a v3 router or service; empty if there is no such field."""
    table = V3_ROUTER if kind == "routers" else V3_SERVICE
    if field in table:
        return table[field]
    return next((use for prefix, use in _V3_OPEN.items() if field.startswith(prefix)), "")


def near(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known word most like ``word``, letter case aside, or an empty string."""
    by_folded = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), by_folded, n=1, cutoff=cutoff)
    return by_folded[found[0]] if found else ""


def nearest(key: str) -> str:
    """The right key most like a wrong one (``traefik.port`` for ``traefik.prot``), or an empty string."""
    parts = re.sub(r"^([^._/:-]+)[_/:-]", r"\1.", key).split(".")
    rest = _nearest_v3(parts[1:]) if len(parts) > 4 else ""
    if not rest and len(parts) > 3 and near(parts[1], V3_KINDS, 0.8):
        # The family is missing: traefik.routers.web.rule.
        rest = _nearest_v3(["http", *parts[1:]])
    rest = rest or _nearest_v1(".".join(parts[1:]))
    return f"traefik.{rest}" if rest else ""


def _nearest_v3(parts: list[str]) -> str:
    family, kind = near(parts[0], V3_FAMILIES), near(parts[1], V3_KINDS)
    if not family or not kind:
        return ""
    field = ".".join(parts[3:])
    if kind != "middlewares" and not v3_field(kind, field.lower()):
        table = V3_ROUTER if kind == "routers" else V3_SERVICE
        field = near(field, table, 0.5) or _same_end(field, table)
    return f"{family}.{kind}.{parts[2]}.{field}" if field else ""


def _nearest_v1(rest: str) -> str:
    known = v1_key(rest)
    if known:
        return known[0]
    if rest.lower() in DOCKER:
        return rest.lower()
    segment, _, tail = rest.partition(".")
    if tail and not near(segment, (*FAMILIES, "frontend", "backend"), 0.8):
        # The container may have segments: traefik.web.frontend.rul.
        found = near(tail, [key for key in V1 if key.startswith("frontend.")], 0.8)
        found = found or _same_end(tail, [key for key in _V1_USED if key.startswith("frontend.")])
        if found:
            return f"{segment}.{found}"
    return _same_end(rest, [*_V1_USED, "docker.network"]) or near(rest, [*V1, *DOCKER])


def _same_end(rest: str, known: Iterable[str]) -> str:
    """The shortest known key with this last word: ``frontend.rule`` for ``rule``. Only for short ones."""
    if rest.count(".") > 1:
        return ""
    end = rest.lower().rpartition(".")[2]
    return min((key for key in known if key.lower().rpartition(".")[2] == end), key=len, default="")
