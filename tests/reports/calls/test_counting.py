"""The interval of few calls and of many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.calls.counting import garwood, per_hour
from reports.statistics import estimates

TWENTY_S = 20 / 3600


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (2, 0.2422, 7.225), (10, 4.795, 18.39)]
)
def test_the_exact_interval_of_a_count(count: int, low: float, high: float) -> None:
    """Garwood's table of 1936, two-sided 95%."""
    assert garwood(count) == pytest.approx((low, high), rel=1e-3)


def test_equal_counts_do_not_make_an_interval_of_no_width() -> None:
    found = per_hour([2, 2, 2], [TWENTY_S] * 3)
    assert found is not None
    assert found.value == pytest.approx(360)
    assert found.ci95 == pytest.approx(tuple(end * 60 for end in garwood(6)))
    assert found.source == "counts"


def test_no_call_at_all_is_compatible_with_a_few() -> None:
    found = per_hour([0, 0, 0], [TWENTY_S] * 3)
    assert found is not None
    assert (found.value, found.ci95[0]) == (0, 0)
    assert found.ci95[1] == pytest.approx(3.689 * 60, rel=1e-3)


def test_many_calls_that_scatter_have_students_interval() -> None:
    counts = [900, 1000, 1100]
    found, estimate = per_hour(counts, [1.0] * 3), estimates.mean([float(count) for count in counts])
    assert found is not None
    assert estimate is not None
    assert found.ci95 == pytest.approx(estimate.interval())
    assert found.source == "blocks"


def test_one_block_and_none() -> None:
    found = per_hour([10], [1.0])
    assert found is not None
    assert (found.ci95, found.source) == (garwood(10), "counts")
    assert per_hour([], []) is None


@given(st.lists(st.integers(0, 500), min_size=1, max_size=10), st.booleans())
def test_an_interval_holds_its_mean(counts: list[int], regular: bool) -> None:
    found = per_hour(counts, [0.5] * len(counts), regular=regular)
    assert found is not None
    assert 0 <= found.ci95[0] <= found.value * (1 + 1e-12)
    assert found.value * (1 - 1e-12) <= found.ci95[1]


@given(st.lists(st.integers(0, 500), min_size=1, max_size=10))
def test_where_the_scatter_is_not_known_neither_interval_is_left(counts: list[int]) -> None:
    found, exposed = per_hour(counts, [0.5] * len(counts), regular=False), 0.5 * len(counts)
    assert found is not None
    low, high = (end / exposed for end in garwood(sum(counts)))
    assert found.ci95[0] <= low
    assert high <= found.ci95[1]
    estimate = estimates.mean([count / 0.5 for count in counts])
    student = estimate.interval(least=0.0) if estimate is not None else None
    assert student is None or (found.ci95[0] <= student[0] and student[1] <= found.ci95[1])


@pytest.mark.parametrize("blocks", [3, 5])
@pytest.mark.parametrize("replicas", [1, 2, 6, 24])
def test_intervals_of_short_trials_hold_the_truth(blocks: int, replicas: int) -> None:
    """400 paths, Zipf(1.0), 300/s, a TTL of an hour, trials of 20 s: a path is fetched once at most."""
    rates = 300 / np.arange(1, 401) / (1 / np.arange(1, 401)).sum() / replicas
    chance = np.repeat(rates * 20 / (1 + rates * 3600), replicas)
    truth, random, runs, held = chance.sum() * 180, np.random.default_rng([blocks, replicas]), 3000, 0
    for _ in range(runs):
        counts = random.binomial(replicas, chance[::replicas], (blocks, 400)).sum(axis=1)
        found = per_hour(counts.tolist(), [TWENTY_S] * blocks)
        assert found is not None
        held += found.ci95[0] <= truth <= found.ci95[1]
    # Three standard errors of 95% over so many runs; of few calls the interval is a cautious one.
    assert 0.938 < held / runs < 0.99
