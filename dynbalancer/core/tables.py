"""Sections of a document by their tables of keys: read with a Problem for each mistake, and written.

Each mistake switches off the key it is in. Where the object can't do without that key, or the key restricts who gets
through, the object is off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import isfinite
from typing import Any

from dynbalancer.core import schema
from dynbalancer.core.durations import go_duration
from dynbalancer.core.schema import MEANWHILE, Key, WrongValueError, describe
from dynbalancer.core.sections import BELOW, LISTED, READERS, Section, below
from dynbalancer.errors import Problem, did_you_mean

#: From the top of a document to a value; members of lists by their number.
Path = tuple[str, ...]

NOT_YET = "understood, but not supported in this version"

#: How deep settings of a middleware may be nested.
DEEPEST = 32


def plain(value: object) -> Any:
    """As JSON knows it: dict, list, text, number, true, false and None."""
    if isinstance(value, Mapping):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(member) for member in value]
    return value


def frozen(value: object) -> Any:
    """The opposite of :func:`plain`: lists become tuples, as in the model. Raises WrongValueError."""
    return _frozen(value, DEEPEST)


def _frozen(value: object, depth: int) -> Any:
    if depth == 0:
        raise WrongValueError(f"at most {DEEPEST} levels of sections")
    if isinstance(value, Mapping):
        return {str(key): _frozen(member, depth - 1) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(member, depth - 1) for member in value)
    if value is None or isinstance(value, (str, bool, int)) or (isinstance(value, float) and isfinite(value)):
        return value
    raise WrongValueError("a text, a number, true, false, a list or a section")


def write(table: Iterable[Key], value: Any) -> dict[str, Any]:
    """A value by its table; what has its default is left out."""
    written: dict[str, Any] = {}
    for key in table:
        if not key.attribute:
            continue
        found = getattr(value, key.attribute)
        if key.always or key.required or found != key.default:
            say = _WRITERS_OF_KIND.get(key.kind) or _WRITERS.get(key.name, plain)
            written[key.name] = say(found)
    return written


def _flushing(seconds: float) -> str:
    return go_duration(seconds) if seconds >= 0 else f"-{go_duration(-seconds)}"


_WRITERS_OF_KIND: Mapping[str, Callable[[Any], Any]] = {
    "wait": go_duration,
    "window": go_duration,
    "duration": go_duration,
    "flush": _flushing,
    "fields": dict,
    "presence": lambda on: {},
}


def _writer_of_list(table: tuple[Key, ...]) -> Callable[[Any], Any]:
    return lambda members: [write(table, member) for member in members]


_WRITERS: Mapping[str, Callable[[Any], Any]] = {
    "tls": lambda on: {},
    "observability": lambda on: {"accessLogs": on},
    **{name: _writer_of_list(table) for name, (table, _) in LISTED.items()},
    "healthCheck": lambda check: write(BELOW["healthCheck"].keys, check),
    "passiveHealthCheck": lambda check: write(BELOW["passiveHealthCheck"].keys, check),
    "sticky": lambda sticky: {"cookie": write(BELOW["cookie"].keys, sticky)},
    "responseForwarding": lambda interval: {"flushInterval": _flushing(interval)},
}


def dotted(path: Path) -> str:
    """A path as people write it: ``http.services.web.loadBalancer.servers[0].url``."""
    words = [
        f"[{step}]"
        if before.lower() in ("servers", "certificates", "services", "mirrors") and step.isdecimal()
        else f".{step}"
        for before, step in zip(("", *path), path, strict=False)
    ]
    return "".join(words).removeprefix(".")


class UnusableError(Exception):
    """The object being read is off; its Problem has been noted."""


class TableReader:
    """Reads sections by their tables, and notes their Problems."""

    def __init__(self, where: str, line_of: Callable[[Path], int | None] | None = None) -> None:
        self.where = where
        self.line_of = line_of
        self.problems: list[Problem] = []
        #: The language of rules that don't say theirs.
        self.dialect = "v3"

    # What is said about a place

    def note(self, path: Path, why: str, hint: str = "", severity: str = "error") -> None:
        line = None if self.line_of is None else self.line_of(path)
        place = self.where if line is None else f"{self.where}, line {line}"
        self.problems.append(Problem(f"{place}: {dotted(path)}" if path else place, why, hint, severity))

    def refuse(self, path: Path, why: str, hint: str = "") -> UnusableError:
        self.note(path, why, hint)
        return UnusableError()

    # Sections whose keys are fixed words, and those whose keys are names

    def section(self, value: object, path: Path) -> Mapping[str, Any]:
        try:
            return schema.section(value)
        except WrongValueError as wrong:
            self.note(path, f"expected {wrong.expected}, got {describe(value)}")
            return {}

    def known(
        self,
        found: Mapping[str, Any],
        path: Path,
        words: tuple[str, ...],
        usable: tuple[str, ...] | None = None,
    ) -> dict[str, Any]:
        """The usable members of a section (by default all), by their right spelling."""
        spelling = {word.lower(): word for word in words}
        members: dict[str, Any] = {}
        for key, value in found.items():
            word = spelling.get(key.lower())
            if word is None:
                stranger = schema.STRANGERS.get(key.lower(), "")
                self.note(
                    (*path, key), f"expected one of {', '.join(words)}", stranger or did_you_mean(key, words)
                )
            elif word in members:
                self.note((*path, key), "given twice, in different letter case; the first one is used")
            elif usable is None or word in usable:
                members[word] = value
            elif value not in (None, {}, []):
                self.note((*path, key), NOT_YET, severity="warning")
        return members

    def each(
        self,
        families: Mapping[str, Any],
        family: str,
        read: Callable[[str, Mapping[str, Any], Path], Any],
        root: str = "http",
    ) -> Iterator[tuple[str, Any]]:
        path = (root, family)
        for name, value in self.section(families.get(family), path).items():
            try:
                if "@" in name or not name.strip():
                    hint = f"write {name.partition('@')[0]}; @{name.partition('@')[2]} is appended by itself"
                    raise self.refuse(
                        (*path, name), "a name must not be empty or contain '@'", hint if name else ""
                    )
                yield name, read(name, self.mapping(value, (*path, name)), (*path, name))
            except UnusableError:
                continue

    def mapping(self, value: object, path: Path) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise self.refuse(path, f"expected a section, got {describe(value)}")
        return value

    # By table

    def attributes(self, table: tuple[Key, ...], found: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """A section by its table, as attributes of the model. Raises UnusableError once all is noted."""
        by_name = {key.name.lower(): key for key in table}
        attributes: dict[str, Any] = {}
        seen: set[str] = set()
        usable = True
        for name, value in found.items():
            key = by_name.get(name.lower())
            if key is None:
                usable = self.unknown(table, name, (*path, name)) and usable
            elif key.name in seen:
                self.note((*path, name), "given twice, in different letter case")
                usable = usable and not key.restricts
            else:
                seen.add(key.name)
                usable = self.take(key, value, (*path, name), attributes) and usable
        for key in table:
            if key.required and key.name not in seen:
                meaning = key.meaning.replace("``", "").removesuffix(".")
                hint = f"write {key.name} ({meaning[0].lower()}{meaning[1:]})"
                self.note((*path, key.name), "missing", hint)
                usable = False
        if not usable:
            raise UnusableError
        return attributes

    def unknown(self, table: tuple[Key, ...], name: str, path: Path) -> bool:
        """Note a key that nobody knows. False where it was probably meant to restrict."""
        hint = did_you_mean(name, [key.name for key in table])
        restricts = any(key.restricts and f" {key.name}?" in hint for key in table)
        why = f"expected one of {', '.join(key.name for key in table)}"
        if restricts:
            why += f"; {whole(path)} is off, since this was probably meant to restrict it"
        self.note(path, why, hint)
        return not restricts

    def take(self, key: Key, value: object, path: Path, attributes: dict[str, Any]) -> bool:
        """Read one value into ``attributes``. False where the object can't be used without it."""
        if (
            value is None
            and key.kind not in ("tls", "presence")
            and key.name != "cookie"
            and not key.required
        ):
            return True
        if not key.attribute:
            if key.restricts:
                self.note(path, f"{NOT_YET}; {path[2]} is off, since this restricts it")
            else:
                self.note(path, NOT_YET, MEANWHILE.get(key.name.lower(), ""), "warning")
            return not key.restricts
        section = below(key)
        if section is not None:
            return self.take_below(key, section, value, path, attributes)
        if key.kind == "sections" and key.name in LISTED:
            return self.take_members(key, value, path, attributes)
        try:
            attributes[key.attribute] = READERS[key.kind](value)
        except WrongValueError as wrong:
            self.note(path, f"expected {wrong.expected}, got {describe(value)}", wrong.hint)
            return not (key.required or key.restricts)
        return True

    def take_below(
        self, key: Key, section: Section, value: object, path: Path, attributes: dict[str, Any]
    ) -> bool:
        """Read a section that has a table of its own. False where the object can't be used without it."""
        if value is None or value is True or (isinstance(value, str) and value.lower() in ("", "true")):
            value = {}
        elif value is False or (isinstance(value, str) and value.lower() == "false"):
            return True
        try:
            given = self.attributes(section.keys, self.mapping(value, path), path)
        except UnusableError:
            self.note(path, "not used, because of what is wrong with it", severity="info")
            return not key.restricts
        made = section.make(**given)
        if made is not None:
            attributes[key.attribute] = made
        for name, why, severity in section.doubts(made, given):
            self.note((*path, name), why, severity=severity)
        return True

    def take_members(self, key: Key, value: object, path: Path, attributes: dict[str, Any]) -> bool:
        """Read a list of sections. One that can't be used takes no other with it, but where the list restricts."""
        table, make = LISTED[key.name]
        try:
            found = schema.sections(value)
        except WrongValueError as wrong:
            self.note(path, f"expected {wrong.expected}, got {describe(value)}")
            return not (key.required or key.restricts)
        members = []
        for number, member in enumerate(found):
            place = (*path, str(number))
            try:
                members.append(make(**self.attributes(table, self.mapping(member, place), place)))
            except UnusableError:
                continue
        attributes[key.attribute] = tuple(members)
        return len(members) == len(found) or not key.restricts


def whole(path: Path) -> str:
    """What is off where a key of it can't be used: a section within a service, or the object."""
    return path[-2] if path[-2] in BELOW else path[2]
