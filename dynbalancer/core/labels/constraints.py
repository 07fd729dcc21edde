"""Which containers are meant for us, by their labels: Traefik's constraints, in both languages.

v1 compares tags, which a container has in its label ``traefik.tags``: ``tag==api-*,tag!=internal``. v2 and v3 compare
labels: ``Label(`tier`,`web`) && !LabelRegex(`stage`,`^test`)``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Any

from dynbalancer.core.labels.containers import Container
from dynbalancer.core.labels.values import csv
from dynbalancer.core.rules import v3
from dynbalancer.core.rules.matchers import Matcher
from dynbalancer.core.rules.regex import finder
from dynbalancer.core.rules.tree import Meaning
from dynbalancer.errors import ConfigurationError

TAGS = "traefik.tags"

_v1 = re.compile(r"\s*(?P<key>[^=!,()`\"]*?)\s*(?P<sign>==|!=)\s*(?P<glob>[^,]*?)\s*").fullmatch
_like_v1 = re.compile(r"[^(`\"]*?[=!]=").match
_keys = re.compile(r"Label(?:Regex)?\s*\(\s*(?:`([^`]*)`|\"([^\"]*)\")").findall
_LONGEST = 16384


@dataclass(frozen=True, slots=True)
class Constraints:
    """A condition on labels. :meth:`refusal` says why a container doesn't meet it. Equal texts are equal conditions.

    ``keys`` are the labels that an expression looks at, whatever they are called.
    """

    text: str = ""
    fails: Callable[[Mapping[str, str]], str] = field(default=lambda labels: "", compare=False, repr=False)
    keys: frozenset[str] = frozenset()

    @classmethod
    def of(cls, text: str) -> Constraints:
        """Raises ConfigurationError where it can't be read; empty lets everything through."""
        written = text.strip()
        if len(written) > _LONGEST:
            raise ConfigurationError("constraints", f"{len(written)} characters; {_LONGEST} are allowed")
        if not written:
            return cls()
        if _like_v1(written):
            return cls(written, _tags(written))
        return cls(written, _labels(written), frozenset(map("".join, _keys(written))))

    def refusal(self, container: Container) -> str:
        """Why this container is left out, or an empty string."""
        return self.fails(container.labels)


def _tags(text: str) -> Callable[[Mapping[str, str]], str]:
    """v1: each of the conditions with commas between must hold."""
    tests = [_test(piece) for piece in csv(text)]

    def fails(labels: Mapping[str, str]) -> str:
        tags = csv(labels.get(TAGS, ""))
        for written, wanted, fits in tests:
            # == wants one such tag at least, != none at all.
            if any(map(fits, tags)) is not wanted:
                has = f"its tags are {', '.join(tags)}" if tags else f"it has no label {TAGS}"
                return f"it does not meet the constraint {written}: {has}"
        return ""

    return fails


def _test(piece: str) -> tuple[str, bool, Callable[[str], object]]:
    found = _v1(piece)
    if found is None or not found["glob"]:
        raise ConfigurationError("constraints", f"{piece} is not understood", "write tag==NAME or tag!=NAME")
    if found["key"] != "tag":
        hint = "write tag==…, or Label(`key`,`value`) in the language of version 3"
        raise ConfigurationError(
            "constraints", f"there is nothing but tags to compare, not {found['key']}", hint
        )
    # Only * is special in a glob of v1.
    glob = "".join("*" if c == "*" else f"[{c}]" if c in "?[" else c for c in found["glob"])
    return piece.strip(), found["sign"] == "==", re.compile(translate(glob)).match


def _labels(text: str) -> Callable[[Mapping[str, str]], str]:
    """v2 and v3: an expression."""
    try:
        node = v3.expression(text, _MATCHERS, "Label(`key`,`value`)")
    except ConfigurationError as error:
        raise ConfigurationError("constraints", error.why, error.hint) from None
    test: Any = node.predicate()

    def fails(labels: Mapping[str, str]) -> str:
        return "" if test(labels) else f"it does not meet the constraint {text}"

    return fails


def _label(arguments: tuple[str, ...]) -> Meaning:
    """The label has this value. One that isn't there has an empty one."""
    key, wanted = arguments
    return _meaning(lambda labels: labels.get(key, "") == wanted)


def _label_regex(arguments: tuple[str, ...]) -> Meaning:
    """The label's value contains a match."""
    key, found = arguments[0], finder(arguments[1])
    return _meaning(lambda labels: found(labels.get(key, "").encode()))


def _meaning(test: Any) -> Meaning:
    # The tree doesn't look at what it is about.
    return Meaning(test)


_MATCHERS: Mapping[str, Matcher] = {
    "Label": Matcher(_label, (2,)),
    "LabelRegex": Matcher(_label_regex, (2,)),
}
