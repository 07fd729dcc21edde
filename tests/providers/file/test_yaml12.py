"""YAML as read: what words mean, what is refused with which line, and what can't blow up."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.errors import ConfigurationError
from dynbalancer_file import yaml12


def value(text: str) -> Any:
    return yaml12.read(text, "file dyn.yml")[0]


def refusal(text: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        value(text)
    return caught.value


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("no", "no"),
        ("on", "on"),
        ("22:22", "22:22"),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("-5", -5),
        ("1_000", "1_000"),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        (".inf", math.inf),
        ("true", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("~", None),
        ("", None),
        ("2024-01-01", "2024-01-01"),
        ("'5'", "5"),
        ('"true"', "true"),
        ("!!str 5", "5"),
        ("!!int '5'", 5),
        ("! 5", "5"),
        ("9" * 60, 1e60),
    ],
)
def test_a_word_means_what_yaml_1_2_says(word: str, meaning: object) -> None:
    found = value(f"a: {word}\n")["a"]
    assert found == meaning
    assert type(found) is type(meaning)


def test_keys_are_texts_whatever_they_look_like() -> None:
    assert value("404: a\ntrue: b\n~: c\n1.0: d\n") == {"404": "a", "true": "b", "~": "c", "1.0": "d"}


def test_sections_lists_and_anchors_are_read() -> None:
    assert value("a: &x [1, {b: c}]\nd: *x\n") == {"a": [1, {"b": "c"}], "d": [1, {"b": "c"}]}


def test_merge_keys_give_way_to_what_is_written_beside_them() -> None:
    text = "base: &b {rule: x, priority: 1}\nother: &o {priority: 2, tls: true}\nr: {priority: 3, <<: [*o, *b]}\n"
    assert value(text)["r"] == {"priority": 3, "tls": True, "rule": "x"}
    assert value("'<<': {a: b}\n") == {"<<": {"a": "b"}}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "---\n...\n"])
def test_an_empty_document_is_nothing(text: str) -> None:
    assert value(text) is None


def test_lines_of_keys_and_members_are_kept() -> None:
    _, lines = yaml12.read(
        "http:\n  Routers:\n    web:\n      list:\n        - a\n        - b\n", "file dyn.yml"
    )
    assert lines[("http", "routers", "web")] == 3
    assert lines[("http", "routers", "web", "list", "1")] == 6


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "key 'a' is given twice: in line 1 and in line 3"),
        ("a: 1\n b: 2\n", 2, "not YAML: mapping values are not allowed"),
        ("a:\n\tb: 1\n", 2, "indent with blanks, not with tabs"),
        ("a: {{ env `X` }}\n", 1, "put a text with a template ({{ … }}) in quotes"),
        ("a: 1\nrule: `x`\n", 2, "put a text that begins with ` in quotes"),
        ("a: 'x\n", 1, "unexpected end of stream"),
        ("rule: Host: a.example\n", 1, 'put a text with ": " in it in quotes'),
        ("a: *x\n", 1, "*x stands for nothing"),
        ("a: &x [*x]\n", 1, "*x stands for nothing"),
        ("a: !Ref x\n", 1, "unknown tag !Ref"),
        ("a: !!python/object:os.system {}\n", 1, "unknown tag tag:yaml.org,2002:python/object:os.system"),
        ("[a]: 1\n", 1, "a key must be a plain text"),
        ("<<: 5\n", 1, "<< takes a section"),
        ("a: 1\n---\nb: 2\n", 2, "a second document begins here"),
        ("a: " + "[" * 200, 1, "nested deeper than 100 levels"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, line: int, said: str) -> None:
    error = refusal(text)
    assert error.where == f"file dyn.yml, line {line}"
    assert said in str(error)


def test_a_text_that_does_not_end_gets_no_hint_about_how_it_begins() -> None:
    assert refusal("rule: 'Host(`a.exam\n").hint == ""


def test_control_characters_are_refused_without_a_line() -> None:
    assert refusal("a: \x00").where == "file dyn.yml"


def test_aliases_that_multiply_without_end_are_refused() -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )
    error = refusal(text)
    assert "more than 1000000 values" in error.why


#: Numbers since YAML 1.2, and words to the older rules by which PyYAML quotes.
_newer = re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+|0o[0-7]+").fullmatch


def _words(least: int, longest: int) -> st.SearchStrategy[str]:
    characters = st.characters(min_codepoint=least, max_codepoint=126)
    return st.text(characters, max_size=longest).filter(lambda text: not _newer(text))


_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6).map(
        lambda x: round(x, 3)
    )
    | _words(32, 12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words(33, 6), inner, max_size=3),
    max_leaves=10,
)


@given(_values)
def test_what_others_write_reads_back_the_same(written: Any) -> None:
    """PyYAML quotes whatever its older rules would take for something else, so both readings agree."""
    assert value(yaml.safe_dump(written, sort_keys=False)) == written


@given(st.text("ab:-[]{}&*!|>'\"%@`#,? \n\t<0.~", max_size=40))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        value(text)
    except ConfigurationError as error:
        assert error.where.startswith("file dyn.yml")
        assert error.why
