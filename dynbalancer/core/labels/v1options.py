"""What v1's frontend labels do to requests beside routing them: who is let in, redirects, header fields, passwords.

Each becomes a middleware, in Traefik v1's order, but in front of what the rule does to the path: v1 undid that for
redirects, and a digest is made for the path that the client knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dynbalancer.core.labels.findings import Findings, Label
from dynbalancer.core.labels.sheet import NOT_YET, Fields
from dynbalancer.core.labels.v1rules import Modifier
from dynbalancer.core.labels.values import boolean, csv, integer, is_boolean, pairs, text

_AUTH = "frontend.auth."
_HEADERS = "frontend.headers."

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
    made = (_white_list, _redirect, _headers, _auth)
    return tuple(option for make in made if (option := make(fields, findings)) is not None)


def keeps_out(options: Iterable[Modifier]) -> bool:
    """Whether one of them keeps requests out."""
    closing = {key.lower() for key in _CLOSING}
    return any(
        option.type in ("ipWhiteList", "basicAuth", "digestAuth")
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
    if given is None:
        return None
    if fields.get("frontend.redirect.entryPoint"):
        findings.label(given.key, "not used: redirect.entryPoint goes before it", severity="warning")
        return None
    if regex is None or replacement is None:
        missing = "replacement" if replacement is None else "regex"
        other = f"{given.key.rpartition('.')[0]}.{missing}"
        findings.label(given.key, f"not used without label {other}", f"add label {other}=…")
        return None
    if "{{" in replacement.value:
        why = f"a template in it {NOT_YET}; the redirect is left out"
        findings.label(replacement.key, why, "write $1, ${name} …, for groups of the regex", "warning")
        return None
    permanent = boolean(fields.get("frontend.redirect.permanent"), False, findings)
    settings = {"regex": text(regex), "replacement": text(replacement), "permanent": permanent}
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


def _auth(fields: Fields, findings: Findings) -> Modifier | None:
    given = [label for key, label in fields.items() if key.startswith(_AUTH) or key == _AUTH[:-1]]
    if not given:
        return None
    digest = not _any(fields, "basic") and _any(fields, "digest")
    kind = "digest" if digest else "basic"
    users = fields.get(f"{_AUTH}{kind}.users") or (None if digest else fields.get(f"{_AUTH}basic"))
    if users is None:
        findings.label(given[0].key, f"names no users; nobody is let in without label auth.{kind}.users")
    other = fields.get(f"{_AUTH}digest.users")
    if other and not digest:
        findings.label(other.key, "not used: auth.basic goes before it", severity="warning")
    # Without users it can't be made, and the router stays closed.
    settings = {
        "users": csv(text(users)),
        "removeHeader": boolean(fields.get(f"{_AUTH}{kind}.removeHeader"), False, findings),
        "headerField": text(fields.get(f"{_AUTH}headerField")),
    }
    return Modifier(f"{kind}Auth", settings, f"label {(users or given[0]).key}")


def _any(fields: Fields, kind: str) -> bool:
    prefix = f"{_AUTH}{kind}"
    return any(key == prefix or key.startswith(f"{prefix}.") for key in fields)
