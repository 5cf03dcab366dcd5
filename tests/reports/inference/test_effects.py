from __future__ import annotations

from typing import Any

import pytest

from reports.inference import effects
from scenarios.metrics import BY_NAME

LATENCY, HITS = BY_NAME["p50_ms"], BY_NAME["hit_ratio"]


@pytest.mark.parametrize(
    ("low", "high", "of_latency", "of_hits"),
    [
        (0.2, 0.4, "worse", "better"),
        (-0.4, -0.2, "better", "worse"),
        (-0.05, 0.09, "equivalent", "equivalent"),
        (0.02, 0.09, "equivalent", "equivalent"),  # certain, and too small to matter
        (0.02, 0.4, "worse", "better"),
        (-0.2, 0.4, "undecided", "undecided"),
        (-0.05, 0.4, "undecided", "undecided"),
        (None, None, "undecided", "undecided"),
        (0.0, 0.0, "equivalent", "equivalent"),
    ],
)
def test_an_interval_and_a_margin_make_one_word(
    low: float | None, high: float | None, of_latency: str, of_hits: str
) -> None:
    ends = None if low is None or high is None else (low, high)
    assert effects.decide(LATENCY, ends, margin=0.1) == of_latency
    assert effects.decide(HITS, ends, margin=0.1) == of_hits


def test_two_blocks_that_agree_decide_nothing(scenario_of: Any) -> None:
    def of(*blocks: float) -> Any:
        return {
            "sidecar": {block: {"p50_ms": 1.0} for block in range(len(blocks))},
            "separate": {block: {"p50_ms": value} for block, value in enumerate(blocks)},
        }

    two, three = (
        effects.compare(scenario_of(), of(*blocks), len(blocks))[0].of("p50_ms")
        for blocks in ((2.0, 2.001), (2.0, 2.001, 2.002))
    )
    assert two is not None
    assert three is not None
    assert (two.decision, two.more_blocks) == ("undecided", 1)
    assert three.decision == "worse"
