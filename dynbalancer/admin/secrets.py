"""What is secret in labels and settings is not shown: passwords and their hashes, tokens, cookies, keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "********"

_secret_key = re.compile(
    r"(?:password|passwd|secret|token|api-?key|private-?key|authorization|proxy-authorization|cookie|credentials"
    r"|x-api-key|x-auth-token)s?\Z",
    re.IGNORECASE,
).search
_user_list_key = re.compile(r"(?:\A|[.])(?:users?|basic|digest)\Z", re.IGNORECASE).search
# v1 writes many header fields into one label: Name:value||Name:value.
_secret_field = re.compile(
    r"((?:\A|\|\|)\s*(?:proxy-)?(?:authorization|cookie|x-api-key|x-auth-token)\s*:)[^|]*", re.IGNORECASE
)
_userinfo = re.compile(r"(://[^/\s:@]*):[^/\s@]*@")


def redacted(key: str, value: Any) -> Any:
    """The value of a label or setting as it may be shown; of a user list the names stay."""
    if isinstance(value, Mapping):
        return {str(name): redacted(str(name), inner) for name, inner in value.items()}
    if _secret_key(key) and str(value).lower() not in ("true", "false"):
        return HIDDEN
    if isinstance(value, (list, tuple)):
        return [redacted(key, inner) for inner in value]
    if not isinstance(value, str):
        return value
    if _user_list_key(key):
        return ",".join(_name_only(entry) for entry in value.split(","))
    return _userinfo.sub(rf"\1:{HIDDEN}@", _secret_field.sub(rf"\1{HIDDEN}", value))


def _name_only(entry: str) -> str:
    name, colon, _ = entry.partition(":")
    return f"{name}:{HIDDEN}" if colon else name
