"""Sections within a service, from dotted labels: ``…loadbalancer.healthcheck.path=/health``."""

from __future__ import annotations

from typing import Any

from dynbalancer.core.labels.findings import Findings, Label
from dynbalancer.core.labels.sheet import Fields
from dynbalancer.core.labels.values import boolean, is_false
from dynbalancer.core.schema import WrongValueError, describe
from dynbalancer.core.sections import BELOW, OF_KIND, READERS, Section


def section_of(word: str, prefix: str, fields: Fields, findings: Findings) -> Any:
    """What the labels below ``prefix`` say of the section ``word``; None where there are none, or it can't be used.

    ``fields`` has labels by their lower-case keys. An empty value counts as absent. ``…sticky.cookie=true`` is a
    section with nothing but defaults.
    """
    section = BELOW.get(word) or OF_KIND[word]
    alone = fields.get(prefix[:-1])
    if alone is not None and is_false(alone.value):
        # Traefik: what is switched off by its own name is off, whatever is below it.
        return None
    given: dict[str, Any] = {}
    labels: dict[str, str] = {}
    usable = True
    for key in section.keys:
        name = f"{prefix}{key.name.lower()}"
        value, label = _members(name, fields) if key.kind == "fields" else _value(fields.get(name))
        if label is None:
            continue
        labels[key.name] = label.key
        try:
            given[key.attribute] = READERS[key.kind](value)
        except WrongValueError as wrong:
            shown = "" if key.kind == "fields" else f", got {describe(value)}"
            findings.label(label.key, f"expected {wrong.expected}{shown}", wrong.hint)
            usable = usable and not (key.required or key.restricts)
    if not labels:
        return _switched_on(alone, section, findings)
    missing = [key for key in section.keys if key.required and key.name not in labels]
    for key in missing:
        root = next(iter(labels.values())).rpartition(".")[0]
        findings.whole(
            f"{word} is not used: its {key.name} is missing", f"add label {root}.{key.name.lower()}=…"
        )
    if missing or not usable:
        return None
    made = section.make(**given)
    for name, why, severity in section.doubts(made, given):
        findings.label(labels.get(name, next(iter(labels.values()))), why, severity=severity)
    return made


def _switched_on(label: Label | None, section: Section, findings: Findings) -> Any:
    """The section by its own name alone: true, or an empty value, is all its defaults."""
    if label is None or any(key.required for key in section.keys):
        return None
    # An empty value is as good as true here, unlike elsewhere (Traefik's allowEmpty).
    on = not label.value.strip() or boolean(label, False, findings)
    return section.make() if on else None


def _value(label: Label | None) -> tuple[Any, Label | None]:
    return (label.value.strip(), label) if label is not None and label.value.strip() else (None, None)


def _members(name: str, fields: Fields) -> tuple[dict[str, str], Label | None]:
    """All labels below a name, by the last part of their keys as written, and one of them."""
    found = {key: label for key, label in fields.items() if key.startswith(f"{name}.")}
    members = {
        label.key[len(label.key) - len(key) + len(name) + 1 :]: label.value for key, label in found.items()
    }
    return members, next(iter(found.values()), None)
