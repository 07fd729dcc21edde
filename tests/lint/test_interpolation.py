"""Variables as compose replaces them; each case was tried with docker-compose 1.29 or is in the specification."""

from __future__ import annotations

import pytest

from dynbalancer.lint.interpolation import filled, loses_a_hash, variables_in

ENVIRON = {"HOST": "a.example", "EMPTY": ""}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("$$x", "$x"),
        ("$${HOST}", "${HOST}"),
        ("${HOST}", "a.example"),
        ("$HOST/", "a.example/"),
        ("$HOST.x$HOST", "a.example.xa.example"),
        ("${NO:-b.example}", "b.example"),
        ("${EMPTY:-b}${EMPTY-c}", "b"),
        ("${NO-}", ""),
        ("${NO:-${ALSO:-c}}", "c"),
        ("${HOST:+x}${NO:+y}", "x"),
        ("${HOST:?must}", "a.example"),
        ("Host(`{sub:[a-z]+}.a`)", "Host(`{sub:[a-z]+}.a`)"),
    ],
)
def test_variables(text: str, expected: str) -> None:
    found = filled(text, ENVIRON)
    assert (found.text, found.unset, found.demanded, found.bad) == (expected, [], [], [])


def test_what_is_not_set() -> None:
    found = filled("$A ${B} ${C:?say c} ${D?}", ENVIRON)
    assert (found.unset, found.demanded) == (["A", "B"], [("C", "say c"), ("D", "")])


@pytest.mark.parametrize("text", ["^/[a-z]+$", "/$1", "${", "${1}", "${A!x}", "a $ b"])
def test_a_dollar_that_compose_refuses(text: str) -> None:
    assert len(filled(text, ENVIRON).bad) == 1


@pytest.mark.parametrize(
    "text, lost",
    [
        ("u:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/", True),
        ("a:$2y$05$x,b:c", True),
        ("traefik.x=u:$2b$10$x", True),
        ("u:$$apr1$$H6uskkkW$$IgXLP6ewTrSuBkTrqE8wj/", False),
        ("u:{SHA}abc=", False),
        ("u:$USERS", False),
        ("http://$HOST:$PORT", False),
    ],
)
def test_a_hash_that_is_eaten(text: str, lost: bool) -> None:
    assert loses_a_hash(text) is lost


def test_a_file_of_variables() -> None:
    text = "# x\nA=1\nexport B = 'two words' \nC=three # comment\nnothing\n1=2\nD=\"4\"\n"
    assert variables_in(text) == {"A": "1", "B": "two words", "C": "three", "D": "4"}
