"""Reads the tables of cases. What may stand in one, and what each key means, is in README.md beside this file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent

#: Where a container is, one after the other; what else is named by an address is a server of a file.
NETWORK = "10.0.0."

#: What is given, what is expected of the model, what is asked; and what a step of several may say.
SHORT = frozenset(("m", "v1", "v2", "v3", "frontend", "backend"))
GIVEN = SHORT | {"flags", "labels", "containers", "files", "services", "http", "servers"}
EXPECTED = frozenset(("model", "problems"))
STEP = frozenset(
    ("ask", "on", "with", "send", "client", "times", "status", "answer", "body", "by", "seen", "counts", "statuses",
     "log", "after", "tunnel", "together", "settle", "connect", "sni", "say", "hear")
)  # fmt: skip
CASE = GIVEN | EXPECTED | STEP | {"case", "steps", "jar"}
GROUP = GIVEN | EXPECTED | STEP | {"about", "cases", "jar"}

#: What shorthands stand for.
RULE = {
    "v2": "traefik.http.routers.r.rule",
    "v3": "traefik.http.routers.r.rule",
    "v1": "traefik.frontend.rule",
}
USES_M = {"traefik.http.routers.r.rule": "Host(`a.example`)", "traefik.http.routers.r.middlewares": "m"}
IN_ROUTER = "traefik.http.routers.r."
OLD_RULE = {"traefik.frontend.rule": "Host:a.example"}


class BadTableError(Exception):
    """A table that can't be read: which, and why."""


@dataclass(frozen=True, slots=True)
class Place:
    """One container as the table describes it."""

    name: str
    labels: Mapping[str, str]
    address: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """One row: what is given, and what is expected. ``steps`` are requests, one after the other.

    ``names`` are what servers are called, by their addresses; others are called by those.
    """

    table: str
    group: str
    name: str
    flags: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    files: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    servers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    steps: tuple[Mapping[str, Any], ...] = ()
    jar: bool = False
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """What the test of it is called."""
        return f"{self.table}: {self.group}: {self.name}"


def cases() -> tuple[Case, ...]:
    """All rows of all tables. Raises BadTableError."""
    found = tuple(case for path in sorted(HERE.glob("*.yml")) for case in _table(path))
    names = [case.id for case in found]
    twice = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ()
    if twice:
        raise BadTableError(f"two rows of one name: {sorted(twice)}")
    return found


def _table(path: Path) -> Iterator[Case]:
    for group in yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        where = f"{path.name}, {group.get('about')}"
        _known(group, GROUP, where)
        for row in group["cases"]:
            _known(row, CASE, f"{where}, {row.get('case')}")
            for step in row.get("steps", ()):
                _known(step, STEP, f"{where}, {row['case']}")
            yield from _forms(path.stem, group, row)


def _known(found: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    unknown = set(found) - known
    if unknown:
        raise BadTableError(f"{where}: what is {', '.join(sorted(unknown))}?")


def _forms(table: str, group: Mapping[str, Any], row: Mapping[str, Any]) -> Iterator[Case]:
    """A row as a case; one that gives the options of a middleware as two, by labels and in a file."""
    merged = _merged(group, row)
    yield _case(table, group["about"], row["case"], merged)
    in_router = all(label.startswith(IN_ROUTER) for label in merged.get("labels", {}))
    if "m" in merged and in_router and "containers" not in merged and "files" not in merged:
        case = _case(table, group["about"], f"{row['case']}, in a file", _as_file(merged))
        yield replace(case, names={f"{NETWORK}2": "web"})


def _merged(group: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """What the row says, and the group where the row doesn't; sections are joined."""
    merged: dict[str, Any] = {key: value for key, value in group.items() if key not in ("about", "cases")}
    for key, value in row.items():
        before = merged.get(key)
        joined = isinstance(value, Mapping) and isinstance(before, Mapping)
        merged[key] = {**before, **value} if joined else value  # type: ignore[dict-item]
    merged = {key: value for key, value in merged.items() if value is not None or key == "hear"}
    if "m" in merged:
        merged["m"] = {key: value for key, value in merged["m"].items() if value is not None}
    return merged


def _case(table: str, group: str, name: str, row: Mapping[str, Any]) -> Case:
    common = {key: value for key, value in row.items() if key in STEP}
    steps = tuple({**common, **step} for step in row["steps"]) if "steps" in row else (common,)
    if "services" in row:
        row = {"containers": {}, **row, "files": {"dyn.yml": _document(row), **row.get("files", {})}}
    places = tuple(_places(row))
    return Case(
        table,
        group,
        name,
        tuple(row.get("flags", ())),
        places,
        row.get("files", {}),
        {**_model_of(row), **row.get("model", {})},
        tuple(row.get("problems", ())),
        row.get("servers", {}),
        steps,
        row.get("jar", False),
        {place.address: place.name for place in places},
    )


def _places(row: Mapping[str, Any]) -> Iterator[Place]:
    given = row.get("containers", {} if "files" in row and "labels" not in row else {"web": {}})
    for number, (name, facts) in enumerate(given.items(), 2):
        labels = {**_labels(row), **((facts or {}).get("labels") or {})}
        texts = {key: _text(value) for key, value in labels.items() if value is not None}
        yield Place(name, texts, f"{NETWORK}{number}", facts or {})


def _labels(row: Mapping[str, Any]) -> dict[str, Any]:
    """The labels that the shorthands of a row stand for, and its own."""
    found: dict[str, Any] = {}
    if "m" in row:
        found |= USES_M | {f"traefik.http.middlewares.m.{key}": value for key, value in row["m"].items()}
    for old in ("frontend", "backend"):
        if old in row:
            found |= OLD_RULE | {f"traefik.{old}.{key}": value for key, value in row[old].items()}
    for dialect, label in RULE.items():
        if dialect in row:
            found[label] = row[dialect]
    if "v2" in row:
        found["traefik.http.routers.r.ruleSyntax"] = "v2"
    return found | row.get("labels", {})


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _model_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a shorthand promises by itself: the rule as it was written, and the settings."""
    found: dict[str, Any] = {}
    for dialect in ("v2", "v3"):
        if dialect in row and not row.get("problems"):
            found["routers"] = {"r": {"rule": row[dialect], "dialect": dialect}}
    if "m" in row and not row.get("problems"):
        found["middlewares"] = {"m": _nested(row["m"])}
    return found


def _nested(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """``{a.b: c}`` as ``{a: {b: c}}``; what is on as a whole is an empty section."""
    found: dict[str, Any] = {}
    for key, value in dotted.items():
        *above, last = key.split(".")
        inner = found
        for name in above:
            inner = inner.setdefault(name, {})
        inner[last] = value if above else {}
    return found


def _document(row: Mapping[str, Any]) -> dict[str, Any]:
    """A file with these services, and router ``r`` for the first of them."""
    router = {"rule": "Host(`a.example`)", "service": next(iter(row["services"]))}
    return {"http": {"routers": {"r": router}, "services": row["services"], **row.get("http", {})}}


def _as_file(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same in a file: router ``r``, service ``web``, and middleware ``m``."""
    router: dict[str, Any] = {"rule": "Host(`a.example`)", "service": "web", "middlewares": ["m"]}
    router |= {label.removeprefix(IN_ROUTER): value for label, value in row.get("labels", {}).items()}
    server = {"url": f"http://{NETWORK}2:80"}
    http = {
        "routers": {"r": router},
        "services": {"web": {"loadBalancer": {"servers": [server]}}},
        "middlewares": {"m": _nested(row["m"])},
    }
    plain = {key: value for key, value in row.items() if key != "labels"}
    return {**plain, "files": {"dyn.yml": {"http": http}}}
