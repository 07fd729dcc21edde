"""The keys of services and of serversTransports in Traefik v3's format, but those of a health check."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dynbalancer.core.fields import CONTROLS
from dynbalancer.core.schema import Key, WrongValueError, duration, names, switch, text, whole_number

_status_range = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?").fullmatch


def same_site(value: object) -> str:
    """When browsers send a cookie along to other sites' requests."""
    found = text(value).lower()
    if found not in ("none", "lax", "strict"):
        raise WrongValueError("none, lax or strict")
    return found


def cookie_part(value: object) -> str:
    """What may stand in a Set-Cookie field between two semicolons (RFC 6265 section 4.1.1)."""
    found = text(value)
    if ";" in found or not found.isascii() or found.encode().translate(None, CONTROLS) != found.encode():
        raise WrongValueError("a text without semicolons and control characters")
    return found


def flushing(value: object) -> float:
    """Seconds; below zero is at each write."""
    if isinstance(value, str) and value.strip().startswith("-"):
        return -duration(value.strip()[1:])
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0:
        return float(value)
    return duration(value)


def percent(value: object) -> int:
    """From 0 to 100."""
    found = whole_number(value)
    if not 0 <= found <= 100:
        raise WrongValueError("a number from 0 to 100")
    return found


def size(value: object) -> int:
    """Bytes; below zero is no limit."""
    return max(whole_number(value), -1)


def attempts(value: object) -> int:
    """How often something may go wrong; at least once."""
    found = whole_number(value)
    if not 1 <= found <= 1000:
        raise WrongValueError("a whole number from 1 to 1000")
    return found


def window(value: object) -> float:
    """Seconds, more than none."""
    found = duration(value)
    if not found:
        raise WrongValueError("a duration above zero, such as 10s")
    return found


def idle(value: object) -> int:
    """How many connections may be kept; 0: as many as by default, below 0: none."""
    return whole_number(value)


def statuses(value: object) -> tuple[str, ...]:
    """Statuses and ranges of them: ``404``, ``500-599``."""
    given = [value] if isinstance(value, int) and not isinstance(value, bool) else value
    found = names([str(one) for one in given] if isinstance(given, (list, tuple)) else given)
    for one in found:
        match = _status_range(one)
        if match is None or int(match[1]) > int(match[2] or match[1]):
            raise WrongValueError("statuses such as 404, or ranges such as 500-599")
    return found


def presence(value: object) -> bool:
    """Whether it is there; only false is as good as not."""
    if isinstance(value, (bool, str)) and value != "":
        return switch(value)
    if value in ({}, None, ""):
        return True
    raise WrongValueError("an empty section")


def tls_version(value: object) -> str:
    """A version of TLS as Go spells it."""
    found = text(value)
    if found not in ("VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13"):
        raise WrongValueError("VersionTLS12 or VersionTLS13")
    return found


#: Kinds of values that only these keys have.
READERS: Mapping[str, Callable[[object], Any]] = {
    "sameSite": same_site,
    "cookie": cookie_part,
    "flush": flushing,
    "percent": percent,
    "size": size,
    "attempts": attempts,
    "window": window,
    "idle": idle,
    "statuses": statuses,
    "presence": presence,
    "tlsVersion": tls_version,
}

COOKIE = (
    Key("name", "cookie", "Its name; none: made of the service's.", "name", ""),
    Key("secure", "switch", "Sent over TLS only.", "secure", False),
    Key("httpOnly", "switch", "Scripts don't see it.", "http_only", False),
    Key("sameSite", "sameSite", "Other sites' requests: ``none``, ``lax``, ``strict``.", "same_site", ""),
    Key("maxAge", "number", "Seconds; 0: until the browser is closed, -1: forgotten.", "max_age", 0),
    Key("path", "cookie", "Below which path it is sent.", "path", "/", always=True),
    Key("domain", "cookie", "To which domain it is sent; none: this host.", "domain", ""),
)

STICKY = (Key("cookie", "section", "The cookie that remembers the server.", "cookie"),)


def sticky_doubts(made: Any, given: Iterable[str]) -> tuple[tuple[str, str, str], ...]:
    """Traefik does nothing either where there is no cookie."""
    return () if made is not None else (("cookie", "missing; nobody is kept anywhere without it", "warning"),)


PASSIVE_HEALTH = (
    Key("failureWindow", "window", "In which failures count, and how long it is left out.", "failure_window", 10.0,
        always=True),
    Key("maxFailedAttempts", "attempts", "So many failures, and it is.", "max_failed_attempts", 1, always=True),
)  # fmt: skip

RESPONSE_FORWARDING = (
    Key("flushInterval", "flush", "Taken, and needless: what comes is sent on at once.", "flush_interval", 0.1,
        always=True),
)  # fmt: skip

MEMBER = (
    Key("name", "text", "A service: ``web``, or ``web@docker``.", "name", required=True),
    Key("weight", "weight", "Its share; 0: none.", "weight", 1, always=True),
)

MIRROR = (
    Key("name", "text", "The service that gets copies.", "name", required=True),
    Key("percent", "percent", "How many of a hundred requests are copied.", "percent", 0),
)

_HEALTH = Key("healthCheck", "presence", "Follow the health of the members.", "follows_health", False)

WEIGHTED = (
    Key("services", "sections", "The services, and the share of each.", "members", required=True),
    Key("sticky", "section", "Keep a client with its service by a cookie.", "sticky"),
    _HEALTH,
)

HIGHEST_RANDOM_WEIGHT = (WEIGHTED[0], _HEALTH)

MIRRORING = (
    Key("service", "text", "The one that answers.", "main", required=True),
    Key("mirrorBody", "switch", "Copy bodies too.", "mirror_body", True),
    Key("maxBodySize", "size", "Requests with more bytes of body are not copied; -1: no limit.", "max_body", -1),
    Key("mirrors", "sections", "Those that get copies.", "mirrors", ()),
    _HEALTH,
)  # fmt: skip

FAILOVER = (
    Key("service", "text", "The one that answers while it can.", "main", required=True),
    Key("fallback", "text", "The one that answers else.", "fallback", required=True),
    Key("errors", "section", "Answers that count as none.", "errors"),
    _HEALTH,
)

ERRORS = (
    Key("status", "statuses", "Statuses and ranges: ``404``, ``500-599``.", "error_statuses", ()),
    Key("maxRequestBodyBytes", "size", "Requests with more get 413; -1: no limit.", "max_body", -1),
)

PAIR = (
    Key("certFile", "text", "Path of the certificate and those above it, or their PEM text.", "chain", required=True),
    Key("keyFile", "text", "Path of its private key, or the PEM text of it.", "key", required=True),
)  # fmt: skip


def pair(chain: str, key: str) -> tuple[str, str]:
    """A certificate and its key."""
    return chain, key


TIMEOUTS = (
    Key("dialTimeout", "duration", "To connect.", "dial_time"),
    Key("responseHeaderTimeout", "duration", "Until the answer begins; 0: for ever.", "response_time"),
    Key("idleConnTimeout", "duration", "How long an idle connection is kept; 0: for ever.", "idle_time"),
    Key("readIdleTimeout", "duration", "Of HTTP/2, which is not spoken to servers."),
    Key("pingTimeout", "duration", "Of HTTP/2, which is not spoken to servers."),
)

#: Whatever says whom to trust restricts: where it can't be obeyed, the transport and what uses it are off.
TRANSPORT = (
    Key("serverName", "text", "The name to ask for and to find in the certificate.", "server_name", "", restricts=True),
    Key("insecureSkipVerify", "switch", "Trust every certificate.", "insecure", False),
    Key("rootCAs", "list", "Whom to trust: files, or PEM texts.", "root_cas", (), restricts=True),
    Key("certificates", "sections", "What to show to servers that ask.", "certificates", (), restricts=True),
    Key("cipherSuites", "list", "Allowed up to TLS 1.2, in Go's spelling.", "cipher_suites", (), restricts=True),
    Key("minVersion", "tlsVersion", "The oldest TLS allowed.", "min_version", "", restricts=True),
    Key("maxVersion", "tlsVersion", "The newest TLS allowed.", "max_version", "", restricts=True),
    Key("maxIdleConnsPerHost", "idle", "Idle connections kept for each server.", "max_idle"),
    Key("forwardingTimeouts", "section", "How long to wait.", "timeouts"),
    Key("disableHTTP2", "switch", "Taken, and needless: HTTP/2 is not spoken to servers.", "no_http2", False),
    Key("peerCertURI", "text", "A URI that must be in the certificate.", "peer_uri", "", restricts=True),
    Key("spiffe", "section", "Certificates by SPIFFE.", restricts=True),
)  # fmt: skip

#: By the one key of a service.
BY_TYPE: Mapping[str, tuple[Key, ...]] = {
    "weighted": WEIGHTED,
    "mirroring": MIRRORING,
    "failover": FAILOVER,
    "highestRandomWeight": HIGHEST_RANDOM_WEIGHT,
}
