"""The shape of SARIF 2.1.0, as its specification demands it."""

from __future__ import annotations

import json
from typing import Any

from dynbalancer.errors import Problem
from dynbalancer.lint.findings import RULES, Checked, Finding
from dynbalancer.lint.sarif import sarif

FINDINGS = (
    Finding(
        "a b/c.yml", Problem("service web, label l", "odd", "x", "warning"), 7, "web", "l", "wrong-label"
    ),
    Finding("/srv/d.yml", Problem("/srv/d.yml, line 3: http", "odd", severity="info")),
    Finding("e.yml", Problem("e.yml", "odd"), rule="unreadable"),
)


def run() -> dict[str, Any]:
    """The only run of a log, after a round through JSON."""
    log = json.loads(
        json.dumps(sarif([Checked("a b/c.yml", FINDINGS[:1]), Checked("x", FINDINGS[1:])], "1.2.3"))
    )
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (only,) = log["runs"]
    found: dict[str, Any] = only
    return found


def test_the_tool_and_its_rules() -> None:
    driver = run()["tool"]["driver"]
    assert (driver["name"], driver["semanticVersion"]) == ("dynbalancer check", "1.2.3")
    assert [rule["id"] for rule in driver["rules"]] == list(RULES)
    assert all(rule["shortDescription"]["text"] for rule in driver["rules"])


def test_each_finding_is_a_result_with_a_rule_that_exists() -> None:
    found = run()
    rules = found["tool"]["driver"]["rules"]
    assert len(found["results"]) == len(FINDINGS)
    for result, finding in zip(found["results"], FINDINGS, strict=True):
        assert result["ruleId"] == rules[result["ruleIndex"]]["id"] == finding.rule
    assert [result["level"] for result in found["results"]] == ["warning", "note", "error"]
    assert found["results"][0]["message"]["text"] == "service web, label l: odd; x"
    assert found["results"][1]["message"]["text"] == "http: odd"


def test_places_are_references_with_lines_from_1() -> None:
    places = [result["locations"][0]["physicalLocation"] for result in run()["results"]]
    assert [place["artifactLocation"]["uri"] for place in places] == [
        "a%20b/c.yml",
        "file:///srv/d.yml",
        "e.yml",
    ]
    assert [place.get("region") for place in places] == [{"startLine": 7}, None, None]


def test_the_label_is_the_logical_place() -> None:
    (place,) = run()["results"][0]["locations"][0]["logicalLocations"]
    assert place == {"name": "l", "fullyQualifiedName": "services.web.labels.l"}
