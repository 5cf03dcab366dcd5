from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import quota


def test_a_quota_at_twice_its_calls_lasts_half_the_hour() -> None:
    of_60, of_5000 = quota.allowances(0.01, requests_per_hour=12_000)
    assert of_60.share == pytest.approx(2)
    assert of_60.lasts_minutes == pytest.approx(30)
    assert of_60.most_requests_per_hour == pytest.approx(6_000)
    assert of_5000.lasts_minutes == 60


@given(st.floats(0.001, 1), st.floats(1, 1e7))
def test_at_the_most_traffic_the_quota_is_just_kept(per_request: float, requests: float) -> None:
    for allowance in quota.allowances(per_request, requests):
        most = allowance.most_requests_per_hour
        assert most is not None
        assert most * per_request == pytest.approx(allowance.quota)


def test_no_calls_no_end() -> None:
    allowance = quota.allowances(0.0, 100)[0]
    assert (allowance.lasts_minutes, allowance.most_requests_per_hour) == (60.0, None)


def test_a_logs_traffic_is_that_of_its_own_time(scenario_of: Any, quick_run: Any) -> None:
    variant = scenario_of().variants[0]
    assert quota.requests_per_hour(variant, []) == 200 * 3600
