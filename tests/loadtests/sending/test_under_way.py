"""Requests under way: a running count, weighed with the time for which it held."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.sending.under_way import UnderWay


def counted(spans: list[tuple[int, int]], begin: int, end: int) -> float | None:
    """Count requests that go from one time to another, as the open loop does."""
    under_way, count = UnderWay(begin, end), 0
    for at, change in sorted([(sent, 1) for sent, _ in spans] + [(ended, -1) for _, ended in spans]):
        under_way.changes(count, at)
        count += change
    return under_way.mean


def test_one_request_for_half_of_the_window_is_half_a_request() -> None:
    assert counted([(10, 15)], 10, 20) == 0.5


def test_only_what_lies_within_the_window_counts() -> None:
    assert counted([(0, 12), (18, 40), (2, 8), (30, 35)], 10, 20) == pytest.approx(0.4)


def test_a_request_that_outlasts_the_window_counts_for_all_of_it() -> None:
    assert counted([(0, 100)], 10, 20) == 1


def test_a_window_of_no_length_has_no_mean() -> None:
    assert counted([(0, 5)], 10, 10) is None


TIMES = st.integers(0, 1000)


@given(st.lists(st.tuples(TIMES, st.integers(0, 300))), st.integers(0, 900), st.integers(1, 900))
def test_it_is_the_time_of_all_requests_within_the_window(begun, begin, length) -> None:
    spans, end = [(sent, sent + took) for sent, took in begun], begin + length
    within = sum(max(0, min(ended, end) - max(sent, begin)) for sent, ended in spans)
    assert counted(spans, begin, end) == pytest.approx(within / length)
