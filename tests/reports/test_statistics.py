from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reports import statistics

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)


@given(VALUES)
def test_the_interval_is_scipys_own(values: list[float]) -> None:
    estimate = statistics.mean(values)
    assert estimate is not None
    assert estimate.ci95 is not None
    if np.std(values) > 1e-6:
        theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert estimate.ci95 == pytest.approx(tuple(theirs), rel=1e-6, abs=1e-6)


@given(VALUES, st.floats(-1000, 1000))
def test_a_shift_moves_the_interval_along(values: list[float], shift: float) -> None:
    before, after = statistics.mean(values), statistics.mean([value + shift for value in values])
    assert before is not None
    assert after is not None
    assert before.low is not None
    assert after.low == pytest.approx(before.low + shift, rel=1e-6, abs=1e-3)


def test_one_block_has_no_interval_and_none_has_no_estimate() -> None:
    one = statistics.mean([3.0])
    assert one is not None
    assert (one.value, one.ci95) == (3.0, None)
    assert statistics.mean([]) is None


def test_bounds_hold_the_interval_where_the_quantity_lives() -> None:
    estimate = statistics.mean([0.97, 0.99, 1.0], least=0.0, most=1.0)
    assert estimate is not None
    assert estimate.high == 1.0


def test_95_percent_of_intervals_cover_the_truth() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for sample in random.normal(10, 2, (4000, 5)):
        estimate = statistics.mean(list(sample))
        assert estimate is not None
        covered += estimate.low < 10 < estimate.high  # type: ignore[operator]
    assert covered / 4000 == pytest.approx(0.95, abs=0.011)
