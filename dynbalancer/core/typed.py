"""Settings of middlewares as a file writes them: lists, numbers and switches where labels have nothing but texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dynbalancer.core.model import Middleware

#: Options that are lists in Traefik v3, in small letters; elsewhere a text with commas is one text.
_LISTS = frozenset(
    [
        "prefixes",
        "paths",
        "users",
        "sourcerange",
        "excludedips",
        "middlewares",
        "status",
        "errorrequestheaders",
        "authresponseheaders",
        "authrequestheaders",
        "addauthcookiestoresponse",
        "allowedhosts",
        "hostsproxyheaders",
        "accesscontrolallowheaders",
        "accesscontrolallowmethods",
        "accesscontrolalloworiginlist",
        "accesscontrolalloworiginlistregex",
        "accesscontrolexposeheaders",
        "excludedcontenttypes",
        "includedcontenttypes",
        "encodings",
        "alloworigins",
    ]
)
#: Sections whose values are texts whatever they look like.
_FIELDS = ("customrequestheaders", "customresponseheaders", "sslproxyheaders")
_indexed = re.compile(r"(\w+)\[([0-9]{1,4})\]").fullmatch
_number = re.compile(r"-?[0-9]{1,18}").fullmatch


def typed(middleware: Middleware) -> Middleware:
    """The same with values of their kinds."""
    lists = _LISTS | {"regex"} if middleware.type == "stripPrefixRegex" else _LISTS
    return replace(middleware, settings=_section(middleware.settings, lists))


def _section(settings: Mapping[str, Any], lists: frozenset[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in _gathered(settings).items():
        folded = key.lower()
        if isinstance(value, Mapping):
            found[key] = dict(value) if folded in _FIELDS else _section(value, lists)
        elif folded in lists:
            words = value.split(",") if isinstance(value, str) else value
            found[key] = tuple(word for word in (str(one).strip() for one in words) if word)
        else:
            found[key] = _scalar(value)
    return found


def _gathered(settings: Mapping[str, Any]) -> dict[str, Any]:
    """With one list in the place of ``key[0]``, ``key[1]`` …"""
    found: dict[str, Any] = {}
    members: dict[str, dict[int, Any]] = {}
    for key, value in settings.items():
        match = _indexed(key)
        if match:
            members.setdefault(match[1], {})[int(match[2])] = value
        else:
            found[key] = value
    return found | {key: tuple(value for _, value in sorted(given.items())) for key, given in members.items()}


def _scalar(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    return int(value) if _number(value) else value
