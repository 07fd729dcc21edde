"""From contents of files to one Configuration: what is in force of each, and who wins a name.

A file that is wrong does not replace a reading of it that was right. Pure: contents in, values out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from os.path import basename
from typing import Any

from dynbalancer.core.codec import from_document
from dynbalancer.core.documents import ReadCertificate, ReadPem
from dynbalancer.core.merge import CALLED
from dynbalancer.core.model import NOTHING, Certificate, Configuration, Item
from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer_file.documents import parse
from dynbalancer_file.templates import written_out


@dataclass(frozen=True, slots=True)
class Reading:
    """What is in force of one file.

    ``good`` says that what is in force had no errors; ``kept`` that it is older than the file, which is wrong now.
    """

    name: str
    configuration: Configuration = field(default_factory=Configuration)
    problems: tuple[Problem, ...] = ()
    good: bool = False
    kept: bool = False

    @property
    def where(self) -> str:
        return f"file {self.name}"


def read(
    name: str,
    content: bytes | str,
    before: Reading | None,
    read_certificate: ReadCertificate | None = None,
    read_pem: ReadPem | None = None,
    dialect: str = "v3",
    environ: Mapping[str, str] = NOTHING,
) -> Reading:
    """What is in force once ``content`` was read; a str says why it could not be.

    ``read_certificate`` gives the certificates that it names, ``read_pem`` what a file of them says. ``dialect`` is
    that of rules that don't say theirs. Templates may ask for what is in ``environ``.
    """
    where = f"file {name}"
    try:
        if isinstance(content, str):
            raise ConfigurationError(where, f"can't be read: {content}")
        document = parse(where, name, written_out(where, content, environ))
        found = from_document(document.value, where, document.line_of, read_certificate, read_pem, dialect)
    except ConfigurationError as error:
        found = Configuration(problems=(error.as_problem(),))
        return _keep(before, found) or Reading(name, problems=found.problems)
    good = all(problem.severity != "error" for problem in found.problems)
    kept = _keep(before, found) if before is not None and before.good and not good else None
    return kept or Reading(name, replace(found, problems=()), found.problems, good)


def _keep(before: Reading | None, found: Configuration) -> Reading | None:
    """The older reading with the newer problems; None where there is nothing to keep."""
    if before is None or not any(before.configuration.routing):
        return None
    notice = Problem(before.where, "wrong as it is now: its last good reading stays in force", "", "warning")
    return Reading(before.name, before.configuration, (*found.problems, notice), before.good, kept=True)


def gone(path: str) -> Problem:
    """What to say of the one file that is not there any more."""
    return Problem(
        f"file {basename(path)}", "it is gone, and its routes with it", f"put it back at {path}", "warning"
    )


def together(readings: Iterable[Reading]) -> Configuration:
    """All files as one, in their order. Of two definitions with one name the first is kept."""
    known: dict[str, dict[str, Any]] = {family: {} for family in CALLED}
    problems: list[Problem] = []
    items: list[Item] = []
    for reading in readings:
        gave: list[str] = []
        for family, kind in CALLED.items():
            found = getattr(reading.configuration, family)
            if family == "certificates":
                gave += _join_certificates(known[family], found)
            else:
                gave += _join(kind, known[family], found, reading, problems)
        problems.extend(reading.problems)
        items.append(_item(reading, tuple(dict.fromkeys(gave))))
    return Configuration(problems=tuple(problems), items=tuple(items), **known)


def _join(
    kind: str,
    known: dict[str, Any],
    found: Mapping[str, Any],
    reading: Reading,
    problems: list[Problem],
) -> list[str]:
    """Add definitions to the ones known so far. The names of those that were new."""
    added = []
    for name, definition in found.items():
        if name in known:
            why = f"{kind} {name} is defined in {known[name].origin} too; that one is used"
            problems.append(Problem(reading.where, why, "give one of them another name", "warning"))
        else:
            known[name] = definition
            added.append(name)
    return added


def _join_certificates(known: dict[str, Certificate], found: Mapping[str, Certificate]) -> list[str]:
    """The same for certificates. Nobody chose their names, so several may have one: then a number tells them apart."""
    added = []
    for name, certificate in found.items():
        number, unused = 1, name
        while unused in known:
            number += 1
            unused = f"{name}-{number}"
        known[unused] = replace(certificate, name=unused)
        added.append(unused)
    return added


def _item(reading: Reading, gave: tuple[str, ...]) -> Item:
    """The file as the dashboard shows it."""
    first = next((str(problem) for problem in reading.problems if problem.severity == "error"), "")
    if reading.kept:
        verdict, why = "routed", f"wrong as it is now, so its last good reading stays in force; {first}"
    elif gave:
        verdict, why = "routed", first
    elif first:
        verdict, why = "refused", first
    else:
        verdict, why = "ignored", "nothing is defined in it"
    return Item(reading.where, reading.name, "file", verdict, why, gave)
