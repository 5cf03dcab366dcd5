"""Where a logarithmic axis is marked."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.render.figures.ticks import logarithmic


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [
        (0.13, 4.2, [0.2, 0.5, 1, 2]),
        (17, 42, [20, 30, 40]),
        (0.2, 900, [1, 10, 100]),
        (0.01, 100_000, [0.01, 1, 100, 10_000]),
        (21, 24.5, [21, 22, 23, 24]),
    ],
)
def test_marks_are_round(low: float, high: float, marks: list[float]) -> None:
    assert logarithmic(low, high) == marks


@given(st.floats(0.01, 1e5), st.floats(1.01, 1e7))
def test_there_is_a_scale_to_read_and_no_label_touches_the_next(low: float, ratio: float) -> None:
    high = low * ratio
    marks = logarithmic(low, high)
    assert marks == sorted(set(marks))
    assert len(marks) >= 2
    assert all(low <= mark <= high for mark in marks)
    assert all(math.log(b / a) >= 0.12 * math.log(ratio) for a, b in pairwise(marks))
