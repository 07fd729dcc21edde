"""Texts of labels as typed values."""

from __future__ import annotations

import pytest

from dynbalancer.core.labels import values
from dynbalancer.core.labels.findings import Findings, Label


@pytest.mark.parametrize("text, items", [("", ()), ("a", ("a",)), (" a , b,,", ("a", "b"))])
def test_csv_drops_what_is_empty(text: str, items: tuple[str, ...]) -> None:
    assert values.csv(text) == items


@pytest.mark.parametrize("word", ["1", "t", "T", "TRUE", "true", "True"])
def test_true_as_go_reads_it(word: str) -> None:
    findings = Findings("a")
    assert values.boolean(Label("k", word), False, findings) is True
    assert findings.problems == []


@pytest.mark.parametrize("word", ["0", "f", "F", "FALSE", "false", "False"])
def test_false_as_go_reads_it(word: str) -> None:
    findings = Findings("a")
    assert values.boolean(Label("k", word), True, findings) is False
    assert values.is_false(word)
    assert findings.problems == []


@pytest.mark.parametrize("label", [None, Label("k", ""), Label("k", " ")])
def test_absent_and_empty_labels_give_the_default(label: Label | None) -> None:
    findings = Findings("a")
    assert values.boolean(label, True, findings) is True
    assert values.integer(label, 7, findings, 0, 9) == 7
    assert values.choice(label, "http", ("http", "https"), findings) == "http"
    assert values.text(label, "x") == "x"
    assert findings.problems == []


@pytest.mark.parametrize("word", ["yes", "tRUE", "on", "2"])
def test_other_words_are_reported_and_give_the_default(word: str) -> None:
    findings = Findings("a")
    assert values.boolean(Label("k", word), True, findings, root=True) is True
    assert str(findings.roots[0]) == (
        f"container a, label k: '{word}' is neither true nor false; true is used; write true or false"
    )


@pytest.mark.parametrize("text, number", [("80", 80), (" 80 ", 80), ("+8", 8), ("-1", -1), ("007", 7)])
def test_whole_numbers(text: str, number: int) -> None:
    assert values.integer(Label("k", text), None, Findings("a"), -1, 80) == number


@pytest.mark.parametrize(
    "text, why",
    [
        ("x", "'x' is not a whole number; 5 is used"),
        ("1_0", "'1_0' is not a whole number; 5 is used"),
        ("٣", "'٣' is not a whole number; 5 is used"),
        ("1.5", "'1.5' is not a whole number; 5 is used"),
        ("9" * 31, f"'{'9' * 31}' is not a whole number; 5 is used"),
        ("9" * 20, f"{'9' * 20} is not between 1 and 65535; 5 is used"),
        ("70000", "70000 is not between 1 and 65535; 5 is used"),
        ("0", "0 is not between 1 and 65535; 5 is used"),
    ],
)
def test_other_numbers_are_reported_and_give_the_default(text: str, why: str) -> None:
    findings = Findings("a")
    assert values.integer(Label("k", text), 5, findings, 1, 65535) == 5
    assert findings.problems[0].why == why


def test_without_a_default_the_label_is_ignored() -> None:
    findings = Findings("a")
    assert values.integer(Label("k", "x"), None, findings, 1, 2) is None
    assert findings.problems[0].why == "'x' is not a whole number; the label is ignored"


def test_a_word_of_several() -> None:
    findings = Findings("a")
    assert values.choice(Label("k", "HTTPS"), "http", ("http", "https"), findings) == "https"
    assert values.choice(Label("k", "ftp"), "http", ("http", "https"), findings) == "http"
    assert [str(problem) for problem in findings.problems] == [
        "container a, label k: 'ftp' is unknown; http is used; write one of http, https"
    ]


def test_quotes_of_the_wrong_place_are_recognised() -> None:
    findings = Findings("a")
    assert values.boolean(Label("k", '"true"'), False, findings) is False
    assert values.integer(Label("k", '"80"'), 5, findings, 1, 99) == 5
    assert values.choice(Label("k", "'https'"), "http", ("http", "https"), findings) == "http"
    assert {problem.hint for problem in findings.problems} == {
        "leave out the quotes: in a list of labels they are part of the value"
    }


@pytest.mark.parametrize(
    "text, found",
    [
        ("X-A:1", {"X-A": "1"}),
        (" x-a : b:c || content-TYPE:d ", {"X-A": "b:c", "Content-Type": "d"}),
        ("X-A:", {"X-A": ""}),
        ("X-A:1||||X-A:2", {"X-A": "2"}),
        ("", {}),
    ],
)
def test_pairs_of_names_and_values(text: str, found: dict[str, str]) -> None:
    findings = Findings("a")
    assert values.pairs(Label("k", text), findings) == found
    assert findings.problems == []


@pytest.mark.parametrize("text", ["Authorization s3cret", ":s3cret", "X-A:1||s3cret"])
def test_what_is_no_pair_is_reported_and_not_shown(text: str) -> None:
    findings = Findings("a")
    assert "s3cret" not in str(values.pairs(Label("k", text), findings))
    assert [problem.severity for problem in findings.problems] == ["warning"]
    assert "s3cret" not in str(findings.problems)


@pytest.mark.parametrize(
    "text, known", [("true", True), ("F", True), ("0", True), ("yes", False), ("", False)]
)
def test_texts_that_are_a_boolean(text: str, known: bool) -> None:
    assert values.is_boolean(text) is known


def test_what_is_used_instead_of_a_bad_port_is_a_number_only_where_it_is_known() -> None:
    findings = Findings("a")
    assert values.port(Label("k", "http"), 80, findings) == 80
    assert values.port(Label("k", "http"), 80, findings, known=False) == 80
    assert values.port(Label("k", "70000"), 80, findings, known=False) == 80
    assert values.port(Label("k", "81"), 80, findings, known=False) == 81
    assert [problem.why for problem in findings.problems] == [
        "'http' is not a whole number; 80 is used",
        "'http' is not a whole number; the lowest port that the image exposes is used",
        "70000 is not between 1 and 65535; the lowest port that the image exposes is used",
    ]
