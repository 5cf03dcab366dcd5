from __future__ import annotations

from typing import Any

import pytest

import reports
from reports import kept

VALUES = {
    "sidecar": {block: {"p99_ms": 20 + 0.1 * block, "p50_ms": 1.0} for block in range(5)},
    "separate": {
        block: {"p99_ms": 30 + 3.0 * (block % 2), "p50_ms": 1.05 + 0.01 * block} for block in range(5)
    },
}


@pytest.mark.parametrize(
    ("text", "outcomes"),
    [
        ("p99_ms <= 50", ["pass", "pass"]),
        ("p99_ms <= 25", ["pass", "fail"]),
        ("p99_ms >= 25", ["fail", "pass"]),
        ("separate.p99_ms <= 31", ["undecided"]),
        ("separate.p50 <= sidecar.p50 * 1.1", ["pass"]),
        ("separate.p50 <= sidecar.p50", ["fail"]),
        ("sidecar.hit_ratio >= 0.5", ["undecided"]),
    ],
)
def test_a_threshold_is_judged_by_the_interval(scenario_of: Any, text: str, outcomes: list[str]) -> None:
    scenario = scenario_of(thresholds=[text])
    assert [result.outcome for result in kept.judge(scenario, VALUES, done=5)] == outcomes


def test_thresholds_reach_the_summary(made_up: Any) -> None:
    run = made_up(
        thresholds=["p90_ms <= 100", "hit_ratio >= 99%"], schedule={"warmup": 1, "duration": 3, "blocks": 3}
    )
    found = {(result.text, result.variant): result.outcome for result in reports.summarize(run).thresholds}
    assert found == {
        ("p90_ms <= 100", "sidecar"): "pass",
        ("p90_ms <= 100", "separate"): "pass",
        ("hit_ratio >= 99%", "sidecar"): "fail",
        ("hit_ratio >= 99%", "separate"): "fail",
    }
