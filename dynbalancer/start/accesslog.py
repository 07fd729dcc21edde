"""The settings of the access log: what its flags take, and what they make together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from dynbalancer.core.accessfields import NAMES
from dynbalancer.core.settings import AccessLogSettings
from dynbalancer.errors import ConfigurationError, did_you_mean

PREFIX = "accesslog."
FIELD_NAMES, HEADER_NAMES = "accesslog.fields.names", "accesslog.fields.headers.names"

_FORMATS = {"common": "common", "genericclf": "genericCLF", "json": "json"}


class _Chosen(Protocol):
    """The value of a setting, and where it was written."""

    @property
    def value(self) -> Any: ...

    @property
    def where(self) -> str: ...


def log_format(text: str) -> str:
    """``common``, ``genericclf`` or ``json``."""
    word = text.strip().lower()
    if word not in _FORMATS:
        named = ", ".join(_FORMATS.values())
        raise ValueError(f"{text!r} is not a format of the access log; there is {named}")
    return word


def statuses(text: str) -> tuple[int, int]:
    """A range of status codes, both ends in: ``404`` or ``500-599``."""
    match = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", text.strip())
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise ValueError(f"{text!r} is neither a status code nor a range such as 500-599")
    return int(match[1]), int(match[2] or match[1])


def _one_of(*words: str) -> Callable[[str], str]:
    def mode(text: str) -> str:
        word = text.strip().lower()
        if word not in words:
            raise ValueError(f"{text!r} is not one of {', '.join(words)}")
        return word

    return mode


#: What may become of a field, and of a header field or a value in a query.
field_mode = _one_of("keep", "drop")
header_mode = _one_of("keep", "drop", "redact")


def access_log(chosen: Mapping[str, _Chosen]) -> AccessLogSettings | None:
    """The settings out of all values that were chosen, by key; None where no line is to be written."""
    asked = any(key.startswith(PREFIX) for key in chosen)

    def get(key: str, default: Any) -> Any:
        return chosen[key].value if key in chosen else default

    if not get("accesslog", asked):
        return None
    return AccessLogSettings(
        path=get("accesslog.filepath", ""),
        format=get("accesslog.format", "common"),
        batch=get("accesslog.bufferingsize", 0),
        statuses=get("accesslog.filters.statuscodes", ()),
        retried=get("accesslog.filters.retryattempts", False),
        slower_than=get("accesslog.filters.minduration", 0.0),
        fields=get("accesslog.fields.defaultmode", "keep"),
        field_modes=tuple((_field(name, one), one.value) for name, one in _under(FIELD_NAMES, chosen)),
        headers=get("accesslog.fields.headers.defaultmode", ""),
        header_modes=tuple((name, one.value) for name, one in _under(HEADER_NAMES, chosen)),
        query=get("accesslog.fields.queryparameters.defaultmode", ""),
    )


def _under(stem: str, chosen: Mapping[str, _Chosen]) -> Iterator[tuple[str, _Chosen]]:
    for key, one in chosen.items():
        if key.startswith(stem + "."):
            yield key.removeprefix(stem + "."), one


def _field(name: str, one: _Chosen) -> str:
    found = NAMES.get(name.lower())
    if found is None:
        hint = did_you_mean(name, NAMES)
        raise ConfigurationError(one.where, f"the access log has no field {name}", hint)
    return found
