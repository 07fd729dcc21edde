"""Variables in compose files, replaced as compose does, and the ``$`` that it takes for one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

#: The beginning of a password's hash whose ``$`` were not doubled: bcrypt, MD5 and SHA of crypt.
_HASH = re.compile(r":\$(?:apr1|2[abxy]?|1|5|6)\$(?!\$)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: How deep defaults may hold variables: ``${A:-${B:-b}}``.
_DEEPEST = 8


@dataclass(slots=True)
class Filled:
    """A text with its variables replaced.

    ``unset`` are variables without a value and without a default, ``demanded`` those that must be set
    (``${NAME:?why}``) and are not, with the reason; ``bad`` is where a ``$`` stands that compose refuses.
    """

    text: str = ""
    unset: list[str] = field(default_factory=list)
    demanded: list[tuple[str, str]] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)


def filled(text: str, environ: Mapping[str, str]) -> Filled:
    """``$NAME``, ``${NAME}``, ``${NAME:-default}``, ``${NAME:?error}`` and ``${NAME:+other}`` replaced, ``$$`` too."""
    found = Filled()
    found.text = _filled(text, environ, found, _DEEPEST)
    return found


def loses_a_hash(text: str) -> bool:
    """Whether a password's hash is written with single ``$``, so that compose eats parts of it."""
    return _HASH.search(text) is not None


def _filled(text: str, environ: Mapping[str, str], found: Filled, depth: int) -> str:
    pieces: list[str] = []
    at = 0
    while (dollar := text.find("$", at)) >= 0:
        pieces.append(text[at:dollar])
        following = text[dollar + 1 : dollar + 2]
        name = _NAME.match(text, dollar + 1)
        end = _closing(text, dollar + 2) if following == "{" else -1
        if following == "$":
            pieces.append("$")
            at = dollar + 2
        elif name is not None:
            pieces.append(_value(name[0], environ, found))
            at = name.end()
        elif end > 0 and (inner := _NAME.match(text, dollar + 2)) and depth:
            rest = text[inner.end() : end]
            pieces.append(_braced(inner[0], rest, environ, found, depth))
            at = end + 1
        else:
            found.bad.append(text[dollar : dollar + 8])
            pieces.append("$")
            at = dollar + 1
    return "".join((*pieces, text[at:]))


def _closing(text: str, start: int) -> int:
    depth = 1
    for at in range(start, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if not depth:
            return at
    return -1


def _value(name: str, environ: Mapping[str, str], found: Filled) -> str:
    if name not in environ:
        found.unset.append(name)
    return environ.get(name, "")


def _braced(name: str, rest: str, environ: Mapping[str, str], found: Filled, depth: int) -> str:
    sign, word = (rest[:2], rest[2:]) if rest[:1] == ":" else (rest[:1], rest[1:])
    # With a colon an empty value counts as none.
    value = environ.get(name)
    is_set = bool(value) if rest[:1] == ":" else value is not None
    if not rest:
        return _value(name, environ, found)
    if sign in ("-", ":-"):
        return value or "" if is_set else _filled(word, environ, found, depth - 1)
    if sign in ("+", ":+"):
        return _filled(word, environ, found, depth - 1) if is_set else ""
    if sign in ("?", ":?"):
        if not is_set:
            found.demanded.append((name, word))
        return value or ""
    found.bad.append(f"${{{name}{rest}}}"[:8])
    return ""


def variables_in(text: str) -> dict[str, str]:
    """What a file ``.env`` beside a compose file says."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not equals or not _NAME.fullmatch(name.strip()):
            continue
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        else:
            value = value.partition(" #")[0].strip()
        found[name.strip()] = value
    return found
