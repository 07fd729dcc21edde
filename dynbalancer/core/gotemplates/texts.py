"""sprig's functions for texts. As there, the text comes last, so that it may come through a pipe."""

from __future__ import annotations

import base64
import binascii
import hashlib
import posixpath
import re
import zlib
from collections.abc import Callable
from typing import Any

from dynbalancer.core.gotemplates.builtins import ANY, Function
from dynbalancer.core.gotemplates.faults import Fault
from dynbalancer.core.gotemplates.printing import quoted, shown, whole
from dynbalancer.core.rules import regex
from dynbalancer.core.rules.replacement import Replacement
from dynbalancer.errors import RequestError

#: Characters that one function may make.
LONGEST = 1 << 20

# As strings.Title has it: digits and _ are parts of words, everything else begins one.
_WORD = re.compile(r"(?<!\w)[^\W\d_]")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\s_.-]+")


def of_text(function: Callable[..., object]) -> Callable[..., object]:
    """A function whose arguments are all text."""

    def call(*values: object) -> object:
        return function(*(shown(value) for value in values))

    return call


def _replace(old: str, new: str, text: str) -> str:
    _bound(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def _repeat(count: object, text: object) -> str:
    _bound(whole(count) * len(shown(text)))
    return shown(text) * whole(count)


def _bound(length: int) -> None:
    if length > LONGEST:
        raise Fault("its result is too long")


def _truncated(size: int, text: str) -> str:
    """So many characters from the start, or from the end where it is below 0."""
    return text[:size] if size >= 0 else text[size:]


def _part(start: int, end: int, text: str) -> str:
    return text[max(start, 0) : end if end >= 0 else None]


def _shortened(size: int, text: str) -> str:
    return text if size < 4 or len(text) <= size else text[: size - 3] + "..."


def _indented(count: object, text: object) -> str:
    blanks = " " * min(whole(count), LONGEST)
    _bound(shown(text).count("\n") * len(blanks))
    return blanks + shown(text).replace("\n", f"\n{blanks}")


def _words(text: str, separator: str) -> str:
    return separator.join(word for word in _HUMP.split(text) if word).lower()


def _camel(text: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[\s_.-]+", text))


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Fault(f"b64dec: {error}") from None


def _matches(pattern: str, text: str) -> bool:
    return regex.finder(pattern)(text.encode())


def _found(pattern: str, text: str, most: int) -> list[str]:
    """What a pattern finds, so many at most (below 0: all)."""
    return [match.group(0).decode("utf-8", "replace") for match in _each(pattern, text, most)]


def _each(pattern: str, text: str, most: int) -> list[Any]:
    found: list[Any] = []
    value, at = text.encode(), 0
    compiled = regex.capturing(pattern, groups=False)
    while at <= len(value) and len(found) != most and (match := compiled.search(value, at)) is not None:
        start, end = match.span()
        # As in Go, an empty match right behind another one is none.
        if end > start or not found or found[-1].end() != end:
            found.append(match)
        at = end if end > start else end + 1
    return found


def _replaced(pattern: str, text: str, instead: str) -> str:
    try:
        found = Replacement(pattern, instead).replaced(text.encode())
    except RequestError as error:
        raise Fault(error.why) from None
    return text if found is None else found.decode("utf-8", "replace")


def _cut(pattern: str, text: str, most: int) -> list[str]:
    """The parts of a text between what a pattern finds: so many at most (below 0: all)."""
    if not most:
        return []
    value, at = text.encode(), 0
    parts: list[bytes] = []
    for match in _each(pattern, text, -1):
        if len(parts) == most - 1:
            break
        start, end = match.span()
        if end:
            parts.append(value[at:start])
            at = end
    return [part.decode("utf-8", "replace") for part in (*parts, value[at:])]


FUNCTIONS: dict[str, Function] = {
    "trim": (1, 1, of_text(str.strip)),
    "trimAll": (2, 2, of_text(lambda characters, text: text.strip(characters))),
    "trimall": (2, 2, of_text(lambda characters, text: text.strip(characters))),
    "trimPrefix": (2, 2, of_text(lambda prefix, text: text.removeprefix(prefix))),
    "trimSuffix": (2, 2, of_text(lambda suffix, text: text.removesuffix(suffix))),
    "lower": (1, 1, of_text(str.lower)),
    "upper": (1, 1, of_text(str.upper)),
    "title": (1, 1, of_text(lambda text: _WORD.sub(lambda word: word[0].upper(), text))),
    "untitle": (1, 1, of_text(lambda text: _WORD.sub(lambda word: word[0].lower(), text))),
    "swapcase": (1, 1, of_text(str.swapcase)),
    "snakecase": (1, 1, of_text(lambda text: _words(text, "_"))),
    "kebabcase": (1, 1, of_text(lambda text: _words(text, "-"))),
    "camelcase": (1, 1, of_text(_camel)),
    "nospace": (1, 1, of_text(lambda text: "".join(text.split()))),
    "initials": (1, 1, of_text(lambda text: "".join(word[0] for word in text.split()))),
    "replace": (3, 3, of_text(_replace)),
    "repeat": (2, 2, _repeat),
    "trunc": (2, 2, lambda size, text: _truncated(whole(size), shown(text))),
    "abbrev": (2, 2, lambda size, text: _shortened(whole(size), shown(text))),
    "substr": (3, 3, lambda start, end, text: _part(whole(start), whole(end), shown(text))),
    "contains": (2, 2, of_text(lambda part, text: part in text)),
    "hasPrefix": (2, 2, of_text(lambda prefix, text: text.startswith(prefix))),
    "hasSuffix": (2, 2, of_text(lambda suffix, text: text.endswith(suffix))),
    "quote": (0, ANY, lambda *values: " ".join(quoted(value) for value in values if value is not None)),
    "squote": (
        0,
        ANY,
        lambda *values: " ".join(f"'{shown(value)}'" for value in values if value is not None),
    ),
    "cat": (0, ANY, lambda *values: " ".join(shown(value) for value in values if value is not None)),
    "indent": (2, 2, _indented),
    "nindent": (2, 2, lambda count, text: "\n" + _indented(count, text)),
    "plural": (3, 3, lambda one, many, count: one if whole(count) == 1 else many),
    "toString": (1, 1, shown),
    "b64enc": (1, 1, of_text(lambda text: base64.b64encode(text.encode()).decode())),
    "b64dec": (1, 1, of_text(_decoded)),
    "sha1sum": (1, 1, of_text(lambda text: hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())),
    "sha256sum": (1, 1, of_text(lambda text: hashlib.sha256(text.encode()).hexdigest())),
    "sha512sum": (1, 1, of_text(lambda text: hashlib.sha512(text.encode()).hexdigest())),
    "adler32sum": (1, 1, of_text(lambda text: str(zlib.adler32(text.encode())))),
    "regexMatch": (2, 2, of_text(_matches)),
    "mustRegexMatch": (2, 2, of_text(_matches)),
    "regexFind": (2, 2, of_text(lambda pattern, text: "".join(_found(pattern, text, 1)))),
    "regexFindAll": (3, 3, lambda pattern, text, most: _found(shown(pattern), shown(text), whole(most))),
    "regexReplaceAll": (3, 3, of_text(_replaced)),
    "mustRegexReplaceAll": (3, 3, of_text(_replaced)),
    "regexReplaceAllLiteral": (
        3,
        3,
        of_text(lambda pattern, text, new: _replaced(pattern, text, new.replace("$", "$$"))),
    ),
    "regexSplit": (3, 3, lambda pattern, text, most: _cut(shown(pattern), shown(text), whole(most))),
    "regexQuoteMeta": (1, 1, of_text(regex.escape)),
    "base": (1, 1, of_text(lambda path: posixpath.basename(path.rstrip("/")) or ("/" if path else "."))),
    "dir": (1, 1, of_text(lambda path: posixpath.normpath(posixpath.dirname(path) or "."))),
    "clean": (1, 1, of_text(lambda path: posixpath.normpath(path) if path else ".")),
    "ext": (1, 1, of_text(lambda path: posixpath.splitext(path)[1])),
}
