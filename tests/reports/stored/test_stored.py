from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import reports
from reports import ResultsError
from reports.stored import runs
from reports.stored.records import RunEnd
from scenarios.facts import LinkFacts

ROWS = "trials/b01-sidecar/requests.parquet"
SMALL: dict[str, Any] = {"schedule": {"warmup": 0.5, "duration": 2, "blocks": 2}}


def test_trials_come_in_the_order_in_which_they_ran(quick_run: Path) -> None:
    run = runs.read(quick_run)
    assert len(run.trials) == 10
    assert [trial.record.block for trial in run.trials] == sorted(trial.record.block for trial in run.trials)
    assert run.notes == ()


def test_a_trial_that_never_ended_is_left_out_with_a_note(made_up: Any) -> None:
    run = made_up(**SMALL)
    (run / "trials" / "b01-sidecar" / "trial.json").unlink()
    summary = reports.summarize(run)
    assert "b01-sidecar" not in {trial.id for trial in summary.trials}
    assert any("b01-sidecar" in note and "did not finish" in note for note in summary.notes)


@pytest.mark.parametrize(
    ("spoil", "named", "remedy"),
    [
        (lambda run: (run / "run.json").unlink(), "run.json", "sidecar-bench list"),
        (lambda run: (run / "run.json").write_text("{"), "run.json", "run the scenario again"),
        (lambda run: (run / "trials/b01-sidecar/trial.json").write_text("{}"), "trial.json", "--resume"),
        (lambda run: (run / ROWS).write_bytes(b"PAR1"), "requests.parquet", "--resume"),
        (lambda run: (run / ROWS).unlink(), "requests.parquet", "--resume"),
        (lambda run: [path.unlink() for path in run.glob("trials/*/trial.json")], "no trial", "--resume"),
        (lambda run: (run / "end.json").write_text("{"), "end.json", "--resume"),
        (lambda run: _raise_format(run), "run.json", "newer sidecar-bench"),
    ],
    ids=[
        "no run", "damaged run", "damaged trial", "damaged rows", "no rows", "no trial", "damaged end",
        "newer format",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_with_its_remedy(
    made_up: Any, spoil: Any, named: str, remedy: str
) -> None:
    run = made_up(**SMALL)
    spoil(run)
    with pytest.raises(ResultsError) as error:
        reports.summarize(run)
    assert named in str(error.value)
    assert remedy in str(error.value)


def _raise_format(run: Path) -> None:
    path = run / "run.json"
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 99'))


def test_what_ended_a_run_is_read_and_told(made_up: Any) -> None:
    run = made_up(schedule={"warmup": 0, "duration": 2, "blocks": 3, "most_blocks": 9, "budget": 60})
    assert not reports.summarize(run).stopping.stop, "no word of an end: the run was interrupted"
    (run / "end.json").write_text(RunEnd(why="budget").model_dump_json())
    stopping = reports.summarize(run).stopping
    assert (stopping.stop, "the budget of 60 s was spent" in stopping.reason) == (True, True)
    assert reports.decide(run).reason == stopping.reason


def test_a_missing_column_is_named(made_up: Any) -> None:
    run = made_up(**SMALL)
    trial = runs.read(run).trials[0]
    trial.rows().drop(columns="key").to_parquet(trial.folder / "requests.parquet")
    with pytest.raises(ResultsError, match="no column key"):
        trial.rows()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"report\.html: cannot be written .* sidecar-bench report"):
        runs.put(tmp_path / "gone" / "report.html", "text")


def test_the_links_round_trip_is_that_of_before_and_after() -> None:
    link = LinkFacts(means="relay", achieved_ms=0.86, achieved_p99_ms=1.0, samples=300)
    assert link.during_ms == 0.86
    assert link.model_copy(update={"after_ms": 0.82}).during_ms == pytest.approx(0.84)


def test_a_run_of_a_version_that_knew_no_start_was_cold(made_up: Any) -> None:
    run = made_up(**SMALL | {"schedule": SMALL.get("schedule", {}) | {"start": "steady"}})
    path = run / "run.json"
    record = json.loads(path.read_text())
    assert record["scenario"]["schedule"].pop("start") == "steady"
    path.write_text(json.dumps(record))
    for trial in run.glob("trials/*/trial.json"):
        facts = json.loads(trial.read_text())
        trial.write_text(json.dumps({k: v for k, v in facts.items() if k not in ("start", "filling")}))
    read = runs.read(run)
    assert read.record.scenario.schedule.start == "cold"
    assert {(trial.record.start, trial.record.filling) for trial in read.trials} == {("cold", None)}
