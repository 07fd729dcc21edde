"""Cuts a template into the texts between its actions, and the tokens of each action."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dynbalancer.core.gotemplates.faults import Fault

_COMMENT = re.compile(r"/\*.*?\*/(?P<right>\s-)?\}\}", re.DOTALL)
_END = re.compile(r"\s*(?P<right>(?<=\s)-)?\}\}")
_BLANK = re.compile(r"\s*")
_TOKEN = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\\n])*") | (?P<raw>`[^`]*`) | (?P<char>'(?:\\.|[^'\\])+')
    | (?P<number>[-+]?(?:0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?))(?![\w.])
    | (?P<variable>\$\w*) | (?P<field>\.(?:[^\W\d]\w*)?)
    | (?P<word>[^\W\d]\w*) | (?P<mark>:=|[|(),=]) | (?P<other>\S)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Token:
    """A word of an action, and where it stands. ``close`` follows the one before without a blank."""

    kind: str
    text: str
    at: int
    close: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """What is between ``{{`` and ``}}``, which begin at ``at``."""

    tokens: tuple[Token, ...]
    at: int


def pieces(template: str) -> Iterator[str | Action]:
    """Texts and actions in order; trim marks are obeyed, comments are gone. Raises Fault."""
    position, trim = 0, False
    while True:
        start = template.find("{{", position)
        text = template[position : start if start >= 0 else None]
        text = text.lstrip() if trim else text
        if start < 0:
            yield text
            return
        inside = start + 2
        if template[inside : inside + 1] == "-" and template[inside + 1 : inside + 2].isspace():
            text, inside = text.rstrip(), inside + 2
        yield text
        comment = _COMMENT.match(template, inside)
        if comment:
            position, trim = comment.end(), bool(comment["right"])
            continue
        tokens, position, trim = _tokens(template, inside, start)
        yield Action(tokens, start)


def _tokens(template: str, inside: int, start: int) -> tuple[tuple[Token, ...], int, bool]:
    """The tokens of an action, where it ends, and whether it trims what follows."""
    found: list[Token] = []
    at = inside
    while True:
        ended = _END.match(template, at)
        if ended:
            return tuple(found), ended.end(), bool(ended["right"])
        blank = _BLANK.match(template, at)
        begin = blank.end() if blank else at
        match = _TOKEN.match(template, begin)
        if match is None:
            raise Fault("{{ without }}", at=start)
        kind = match.lastgroup or ""
        if kind == "other":
            raise Fault(f"{match.group()!r} is not understood", at=begin)
        found.append(Token(kind, match.group(), begin, close=begin == at and bool(found)))
        at = match.end()


def value_of(token: Token) -> object:
    """What a string, a character or a number stands for. Raises Fault."""
    if token.kind == "raw":
        return token.text[1:-1]
    if token.kind == "string":
        return _ESCAPE.sub(lambda match: _unescaped(match[1], token), token.text[1:-1])
    if token.kind == "char":
        text = _ESCAPE.sub(lambda match: _unescaped(match[1], token), token.text[1:-1])
        if len(text) != 1:
            raise Fault(f"{token.text} is not one character", 'texts stand in " or `', token.at)
        return ord(text)
    return _number(token.text)


def _number(text: str) -> int | float:
    if "x" in text.lower():
        return int(text, 16)
    return float(text) if any(mark in text for mark in ".eE") else int(text)


def _unescaped(text: str, token: Token) -> str:
    if text[0] in "xuU" and len(text) > 1:
        code = int(text[1:], 16)
    elif len(text) == 3:
        code = int(text, 8)
    else:
        return _ESCAPES.get(text, text)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise Fault(f"\\{text} is no character", at=token.at)
    return chr(code)
