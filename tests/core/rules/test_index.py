"""The host index: candidates in order, one path whatever the size, a bound on what it keeps, and its successors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.rules.index import BOUND, HostIndex
from dynbalancer.core.rules.tree import Hosts


@dataclass(frozen=True)
class Entry:
    """An entry that is tried by its position."""

    name: str
    order: int = 0


def confined(*names: str) -> Hosts:
    suffixes = frozenset(name[2:].encode() for name in names if name.startswith("*."))
    return Hosts(frozenset(name.encode() for name in names if not name.startswith("*.")), suffixes)


def built(entries: Sequence[tuple[Hosts | None, Entry]], bound: int = BOUND) -> HostIndex[Entry]:
    """An index of these entries."""
    draft = HostIndex[Entry](bound).draft()
    for hosts, entry in entries:
        draft.add(hosts, entry)
    list(draft.closing())
    return draft.done()


def found(index: HostIndex[Entry], host: bytes) -> tuple[str, ...]:
    return tuple(entry.name for entry in index.candidates(host))


ENTRIES = [
    (hosts, Entry(name, order))
    for order, (hosts, name) in enumerate(
        [
            (None, "any1"),
            (confined("a.x"), "a1"),
            (confined("*.x"), "wild1"),
            (confined("b.x", "a.x"), "ab"),
            (None, "any2"),
            (confined("a.x", "*.x"), "both"),
            (confined("*.a.x"), "deep"),
        ]
    )
]


@pytest.mark.parametrize("entries", [ENTRIES, ENTRIES[::-1]])
@pytest.mark.parametrize(
    ("host", "names"),
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
def test_candidates_come_in_their_order(
    entries: list[tuple[Hosts | None, Entry]], host: bytes, names: tuple[str, ...]
) -> None:
    index = built(entries)
    assert found(index, host) == names
    assert found(index, host) == names


def test_answer_is_kept_for_configured_hosts_and_not_for_those_clients_invent() -> None:
    index = built([(confined("*.x"), Entry("wild")), (None, Entry("any", 1))])
    assert index.candidates(b"a.x") is index.candidates(b"b.x")
    assert index.candidates(b"a.y") is index.candidates(b"b.z")


rules = st.lists(st.sampled_from(["a.x", "b.x", "*.x", "*.a.x", "c"]), max_size=3)
HOSTS = (b"a.x", b"b.x", b"q.x", b"q.a.x", b"c", b"d")


@given(st.lists(rules, max_size=8), st.integers(0, 6))
def test_small_bound_gives_the_same_answers(rules: list[list[str]], bound: int) -> None:
    entries = [
        (confined(*names) if names else None, Entry(f"r{number}", number))
        for number, names in enumerate(rules)
    ]
    small, large = built(entries, bound), built(entries)
    for host in HOSTS * 2:
        wanted = tuple(entry for hosts, entry in entries if hosts is None or host in hosts)
        assert small.candidates(host) == large.candidates(host) == wanted


steps = st.lists(
    st.dictionaries(st.sampled_from("rstuvw"), st.none() | st.tuples(rules, st.integers(0, 3))), max_size=6
)


@given(steps, st.integers(0, 8))
def test_successor_answers_like_one_made_anew_and_the_old_one_as_before(
    steps: list[dict[str, tuple[list[str], int] | None]], bound: int
) -> None:
    index = HostIndex[Entry](bound)
    held: dict[str, tuple[Hosts | None, Entry]] = {}
    for step in steps:
        before, answers = index, [found(index, host) for host in HOSTS]
        draft = index.draft()
        for name, wanted in step.items():
            if name in held:
                draft.remove(*held.pop(name))
            if wanted is not None:
                names, order = wanted
                # Orders differ, as those of routes do.
                entry = Entry(name, order * 10 + "rstuvw".index(name))
                held[name] = (confined(*names) if names else None, entry)
                draft.add(*held[name])
        list(draft.closing())
        index = draft.done()
        anew = built(list(held.values()), bound)
        for host, answer in zip(HOSTS, answers, strict=True):
            assert found(index, host) == found(anew, host)
            assert found(before, host) == answer
        assert set(index.names()) == set(anew.names())


def test_what_a_change_does_not_concern_is_shared() -> None:
    entries = [(confined(f"{number}.x"), Entry(str(number), number)) for number in range(3)]
    index = built(entries)
    kept = [index.candidates(b"%d.x" % number) for number in range(3)]
    draft = index.draft()
    draft.remove(*entries[1])
    list(draft.closing())
    after = draft.done()
    assert after.candidates(b"0.x") is kept[0]
    assert after.candidates(b"2.x") is kept[2]
    assert after.candidates(b"1.x") == ()
    assert index.candidates(b"1.x") is kept[1]
    assert after.draft().done() is after


def test_names_are_the_exact_hosts() -> None:
    assert sorted(built(ENTRIES).names()) == [b"a.x", b"b.x"]
