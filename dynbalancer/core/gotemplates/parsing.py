"""Makes the tree of a template. Names of functions, fields and variables are looked up here, not while rendering."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from dynbalancer.core.gotemplates import nodes
from dynbalancer.core.gotemplates.faults import Fault
from dynbalancer.core.gotemplates.functions import ELSEWHERE, Function
from dynbalancer.core.gotemplates.lexing import Action, Token, pieces, value_of
from dynbalancer.errors import did_you_mean

_DEEPEST = 50
_OPENS = ("if", "with", "range", "define", "block")
_WORDS = (*_OPENS, "else", "end", "template", "break", "continue")
_CONSTANTS: Mapping[str, object] = {"true": True, "false": False, "nil": None}


def parse(template: str, fields: Collection[str], functions: Mapping[str, Function]) -> nodes.Body:
    """The parts of a template for values with these fields (none: with any). Raises Fault."""
    return _Parser(template, fields, functions).parse()


class _Parser:
    """One template, being read."""

    def __init__(self, template: str, fields: Collection[str], functions: Mapping[str, Function]) -> None:
        self._fields = fields
        self._functions = functions
        self._pieces: Iterator[str | Action] = pieces(template)
        self._defined: dict[str, nodes.Body] = {}
        self._variables: list[str] = []
        self._depth = 0
        #: How many ``range`` are around; and how many that make something else of the dot.
        self._loops = 0
        self._moved = 0
        self._defining = False

    def parse(self) -> nodes.Body:
        body, ended = self._body()
        if ended:
            raise Fault(f"{{{{ {_written(ended.tokens)} }}}} without an if, range or with", at=ended.at)
        return body

    def _body(self) -> tuple[nodes.Body, Action | None]:
        """Everything up to ``else``, ``end`` or the end of the template, and which of these it was."""
        self._deeper()
        known = len(self._variables)
        found: list[nodes.Node] = []
        ended: Action | None = None
        for piece in self._pieces:
            if isinstance(piece, str):
                found += [nodes.Text(piece)] if piece else []
                continue
            first = piece.tokens[0].text if piece.tokens and piece.tokens[0].kind == "word" else ""
            if first in ("else", "end"):
                ended = piece
                break
            found += self._node(first, piece)
        del self._variables[known:]
        self._depth -= 1
        return tuple(found), ended

    def _node(self, first: str, action: Action) -> list[nodes.Node]:
        if not action.tokens:
            raise Fault("empty braces", at=action.at)
        rest = action.tokens[1:]
        if first in ("if", "with"):
            return [self._choice(first, rest, action)]
        if first == "range":
            return [self._range(rest, action)]
        if first in ("define", "block"):
            return self._definition(first, rest, action)
        if first == "template":
            return [self._insert(rest, action)]
        if first in ("break", "continue"):
            if rest or not self._loops:
                raise Fault(f"{_written(action.tokens)} is for the inside of a range", at=action.at)
            return [nodes.Leave(first)]
        names, new, pipeline = self._declared(action.tokens)
        term = self._pipeline(pipeline, action.at)
        if not names:
            return [nodes.Show(term)]
        self._declare(names, new, action, most=1)
        return [nodes.Assign(names[0], term, new)]

    def _declared(self, tokens: Sequence[Token]) -> tuple[list[str], bool, Sequence[Token]]:
        """The variables that a pipeline is for, whether they are new, and the pipeline."""
        kinds = ["mark" if token.text in (":=", "=", ",") else token.kind for token in tokens[:4]]
        for count in (1, 2):
            if kinds[: 2 * count] == ["variable", "mark"] * count and tokens[2 * count - 1].text in (
                ":=",
                "=",
            ):
                names = [token.text for token in tokens[: 2 * count : 2]]
                return names, tokens[2 * count - 1].text == ":=", tokens[2 * count :]
        return [], False, tokens

    def _declare(self, names: list[str], new: bool, action: Action, most: int) -> None:
        if len(names) > most:
            raise Fault("two variables are for range", at=action.at)
        for name in names:
            if not new and name not in self._variables:
                raise Fault(f"there is no variable {name}", f"write {name} := …", action.at)
        if new:
            self._variables += names

    def _choice(self, word: str, tokens: Sequence[Token], action: Action) -> nodes.Choice:
        known = len(self._variables)
        names, new, rest = self._declared(tokens)
        term = self._pipeline(rest, action.at)
        self._declare(names, new, action, most=1)
        moves = word == "with"
        self._moved += moves
        body, ended = self._body()
        self._moved -= moves
        otherwise = self._otherwise(word, action, ended)
        del self._variables[known:]
        return nodes.Choice(term, names[0] if names else "", new, moves, body, otherwise)

    def _otherwise(self, word: str, action: Action, ended: Action | None) -> nodes.Body:
        """What follows ``else``; nothing after ``end``."""
        if ended is None:
            raise Fault(f"{word} without an end", at=action.at)
        words = [token.text for token in ended.tokens]
        if words == ["end"]:
            return ()
        if words[:2] == ["else", word] and word in ("if", "with"):
            return (self._choice(word, ended.tokens[2:], ended),)
        if words != ["else"]:
            raise Fault(f"{_written(ended.tokens)} is not understood", at=ended.at)
        body, ended = self._body()
        if ended is None or len(ended.tokens) != 1 or ended.tokens[0].text != "end":
            raise Fault(f"{word} without an end", at=action.at)
        return body

    def _range(self, tokens: Sequence[Token], action: Action) -> nodes.Range:
        known = len(self._variables)
        names, new, rest = self._declared(tokens)
        term = self._pipeline(rest, action.at)
        self._declare(names, new, action, most=2)
        self._moved += 1
        self._loops += 1
        body, ended = self._body()
        self._moved -= 1
        self._loops -= 1
        otherwise = self._otherwise("range", action, ended)
        del self._variables[known:]
        return nodes.Range(term, tuple(names), new, body, otherwise, action.at)

    def _definition(self, word: str, tokens: Sequence[Token], action: Action) -> list[nodes.Node]:
        """``define`` for later, or ``block``, which inserts it in its place as well."""
        name = self._name_of(word, tokens, action)
        before, self._variables = self._variables, []
        loops, self._loops = self._loops, 0
        outer, self._defining = self._defining, True
        self._moved += 1
        body, ended = self._body()
        self._variables, self._loops, self._defining = before, loops, outer
        self._moved -= 1
        if ended is None or [token.text for token in ended.tokens] != ["end"]:
            raise Fault(f"{word} without an end", at=action.at)
        self._defined[name] = body
        return [self._insert(tokens, action)] if word == "block" else []

    def _insert(self, tokens: Sequence[Token], action: Action) -> nodes.Insert:
        name = self._name_of("template", tokens, action)
        about = self._pipeline(tokens[1:], action.at) if tokens[1:] else nodes.Literal(None)
        return nodes.Insert(name, about, self._defined, action.at)

    def _name_of(self, word: str, tokens: Sequence[Token], action: Action) -> str:
        if not tokens or tokens[0].kind not in ("string", "raw"):
            raise Fault(f"{word} needs a name in quotes", at=action.at)
        return str(value_of(tokens[0]))

    def _pipeline(self, tokens: Sequence[Token], at: int) -> nodes.Term:
        self._deeper()
        piped: nodes.Term | None = None
        for command in _split(tokens):
            if not command:
                raise Fault("something is missing beside a |", at=tokens[0].at)
            piped = self._command(command, piped)
        self._depth -= 1
        if piped is None:
            raise Fault("something is missing", "a value or a function", at)
        return piped

    def _command(self, tokens: Sequence[Token], piped: nodes.Term | None) -> nodes.Term:
        first = tokens[0]
        if first.kind == "word" and first.text not in _CONSTANTS:
            arguments = tuple(self._terms(tokens[1:]))
            return self._call(first, arguments if piped is None else (*arguments, piped))
        terms = list(self._terms(tokens))
        if len(terms) > 1 or piped is not None:
            raise Fault(f"{first.text} is not a function", at=first.at)
        return terms[0]

    def _terms(self, tokens: Sequence[Token]) -> Iterator[nodes.Term]:
        rest = list(tokens)
        while rest:
            token = rest.pop(0)
            if token.kind in ("string", "raw", "char", "number"):
                yield nodes.Literal(value_of(token))
            elif token.text in _CONSTANTS:
                yield nodes.Literal(_CONSTANTS[token.text])
            elif token.kind == "field":
                yield self._chain(nodes.Dot(), [token.text[1:]] if token.text != "." else [], token, rest)
            elif token.kind == "variable":
                yield self._chain(self._variable(token), [], token, rest)
            elif token.kind == "word":
                yield self._call(token, ())
            elif token.text == "(":
                inner = _inside(rest, token.at)
                del rest[: len(inner) + 1]
                yield self._chain(self._pipeline(inner, token.at), [], token, rest)
            else:
                raise Fault(f"{token.text!r} is not understood", at=token.at)

    def _chain(self, of: nodes.Term, path: list[str], token: Token, rest: list[Token]) -> nodes.Term:
        """What was read, and the fields that follow without a blank."""
        while rest and rest[0].kind == "field" and rest[0].close and rest[0].text != ".":
            path.append(rest.pop(0).text[1:])
        if self._fields and not self._moved and isinstance(of, nodes.Dot):
            self._check_field(path[0] if path else "", token)
        if self._fields and path and of == nodes.Variable("$") and not self._defining:
            self._check_field(path[0], token)
        return nodes.Fields(of, tuple(path), token.at) if path else of

    def _check_field(self, name: str, token: Token) -> None:
        if name not in self._fields:
            known = [f".{one}" for one in self._fields]
            hint = did_you_mean(f".{name}", known) or f"fields are {', '.join(known)}"
            raise Fault(f"there is no field .{name}", hint, token.at)

    def _variable(self, token: Token) -> nodes.Term:
        if token.text != "$" and token.text not in self._variables:
            hint = did_you_mean(token.text, self._variables) or f"write {token.text} := … before it"
            raise Fault(f"there is no variable {token.text}", hint, token.at)
        return nodes.Variable(token.text)

    def _call(self, token: Token, arguments: tuple[nodes.Term, ...]) -> nodes.Term:
        name = token.text
        if name in ELSEWHERE and name not in self._functions:
            raise Fault(f"{name} is not supported", ELSEWHERE[name], token.at)
        if name in _WORDS:
            raise Fault(f"{name} is not a function", at=token.at)
        if name not in self._functions:
            raise Fault(f"there is no function {name}", did_you_mean(name, self._functions), token.at)
        least, most, function = self._functions[name]
        if not least <= len(arguments) <= most:
            expected = (
                str(least) if least == most else f"{least} or more" if most > 9 else f"{least} to {most}"
            )
            raise Fault(f"{name} takes {expected} arguments, and was given {len(arguments)}", at=token.at)
        if name in ("and", "or"):
            return nodes.Either(name == "or", arguments)
        return nodes.Call(name, function, arguments, token.at)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Fault("nested too deeply")


def _written(tokens: Sequence[Token]) -> str:
    return " ".join(token.text for token in tokens)


def _split(tokens: Sequence[Token]) -> list[list[Token]]:
    """The commands of a pipeline: split at the bars that are in no parentheses."""
    commands: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "mark" else 0
        if token.kind == "mark" and token.text == "|" and not depth:
            commands.append([])
        else:
            commands[-1].append(token)
    return commands if tokens else []


def _inside(tokens: Sequence[Token], at: int) -> list[Token]:
    """The tokens up to the parenthesis that closes the one just read."""
    depth = 1
    for number, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "mark" else 0
        if not depth:
            return list(tokens[:number])
    raise Fault("( without )", at=at)
