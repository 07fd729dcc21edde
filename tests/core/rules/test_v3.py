"""The grammar of v3 and v2: operators, spellings, quotes, errors, limits; printing and parsing are inverse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.rules.parser import read
from dynbalancer.core.rules.tree import And, Node, Not, Or
from dynbalancer.core.rules.v3 import clause, parse
from dynbalancer.errors import ConfigurationError

A, B, C = (clause("Host", name) for name in "abc")

TREES = [
    ("Host(`a`)", A),
    ('Host("a")', A),
    ("  Host ( `a` , ) ", A),
    ("HOST(`a`)", A),
    ("host(`a`)", A),
    ("(((Host(`a`))))", A),
    ("!Host(`a`)", Not(A)),
    ("!!Host(`a`)", Not(Not(A))),
    ("Host(`a`) && Host(`b`) && Host(`c`)", And((A, B, C))),
    ("(Host(`a`) && Host(`b`)) && Host(`c`)", And((And((A, B)), C))),
    ("Host(`a`) || Host(`b`) && Host(`c`)", Or((A, And((B, C))))),
    ("(Host(`a`) || Host(`b`)) && Host(`c`)", And((Or((A, B)), C))),
    ("!Host(`a`) && Host(`b`)", And((Not(A), B))),
    ("!(Host(`a`) && Host(`b`))", Not(And((A, B)))),
    ("Host(`a`)\n  || Host(`b`)", Or((A, B))),
]


@pytest.mark.parametrize(("text", "tree"), TREES)
def test_operators_bind_as_in_go(text: str, tree: Node) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize("name", ["PathPrefix", "pathprefix", "PATHPREFIX", "Pathprefix"])
def test_name_is_known_in_four_spellings(name: str) -> None:
    assert parse(f"{name}(`/x`)") == clause("PathPrefix", "/x")


@pytest.mark.parametrize(
    ("text", "argument"),
    [
        (r'"\a\b\f\n\r\t\v\\\""', '\a\b\f\n\r\t\v\\"'),
        (r'"\x41\101\u00e9\U0001F600"', "AAé😀"),
        (r'"\xc3\xa9"', "é"),
        ('"`"', "`"),
        ("`\\d+\r`", "\\d+"),
        ("`a\nb`", "a\nb"),
        ('"say \\"hi\\""', 'say "hi"'),
    ],
)  # fmt: skip
def test_argument_is_read_as_go_reads_it(text: str, argument: str) -> None:
    assert parse(f"Header(`X`, {text})") == clause("Header", "X", argument)


ERRORS = [
    ("Host(`a`", "unexpected end at character 9; expected , or )", ""),
    ("Host(`a`))", "unexpected ) at character 10; expected &&, || or the end", ""),
    ("(Host(`a`)", "unexpected end at character 11; expected )", ""),
    ("Host(`a`) Host(`b`)", "unexpected Host at character 11; expected &&, || or the end", ""),
    ("Host(`a`) &&", "unexpected end at character 13; expected a matcher such as Host(`a.example`)", ""),
    ("&& Host(`a`)", "unexpected && at character 1; expected a matcher such as Host(`a.example`)", ""),
    ("Host", "unexpected end at character 5; expected ( after Host", ""),
    ("Host(a)", "unexpected a at character 6; expected an argument in backticks or double quotes", ""),
    ("Host(`a` `b`)", "unexpected `b` at character 10; expected , or )", ""),
    ("Host('a')", "unexpected ' at character 6", "arguments are written in backticks or double quotes"),
    ("Host(`a)", "unexpected ` at character 6", "a backtick is missing"),
    ('Host("a)', 'unexpected " at character 6', "a double quote is missing"),
    ("Host(`a`) & Host(`b`)", "unexpected & at character 11", "write && for and"),
    ("Host(`a`) | Host(`b`)", "unexpected | at character 11", "write || for or"),
    ("Host:a", "unexpected : at character 5", "v3 writes Host(`a.example`), not Host:a.example"),
    ("Host(`a`); Path(`/b`)", "unexpected ; at character 10", "write && for and"),
    ("Host(`a`) # b", "unexpected # at character 11", ""),
    (
        "Host()",
        "unexpected number of parameters; got 0, expected one of [1]",
        "write Host(`…`); between double quotes a shell runs what is in backticks: use single quotes",
    ),
    (r"Host(\`a\`)", "unexpected \\ at character 6", "leave out the backslash"),
    ("Host(`a`) AND Path(`/b`)", "unexpected AND at character 11; expected &&, || or the end", "write &&"),
    ("Host(`a`) or Path(`/b`)", "unexpected or at character 11; expected &&, || or the end", "write ||"),
    (
        '"Host(`a`)"',
        'unexpected "Host(`a`)" at character 1; expected a matcher such as Host(`a.example`)',
        "leave out the quotes around the rule: in a list of labels they are part of it",
    ),
    (
        "'Host(`a`)'",
        "unexpected ' at character 1",
        "leave out the quotes around the rule: in a list of labels they are part of it",
    ),
    (
        'Host(`{{ env "NAME" }}`)',
        'bad host {{ env "NAME" }}',
        "write the name itself: templates don't work here",
    ),
    (r'Host("\q")', "bad escape in the argument at character 6", "write it in backticks"),
    (r'Host("\xff")', "bad escape in the argument at character 6", "write it in backticks"),
    (r'Host("\ud800")', "bad escape in the argument at character 6", "write it in backticks"),
    (r'Host("\777")', "bad escape in the argument at character 6", "write it in backticks"),
    (r'Host("\Uffffffff")', "bad escape in the argument at character 6", "write it in backticks"),
    ("!" * 101 + "Host(`a`)", "nested deeper than 100 at character 101", ""),
    ("(" * 5000, "nested deeper than 100 at character 101", ""),
]


@pytest.mark.parametrize(("text", "why", "hint"), ERRORS)
def test_bad_syntax_says_where_and_what_was_expected(text: str, why: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse(text)
    assert (raised.value.where, raised.value.why, raised.value.hint) == ("rule", why, hint)


def test_nesting_up_to_the_limit_is_read() -> None:
    assert parse("(" * 100 + "Host(`a`)" + ")" * 100) == A


def test_long_chain_is_not_deep() -> None:
    assert parse(" || ".join(["Host(`a`)"] * 1000)) == Or((A,) * 1000)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
words = st.text("abcdefghij", min_size=1, max_size=5)
clauses = st.one_of(
    words.map(lambda word: clause("Host", f"{word}.example")),
    texts.map(lambda text: clause("Path", f"/{text}")),
    st.builds(lambda name, value: clause("Header", name, value), words, texts),
    words.map(lambda word: clause("Query", word)),
)


def joined(parts: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(parts, min_size=2, max_size=4).map(tuple)
    return st.one_of(several.map(And), several.map(Or), parts.map(Not))


@given(st.recursive(clauses, joined, max_leaves=12))
def test_printing_and_parsing_are_inverse(tree: Node) -> None:
    assert parse(str(tree)) == tree


@given(st.text('Host`"()&|!, \\ax:', max_size=40))
def test_any_text_is_a_tree_or_a_configuration_error(text: str) -> None:
    try:
        tree = parse(text)
    except ConfigurationError as error:
        assert error.where == "rule"
    else:
        assert parse(str(tree)) == tree


def test_a_parameter_in_the_manner_of_v2_is_a_warning() -> None:
    (warning,) = read("Query(`a=b`)").warnings
    assert warning == "a=b is the name of a parameter in v3; write Query(`a`, `b`)"
    assert read("Query(`a`)").warnings == read("Query(`a=b`, `c`)").warnings == ()
