from __future__ import annotations

from typing import Any

import pytest

import reports
from reports.inference import thresholds

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
    assert [result.outcome for result in thresholds.judge(scenario, VALUES, done=5)] == outcomes


def test_the_blocks_promised_decide_a_threshold(scenario_of: Any) -> None:
    scenario = scenario_of(thresholds=["separate.p99_ms <= 31"])
    (open_,) = thresholds.judge(scenario, VALUES, done=5)
    assert open_.more_blocks is not None
    for blocks, outcome in (
        (5 * round(open_.more_blocks / 10), "undecided"),
        (5 * round(open_.more_blocks / 5) + 5, "fail"),
    ):
        longer = scenario_of(thresholds=scenario.thresholds, schedule={"blocks": blocks})
        grown = {"separate": {block: VALUES["separate"][block % 5] for block in range(blocks)}}
        (later,) = thresholds.judge(longer, grown, done=blocks)
        assert later.outcome == outcome


def test_a_threshold_that_is_decided_promises_nothing(scenario_of: Any) -> None:
    results = thresholds.judge(scenario_of(thresholds=["p99_ms <= 25", "hit_ratio >= 1%"]), VALUES, done=5)
    assert {result.more_blocks for result in results} == {None}


TTLS: dict[str, Any] = {"cache": {"ttl": [5, 10]}, "topology": ["sidecar", "separate"]}


def of_ttls(ratios: dict[str, float]) -> dict[str, dict[int, dict[str, float]]]:
    return {name: {block: {"hit_ratio": ratio} for block in range(5)} for name, ratio in ratios.items()}


RATIOS = of_ttls({"sidecar-ttl5": 0.5, "sidecar-ttl10": 0.6, "separate-ttl5": 0.7, "separate-ttl10": 0.8})


@pytest.mark.parametrize(
    ("text", "judged"),
    [
        ("separate-ttl5.hit_ratio <= separate-ttl10.hit_ratio", {"separate-ttl5, separate-ttl10": "pass"}),
        ("separate-ttl10.hit_ratio <= separate-ttl5.hit_ratio", {"separate-ttl10, separate-ttl5": "fail"}),
        (
            "sidecar.hit_ratio <= separate.hit_ratio",
            {"sidecar-ttl5, separate-ttl5": "pass", "sidecar-ttl10, separate-ttl10": "pass"},
        ),
        (
            "sidecar.hit_ratio <= separate-ttl10.hit_ratio",
            {"sidecar-ttl5, separate-ttl10": "pass", "sidecar-ttl10, separate-ttl10": "pass"},
        ),
        (
            "sidecar.hit_ratio <= sidecar.hit_ratio * 1.1",
            {"sidecar-ttl5": "pass", "sidecar-ttl10": "pass"},
        ),
    ],
)
def test_an_id_is_one_variant_and_a_topology_those_that_agree(
    scenario_of: Any, text: str, judged: dict[str, str]
) -> None:
    scenario = scenario_of(thresholds=[text], **TTLS)
    assert {found.variant: found.outcome for found in thresholds.judge(scenario, RATIOS, done=5)} == judged


def test_a_threshold_that_nothing_can_be_said_of_is_not_kept(scenario_of: Any) -> None:
    scenario = scenario_of(thresholds=["p50 <= sidecar.p50"], topology="sidecar")
    assert [found.outcome for found in thresholds.judge(scenario, {"sidecar": {}}, done=5)] == ["undecided"]


def test_two_blocks_keep_nothing_and_break_nothing(scenario_of: Any) -> None:
    two = {name: {block: of[block] for block in range(2)} for name, of in VALUES.items()}
    scenario = scenario_of(thresholds=["p99_ms <= 5000", "p99_ms >= 5000"])
    assert {found.outcome for found in thresholds.judge(scenario, two, done=2)} == {"undecided"}


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
