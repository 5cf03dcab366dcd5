from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

import reports
from reports.inference import effects, stopping, thresholds
from scenarios.model import Scenario


def values(p50: Sequence[float]) -> dict[str, dict[int, dict[str, float]]]:
    """Two variants that agree in all but the median latency, which differs by these amounts."""
    calm = {"p99_ms": 20.0, "hit_ratio": 0.7}
    return {
        "sidecar": {block: {"p50_ms": 1.0, **calm} for block in range(len(p50))},
        "separate": {block: {"p50_ms": 1.0 + by, **calm} for block, by in enumerate(p50)},
    }


def decide(scenario: Scenario, p50: Sequence[float]) -> stopping.Decision:
    done = len(p50)
    return stopping.decide(scenario, effects.compare(scenario, values(p50), done), done)


CLEAR = [0.30, 0.31, 0.29, 0.30, 0.31]
OPEN = [0.30, -0.2, 0.25, 0.0, 0.1]


def adaptive(scenario_of: Any, **fields: Any) -> Scenario:
    scenario: Scenario = scenario_of(schedule={"blocks": 5, "most_blocks": 20}, **fields)
    return scenario


def test_a_clear_difference_ends_the_run_at_the_first_look(scenario_of: Any) -> None:
    scenario = adaptive(scenario_of)
    assert not decide(scenario, CLEAR[:4]).stop
    found = decide(scenario, CLEAR)
    assert found.stop
    assert found.undecided == ()
    assert "decided after 5 blocks" in found.reason


def test_an_open_question_goes_on_and_says_how_far(scenario_of: Any) -> None:
    found = decide(adaptive(scenario_of), OPEN)
    assert not found.stop
    assert found.undecided == ("median latency of separate compared with sidecar",)
    assert found.more_blocks is not None
    assert found.more_blocks > 1
    assert "next interim analysis is after block 7" in found.reason


def test_between_looks_a_run_goes_on_even_if_all_is_clear(scenario_of: Any) -> None:
    assert not decide(adaptive(scenario_of), [*CLEAR, 0.3]).stop


def test_at_its_most_blocks_a_run_ends_decided_or_not(scenario_of: Any) -> None:
    found = decide(adaptive(scenario_of), OPEN * 4)
    assert found.stop
    assert "all 20 blocks" in found.reason


def test_a_fixed_run_ends_with_its_blocks(scenario_of: Any) -> None:
    fixed = scenario_of(schedule={"blocks": 5})
    assert not decide(fixed, OPEN[:4]).stop
    assert decide(fixed, OPEN).stop


def test_a_precision_that_was_asked_for_keeps_a_run_going(scenario_of: Any) -> None:
    assert decide(adaptive(scenario_of, precision={"p50": "5%"}), CLEAR).stop
    assert not decide(adaptive(scenario_of, precision={"p50": "0.1%"}), CLEAR).stop


def test_how_far_a_precision_is_away_is_told_in_blocks(scenario_of: Any) -> None:
    found = decide(adaptive(scenario_of, precision={"p50": "0.5%"}), CLEAR)
    assert "not as precise as requested" in found.reason
    assert found.more_blocks is not None
    # t·s/√n = 0.0052 at 5 blocks of sd 0.0084; half a percent of 1 ms takes 14.
    assert found.more_blocks == 14 - 5
    assert (
        decide(scenario_of(schedule={"blocks": 14}, precision={"p50": "0.5%"}), (CLEAR * 3)[:14]).undecided
        == ()
    )


def test_where_nothing_is_valid_nothing_is_decided(scenario_of: Any) -> None:
    scenario = adaptive(scenario_of)
    nothing: effects.Values = {"sidecar": {}, "separate": {}}
    found = stopping.decide(scenario, effects.compare(scenario, nothing, 5), 5)
    assert not found.stop
    assert "not decided" in found.reason
    assert found.more_blocks == 3


def test_where_half_of_the_trials_are_invalid_two_pairs_decide_nothing(scenario_of: Any) -> None:
    scenario, found = adaptive(scenario_of), values(CLEAR)
    found["separate"] = {block: of for block, of in found["separate"].items() if block < 2}
    assert not stopping.decide(scenario, effects.compare(scenario, found, 5), 5).stop


def test_a_percentile_that_no_trial_can_tell_is_not_waited_for(scenario_of: Any) -> None:
    scenario, found = adaptive(scenario_of), values(CLEAR)
    for of_block in (*found["sidecar"].values(), *found["separate"].values()):
        del of_block["p99_ms"]
    assert stopping.decide(scenario, effects.compare(scenario, found, 5), 5).stop


def test_an_undecided_threshold_keeps_a_run_going(scenario_of: Any) -> None:
    scenario = adaptive(scenario_of, thresholds=["separate.p50 <= 1.3"])
    found = values(CLEAR)
    judged = thresholds.judge(scenario, found, 5)
    assert [result.outcome for result in judged] == ["undecided"]
    decision = stopping.decide(scenario, effects.compare(scenario, found, 5), 5, judged)
    assert not decision.stop
    assert decision.undecided == ("separate.p50 <= 1.3 (separate)",)


def test_an_undecided_threshold_says_how_far(scenario_of: Any) -> None:
    scenario = adaptive(scenario_of, thresholds=["separate.p50 <= 1.305"])
    found = values(CLEAR)
    (judged,) = thresholds.judge(scenario, found, 5)
    decision = stopping.decide(scenario, effects.compare(scenario, found, 5), 5, [judged])
    assert judged.more_blocks is not None
    assert decision.more_blocks == judged.more_blocks > 1


def test_a_budget_ends_a_run_wherever_it_is_and_says_what_is_open(scenario_of: Any) -> None:
    scenario = scenario_of(schedule={"blocks": 5, "most_blocks": 20, "budget": 60})
    for done in (5, 6):
        differences = (OPEN * 2)[:done]
        compared = effects.compare(scenario, values(differences), done, spent=True)
        found = stopping.decide(scenario, compared, done, spent=True)
        assert found.stop
        assert found.reason.startswith(f"the budget of 60 s was spent after {done} blocks; median latency")
        assert found.more_blocks is not None


def test_what_a_spent_budget_leaves_decided_is_decided(scenario_of: Any) -> None:
    scenario = scenario_of(schedule={"blocks": 5, "most_blocks": 20, "budget": 60})
    differences = [*CLEAR, 0.3]
    compared = effects.compare(scenario, values(differences), 6, spent=True)
    found = stopping.decide(scenario, compared, 6, spent=True)
    assert (found.stop, found.reason) == (True, "every comparison is decided after 6 blocks")


def without_p99(found: effects.Values) -> effects.Values:
    return {
        name: {block: {"p50_ms": of["p50_ms"], "hit_ratio": of["hit_ratio"]} for block, of in blocks.items()}
        for name, blocks in found.items()
    }


@pytest.mark.parametrize("topology", ["separate", ["sidecar", "separate"]])
def test_a_threshold_on_what_no_trial_can_tell_is_not_waited_for(scenario_of: Any, topology: Any) -> None:
    scenario = adaptive(scenario_of, topology=topology, thresholds=["separate.p99 <= 20"])
    found = without_p99(values(CLEAR))
    judged = thresholds.judge(scenario, found, 5)
    assert [result.outcome for result in judged] == ["undecided"], "it is not kept, either"
    compared = effects.compare(scenario, found, 5)
    assert stopping.decide(scenario, compared, 5, thresholds.within_reach(judged, found)).stop


def test_a_threshold_on_trials_that_were_all_invalid_is_waited_for(scenario_of: Any) -> None:
    scenario = adaptive(scenario_of, topology="separate", thresholds=["separate.p99 <= 20"])
    found: effects.Values = {"separate": {}}
    judged = thresholds.judge(scenario, found, 5)
    assert not stopping.decide(scenario, (), 5, thresholds.within_reach(judged, found)).stop


def test_a_stored_run_does_not_wait_for_it_either(made_up: Any) -> None:
    run = made_up(thresholds=["p99_ms <= 20"], schedule={"duration": 3, "blocks": 3, "most_blocks": 12})
    summary = reports.summarize(run)
    assert {result.outcome for result in summary.thresholds} == {"undecided"}
    for undecided in (summary.stopping.undecided, reports.decide(run).undecided):
        assert not [said for said in undecided if "p99_ms <= 20" in said]


def test_margins_make_equivalent(scenario_of: Any) -> None:
    close = [0.04, -0.04, 0.0, 0.02, -0.02]
    assert not decide(adaptive(scenario_of), close).stop
    assert decide(adaptive(scenario_of, margin={"p50": "20%"}), close).stop


def test_a_stored_run_can_be_asked(made_up: Any) -> None:
    run = made_up(schedule={"warmup": 0, "duration": 6, "blocks": 3})
    assert reports.decide(run).stop
    summary = reports.summarize(run)
    assert summary.stopping.stop
    assert {comparison.detectable is None for comparison in summary.comparisons} == {False}


@pytest.mark.parametrize(("d", "wanted"), [(0.0, "equivalent"), (0.5, "worse")])
def test_the_blocks_promised_decide(scenario_of: Any, d: float, wanted: str) -> None:
    """Were difference and spread to stay, the promised blocks would bring the decision."""
    scenario = scenario_of(schedule={"blocks": 3, "most_blocks": 400})
    start = [d - 0.4, d, d + 0.4]
    comparison = effects.compare(scenario, values(start), 3)[0].of("p50_ms")
    assert comparison is not None
    assert comparison.decision == "undecided"
    assert comparison.more_blocks is not None
    grown = (start * 200)[: 3 + comparison.more_blocks * 2]
    fixed = scenario_of(schedule={"blocks": len(grown)})
    later = effects.compare(fixed, values(grown), len(grown))[0].of("p50_ms")
    assert later is not None
    assert later.decision == wanted
