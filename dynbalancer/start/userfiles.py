"""Files of users and passwords that middlewares name: read here, so that workers get entries and open nothing.

A file is read whenever the provider that names it says something new (Traefik reads it when it makes the middleware).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from dynbalancer.core.model import Configuration, Middleware
from dynbalancer.errors import Problem

#: Longest file, in characters.
LONGEST = 1 << 20

_KEY = "usersfile"
#: How many parts of an entry name its user.
_NAMED_BY = {"basicauth": 1, "digestauth": 2}


def with_users(configuration: Configuration, read_text: Callable[[str], str]) -> Configuration:
    """The same with the entries of each ``usersFile`` among ``users``; of two for one user that of the file counts.

    One that can't be read stays where it is, so that its middleware can't be made, and a problem says why.
    """
    found: dict[str, Middleware] = {}
    problems: list[Problem] = []
    for name, middleware in configuration.middlewares.items():
        path = users_file(middleware)
        if not path:
            continue
        try:
            found[name] = _filled(middleware, _entries(read_text(path)))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not text in UTF-8, or too long"
            where = f"middleware {name}" + (f" of {middleware.origin}" if middleware.origin else "")
            problems.append(Problem(where, f"usersFile {path} can't be read: {reason}", "nobody is let in"))
    if not found and not problems:
        return configuration
    return replace(
        configuration,
        middlewares={**configuration.middlewares, **found},
        problems=(*configuration.problems, *problems),
    )


def users_file(middleware: Middleware) -> str:
    """The file of users that a middleware names, or an empty string."""
    if middleware.type.lower() not in _NAMED_BY:
        return ""
    named = (value for key, value in middleware.settings.items() if key.lower() == _KEY)
    return str(next(named, "") or "").strip()


def _entries(text: str) -> Iterator[str]:
    if len(text) > LONGEST:
        raise ValueError(text[:20])
    lines = (line.strip() for line in text.removeprefix("\ufeff").splitlines())
    return (line for line in lines if line and not line.startswith("#"))


def _filled(middleware: Middleware, entries: Iterator[str]) -> Middleware:
    settings: dict[str, Any] = {
        key: value for key, value in middleware.settings.items() if key.lower() not in (_KEY, "users")
    }
    parts = _NAMED_BY[middleware.type.lower()]
    by_user = {tuple(entry.split(":")[:parts]): entry for entry in (*_given(middleware.settings), *entries)}
    return replace(middleware, settings={**settings, "users": tuple(by_user.values())})


def _given(settings: Mapping[str, Any]) -> list[str]:
    given = next((value for key, value in settings.items() if key.lower() == "users"), None) or ()
    words = given.split(",") if isinstance(given, str) else given
    return [str(word).strip() for word in words if str(word).strip()]


def reading(top: str) -> Callable[[str], str]:
    """Reads files, those with a relative path below ``top``."""

    def read_text(path: str) -> str:
        with open(os.path.join(top, path), encoding="utf-8") as file:
            return file.read(LONGEST + 1)

    return read_text
