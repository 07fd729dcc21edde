"""v1's labels about a backend as a whole: how its servers take turns, and what protects them from too much."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import Any

from dynbalancer.core.labels.findings import Findings
from dynbalancer.core.labels.sections import section_of
from dynbalancer.core.labels.sheet import Fields
from dynbalancer.core.labels.v1rules import Modifier
from dynbalancer.core.labels.values import boolean, choice, duration, integer, pairs, text
from dynbalancer.core.model import SHOWING_CERTIFICATES, HealthCheck, Sticky
from dynbalancer.core.schema import WrongValueError
from dynbalancer.core.sections import READERS

_MOST = 2**63 - 1
_SIZES = ("maxRequestBodyBytes", "memRequestBodyBytes", "maxResponseBodyBytes", "memResponseBodyBytes")
_header_name = re.compile(r"request\.header\.([!#$%&'*+.^_`|~0-9A-Za-z-]+)").fullmatch
_no_token = re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]").sub
_HEALTH = "backend.healthcheck."
_STICKY = "_TRAEFIK_BACKEND"
_STICKINESS = "backend.loadbalancer.stickiness"
EXTRACTORS = "client.ip, request.host or request.header.NAME"


def options_of(fields: Fields, findings: Findings) -> tuple[Modifier, ...]:
    """The middlewares that the backend labels ask for. Those of the backend's first container count."""
    made = (_circuit_breaker, _buffering, _max_conn)
    return tuple(option for make in made if (option := make(fields, findings)) is not None)


def terms_of(fields: Fields, backend: str, findings: Findings) -> dict[str, Any]:
    """What the labels say of the service itself, by the names of the fields of :class:`model.Service`."""
    terms: dict[str, Any] = {}
    sticky = _sticky(fields, backend, findings)
    if sticky is not None:
        terms["sticky"] = sticky
    check = _health_check(fields, findings)
    if check is not None:
        terms["health_check"] = check
    flush = duration(fields.get("backend.responseForwarding.flushInterval"), findings)
    if flush:
        terms["flush_interval"] = flush
    return terms


def transport_of(fields: Fields, findings: Findings) -> str:
    """The serversTransport that a frontend asks for: the certificates of the entry points are shown to its servers."""
    return SHOWING_CERTIFICATES if boolean(fields.get("frontend.passTLSCert"), False, findings) else ""


def _health_check(fields: Fields, findings: Findings) -> HealthCheck | None:
    # v1 writes all header fields into one label.
    own = {key: label for key, label in fields.items() if key != f"{_HEALTH}headers"}
    check: HealthCheck | None = section_of("healthCheck", _HEALTH, own, findings)
    if check is None:
        return None
    headers = fields.get(f"{_HEALTH}headers")
    sent: tuple[tuple[str, str], ...] = ()
    if headers is not None:
        try:
            sent = READERS["fields"](pairs(headers, findings))
        except WrongValueError as wrong:
            # What answers to a wrong question says nothing about a server.
            findings.label(headers.key, f"expected {wrong.expected}; servers are not checked", wrong.hint)
            return None
    return replace(check, headers=sent, follow_redirects=False)


def _sticky(fields: Fields, backend: str, findings: Findings) -> Sticky | None:
    options = [label for key, label in fields.items() if key.startswith(f"{_STICKINESS}.")]
    if not boolean(fields.get(_STICKINESS), False, findings):
        if options:
            why = f"not used without label traefik.{_STICKINESS}=true"
            findings.label(options[0].key, why, severity="warning")
        older = boolean(fields.get("backend.loadbalancer.sticky"), False, findings)
        return Sticky(_STICKY) if older else None
    same_site = fields.get(f"{_STICKINESS}.sameSite")
    return Sticky(
        _no_token("_", text(fields.get(f"{_STICKINESS}.cookieName"))) or cookie_name(backend),
        boolean(fields.get(f"{_STICKINESS}.secure"), False, findings),
        boolean(fields.get(f"{_STICKINESS}.httpOnly"), False, findings),
        choice(same_site, "", ("none", "lax", "strict"), findings),
    )


def cookie_name(backend: str) -> str:
    """The cookie that v1 makes for a backend of Docker: it depends on nothing but the backend's name."""
    key = f"{_STICKY}_backend-{backend}"
    return f"_{hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest()[:5]}"


def is_extractor(written: str) -> bool:
    """Whether this says what tells one client from another (the oxy functions of Traefik v1)."""
    return written in ("client.ip", "request.host") or _header_name(written) is not None


def _circuit_breaker(fields: Fields, findings: Findings) -> Modifier | None:
    label = fields.get("backend.circuitbreaker.expression")
    if label is None:
        return None
    return Modifier("circuitBreaker", {"expression": text(label)}, f"label {label.key}")


def _buffering(fields: Fields, findings: Findings) -> Modifier | None:
    given = [label for key, label in fields.items() if key.startswith("backend.buffering.")]
    if not given:
        return None
    settings: dict[str, Any] = {}
    for name in _SIZES:
        size = integer(fields.get(f"backend.buffering.{name}"), 0, findings, 0, _MOST)
        if size:
            settings[name] = size
    expression = text(fields.get("backend.buffering.retryExpression"))
    if expression:
        settings["retryExpression"] = expression
    return Modifier("buffering", settings, f"label {given[0].key}")


def _max_conn(fields: Fields, findings: Findings) -> Modifier | None:
    label = fields.get("backend.maxconn.amount")
    extractor = fields.get("backend.maxconn.extractorfunc")
    if label is None:
        if extractor is not None:
            findings.label(extractor.key, "not used without label traefik.backend.maxconn.amount")
        return None
    amount = integer(label, None, findings, 0, _MOST)
    if not amount:
        return None
    written = text(extractor, "request.host")
    if extractor is not None and not is_extractor(written):
        findings.label(extractor.key, f"{written!r} is unknown; request.host is used", f"write {EXTRACTORS}")
        written = "request.host"
    settings = {"dialect": "v1", "amount": amount, "extractorFunc": written}
    return Modifier("inFlightReq", settings, f"label {label.key}")
