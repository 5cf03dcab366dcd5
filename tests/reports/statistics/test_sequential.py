from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reports.statistics import sequential


def obrien_fleming(share: float) -> float:
    """Spend 2.5% on each side."""
    return float(4 * stats.norm.sf(stats.norm.ppf(0.9875) / math.sqrt(share)))


def pocock(share: float) -> float:
    return 0.05 * math.log(1 + (math.e - 1) * share)


@pytest.mark.parametrize(
    ("spend", "published"),
    [
        # Reboussin, DeMets, Kim, Lan: "Computations for group sequential boundaries", 2000: five equal looks.
        (obrien_fleming, [4.877, 3.357, 2.680, 2.290, 2.031]),
        (pocock, [2.438, 2.427, 2.410, 2.397, 2.386]),
    ],
)
def test_boundaries_are_the_published_ones(spend: object, published: list[float]) -> None:
    shares = [0.2, 0.4, 0.6, 0.8, 1.0]
    assert sequential.boundaries(shares, spend) == pytest.approx(published, abs=2e-3)  # type: ignore[arg-type]


def test_looks_come_at_the_least_then_every_40_percent_more() -> None:
    assert sequential.looks(5, None) == (5,)
    assert sequential.looks(5, 20) == (5, 7, 10, 14, 20)
    assert sequential.looks(2, 4) == (2, 3, 4)


def test_one_look_spends_all() -> None:
    assert sequential.level(5, 5, None) == pytest.approx(0.05)
    assert sequential.level(3, 5, None) == pytest.approx(0.05)


@settings(deadline=None, max_examples=15)
@given(st.integers(2, 20), st.integers(0, 40))
def test_no_look_is_laxer_than_5_percent(blocks: int, more: int) -> None:
    found = sequential.levels(sequential.looks(blocks, blocks + more))
    assert min(found) > 0
    assert max(found) <= 0.05 + 1e-9


def test_early_looks_are_stricter() -> None:
    found = sequential.levels(sequential.looks(5, 50))
    assert all(early < late for early, late in itertools.pairwise(found))


def test_a_run_cut_short_spends_what_is_left() -> None:
    planned, cut = sequential.level(10, 5, 20), sequential.level(12, 5, 20)
    assert planned < cut < 0.05


def test_a_budget_that_ends_a_run_at_a_look_leaves_nothing_unspent() -> None:
    assert sequential.level(10, 5, 20) < sequential.level(10, 5, 20, spent=True) < 0.05
    assert sequential.level(5, 5, 20, spent=True) == pytest.approx(0.05), "nothing was spent before"


def test_runs_that_their_budget_ends_find_a_difference_where_there_is_none_in_at_most_5_percent() -> None:
    random = np.random.default_rng(4)
    planned = sequential.looks(5, 20)
    ends = random.integers(5, 20, 20_000)  # whenever the time is spent, whatever was found
    samples = random.normal(0, 1, (len(ends), planned[-1]))
    crossed = np.zeros(len(ends), bool)
    for end in range(5, 20):
        runs = samples[ends == end]
        for look in (*(look for look in planned if look <= end), end):
            t = runs[:, :look].mean(axis=1) / (runs[:, :look].std(axis=1, ddof=1) / math.sqrt(look))
            last = look == end
            level = sequential.level(look, 5, 20, spent=last)
            crossed[ends == end] |= np.abs(t) > stats.t.ppf(1 - level / 2, look - 1)
    assert crossed.mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / len(ends))


def test_all_looks_together_find_a_difference_where_there_is_none_in_5_percent() -> None:
    random = np.random.default_rng(3)
    planned = sequential.looks(5, 20)
    samples = random.normal(0, 1, (20_000, planned[-1]))
    crossed = np.zeros(len(samples), bool)
    for look, level in zip(planned, sequential.levels(planned), strict=True):
        seen = samples[:, :look]
        t = seen.mean(axis=1) / (seen.std(axis=1, ddof=1) / math.sqrt(look))
        crossed |= np.abs(t) > stats.t.ppf(1 - level / 2, look - 1)
    assert crossed.mean() == pytest.approx(0.05, abs=0.005)
