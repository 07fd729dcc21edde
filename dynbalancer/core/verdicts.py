"""What became of each label of a container: understood, unknown, wrong, or ignored here, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dynbalancer.core.model import Item
from dynbalancer.core.subjects import label_of, subject_of
from dynbalancer.errors import Problem

#: How the reason begins that is given for a label nobody knows.
UNKNOWN = "this label "

#: The worst first: where several things are said of one label, that one is its verdict.
VERDICTS = ("unknown", "wrong", "ignored", "understood")


@dataclass(frozen=True, slots=True)
class Verdict:
    """``verdict`` is one of :data:`VERDICTS`; ``why`` and ``hint`` are empty where all is well."""

    verdict: str = "understood"
    why: str = ""
    hint: str = ""


def by_container(problems: Iterable[Problem]) -> dict[str, list[Problem]]:
    """The problems that are about a container, or about what it defines, by the container's name."""
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        container = subject_of(problem.where).container
        if container:
            found.setdefault(container, []).append(problem)
    return found


def verdicts(item: Item, problems: Iterable[Problem]) -> dict[str, Verdict]:
    """A verdict for each label of an item. ``problems`` are those of its container."""
    said: dict[str, list[Problem]] = {}
    for problem in problems:
        said.setdefault(label_of(problem, item.labels), []).append(problem)
    return {key: _verdict(key, said.get(key, ()), item) for key in item.labels}


def _verdict(key: str, problems: Iterable[Problem], item: Item) -> Verdict:
    worst = min((_said(problem) for problem in problems), key=_rank, default=None)
    if worst is not None and worst.verdict != "understood":
        return worst
    if item.verdict == "ignored" and key.lower() != "traefik.enable":
        return Verdict("ignored", item.why)
    return worst or Verdict(why=_not_exposed(key, item))


def _not_exposed(key: str, item: Item) -> str:
    """What to say of a port that the container's image doesn't speak of. It may be right all the same."""
    exposed = item.details.get("ports", "")
    value = item.labels[key].strip()
    is_port = key.lower().endswith((".server.port", "traefik.port")) and value.isdecimal()
    if not is_port or not exposed or value in exposed.split(", "):
        return ""
    return f"port {value} is not among those that are exposed ({exposed}); something must listen on it all the same"


def _said(problem: Problem) -> Verdict:
    if problem.why.startswith(UNKNOWN):
        return Verdict("unknown", problem.why, problem.hint)
    means_nothing = problem.why.startswith("means nothing")
    verdict = {"error": "wrong", "warning": "ignored"}.get(problem.severity, "understood")
    return Verdict("ignored" if means_nothing else verdict, problem.why, problem.hint)


def _rank(verdict: Verdict) -> int:
    return VERDICTS.index(verdict.verdict)
