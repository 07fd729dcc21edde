"""The tree: what is left to test after the host index, traces, JSON, printing."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.rules.parser import parse
from dynbalancer.core.rules.tree import And, Hosts, Node, Or, quoted
from dynbalancer.testing import exchange


def hosts(*exact: bytes, wild: tuple[bytes, ...] = ()) -> Hosts:
    return Hosts(frozenset(exact), frozenset(wild))


CONFINED = [
    ("Host(`a.example`)", hosts(b"a.example")),
    ("Host(`*.a.example`)", hosts(wild=(b"a.example",))),
    ("Host(`*`)", None),
    ("HostRegexp(`a`)", None),
    ("Path(`/`)", None),
    ("!Host(`a.example`)", None),
    ("Host(`a`) || Host(`*.b`)", hosts(b"a", wild=(b"b",))),
    ("Host(`a`) || Path(`/`)", None),
    ("Host(`a`) && Path(`/`)", hosts(b"a")),
    ("Path(`/`) && (Host(`a`) || Host(`b`))", hosts(b"a", b"b")),
    ("Host(`a`) && Path(`/`) || Host(`b`)", hosts(b"a", b"b")),
    ("Host(`a`) && Host(`b`)", hosts(b"a")),
]


@pytest.mark.parametrize(("rule", "confined"), CONFINED)
def test_rule_says_which_hosts_it_is_confined_to(rule: str, confined: Hosts | None) -> None:
    assert parse(rule).hosts() == confined


@pytest.mark.parametrize(
    ("rule", "done"),
    [
        ("Host(`a`)", True),
        ("Host(`a`) || Host(`*.b`)", True),
        ("Host(`a`) || Host(`b`) && (Host(`b`) || Host(`c`))", False),
        ("Host(`*`)", True),
        ("Host(`a`) && Host(`*`)", True),
        ("Host(`a`) && Path(`/`)", False),
        ("Host(`a`) || Path(`/`)", False),
        ("!Host(`a`)", False),
        ("!Host(`*`)", False),
    ],
)
def test_rule_of_mere_hosts_leaves_nothing_to_test(rule: str, done: bool) -> None:
    assert (parse(rule).compile() is None) is done


RULES = [
    "Host(`a`)",
    "Host(`*.b`)",
    "Host(`a`) && Host(`*.b`)",
    "Host(`*.b`) && Host(`x.b`)",
    "Host(`a`) && Path(`/x`)",
    "(Host(`a`) || Host(`*.b`)) && (Path(`/x`) || Method(`POST`))",
    "Host(`a`) && Path(`/x`) || Host(`*.b`) && Path(`/y`)",
    "Host(`a`) && !Path(`/x`)",
    "Path(`/x`) && Host(`a`) && Method(`GET`)",
    "Path(`/x`) || Method(`POST`) || Host(`a`)",
    "!(Host(`a`) || Path(`/x`)) && Method(`GET`)",
    "Host(`*`) && Path(`/x`)",
    "Host(`*`) || Path(`/x`)",
    "!Host(`*`)",
]


@pytest.mark.parametrize("rule", RULES)
def test_index_and_rest_say_the_same_as_the_whole_and_the_trace(rule: str) -> None:
    node = parse(rule)
    whole, rest, confined = node.predicate(), node.compile(), node.hosts()
    for host in (b"a", b"x.b", b"b", b"x.y.b", b""):
        for path in (b"/x", b"/y"):
            for method in (b"GET", b"POST"):
                asked = exchange(method, path, host)
                verdict = whole is None or whole(asked)
                assert verdict == ((confined is None or host in confined) and (rest is None or rest(asked)))
                assert node.trace(asked).matched is verdict


def test_tree_without_parts() -> None:
    assert And(()).predicate() is None
    nothing = Or(()).predicate()
    assert nothing is not None
    assert not nothing(exchange())


def test_tree_as_json() -> None:
    assert parse("Host(`a`) && (Path(`/x`) || !Header(`X`, `1`))").as_dict() == {
        "op": "and",
        "children": [
            {"matcher": "Host", "arguments": ["a"]},
            {
                "op": "or",
                "children": [
                    {"matcher": "Path", "arguments": ["/x"]},
                    {"op": "not", "children": [{"matcher": "Header", "arguments": ["X", "1"]}]},
                ],
            },
        ],
    }


def test_trace_has_a_verdict_for_every_clause() -> None:
    shown = (
        parse("Host(`b`) && (Path(`/x`) || !Method(`GET`))").trace(exchange(host=b"a", path=b"/x")).as_dict()
    )

    def verdicts(node: dict[str, Any]) -> list[bool]:
        return [node["matched"], *(found for child in node.get("children", ()) for found in verdicts(child))]

    #      and    Host   or    Path  not    Method
    assert verdicts(shown) == [False, False, True, True, False, True]


@pytest.mark.parametrize(
    ("rule", "deciding"),
    [
        ("Host(`b`) && Path(`/`)", ["Host(`b`)"]),
        ("Host(`b`) || Path(`/x`)", ["Host(`b`)", "Path(`/x`)"]),
        ("Host(`b`) || Path(`/`)", ["Path(`/`)"]),
        ("Path(`/`) && !Method(`GET`)", ["Method(`GET`)"]),
    ],
)
def test_trace_names_the_clauses_that_decided(rule: str, deciding: list[str]) -> None:
    trace = parse(rule).trace(exchange(host=b"a", path=b"/"))
    assert [str(clause.node) for clause in trace.clauses()] == deciding


def test_children_are_the_parts() -> None:
    node = parse("Host(`a`) && !(Path(`/x`) || Path(`/y`))")

    def count(part: Node) -> int:
        return 1 + sum(map(count, part.children))

    assert count(node) == 6


def test_equal_rules_are_equal_and_hash_alike() -> None:
    one, other = parse("Host(`a`) && Path(`/x`)"), parse('( host("a")&&PATH("/x") )')
    assert one == other
    assert hash(one) == hash(other)


@pytest.mark.parametrize(
    ("argument", "written"),
    [
        ("a", "`a`"),
        ("a`b", '"a`b"'),
        ("\r\n", '"\\u000d\\u000a"'),
        ('`"\\', '"`\\"\\\\"'),
        ("\U000e0001", '"\\U000e0001"'),
    ],
)
def test_argument_is_printed_so_that_it_can_be_read(argument: str, written: str) -> None:
    assert quoted(argument) == written
