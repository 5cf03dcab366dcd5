"""What the trials of a scenario cannot show is said before they are run."""

from __future__ import annotations

from typing import Any

import pytest

from reports.calls import outlook

HOUR: dict[str, Any] = {
    "cache": {"ttl": 3600},
    "replicas": 6,
    "workload": {"rate": 300, "keys": {"count": 400}},
}


def test_a_cold_start_that_a_trial_does_not_outlast_is_told_with_the_remedy(scenario_of: Any) -> None:
    schedule = {"start": "cold", "duration": 20, "blocks": 3}
    (said,) = outlook.remarks(scenario_of(**HOUR, schedule=schedule))
    assert "schedule.start: steady" in said
    assert "sidecar (hit ratio 7" in said
    assert "99.8% in the long run)" in said


def test_a_warm_up_that_reaches_the_long_run_needs_no_remark(scenario_of: Any) -> None:
    schedule = {"start": "cold", "warmup": 30, "duration": 60, "blocks": 3}
    assert outlook.remarks(scenario_of(cache={"ttl": 2}, schedule=schedule)) == []


def test_where_nothing_is_computed_a_ttl_beyond_the_trial_is_told(scenario_of: Any) -> None:
    fields = {"upstream": {"error_ratio": 0.1}, "schedule": {"start": "cold", "duration": 20}}
    assert outlook.remarks(scenario_of(cache={"ttl": 2}, **fields)) == []
    (said,) = outlook.remarks(scenario_of(cache={"ttl": 60}, **fields))
    assert "TTL of 60 s is longer than a trial" in said


def test_too_few_calls_to_count_are_told_with_the_length_that_would_do(scenario_of: Any) -> None:
    schedule = {"start": "steady", "duration": 20, "blocks": 3}
    (said,) = outlook.remarks(scenario_of(**HOUR, schedule=schedule))
    assert "separate about 6.7" in said
    assert "sidecar" not in said
    assert "schedule.duration: 48 s or more" in said
    longer = schedule | {"duration": 48}
    assert outlook.remarks(scenario_of(**HOUR, schedule=longer)) == []


def test_a_redis_that_will_evict_is_told(scenario_of: Any) -> None:
    workload = {"rate": 1000, "keys": {"count": 20_000}}
    fields = {"cache": {"ttl": 3600}, "replicas": 4, "workload": workload, "schedule": {"start": "steady"}}
    assert any("cache.maxmemory" in said for said in outlook.remarks(scenario_of(**fields)))


@pytest.mark.parametrize("topology", [["none"], ["sidecar", "separate"]])
def test_a_run_that_shows_all_is_not_remarked_on(scenario_of: Any, topology: list[str]) -> None:
    assert outlook.remarks(scenario_of(topology=topology, schedule={"start": "steady"})) == []
