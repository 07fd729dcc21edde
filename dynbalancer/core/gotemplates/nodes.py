"""The tree of a template, and what its parts are worth for some values.

A rendering has so many steps and so much room: a template can loop, and may have been written by somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from dynbalancer.core.gotemplates.faults import Fault
from dynbalancer.core.gotemplates.printing import shown
from dynbalancer.errors import ConfigurationError

#: Parts that may be worked out in one rendering; 64 characters that a function reads or gives count as one.
MOST_STEPS = 50_000
_CHARACTERS_OF_A_STEP = 64
#: How many ``template`` within one another.
_DEEPEST = 20

_WRONG_TYPE = (TypeError, AttributeError, ValueError, KeyError, IndexError, OverflowError)


class Run:
    """One rendering: the values, what was written so far, and what may still be done."""

    __slots__ = ("_left", "_room", "depth", "root", "variables", "written")

    def __init__(self, values: Mapping[str, object], room: int, steps: int = MOST_STEPS) -> None:
        self.root: object = values
        self.written: list[str] = []
        self.variables: list[tuple[str, list[object]]] = []
        self.depth = 0
        self._left = steps
        self._room = room

    def step(self, size: int = 0) -> None:
        """Count a part, and so many characters or items. Raises Fault where it is enough."""
        self._left -= 1 + size // _CHARACTERS_OF_A_STEP
        if self._left < 0:
            raise Fault("it takes too long")

    def write(self, text: str) -> None:
        """Add to the result. Raises Fault where that is too long."""
        self._room -= len(text)
        if self._room < 0:
            raise Fault("its result is too long")
        self.written.append(text)

    def set(self, name: str, value: object) -> None:
        """Give an existing variable another value."""
        self._place(name)[0] = value

    def variable(self, name: str) -> object:
        """The value of a variable; ``$`` is all there is."""
        return self.root if name == "$" else self._place(name)[0]

    def _place(self, name: str) -> list[object]:
        return next(place for known, place in reversed(self.variables) if known == name)


class Stop(Exception):
    """``break`` or ``continue``."""

    def __init__(self, word: str) -> None:
        self.again = word == "continue"


class Term:
    """Something with a value, where ``dot`` is what the dot stands for."""

    __slots__ = ()

    def value(self, run: Run, dot: object) -> object:
        """The value. Raises Fault."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Literal(Term):
    """A string, number or truth value."""

    content: object

    def value(self, run: Run, dot: object) -> object:
        return self.content


@dataclass(frozen=True, slots=True)
class Dot(Term):
    """``.``: all there is, or what a ``range`` or ``with`` is about."""

    def value(self, run: Run, dot: object) -> object:
        return dot


@dataclass(frozen=True, slots=True)
class Variable(Term):
    """``$name``, or ``$``."""

    name: str

    def value(self, run: Run, dot: object) -> object:
        return run.variable(self.name)


@dataclass(frozen=True, slots=True)
class Fields(Term):
    """``.Labels.key`` of something."""

    of: Term
    path: tuple[str, ...]
    at: int

    def value(self, run: Run, dot: object) -> object:
        found = self.of.value(run, dot)
        for name in self.path:
            if not isinstance(found, Mapping):
                raise Fault(f"there is no .{name} in a {type_of(found)}", at=self.at)
            # Go gives the zero value of the map's type: an empty string.
            found = found.get(name, "")
        return found


@dataclass(frozen=True, slots=True)
class Call(Term):
    """A function and its arguments; what comes through a pipe is the last of them."""

    name: str
    function: Callable[..., object]
    arguments: tuple[Term, ...]
    at: int

    def value(self, run: Run, dot: object) -> object:
        values = [argument.value(run, dot) for argument in self.arguments]
        try:
            run.step(sum(map(_size, values)))
            found = self.function(*values)
            run.step(_size(found))
        except Fault as fault:
            raise fault if fault.at >= 0 else Fault(fault.why, fault.hint, self.at) from None
        except ConfigurationError as error:
            raise Fault(f"{self.name}: {error.why}", error.hint, self.at) from None
        except ZeroDivisionError:
            raise Fault(f"{self.name} by zero", at=self.at) from None
        except _WRONG_TYPE:
            raise Fault(f"{self.name} can't be used on values of this type", at=self.at) from None
        return found


@dataclass(frozen=True, slots=True)
class Either(Term):
    """``and``, which gives the first that is empty, or ``or``, the first that isn't. The rest is not looked at."""

    wanted: bool
    terms: tuple[Term, ...]

    def value(self, run: Run, dot: object) -> object:
        found: object = ""
        for term in self.terms:
            found = term.value(run, dot)
            if bool(found) is self.wanted:
                break
        return found


class Node:
    """A part of a template."""

    __slots__ = ()

    def write(self, run: Run, dot: object) -> None:
        """Add the text of this part. Raises Fault."""
        raise NotImplementedError


Body = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Text(Node):
    """Text that stands for itself."""

    content: str

    def write(self, run: Run, dot: object) -> None:
        run.write(self.content)


@dataclass(frozen=True, slots=True)
class Show(Node):
    """``{{ pipeline }}``."""

    term: Term

    def write(self, run: Run, dot: object) -> None:
        run.step()
        run.write(shown(self.term.value(run, dot)))


@dataclass(frozen=True, slots=True)
class Assign(Node):
    """``{{ $name := pipeline }}``, or ``=`` for one that is there."""

    name: str
    term: Term
    new: bool

    def write(self, run: Run, dot: object) -> None:
        run.step()
        value = self.term.value(run, dot)
        if self.new:
            run.variables.append((self.name, [value]))
        else:
            run.set(self.name, value)


@dataclass(frozen=True, slots=True)
class Choice(Node):
    """``if`` or ``with`` and what follows its condition, and what to do ``otherwise``; ``name`` gets its value."""

    condition: Term
    name: str
    new: bool
    moves_dot: bool
    body: Body
    otherwise: Body

    def write(self, run: Run, dot: object) -> None:
        run.step()
        known = len(run.variables)
        value = self.condition.value(run, dot)
        if self.name:
            Assign(self.name, Literal(value), self.new).write(run, dot)
        if value:
            write_all(self.body, run, value if self.moves_dot else dot)
        else:
            write_all(self.otherwise, run, dot)
        del run.variables[known:]


@dataclass(frozen=True, slots=True)
class Range(Node):
    """``range``: its body for each item, which is the dot; ``otherwise`` where there is none."""

    items: Term
    names: tuple[str, ...]
    new: bool
    body: Body
    otherwise: Body
    at: int

    def write(self, run: Run, dot: object) -> None:
        known = len(run.variables)
        empty = True
        for key, item in _items(self.items.value(run, dot), self.at):
            empty = False
            run.step()
            for name, value in zip(self.names, (key, item)[-len(self.names) :], strict=False):
                Assign(name, Literal(value), self.new).write(run, dot)
            try:
                write_all(self.body, run, item)
            except Stop as stop:
                if not stop.again:
                    break
            finally:
                del run.variables[known:]
        if empty:
            write_all(self.otherwise, run, dot)


@dataclass(frozen=True, slots=True)
class Leave(Node):
    """``break`` or ``continue``."""

    word: str

    def write(self, run: Run, dot: object) -> None:
        raise Stop(self.word)


@dataclass(frozen=True, slots=True)
class Insert(Node):
    """``{{ template "name" pipeline }}``: what ``define`` says, with that for everything."""

    name: str
    term: Term
    known: Mapping[str, Body]
    at: int

    def write(self, run: Run, dot: object) -> None:
        run.step()
        if self.name not in self.known:
            raise Fault(f"there is no template {self.name}", at=self.at)
        if run.depth >= _DEEPEST:
            raise Fault(f"template {self.name} is within itself too often", at=self.at)
        inner = self.term.value(run, dot)
        root, variables = run.root, run.variables
        run.root, run.variables, run.depth = inner, [], run.depth + 1
        write_all(self.known[self.name], run, inner)
        run.root, run.variables, run.depth = root, variables, run.depth - 1


def write_all(body: Body, run: Run, dot: object) -> None:
    """Write parts one after the other; variables that they make are gone afterwards."""
    known = len(run.variables)
    for node in body:
        node.write(run, dot)
    del run.variables[known:]


def type_of(value: object) -> str:
    """What kind of value it is, in a word."""
    if isinstance(value, bool):
        return "truth value"
    if isinstance(value, Mapping):
        return "map"
    return {str: "text", int: "number", float: "number", list: "list"}.get(type(value), "value")


def _items(value: object, at: int) -> Iterable[tuple[object, object]]:
    """What a ``range`` goes through: maps in the order of their keys."""
    if isinstance(value, Mapping):
        return [(key, value[key]) for key in sorted(value)]
    if isinstance(value, list):
        return list(enumerate(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return ((number, number) for number in range(value))
    if value is None:
        return ()
    raise Fault(f"range can't go through a {type_of(value)}", "splitList makes a list of a text", at)


def _size(value: object) -> int:
    return len(value) if isinstance(value, str | list | dict) else 0
