from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import reports
from reports.analysis.run import analyse
from reports.stored.records import TrialRecord
from reports.summary import model as published


def test_the_published_schema_is_in_step() -> None:
    assert published.SCHEMA_PATH.read_text(encoding="utf-8") == published.written(), (
        "run: python -m reports.summary.model"
    )


def test_what_is_written_keeps_to_the_schema(made_up: Any) -> None:
    run = made_up(
        topology=["sidecar", "separate", "none"], schedule={"warmup": 1, "duration": 3, "blocks": 2}
    )
    summary = reports.write(run)
    stored = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(published.schema()).validate(stored)
    assert stored["schema"] == "sidecar-bench/summary/1"
    assert stored["verdict"] == summary.verdict
    assert summary.reduction_baseline == "none"


def test_the_golden_run_says_what_was_put_in(quick_run: Path) -> None:
    summary = reports.summarize(quick_run)
    sidecar, separate = summary.variants
    found = {comparison.metric: comparison for comparison in summary.comparisons}
    assert (found["hit_ratio"].a, found["hit_ratio"].b) == ("sidecar", "separate")
    assert found["hit_ratio"].decision == "better"
    assert found["hit_ratio"].better == "separate"
    assert found["hit_p50_ms"].decision == "worse"
    assert found["hit_p50_ms"].better == "sidecar"
    assert found["hit_p50_ms"].ci95 is not None
    assert found["hit_p50_ms"].ci95[0] < 0.27 < found["hit_p50_ms"].ci95[1]
    assert found["error_ratio"].decision == "equivalent"
    for variant in (sidecar, separate):
        assert variant.theory is not None
        assert variant.metrics.hit_ratio is not None
        assert variant.metrics.hit_ratio.value == pytest.approx(variant.theory.hit_ratio, abs=0.02)
    for trial in summary.trials:
        assert trial.valid
        assert (trial.hits, trial.misses) == (trial.app_hits, trial.app_misses)
        assert trial.misses == trial.upstream_calls
        assert trial.expected_calls is not None
        assert trial.expected_calls_error is not None
        assert abs(trial.upstream_calls - trial.expected_calls) < 4 * trial.expected_calls_error
    assert summary.verdict.startswith(
        "Compared with the sidecar, a separate Redis makes fewer upstream calls"
    )


def test_what_differences_come_from_adds_up_for_scripts_too(quick_run: Path) -> None:
    (found,) = reports.summarize(quick_run).attributions
    assert (found.a, found.b) == ("sidecar", "separate")
    for whole in (found.mean_ms, found.hit_ratio):
        assert whole is not None
        assert whole.total.ci95 is not None
        assert sum(part.value for part in whole.parts.values()) == pytest.approx(whole.total.value)
    assert found.hit_ratio_sharing is not None


def test_the_warm_up_counts_for_the_books_and_not_for_the_statistics(quick_run: Path) -> None:
    summary = reports.summarize(quick_run)
    sidecar = summary.variants[0].metrics.hit_ratio
    whole = [trial.hits / trial.requests for trial in summary.trials if trial.variant == "sidecar"]
    assert sidecar is not None
    assert sidecar.value > sum(whole) / len(whole) + 0.02


def test_an_invalid_trial_is_shown_and_left_out(made_up: Any) -> None:
    def spoil(record: TrialRecord) -> TrialRecord:
        if record.id != "b02-separate":
            return record
        return record.model_copy(update={"upstream": record.upstream.model_copy(update={"calls": 0})})

    summary = reports.summarize(made_up(spoil))
    spoilt = next(trial for trial in summary.trials if trial.id == "b02-separate")
    assert not spoilt.valid
    assert any("upstream" in reason for reason in spoilt.reasons)
    assert [variant.valid_trials for variant in summary.variants] == [5, 4]
    assert {comparison.blocks for comparison in summary.comparisons} == {4}


@pytest.mark.parametrize(("evicted", "known"), [(None, True), (0, True), (5, False)])
def test_theory_is_silent_of_trials_in_which_redis_evicted_copies(
    made_up: Any, evicted: int | None, known: bool
) -> None:
    def tell(record: TrialRecord) -> TrialRecord:
        usage = [
            used.model_copy(update={"evicted_keys": evicted}) if "redis" in used.name else used
            for used in record.usage
        ]
        return record.model_copy(update={"usage": usage})

    summary = reports.summarize(made_up(tell, schedule={"warmup": 0, "duration": 2, "blocks": 2}))
    for variant in summary.variants:
        assert (variant.theory is not None) is known
        assert (variant.theory_silence is None) is known
    assert all((trial.z is not None) is known for trial in summary.trials)


def test_a_run_without_a_valid_trial_says_so(made_up: Any) -> None:
    def spoil(record: TrialRecord) -> TrialRecord:
        return record.model_copy(update={"upstream": record.upstream.model_copy(update={"calls": 0})})

    summary = reports.write(made_up(spoil, schedule={"warmup": 0, "duration": 2, "blocks": 2}))
    assert summary.verdict.startswith("No result")
    assert all(variant.metrics.p50_ms is None for variant in summary.variants)


def test_one_block_decides_nothing(made_up: Any) -> None:
    summary = reports.summarize(made_up(schedule={"warmup": 0, "duration": 3, "blocks": 1}))
    assert summary.verdict.startswith(
        "Nothing is decided: a decision needs 3 valid blocks, but this run has 1."
    )
    assert {comparison.decision for comparison in summary.comparisons} == {"undecided"}
    assert all(comparison.ci95 is None for comparison in summary.comparisons)


def test_percentiles_with_too_few_samples_are_not_shown(made_up: Any) -> None:
    run = made_up(
        workload={"rate": 50, "keys": {"count": 50}}, schedule={"warmup": 0, "duration": 4, "blocks": 2}
    )
    metrics = reports.summarize(run).variants[0].metrics
    assert metrics.p50_ms is not None
    assert metrics.p99_ms is None


def test_a_percentile_that_only_some_trials_can_tell_is_not_shown(made_up: Any) -> None:
    run = made_up(schedule={"warmup": 0, "duration": 5, "blocks": 8}, workload={"rate": 200})
    requests = [trial.requests for trial in reports.summarize(run).trials]
    assert min(requests) < 1000 <= max(requests)
    found = analyse(run)
    assert all(variant.metrics.p99_ms is None for variant in found.summary.variants)
    assert {one.blocks for one in found.summary.comparisons if one.metric == "p99_ms"} == {0}
    assert {one.blocks for one in found.summary.comparisons if one.metric == "p90_ms"} == {8}


def test_a_baseline_without_a_cache_saves_nothing(made_up: Any) -> None:
    run = made_up(topology=["none", "sidecar"], schedule={"warmup": 1, "duration": 3, "blocks": 2})
    summary = reports.summarize(run)
    none = next(variant for variant in summary.variants if variant.topology == "none")
    assert none.ttl_s is None
    assert none.rtt_achieved_ms is None
    assert none.theory is None
    assert none.metrics.upstream_reduction is not None
    assert none.metrics.upstream_reduction.value == 0
    assert none.metrics.upstream_calls_per_1000 is not None
    assert none.metrics.upstream_calls_per_1000.value == pytest.approx(1000)


def test_messages_that_were_no_workers_are_told(made_up: Any) -> None:
    def tell(record: TrialRecord) -> TrialRecord:
        return record.model_copy(update={"load": record.load.model_copy(update={"dropped": 2})})

    notes = reports.summarize(made_up(tell, schedule={"warmup": 0, "duration": 2, "blocks": 2})).notes
    assert [note for note in notes if note.startswith("8 messages to the load's master")]


@pytest.mark.parametrize(("start", "evicted", "predicted"), [
    ("cold", 0, True), ("cold", None, False), ("steady", 0, False),
])  # fmt: skip
def test_where_redis_has_too_little_memory_trials_have_no_prediction_unless_nothing_was_evicted(
    made_up: Any, start: str, evicted: int | None, predicted: bool
) -> None:
    """From a steady start copies are missing that an unlimited cache would hold."""

    def tell(record: TrialRecord) -> TrialRecord:
        usage = [
            used.model_copy(update={"evicted_keys": evicted}) if "redis" in used.name else used
            for used in record.usage
        ]
        return record.model_copy(update={"usage": usage})

    schedule = {"start": start, "duration": 2, "blocks": 2}
    run = made_up(tell, cache={"ttl": 60, "maxmemory": "3MB"}, topology="sidecar", schedule=schedule)
    summary = reports.summarize(run)
    assert {trial.expected_calls is not None for trial in summary.trials} == {predicted}
    assert (summary.variants[0].theory_silence is None) is predicted
