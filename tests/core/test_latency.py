"""Buckets are the same everywhere, and a quantile is near the true one."""

from __future__ import annotations

from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.latency import BOUNDS, bucket, quantile


def counted(times: list[float]) -> dict[int, int]:
    """The buckets of these times."""
    counts: dict[int, int] = {}
    for seconds in times:
        counts[bucket(seconds)] = counts.get(bucket(seconds), 0) + 1
    return counts


def test_bounds_rise_evenly_and_are_round() -> None:
    ratios = [high / low for low, high in pairwise(BOUNDS)]
    assert min(ratios) > 1.19 and max(ratios) < 1.34
    assert (len(BOUNDS), BOUNDS[0], BOUNDS[-1]) == (81, 1e-5, 1000.0)


@pytest.mark.parametrize(
    "bound", [0.1, 0.3, 1.2, 5, 0.005, 0.01, 0.025, 0.05, 0.075, 0.25, 0.5, 0.75, 1, 2.5, 7.5, 10]
)
def test_bounds_of_usual_histograms_are_among_them(bound: float) -> None:
    assert bound in BOUNDS


@pytest.mark.parametrize(
    "seconds, number", [(0, 0), (-1, 0), (1e-5, 0), (1.1e-5, 1), (0.1, 40), (1000, 80), (1001, 81), (1e9, 81)]
)
def test_bound_is_still_in_its_bucket(seconds: float, number: int) -> None:
    assert bucket(seconds) == number


def test_nothing_has_no_quantile() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({3: 0}, 0.5) is None


def test_times_are_spread_over_their_bucket() -> None:
    counts = {bucket(0.1): 10}
    assert quantile(counts, 0.5) == pytest.approx(0.0875)
    assert quantile(counts, 1.0) == pytest.approx(0.1)
    assert quantile({0: 4}, 0.5) == pytest.approx(5e-6)


def test_what_took_longer_than_the_last_bound_counts_as_that() -> None:
    assert quantile({bucket(5000): 3}, 0.99) == 1000.0


TIMES = st.lists(st.floats(1e-4, 999), min_size=1, max_size=200)


@given(TIMES, st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_quantile_is_in_the_bucket_of_the_true_one(times: list[float], q: float) -> None:
    true = sorted(times)[ceil(q * len(times)) - 1]
    found = quantile(counted(times), q)
    assert found is not None
    assert true / 1.34 < found < true * 1.34


@given(TIMES)
def test_quantiles_rise(times: list[float]) -> None:
    found = [quantile(counted(times), q) or 0 for q in (0.01, 0.5, 0.95, 0.99, 1.0)]
    assert found == sorted(found)
