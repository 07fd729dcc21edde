"""The keys of a health check (Traefik v3's ``loadBalancer.healthCheck``), and what their values may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dynbalancer.core.fields import CONTROLS, TOKEN, Kind, learn
from dynbalancer.core.model import HealthCheck
from dynbalancer.core.schema import Key, WrongValueError, duration, section, text, whole_number
from dynbalancer.core.targets import normal_host, split_target
from dynbalancer.errors import RequestError


def wait(value: object) -> float:
    """Seconds, more than none."""
    found = duration(value)
    if not found:
        raise WrongValueError("a duration above zero, such as 10s")
    return found


def port(value: object) -> int:
    """The number of a port; 0: none."""
    found = whole_number(value)
    if not 0 <= found <= 65535:
        raise WrongValueError("a port from 1 to 65535")
    return found


def scheme(value: object) -> str:
    """How a server is spoken to."""
    found = text(value).lower()
    if found not in ("http", "https"):
        raise WrongValueError("http or https")
    return found


def status(value: object) -> int:
    """A status of an answer; 0: none in particular."""
    found = whole_number(value)
    if found and not 200 <= found <= 599:
        raise WrongValueError("a status from 200 to 599")
    return found


def method(value: object) -> str:
    """A method of HTTP, in capitals."""
    found = text(value).upper()
    if not found.isascii() or found.encode().translate(None, TOKEN) or found == "CONNECT":
        raise WrongValueError("a method such as GET or HEAD")
    return found


def host(value: object) -> str:
    """A name or an address, as a Host field has it."""
    found = text(value)
    try:
        normal_host(found.encode("ascii"))
    except (RequestError, UnicodeEncodeError) as error:
        raise WrongValueError("a host name such as a.example") from error
    return found


def check_path(value: object) -> str:
    """Path and query to ask a server itself for, never somebody else (Traefik 3.6.8 refuses that too)."""
    found = text(value)
    if "://" in found.partition("?")[0] or found.startswith("//"):
        raise WrongValueError(
            "a path such as /health", "the server itself is asked: leave scheme and host out"
        )
    found = found if found.startswith("/") else f"/{found}"
    try:
        split_target(found.encode("ascii"))
    except (RequestError, UnicodeEncodeError) as error:
        raise WrongValueError("a path such as /health", getattr(error, "why", "")) from error
    return found


def check_mode(value: object) -> str:
    """How servers are checked."""
    found = text(value).lower()
    if found == "grpc":
        raise WrongValueError("http", "health checks by gRPC are not supported in this version")
    if found != "http":
        raise WrongValueError("http")
    return found


def header_fields(value: object) -> tuple[tuple[str, str], ...]:
    """A section of header fields that may be sent, in order."""
    return tuple((name, _field_value(name, found)) for name, found in section(value).items())


def _field_value(name: str, value: object) -> str:
    if not name.isascii() or not name or name.encode().translate(None, TOKEN):
        raise WrongValueError(f"names of header fields, not '{name}'")
    if learn(name.encode())[1] not in (Kind.ORDINARY, Kind.FORWARDED):
        hint = "hostname sets it" if name.lower() == "host" else "it is ours to set"
        raise WrongValueError(f"header fields without {name}", hint)
    if isinstance(value, (bool, type(None), Mapping, list, tuple)):
        raise WrongValueError(f"a text for {name}")
    found = str(value).strip(" \t")
    if found.encode().translate(None, CONTROLS) != found.encode():
        raise WrongValueError(f"no control characters in {name}")
    return found


def payload(value: object) -> str:
    """Octets to send or to expect, as a text; blanks and line ends belong to it."""
    if not isinstance(value, str) or not value:
        raise WrongValueError("a text that is not empty")
    return value


#: Kinds of values that only these keys have.
READERS: Mapping[str, Callable[[object], Any]] = {
    "wait": wait,
    "port": port,
    "scheme": scheme,
    "status": status,
    "method": method,
    "host": host,
    "path": check_path,
    "mode": check_mode,
    "fields": header_fields,
    "payload": payload,
}

#: Where what says how to ask can't be read, nobody is asked: a wrong question would take good servers out.
HEALTH_CHECK = (
    Key("path", "path", "What is asked for, at the server itself.", "path", required=True),
    Key("scheme", "scheme", "Asked by http or https; none: as the server is.", "scheme", "", restricts=True),
    Key("mode", "mode", "How: http.", "mode", "http", always=True, restricts=True),
    Key(
        "hostname", "host", "The Host field; none: the address of the server.", "hostname", "", restricts=True
    ),
    Key("port", "port", "The port; 0: the server's own.", "port", 0, restricts=True),
    Key("interval", "wait", "How often a server that is up is asked.", "interval", 30.0, always=True),
    Key(
        "unhealthyInterval",
        "wait",
        "The same of one that is down; none: interval.",
        "unhealthy_interval",
        0.0,
    ),
    Key("timeout", "wait", "How long an answer may take.", "timeout", 5.0, always=True),
    Key("method", "method", "The method of the request.", "method", "GET", restricts=True),
    Key("status", "status", "The status that is good; 0: any 2xx or 3xx.", "status", 0, restricts=True),
    Key(
        "followRedirects",
        "switch",
        "Go where the server sends us, at the same server.",
        "follow_redirects",
        True,
        always=True,
    ),
    Key("headers", "fields", "Header fields of the request.", "headers", (), restricts=True),
)


#: The same of a TCP service; :func:`tcp_check` makes something of it.
TCP_HEALTH_CHECK = (
    Key("port", "port", "The port; 0: the server's own.", "port", 0, restricts=True),
    Key("send", "payload", "What is sent once connected.", "send", "", restricts=True),
    Key("expect", "payload", "What the server has to say first.", "expect", "", restricts=True),
    *(key for key in HEALTH_CHECK if key.name in ("interval", "unhealthyInterval", "timeout")),
)


def tcp_check(**given: Any) -> HealthCheck:
    """A check by connecting, out of attributes of :data:`TCP_HEALTH_CHECK`."""
    return HealthCheck(mode="tcp", **given)


def doubts(check: HealthCheck, given: Iterable[str]) -> tuple[tuple[str, str, str], ...]:
    """What is odd about a check, as (key, why, severity). ``given`` are the attributes that somebody wrote.

    Traefik 3 takes a timeout above the interval as it is; 2 warned of it.
    """
    if check.timeout < check.interval:
        return ()
    why = (
        f"{check.timeout:g}s is not less than the interval, {check.interval:g}s: "
        "a server that does not answer is found out later, for it is asked one thing at a time"
    )
    return (("timeout", why, "warning" if "timeout" in given else "info"),)
