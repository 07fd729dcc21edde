"""Whom a Problem is about, read back from its words, and which label of a container it concerns."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from dynbalancer.errors import Problem

_WHERE = re.compile(
    r"(?:(?P<root>TCP |UDP )?(?P<kind>router|service|middleware) (?P<name>[^\s,:]+)(?: of |$))?"
    r"(?:.*?(?:label (?P<origin>\S+)|in the rule) of )?"
    r"(?:container (?P<container>[^\s,]+)(?:, label (?P<label>.+))?)?"
).fullmatch

_NAMED = re.compile(r"(?P<root>TCP |UDP )?(?P<kind>router|service|middleware) (?P<name>[^\s,:]+) of ").match

_LEFT_OUT = re.compile(r"router (\S+) (?:names no service|has no rule)").match

#: Words of a reason, and the field of a router that it is about.
_FIELDS = (
    ("middleware", ("middlewares",)),
    ("service", ("service",)),
    ("entrypoint", ("entrypoints", "entryPoints")),
    ("priority", ("priority",)),
    ("tls", ("tls",)),
    ("", ("rule",)),
)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a problem is about; what it doesn't say is empty. ``name`` may carry its provider (``web@docker``).

    ``root`` is ``http``, ``tcp`` or ``udp``, as labels and files call it.
    """

    kind: str = ""
    name: str = ""
    container: str = ""
    label: str = ""
    root: str = "http"

    @property
    def plain_name(self) -> str:
        """The name without its provider."""
        return self.name.partition("@")[0]


def subject_of(where: str) -> Subject:
    """The subject of ``container web-1, label traefik.port`` or ``router web@docker of container web-1``."""
    found = _WHERE(where)
    if found is None:
        # Defined in a file: what follows is its name.
        named = _NAMED(where)
        return Subject(named["kind"], named["name"], root=_root(named)) if named else Subject()
    label = found["label"] or found["origin"] or ""
    return Subject(
        found["kind"] or "", found["name"] or "", found["container"] or "", label, root=_root(found)
    )


def _root(found: re.Match[str]) -> str:
    return (found["root"] or "http").strip().lower()


def label_of(problem: Problem, labels: Collection[str]) -> str:
    """The one of a container's ``labels`` that a problem is about, or an empty string."""
    subject = subject_of(problem.where)
    if subject.label:
        return subject.label if subject.label in labels else _folded(subject.label, labels)
    if subject.kind == "router":
        return _of_router(subject.plain_name, problem.why, labels, subject.root)
    left_out = _LEFT_OUT(problem.why)
    if left_out is not None and not subject.kind:
        return _of_router(left_out[1], "", labels)
    if subject.kind not in ("middleware", "service"):
        return ""
    prefix = f"traefik.{subject.root}.{subject.kind}s.{subject.plain_name}."
    own = sorted(key for key in labels if key.lower().startswith(prefix.lower()))
    if not own and "in the rule" in problem.where:
        return _of_router("", "", labels)
    return _named(own, problem.why)


def _of_router(name: str, why: str, labels: Collection[str], root: str = "http") -> str:
    own = f"traefik.{root}.routers.{name}.".lower()
    in_v3 = any(key.lower().startswith(own) for key in labels)
    for word, fields in _FIELDS:
        if word and not why.lower().startswith(word):
            continue
        ends = tuple(f".frontend.{field}".lower() for field in fields)
        for key in labels:
            folded = key.lower()
            if folded in [own + field for field in fields] or (not in_v3 and folded.endswith(ends)):
                return key
    return ""


def _named(labels: list[str], why: str) -> str:
    """The one whose option the reason names, or the first."""
    said = why.lower()
    named = (key for key in labels if re.search(rf"\b{re.escape(key.rpartition('.')[2].lower())}\b", said))
    return next(named, labels[0] if labels else "")


def _folded(label: str, labels: Collection[str]) -> str:
    """The one that is spelled so but for its letter case, or else the first below it: of a list or a section."""
    wanted = label.lower()
    below = (f"{wanted}.", f"{wanted}[")
    found = [key for key in labels if key.lower() == wanted or key.lower().startswith(below)]
    return min(found, key=lambda key: (len(key) != len(label), key), default="")
