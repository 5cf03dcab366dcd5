"""When requests are due."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from traffic.arrivals import arrivals

RATES = st.floats(1, 5000)
SPANS = st.floats(0.01, 5)
SEEDS = st.integers(0, 2**32 - 1)


@given(st.sampled_from(["poisson", "constant"]), RATES, SPANS, SEEDS)
def test_times_are_in_order_and_within_the_span(process, rate, span_s, seed) -> None:
    at_us = arrivals(process, rate, span_s, seed)
    assert at_us.dtype == np.int64
    assert np.all(np.diff(at_us) >= 0)
    assert np.all((at_us >= 0) & (at_us < span_s * 1e6))


@given(RATES, SPANS, SEEDS)
def test_the_seed_alone_decides_poisson_arrivals(rate, span_s, seed) -> None:
    assert np.array_equal(arrivals("poisson", rate, span_s, seed), arrivals("poisson", rate, span_s, seed))
    longer = arrivals("poisson", rate, span_s * 2, seed)
    assert np.all(longer[: arrivals("poisson", rate, span_s, seed).size] < span_s * 1e6)


def test_poisson_gaps_are_exponential() -> None:
    gaps_s = np.diff(arrivals("poisson", 800, 60, seed=3)) / 1e6
    assert stats.kstest(gaps_s, "expon", args=(0, 1 / 800)).pvalue > 0.01
    assert abs(np.corrcoef(gaps_s[:-1], gaps_s[1:])[0, 1]) < 0.02


def test_poisson_counts_keep_to_the_rate_and_scatter_as_they_should() -> None:
    counts = np.array([arrivals("poisson", 500, 2, seed).size for seed in range(300)])
    assert counts.mean() == pytest.approx(1000, abs=4 * np.sqrt(1000 / 300))
    assert counts.var() == pytest.approx(1000, rel=0.35)


def test_other_seeds_give_other_times() -> None:
    assert not np.array_equal(arrivals("poisson", 500, 1, 1)[:50], arrivals("poisson", 500, 1, 2)[:50])


def test_constant_arrivals_come_like_a_clock() -> None:
    assert arrivals("constant", 4, 1, seed=1).tolist() == [0, 250_000, 500_000, 750_000]


@pytest.mark.parametrize(
    ("rate", "span_s", "count"), [(10, 0.1 + 0.2, 3), (3, 1, 3), (7, 1.01, 8), (0.5, 1, 1)]
)
def test_constant_arrivals_are_as_many_as_fit(rate: float, span_s: float, count: int) -> None:
    assert arrivals("constant", rate, span_s, seed=1).size == count
