"""Findings as SARIF 2.1.0, which code review sites and editors show beside the lines concerned."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from dynbalancer.lint.findings import RULES, Checked, Finding

VERSION = "2.1.0"
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

#: Our severities in SARIF's words.
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def sarif(checked: Iterable[Checked], version: str) -> dict[str, Any]:
    """One run with a result for each finding. ``version`` is ours."""
    rules = list(RULES)
    results = [_result(finding, rules) for one in checked for finding in one.findings]
    driver = {
        "name": "dynbalancer check",
        "semanticVersion": version,
        "rules": [
            {"id": name, "shortDescription": {"text": meaning}, "defaultConfiguration": {"level": "warning"}}
            for name, meaning in RULES.items()
        ],
    }
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": VERSION, "runs": [run]}


def _result(finding: Finding, rules: list[str]) -> dict[str, Any]:
    problem = finding.problem
    where = finding.as_text().removeprefix(finding.path).removeprefix(f", line {finding.line}").lstrip(": ")
    text = where.removesuffix(f" [{problem.severity}]")
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(finding.path)}}
    if finding.line:
        physical["region"] = {"startLine": finding.line}
    location: dict[str, Any] = {"physicalLocation": physical}
    if finding.label or finding.service:
        name = ".".join(filter(None, ("services", finding.service, "labels" if finding.label else "")))
        location["logicalLocations"] = [
            {
                "name": finding.label or finding.service,
                "fullyQualifiedName": f"{name}.{finding.label}".rstrip("."),
            }
        ]
    return {
        "ruleId": finding.rule,
        "ruleIndex": rules.index(finding.rule),
        "level": _LEVELS.get(problem.severity, "note"),
        "message": {"text": text},
        "locations": [location],
    }


def _uri(path: str) -> str:
    """A path as a reference: relative as it is, absolute with its scheme."""
    found = PurePath(path)
    return found.as_uri() if found.is_absolute() else quote(found.as_posix())
