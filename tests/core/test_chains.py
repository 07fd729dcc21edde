"""Chains of middlewares: what they stand for, and which of them stand for nothing."""

from __future__ import annotations

import pytest

from dynbalancer.core.chains import DEEPEST, MOST, unfold
from dynbalancer.errors import ConfigurationError


def find(reference: str, owner: str) -> str:
    """Every reference is a full name but one."""
    if reference == "gone":
        raise ConfigurationError("", f"{owner} asks for what is gone")
    return reference


@pytest.mark.parametrize(
    ("chains", "unfolded"),
    [
        ({}, {}),
        ({"c": ("a", "b")}, {"c": ("a", "b")}),
        ({"c": ()}, {"c": ()}),
        (
            {"c": ("a", "d", "a"), "d": ("b", "e"), "e": ("x",)},
            {"c": ("a", "b", "x", "a"), "d": ("b", "x"), "e": ("x",)},
        ),
        ({"c": ("d", "d"), "d": ("a",)}, {"c": ("a", "a"), "d": ("a",)}),
    ],
)
def test_chains_stand_for_their_members_in_order(
    chains: dict[str, tuple[str, ...]], unfolded: dict[str, tuple[str, ...]]
) -> None:
    assert unfold(chains, find) == (unfolded, {})


@pytest.mark.parametrize(
    ("chains", "failed"),
    [
        ({"c": ("c",)}, {"c": "it leads back to itself: c → c"}),
        (
            {"c": ("a", "d"), "d": ("c",), "e": ("a",)},
            {"c": "it leads back to itself: c → d → c", "d": "it leads back to itself: d → c → d"},
        ),
        ({"c": ("gone",), "d": ("c",)}, {"c": "c asks for what is gone", "d": "c asks for what is gone"}),
    ],
)
def test_chains_that_lead_nowhere_say_why(chains: dict[str, tuple[str, ...]], failed: dict[str, str]) -> None:
    unfolded, found = unfold(chains, find)
    assert {name: error.why for name, error in found.items()} == failed
    assert set(unfolded) == set(chains) - set(failed)


def test_chains_that_double_each_other_are_stopped_early() -> None:
    chains = {f"c{n}": (f"c{n + 1}",) * 2 for n in range(40)}
    unfolded, failed = unfold(chains, find)
    assert max(len(leaves) for leaves in unfolded.values()) <= MOST
    assert {error.why for error in failed.values()} == {
        f"more than {DEEPEST} chains within each other",
        f"more than {MOST} middlewares in one chain",
    }


def test_chain_may_be_long_but_not_endless() -> None:
    assert unfold({"c": ("a",) * MOST}, find)[1] == {}
    assert "c" in unfold({"c": ("a",) * (MOST + 1)}, find)[1]
