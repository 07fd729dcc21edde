"""What the texts of settings say: each function gives the value, or raises ValueError with what is wrong in words."""

from __future__ import annotations

import ipaddress
import re

_TRUE = frozenset({"1", "t", "true", "yes", "on", "enable"})
_FALSE = frozenset({"0", "f", "false", "no", "off", "disable"})
_LEVELS = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "warn": "warn",
    "warning": "warn",
    "error": "error",
    "fatal": "critical",
    "panic": "critical",
    "critical": "critical",
}


def boolean(text: str) -> bool:
    """As Go reads them (``1``, ``t``, ``true`` …), and ``yes``, ``on``."""
    word = text.strip().lower()
    if word in _TRUE or not word:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def is_boolean_word(text: str) -> bool:
    """Whether this can only be the value of a switch."""
    return text.strip().lower() in _TRUE | _FALSE


def size(text: str) -> int:
    """A whole number, ``k`` and ``m`` allowed after it."""
    match = re.fullmatch(r"(\d{1,15})([km]?)", text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is not a whole number such as 32768 or 32k")
    return int(match[1]) * {"": 1, "k": 1024, "m": 1048576}[match[2]]


def count(text: str) -> int:
    """A whole number from 1 up."""
    if not re.fullmatch(r"\d{1,9}", text.strip()) or int(text) < 1:
        raise ValueError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def workers(text: str) -> int:
    """A number of worker processes, -1 for ``auto``."""
    if text.strip().lower() == "auto":
        return -1
    if not re.fullmatch(r"\d{1,3}", text.strip()):
        raise ValueError(f"{text!r} is neither auto nor a number of processes from 0 to 999")
    return int(text)


def entry_address(text: str) -> tuple[str, int, bool]:
    """The same, and whether it is for datagrams: ``:53/udp``."""
    plain, _, transport = text.strip().partition("/")
    if transport.lower() not in ("", "tcp", "udp"):
        raise ValueError(f"{text!r} wants {transport}; write nothing, /tcp or /udp after the port")
    return *address(plain), transport.lower() == "udp"


def address(text: str) -> tuple[str, int]:
    """Host (empty: every address) and port, from ``:80``, ``127.0.0.1:80``, ``[::1]:80`` or ``80``."""
    plain, _, transport = text.strip().partition("/")
    if transport.lower() not in ("", "tcp"):
        raise ValueError(f"{text!r} wants {transport}; only tcp is possible here")
    host, colon, port = plain.rpartition(":")
    if not re.fullmatch(r"\d{1,5}", port) or int(port) > 65535:
        raise ValueError(f"{text!r} is not an address such as :80 or 127.0.0.1:8000")
    if host.startswith("[") and host.endswith("]"):
        return str(ipaddress.IPv6Address(host[1:-1])), int(port)
    if ":" in host or "/" in host or " " in host or (colon and "]" in host):
        raise ValueError(f"{text!r} is not an address; an IPv6 host needs brackets, as in [::1]:80")
    return ("" if host in ("", "*") else host), int(port)


def certificates(text: str) -> tuple[tuple[str, str], ...] | None:
    """Pairs of files as in Traefik 1: ``cert.pem,key.pem;other.pem,other.key``. Empty for true, None for false."""
    try:
        return () if boolean(text) else None
    except ValueError:
        pass
    pairs = [tuple(part.strip() for part in pair.split(",")) for pair in text.split(";") if pair.strip()]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):
        raise ValueError(
            f"{text!r} is neither true, false, nor pairs of files: CERTIFICATE,KEY;CERTIFICATE,KEY"
        )
    return tuple((chain, key) for chain, key in pairs)


def network(text: str) -> str:
    """An IP address or network, in its usual form."""
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address or network such as 10.0.0.0/8") from None


def level(text: str) -> str:
    """A log level, Traefik's words accepted."""
    if text.strip().lower() not in _LEVELS:
        raise ValueError(f"{text!r} is not a log level; use debug, info, warn, error or critical")
    return _LEVELS[text.strip().lower()]


def plain(text: str) -> str:
    """The text as it is."""
    return text


def base_path(text: str) -> str:
    """A path without a slash at its end: nothing for the whole site."""
    path = text.strip().rstrip("/")
    if not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)*", path):
        raise ValueError(f"{text!r} is not a path such as /traefik")
    return path


def redirect_scheme(text: str) -> str:
    """What a redirect leads to."""
    if text.strip().lower() not in ("http", "https"):
        raise ValueError(f"{text!r} is neither http nor https")
    return text.strip().lower()


def log_path(text: str) -> str:
    """A file, empty for standard output: whoever gave up root may not open that by its name."""
    return "" if text.strip() == "/dev/stdout" else text


def syntax(text: str) -> str:
    """Which of Traefik's languages a rule is in."""
    if text.strip().lower() not in ("v2", "v3"):
        raise ValueError(f"{text!r} is neither v2 nor v3")
    return text.strip().lower()


def whole(text: str) -> int:
    """A whole number, negative ones too."""
    if not re.fullmatch(r"[+-]?\d{1,19}", text.strip()):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)
