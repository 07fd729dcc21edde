"""The host index: candidates in the order given, one path whatever the size, and a bound on what it keeps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.rules.index import HostIndex
from dynbalancer.core.rules.tree import Hosts


def confined(*names: str) -> Hosts:
    suffixes = frozenset(name[2:].encode() for name in names if name.startswith("*."))
    return Hosts(frozenset(name.encode() for name in names if not name.startswith("*.")), suffixes)


ENTRIES = [
    (None, "any1"),
    (confined("a.x"), "a1"),
    (confined("*.x"), "wild1"),
    (confined("b.x", "a.x"), "ab"),
    (None, "any2"),
    (confined("a.x", "*.x"), "both"),
    (confined("*.a.x"), "deep"),
]


@pytest.mark.parametrize(
    ("host", "found"),
    [
        (b"a.x", ("any1", "a1", "wild1", "ab", "any2", "both")),
        (b"b.x", ("any1", "wild1", "ab", "any2", "both")),
        (b"c.x", ("any1", "wild1", "any2", "both")),
        (b"d.a.x", ("any1", "any2", "deep")),
        (b"x", ("any1", "any2")),
        (b".x", ("any1", "any2")),
        (b"", ("any1", "any2")),
        (b"y", ("any1", "any2")),
    ],
)
def test_candidates_come_in_the_order_given(host: bytes, found: tuple[str, ...]) -> None:
    index = HostIndex(ENTRIES)
    assert index.candidates(host) == found
    assert index.candidates(host) == found


def test_answer_is_kept_for_configured_hosts_and_not_for_those_clients_invent() -> None:
    index = HostIndex([(confined("*.x"), 1), (None, 2)])
    assert index.candidates(b"a.x") is index.candidates(b"b.x")
    assert index.candidates(b"a.y") is index.candidates(b"b.z")


@given(
    st.lists(st.lists(st.sampled_from(["a.x", "b.x", "*.x", "*.a.x", "c"]), max_size=3), max_size=8),
    st.integers(0, 6),
)
def test_small_bound_gives_the_same_answers(rules: list[list[str]], bound: int) -> None:
    entries = [(confined(*names) if names else None, number) for number, names in enumerate(rules)]
    small, large = HostIndex(entries, bound), HostIndex(entries)
    for host in (b"a.x", b"b.x", b"q.x", b"q.a.x", b"c", b"d") * 2:
        wanted = tuple(number for hosts, number in entries if hosts is None or host in hosts)
        assert small.candidates(host) == large.candidates(host) == wanted


def test_names_are_the_exact_hosts() -> None:
    assert sorted(HostIndex(ENTRIES).names()) == [b"a.x", b"b.x"]
