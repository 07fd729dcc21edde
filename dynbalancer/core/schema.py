"""The keys of Traefik v3's dynamic format, as one table: name, kind, default, meaning.

:mod:`dynbalancer.core.documents` reads and writes by this table, and the reference pages can be made from it.
A key with an ``attribute`` is one of the model's; one without is understood, but has no effect yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from dynbalancer.core.durations import seconds_of
from dynbalancer.errors import ConfigurationError, did_you_mean

#: Schemes a server can be spoken to in, and the port each has where none is written.
SERVER_PORTS = {"http": 80, "https": 443, "h2c": 80}


class WrongValueError(Exception):
    """A value that can't be taken: what was expected, and a hint (may be empty)."""

    def __init__(self, expected: str, hint: str = "") -> None:
        super().__init__(expected, hint)
        self.expected = expected
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section.

    ``restricts``: the key decides who gets through; where it can't be used, the object is off as a whole.
    ``always``: it is written out even where it has its default, as Traefik's API does.
    """

    name: str
    kind: str
    meaning: str
    attribute: str = ""
    default: Any = None
    required: bool = False
    restricts: bool = False
    always: bool = False


#: What stands for true and for false, in lower case.
YES = frozenset(("true", "t", "1"))
NO = frozenset(("false", "f", "0"))


def describe(value: object) -> str:
    """A value in the words of whoever wrote the file."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text '{value if len(value) <= 60 else value[:57] + '...'}'"
    if isinstance(value, Mapping):
        return "a section"
    return "a list" if isinstance(value, (list, tuple)) else f"the {type(value).__name__} {value}"


def text(value: object) -> str:
    """A text that is not empty."""
    if isinstance(value, str) and value.strip():
        return value.strip()
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    raise WrongValueError("a text", "put it in quotes" if numeric else "")


def names(value: object) -> tuple[str, ...]:
    """A list of names, or one text with commas. Numbers are taken as they are written: ``status: [404, 500-599]``."""
    if isinstance(value, str):
        # A comma too many at an end is nothing; between two others, a name may have been lost.
        value = value.strip(" \t\r\n,").split(",")
    elif isinstance(value, int) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, (list, tuple)) or not all(_is_name(name) for name in value):
        raise WrongValueError("a list of names")
    found = tuple(str(name).strip() for name in value)
    if not all(found):
        raise WrongValueError("a list of names, none of them empty")
    return found


def _is_name(value: object) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def whole_number(value: object) -> int:
    """A whole number, or a text of one."""
    if isinstance(value, str):
        digits = value.strip()
        if digits.removeprefix("-").isdecimal() and digits.isascii() and len(digits) < 20:
            return int(digits)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise WrongValueError("a whole number")


def weight(value: object) -> int:
    """A whole number from 0 up."""
    found = whole_number(value)
    if not 0 <= found <= 1_000_000:
        raise WrongValueError("a whole number from 0 to 1000000")
    return found


def switch(value: object) -> bool:
    """True or false, or a text or a number of it, as Go's ParseBool reads them."""
    found = str(value).strip().lower() if isinstance(value, (bool, int, str)) else ""
    if found not in YES and found not in NO:
        raise WrongValueError("true or false")
    return found in YES


def duration(value: object) -> float:
    """Seconds, from a number of them or a text such as ``1m30s``."""
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            return seconds_of(str(value))
        except ValueError:
            pass
    raise WrongValueError("a duration such as 10s or 1m30s")


def section(value: object) -> Mapping[str, Any]:
    """A mapping; nothing at all counts as an empty one."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return value
    raise WrongValueError("a section")


def sections(value: object) -> tuple[object, ...]:
    """A list, whose members are read one by one."""
    if isinstance(value, (list, tuple)):
        return tuple(value)
    raise WrongValueError("a list of sections")


def dialect(value: object) -> str:
    """The manner in which a rule is written."""
    found = text(value).lower()
    if found not in ("v1", "v2", "v3"):
        raise WrongValueError("v2 or v3")
    return found


def tls(value: object) -> bool:
    """Whether a router is for TLS. Being there is enough; only false switches it off."""
    return bool(switch(value)) if isinstance(value, (bool, str)) else section(value) is not None


def without_default_options(tls: Mapping[str, Any]) -> dict[str, Any]:
    """The section ``tls`` of a router: the options named default are those it has anyway."""
    return {
        key: value
        for key, value in tls.items()
        if key.lower() != "options" or not isinstance(value, str) or meant_options(value)
    }


def meant_options(written: str) -> str:
    """The name of TLS options as a router refers to them; empty for those named default, and for none."""
    name = written.strip()
    return "" if name.partition("@")[0] == "default" else name


def server_url(value: object) -> str:
    """An absolute URL with a port, without a slash at its end."""
    found = text(value)
    example = "like http://10.0.0.2:80"
    try:
        parts = urlsplit(found)
        port = parts.port
    except ValueError as error:
        raise WrongValueError(f"a URL {example}", str(error)) from error
    scheme = parts.scheme.lower()
    if not parts.hostname or scheme not in SERVER_PORTS or port == 0 or not found.isprintable():
        hint = f"write http://{found}" if "//" not in found else ""
        raise WrongValueError(f"a URL with http, https or h2c, {example}", hint)
    if parts.username is not None or parts.query or parts.fragment or " " in found:
        raise WrongValueError(f"a URL without user, query and blanks, {example}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{scheme}://{host}:{port or SERVER_PORTS[scheme]}{parts.path.rstrip('/')}"


READERS: Mapping[str, Callable[[object], Any]] = {
    "text": text,
    "list": names,
    "number": whole_number,
    "weight": weight,
    "switch": switch,
    "duration": duration,
    "section": section,
    "sections": sections,
    "dialect": dialect,
    "tls": tls,
    "url": server_url,
}

ROUTER = (
    Key("rule", "text", "Which requests it takes, like ``Host(`a.example`)``.", "rule", required=True),
    Key("service", "text", "Where its requests go: ``web``, or ``web@docker``.", "service", required=True),
    Key("entryPoints", "list", "Where they come in; none: by default.", "entry_points", (), restricts=True),
    Key("middlewares", "list", "What is done to them, in this order.", "middlewares", (), restricts=True),
    Key("priority", "number", "The highest is asked first; 0: the length of the rule.", "priority", 0),
    Key("ruleSyntax", "dialect", "The manner the rule is written in, v2 or v3.", "dialect", "v3"),
    Key("tls", "tls", "Takes requests over TLS only; else plain ones only.", "tls", False, restricts=True),
    Key("observability", "section", "What is logged and measured of it.", "access_log"),
    Key("parentRefs", "list", "Routers that hand their requests on to this one.", restricts=True),
)

OBSERVABILITY = (
    Key("accessLogs", "switch", "Write its requests into the access log.", "access_log"),
    Key("metrics", "switch", "Count its requests."),
    Key("tracing", "switch", "Send traces of its requests."),
    Key("traceVerbosity", "text", "How much they say."),
)

TLS = (
    Key("certResolver", "text", "Who gets its certificates."),
    Key("options", "text", "Name of a set of TLS options.", "tls_options", "", restricts=True),
    Key("domains", "sections", "The names its certificates are for."),
)

#: What is done without a key that has no effect yet.
MEANWHILE: Mapping[str, str] = dict.fromkeys(
    ("certresolver", "domains"),
    "it answers over TLS, with a certificate that a file gives for its name, or else with a generated one",
) | {"metrics": "its requests are counted as all others are", "tracing": "no traces are sent"}

CERTIFICATE = (
    Key(
        "certFile",
        "text",
        "Path of the certificate and those above it, or their PEM text.",
        "chain",
        required=True,
    ),
    Key("keyFile", "text", "Path of its private key, or the PEM text of it.", "key", required=True),
    Key("stores", "list", "Where it is kept; there is one store, default.", "stores"),
)

LOAD_BALANCER = (
    Key("servers", "sections", "Where requests go.", "servers", ()),
    Key("strategy", "text", "How servers take turns.", "strategy", "wrr", always=True),
    Key("passHostHeader", "switch", "Send the client's Host on.", "pass_host_header", True, always=True),
    Key("sticky", "section", "Keep a client with its server by a cookie.", "sticky"),
    Key("healthCheck", "section", "Ask servers how they are.", "health_check"),
    Key("passiveHealthCheck", "section", "Leave out servers that fail.", "passive_health"),
    Key(
        "responseForwarding", "section", "How often answers are flushed.", "flush_interval", 0.1, always=True
    ),
    Key("serversTransport", "text", "How servers are connected to.", "transport", "", restricts=True),
)

#: What stands beside the type of a service, whichever that is (Traefik 3.6).
SERVICE = (Key("middlewares", "list", "Middlewares of the service.", "middlewares", (), restricts=True),)

SERVER = (
    Key("url", "url", "Scheme, host and port.", "url", required=True),
    Key("weight", "weight", "Its share; 0: none.", "weight", 1),
    Key("preservePath", "switch", "Put the path of the URL in front.", "preserve_path", False),
)

#: The types of service.
SERVICE_TYPES = ("loadBalancer", "weighted", "mirroring", "failover", "highestRandomWeight")

_TYPES = """addPrefix basicAuth buffering chain circuitBreaker compress contentType digestAuth encodedCharacters
    errors forwardAuth grpcWeb headers inFlightReq ipAllowList ipWhiteList passTLSClientCert rateLimit redirectRegex
    redirectScheme replacePath replacePathRegex retry stripPrefix stripPrefixRegex plugin"""

#: Every type of middleware that Traefik has, in its spelling. Not all of them are here yet.
MIDDLEWARE_TYPES: Mapping[str, str] = {name.lower(): name for name in _TYPES.split()}

#: The same with those that stand here for what Traefik 1 did without a middleware.
SPELLED_TYPES: Mapping[str, str] = {
    **MIDDLEWARE_TYPES,
    "redirectentrypoint": "redirectEntryPoint",
    "redirecttrailingslash": "redirectTrailingSlash",
}


def no_such_type(name: str, written: str, running: Iterable[str]) -> ConfigurationError:
    """What to raise for a middleware of a type that nobody makes; ``running`` are those that somebody does."""
    where, right = f"middleware {name}", MIDDLEWARE_TYPES.get(written.lower())
    if right:
        return ConfigurationError(where, f"type {right} is understood, but not supported in this version")
    known = dict.fromkeys((*running, *MIDDLEWARE_TYPES.values()))
    return ConfigurationError(where, f"there is no middleware type {written}", did_you_mean(written, known))


#: Sections of a document, of its ``http`` and ``tls`` sections, and of a store. Not all are read so far.
DOCUMENT = ("http", "tcp", "udp", "tls")
TLS_SECTIONS = ("certificates", "options", "stores")
STORE = ("defaultCertificate", "defaultGeneratedCert")
HTTP = ("routers", "services", "middlewares", "serversTransports")

#: Keys that belong elsewhere: to the settings read at start, or below ``http``.
STRANGERS: Mapping[str, str] = {
    **dict.fromkeys(
        ("entrypoints", "providers", "api", "log", "accesslog", "metrics", "ping", "certificatesresolvers"),
        "it belongs to the settings read at start, not to a file of routes",
    ),
    **dict.fromkeys(("routers", "services", "middlewares"), "it belongs below http"),
}
