from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.calls import longrun, quota
from scenarios.model import Variant


def variant(**fields: Any) -> Variant:
    return Variant.model_validate({"id": "v", "levels": {}, **fields})


def test_a_quota_at_twice_its_calls_lasts_half_the_hour() -> None:
    allowance = quota.Allowance(60, calls_per_hour=120)
    assert allowance.share == pytest.approx(2)
    assert allowance.lasts_minutes == pytest.approx(30)
    assert quota.Allowance(5000, 120).lasts_minutes == 60
    assert quota.Allowance(60, 0).lasts_minutes == 60


def test_the_scenarios_own_quota_comes_first_and_no_quota_twice() -> None:
    of = [variant(upstream={"rate_limit": limit}) for limit in (1000, None, 5000)]
    assert quota.quotas(of) == (1000, 5000, 60)
    assert quota.quotas([variant()]) == (60, 5000)


@given(st.integers(20, 4000), st.sampled_from(["sidecar", "separate"]), st.integers(1, 6))
@settings(deadline=None, max_examples=25)
def test_at_the_most_traffic_the_quota_is_just_met(allowed: int, topology: str, replicas: int) -> None:
    """By the calls of that traffic itself: more requests make fewer calls each."""
    fields = {"topology": topology, "replicas": replicas, "cache": {"ttl": 600}}
    most = quota.most_requests_per_hour(variant(**fields), allowed)
    assert most is not None
    if most < float("inf"):
        found = longrun.of_variant(variant(**fields, workload={"rate": most / 3600}))
        assert found is not None
        assert found.calls_per_hour == pytest.approx(allowed, rel=1e-3)


def test_few_paths_and_a_long_ttl_never_spend_a_quota() -> None:
    """400 paths in six caches are fetched 2,400 times an hour at most, however many requests come."""
    fields: dict[str, Any] = {"replicas": 6, "workload": {"keys": {"count": 400}}, "cache": {"ttl": 3600}}
    assert quota.most_requests_per_hour(variant(**fields), 5000) == float("inf")
    most = quota.most_requests_per_hour(variant(**fields), 2000)
    assert most is not None
    assert most < float("inf")


def test_nothing_is_said_of_traffic_that_nothing_computes() -> None:
    assert quota.most_requests_per_hour(variant(upstream={"error_ratio": 0.1}), 60) is None


def test_a_logs_traffic_is_that_of_its_own_time(scenario_of: Any) -> None:
    assert quota.requests_per_hour(scenario_of().variants[0], []) == 200 * 3600
