"""What v1's frontend labels do to requests beside routing them: who is let in, redirects, header fields, limits.

Each becomes a middleware. :data:`ORDER` is Traefik v1's, but that who is let in, redirects and header fields stand in
front of what the rule does to the path: v1 undid that for redirects, and a digest is made for the path that the client
knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from dynbalancer.core.labels.findings import Findings, Label
from dynbalancer.core.labels.sheet import Fields
from dynbalancer.core.labels.v1auth import auth
from dynbalancer.core.labels.v1backend import EXTRACTORS, is_extractor
from dynbalancer.core.labels.v1rules import Modifier
from dynbalancer.core.labels.values import boolean, csv, duration, integer, is_boolean, pairs, text

#: In which order the middlewares of a v1 router see its requests.
ORDER = (
    "redirectTrailingSlash",
    *("errors", "ipWhiteList", "redirectEntryPoint", "redirectRegex", "headers", "basicAuth", "digestAuth"),
    *("stripPrefixRegex", "stripPrefix", "addPrefix", "replacePathRegex", "replacePath"),
    *("passTLSClientCert", "forwardAuth", "circuitBreaker", "buffering", "inFlightReq", "rateLimit"),
)

_HEADERS = "frontend.headers."
_CERTIFICATE = "frontend.passTLSClientCert."
_MOST = 2**63 - 1
_named = re.compile(r"frontend\.(errors|rateLimit\.rateSet)\.([^.]+)\.\w+").fullmatch

_MAPS = ("customRequestHeaders", "customResponseHeaders", "SSLProxyHeaders")
_LISTS = ("allowedHosts", "hostsProxyHeaders")
_SWITCHES = (
    *("SSLRedirect", "SSLTemporaryRedirect", "SSLForceHost", "STSIncludeSubdomains", "STSPreload"),
    *("forceSTSHeader", "frameDeny", "contentTypeNosniff", "browserXSSFilter", "isDevelopment"),
)
_TEXTS = (
    *("SSLHost", "customFrameOptionsValue", "customBrowserXSSValue", "contentSecurityPolicy"),
    *("publicKey", "referrerPolicy"),
)
#: A value of these that can't be read must not open what they close: the middleware refuses it.
_CLOSING = ("SSLRedirect", "SSLForceHost", "allowedHosts")


def options_of(fields: Fields, findings: Findings) -> tuple[Modifier, ...]:
    """The middlewares that the frontend labels ask for."""
    made = (_white_list, _redirect, _headers, auth, _client_certificate, _rate_limit)
    options = (option for make in made if (option := make(fields, findings)) is not None)
    return (*_error_pages(fields, findings), *options)


def keeps_out(options: Iterable[Modifier]) -> bool:
    """Whether one of them keeps requests out."""
    closing = {key.lower() for key in _CLOSING}
    return any(
        option.type in ("ipWhiteList", "basicAuth", "digestAuth", "forwardAuth")
        or (option.type == "headers" and any(key.lower() in closing for key in option.settings))
        for option in options
    )


def _white_list(fields: Fields, findings: Findings) -> Modifier | None:
    label = fields.get("frontend.whiteList.sourceRange")
    forwarded = boolean(fields.get("frontend.whiteList.useXForwardedFor"), False, findings)
    if label is None:
        label, forwarded = fields.get("frontend.whitelistSourceRange"), False
    if label is None:
        return None
    settings = {"sourceRange": csv(text(label)), "useXForwardedFor": forwarded}
    return Modifier("ipWhiteList", settings, f"label {label.key}")


def _redirect(fields: Fields, findings: Findings) -> Modifier | None:
    regex, replacement = (fields.get(f"frontend.redirect.{key}") for key in ("regex", "replacement"))
    given = regex or replacement
    target = fields.get("frontend.redirect.entryPoint")
    permanent = boolean(fields.get("frontend.redirect.permanent"), False, findings)
    if target is not None:
        if given is not None:
            findings.label(given.key, "not used: redirect.entryPoint goes before it", severity="warning")
        settings = {"entryPoint": text(target), "permanent": permanent}
        return Modifier("redirectEntryPoint", settings, f"label {target.key}")
    if given is None:
        return None
    if regex is None or replacement is None:
        missing = "replacement" if replacement is None else "regex"
        other = f"{given.key.rpartition('.')[0]}.{missing}"
        findings.label(given.key, f"not used without label {other}", f"add label {other}=…")
        return None
    settings = {"regex": text(regex), "replacement": text(replacement), "permanent": permanent}
    if "{{" in replacement.value:
        # Only v1 knows templates there.
        settings["dialect"] = "v1"
    return Modifier("redirectRegex", settings, f"label {regex.key}")


def _headers(fields: Fields, findings: Findings) -> Modifier | None:
    settings: dict[str, Any] = {}
    first = ""
    for key in (*_MAPS, *_LISTS, *_SWITCHES, *_TEXTS, "STSSeconds"):
        label = fields.get(_HEADERS + key)
        if label is None:
            continue
        value = _header_option(key, label, findings)
        if value:
            first = first or label.key
            settings[key[:3].lower() + key[3:] if key[:3].isupper() else key] = value
    return Modifier("headers", settings, f"label {first}") if settings else None


def _header_option(key: str, label: Label, findings: Findings) -> Any:
    if key in _MAPS:
        return pairs(label, findings)
    if key in _LISTS:
        return csv(text(label))
    if key == "STSSeconds":
        return integer(label, 0, findings, 0, 2**62)
    if key in _TEXTS or (key in _CLOSING and not is_boolean(text(label))):
        return text(label)
    return boolean(label, False, findings)


def _error_pages(fields: Fields, findings: Findings) -> list[Modifier]:
    found = []
    for name, labels in _by_name(fields, "errors").items():
        first = next(iter(labels.values()))
        missing = [key for key in ("status", "backend", "query") if key not in labels]
        if missing:
            stem = first.key.rpartition(".")[0]
            findings.label(first.key, f"not used without label {stem}.{missing[0]}")
            continue
        settings = {
            "status": csv(text(labels["status"])),
            # The name as it is in labels; :mod:`pools` puts the service in its place.
            "service": text(labels["backend"]),
            "query": text(labels["query"]),
        }
        found.append(Modifier("errors", settings, f"label {labels['status'].key}", name))
    return found


def _rate_limit(fields: Fields, findings: Findings) -> Modifier | None:
    extractor, sets = fields.get("frontend.rateLimit.extractorFunc"), _by_name(fields, "rateLimit.rateSet")
    if extractor is None:
        for labels in sets.values():
            first = next(iter(labels.values()))
            other = f"{first.key.partition('.rateLimit.')[0]}.rateLimit.extractorFunc"
            findings.label(first.key, f"not used without label {other}", f"write {EXTRACTORS}")
        return None
    written = text(extractor)
    if not is_extractor(written):
        why = f"{written!r} is unknown; requests are not limited"
        findings.label(extractor.key, why, f"write {EXTRACTORS}")
        return None
    rates = {name: rate for name, labels in sets.items() if (rate := _rate(labels, findings))}
    if not rates:
        why = "there is no rate to hold; requests are not limited"
        findings.label(extractor.key, why, f"add label {extractor.key.rpartition('.')[0]}.rateSet.NAME.…")
        return None
    settings = {"dialect": "v1", "extractorFunc": written, "rateSet": rates}
    return Modifier("rateLimit", settings, f"label {extractor.key}")


def _rate(labels: Fields, findings: Findings) -> dict[str, Any]:
    """Period in seconds, average and burst; nothing where one of them is missing or wrong."""
    first = next(iter(labels.values()))
    missing = [key for key in ("period", "average", "burst") if key not in labels]
    if missing:
        findings.label(first.key, f"not used without label {first.key.rpartition('.')[0]}.{missing[0]}")
        return {}
    period = duration(labels["period"], findings)
    average, burst = (integer(labels[key], None, findings, 1, _MOST) for key in ("average", "burst"))
    if not period or average is None or burst is None:
        if period == 0:
            findings.label(labels["period"].key, "a period of nothing; this rate is left out")
        return {}
    return {"period": period, "average": average, "burst": burst}


def _client_certificate(fields: Fields, findings: Findings) -> Modifier | None:
    settings: dict[str, Any] = {}
    first = ""
    for key, label in fields.items():
        if not key.startswith(_CERTIFICATE) or not boolean(label, False, findings):
            continue
        first = first or label.key
        *sections, option = key.removeprefix(_CERTIFICATE).split(".")
        level = settings
        for section in sections:
            # v3 has it in the singular.
            level = level.setdefault("info" if section == "infos" else section, {})
        level[option] = True
    if not settings:
        return None
    return Modifier("passTLSClientCert", {**settings, "dialect": "v1"}, f"label {first}")


def _by_name(fields: Fields, kind: str) -> dict[str, Fields]:
    """Labels that have a name of the user's in them, by that name and their last word."""
    found: dict[str, Fields] = {}
    for key, label in fields.items():
        named = _named(key)
        if named and named[1] == kind:
            found.setdefault(named[2], {})[key.rpartition(".")[2]] = label
    return found
