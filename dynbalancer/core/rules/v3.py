"""Rules as v3 and v2 write them: ``Host(`a.example`) && (PathPrefix(`/x`) || !Method("GET"))``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from dynbalancer.core.rules.matchers import V2, V3, Matcher, match
from dynbalancer.core.rules.tree import And, Node, Not, Or
from dynbalancer.errors import ConfigurationError

#: How deep parentheses and ``!`` may be nested.
DEEPEST = 100

_token = re.compile(
    r"""\s*(?: (?P<sign>&&|\|\||[!(),])
             | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
             | (?P<raw>`[^`]*`)
             | (?P<quoted>"(?:[^"\\\n]|\\.)*")
             | (?P<end>\Z) )""",
    re.VERBOSE,
).match
_escape = re.compile(
    r"\\(?:([abfnrtv\\\"])|([0-7]{3})|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.?))"
)
_simple = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
}
_slips = {
    "'": "arguments are written in backticks or double quotes",
    "\u2018": "arguments are written in backticks or double quotes",
    "\u201c": "arguments are written in backticks or double quotes",
    "`": "a backtick is missing",
    '"': "a double quote is missing",
    "&": "write && for and",
    "|": "write || for or",
    ";": "write && for and",
    ":": "v3 writes Host(`a.example`), not Host:a.example",
    "=": "a matcher takes its arguments in parentheses",
    "\\": "leave out the backslash",
}
_words = {"and": "write &&", "or": "write ||", "not": "write !"}
_UNQUOTE = "leave out the quotes around the rule: in a list of labels they are part of it"


def _spellings(table: Iterable[str]) -> Mapping[str, str]:
    """Canonical, all lower, all upper, and only the first letter upper."""
    spelled = {form: name for name in table for form in (name, name.lower(), name.upper(), name.capitalize())}
    return MappingProxyType(spelled)


_DIALECTS: Mapping[str, tuple[Mapping[str, Matcher], Mapping[str, str]]] = {
    "v2": (V2, _spellings(V2)),
    "v3": (V3, _spellings(V3)),
}


def parse(text: str, dialect: str = "v3") -> Node:
    """The tree of a rule. Raises ConfigurationError, saying at which character it went wrong."""
    return _whole(_Reader(text, *_DIALECTS[dialect]))


def expression(text: str, table: Mapping[str, Matcher], example: str) -> Node:
    """The tree of something written as rules are, about something else: ``table`` says which calls there are.

    Raises ConfigurationError, as :func:`parse` does.
    """
    return _whole(_Reader(text, table, {name: name for name in table}, example))


def parse_by(text: str, table: Mapping[str, Matcher], example: str) -> Node:
    """The tree of a rule with other matchers, whose names have the same spellings."""
    return _whole(_Reader(text, table, _spellings(table), example))


def _whole(reader: _Reader) -> Node:
    node = reader.alternatives()
    if reader.kind != "end":
        raise reader.unexpected("&&, || or the end")
    return node


def clause(name: str, *arguments: str, dialect: str = "v3") -> Node:
    """One clause, made from its parts."""
    table, known = _DIALECTS[dialect]
    return match(table, name, arguments, known)


class _Reader:
    """Recursive descent, one token ahead. ``!`` binds before ``&&``, and that before ``||``, as in Go."""

    __slots__ = ("at", "depth", "example", "kind", "known", "next", "table", "text", "token")

    def __init__(
        self,
        text: str,
        table: Mapping[str, Matcher],
        known: Mapping[str, str],
        example: str = "Host(`a.example`)",
    ) -> None:
        self.text = text
        self.example = example
        self.table = table
        self.known = known
        self.depth = 0
        self.next = 0
        self.advance()

    def advance(self) -> None:
        """Read one more token."""
        found = _token(self.text, self.next)
        if found is None:
            at = self.next + len(self.text[self.next :]) - len(self.text[self.next :].lstrip())
            character = self.text[at]
            around = character == "'" and not at
            hint = _UNQUOTE if around else _slips.get(character, "")
            raise ConfigurationError("rule", f"unexpected {character} at character {at + 1}", hint)
        self.kind = found.lastgroup or ""
        self.token = found[self.kind]
        self.at = found.start(self.kind)
        self.next = found.end()

    def unexpected(self, wanted: str) -> ConfigurationError:
        """The error for the token at hand."""
        found = f"unexpected {self.token}" if self.token else "unexpected end"
        hint = _words.get(self.token.lower(), "")
        if self.kind == "quoted" and not self.at:
            hint = _UNQUOTE
        return ConfigurationError("rule", f"{found} at character {self.at + 1}; expected {wanted}", hint)

    def take(self, sign: str) -> bool:
        """Whether this sign is next; if so it is read."""
        if self.kind != "sign" or self.token != sign:
            return False
        self.advance()
        return True

    def alternatives(self) -> Node:
        """``a || b || c``."""
        parts = [self.conjunction()]
        while self.take("||"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def conjunction(self) -> Node:
        """``a && b && c``."""
        parts = [self.unary()]
        while self.take("&&"):
            parts.append(self.unary())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def unary(self) -> Node:
        """``!a``, ``(a)`` or a call."""
        if self.kind == "name":
            return self.call()
        self.depth += 1
        if self.depth > DEEPEST:
            raise ConfigurationError("rule", f"nested deeper than {DEEPEST} at character {self.at + 1}")
        if self.take("!"):
            node: Node = Not(self.unary())
        elif self.take("("):
            node = self.alternatives()
            if not self.take(")"):
                raise self.unexpected(")")
        else:
            raise self.unexpected(f"a matcher such as {self.example}")
        self.depth -= 1
        return node

    def call(self) -> Node:
        """``Name(`a`, "b")``."""
        name = self.token
        self.advance()
        if not self.take("("):
            raise self.unexpected(f"( after {name}")
        arguments: list[str] = []
        while not self.take(")"):
            if arguments and not self.take(","):
                raise self.unexpected(", or )")
            # Go allows a comma after the last one.
            if arguments and self.take(")"):
                break
            arguments.append(self.argument())
        return match(self.table, name, tuple(arguments), self.known)

    def argument(self) -> str:
        """A text in backticks or double quotes."""
        kind, token, at = self.kind, self.token, self.at
        if kind not in ("raw", "quoted"):
            raise self.unexpected("an argument in backticks or double quotes")
        self.advance()
        # Go drops carriage returns from raw strings.
        return token[1:-1].replace("\r", "") if kind == "raw" else _unescaped(token[1:-1], at)


def _unescaped(text: str, at: int) -> str:
    if "\\" not in text:
        return text
    try:
        # Octal and \x name bytes, several of which may make one character; the other forms name characters.
        pieces = [piece if isinstance(piece, bytes) else piece.encode() for piece in _pieces(text)]
        return b"".join(pieces).decode()
    except (ValueError, OverflowError):
        raise ConfigurationError(
            "rule", f"bad escape in the argument at character {at + 1}", "write it in backticks"
        ) from None


def _pieces(text: str) -> Iterable[str | bytes]:
    end = 0
    for found in _escape.finditer(text):
        yield text[end : found.start()]
        simple, octal, byte, short, long, _ = found.groups()
        if simple:
            yield _simple[simple]
        elif octal or byte:
            yield bytes((int(octal, 8) if octal else int(byte, 16),))
        elif short or long:
            yield chr(int(short or long, 16))
        else:
            raise ValueError(found.group())
        end = found.end()
    yield text[end:]
