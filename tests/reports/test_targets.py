"""Runs on running services: the report says what it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest

import reports
from reports.analysis.run import Analysis, analyse
from reports.render import junit, markdown
from reports.render.evidence import gates
from reports.render.figures.pictures import pictures
from reports.render.page import page
from reports.stored.records import RunRecord, StackChoice, TargetsChoice, TrialRecord
from reports.summary.model import schema

NOTE = "Targets are not deployed fresh."
CHOICE = TargetsChoice(
    urls={"sidecar": ["http://127.0.0.1:8101"], "separate": ["http://127.0.0.1:8102"]},
    owned=False,
    rate_cap=200,
    duration_cap_s=60,
)


def of_a_target(record: TrialRecord) -> TrialRecord:
    """Return the trial as it is with targets, of which `separate` tells nothing of itself."""
    told = record.variant == "sidecar"
    upstream = record.upstream.model_copy(update={"counted_by": "app" if told else "headers"})
    app = record.app if told else None
    return record.model_copy(
        update={"upstream": upstream, "app": app, "link": None, "usage": [], "notes": [NOTE]}
    )


@pytest.fixture
def analysis(made_up: Any) -> Analysis:
    folder: Path = made_up(of_a_target, schedule={"warmup": 0, "duration": 3, "blocks": 3})
    path = folder / "run.json"
    record = RunRecord.model_validate_json(path.read_text())
    stack = StackChoice(name="targets", reason="--target was given", targets=CHOICE)
    path.write_text(record.model_copy(update={"stack": stack}).model_dump_json())
    return analyse(folder)


def test_what_is_not_known_of_a_target_is_null_in_the_summary(analysis: Analysis) -> None:
    summary = analysis.summary
    jsonschema.validate(summary.model_dump(mode="json", by_alias=True), schema())
    assert summary.stack == "targets"
    assert NOTE in summary.notes
    for variant in summary.variants:
        assert variant.metrics.hit_ratio is not None
        assert (variant.ttl_s, variant.rtt_ms, variant.rtt_achieved_ms) == (None, None, None)
        assert (variant.theory, variant.fills) == (None, None)
    for trial in summary.trials:
        told = trial.variant == "sidecar"
        assert trial.valid
        assert (trial.expected_calls, trial.z) == (None, None)
        assert trial.upstream_counted_by == ("app" if told else "headers")
        assert trial.app_hits == (trial.hits if told else None)
        assert trial.upstream_calls == trial.misses


def test_the_page_names_the_targets_and_claims_no_cold_start(analysis: Analysis) -> None:
    written = page(analysis)
    for said in (
        "http://127.0.0.1:8101",
        "http://127.0.0.1:8102",
        NOTE,
        "running services",
        "not applicable",
    ):
        assert said in written
    for never in (
        "empty caches",
        "cold start",
        "Measurement compared with theory",
        "achieved round trips",
        "Upstream latency",
    ):
        assert never not in written


def test_gates_that_do_not_apply_are_not_counted_as_passed(analysis: Analysis) -> None:
    rows = {row[0].text: row[2] for row in gates(analysis).rows}
    # Three blocks: three trials of the target that tells, three of the one that does not.
    assert rows["Counts: responses"].text == "3 of 3"
    assert "3 not applicable, because the app's metrics could not be read" in rows["Counts: responses"].under
    assert rows["Counts: upstream calls"].text == "–"
    assert rows["Counts: upstream calls"].under.startswith("not applicable, because a target has no stub")


def untold(record: TrialRecord) -> TrialRecord:
    """Return the trial as it is with a service whose answers do not say what was a hit."""
    load = record.load.model_copy(
        update={"outcomes": {"unknown": record.load.requests}, "told_by": {"": record.load.requests}}
    )
    upstream = record.upstream.model_copy(update={"counted_by": "unknown", "calls": 0})
    changed = {"load": load, "upstream": upstream, "app": None, "link": None, "usage": [], "notes": [NOTE]}
    return record.model_copy(update=changed)


def test_latencies_of_a_service_that_tells_no_outcome_are_drawn_and_compared(made_up: Any) -> None:
    folder: Path = made_up(untold, schedule={"warmup": 0, "duration": 3, "blocks": 3})
    for file in folder.glob("trials/*/requests.parquet"):
        pd.read_parquet(file).assign(outcome="unknown").to_parquet(file, index=False)
    path = folder / "run.json"
    record = RunRecord.model_validate_json(path.read_text())
    stack = StackChoice(name="targets", reason="--target was given", targets=CHOICE)
    path.write_text(record.model_copy(update={"stack": stack}).model_dump_json())
    summary = reports.write(folder)
    assert all(trial.valid for trial in summary.trials)
    assert {"p50_ms", "mean_ms"} <= {one.metric for one in summary.comparisons if one.ci95 is not None}
    written = (folder / "report.html").read_text()
    assert "All requests" in written
    assert "All requests" in pictures(analyse(folder))["latency"].wide
    for text in (written, markdown.render(summary), junit.render(summary)):
        assert "nan" not in text.lower().replace("finance", "")
