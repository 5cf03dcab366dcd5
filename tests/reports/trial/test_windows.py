"""Figures per window of time, from rows that are worked out by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from reports.trial.windows import windows


def rows(*each: tuple[int, int, int, str]) -> pd.DataFrame:
    return pd.DataFrame(each, columns=["intended_us", "sent_us", "end_us", "outcome"])


def test_a_request_belongs_to_the_window_in_which_it_was_due() -> None:
    found = windows(
        rows(
            (0, 0, 1_000, "hit"),
            (99, 5_000, 5_099, "miss"),  # sent in the second window, due in the first
            (100, 100, 3_100, "error"),
            (200, 200, 300, "hit"),  # at the last edge: outside
        ),
        [0, 100, 200],
    )
    assert [window.requests for window in found] == [2, 1]
    assert [window.outcomes for window in found] == [{"hit": 1, "miss": 1}, {"error": 1}]
    assert [window.calls for window in found] == [1, 0]
    assert [window.mean_ms for window in found] == [3.0, 3.0], "from the moment at which they were due"
    assert [(window.hit_ratio, window.error_ratio) for window in found] == [(0.5, 0.0), (0.0, 1.0)]


def test_percentiles_are_told_only_where_requests_lie_beyond_them() -> None:
    found = windows(rows(*((due, due, due + 1000 * (due + 1), "hit") for due in range(20))), [0, 20, 40])
    assert found[0].p50_ms == 10.5
    assert found[0].p99_ms is None
    assert (found[1].requests, found[1].p50_ms, found[1].mean_ms, found[1].hit_ratio) == (0, None, None, None)


def test_windows_of_all_edges_add_up_to_the_rows_between_them() -> None:
    given = rows(*((due * 7 % 100, 0, 200, "hit" if due % 3 else "miss") for due in range(100)))
    found = windows(given, [10, 10, 35, 90])
    inside = given[(given["intended_us"] >= 10) & (given["intended_us"] < 90)]
    assert sum(window.requests for window in found) == len(inside) == 80
    assert sum(window.calls for window in found) == (inside["outcome"] == "miss").sum()


def test_edges_have_to_ascend() -> None:
    with pytest.raises(ValueError, match="ascend"):
        windows(rows(), [10, 5])
