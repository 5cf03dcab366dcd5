"""Times of a log, and what of it belongs together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.logs.log import Blob, apart, spread

SECOND = 1_000_000
DAY = 86_400 * SECOND


def test_whole_seconds_are_filled_evenly() -> None:
    at_us = np.array([100, 100, 101, 103, 103, 103, 103]) * SECOND
    assert (spread(at_us) - 100 * SECOND).tolist() == [
        0, 500_000, 1_000_000, 3_000_000, 3_250_000, 3_500_000, 3_750_000,
    ]  # fmt: skip


@given(st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=200).map(sorted))
def test_spreading_keeps_each_in_its_second_and_in_its_order(seconds: list[int]) -> None:
    at_us = spread(np.array(seconds) * SECOND)
    assert (at_us // SECOND).tolist() == seconds
    assert np.all(np.diff(at_us) > 0) or len(seconds) == 1


@pytest.mark.parametrize(
    ("at_us", "kept"),
    [
        (range(0, 600 * SECOND, SECOND), (0, 600)),
        ([-40 * 365 * DAY, *range(0, 600 * SECOND, SECOND)], (1, 601)),
        ([-40 * 365 * DAY, *range(0, 600 * SECOND, SECOND), 8000 * 365 * DAY], (1, 601)),
        ([*range(0, 30 * DAY, DAY), 60 * DAY], (0, 31)),  # a quiet month is no other age
        ([0, 8000 * 365 * DAY], (0, 2)),  # of two lines nobody knows which is odd
        ([*range(0, 50 * SECOND, SECOND), *range(9 * DAY, 9 * DAY + 50 * SECOND, SECOND)], (0, 100)),
    ],
)
def test_a_few_far_from_all_others_are_set_apart(at_us, kept) -> None:
    found = apart(np.array(list(at_us)))
    assert (found.start, found.stop) == kept


@given(st.lists(st.binary(max_size=9), max_size=30))
def test_a_blob_gives_back_what_was_put_together(texts: list[bytes]) -> None:
    blob = Blob.of(texts)
    assert list(blob) == texts == [blob[number] for number in range(len(blob))]
