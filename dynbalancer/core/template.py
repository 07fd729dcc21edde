"""The part of Go's text templates that default rules use: ``Host(`{{ normalize .Name }}.example.com`)``.

Fields, function calls, strings, numbers, pipes, parentheses, ``if``/``else``/``end`` and trim marks. Whatever
else Go has (variables, loops, nested templates) is a :class:`~dynbalancer.errors.ConfigurationError` that
says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from dynbalancer.core.labels.naming import normalize
from dynbalancer.errors import ConfigurationError, did_you_mean

_ACTION = re.compile(
    r"""\{\{ (?P<left>-(?=\s))?
    (?P<body> (?: "(?:\\.|[^"\\])*" | `[^`]*` | (?!\}\}).)*? ) (?P<right>(?<=\s)-)? \}\}""",
    re.VERBOSE | re.DOTALL,
)
_TOKEN = re.compile(
    r"""\s* (?: (?P<string>"(?:\\.|[^"\\])*") | (?P<raw>`[^`]*`) | (?P<number>-?[0-9]+)(?![\w.])
    | (?P<field>\.[\w.]*) | (?P<word>[A-Za-z_]\w*) | (?P<mark>[|()]) | (?P<other>\S) )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_WORD = re.compile(r"(?<!\S)\S")
_VERB = re.compile(r"%(.)", re.DOTALL)
_UNSUPPORTED = ("range", "with", "define", "template", "block", "break", "continue")
_DEEPEST = 50

Token = tuple[str, str]


#: Gives the text of a template for values.
Rendering = Callable[[Mapping[str, object]], str]


def render(template: str, values: Mapping[str, object]) -> str:
    """The text of a template; ``values`` are its fields, without their leading dot."""
    return compiled(template, values)(values)


def compiled(template: str, fields: Mapping[str, object]) -> Rendering:
    """A template that is read once, for values with these fields. Raises ConfigurationError."""
    tree = _Parser(template, fields).parse()
    return lambda values: "".join(node.text(values) for node in tree)


def _fail(why: str, hint: str = "") -> ConfigurationError:
    return ConfigurationError("template", why, hint)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _int(value: object) -> int:
    try:
        return int(_shown(value))
    except ValueError:
        raise _fail(f"{_shown(value)!r} is not a whole number") from None


def _index(collection: object, *keys: object) -> object:
    for key in keys:
        if isinstance(collection, Mapping):
            # Go gives the zero value of the map's type: an empty string.
            collection = collection.get(_shown(key), "")
        elif isinstance(collection, list) and 0 <= _int(key) < len(collection):
            collection = collection[_int(key)]
        else:
            raise _fail(f"index: nothing at {_shown(key)!r}")
    return collection


def _printf(text: object, *values: object) -> str:
    rest = list(values)

    def put(match: re.Match[str]) -> str:
        verb = match[1]
        if verb == "%":
            return "%"
        if verb not in "sdvq":
            raise _fail(f"printf: %{verb} is not supported", "write %s, %d, %v or %q")
        if not rest:
            raise _fail(f"printf: no value for %{verb}")
        value = rest.pop(0)
        return f'"{_shown(value)}"' if verb == "q" else str(_int(value)) if verb == "d" else _shown(value)

    return _VERB.sub(put, _shown(text))


def _and(*values: object) -> object:
    return next((value for value in values if not value), values[-1])


def _or(*values: object) -> object:
    return next((value for value in values if value), values[-1])


def _truncated(size: int, text: str) -> str:
    """So many characters from the start, or from the end where it is below 0."""
    return text[:size] if size >= 0 else text[size:]


def _part(start: int, end: int, text: str) -> str:
    return text[max(start, 0) : end if end >= 0 else None]


def _text_function(function: Callable[..., object]) -> Callable[..., object]:
    """A function whose arguments are all text."""

    def call(*values: object) -> object:
        return function(*(_shown(value) for value in values))

    return call


#: Functions by name: the least and the most number of arguments, and what they do. As in sprig, the text
#: comes last.
FUNCTIONS: dict[str, tuple[int, int, Callable[..., object]]] = {
    "normalize": (1, 1, _text_function(normalize)),
    "index": (2, 9, _index),
    "printf": (1, 20, _printf),
    "trimPrefix": (2, 2, _text_function(lambda prefix, text: text.removeprefix(prefix))),
    "trimSuffix": (2, 2, _text_function(lambda suffix, text: text.removesuffix(suffix))),
    "trimAll": (2, 2, _text_function(lambda characters, text: text.strip(characters))),
    "trim": (1, 1, _text_function(str.strip)),
    "lower": (1, 1, _text_function(str.lower)),
    "upper": (1, 1, _text_function(str.upper)),
    "replace": (3, 3, _text_function(lambda old, new, text: text.replace(old, new))),
    "contains": (2, 2, _text_function(lambda part, text: part in text)),
    "hasPrefix": (2, 2, _text_function(lambda prefix, text: text.startswith(prefix))),
    "hasSuffix": (2, 2, _text_function(lambda suffix, text: text.endswith(suffix))),
    "splitList": (
        2,
        2,
        _text_function(lambda separator, text: text.split(separator) if separator else list(text)),
    ),
    "first": (1, 1, lambda items: items[0] if items else ""),
    "last": (1, 1, lambda items: items[-1] if items else ""),
    "coalesce": (1, 20, _or),
    "ternary": (3, 3, lambda yes, no, test: yes if test else no),
    "get": (2, 2, _index),
    "hasKey": (2, 2, lambda collection, key: _shown(key) in collection),
    "nospace": (1, 1, _text_function(lambda text: "".join(text.split()))),
    "title": (1, 1, _text_function(lambda text: _WORD.sub(lambda word: word[0].upper(), text))),
    "trunc": (2, 2, lambda size, text: _truncated(_int(size), _shown(text))),
    "substr": (3, 3, lambda start, end, text: _part(_int(start), _int(end), _shown(text))),
    "join": (2, 2, lambda separator, items: _shown(separator).join(_shown(item) for item in items)),
    "default": (2, 2, lambda default, value: value or default),
    "eq": (2, 9, lambda first, *others: any(first == other for other in others)),
    "ne": (2, 2, lambda first, second: first != second),
    "not": (1, 1, lambda value: not value),
    "and": (1, 9, _and),
    "or": (1, 9, _or),
    "len": (1, 1, lambda value: len(value)),
}


class _Node:
    """A part of a template."""

    __slots__ = ()

    def text(self, values: Mapping[str, object]) -> str:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class _Text(_Node):
    """Text that stands for itself."""

    content: str

    def text(self, values: Mapping[str, object]) -> str:
        return self.content


class _Term:
    """Something with a value."""

    __slots__ = ()

    def value(self, values: Mapping[str, object]) -> object:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class _Literal(_Term):
    """A string, number or truth value."""

    content: object

    def value(self, values: Mapping[str, object]) -> object:
        return self.content


@dataclass(frozen=True, slots=True)
class _Field(_Term):
    """``.Name`` or ``.Labels.key``."""

    path: tuple[str, ...]

    def value(self, values: Mapping[str, object]) -> object:
        return _index(values, *self.path)


@dataclass(frozen=True, slots=True)
class _Call(_Term):
    """A function and its arguments; what comes through a pipe is the last of them."""

    name: str
    arguments: tuple[_Term, ...]

    def value(self, values: Mapping[str, object]) -> object:
        least, most, function = FUNCTIONS[self.name]
        if not least <= len(self.arguments) <= most:
            expected = str(least) if least == most else f"{least} to {most}"
            raise _fail(f"{self.name} takes {expected} arguments, and was given {len(self.arguments)}")
        try:
            return function(*(argument.value(values) for argument in self.arguments))
        except (TypeError, AttributeError):
            raise _fail(f"{self.name} can't be used on values of this type") from None


@dataclass(frozen=True, slots=True)
class _Show(_Node):
    """``{{ pipeline }}``."""

    term: _Term

    def text(self, values: Mapping[str, object]) -> str:
        return _shown(self.term.value(values))


@dataclass(frozen=True, slots=True)
class _If(_Node):
    """``{{ if }} … {{ else if }} … {{ else }} … {{ end }}``: conditions with what follows them."""

    branches: tuple[tuple[_Term, tuple[_Node, ...]], ...]

    def text(self, values: Mapping[str, object]) -> str:
        for condition, body in self.branches:
            if condition.value(values):
                return "".join(node.text(values) for node in body)
        return ""


class _Parser:
    """One template, being read."""

    def __init__(self, template: str, fields: Mapping[str, object]) -> None:
        self._fields = fields
        self._pieces = _pieces(template)
        self._depth = 0

    def parse(self) -> tuple[_Node, ...]:
        body, ended = self._body()
        if ended:
            raise _fail(f"{{{{ {' '.join(word for _, word in ended)} }}}} without an if")
        return body

    def _body(self) -> tuple[tuple[_Node, ...], list[Token]]:
        """Everything up to ``else``, ``end`` or the end of the template, and which of these it was."""
        self._deeper()
        nodes: list[_Node] = []
        for piece in self._pieces:
            if isinstance(piece, str):
                nodes.append(_Text(piece))
                continue
            first = piece[0] if piece else ("", "")
            if first in (("word", "else"), ("word", "end")):
                self._depth -= 1
                return tuple(nodes), piece
            if first == ("word", "if"):
                nodes.append(self._if(piece[1:]))
            else:
                nodes.append(_Show(self._pipeline(piece)))
        self._depth -= 1
        return tuple(nodes), []

    def _if(self, condition: list[Token]) -> _If:
        branches: list[tuple[_Term, tuple[_Node, ...]]] = []
        test = self._pipeline(condition)
        while True:
            body, ended = self._body()
            branches.append((test, body))
            words = [word for _, word in ended]
            if not words:
                raise _fail("if without an end")
            if words == ["end"]:
                return _If(tuple(branches))
            if words[:2] == ["else", "if"]:
                test = self._pipeline(ended[2:])
            elif words == ["else"]:
                test = _Literal(True)
            else:
                raise _fail(f"{' '.join(words)} is not understood")

    def _pipeline(self, tokens: list[Token]) -> _Term:
        self._deeper()
        piped: _Term | None = None
        for command in _split(tokens):
            piped = self._command(command, piped)
        self._depth -= 1
        if piped is None:
            raise _fail("empty braces")
        return piped

    def _command(self, tokens: list[Token], piped: _Term | None) -> _Term:
        if not tokens:
            raise _fail("something is missing beside a |")
        kind, word = tokens[0]
        if kind == "word" and word not in ("true", "false"):
            self._check_function(word)
            arguments = tuple(self._terms(tokens[1:]))
            return _Call(word, arguments if piped is None else (*arguments, piped))
        terms = list(self._terms(tokens))
        if len(terms) > 1 or piped is not None:
            raise _fail(f"{word} is not a function")
        return terms[0]

    def _terms(self, tokens: list[Token]) -> Iterator[_Term]:
        rest = list(tokens)
        while rest:
            kind, word = rest.pop(0)
            if kind == "string":
                yield _Literal(_ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), word[1:-1]))
            elif kind == "raw":
                yield _Literal(word[1:-1])
            elif kind == "number":
                yield _Literal(int(word))
            elif kind == "field":
                yield self._field(word)
            elif word in ("true", "false"):
                yield _Literal(word == "true")
            elif kind == "word":
                self._check_function(word)
                yield _Call(word, ())
            elif word == "(":
                inner = _inside(rest)
                del rest[: len(inner) + 1]
                yield self._pipeline(inner)
            else:
                raise _fail(f"{word!r} is not understood")

    def _field(self, word: str) -> _Field:
        path = tuple(word[1:].split("."))
        if path[0] not in self._fields:
            known = [f".{name}" for name in self._fields]
            raise _fail(
                f"there is no field {word}", did_you_mean(word, known) or f"fields are {', '.join(known)}"
            )
        return _Field(path)

    def _check_function(self, name: str) -> None:
        if name in _UNSUPPORTED:
            raise _fail(f"{name} is not supported", "only fields, functions and if/else/end are")
        if name in ("env", "expandenv"):
            # The balancer's own environment is nobody's business.
            raise _fail(f"{name} is not supported", "only what is known of the container is there")
        if name not in FUNCTIONS:
            raise _fail(f"there is no function {name}", did_you_mean(name, FUNCTIONS))

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _fail("nested too deeply")


def _pieces(template: str) -> Iterator[str | list[Token]]:
    """Texts, and the tokens of each action between them, in order; trim marks are already obeyed."""
    position, trim = 0, False
    for match in _ACTION.finditer(template):
        before = template[position : match.start()]
        yield _trimmed(before, left=trim, right=bool(match["left"]))
        position, trim = match.end(), bool(match["right"])
        body = match["body"].strip()
        if not (body.startswith("/*") and body.endswith("*/")):
            yield _tokens(body)
    yield _trimmed(template[position:], left=trim, right=False)


def _trimmed(text: str, *, left: bool, right: bool) -> str:
    if "{{" in text:
        raise _fail("{{ without }}")
    text = text.lstrip() if left else text
    return text.rstrip() if right else text


def _tokens(body: str) -> list[Token]:
    # Every alternative of _TOKEN is named, so that one group is always set.
    found = [(match.lastgroup or "", match[match.lastgroup or 0]) for match in _TOKEN.finditer(body)]
    for kind, word in found:
        if kind == "other":
            raise _fail(f"{word!r} is not understood")
    return found


def _split(tokens: list[Token]) -> list[list[Token]]:
    """The commands of a pipeline: split at the bars that are in no parentheses."""
    commands: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token[1], 0) if token[0] == "mark" else 0
        if token == ("mark", "|") and not depth:
            commands.append([])
        else:
            commands[-1].append(token)
    return commands if tokens else []


def _inside(tokens: list[Token]) -> list[Token]:
    """The tokens up to the parenthesis that closes the one just read."""
    depth = 1
    for number, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token[1], 0) if token[0] == "mark" else 0
        if not depth:
            return tokens[:number]
    raise _fail("( without )")
