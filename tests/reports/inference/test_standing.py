"""Counts and times are judged apart: what a trial on a busy machine still says."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import reports
from bench.cli import show
from reports.analysis.run import analyse
from reports.inference import standing
from reports.render import junit, markdown
from reports.render.page import page
from reports.stored import runs
from reports.stored.records import TrialRecord
from reports.summary import refusals
from reports.summary.model import Summary
from reports.trial.gate import REMEDIES, WHY, Gate
from reports.trial.validity import gates, stands
from scenarios.metrics import KINDS, METRICS

Change = Callable[[TrialRecord], TrialRecord]
COUNTS = ("hit_ratio", "upstream_calls_per_1000", "upstream_reduction", "error_ratio")
SHORT = {"warmup": 0, "duration": 3, "blocks": 3}


def busy(*ids: str) -> Change:
    """Let the machine be busy in some trials; without ids in all."""

    def change(record: TrialRecord) -> TrialRecord:
        if ids and record.id not in ids:
            return record
        machine = record.machine.model_copy(update={"busy_ratio": 0.99})
        return record.model_copy(update={"machine": machine})

    return change


def failed(record: TrialRecord, requests: int) -> TrialRecord:
    """Let so many of the hits fail instead, and both sides count it."""
    outcomes = dict(record.load.outcomes)
    outcomes |= {"hit": outcomes["hit"] - requests, "error": requests}
    return record.model_copy(
        update={
            "load": record.load.model_copy(update={"outcomes": outcomes}),
            "app": record.app.model_copy(update={"outcomes": outcomes}) if record.app else None,
        }
    )


def told(summary: Summary) -> str:
    console = Console(file=io.StringIO(), width=500)
    show.found(console, summary)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_busy_machine_takes_the_latencies_and_leaves_the_counts(made_up: Any, quick_run: Path) -> None:
    summary, calm = reports.summarize(made_up(busy())), reports.summarize(quick_run)
    for trial in summary.trials:
        assert (trial.valid, trial.counts_valid, trial.times_valid) == (False, True, False)
        assert trial.counts_reasons == []
        assert trial.times_reasons == trial.reasons != []
    for variant, same in zip(summary.variants, calm.variants, strict=True):
        assert (variant.valid_trials, variant.counts_trials, variant.times_trials) == (0, 5, 0)
        for metric in METRICS:
            expected = getattr(same.metrics, metric.name) if metric.name in COUNTS else None
            assert getattr(variant.metrics, metric.name) == expected
        assert variant.fills == same.fills
    for found, same in zip(summary.comparisons, calm.comparisons, strict=True):
        if found.metric in COUNTS:
            assert found == same
        else:
            assert (found.blocks, found.decision) == (0, "undecided")
    assert summary.blocks == 5


def test_the_verdict_says_what_is_known_and_once_why_the_rest_is_not(made_up: Any) -> None:
    run = made_up(busy())
    summary = reports.write(run)
    assert summary.verdict.startswith(
        "Compared with the sidecar, a separate Redis makes fewer upstream calls"
    )
    assert "latency" not in summary.verdict.split(". ")[0]
    why = (
        "None of the 10 trials has valid latencies (99% of all CPU time was in use, so "
        "requests waited for a CPU)."
    )
    assert summary.verdict.count(why) == 1
    (refused,) = summary.refused
    assert (refused.kinds, refused.gate, len(refused.trials)) == (["times"], "CPU in use", 10)
    assert refused.remedy.startswith("Stop other work on this machine")
    for text in (told(summary), markdown.render(summary)):
        assert text.count("Latencies excluded: 10 trials (") == 1
        assert text.count(refused.remedy) == 1
        assert "0 of 10 trials are valid, only the counts of 10" in text
    html = (run / "report.html").read_text(encoding="utf-8")
    assert "Latencies excluded: 10 trials" in html
    assert "Upstream calls per 1,000 requests, with 95% intervals" in html
    assert "How long requests took" not in html
    assert "only counts valid: " in junit.render(summary)


def test_each_metric_is_paired_over_the_blocks_that_have_it(made_up: Any) -> None:
    summary = reports.summarize(made_up(busy("b02-separate", "b04-sidecar")))
    for found in summary.comparisons:
        assert found.blocks == (5 if found.metric in COUNTS else 3), found.metric
    latencies = [one.metrics.p50_ms for one in summary.variants]
    assert all(value is not None and value.ci95 is not None for value in latencies)


def test_a_trial_whose_counts_disagree_says_nothing_at_all(made_up: Any) -> None:
    def lose(record: TrialRecord) -> TrialRecord:
        if record.id != "b02-separate":
            return record
        return record.model_copy(update={"upstream": record.upstream.model_copy(update={"calls": 0})})

    summary = reports.summarize(made_up(lose))
    (spoilt,) = [trial for trial in summary.trials if not trial.valid]
    assert (spoilt.counts_valid, spoilt.times_valid) == (False, False)
    assert {found.blocks for found in summary.comparisons} == {4}


@pytest.mark.parametrize(("busy_too", "counts"), [(False, True), (True, False)])
def test_errors_are_counts_unless_the_machine_was_out_of_cpu_time(
    made_up: Any, busy_too: bool, counts: bool
) -> None:
    def change(record: TrialRecord) -> TrialRecord:
        return failed(busy()(record) if busy_too else record, 30)

    summary = reports.summarize(made_up(change, schedule=SHORT))
    for trial in summary.trials:
        assert (trial.counts_valid, trial.times_valid) == (counts, False)
        assert trial.z is None, "theory knows nothing of failed requests"


@pytest.mark.parametrize(
    ("late_us", "ttl", "counts"), [(30_000, 3, True), (90_000, 3, False), (90_000, 60, True)]
)
def test_sends_that_are_late_beside_the_ttl_change_what_is_counted(
    quick_run: Path, scenario_of: Any, late_us: int, ttl: float, counts: bool
) -> None:
    trial = runs.read(quick_run).trials[0]
    rows = trial.rows()
    late = rows.assign(sent_us=rows["sent_us"] + late_us, end_us=rows["end_us"] + late_us)
    variant = scenario_of(cache={"ttl": ttl}).variant(trial.record.variant)
    judged = gates(trial.record, late, variant)
    assert (stands(judged, "counts"), stands(judged, "times")) == (counts, False)


def test_the_ttl_of_a_log_that_is_replayed_faster_is_the_one_that_it_was_tried_with(
    quick_run: Path, scenario_of: Any
) -> None:
    trial = runs.read(quick_run).trials[0]
    rows = trial.rows()
    late = rows.assign(sent_us=rows["sent_us"] + 30_000, end_us=rows["end_us"] + 30_000)
    workload = {"log": "access.log", "arrivals": "log", "speedup": 60}
    variant = scenario_of(cache={"ttl": 60}, workload=workload).variant(trial.record.variant)
    assert not stands(gates(trial.record, late, variant), "counts"), "30 ms beside a TTL of a second"


def test_of_several_attempts_the_last_that_stands_counts_once(made_up: Any) -> None:
    run = made_up(busy("b01-sidecar"), schedule=SHORT)
    first = run / "trials" / "b01-sidecar"
    again = run / "trials" / "b01-sidecar-attempt2"
    again.mkdir()
    record = TrialRecord.model_validate_json((first / "trial.json").read_text())
    record = record.model_copy(update={"attempt": 2, "started": record.started.replace("2026", "2027")})
    (again / "trial.json").write_text(record.model_dump_json())
    (again / "requests.parquet").write_bytes((first / "requests.parquet").read_bytes())
    measures = analyse(run).measures
    assert len(measures) == 7
    counted = standing.standing(measures, "sidecar", "counts")
    assert [(trial.record.block, trial.record.attempt) for trial in counted] == [(1, 2), (2, 1), (3, 1)]
    assert [trial.record.block for trial in standing.standing(measures, "sidecar", "times")] == [2, 3]
    summary = reports.summarize(run)
    assert summary.variants[0].counts_trials == 3
    assert summary.refused[0].trials == ["b01-sidecar", "b01-sidecar, attempt 2"]


def test_where_no_latency_stands_latencies_are_open_and_counts_are_not(made_up: Any) -> None:
    run = made_up(busy(), schedule={"duration": 6, "warmup": 1, "blocks": 5, "most_blocks": 20})
    undecided = reports.decide(run).undecided
    assert any("median latency" in said for said in undecided)
    assert not any("hit ratio" in said for said in undecided)


def test_the_exit_code_is_that_of_what_is_known(made_up: Any) -> None:
    assert reports.exit_code(reports.summarize(made_up(busy()))) == 0, "the hit ratio is decided"


def test_a_threshold_on_latency_is_undecided_and_one_on_counts_is_judged(made_up: Any) -> None:
    summary = reports.summarize(made_up(busy(), thresholds=["p50_ms <= 100", "hit_ratio >= 10%"]))
    assert {result.text: result.outcome for result in summary.thresholds} == {
        "p50_ms <= 100": "undecided",
        "hit_ratio >= 10%": "pass",
    }
    assert reports.exit_code(summary) == 3


def test_a_reason_that_trials_share_is_told_once_and_a_cause_before_its_symptoms(made_up: Any) -> None:
    def change(record: TrialRecord) -> TrialRecord:
        record = busy("b01-sidecar", "b02-sidecar")(record)
        if record.id in ("b01-sidecar", "b03-separate"):
            drifted = record.link.model_copy(update={"after_ms": 9.0}) if record.link else None
            record = record.model_copy(update={"link": drifted})
        return record

    refused = reports.summarize(made_up(change, schedule=SHORT)).refused
    assert [(one.gate, one.trials) for one in refused] == [
        ("CPU in use", ["b01-sidecar", "b02-sidecar"]),
        ("RTT drift", ["b03-separate"]),
    ]
    assert "b01-sidecar, b02-sidecar" in refusals.sentence(refused[0])


def test_every_gate_protects_something_and_has_a_remedy_or_needs_none() -> None:
    for name in WHY:
        protects = Gate(name, "", "", passed=False, reason="").protects
        assert protects
        assert set(protects) <= set(KINDS)
    assert set(REMEDIES) <= set(WHY)
    assert Gate("a gate of tomorrow", "", "", passed=False, reason="").protects == KINDS


def test_a_run_of_valid_trials_has_no_word_on_refusals(quick_run: Path) -> None:
    summary = reports.summarize(quick_run)
    assert summary.refused == []
    assert "10 of 10 trials are valid;" in told(summary)
    assert "Latencies left out" not in page(analyse(quick_run))
