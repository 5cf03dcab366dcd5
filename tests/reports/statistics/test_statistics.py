from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reports.statistics import estimates

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)


@given(VALUES)
def test_the_interval_is_scipys_own(values: list[float]) -> None:
    estimate = estimates.mean(values)
    assert estimate is not None
    if np.std(values) > 1e-6:
        theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert estimate.interval() == pytest.approx(tuple(theirs), rel=1e-6, abs=1e-6)


@given(VALUES, st.floats(-1000, 1000))
def test_a_shift_moves_the_interval_along(values: list[float], shift: float) -> None:
    before, after = (estimates.mean([value + by for value in values]) for by in (0, shift))
    assert before is not None
    assert after is not None
    moved = [end + shift for end in before.interval() or ()]
    assert after.interval() == pytest.approx(moved, rel=1e-6, abs=1e-3)


def test_one_block_has_no_interval_and_none_has_no_estimate() -> None:
    one = estimates.mean([3.0])
    assert one is not None
    assert (one.value, one.interval()) == (3.0, None)
    assert estimates.mean([]) is None


def test_bounds_hold_the_interval_where_the_quantity_lives() -> None:
    estimate = estimates.mean([0.97, 0.99, 1.0])
    assert estimate is not None
    interval = estimate.interval(least=0.0, most=1.0)
    assert interval is not None
    assert interval[1] == 1.0


def test_95_percent_of_intervals_cover_the_truth() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for sample in random.normal(10, 2, (4000, 5)):
        estimate = estimates.mean(list(sample))
        assert estimate is not None
        low, high = estimate.interval() or (0, 0)
        covered += low < 10 < high
    assert covered / 4000 == pytest.approx(0.95, abs=0.011)


def test_the_blocks_asked_for_bring_the_width_asked_for() -> None:
    wanted = estimates.blocks_for(spread=1.0, half=0.5)
    assert wanted is not None
    assert estimates.half_width(1.0, wanted) <= 0.5 < estimates.half_width(1.0, wanted - 1)
    assert estimates.blocks_for(spread=1.0, half=0.0) is None


def test_a_detectable_difference_is_found_four_times_in_five() -> None:
    random = np.random.default_rng(2)
    truth = estimates.detectable(spread=1.0, blocks=8)
    samples = random.normal(truth, 1, (8000, 8))
    found = [stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05]
    assert np.mean(found) == pytest.approx(0.8, abs=0.03)


def test_the_error_of_a_quantile_is_that_of_repeated_samples() -> None:
    random = np.random.default_rng(4)
    samples = (random.lognormal(7, 0.5, (300, 4000))).astype(np.int64)
    for at in (0.5, 0.99):
        truth = np.quantile(samples, at, axis=1).std()
        guessed = np.mean([estimates.quantile_error(sample, at) for sample in samples])
        assert guessed == pytest.approx(truth, rel=0.15)
